use super::*;
use crate::Providers;

fn walk(n: usize) -> Vec<f64> {
    let mut random = testing::Lcg::new(21, 9);
    let mut price = 100.0;
    (0..n)
        .map(|_| {
            price *= 1.0 + (random.unit() - 0.5) / 50.0;
            price
        })
        .collect()
}

fn options() -> FitOptions {
    FitOptions {
        season: 4,
        log: true,
        ..FitOptions::default()
    }
}

fn calibration(method: Calibration) -> CalibrationOptions {
    CalibrationOptions {
        method,
        horizon: 3,
        origins: 60,
        ..CalibrationOptions::default()
    }
}

#[test]
fn bytes_that_are_read_back_go_on_the_same_to_the_last_bit() {
    let y = walk(260);
    for name in [
        "naive",
        "drift",
        "snaive",
        "ets",
        "theta",
        "arima(1,1,1)",
        "garch",
    ] {
        let model = Providers::classical().parse(name).unwrap();
        for method in Calibration::ALL {
            let fit = |y: &[f64]| {
                ServedState::fit(&*model, &y.into(), &options(), &calibration(method)).unwrap()
            };
            let mut served = fit(&y[..200]);
            let mut copy = ServedState::load(&*model, &served.save().unwrap()).unwrap();
            for value in &y[200..] {
                let levels = [Level(50.0), Level(80.0), Level(90.0), Level(95.0)];
                let (a, b) = (served.forecast(3, &levels), copy.forecast(3, &levels));
                assert_eq!(a.unwrap(), b.unwrap(), "{name} {method}");
                served.update(*value).unwrap();
                copy.update(*value).unwrap();
            }
            assert_eq!(
                served.save().unwrap(),
                copy.save().unwrap(),
                "{name} {method}"
            );
        }
    }
}

#[test]
fn the_point_forecast_is_the_models_and_its_own_intervals_stay_beside() {
    let y = walk(200);
    let model = Providers::classical().parse("theta").unwrap();
    let own = model.fit(&(&y).into(), &options()).unwrap();
    let own = own.forecast(3, &Level::DEFAULT).unwrap();
    for method in Calibration::ALL {
        let served =
            ServedState::fit(&*model, &(&y).into(), &options(), &calibration(method)).unwrap();
        let said = served.forecast(3, &Level::DEFAULT).unwrap();
        assert_eq!(said.forecast.mean, own.mean);
        assert_eq!(said.own, own.intervals);
        assert_eq!(said.calibration, method);
        let same = said.forecast.intervals == own.intervals;
        assert_eq!(same, method == Calibration::None, "{method}");
        let [narrow, wide] = &said.forecast.intervals[..] else {
            panic!("two levels")
        };
        assert!(narrow.lower.iter().zip(&wide.lower).all(|(n, w)| w <= n));
    }
}

#[test]
fn a_history_too_short_to_calibrate_on_keeps_the_models_own_intervals() {
    let model = Providers::classical().parse("theta").unwrap();
    let y = walk(5);
    for method in Calibration::ALL {
        let served =
            ServedState::fit(&*model, &(&y).into(), &options(), &calibration(method)).unwrap();
        let said = served.forecast(2, &Level::DEFAULT).unwrap();
        if method == Calibration::Split {
            assert_eq!(said.calibration, Calibration::None);
        }
        assert_eq!(said.own.len(), 2);
    }
}

#[test]
fn a_value_that_is_refused_leaves_the_state_as_it_was() {
    let model = Providers::classical().parse("ets").unwrap();
    let y = walk(120);
    let method = Calibration::Adaptive;
    let mut served =
        ServedState::fit(&*model, &(&y).into(), &options(), &calibration(method)).unwrap();
    let before = served.save().unwrap();
    assert!(served.update(-3.0).is_err());
    assert_eq!(served.save().unwrap(), before);
}

#[test]
fn calibration_corrects_a_model_that_is_far_too_sure() {
    // Fitted to a quiet past; then the walk becomes three times as wild.
    let mut y = walk(900);
    for t in 300..900 {
        y[t] = y[t - 1] * (1.0 + 3.0 * (walk(900)[t] / walk(900)[t - 1] - 1.0));
    }
    let model = Providers::classical().parse("naive").unwrap();
    let held = |method: Calibration| {
        let mut served = ServedState::fit(
            &*model,
            &(&y[..300]).into(),
            &options(),
            &calibration(method),
        )
        .unwrap();
        let mut held = 0;
        for value in &y[300..] {
            let said = served.forecast(1, &[Level(80.0)]).unwrap().forecast;
            let band = &said.intervals[0];
            held += usize::from(band.lower[0] <= *value && *value <= band.upper[0]);
            served.update(*value).unwrap();
        }
        held as f64 / 600.0
    };
    assert!((held(Calibration::Adaptive) - 0.8).abs() < 0.02);
}
