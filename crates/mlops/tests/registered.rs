//! Models of the registry, as a provider of references.

#![allow(
    clippy::unwrap_used,
    reason = "what fails in a test's own plumbing fails the test"
)]

#[path = "support/closes.rs"]
mod closes;
#[path = "support/workplace.rs"]
mod workplace;
#[path = "support/years.rs"]
mod years;

use std::sync::Arc;

use closes::{closes, day};
use forecast::{
    Classical, FitOptions, History, Level, ModelProvider as _, ModelRef, Providers, ServedState,
};
use mlops::registered::RegisteredModels;
use store::{AliasMove, AliasTarget, ModelRegistry as _};
use workplace::{Workplace, run};

const NAME: &str = "close-1d.ACME";

fn reference(text: &str) -> ModelRef {
    text.parse().unwrap()
}

fn models(place: &Workplace) -> RegisteredModels {
    let (registry, artefacts) = (place.store.clone(), place.store.clone());
    RegisteredModels::new(Providers::classical(), registry, artefacts)
}

/// A name with a champion that was trained on the first 300 of these closes.
async fn trained(y: &[f64]) -> Workplace {
    let place = Workplace::open(300).await;
    place.put_closes("ACME", &y[..300]).await;
    place.submit(&["ACME"], None).await;
    run(&place.worker("w")).await;
    place
}

fn times(days: usize) -> Vec<i64> {
    (0..days).map(|n| day(n).as_millis()).collect()
}

#[tokio::test]
async fn a_champion_goes_on_from_its_state_with_the_intervals_that_it_has_learnt() {
    let y = closes(1, 0.8, 320);
    let place = trained(&y).await;
    let provider = models(&place);
    let champion = reference("models:/close-1d.ACME@champion");
    let unknown = provider.resolve(&champion).unwrap_err().to_string();
    assert!(
        unknown.contains("no version of close-1d.ACME has an alias"),
        "{unknown}"
    );
    let refreshed = provider.refresh().await.unwrap();
    assert_eq!(
        (refreshed.moved, refreshed.faults),
        (vec![champion.clone()], vec![])
    );
    assert_eq!(provider.models(), std::slice::from_ref(&champion));

    // Beside the classical ones, by the ordinary way.
    let providers = Providers::new(vec![Arc::new(Classical), Arc::new(provider.clone())]);
    let model = providers.resolve(&champion).unwrap();
    assert_eq!(model.name(), "models:/close-1d.ACME/1");
    let times = times(320);
    let history = History::from(&y).with_times(Some(&times));
    let state = model.fit(&history, &FitOptions::default()).unwrap();

    // What it should say: the model, fitted to the 100 closes before day 300, after the 20 that came.
    let manifest = provider.model(&champion).unwrap().manifest().clone();
    let base = Providers::classical().resolve(&manifest.reference).unwrap();
    let window = y[200..300].to_vec();
    let options = &manifest.options;
    let mut want =
        ServedState::fit(&*base, &(&window).into(), options, &manifest.calibration).unwrap();
    y[300..]
        .iter()
        .for_each(|close| want.update(*close).unwrap());
    let levels = [Level(80.0), Level(95.0)];
    let (got, want) = (
        state.forecast(5, &levels).unwrap(),
        want.forecast(5, &levels).unwrap(),
    );
    assert_eq!(
        (&got.mean, &got.intervals),
        (&want.forecast.mean, &want.forecast.intervals)
    );
    assert_ne!(want.own, want.forecast.intervals, "they are calibrated");
    assert_eq!(got.sd, None, "nobody calibrates them again");

    // Served as any other model is, its intervals stay; saved and loaded, it says the same.
    let calibration = forecast::CalibrationOptions::default();
    let served = ServedState::fit(&*model, &history, &FitOptions::default(), &calibration).unwrap();
    let again = ServedState::load(&*model, &served.save().unwrap()).unwrap();
    for served in [served, again] {
        assert_eq!(
            served.forecast(5, &levels).unwrap().forecast.intervals,
            got.intervals
        );
    }
}

#[tokio::test]
async fn a_history_that_it_cannot_go_on_from_is_refused() {
    let y = closes(1, 0.8, 320);
    let place = trained(&y).await;
    let provider = models(&place);
    provider.refresh().await.unwrap();
    let model = provider
        .resolve(&reference("models:/close-1d.ACME@champion"))
        .unwrap();
    let times = times(320);
    let whole = History::from(&y).with_times(Some(&times));
    let refused = |history: History<'_>| {
        let error = model.fit(&history, &FitOptions::default()).unwrap_err();
        error.to_string()
    };
    model
        .fit(&whole.range(299..320), &FitOptions::default())
        .unwrap();
    for (history, why) in [
        (History::from(&y), "have no times"),
        (
            whole.range(300..320),
            "do not have the last bar it has seen, 2020-10-26",
        ),
        (whole.range(0..299), "do not have the last bar"),
    ] {
        let words = refused(history);
        assert!(
            words.starts_with("models:/close-1d.ACME/1: history: "),
            "{words}"
        );
        assert!(words.contains(why), "{words}");
    }
}

#[tokio::test]
async fn a_refresh_changes_all_at_once_and_an_older_version_is_there_on_request() {
    let y = closes(1, 0.8, 320);
    let place = trained(&y).await;
    let provider = models(&place);
    provider.refresh().await.unwrap();
    let champion = reference("models:/close-1d.ACME@champion");
    let first = provider.resolve(&champion).unwrap();
    assert_eq!(provider.refresh().await.unwrap().moved, []);
    assert!(
        Arc::ptr_eq(&first, &provider.resolve(&champion).unwrap()),
        "loaded once"
    );

    place.put_closes("ACME", &y).await;
    place.set(day(320));
    place.submit(&["ACME"], None).await;
    run(&place.worker("w")).await;
    // Until then everything is as before.
    assert_eq!(
        provider.resolve(&champion).unwrap().name(),
        "models:/close-1d.ACME/1"
    );
    let moved = provider.refresh().await.unwrap().moved;
    assert_eq!(moved, std::slice::from_ref(&champion));
    assert_eq!(
        provider.resolve(&champion).unwrap().name(),
        "models:/close-1d.ACME/2"
    );

    // A version by its number is loaded when it is asked for, and stays.
    let one = reference("models:/close-1d.ACME/1");
    let error = provider.resolve(&one).unwrap_err().to_string();
    assert!(
        error.contains("version 1 of close-1d.ACME is not loaded"),
        "{error}"
    );
    provider.prepare(&one).await.unwrap();
    provider.refresh().await.unwrap();
    assert_eq!(provider.resolve(&one).unwrap().name(), one.as_str());

    // A roll-back by hand.
    let alias = AliasMove {
        name: NAME.into(),
        alias: "champion".into(),
        to: AliasTarget::Version(1),
        expected: Some(Some(2)),
        by: "ann".into(),
        why: "the newer one is worse".into(),
    };
    place
        .store
        .publish(alias.into(), place.now())
        .await
        .unwrap();
    provider.refresh().await.unwrap();
    assert_eq!(provider.resolve(&champion).unwrap().name(), one.as_str());
}

#[tokio::test]
async fn what_is_unknown_missing_or_altered_is_told_with_the_field() {
    let y = closes(1, 0.8, 320);
    let place = trained(&y).await;
    let version = place.store.version(NAME, 1).await.unwrap().unwrap();
    let file = |n: usize| {
        place
            .dir
            .path()
            .join("artefacts")
            .join(&version.artefacts[n].sha256)
    };
    let champion = reference("models:/close-1d.ACME@champion");
    let told = async |text: &str| {
        let provider = models(&place);
        provider.refresh().await.unwrap();
        let reference = reference(text);
        let prepared = provider.prepare(&reference).await.unwrap_err();
        assert!(provider.resolve(&reference).is_err());
        prepared.to_string()
    };
    let words = told("models:/close-1d.ACME@production").await;
    assert!(
        words.contains("has the alias production: there is champion"),
        "{words}"
    );
    let words = told("models:/close-1d.ACME/7").await;
    assert!(
        words.contains("there is no version 7 of close-1d.ACME"),
        "{words}"
    );
    let words = told("models:/nothing@champion").await;
    assert!(
        words.contains("no version of nothing has an alias"),
        "{words}"
    );
    let words = told("models:/close-1d.ACME").await;
    assert!(
        words.contains("expected models:/NAME@ALIAS or models:/NAME/VERSION"),
        "{words}"
    );

    let whole = std::fs::read(file(1)).unwrap();
    let mut altered = whole.clone();
    altered[40] ^= 1;
    std::fs::write(file(1), altered).unwrap();
    let words = told(champion.as_str()).await;
    assert!(
        words.contains("artefacts: state.bin of version 1 of close-1d.ACME: "),
        "{words}"
    );
    assert!(words.contains(&version.artefacts[1].sha256), "{words}");
    std::fs::remove_file(file(1)).unwrap();
    let words = told(champion.as_str()).await;
    assert!(
        words.contains("artefacts: state.bin of version 1"),
        "{words}"
    );

    // Who had loaded it goes on; who has the file again loads it with the next refresh.
    let provider = models(&place);
    let faults = provider.refresh().await.unwrap().faults;
    assert_eq!(
        faults.iter().map(|(which, _)| which).collect::<Vec<_>>(),
        [&champion]
    );
    std::fs::write(file(1), whole).unwrap();
    assert_eq!(provider.refresh().await.unwrap().faults, []);
    std::fs::remove_file(file(1)).unwrap();
    provider.refresh().await.unwrap();
    provider.resolve(&champion).unwrap();
}
