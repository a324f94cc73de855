//! Durations and sizes as people write them: `2h5m`, `1.5s`, `30d`; `200MB`, `1GiB`.

use std::time::Duration;

use afresh_core::{Error, Kind, Result};

const SPANS: [(&str, f64); 7] = [
    ("ms", 0.001),
    ("us", 0.000_001),
    ("s", 1.0),
    ("m", 60.0),
    ("h", 3600.0),
    ("d", 86_400.0),
    ("w", 604_800.0),
];

const SIZES: [(&str, f64); 12] = [
    ("", 1.0),
    ("b", 1.0),
    ("k", 1e3),
    ("kb", 1e3),
    ("kib", 1024.0),
    ("m", 1e6),
    ("mb", 1e6),
    ("mib", 1_048_576.0),
    ("g", 1e9),
    ("gb", 1e9),
    ("gib", 1_073_741_824.0),
    ("tb", 1e12),
];

/// A duration: numbers with units, added up; a bare number is seconds.
///
/// ```
/// use std::time::Duration;
/// assert_eq!(afresh::units::duration("2h5m").unwrap(), Duration::from_secs(7500));
/// assert_eq!(afresh::units::duration("0.5").unwrap(), Duration::from_millis(500));
/// assert!(afresh::units::duration("5 fortnights").is_err());
/// ```
///
/// # Errors
/// [`Kind::Config`], naming what is allowed.
pub fn duration(text: &str) -> Result<Duration> {
    let bad = || {
        Error::new(Kind::Config, format!("`{}` is not a duration", text.escape_debug()))
            .with_hint("write seconds, or numbers with the units us, ms, s, m, h, d, w: `90`, `1.5s`, `2h5m`, `30d`")
    };
    let mut rest = text.trim();
    if let Ok(seconds) = rest.parse::<f64>() {
        return span(seconds).ok_or_else(bad);
    }
    let mut total = 0.0;
    let mut parts = 0;
    while !rest.is_empty() {
        let (number, after) = number(rest).ok_or_else(bad)?;
        let end = after.find(|c: char| !c.is_ascii_alphabetic()).unwrap_or(after.len());
        let (unit, after) = after.split_at(end);
        let unit = unit.to_ascii_lowercase();
        let (_, seconds) = SPANS.iter().find(|(name, _)| *name == unit).ok_or_else(bad)?;
        total += number * seconds;
        parts += 1;
        rest = after.trim_start();
    }
    if parts == 0 {
        return Err(bad());
    }
    span(total).ok_or_else(bad)
}

/// A size in bytes: a number and a unit; a bare number is bytes.
///
/// ```
/// assert_eq!(afresh::units::size("200MB").unwrap(), 200_000_000);
/// assert_eq!(afresh::units::size("1 GiB").unwrap(), 1 << 30);
/// ```
///
/// # Errors
/// [`Kind::Config`], naming what is allowed.
pub fn size(text: &str) -> Result<u64> {
    let bad = || {
        Error::new(Kind::Config, format!("`{}` is not a size", text.escape_debug())).with_hint(
            "write bytes, or a number with a unit: `500`, `64KiB`, `200MB`, `1.5GB`, `1GiB`",
        )
    };
    let (number, unit) = number(text.trim()).ok_or_else(bad)?;
    let unit = unit.trim().to_ascii_lowercase();
    let (_, factor) = SIZES.iter().find(|(name, _)| *name == unit).ok_or_else(bad)?;
    let bytes = number * factor;
    // Beyond this a binary64 no longer counts single bytes, and no store is that large.
    if bytes.is_finite() && (0.0..9e15).contains(&bytes) { Ok(bytes as u64) } else { Err(bad()) }
}

fn number(text: &str) -> Option<(f64, &str)> {
    let end = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
    let (number, rest) = text.split_at(end);
    Some((number.parse().ok()?, rest))
}

/// From zero to ten thousand years; more is a mistake.
fn span(seconds: f64) -> Option<Duration> {
    (0.0..3.2e11).contains(&seconds).then(|| Duration::from_secs_f64(seconds))
}
