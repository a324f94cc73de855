//! Text and bytes as Python writes them, with quotes and escapes.
//!
//! Both stop after `most` characters and then end in `…` instead of the closing quote.

use std::fmt::Write as _;

/// `'it\'s'` → `"it's"`.
pub(super) fn text(value: &str, most: usize) -> String {
    let mark = mark(value.contains('\''), value.contains('"'));
    let mut quoted = String::from(mark);
    let mut extra = 0;
    for c in value.chars() {
        match c {
            '\\' => quoted.push_str("\\\\"),
            '\n' => quoted.push_str("\\n"),
            '\r' => quoted.push_str("\\r"),
            '\t' => quoted.push_str("\\t"),
            c if c == mark => quoted.extend(['\\', c]),
            c if hidden(c) => escape(&mut quoted, u32::from(c)),
            c => {
                quoted.push(c);
                extra += c.len_utf8() - 1;
            }
        }
        // The length in characters: everything but plain characters is ASCII.
        if quoted.len() - extra > most {
            quoted.push('…');
            return quoted;
        }
    }
    quoted.push(mark);
    quoted
}

/// `b'\x00a'`.
pub(super) fn bytes(value: &[u8], most: usize) -> String {
    let mark = mark(value.contains(&b'\''), value.contains(&b'"'));
    let mut quoted = format!("b{mark}");
    for byte in value {
        match byte {
            b'\\' => quoted.push_str("\\\\"),
            b'\n' => quoted.push_str("\\n"),
            b'\r' => quoted.push_str("\\r"),
            b'\t' => quoted.push_str("\\t"),
            byte if char::from(*byte) == mark => quoted.extend(['\\', mark]),
            b' '..=b'~' => quoted.push(char::from(*byte)),
            byte => escape(&mut quoted, u32::from(*byte)),
        }
        if quoted.len() > most {
            quoted.push('…');
            return quoted;
        }
    }
    quoted.push(mark);
    quoted
}

/// Python takes double quotes only where they save escapes.
fn mark(single: bool, double: bool) -> char {
    if single && !double { '"' } else { '\'' }
}

fn escape(quoted: &mut String, code: u32) {
    let _ = match code {
        0..=0xff => write!(quoted, "\\x{code:02x}"),
        0x100..=0xffff => write!(quoted, "\\u{code:04x}"),
        _ => write!(quoted, "\\U{code:08x}"),
    };
}

/// Whether a character cannot be seen, or moves what stands around it.
fn hidden(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quotes_and_escapes_are_pythons() {
        assert_eq!(text("it's", 99), "\"it's\"");
        assert_eq!(text("'\"", 99), "'\\'\"'");
        assert_eq!(text("a\n\x1b\u{202e}é日", 99), "'a\\n\\x1b\\u202eé日'");
        assert_eq!(bytes(b"\x00a'\xff", 99), "b\"\\x00a'\\xff\"");
        assert_eq!(text("abcdef", 3), "'abc…");
    }
}
