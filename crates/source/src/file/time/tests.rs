use jiff::tz::TimeZone;
use market::Timestamp;
use proptest::prelude::*;

use super::{text::Order, *};
use crate::{
    decode::TimeUnit,
    file::table::{Column, ColumnKind, MISSING, TextColumn},
};

fn texts(cells: &[&str]) -> Column {
    let mut column = TextColumn::default();
    cells.iter().for_each(|cell| column.push(cell.as_bytes()));
    Column::Text(column)
}

fn reader(cells: &[&str], zone: Option<&str>) -> TimeReader {
    let mut evidence = Evidence::default();
    cells.iter().for_each(|cell| evidence.see(cell.as_bytes()));
    let (format, _) = evidence.decide(None, TimeUnit::Auto, "Date").unwrap();
    let zone = zone.map(|zone| zone_named(zone).unwrap());
    TimeReader::new(ColumnKind::Text, format, zone)
}

/// The instants of a column, decided as a whole.
fn instants(cells: &[&str], zone: Option<&str>) -> Vec<String> {
    let mut reader = reader(cells, zone);
    let column = texts(cells);
    (0..cells.len())
        .map(|row| match reader.read(&column, row) {
            Some(moment) => Timestamp::from_micros(moment.instant).to_string(),
            None => "none".into(),
        })
        .collect()
}

#[test]
fn the_order_of_day_and_month_is_told_from_the_whole_column_or_asked_for() {
    assert_eq!(
        instants(&["01/02/2026", "02/02/2026", "13/02/2026"], None)[0],
        "2026-02-01T00:00:00Z"
    );
    assert_eq!(
        instants(&["01/02/2026", "01/30/2026"], None)[0],
        "2026-01-02T00:00:00Z"
    );
    let mut evidence = Evidence::default();
    evidence.see(b"01/02/2026");
    evidence.see(b"02/02/2026");
    let asked = evidence.decide(None, TimeUnit::Auto, "Date").unwrap_err();
    assert!(asked.to_string().contains("01/02/2026"), "{asked}");
    assert!(asked.to_string().contains("--date-order"), "{asked}");
    let answered = evidence.decide(Some(Order::MonthDay), TimeUnit::Auto, "Date");
    assert_eq!(answered.unwrap().0.order, Order::MonthDay);
    // 02/02 alone is one day by either order.
    let mut evidence = Evidence::default();
    evidence.see(b"02/02/2026");
    assert!(evidence.decide(None, TimeUnit::Auto, "Date").is_ok());
}

#[test]
fn digits_are_a_calendar_or_an_epoch_by_the_whole_column() {
    assert_eq!(
        instants(&["202606010930", "202606010931"], None),
        ["2026-06-01T09:30:00Z", "2026-06-01T09:31:00Z"]
    );
    // Milliseconds of 1976 look alike, one by one.
    assert_eq!(
        instants(&["202606010930", "202606670930", "202606999930"], None)[0],
        "1976-06-02T23:26:50.93Z"
    );
    assert_eq!(
        instants(&["20260601093000", "20260601094500"], None)[1],
        "2026-06-01T09:45:00Z"
    );
    assert_eq!(
        instants(&["20260601", "20260602"], None)[1],
        "2026-06-02T00:00:00Z"
    );
    // The unit is that of most: those of 1970 are no seconds among milliseconds.
    assert_eq!(
        instants(&["86400000", "1735689600000", "1735689660000"], None)[0],
        "1970-01-02T00:00:00Z"
    );
    // Binance's went from milliseconds to microseconds within a file.
    assert_eq!(
        instants(&["1735689540000", "1735689600000000", "1735689660"], None),
        [
            "2024-12-31T23:59:00Z",
            "2025-01-01T00:00:00Z",
            "2025-01-01T00:01:00Z"
        ]
    );
    assert_eq!(
        instants(&["1735689600.25"], None)[0],
        "2025-01-01T00:00:00.25Z"
    );
}

#[test]
fn a_clock_of_its_own_has_its_leading_zeros_back() {
    let pair = |clocks: &[&str]| -> Vec<String> {
        let dates = vec!["20260601"; clocks.len()];
        let mut evidence = Evidence::default();
        let mut joined = Vec::new();
        for clock in clocks {
            evidence.see_pair(b"20260601", clock.as_bytes(), &mut joined);
        }
        let (format, _) = evidence.decide(None, TimeUnit::Auto, "Date").unwrap();
        let mut reader = TimeReader::new(ColumnKind::Text, format, None);
        let (dates, columns) = (texts(&dates), texts(clocks));
        (0..clocks.len())
            .map(|row| {
                let moment = reader.read_pair(&dates, &columns, row).unwrap();
                Timestamp::from_micros(moment.instant).to_string()[11..19].to_owned()
            })
            .collect()
    };
    assert_eq!(pair(&["93000", "100000"]), ["09:30:00", "10:00:00"]);
    assert_eq!(
        pair(&["0", "500", "1600"]),
        ["00:00:00", "05:00:00", "16:00:00"]
    );
    assert_eq!(pair(&["000000"]), ["00:00:00"]);
    assert_eq!(pair(&["09:30", "16:00"]), ["09:30:00", "16:00:00"]);
}

#[test]
fn zones_by_name_follow_their_summer_time_and_the_date_is_the_one_written() {
    let cells = [
        "20260305 09:30:00 US/Eastern",
        "20260309 09:30:00 US/Eastern",
        "2026-03-09 09:30:00",
        "2026-03-09 00:00:00+09:00",
    ];
    assert_eq!(
        instants(&cells, Some("Europe/Berlin")),
        [
            "2026-03-05T14:30:00Z",
            "2026-03-09T13:30:00Z",
            "2026-03-09T08:30:00Z",
            "2026-03-08T15:00:00Z"
        ]
    );
    let column = texts(&cells);
    let moment = reader(&cells, None).read(&column, 3).unwrap();
    assert_eq!(
        Timestamp::from_micros(moment.date()).to_string(),
        "2026-03-09T00:00:00Z"
    );
    // UTC is written, a zone is given: the day is the zone's.
    let cells = ["2026-08-02T15:00:00Z"];
    let moment = reader(&cells, Some("Asia/Tokyo"))
        .read(&texts(&cells), 0)
        .unwrap();
    assert_eq!(
        Timestamp::from_micros(moment.date()).to_string(),
        "2026-08-03T00:00:00Z"
    );
    assert_eq!(
        instants(&["2026-03-09 09:30 Atlantis/Poseidonis"], None),
        ["none"]
    );
}

#[test]
fn instants_of_a_schema_keep_the_files_zone_for_their_dates() {
    let zone = TimeZone::get("America/New_York").unwrap();
    let kind = ColumnKind::Instant { zone: Some(zone) };
    let (format, _) = Evidence::default()
        .decide(None, TimeUnit::Auto, "t")
        .unwrap();
    let mut reader = TimeReader::new(kind, format, None);
    let at: Timestamp = "2026-03-10T03:00:00Z".parse().unwrap();
    let moment = reader
        .read(&Column::Int(vec![at.as_micros(), MISSING]), 0)
        .unwrap();
    assert_eq!(
        Timestamp::from_micros(moment.date()).to_string(),
        "2026-03-09T00:00:00Z"
    );
    assert_eq!(reader.read(&Column::Int(vec![MISSING]), 0), None);
}

proptest! {
    #[test]
    fn no_text_panics(cell in ".{0,40}", zone in ".{0,12}") {
        let mut evidence = Evidence::default();
        evidence.see(cell.as_bytes());
        let mut joined = Vec::new();
        evidence.see_pair(cell.as_bytes(), zone.as_bytes(), &mut joined);
        if let Ok((format, _)) = evidence.decide(None, TimeUnit::Auto, "t") {
            TimeReader::new(ColumnKind::Text, format, None).read(&texts(&[&cell]), 0);
        }
        let _ = zone_named(&zone);
    }

    #[test]
    fn what_is_written_as_iso_is_read_back(us in -2_000_000_000_000_000_i64..4_000_000_000_000_000) {
        let text = Timestamp::from_micros(us).to_string();
        let column = texts(&[&text]);
        let moment = reader(&[&text], None).read(&column, 0).unwrap();
        prop_assert_eq!(moment.instant, us);
    }
}
