//! The names of zones that files write.
//!
//! What it does not do: guess the zone of times that have none.

use jiff::tz::{Offset, TimeZone};

/// Of a name: `UTC`, `+05:30`, `America/New_York`; `None`: no zone that is known here.
pub fn named(name: &str) -> Option<TimeZone> {
    if is_utc(name) {
        return Some(TimeZone::UTC);
    }
    fixed_offset(name)
        .map(TimeZone::fixed)
        .or_else(|| TimeZone::get(name).ok())
}

/// Whether a name is one of those of UTC.
pub fn is_utc(name: &str) -> bool {
    const NAMES: [&str; 8] = [
        "UTC", "Z", "Etc/UTC", "GMT", "+00:00", "-00:00", "+0000", "Etc/GMT",
    ];
    NAMES.iter().any(|n| n.eq_ignore_ascii_case(name))
}

/// `+05:30`, `-0500`, `UTC+01:00`, `pytz.FixedOffset(-300)`.
fn fixed_offset(name: &str) -> Option<Offset> {
    let seconds = |s: i32| Offset::from_seconds(s).ok();
    if let Some(minutes) = name
        .strip_prefix("pytz.FixedOffset(")
        .and_then(|n| n.strip_suffix(')'))
    {
        return seconds(minutes.parse::<i32>().ok()?.checked_mul(60)?);
    }
    let name = name.strip_prefix("UTC").unwrap_or(name);
    let (sign, rest) = match name.strip_prefix('+') {
        Some(rest) => (1, rest),
        None => (-1, name.strip_prefix('-')?),
    };
    let digits = rest.replace(':', "");
    if digits.len() != 4 || !digits.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    let number: i32 = digits.parse().ok()?;
    seconds(sign * (number / 100 * 3_600 + number % 100 * 60))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn zones_are_read_by_name_and_by_offset() {
        assert_eq!(named("utc"), Some(TimeZone::UTC));
        for (name, minutes) in [
            ("+05:30", 330),
            ("-0500", -300),
            ("UTC+01:00", 60),
            ("pytz.FixedOffset(-300)", -300),
        ] {
            let offset = Offset::from_seconds(minutes * 60).unwrap();
            assert_eq!(named(name), Some(TimeZone::fixed(offset)), "{name}");
        }
        assert!(named("America/New_York").is_some());
        for name in ["", "Mars/Olympus", "+5", "+é123", "UTC+"] {
            assert_eq!(named(name), None, "{name}");
        }
    }
}
