//! UTC times as text.
//!
//! Written by hand, since a calendar crate would cost the first wasm download more than the page's
//! own code. The conversion from days is the civil-from-days algorithm of Howard Hinnant,
//! <https://howardhinnant.github.io/date_algorithms.html>.

use market::{Interval, Timestamp};

const DAY_US: i64 = 86_400_000_000;

/// The start of a bar, as exactly as its interval asks for: `2026-11-24`, `2026-11-24 14:31`.
pub fn bar_time(ts: Timestamp, interval: Interval) -> String {
    match interval {
        Interval::D1 => date(ts),
        Interval::S1 => format!("{} {}", date(ts), clock(ts)),
        _ => format!("{} {}", date(ts), &clock(ts)[..5]),
    }
}

/// RFC 3339 to the second: `2026-11-24T14:31:05Z`.
pub fn iso(ts: Timestamp) -> String {
    format!("{}T{}Z", date(ts), clock(ts))
}

/// The day: `2026-11-24`.
pub fn date(ts: Timestamp) -> String {
    let (year, month, day) = civil(ts.as_micros().div_euclid(DAY_US));
    format!("{year:04}-{month:02}-{day:02}")
}

fn clock(ts: Timestamp) -> String {
    let second = ts.as_micros().rem_euclid(DAY_US) / 1_000_000;
    format!(
        "{:02}:{:02}:{:02}",
        second / 3_600,
        second / 60 % 60,
        second % 60
    )
}

/// Year, month and day of a day counted from 1970-01-01.
fn civil(days: i64) -> (i64, i64, i64) {
    let z = days + 719_468;
    let era = z.div_euclid(146_097);
    let day_of_era = z.rem_euclid(146_097);
    let year_of_era =
        (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted_month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * shifted_month + 2) / 5 + 1;
    let month = if shifted_month < 10 {
        shifted_month + 3
    } else {
        shifted_month - 9
    };
    (year_of_era + era * 400 + i64::from(month <= 2), month, day)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_agree_with_the_market_crate() {
        for text in [
            "1969-12-31",
            "1970-01-01",
            "2000-02-29",
            "2024-02-29",
            "2026-11-24",
            "2100-03-01",
        ] {
            let ts: Timestamp = text.parse().unwrap();
            assert_eq!(date(ts), text);
            assert_eq!(date(ts.plus_micros(DAY_US - 1)), text);
        }
    }

    #[test]
    fn a_bar_is_named_as_exactly_as_its_interval() {
        let ts: Timestamp = "2026-11-24T14:31:05Z".parse().unwrap();
        assert_eq!(bar_time(ts, Interval::S1), "2026-11-24 14:31:05");
        assert_eq!(bar_time(ts, Interval::M1), "2026-11-24 14:31");
        assert_eq!(bar_time(ts, Interval::D1), "2026-11-24");
        assert_eq!(iso(ts), ts.to_string());
    }
}
