use super::*;
use crate::ModelSpec;

fn noise(n: usize, seed: u64) -> Vec<f64> {
    let mut random = testing::Lcg::new(seed, 7);
    (0..n).map(|_| random.normal()).collect()
}

#[test]
fn split_takes_the_rank_that_the_theory_asks_for() {
    let errors: Vec<f64> = (1..=19).map(f64::from).collect();
    let split = SplitConformal::from_errors(vec![errors], false).unwrap();
    assert_eq!(split.half_widths(Level(95.0)).unwrap(), [19.0]);
    assert_eq!(split.half_widths(Level(80.0)).unwrap(), [16.0]);
    assert!(split.half_widths(Level(96.0)).is_err());
}

#[test]
fn adaptive_coverage_comes_right_when_the_model_is_far_too_sure() {
    // The model says sd 1, the truth is 4.
    let mut adaptive = AdaptiveConformal::new(&[Level(80.0)], 1, 0.05).unwrap();
    let mut covered = 0;
    let errors = noise(4000, 3);
    for (t, e) in errors.iter().enumerate() {
        let forecast =
            Forecast::normal("x".to_owned(), vec![0.0], vec![1.0], &[Level(80.0)]).unwrap();
        let band = &adaptive.apply(&forecast).unwrap().intervals[0];
        let actual = 4.0 * e;
        if t >= 1000 && actual >= band.lower[0] && actual <= band.upper[0] {
            covered += 1;
        }
        adaptive.observe(0, actual, 0.0, 1.0);
    }
    let share = f64::from(covered) / 3000.0;
    assert!((share - 0.8).abs() < 0.02, "{share}");
}

#[test]
fn adaptive_bands_of_a_log_model_are_its_own_at_first_and_stay_positive() {
    let y: Vec<f64> = noise(120, 9)
        .iter()
        .scan(0.0, |s, e| {
            *s += 0.5 * e;
            Some(libm::exp(*s))
        })
        .collect();
    let levels = [Level(80.0), Level(95.0)];
    for point in [Point::Median, Point::Mean] {
        let options = FitOptions {
            log: true,
            point,
            ..FitOptions::default()
        };
        let own = ModelSpec::Drift.fit(&y, &options).unwrap();
        let own = own.forecast(9, &levels).unwrap();
        let mut adaptive = AdaptiveConformal::new(&levels, 9, 0.1).unwrap().log(point);
        let first = adaptive.apply(&own).unwrap();
        for (a, b) in own.intervals.iter().zip(&first.intervals) {
            for (a, b) in a
                .lower
                .iter()
                .chain(&a.upper)
                .zip(b.lower.iter().chain(&b.upper))
            {
                assert!((a / b - 1.0).abs() < 1e-9, "{point:?} {a} {b}");
            }
        }
        // Of equal chance above and below: a fall to a fifth is as far as a rise to five times.
        let mut mirrored = adaptive.clone();
        let median = libm::sqrt(own.intervals[0].lower[0] * own.intervals[0].upper[0]);
        let (mean, sd) = (own.mean[0], own.sd.as_ref().unwrap()[0]);
        adaptive.observe(0, median * 5.0, mean, sd);
        mirrored.observe(0, median / 5.0, mean, sd);
        let (up, down) = (adaptive.apply(&own).unwrap(), mirrored.apply(&own).unwrap());
        for (a, b) in up.intervals.iter().zip(&down.intervals) {
            assert!((a.lower[0] / b.lower[0] - 1.0).abs() < 1e-9);
            assert!((a.upper[0] / b.upper[0] - 1.0).abs() < 1e-9);
        }
        assert!(up.intervals[1].upper[0] > first.intervals[1].upper[0]);
        assert!(
            up.intervals
                .iter()
                .all(|band| band.lower.iter().all(|v| *v > 0.0))
        );
    }
}

#[test]
fn the_fan_does_not_narrow_and_levels_nest() {
    let y: Vec<f64> = noise(120, 5)
        .iter()
        .scan(0.0, |s, e| {
            *s += e;
            Some(*s)
        })
        .collect();
    let split =
        SplitConformal::calibrate(&ModelSpec::Naive, &y, &FitOptions::default(), 5, 60).unwrap();
    let forecast = ModelSpec::Naive.fit(&y, &FitOptions::default()).unwrap();
    let forecast = forecast.forecast(5, &[]).unwrap();
    let f = split.apply(&forecast, &[Level(80.0), Level(95.0)]).unwrap();
    for h in 0..5 {
        let width = |i: usize, h: usize| f.intervals[i].upper[h] - f.intervals[i].lower[h];
        assert!(width(1, h) >= width(0, h));
        assert!(h == 0 || width(0, h) >= width(0, h - 1));
    }
}
