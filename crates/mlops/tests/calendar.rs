//! The calendars, held day by day to exchange_calendars, and what is laid over them.

#![allow(
    clippy::unwrap_used,
    reason = "what fails in a test's own plumbing fails the test"
)]

use std::{collections::BTreeMap, fs::File, path::Path};

use jiff::{ToSpan as _, civil::Date};
use market::Timestamp;
use mlops::{
    Error,
    calendar::{Calendars, Overlay},
};

/// Sessions by exchange and day, made by fixtures/sessions.py.
fn fixture() -> BTreeMap<(String, Date), (Timestamp, Timestamp)> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/sessions.csv.gz");
    let file = flate2::read::GzDecoder::new(File::open(path).unwrap());
    let mut reader = csv::ReaderBuilder::new()
        .comment(Some(b'#'))
        .from_reader(file);
    let rows = reader.records().map(|row| {
        let row = row.unwrap();
        let time = |at: usize| format!("{}T{}:00Z", &row[1], &row[at]).parse().unwrap();
        (
            (row[0].to_owned(), row[1].parse().unwrap()),
            (time(2), time(3)),
        )
    });
    rows.collect()
}

fn days(from: Date, until: Date) -> impl Iterator<Item = Date> {
    std::iter::successors(Some(from), |day| Some(day.saturating_add(1.day())))
        .take_while(move |day| *day <= until)
}

#[test]
fn every_session_and_its_hours_are_those_of_exchange_calendars() {
    let fixture = fixture();
    let mut wrong = Vec::new();
    for code in ["XNYS", "XLON", "XETR", "XTKS"] {
        let calendar = Calendars::builtin().of(code).unwrap();
        let mut seen = 0;
        for day in days(calendar.known_from(), calendar.known_until()) {
            let got = calendar.session_on(day).unwrap().map(|s| (s.open, s.close));
            let want = fixture.get(&(code.to_owned(), day)).copied();
            if got != want {
                wrong.push(format!(
                    "{code} {day}: {got:?}, exchange_calendars has {want:?}"
                ));
            }
            seen += u32::from(want.is_some());
        }
        assert!(seen > 4_000, "{code}: only {seen} sessions were compared");
    }
    assert!(
        wrong.is_empty(),
        "{} days:\n{}",
        wrong.len(),
        wrong.join("\n")
    );
}

#[test]
fn each_built_in_correction_corrects_something() {
    let (with, without) = (Calendars::builtin(), Calendars::uncorrected());
    let mut corrections = 0;
    for (code, day) in Overlay::builtin().days() {
        let session = |calendars: &Calendars| calendars.of(code).unwrap().session_on(day).unwrap();
        assert_ne!(session(&with), session(&without), "{code} {day}");
        corrections += 1;
    }
    assert_eq!(corrections, 21);
}

#[test]
fn the_days_that_others_have_wrong_are_right() {
    let calendars = Calendars::builtin();
    let session = |code: &str, day: &str| {
        calendars
            .of(code)
            .unwrap()
            .session_on(day.parse().unwrap())
            .unwrap()
    };
    assert_eq!(session("XNYS", "2018-12-05"), None);
    assert_eq!(session("XNYS", "2026-07-03"), None);
    assert_eq!(session("XNYS", "2027-06-18"), None);
    for day in ["2026-11-27", "2026-12-24"] {
        let early = session("xnys", day).unwrap();
        assert_eq!(early.close.to_string(), format!("{day}T18:00:00Z"));
        assert!(early.closes_early);
    }
    assert!(!session("XNYS", "2026-11-25").unwrap().closes_early);
    assert!(!session("XTKS", "2026-11-25").unwrap().closes_early);
    for year in ["2026", "2027"] {
        let day = |text: &str| format!("{year}-{text}").parse::<Date>().unwrap();
        let xnys = calendars.of("XNYS").unwrap();
        let open =
            days(day("01-01"), day("12-31")).filter(|day| xnys.session_on(*day).unwrap().is_some());
        assert_eq!(open.count(), 251, "{year}");
    }
}

/// A table that ends early shows as a year with next to no holidays.
#[test]
fn every_known_year_of_every_exchange_has_about_as_many_sessions_as_others() {
    let mut odd = Vec::new();
    for code in Calendars::codes() {
        let calendar = Calendars::builtin().of(code).unwrap();
        let (from, until) = (calendar.known_from(), calendar.known_until());
        let mut years = BTreeMap::<i16, u32>::new();
        for day in days(from, until) {
            let session = calendar.session_on(day).unwrap();
            *years.entry(day.year()).or_default() += u32::from(session.is_some());
        }
        // The first and the last year may be known in part.
        let whole = |year: i16| {
            year < until.year() && (year > from.year() || from == jiff::civil::date(year, 1, 1))
        };
        years.retain(|year, sessions| whole(*year) && !(236..=258).contains(sessions));
        if !years.is_empty() || until.year() < 2026 {
            odd.push(format!("{code}, {from} to {until}: {years:?}"));
        }
    }
    assert!(odd.is_empty(), "{}", odd.join("\n"));
}

#[test]
fn beyond_what_is_known_there_is_no_calendar() {
    let calendar = Calendars::builtin().of("XETR").unwrap();
    for day in [
        calendar.known_until().saturating_add(1.day()),
        calendar.known_from().saturating_add(-1.day()),
    ] {
        let error = calendar.session_on(day).unwrap_err();
        assert!(matches!(error, Error::NoCalendar { .. }), "{error}");
        assert!(
            error
                .to_string()
                .contains(&format!("no calendar of XETR for {day}")),
            "{error}"
        );
    }
    assert!(matches!(
        Calendars::builtin().of("NYSE"),
        Err(Error::UnknownExchange { .. })
    ));
}

fn with(closures: &str) -> Result<Calendars, Error> {
    Calendars::with(Overlay::from_toml(closures)?)
}

fn day(exchange: &str, date: &str, what: &str) -> String {
    format!(
        "[[day]]\nexchange = {exchange:?}\ndate = {date:?}\n{what}\nreason = \"told by the exchange\"\n"
    )
}

#[test]
fn a_persons_closures_lie_over_the_tables() {
    let closures = [
        day("XNYS", "2026-11-30", "closed = true"),
        day("XNYS", "2026-12-01", "close = \"12:00\""),
        day("XNYS", "2026-12-02", "open = \"11:00\""),
        // A Saturday.
        day("XNYS", "2026-12-05", "open = \"10:00\"\nclose = \"11:00\""),
        // The built-in correction is taken back.
        day("XNYS", "2018-12-05", "open = \"09:30\"\nclose = \"16:00\""),
    ];
    let xnys = with(&closures.concat()).unwrap().of("XNYS").unwrap();
    let hours = |day: &str| {
        let session = xnys.session_on(day.parse().unwrap()).unwrap();
        session.map(|s| {
            (
                s.open.to_string()[11..16].to_owned(),
                s.close.to_string()[11..16].to_owned(),
                s.closes_early,
            )
        })
    };
    let session = |open: &str, close: &str, early| Some((open.to_owned(), close.to_owned(), early));
    assert_eq!(hours("2026-11-30"), None);
    assert_eq!(hours("2026-12-01"), session("14:30", "17:00", true));
    assert_eq!(hours("2026-12-02"), session("16:00", "21:00", false));
    assert_eq!(hours("2026-12-05"), session("15:00", "16:00", false));
    assert_eq!(hours("2018-12-05"), session("14:30", "21:00", false));
}

#[test]
fn closures_that_cannot_be_are_refused_with_the_entry() {
    for (closures, said) in [
        (
            day("XXXX", "2026-11-30", "closed = true"),
            "day 1, XXXX 2026-11-30: no exchange",
        ),
        (
            day("XNYS", "30.11.2026", "closed = true"),
            "a date is not like 2026-12-24",
        ),
        (
            day("XNYS", "2026-11-30", "close = \"noon\""),
            "a time is not like 13:00",
        ),
        (
            day("XNYS", "2026-11-30", ""),
            "either closed = true, or open or close",
        ),
        (
            day("XNYS", "2026-11-30", "closed = true\nopen = \"10:00\""),
            "either closed = true, or open or close",
        ),
        (
            day("XNYS", "2026-11-30", "closed = true").repeat(2),
            "day 2, XNYS 2026-11-30: the day has two entries",
        ),
        (
            day("XNYS", "2040-11-30", "closed = true"),
            "no calendar of XNYS for 2040-11-30",
        ),
        (day("XNYS", "2026-11-30", "shut = true"), "unknown field"),
        (
            "[[day]]\nexchange = \"XNYS\"\ndate = \"2026-11-30\"\nclosed = true\nreason = \" \""
                .into(),
            "it has no reason",
        ),
        (
            day("XNYS", "2026-12-05", "close = \"11:00\""),
            "give open and close",
        ),
        (
            day("XNYS", "2026-11-30", "close = \"09:00\""),
            "it opens after it closes",
        ),
    ] {
        let error = with(&closures).unwrap_err().to_string();
        assert!(
            error.starts_with("the closures: ") && error.contains(said),
            "{said}: {error}"
        );
    }
}
