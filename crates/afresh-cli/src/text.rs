//! Text for a terminal: without anything that a terminal obeys, measured in columns, cut to fit.
//!
//! Invariant: what comes out of [`line`] and [`block`] has no control characters (but line ends, in a block), and
//! no characters that reorder what stands around them; stored names, previews and messages are other people's.

use unicode_width::{UnicodeWidthChar, UnicodeWidthStr};

/// One line: control characters written as escapes.
pub(crate) fn line(text: &str) -> String {
    let mut clean = String::with_capacity(text.len());
    for c in text.chars() {
        push(&mut clean, c);
    }
    clean
}

/// Many lines: line ends stay, tabs become spaces.
pub(crate) fn block(text: &str) -> String {
    let mut clean = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '\n' => clean.push('\n'),
            '\r' => {}
            '\t' => clean.push_str("    "),
            c => push(&mut clean, c),
        }
    }
    clean
}

fn push(clean: &mut String, c: char) {
    if c.is_control() || reorders(c) {
        clean.extend(c.escape_default());
    } else {
        clean.push(c);
    }
}

/// Whether a character changes the direction of, or is a line end within, the text around it.
fn reorders(c: char) -> bool {
    matches!(c, '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{feff}')
}

/// How many columns a line takes.
pub(crate) fn width(text: &str) -> usize {
    UnicodeWidthStr::width(text)
}

/// The beginning of a line that takes at most `columns`, with `…` where something is missing.
pub(crate) fn cut(text: &str, columns: usize) -> String {
    if width(text) <= columns {
        return text.to_owned();
    }
    let room = columns.saturating_sub(1);
    let mut taken = 0;
    let mut short = String::new();
    for c in text.chars() {
        taken += UnicodeWidthChar::width(c).unwrap_or(0);
        if taken > room {
            break;
        }
        short.push(c);
    }
    if columns > 0 {
        short.push('…');
    }
    short
}

/// Every line of a block, moved to the right.
pub(crate) fn indent(text: &str, columns: usize) -> String {
    let margin = " ".repeat(columns);
    let lines: Vec<String> = text
        .lines()
        .map(|line| if line.is_empty() { String::new() } else { format!("{margin}{line}") })
        .collect();
    lines.join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_that_a_terminal_obeys_gets_through() {
        assert_eq!(line("a\x1b[31mb\n\u{202e}c"), "a\\u{1b}[31mb\\n\\u{202e}c");
        assert_eq!(block("a\r\n\tb\x07"), "a\n    b\\u{7}");
    }

    #[test]
    fn wide_characters_are_never_cut_in_half() {
        assert_eq!(cut("日本語", 6), "日本語");
        assert_eq!(cut("日本語", 5), "日本…");
        assert_eq!(cut("日本語", 4), "日…");
        assert_eq!(cut("abc", 1), "…");
        assert_eq!(cut("abc", 0), "");
        for columns in 0..10 {
            assert!(width(&cut("a日b本c語", columns)) <= columns);
        }
    }
}
