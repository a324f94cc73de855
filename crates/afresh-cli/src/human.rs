//! Times, spans, sizes and counts as people say them.
//!
//! Rounded to what a glance can use; programs get the exact figures from `--json`. The time is handed in.

use std::time::Duration;

use afresh::Timestamp;
use jiff::tz::TimeZone;

const MINUTE: u64 = 60;
const HOUR: u64 = 60 * MINUTE;
const DAY: u64 = 24 * HOUR;

/// How far apart two clocks may be before a moment counts as lying in the future.
const SKEW: i64 = 5_000;

/// `2 min ago`; a date where that says more.
pub(crate) fn ago(then: Timestamp, now: Timestamp, zone: &TimeZone) -> String {
    let seconds = now.since(then).as_secs();
    if then.as_millis().saturating_sub(now.as_millis()) > SKEW || seconds >= 30 * DAY {
        return format(then, zone, "%Y-%m-%d");
    }
    match seconds {
        0 => "just now".into(),
        s if s < MINUTE => format!("{s} s ago"),
        s if s < HOUR => format!("{} min ago", s / MINUTE),
        s if s < DAY => format!("{} h ago", s / HOUR),
        s if s < 2 * DAY => "1 day ago".into(),
        s => format!("{} days ago", s / DAY),
    }
}

/// `2026-03-01 12:30:05 +01:00`.
pub(crate) fn moment(then: Timestamp, zone: &TimeZone) -> String {
    format(then, zone, "%Y-%m-%d %H:%M:%S %:z")
}

/// `2026-03-01T11:30:05.250Z`, for programs.
pub(crate) fn rfc3339(then: Timestamp) -> String {
    format(then, &TimeZone::UTC, "%Y-%m-%dT%H:%M:%S%.3fZ")
}

fn format(then: Timestamp, zone: &TimeZone, pattern: &str) -> String {
    match jiff::Timestamp::from_millisecond(then.as_millis()) {
        Ok(moment) => moment.to_zoned(zone.clone()).strftime(pattern).to_string(),
        // Beyond the year 9999: a damaged or invented record.
        Err(_) => format!("{} ms", then.as_millis()),
    }
}

/// `850 µs`, `12 ms`, `1.2 s`, `2 min 5 s`, `1 h 3 min`, `2 days 3 h`.
pub(crate) fn span(span: Duration) -> String {
    let (seconds, micros) = (span.as_secs(), span.as_micros());
    match seconds {
        _ if micros < 1_000 => format!("{micros} µs"),
        _ if micros < 10_000 => format!("{:.1} ms", span.as_secs_f64() * 1e3),
        _ if micros < 999_500 => format!("{:.0} ms", span.as_secs_f64() * 1e3),
        s if s < 10 => format!("{:.1} s", span.as_secs_f64()),
        s if s < MINUTE => format!("{s} s"),
        s if s < HOUR => two(s / MINUTE, "min", s % MINUTE, "s"),
        s if s < DAY => two(s / HOUR, "h", s % HOUR / MINUTE, "min"),
        s if s < 2 * DAY => two(1, "day", s % DAY / HOUR, "h"),
        s => two(s / DAY, "days", s % DAY / HOUR, "h"),
    }
}

fn two(large: u64, unit: &str, small: u64, part: &str) -> String {
    if small == 0 { format!("{large} {unit}") } else { format!("{large} {unit} {small} {part}") }
}

/// `512 B`, `1.2 kB`, `34 MB`. Decimal, as the sizes that options take.
pub(crate) fn size(bytes: u64) -> String {
    let mut value = bytes as f64;
    let mut unit = "B";
    for next in ["kB", "MB", "GB", "TB", "PB", "EB"] {
        // 999.5 would be shown as 1000.
        if value < 999.5 {
            break;
        }
        value /= 1000.0;
        unit = next;
    }
    if unit == "B" || value >= 9.95 {
        format!("{value:.0} {unit}")
    } else {
        format!("{value:.1} {unit}")
    }
}

/// `1 commit`, `12 commits`.
pub(crate) fn count(number: u64, noun: &str) -> String {
    if number == 1 { format!("1 {noun}") } else { format!("{number} {noun}s") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_and_sizes_read_well_at_the_edges() {
        let spans = [
            (0, "0 µs"),
            (999, "999 µs"),
            (1_250, "1.2 ms"),
            (999_400, "999 ms"),
            (999_600, "1.0 s"),
            (61_000_000, "1 min 1 s"),
            (3_600_000_000, "1 h"),
            (90_000_000_000, "1 day 1 h"),
        ];
        for (micros, text) in spans {
            assert_eq!(span(Duration::from_micros(micros)), text);
        }
        let sizes =
            [(0, "0 B"), (999, "999 B"), (1000, "1.0 kB"), (9_960, "10 kB"), (999_600, "1.0 MB")];
        for (bytes, text) in sizes {
            assert_eq!(size(bytes), text);
        }
        assert_eq!(size(u64::MAX), "18 EB");
    }

    #[test]
    fn moments_that_no_calendar_knows_are_still_shown() {
        let far = Timestamp::from_millis(i64::MAX);
        assert!(ago(far, Timestamp::from_millis(0), &TimeZone::UTC).ends_with("ms"));
        assert!(ago(Timestamp::from_millis(i64::MIN), far, &TimeZone::UTC).ends_with("ms"));
        assert_eq!(rfc3339(Timestamp::from_millis(1_250)), "1970-01-01T00:00:01.250Z");
    }
}
