use forecast::{Calibration, ModelSpec};

use super::*;

/// Closes of minutes from the hundredth on.
fn minutes(count: usize) -> (Vec<Timestamp>, Vec<f64>) {
    let starts = (0..count).map(|minute| Timestamp::from_secs(60 * (100 + minute as i64)));
    starts.zip(testing::Lcg::new(9, 3).walk(100.0)).unzip()
}

fn seen(count: usize) -> TrainingWindow {
    let (starts, values) = minutes(count);
    TrainingWindow::new(&starts, values, Interval::M1, 120)
}

fn fan(state: &CachedModel) -> forecast::Forecast {
    let served = state.forecast(5, &Level::DEFAULT).unwrap();
    served.forecast.clone()
}

fn recipe(log: bool, method: Calibration) -> Recipe {
    Recipe {
        fit: FitOptions {
            season: 4,
            log,
            ..FitOptions::default()
        },
        calibration: CalibrationOptions {
            method,
            horizon: 5,
            origins: 40,
            ..CalibrationOptions::default()
        },
    }
}

fn options(log: bool) -> Recipe {
    recipe(log, Calibration::Adaptive)
}

#[test]
fn the_baselines_that_are_updated_say_what_a_fresh_fit_says_to_the_last_bit() {
    for log in [false, true] {
        for model in [
            ModelSpec::Naive,
            ModelSpec::Drift,
            ModelSpec::SeasonalNaive,
            ModelSpec::Mean,
        ] {
            let mut kept = None;
            let mut updates = 0;
            for count in 130..270 {
                let seen = seen(count);
                let recipe = recipe(log, Calibration::None);
                let at = CachedModel::at(&seen, kept, &model, &recipe, Timestamp::MIN);
                let (state, step) = at.unwrap();
                updates += usize::from(step == Refresh::Updated);
                let fresh = model.fit(&seen.values, &recipe.fit).unwrap();
                assert_eq!(
                    fan(&state),
                    fresh.forecast(5, &Level::DEFAULT).unwrap(),
                    "{model} {log} {count}"
                );
                kept = Some(state);
            }
            // Fitted at the first bar and at the refit points 300 and 350 minutes in.
            assert_eq!(updates, 140 - 4, "{model} {log}");
        }
    }
}

#[test]
fn a_kept_state_says_what_a_process_that_has_just_started_says() {
    for name in [
        "ets",
        "theta",
        "arima(1,1,1)",
        "auto-arima",
        "garch",
        "combo",
    ] {
        let model: ModelSpec = name.parse().unwrap();
        let mut kept = None;
        for count in 180..206 {
            let seen = seen(count);
            let (state, _) =
                CachedModel::at(&seen, kept, &model, &options(true), Timestamp::MIN).unwrap();
            if count % 5 == 0 {
                let (started, _) =
                    CachedModel::at(&seen, None, &model, &options(true), Timestamp::MIN).unwrap();
                assert_eq!(fan(&started), fan(&state), "{name} {count}");
            }
            kept = Some(state);
        }
    }
}

#[test]
fn a_corrected_history_means_a_new_fit() {
    let before = seen(140);
    let (kept, _) = CachedModel::at(
        &before,
        None,
        &ModelSpec::Drift,
        &options(false),
        Timestamp::MIN,
    )
    .unwrap();
    let mut after = seen(141);
    after.values[60] += 1.0;
    after.digest = digest(&after.values);
    let at = |kept| {
        CachedModel::at(
            &after,
            kept,
            &ModelSpec::Drift,
            &options(false),
            Timestamp::MIN,
        )
        .unwrap()
    };
    let (corrected, step) = at(Some(kept));
    assert_eq!(step, Refresh::Fitted);
    assert_eq!(fan(&corrected), fan(&at(None).0));
}

#[test]
fn a_window_lies_before_the_refit_point_and_a_young_series_is_fitted_whole() {
    let young = seen(70);
    assert_eq!((young.fitted, young.values.len()), (50, 70));
    assert_eq!(seen(49).fitted, 49);
    let grown = seen(249);
    // 200 closes before the refit point, of which the window keeps 120; 49 since.
    assert_eq!((grown.fitted, grown.values.len()), (120, 169));
    let next = seen(251);
    assert_eq!((next.fitted, next.values.len()), (120, 121));
}

#[test]
fn a_model_that_is_too_young_at_the_refit_point_is_fitted_to_all() {
    let mut options = options(false);
    options.fit.season = 60;
    let seen = seen(90);
    let (state, step) = CachedModel::at(
        &seen,
        None,
        &ModelSpec::SeasonalNaive,
        &options,
        Timestamp::MIN,
    )
    .unwrap();
    assert_eq!((step, state.inner.fitted), (Refresh::Fitted, 90));
    let again = CachedModel::at(
        &seen,
        Some(state),
        &ModelSpec::SeasonalNaive,
        &options,
        Timestamp::MIN,
    )
    .unwrap();
    assert_eq!(again.1, Refresh::Current);
}

#[test]
fn no_more_states_are_kept_than_the_bound_and_those_in_use_stay() {
    let seen = seen(60);
    let (state, _) = CachedModel::at(
        &seen,
        None,
        &ModelSpec::Naive,
        &options(false),
        Timestamp::MIN,
    )
    .unwrap();
    let kept = ModelCache::default();
    let naive = ModelRef::from(ModelSpec::Naive);
    let key = |n: usize| (format!("S{n}").parse().unwrap(), Interval::M1);
    for n in 0..3 * MOST_KEPT {
        kept.put(key(n), naive.clone(), state.clone());
        assert!(kept.get(&key(0), &naive).is_some());
        let generations = kept.generations();
        assert!(generations.young.len() + generations.old.len() <= MOST_KEPT);
    }
    kept.forget(&[key(0).0]);
    assert!(kept.get(&key(0), &naive).is_none());
}
