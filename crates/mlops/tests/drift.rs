//! Drift detectors beside river's numbers, and false alarms as often as was asked for.

#![allow(
    clippy::unwrap_used,
    reason = "what fails in a test's own plumbing fails the test"
)]

#[path = "support/years.rs"]
mod years;

use std::path::Path;

use mlops::drift::{
    Calibrator, Direction, InputProfile, Kind, PageHinkley, PageHinkleyConfig, Reading, alarms,
};
use years::Noise;

#[test]
fn page_hinkley_is_that_of_river_value_by_value() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/page_hinkley.csv");
    let mut reader = csv::ReaderBuilder::new()
        .comment(Some(b'#'))
        .from_path(path)
        .unwrap();
    let mut watched: Option<(String, PageHinkley)> = None;
    let (mut rows, mut drifts) = (0, 0);
    for row in reader.records() {
        let row = row.unwrap();
        let number = |at: usize| row[at].parse::<f64>().unwrap();
        let direction = match &row[4] {
            "up" => Direction::Up,
            "down" => Direction::Down,
            _ => Direction::Both,
        };
        let config = PageHinkleyConfig {
            least_values: row[1].parse().unwrap(),
            tolerance: number(2),
            keep: number(3),
            direction,
        };
        let test = match &mut watched {
            Some((name, test)) if name == &row[0] => test,
            other => {
                &mut other
                    .insert((row[0].to_owned(), PageHinkley::new(config)))
                    .1
            }
        };
        let got = test.update(number(6));
        let want = match direction {
            Direction::Up => number(7),
            Direction::Down => number(8),
            Direction::Both => number(7).max(number(8)),
        };
        if let Some(got) = got {
            assert!(
                (got - want).abs() < 1e-9 * want.max(1.0),
                "row {rows}: {got}, river has {want}"
            );
        }
        let drift = got.is_some_and(|got| got > number(5));
        assert_eq!(drift, &row[9] == "1", "row {rows}");
        if drift {
            test.reset();
        }
        drifts += u32::from(drift);
        rows += 1;
    }
    assert_eq!((rows, drifts), (680, 6));
}

fn errors(noise: &mut Noise, n: usize, size: f64) -> Vec<f64> {
    (0..n).map(|_| size * noise.normal().abs()).collect()
}

const EVERY: f64 = 100.0;

fn watch() -> PageHinkleyConfig {
    PageHinkleyConfig {
        tolerance: 0.1,
        ..PageHinkleyConfig::default()
    }
}

#[test]
fn errors_that_do_not_drift_alarm_about_once_in_the_days_asked_for() {
    let mut noise = Noise::new(5);
    let reference = errors(&mut noise, 1_000, 1.0);
    let calibrator = Calibrator {
        days: 100,
        ..Calibrator::default()
    };
    let calibration = calibrator.page_hinkley(&reference, watch()).unwrap();
    let threshold = calibration.threshold(EVERY).unwrap();
    let mut alarms = 0.0;
    let (streams, days) = (200, 500);
    for _ in 0..streams {
        let mut test = PageHinkley::new(watch());
        for error in errors(&mut noise, days, 1.0) {
            if test
                .update(error)
                .is_some_and(|statistic| statistic > threshold)
            {
                alarms += 1.0;
                test.reset();
            }
        }
    }
    // One in 100 days is 1,000 in 200 times 500. The reference is a sample too: within a third.
    let one_in = f64::from(streams) * days as f64 / alarms;
    assert!(
        (67.0..150.0).contains(&one_in),
        "one alarm in {one_in} days"
    );
}

#[test]
fn errors_that_double_are_found_within_weeks() {
    let mut noise = Noise::new(6);
    let reference = errors(&mut noise, 500, 1.0);
    let calibration = Calibrator::default()
        .page_hinkley(&reference, watch())
        .unwrap();
    let threshold = calibration.threshold(365.0).unwrap();
    let mut waited = Vec::new();
    for _ in 0..50 {
        let mut test = PageHinkley::new(watch());
        let stream = [errors(&mut noise, 100, 1.0), errors(&mut noise, 200, 2.0)].concat();
        let alarm = stream
            .iter()
            .position(|error| test.update(*error).is_some_and(|s| s > threshold));
        waited.push(alarm.map_or(usize::MAX, |day| day.saturating_sub(100)));
    }
    waited.sort_unstable();
    assert!(
        waited[25] < 60,
        "half of them took longer than {} days",
        waited[25]
    );
    assert!(waited[47] < 200, "{waited:?}");
}

#[test]
fn inputs_from_elsewhere_stand_out_and_others_alarm_about_once_in_the_days_asked_for() {
    let mut noise = Noise::new(7);
    let mut draw =
        |n: usize, shift: f64| -> Vec<f64> { (0..n).map(|_| noise.normal() + shift).collect() };
    let reference = draw(5_000, 0.0);
    let profile = InputProfile::of(&reference, 10).unwrap();
    let calibrator = Calibrator {
        paths: 500,
        ..Calibrator::default()
    };
    let window = 100;
    let threshold = calibrator
        .psi(&reference, &profile, window)
        .unwrap()
        .threshold(250.0)
        .unwrap();
    let (mut alarms, mut days) = (0.0, 0.0);
    for _ in 0..40 {
        let stream = draw(1_000, 0.0);
        let mut from = 0;
        for end in 0..stream.len() {
            if end - from < window {
                continue;
            }
            days += 1.0;
            if profile.psi(&stream[end - window..end]).unwrap() > threshold {
                alarms += 1.0;
                // After an alarm the window fills anew.
                from = end;
            }
        }
    }
    let one_in = days / alarms;
    assert!(
        (150.0..400.0).contains(&one_in),
        "one alarm in {one_in} days"
    );
    let mut shifted = 0;
    for _ in 0..100 {
        shifted += u32::from(profile.psi(&draw(window, 1.0)).unwrap() > threshold);
    }
    assert!(shifted >= 95, "only {shifted} of 100");
}

#[test]
fn a_threshold_grows_with_the_days_and_follows_from_the_seed() {
    let reference = errors(&mut Noise::new(8), 400, 1.0);
    let calibration = Calibrator::default()
        .page_hinkley(&reference, watch())
        .unwrap();
    assert_eq!(
        calibration,
        Calibrator::default()
            .page_hinkley(&reference, watch())
            .unwrap()
    );
    let other = Calibrator {
        seed: 2,
        ..Calibrator::default()
    };
    assert_ne!(
        calibration,
        other.page_hinkley(&reference, watch()).unwrap()
    );
    let mut before = 0.0;
    for days in [10.0, 100.0, 1_000.0, 100_000.0] {
        let threshold = calibration.threshold(days).unwrap();
        assert!(threshold > before, "{days}: {threshold}");
        if days >= 100.0 {
            // The rate of that threshold is one in so many days.
            let one_in = 1.0 / calibration.rate(threshold);
            assert!((one_in / days - 1.0).abs() < 0.05, "{days}: {one_in}");
        }
        before = threshold;
    }
    let json = serde_json::to_string(&calibration).unwrap();
    assert_eq!(
        serde_json::from_str::<mlops::drift::Calibration>(&json).unwrap(),
        calibration
    );
}

#[test]
fn a_board_of_symbols_alarms_as_seldom_as_one() {
    let mut noise = Noise::new(9);
    let reference = errors(&mut noise, 1_000, 1.0);
    let calibrator = Calibrator {
        days: 100,
        ..Calibrator::default()
    };
    let calibration = calibrator.page_hinkley(&reference, watch()).unwrap();
    let (days, symbols) = (1_000, 40);
    let mut tests = vec![PageHinkley::new(watch()); symbols];
    let mut given = 0;
    for _ in 0..days {
        let readings: Vec<Reading> = tests
            .iter_mut()
            .enumerate()
            .map(|(i, test)| {
                let statistic = test.update(noise.normal().abs()).unwrap_or(0.0);
                Reading {
                    symbol: format!("S{i}"),
                    kind: Kind::Errors,
                    statistic,
                    rate: calibration.rate(statistic),
                }
            })
            .collect();
        for alarm in alarms(&readings, EVERY) {
            given += 1;
            let place: usize = alarm.reading.symbol[1..].parse().unwrap();
            tests[place].reset();
        }
    }
    // 10 are expected of the whole board; uncorrected it would be 400.
    assert!(
        (1..=30).contains(&given),
        "{given} alarms in {days} days of {symbols} symbols"
    );
}

#[test]
fn what_cannot_be_calibrated_is_refused() {
    let calibrator = Calibrator::default();
    assert!(calibrator.page_hinkley(&[1.0; 20], watch()).is_err());
    assert!(calibrator.page_hinkley(&[1.0; 100], watch()).is_err());
    let short = Calibrator {
        days: 40,
        ..calibrator
    };
    let reference = errors(&mut Noise::new(1), 100, 1.0);
    assert!(short.page_hinkley(&reference, watch()).is_err());
    let profile = InputProfile::of(&reference, 10).unwrap();
    assert!(calibrator.psi(&reference, &profile, 50).is_err());
    assert!(
        calibrator
            .page_hinkley(&reference, watch())
            .unwrap()
            .threshold(0.5)
            .is_err()
    );
}
