//! Closes that are not fit to learn from.

#![allow(
    clippy::unwrap_used,
    reason = "what fails in a test's own plumbing fails the test"
)]

#[path = "support/closes.rs"]
mod closes;
#[path = "support/years.rs"]
mod years;

use closes::{closes, day, series, small, train};
use mlops::{
    calendar::Calendars,
    training::{DataFault, Recipe, Series, Standing, TradingDays, TrainingError},
};

fn faults(error: TrainingError) -> Vec<DataFault> {
    match error {
        TrainingError::Data { faults } => faults,
        other => panic!("{other}"),
    }
}

/// What is wrong with a series of 400 days, as of the end of the last.
fn refused(
    spoil: impl FnOnce(&mut Vec<market::Timestamp>, &mut Vec<f64>),
) -> (Vec<DataFault>, String) {
    let mut y = closes(2, 0.0, 400);
    let mut starts: Vec<_> = (0..400).map(day).collect();
    spoil(&mut starts, &mut y);
    let series = Series::new("ACME".parse().unwrap(), market::Interval::D1, starts, y).unwrap();
    let error = train(&small(&["drift"]), &series, Standing::default(), day(400)).unwrap_err();
    let words = error.to_string();
    assert!(words.starts_with("not trained: "), "{words}");
    assert_eq!(error.kind(), market::ErrorKind::Invalid);
    (faults(error), words)
}

#[test]
fn closes_that_are_not_fit_to_learn_from_are_refused_with_the_reason() {
    let (found, words) = refused(|starts, y| {
        starts.drain(..250);
        y.drain(..250);
    });
    assert!(
        matches!(
            found[..],
            [DataFault::TooFewRows {
                rows: 150,
                needed: 200,
                ..
            }]
        ),
        "{words}"
    );

    let (found, words) = refused(|starts, y| {
        starts.drain(200..210);
        y.drain(200..210);
    });
    let gap = DataFault::Gap {
        after: day(199),
        before: day(210),
        missing: 10,
        most: 5,
    };
    assert_eq!(found, [gap], "{words}");

    // Every tenth day is missing: no gap is long.
    let (found, words) = refused(|starts, y| {
        *starts = starts
            .iter()
            .enumerate()
            .filter(|(n, _)| n % 10 != 5)
            .map(|(_, at)| *at)
            .collect();
        y.truncate(starts.len());
    });
    assert!(
        matches!(
            found[..],
            [DataFault::Sparse {
                missing: 40,
                rows: 360,
                ..
            }]
        ),
        "{words}"
    );

    let (found, words) = refused(|_, y| y[300..].iter_mut().for_each(|close| *close *= 0.5));
    let [DataFault::Split { at, ratio, .. }] = &found[..] else {
        panic!("{words}")
    };
    assert_eq!((*at, ratio.as_str()), (day(300), "2:1"));
    let (found, words) = refused(|_, y| y[300..].iter_mut().for_each(|close| *close *= 10.0));
    let [DataFault::Split { ratio, .. }] = &found[..] else {
        panic!("{words}")
    };
    assert_eq!(ratio, "1:10");

    let (found, words) = refused(|starts, y| {
        starts.truncate(390);
        y.truncate(390);
    });
    assert!(
        matches!(
            found[..],
            [DataFault::Stale {
                late: 10,
                most: 3,
                ..
            }]
        ),
        "{words}"
    );

    for value in [f64::NAN, f64::INFINITY, 0.0, -3.0] {
        let (found, words) = refused(|_, y| y[17] = value);
        assert!(
            matches!(&found[..], [DataFault::NotAPrice { at, .. }] if *at == day(17)),
            "{words}"
        );
    }
    let (found, words) = refused(|starts, _| starts[9] = starts[8]);
    assert!(
        matches!(found[..], [DataFault::OutOfOrder { .. }]),
        "{words}"
    );
    let (found, words) = refused(|_, y| y.fill(42.0));
    assert!(
        matches!(found[..], [DataFault::Constant { rows: 400, .. }]),
        "{words}"
    );

    // All at once, in one sentence.
    let (found, words) = refused(|starts, y| {
        starts.truncate(120);
        y.truncate(120);
        y.fill(42.0);
    });
    assert_eq!(found.len(), 3, "{words}");
    let (found, _) = refused(|starts, y| {
        starts.clear();
        y.clear();
    });
    assert!(matches!(found[..], [DataFault::TooFewRows { rows: 0, .. }]));
}

#[test]
fn jumps_that_are_no_splits_are_taken() {
    let trained = |recipe: &Recipe, spoil: &dyn Fn(&mut Vec<f64>)| {
        let mut y = closes(2, 0.0, 400);
        spoil(&mut y);
        train(recipe, &series(y), Standing::default(), day(400))
    };
    let recipe = small(&["drift"]);
    // A price that comes back, a crash by 45 %, and a split that somebody vouches for.
    trained(&recipe, &|y| y[300] *= 0.5).unwrap();
    trained(&recipe, &|y| {
        y[300..].iter_mut().for_each(|close| *close *= 0.55)
    })
    .unwrap();
    let mut adjusted = recipe.clone();
    adjusted.checks.adjusted = true;
    trained(&adjusted, &|y| {
        y[300..].iter_mut().for_each(|close| *close *= 0.5)
    })
    .unwrap();
}

#[test]
fn days_without_sessions_are_no_gaps_where_the_calendar_says_so() {
    let calendars = Calendars::builtin();
    let exchange = calendars.of("XNYS").unwrap();
    let sessions: Vec<_> = (0..2_400)
        .map(day)
        .filter(|at| {
            exchange
                .session_on(exchange.day_of(at.plus_micros(50_000_000_000)))
                .unwrap()
                .is_some()
        })
        .collect();
    let y = closes(4, 0.0, sessions.len());
    let known = Series::new("ACME".parse().unwrap(), market::Interval::D1, sessions, y).unwrap();
    let as_of = market::Interval::D1.end_of(*known.starts().last().unwrap());
    let mut recipe = small(&["drift"]);
    recipe.checks.max_missing_bars = 0;
    recipe.checks.max_missing_share = 0.0;
    let mut with = |days: &str| {
        recipe.days = days.parse::<TradingDays>().unwrap();
        train(&recipe, &known, Standing::default(), as_of)
    };
    with("XNYS").unwrap();
    for days in ["weekdays", "XLON", "always"] {
        let found = faults(with(days).unwrap_err());
        assert!(
            matches!(found[0], DataFault::Gap { .. }),
            "{days}: {found:?}"
        );
    }
}

#[test]
fn a_year_that_began_before_the_closes_do_is_told_and_nothing_is_judged() {
    let y = closes(3, 0.1, 400);
    let recipe = small(&["drift"]);
    let round = train(
        &recipe,
        &series(y[..330].to_vec()),
        Standing::default(),
        day(330),
    )
    .unwrap()
    .round;
    let standing = Standing {
        budget: round.budget,
        champion: None,
    };
    let (starts, late) = ((100..400).map(day).collect(), y[100..].to_vec());
    let late = Series::new("ACME".parse().unwrap(), market::Interval::D1, starts, late).unwrap();
    let found = faults(train(&recipe, &late, standing, day(400)).unwrap_err());
    assert_eq!(
        found,
        [DataFault::YearNotCovered {
            began: day(179),
            found: 80,
            needed: 100
        }]
    );
}
