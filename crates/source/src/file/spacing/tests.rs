//! Intervals of made series.

use super::*;
use crate::file::time::Moment;

fn moments(texts: &[&str]) -> Vec<Moment> {
    texts
        .iter()
        .map(|text| {
            let us = text.parse::<market::Timestamp>().unwrap().as_micros();
            let offset = match text.get(19..).filter(|o| o.len() == 6) {
                Some(offset) => i64::from(super::super::time::text::offset(offset).unwrap()),
                None => 0,
            };
            Moment {
                instant: us,
                civil: us + offset * SECOND,
            }
        })
        .collect()
}

fn track(moments: &[Moment]) -> Track {
    let mut track = Track::new(moments[0]);
    moments[1..].iter().for_each(|moment| track.add(*moment));
    track
}

fn found(texts: &[&str]) -> Result<(i64, Interval), String> {
    let track = track(&moments(texts));
    let has_clocks = texts.iter().any(|t| t.len() > 10);
    of_file([(String::new(), &track)].into_iter(), has_clocks)
        .map(|found| (found.spacing, found.interval))
        .map_err(|open| format!("{}: {}", open.option, open.why))
}

fn every(minutes: i64, count: i64) -> Vec<Moment> {
    let start: market::Timestamp = "2026-06-01T22:00:00Z".parse().unwrap();
    (0..count)
        .map(|i| start.as_micros() + i * minutes * MINUTE)
        .map(|us| Moment {
            instant: us,
            civil: us,
        })
        .collect()
}

#[test]
fn intervals_of_clocks_are_found_also_over_midnight_and_with_gaps() {
    for (minutes, interval) in [
        (1, Interval::M1),
        (5, Interval::M5),
        (15, Interval::M15),
        (60, Interval::H1),
    ] {
        let mut all = every(minutes, 30);
        let whole = of_file([("A".into(), &track(&all))].into_iter(), true).unwrap();
        assert_eq!(whole.interval, interval);
        // Some bars had no trades.
        all.retain(|m| (m.instant / MINUTE / minutes) % 7 != 3);
        let gaps = of_file([("A".into(), &track(&all))].into_iter(), true).unwrap();
        assert_eq!(gaps.interval, interval);
    }
}

#[test]
fn lengths_that_are_not_kept_become_bars_of_the_next_that_is() {
    for (minutes, interval) in [(3, Interval::M15), (30, Interval::H1), (240, Interval::D1)] {
        let all = every(minutes, 60);
        let found = of_file([(String::new(), &track(&all))].into_iter(), true).unwrap();
        assert_eq!(
            (found.spacing, found.interval),
            (minutes * MINUTE, interval)
        );
    }
}

#[test]
fn days_are_days_whatever_offset_and_summer_time_stand_behind_them() {
    let daily = Ok((DAY, Interval::D1));
    assert_eq!(found(&["2026-06-01", "2026-06-02", "2026-06-03"]), daily);
    assert_eq!(
        found(&[
            "2026-03-05 00:00:00-05:00",
            "2026-03-06 00:00:00-05:00",
            "2026-03-09 00:00:00-04:00",
        ]),
        daily
    );
    assert_eq!(
        found(&["2026-03-06T05:00:00Z", "2026-03-09T04:00:00Z"]),
        daily
    );
    assert_eq!(found(&["2026-06-05", "2026-06-08"]), daily);
    assert_eq!(found(&["2026-06-08", "2026-06-05", "2026-06-04"]), daily);
    assert_eq!(found(&["2026-11-25"]), daily);
    // Midnight in London, written in UTC: the 29th of March would be there twice or never.
    let london = found(&[
        "2026-03-27T00:00:00Z",
        "2026-03-29T23:00:00Z",
        "2026-03-30T23:00:00Z",
    ]);
    assert!(london.unwrap_err().starts_with("--time-zone"));
}

#[test]
fn what_the_rows_leave_open_is_asked_for() {
    let asked = |texts: &[&str], part: &str| {
        let open = found(texts).unwrap_err();
        assert!(
            open.starts_with("--interval") && open.contains(part),
            "{open}"
        );
    };
    asked(&["2026-06-01 09:30:00"], "one row only");
    asked(&["2026-06-01", "2026-06-08", "2026-06-15"], "a week long");
    asked(&["2026-01-01", "2026-02-01", "2026-03-01"], "a month long");
    asked(
        &[
            "2026-06-01 09:30:00",
            "2026-06-01 09:31:10",
            "2026-06-01 09:35:00",
        ],
        "apart",
    );
    // A minute's bars, and then days'.
    let mut mixed = every(1, 10);
    mixed.extend(every(24 * 60, 12).iter().map(|m| Moment {
        instant: m.instant + 10 * DAY,
        civil: m.civil + 10 * DAY,
    }));
    let open = of_file([("A".into(), &track(&mixed))].into_iter(), true).unwrap_err();
    assert!(open.why.contains("1m apart, others 1d"), "{}", open.why);
}

#[test]
fn symbols_that_disagree_are_named_and_quiet_ones_agree() {
    let (minutes, hours) = (track(&every(1, 50)), track(&every(60, 50)));
    let open = of_file(
        [("FAST".into(), &minutes), ("SLOW".into(), &hours)].into_iter(),
        true,
    )
    .unwrap_err();
    assert!(
        open.why.contains("FAST") && open.why.contains("SLOW"),
        "{}",
        open.why
    );
    let quiet = track(&moments(&[
        "2026-06-01 22:03:00",
        "2026-06-01 22:20:00",
        "2026-06-02 01:07:00",
    ]));
    let one = track(&moments(&["2026-06-01 22:03:00"]));
    let found = of_file(
        [
            ("FAST".into(), &minutes),
            ("QUIET".into(), &quiet),
            ("ONE".into(), &one),
        ]
        .into_iter(),
        true,
    );
    assert_eq!(found.unwrap().interval, Interval::M1);
}
