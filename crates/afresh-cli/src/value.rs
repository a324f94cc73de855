//! A stored result as text, without executing anything.
//!
//! What it cannot show it describes. It does not fetch the bytes and does not know where they come from.

use crate::human;
use crate::pickle::{self, Limits};

/// A result for a person.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Shown {
    /// As text; `cut` where `…` stands for something.
    Text { text: String, cut: bool },
    /// Not at all, because …
    Not(String),
}

/// The result `bytes` of `codec`.
pub(crate) fn show(codec: &str, bytes: &[u8], limits: &Limits) -> Shown {
    let size = || human::size(bytes.len() as u64);
    match codec {
        "json" => match std::str::from_utf8(bytes) {
            Ok(text) => {
                let mut text = indented(text);
                let end = text.char_indices().nth(limits.characters).map(|(end, _)| end);
                if let Some(end) = end {
                    text.truncate(end);
                    text.push('…');
                }
                Shown::Text { text, cut: end.is_some() }
            }
            Err(_) => Shown::Not(format!("{} through codec json that are not text", size())),
        },
        // The allow-list of the safe codec is about loading; the bytes are the same.
        "pickle" | "safe-pickle" => match pickle::literal(bytes, limits) {
            Ok(literal) => Shown::Text { text: literal.text, cut: literal.cut },
            Err(error) => Shown::Not(format!("{} through codec {codec}: {error}", size())),
        },
        codec => Shown::Not(format!("{} through codec {codec}", size())),
    }
}

/// JSON with line ends and blanks where people want them. Only blanks outside strings change: numbers of any
/// length, the order of keys and even what is no JSON (`NaN`) stay as they are.
pub(crate) fn indented(json: &str) -> String {
    let mut out = String::with_capacity(json.len() * 2);
    let mut depth = 0usize;
    let mut chars = json.chars().peekable();
    while let Some(c) = chars.next() {
        match c {
            '"' => {
                out.push(c);
                let mut escaped = false;
                for c in chars.by_ref() {
                    out.push(c);
                    match c {
                        '"' if !escaped => break,
                        c => escaped = c == '\\' && !escaped,
                    }
                }
            }
            '{' | '[' => {
                out.push(c);
                while chars.next_if(char::is_ascii_whitespace).is_some() {}
                match chars.next_if(|c| matches!(c, '}' | ']')) {
                    Some(close) => out.push(close),
                    None => {
                        depth += 1;
                        end_line(&mut out, depth);
                    }
                }
            }
            '}' | ']' => {
                depth = depth.saturating_sub(1);
                end_line(&mut out, depth);
                out.push(c);
            }
            ',' => {
                out.push(c);
                end_line(&mut out, depth);
            }
            ':' => out.push_str(": "),
            c if c.is_ascii_whitespace() => {}
            c => out.push(c),
        }
    }
    out
}

/// Nobody reads deeper than this, and hostile text must not make margins of megabytes.
const DEEPEST: usize = 40;

fn end_line(out: &mut String, depth: usize) {
    out.push('\n');
    out.extend(std::iter::repeat_n("  ", depth.min(DEEPEST)));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn json_keeps_everything_but_its_blanks() {
        assert_eq!(indented("{}"), "{}");
        assert_eq!(indented("[ ]"), "[]");
        assert_eq!(
            indented(r#"{"b":12345678901234567890123,"a, {": [1, NaN,"x\" :"]}"#),
            "{\n  \"b\": 12345678901234567890123,\n  \"a, {\": [\n    1,\n    NaN,\n    \"x\\\" :\"\n  ]\n}"
        );
    }
}
