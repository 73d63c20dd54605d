//! When schedules fire: on clocks that are set forward and back, around sessions that close early, and after the
//! process was down.

#![allow(
    clippy::unwrap_used,
    reason = "what fails in a test's own plumbing fails the test"
)]

use market::Timestamp;
use mlops::{
    Error,
    calendar::Calendars,
    schedule::{Due, Schedule, ScheduleSpec},
};
use proptest::prelude::*;

fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

fn schedule(text: &str) -> Schedule {
    Schedule::new(text.parse().unwrap(), &Calendars::builtin()).unwrap()
}

fn fires(text: &str, after: &str, count: usize) -> Vec<String> {
    let (fires, _) = schedule(text).next_fires(at(after), count).unwrap();
    fires.iter().map(|fire| fire.at.to_string()).collect()
}

fn refusal(text: &str) -> String {
    let made = text
        .parse::<ScheduleSpec>()
        .and_then(|spec| Schedule::new(spec, &Calendars::builtin()))
        .and_then(|schedule| schedule.next_after(at("2026-01-01")));
    made.unwrap_err().to_string()
}

#[test]
fn a_pattern_goes_by_the_clocks_of_its_zone() {
    // New York is 5 hours behind UTC in winter, 4 in summer.
    let friday_and_monday = ["2026-03-06T23:00:00Z", "2026-03-09T22:00:00Z"];
    assert_eq!(
        fires("TZ=America/New_York 0 18 * * MON-FRI", "2026-03-06", 2),
        friday_and_monday
    );
    assert_eq!(
        fires("@daily", "2026-03-06T00:00:00Z", 1),
        ["2026-03-07T00:00:00Z"]
    );
    assert_eq!(
        fires("*/20 * * * * *", "2026-03-06T00:00:05.5Z", 2),
        ["2026-03-06T00:00:20Z", "2026-03-06T00:00:40Z"]
    );
}

#[test]
fn a_fixed_time_that_the_clocks_jump_over_runs_right_after_the_gap() {
    // On 8 March 2026 New York goes from 02:00 to 03:00, which is 07:00 UTC.
    let days = [
        "2026-03-07T07:30:00Z",
        "2026-03-08T07:00:00Z",
        "2026-03-09T06:30:00Z",
    ];
    assert_eq!(
        fires("TZ=America/New_York 30 2 * * *", "2026-03-07", 3),
        days
    );
}

#[test]
fn steps_that_the_clocks_jump_over_do_not_run() {
    let around = [
        "2026-03-07T07:00:00Z",
        "2026-03-07T07:30:00Z",
        "2026-03-09T06:00:00Z",
    ];
    assert_eq!(
        fires("TZ=America/New_York */30 2 * * *", "2026-03-07", 3),
        around
    );
}

#[test]
fn a_fixed_time_that_comes_twice_runs_at_its_first_occurrence() {
    // On 1 November 2026 New York goes from 02:00 back to 01:00, which is 06:00 UTC.
    let days = [
        "2026-10-31T05:30:00Z",
        "2026-11-01T05:30:00Z",
        "2026-11-02T06:30:00Z",
    ];
    assert_eq!(
        fires("TZ=America/New_York 30 1 * * *", "2026-10-31", 3),
        days
    );
}

#[test]
fn steps_in_an_hour_that_comes_twice_run_in_both() {
    let both = [
        "2026-11-01T05:00:00Z",
        "2026-11-01T05:30:00Z",
        "2026-11-01T06:00:00Z",
        "2026-11-01T06:30:00Z",
    ];
    assert_eq!(
        fires("TZ=America/New_York */30 1 * * *", "2026-11-01", 4),
        both
    );
}

#[test]
fn a_schedule_by_sessions_follows_early_closes_and_holidays() {
    let week = [
        "2026-11-25T21:20:00Z",
        // 26 November is Thanksgiving; the day after closes at 13:00.
        "2026-11-27T18:20:00Z",
        "2026-11-30T21:20:00Z",
    ];
    assert_eq!(
        fires(
            "20 minutes after the close of every XNYS session",
            "2026-11-25",
            3
        ),
        week
    );
    assert_eq!(
        fires("XLON close +10m", "2026-12-24T00:00:00Z", 1),
        ["2026-12-24T12:40:00Z"]
    );
    // Tokyo closes at 15:30 since 5 November 2024, at 15:00 before.
    assert_eq!(
        fires("XTKS close", "2024-11-01T00:00:00Z", 2),
        ["2024-11-01T06:00:00Z", "2024-11-05T06:30:00Z"]
    );
    assert_eq!(
        fires("XNYS open -30m", "2026-11-27T00:00:00Z", 1),
        ["2026-11-27T14:00:00Z"]
    );
}

#[test]
fn beyond_its_calendar_a_schedule_says_so_and_does_not_guess() {
    let xnys = schedule("XNYS close +20m");
    let error = xnys.next_after(at("2035-06-01")).unwrap_err();
    assert!(matches!(error, Error::NoCalendar { .. }), "{error}");
    assert!(
        error
            .to_string()
            .starts_with("no calendar of XNYS for 2035-"),
        "{error}"
    );
    // The last fires that are known are given, with the reason why there are no more.
    let end = Calendars::builtin().of("XNYS").unwrap().known_until();
    let (fires, stopped) = xnys
        .next_fires(at(&end.to_string()).plus_micros(-10 * 86_400_000_000), 50)
        .unwrap();
    assert!(!fires.is_empty() && fires.len() < 12, "{fires:?}");
    assert!(
        matches!(stopped, Some(Error::NoCalendar { .. })),
        "{stopped:?}"
    );
    assert!(xnys.due(at("2034-01-01"), at("2035-01-01")).is_err());
}

#[test]
fn what_is_no_schedule_is_refused_with_the_reason() {
    for (text, reason) in [
        ("", "it is empty"),
        ("61 * * * *", "61"),
        ("0 18 * *", "fields"),
        ("0 18 * * FUNDAY", "is not a schedule"),
        ("nonsense", "is not a schedule"),
        ("TZ=America/New_York", "it is empty"),
        ("TZ=Mars/Olympus 0 1 * * *", "not a time zone"),
        ("XXXX close +20m", "not an exchange"),
        ("XNYS close +2000m", "more than 1440 minutes"),
        ("0 0 30 2 *", "never fires"),
        ("0 0 0 1 1 * 2020", "never fires"),
    ] {
        let said = refusal(text);
        assert!(said.contains(reason), "{text:?}: {said}");
    }
}

#[test]
fn a_pattern_without_end_is_refused_shortened() {
    let said = refusal(&format!("0 {} * * *", "1,".repeat(100_000)));
    assert!(
        said.contains("longer than 500 bytes") && said.len() < 1_000,
        "{} bytes",
        said.len()
    );
}

#[test]
fn a_missed_fire_runs_once_late_and_says_so() {
    let nightly = schedule("TZ=Europe/London 0 2 * * *");
    let last = at("2026-11-20T02:00:00Z");
    let waiting = Due::Waiting {
        next: at("2026-11-21T02:00:00Z"),
    };
    assert_eq!(
        nightly.due(last, at("2026-11-20T12:00:00Z")).unwrap(),
        waiting
    );

    let on_time = nightly.due(last, at("2026-11-21T02:00:03Z")).unwrap();
    assert_eq!(on_time.notice(), None);
    assert!(
        matches!(
            on_time,
            Due::Run {
                late: false,
                skipped: 0,
                ..
            }
        ),
        "{on_time:?}"
    );

    let late = nightly.due(last, at("2026-11-23T05:20:00Z")).unwrap();
    let Due::Run {
        fire,
        late_by_seconds,
        skipped,
        late: true,
    } = late
    else {
        unreachable!("{late:?}");
    };
    assert_eq!(
        (fire, late_by_seconds, skipped),
        (at("2026-11-23T02:00:00Z"), 12_000, 2)
    );
    assert_eq!(
        late.notice().unwrap(),
        "late: was due at 2026-11-23T02:00:00Z, 3 h 20 min ago; 2 earlier fires were missed too and will not be made up for"
    );
    // It has run: nothing is due until the next.
    assert!(matches!(
        nightly.due(fire, at("2026-11-23T05:21:00Z")).unwrap(),
        Due::Waiting { .. }
    ));
}

#[test]
fn a_clock_that_was_set_back_runs_nothing_again() {
    let nightly = schedule("0 2 * * *");
    let last = at("2026-11-20T02:00:00Z");
    let due = nightly.due(last, at("2026-11-18T09:00:00Z")).unwrap();
    assert_eq!(
        due,
        Due::Waiting {
            next: at("2026-11-21T02:00:00Z")
        }
    );
}

#[test]
fn years_of_missed_seconds_are_counted_to_a_thousand() {
    let due = schedule("* * * * * *")
        .due(at("2020-01-01"), at("2026-01-01"))
        .unwrap();
    assert!(
        due.notice().unwrap().contains("1000 earlier fires or more"),
        "{due:?}"
    );
}

const TEXTS: [&str; 10] = [
    "30 2 * * *",
    "*/30 * * * *",
    "0 0 * * *",
    "15,45 1-3 * * *",
    "0 3 29 2 *",
    "@monthly",
    "0 12 L * *",
    "0 9 * * MON#1",
    "7 30 1 * * SUN",
    "* * * * *",
];
const ZONES: [&str; 6] = [
    "UTC",
    "America/New_York",
    "Europe/London",
    "Australia/Lord_Howe",
    "Asia/Kathmandu",
    "Pacific/Apia",
];

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(200) })]

    /// Each fire comes after the one before, nothing lies between, and looking back finds it again.
    #[test]
    fn fires_come_one_after_the_other(text in 0..TEXTS.len(), zone in 0..ZONES.len(), second in 946_684_800i64..2_500_000_000) {
        let schedule = schedule(&format!("TZ={} {}", ZONES[zone], TEXTS[text]));
        let start = Timestamp::from_secs(second);
        let (fires, _) = schedule.next_fires(start, 4).unwrap();
        let mut before = start;
        for fire in fires {
            prop_assert!(fire.at > before);
            prop_assert_eq!(schedule.last_until(fire.at).unwrap(), Some(fire.clone()));
            let earlier = schedule.last_until(fire.at.plus_micros(-1)).unwrap();
            prop_assert!(earlier.is_none_or(|earlier| earlier.at <= before));
            before = fire.at;
        }
    }

    /// Whenever one asks: what is due lies after the last run and not after now; what is waited for after both.
    #[test]
    fn what_is_due_is_new_and_is_past(session in any::<bool>(), last in 1_300_000_000i64..1_790_000_000, hours in -500i64..5_000) {
        let schedule = schedule(if session { "XNYS close +20m" } else { "TZ=Europe/London 30 1 * * *" });
        let last = Timestamp::from_secs(last);
        let now = last.plus_micros(hours * 3_600_000_000);
        match schedule.due(last, now).unwrap() {
            Due::Waiting { next } => prop_assert!(next > now && next > last),
            Due::Run { fire, late_by_seconds, .. } => {
                prop_assert!(fire > last && fire <= now);
                prop_assert_eq!(late_by_seconds, now.as_secs() - fire.as_secs());
                let after = schedule.due(fire, now).unwrap();
                prop_assert!(matches!(after, Due::Waiting { .. }), "{after:?}");
            }
        }
    }
}
