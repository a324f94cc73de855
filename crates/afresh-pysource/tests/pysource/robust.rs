//! Text that is no Python, or more than anybody writes: an error, never a panic.

use afresh_pysource::{Error, Source, Style};

fn everything(text: &str) {
    let Ok(source) = Source::parse(text) else { return };
    let style = Style { whole: true, ..Style::default() };
    let _ = source.module(&style);
    for name in source.names() {
        let _ = source.binding(&name, &style);
        let _ = source.class(&name, None, &style);
        for line in 0..5 {
            let _ = source.function(&name, line, &style);
            let _ = source.lambda(line, &[], Some((line, 3)), &style);
        }
    }
}

#[test]
fn no_python() {
    for text in [
        "def f(:",
        "f(",
        "'",
        "\u{0}",
        "if x:\npass",
        "%matplotlib inline",
        "!ls",
        "x = ",
        "\"\"\"",
    ] {
        assert!(matches!(Source::parse(text), Err(Error::Syntax(_))), "{text:?}");
    }
    for text in ["", "\n", "\u{feff}x = 1", "\t", "#", "\r\r\n", "é = 'ü'\nlambda ü: ü", "\\\n"]
    {
        everything(text);
    }
}

#[test]
fn cut_and_garbled() {
    let text = "@d(1)\nclass C(B, k=1):\n    a: int = f'{x!r:>{w}}' 'é'\n    async def m(self, /, a=1, *b, c: int = 2, **d):\n        async with a as b, c: return [z async for z in b if (y := z)]\n        match a:\n            case {'k': [1, *r], **s} | K.A(q, w=None) as t if t: yield lambda x=1: x[1:2, ...]\n        try: pass\n        except* (E, F) as e: raise e from None\n        finally: del a[0], b.c\n";
    everything(text);
    let cuts = text.char_indices().map(|(index, _)| index);
    for cut in cuts {
        everything(&text[..cut]);
        everything(&text[cut..]);
        for junk in ["(", "\"", "\u{1F600}", "\n  ", "lambda", "*", "\0"] {
            everything(&format!("{}{junk}{}", &text[..cut], &text[cut..]));
        }
    }
}

fn nested() -> String {
    format!("def f(): return {}1{}", "[".repeat(5000), "]".repeat(5000))
}

#[test]
fn deep() {
    let style = Style::default();
    if let Ok(source) = Source::parse(&nested()) {
        assert_eq!(source.function("f", 1, &style), Err(Error::TooDeep));
    }
}

#[test]
fn a_long_chain() {
    let style = Style::default();
    let attributes = format!("def f(): return x{}", "().a".repeat(1500));
    if let Ok(source) = Source::parse(&attributes) {
        assert_eq!(source.function("f", 1, &style), Err(Error::TooDeep));
    }
}

#[test]
fn a_long_sum() {
    let style = Style::default();
    let sum = format!("def f(x): return {}", vec!["g(x)"; 5_000].join(" + "));
    assert!(Source::parse(&sum).unwrap().function("f", 1, &style).is_ok());
}

#[test]
fn a_long_ladder() {
    let style = Style::default();
    let ladder = format!("def f(x):\n    if x: a()\n{}", "    elif x: b()\n".repeat(3000));
    assert_eq!(Source::parse(&ladder).unwrap().function("f", 1, &style), Err(Error::TooDeep));
}
