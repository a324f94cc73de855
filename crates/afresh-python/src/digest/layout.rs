//! How the Arrow columns that can be read lie in memory.

use super::buffer::Floats;
use super::cdata::Array;

#[derive(Clone, Copy)]
pub(super) enum Layout {
    Null,
    Bits,
    Fixed(usize, Floats),
    Bytes { wide: bool },
    View,
    List { wide: bool },
    FixedList(usize),
    Struct,
    Dictionary { width: usize },
}

impl Layout {
    /// The layout that a format of the Arrow C interface stands for, if it is known here.
    pub(super) fn of(format: &str) -> Option<Self> {
        use Floats::{Double, Half, None as No, Single};
        Some(match format {
            "n" => Layout::Null,
            "b" => Layout::Bits,
            "c" | "C" => Layout::Fixed(1, No),
            "s" | "S" => Layout::Fixed(2, No),
            "i" | "I" => Layout::Fixed(4, No),
            "l" | "L" => Layout::Fixed(8, No),
            "e" => Layout::Fixed(2, Half),
            "f" => Layout::Fixed(4, Single),
            "g" => Layout::Fixed(8, Double),
            "tdD" | "tts" | "ttm" | "tiM" => Layout::Fixed(4, No),
            "tdm" | "ttu" | "ttn" | "tiD" => Layout::Fixed(8, No),
            "tin" => Layout::Fixed(16, No),
            "z" | "u" => Layout::Bytes { wide: false },
            "Z" | "U" => Layout::Bytes { wide: true },
            "vz" | "vu" => Layout::View,
            "+l" | "+m" => Layout::List { wide: false },
            "+L" => Layout::List { wide: true },
            "+s" => Layout::Struct,
            _ => return wider(format),
        })
    }
}

/// Formats with a parameter.
fn wider(format: &str) -> Option<Layout> {
    if let Some(size) = format.strip_prefix("w:") {
        return Some(Layout::Fixed(size.parse().ok()?, Floats::None));
    }
    if let Some(size) = format.strip_prefix("+w:") {
        return Some(Layout::FixedList(size.parse().ok()?));
    }
    if format.starts_with("ts") || format.starts_with("tD") {
        return Some(Layout::Fixed(8, Floats::None));
    }
    let decimal = format.strip_prefix("d:")?;
    let bits: usize = decimal.split(',').nth(2).unwrap_or("128").parse().ok()?;
    Some(Layout::Fixed(bits / 8, Floats::None))
}

/// A bit, counted from the least significant of the first octet.
pub(super) fn bit(bits: &[u8], place: usize) -> bool {
    bits.get(place / 8).is_some_and(|octet| octet >> (place % 8) & 1 == 1)
}

/// Where the rows begin, and where the last ends.
pub(super) fn offsets(
    array: &Array<'_>,
    place: usize,
    start: usize,
    len: usize,
    wide: bool,
) -> Option<Vec<usize>> {
    if wide {
        let bytes = array.buffer(place, start * 8, (len + 1) * 8)?;
        let ends = bytes.as_chunks::<8>().0.iter();
        ends.map(|end| usize::try_from(i64::from_le_bytes(*end)).ok()).collect()
    } else {
        let bytes = array.buffer(place, start * 4, (len + 1) * 4)?;
        let ends = bytes.as_chunks::<4>().0.iter();
        ends.map(|end| usize::try_from(i32::from_le_bytes(*end)).ok()).collect()
    }
}

/// The ranges of values that belong to rows that are there, joined where they meet.
pub(super) fn runs(ends: &[usize], valid: Option<&[bool]>) -> Vec<(usize, usize)> {
    let mut runs: Vec<(usize, usize)> = Vec::new();
    for (row, pair) in ends.windows(2).enumerate() {
        let [begin, end] = pair else { continue };
        if valid.is_some_and(|valid| valid.get(row) != Some(&true)) {
            continue;
        }
        match runs.last_mut() {
            Some((_, last)) if *last == *begin => *last = *end,
            _ => runs.push((*begin, *end)),
        }
    }
    runs
}
