//! Networks as candidates: trained once for a round before what judges them, judged as others are, and registered with
//! their files.

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

use std::{sync::Arc, time::Duration};

use closes::{closes, day};
use forecast::{
    CalibrationOptions, Classical, FitOptions, History, Level, ModelProvider as _, Providers,
};
use kernels::Cpu;
use market::Interval;
use mlops::{
    Worker,
    jobs::{Payload as _, TrainPayload},
    registered::RegisteredModels,
    training::JudgedBy,
};
use neural::{
    NetworkSpec, Networks, Series, artefact,
    training::{Control, train},
};
use serde_json::Value;
use store::{Artefact, JobState, ModelRegistry as _};
use tokio_util::sync::CancellationToken;
use workplace::{Workplace, payload, run};

const NLINEAR: &str = "nlinear(window=16,epochs=300,patience=300)";

fn round(candidate: &str) -> TrainPayload {
    TrainPayload {
        candidates: Some(vec![candidate.parse().unwrap()]),
        ..payload()
    }
}

/// A worker that keeps its networks in the place's folder.
fn worker(place: &Workplace) -> Worker {
    let folder = place.dir.path().join("networks");
    place.worker_with("w", place.ports(), |config| config.networks = Some(folder))
}

/// The files of the champion, by name.
async fn files(place: &Workplace, name: &str) -> Vec<Artefact> {
    let champion = place.store.by_alias(name, "champion").await.unwrap();
    let mut files = champion.unwrap().artefacts;
    files.sort_by(|a, b| a.path.cmp(&b.path));
    files
}

async fn weights(place: &Workplace, name: &str) -> String {
    let files = files(place, name).await;
    let weights = files
        .into_iter()
        .find(|one| one.path == "model.safetensors");
    weights.unwrap().sha256
}

#[tokio::test]
async fn a_network_is_trained_once_for_all_symbols_promoted_served_and_kept_all_year() {
    let (y, other) = (closes(1, 0.8, 440), closes(2, 0.8, 440));
    let place = Workplace::open(420).await;
    place.put_closes("EDGE", &y[..420]).await;
    place
        .put_closes_without("MORE", &other[..420], Some(300))
        .await;
    let jobs = place
        .submit_as(&round(NLINEAR), &["EDGE", "MORE"], None)
        .await;
    run(&worker(&place)).await;
    let mut how = Vec::new();
    for id in &jobs {
        let job = place.ended(*id, JobState::Succeeded).await;
        let result = job.result.unwrap();
        assert_eq!(result["action"], "promote", "{}", place.log(*id).await);
        let network = &result["networks"][0];
        assert_eq!(network["data"]["series"], 2);
        // The first of 150 held-out origins forecasts day 270, or 269 where a day is missing behind it: what is learnt
        // from ends before, at the same day for both.
        assert_eq!(network["data"]["to_ms"], day(265).as_millis());
        how.push(network["trained"].as_bool().unwrap());
    }
    how.sort_unstable();
    assert_eq!(how, [false, true], "once for both");
    let log = place.log(jobs[0]).await + &place.log(jobs[1]).await;
    assert!(
        log.contains("epoch 1 of 300") && log.contains("validation"),
        "{log}"
    );

    let files = files(&place, "close-1d.EDGE").await;
    let paths: Vec<&str> = files.iter().map(|file| file.path.as_str()).collect();
    assert_eq!(
        paths,
        [
            "manifest.json",
            "model.json",
            "model.safetensors",
            "state.bin"
        ]
    );
    assert_eq!(
        weights(&place, "close-1d.EDGE").await,
        weights(&place, "close-1d.MORE").await
    );

    let base = Providers::new(vec![Arc::new(Classical), Arc::new(Networks::default())]);
    let registered = RegisteredModels::new(base, place.store.clone(), place.store.clone());
    registered.refresh().await.unwrap();
    let champion = registered.resolve(&"models:/close-1d.EDGE@champion".parse().unwrap());
    let champion = champion.unwrap();
    let times: Vec<i64> = (0..430).map(|n| day(n).as_millis()).collect();
    let history = History::from(&y[..430]).with_times(Some(&times));
    let state = champion.fit(&history, &FitOptions::default()).unwrap();
    let forecast = state.forecast(5, &Level::DEFAULT).unwrap();
    assert_eq!(forecast.mean.len(), 5);
    assert_ne!(forecast.mean[0], y[429], "it has learnt something");

    // A later round of the year finds the same network, and shows it the new closes.
    let before = weights(&place, "close-1d.EDGE").await;
    place.set(day(440));
    place.put_closes("EDGE", &y).await;
    place.put_closes_without("MORE", &other, Some(300)).await;
    let later = place
        .submit_as(&round(NLINEAR), &["EDGE", "MORE"], None)
        .await;
    run(&worker(&place)).await;
    let result = place
        .ended(later[0], JobState::Succeeded)
        .await
        .result
        .unwrap();
    assert_eq!(result["action"], "refresh", "{result}");
    assert_eq!(result["networks"][0]["trained"], false);
    assert_eq!(weights(&place, "close-1d.EDGE").await, before);
    let kept = std::fs::read_dir(place.dir.path().join("networks")).unwrap();
    assert_eq!(kept.count(), 1, "one network, and no checkpoint");
}

#[tokio::test]
async fn a_trained_network_of_a_directory_is_served_by_the_files_of_its_version() {
    let y = closes(1, 0.8, 430);
    let times: Vec<i64> = (0..430).map(|n| day(n).as_millis()).collect();
    let place = Workplace::open(420).await;
    place.put_closes("EDGE", &y[..420]).await;
    let spec: NetworkSpec = NLINEAR.parse().unwrap();
    // What is held out is judged from day 270 on.
    let learnt = Series {
        id: "EDGE",
        values: &y[..266],
        times_ms: Some(&times[..266]),
        volumes: None,
    };
    let control = Control {
        progress: None,
        cancel: None,
        clock: &|| 0.0,
        checkpoint: None,
    };
    let horizon = CalibrationOptions::default().horizon;
    let (config, options) = (spec.config(horizon, true).unwrap(), spec.options(0));
    let model = train(&config, &[learnt], &options, Cpu::detect(), control).unwrap();
    let folder = place.dir.path().join("edge");
    artefact::save(&model, &folder).unwrap();
    let candidate = format!("nlinear:{}", folder.display());
    let base = Providers::new(vec![
        Arc::new(Classical),
        Arc::new(neural::Artefacts::default()),
    ]);
    let worker = place.worker_that_knows(base.clone(), "w", place.ports(), |_| {});
    let jobs = place.submit_as(&round(&candidate), &["EDGE"], None).await;
    run(&worker).await;
    let job = place.ended(jobs[0], JobState::Succeeded).await;
    assert_eq!(job.result.unwrap()["action"], "promote");

    // The version stands alone.
    std::fs::remove_dir_all(&folder).unwrap();
    let registered = RegisteredModels::new(base, place.store.clone(), place.store.clone());
    let refreshed = registered.refresh().await.unwrap();
    assert_eq!(refreshed.faults, vec![]);
    let champion = registered.resolve(&"models:/close-1d.EDGE@champion".parse().unwrap());
    let history = History::from(&y).with_times(Some(&times));
    let state = champion.unwrap().fit(&history, &FitOptions::default());
    let got = state.unwrap().forecast(5, &Level::DEFAULT).unwrap();
    let seen = Series {
        values: &y,
        times_ms: Some(&times),
        ..learnt
    };
    let want = model.forecast(&seen, 5, &Level::DEFAULT).unwrap();
    assert_eq!(got.mean, want.mean);
}

#[tokio::test]
async fn a_walk_is_refused_and_nothing_of_the_network_is_registered() {
    let place = Workplace::open(420).await;
    place.put_closes("WALK", &closes(3, 0.0, 420)).await;
    let jobs = place.submit_as(&round(NLINEAR), &["WALK"], None).await;
    run(&worker(&place)).await;
    let result = place
        .ended(jobs[0], JobState::Succeeded)
        .await
        .result
        .unwrap();
    assert_eq!(
        (&result["action"], &result["served"]),
        (&"keep".into(), &Value::Null)
    );
    let words = result["words"].as_str().unwrap();
    assert!(
        words.contains("nlinear(window=16") && words.contains("CRPS"),
        "{words}"
    );
    let version = place.store.version("close-1d.WALK", 1).await.unwrap();
    assert!(version.is_none());
}

#[tokio::test]
async fn nothing_behind_the_first_held_out_origin_is_learnt_from() {
    let mut networks = Vec::new();
    for spoilt in [1.0, 3.0] {
        let place = Workplace::open(420).await;
        let mut y = closes(1, 0.8, 420);
        // Other closes from the first held-out outcome on; a split is known to be none.
        y[270..].iter_mut().for_each(|close| *close *= spoilt);
        place.put_closes("EDGE", &y).await;
        let payload = TrainPayload {
            checks: Some(mlops::training::CheckRules {
                adjusted: true,
                ..Default::default()
            }),
            ..round("nlinear(window=16,epochs=9,search=20)")
        };
        let jobs = place.submit_as(&payload, &["EDGE"], None).await;
        run(&worker(&place)).await;
        let result = place
            .ended(jobs[0], JobState::Succeeded)
            .await
            .result
            .unwrap();
        let network = result["networks"][0].clone();
        assert!(
            network["search"]["spent"].as_u64().unwrap() <= 20,
            "{network}"
        );
        networks.push(network);
    }
    assert_eq!(networks[0], networks[1]);
}

#[tokio::test]
async fn a_training_that_is_handed_back_goes_on_to_the_same_bits() {
    let candidate = "lstm(small,window=16,epochs=60,patience=60)";
    let y = closes(1, 0.8, 420);
    let mut bits = Vec::new();
    for stopped in [false, true] {
        let place = Workplace::open(420).await;
        place.put_closes("EDGE", &y).await;
        let jobs = place.submit_as(&round(candidate), &["EDGE"], None).await;
        if stopped {
            let stop = CancellationToken::new();
            let working = tokio::spawn({
                let (worker, stop) = (worker(&place), stop.clone());
                async move { worker.run_due(&stop).await.unwrap() }
            });
            let folder = place.dir.path().join("networks");
            let begun = || {
                let mut all = std::fs::read_dir(&folder).into_iter().flatten().flatten();
                all.any(|file| {
                    file.path()
                        .extension()
                        .is_some_and(|end| end == "checkpoint")
                })
            };
            while !begun() {
                tokio::time::sleep(Duration::from_millis(2)).await;
            }
            stop.cancel();
            working.await.unwrap();
            place.ended(jobs[0], JobState::Queued).await;
            assert!(place.log(jobs[0]).await.contains("handed back"));
        }
        run(&worker(&place)).await;
        let job = place.ended(jobs[0], JobState::Succeeded).await;
        let result = job.result.unwrap();
        bits.push((
            result["networks"].clone(),
            result["measures"]["crps"].clone(),
        ));
        let log = place.log(jobs[0]).await;
        assert!(log.contains("epoch 60 of 60"), "{log}");
        let first = log.matches("epoch 1 of 60").count();
        assert_eq!(first, 1, "no epoch twice: {log}");
    }
    assert_eq!(bits[0], bits[1]);
}

#[tokio::test]
async fn what_cannot_be_trained_is_refused_with_its_reason() {
    let place = Workplace::open(420).await;
    place.put_closes("EDGE", &closes(1, 0.8, 420)).await;
    // Its window is longer than what the first fit sees.
    let jobs = place
        .submit_as(&round("lstm(large)"), &["EDGE"], None)
        .await;
    run(&worker(&place)).await;
    let error = place.ended(jobs[0], JobState::Failed).await.error.unwrap();
    assert!(
        error.contains("lstm(large)") && error.contains("least_window"),
        "{error}"
    );
    for candidate in ["lstm(huge)", "nlinear(seeds=0)", "patchtst(window=9)"] {
        let refused = round(candidate).check().unwrap_err();
        assert_eq!(refused.field, "candidates", "{refused:?}");
    }
    let nobody = TrainPayload {
        together: Some(Vec::new()),
        ..round(NLINEAR)
    };
    assert_eq!(nobody.check().unwrap_err().field, "together");
}

#[tokio::test]
async fn a_year_is_judged_by_one_measure() {
    let place = Workplace::open(420).await;
    let y = closes(1, 0.8, 421);
    place.put_closes("EDGE", &y[..420]).await;
    let by = |judged_by| TrainPayload {
        judged_by: Some(judged_by),
        ..payload()
    };
    let jobs = place
        .submit_as(&by(JudgedBy::Quantiles), &["EDGE"], None)
        .await;
    run(&worker(&place)).await;
    let result = place
        .ended(jobs[0], JobState::Succeeded)
        .await
        .result
        .unwrap();
    assert_eq!(result["action"], "promote");
    let measures = &result["measures"];
    assert_eq!(measures["loss"], measures["pinball"], "{measures}");
    assert!(
        result["words"]
            .as_str()
            .unwrap()
            .contains("Losses are those of quantiles")
    );
    place.set(day(421));
    place.put_closes("EDGE", &y).await;
    let jobs = place
        .submit_as(&by(JudgedBy::Points), &["EDGE"], None)
        .await;
    run(&worker(&place)).await;
    let error = place.ended(jobs[0], JobState::Failed).await.error.unwrap();
    assert!(error.starts_with("judged_by:"), "{error}");
}

#[test]
fn many_symbols_share_one_spread_of_at_most_256() {
    let symbols: Vec<market::Symbol> = (0..1_000)
        .map(|n| format!("S{n:03}").parse().unwrap())
        .collect();
    let of = |candidate: &str| round(candidate).trained_on(&symbols).together;
    let together = of("lstm").unwrap();
    assert_eq!(together.len(), 256);
    assert_eq!(
        (together[0].as_str(), together[255].as_str()),
        ("S000", "S996")
    );
    assert_eq!(of("ets"), None, "no network, nothing to learn together");
    assert_eq!(
        TrainPayload::new(symbols[0].clone(), Interval::D1).together,
        None
    );
}
