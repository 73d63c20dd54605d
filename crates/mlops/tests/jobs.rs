//! Payloads, and the jobs beside training.

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

use closes::{closes, day};
use market::{Band, Fan, Interval};
use mlops::{
    jobs::{BacktestPayload, Payload, RetentionPayload, ScorePayload, TrainPayload, train_jobs},
    training::TradingDays,
};
use serde_json::{Value, json};
use store::{
    ForecastLedger as _, JobKind, JobState, JobStore as _, ModelRegistry as _, NewJob, StepOutcome,
    VersionQuery,
};
use workplace::{Workplace, payload, run};

fn field<P: Payload + std::fmt::Debug>(json: Value) -> String {
    P::read(&json).unwrap_err().field
}

#[test]
fn a_payload_that_cannot_be_is_refused_with_its_field() {
    let train = |change: Value| {
        let mut json = json!({ "symbol": "AAPL", "interval": "1d" });
        json.as_object_mut()
            .unwrap()
            .extend(change.as_object().unwrap().clone());
        json
    };
    TrainPayload::read(&train(json!({}))).unwrap();
    for (change, want) in [
        (json!({ "version": 2 }), "version"),
        (json!({ "symbol": "no symbol" }), "symbol"),
        (json!({ "interval": "2d" }), "interval"),
        (json!({ "days": "XXXX" }), "days"),
        (json!({ "candidates": [] }), "candidates"),
        (json!({ "candidates": ["ets", "ets"] }), "candidates"),
        (
            json!({ "candidates": ["ets", "two words"] }),
            "candidates[1]",
        ),
        (json!({ "horizon": 0 }), "horizon"),
        (json!({ "horizon": 10_000 }), "horizon"),
        (json!({ "horizon": -1 }), "horizon"),
        (json!({ "window": 3 }), "least_window"),
        (json!({ "model": "a b" }), "model"),
        (json!({ "model": "" }), "model"),
        (
            json!({ "checks": { "max_missing_share": 2 } }),
            "max_missing_share",
        ),
        (json!({ "false_promotions_a_year": 1.5 }), "policy"),
        (json!({ "colour": "red" }), "colour"),
    ] {
        assert_eq!(
            field::<TrainPayload>(train(change.clone())),
            want,
            "{change}"
        );
    }
    assert_eq!(field::<TrainPayload>(json!({ "interval": "1d" })), "symbol");
    assert_eq!(field::<TrainPayload>(json!([1])), ".");
    let backtest = json!({ "symbols": ["A"], "interval": "1d", "models": ["ets"], "origins": 0 });
    assert_eq!(field::<BacktestPayload>(backtest), "origins");
    let score = json!({ "symbol": "A", "interval": "1d", "forecasts": 0 });
    assert_eq!(field::<ScorePayload>(score), "forecasts");
    assert_eq!(
        field::<RetentionPayload>(json!({ "keep_versions": 0 })),
        "keep_versions"
    );
}

#[test]
fn a_payload_reads_back_as_it_was_written_and_what_is_absent_follows_the_market() {
    let written = TrainPayload {
        as_of: Some(day(3)),
        horizon: Some(2),
        ..payload()
    };
    let json = serde_json::to_value(&written).unwrap();
    assert_eq!(json["as_of_us"], day(3).as_micros());
    assert_eq!(TrainPayload::read(&json).unwrap(), written);
    let read = |days: &str| {
        let json = json!({ "symbol": "AAPL", "interval": "1d", "days": days });
        let payload = TrainPayload::read(&json).unwrap();
        let recipe = payload.recipe(TradingDays::Always).unwrap();
        recipe.policy.origins_a_year
    };
    assert_eq!((read("XNYS"), read("always")), (252, 365));
    let jobs = train_jobs(&written, &["A".parse().unwrap()], Some("k"), day(1), "ann").unwrap();
    assert_eq!(
        (jobs[0].key.as_deref(), jobs[0].kind),
        (Some("k:A"), JobKind::Train)
    );
    assert!(train_jobs(&written, &[], None, day(1), "ann").is_err());
}

/// Submits a job, does it, and gives its end.
async fn done(place: &Workplace, job: NewJob) -> store::Job {
    let id = place.store.submit(vec![job], place.now()).await.unwrap()[0].id();
    run(&place.worker("w")).await;
    place.job(id).await
}

#[tokio::test]
async fn a_backtest_reports_on_each_symbol_and_says_which_failed() {
    let place = Workplace::open(200).await;
    place.put_closes("ACME", &closes(1, 0.3, 200)).await;
    place.put_closes("BOLT", &closes(2, 0.3, 15)).await;
    let json = json!({
        "symbols": ["ACME", "BOLT", "NONE"], "interval": "1d", "models": ["theta"], "horizon": 2, "origins": 10,
    });
    let payload = BacktestPayload::read(&json).unwrap();
    let job = done(&place, payload.job(place.now(), "ann").unwrap()).await;
    assert_eq!(job.state, JobState::Succeeded, "{job:?}");
    let result = job.result.unwrap();
    assert_eq!(result["reports"][0]["symbol"], "ACME");
    // The same as by hand.
    let theta = forecast::Providers::classical().parse("theta").unwrap();
    let control = forecast::backtest::Control::default();
    let report = payload
        .layout()
        .run(&closes(1, 0.3, 200), &[theta], control)
        .unwrap();
    let mase = result["reports"][0]["report"]["models"][0]["measures"]["mase"].as_f64();
    assert_eq!(mase, report.models[0].measures.mase);
    let failed: Vec<&str> = result["failed"]
        .as_array()
        .unwrap()
        .iter()
        .map(|one| one["symbol"].as_str().unwrap())
        .collect();
    assert_eq!(failed, ["BOLT", "NONE"]);

    let nothing = BacktestPayload {
        symbols: vec!["NONE".parse().unwrap()],
        ..payload
    };
    let job = done(&place, nothing.job(place.now(), "ann").unwrap()).await;
    assert_eq!(job.state, JobState::Failed);
    assert!(
        job.error
            .unwrap()
            .starts_with("NONE: symbol: no 1d bar of NONE")
    );
}

/// Two forecasts one step ahead from closes of 10 and 12: 11 came twice.
#[tokio::test]
async fn scores_of_the_ledger_are_as_computed_by_hand() {
    let place = Workplace::open(10).await;
    place
        .put_closes("ACME", &[10.0, 12.0, 10.0, 12.0, 11.0, 11.0])
        .await;
    let fan = |origin: usize, close: f64, point: f64| Fan {
        symbol: "ACME".parse().unwrap(),
        interval: Interval::D1,
        model: "theta".into(),
        origin: day(origin),
        origin_close: close,
        made_at: day(origin + 1),
        targets: vec![day(origin + 1)],
        mean: vec![point],
        bands: vec![Band {
            level: 95.0,
            lower: vec![point - 1.0],
            upper: vec![point + 1.0],
        }],
    };
    // An error of 0.5 where naive's is 1, and one of 2 where naive's is 0; the second lies outside.
    let fans = vec![fan(3, 12.0, 11.5), fan(4, 11.0, 13.0)];
    place.store.record(fans).await.unwrap();
    let due = place
        .store
        .due(&"ACME".parse().unwrap(), Interval::D1, day(9), 10)
        .await
        .unwrap();
    let outcomes = due.iter().map(|open| StepOutcome {
        forecast_id: open.id,
        step: 1,
        actual: 11.0,
        naive: open.fan.origin_close,
    });
    place.store.score(outcomes.collect()).await.unwrap();
    let json = json!({ "symbol": "ACME", "interval": "1d" });
    let payload = ScorePayload::read(&json).unwrap();
    let job = done(&place, payload.job(place.now(), "ann").unwrap()).await;
    assert_eq!(job.state, JobState::Succeeded, "{job:?}");
    let scores = &job.result.unwrap()["scores"][0];
    assert_eq!(
        (&scores["model"], &scores["step"]),
        (&"theta".into(), &1.into())
    );
    let scores = &scores["scores"];
    // Naive's errors in training: 2, 2, 2 before the first; 2, 2, 2, 1 before the second.
    let mase = (0.5 / 2.0 + 2.0 / 1.75) / 2.0;
    let near = |key: &str, want: f64| {
        let got = scores[key].as_f64().unwrap();
        assert!((got - want).abs() < 1e-12, "{key}: {got} {want}");
    };
    near("mase", mase);
    near("skill_against_naive", 1.0 - 2.5 / 1.0);
    near("coverage_95", 0.5);
    assert_eq!(
        (&scores["coverage_80"], &scores["steps"]),
        (&Value::Null, &2.into())
    );

    let other = ScorePayload {
        symbol: "NONE".parse().unwrap(),
        ..payload
    };
    let job = done(&place, other.job(place.now(), "ann").unwrap()).await;
    assert!(
        job.error
            .unwrap()
            .starts_with("symbol: no forecast of NONE at 1d")
    );
}

#[tokio::test]
async fn a_retention_removes_finished_jobs_and_puts_old_versions_away() {
    let place = Workplace::open(300).await;
    place.put_closes("ACME", &closes(1, 0.8, 300)).await;
    for seed in 0..4 {
        let payload = TrainPayload { seed, ..payload() };
        place.submit_as(&payload, &["ACME"], None).await;
        run(&place.worker("w")).await;
    }
    let payload = RetentionPayload::read(&json!({ "keep_jobs": 2, "keep_versions": 2 })).unwrap();
    let job = done(&place, payload.job(place.now(), "ann").unwrap()).await;
    let result = job.result.unwrap();
    assert_eq!(result, json!({ "jobs_removed": 2, "versions_archived": 2 }));
    let query = VersionQuery {
        archived: Some(true),
        limit: 10,
        ..VersionQuery::default()
    };
    let archived = place.store.versions(&query).await.unwrap();
    let numbers: Vec<u32> = archived.iter().map(|version| version.version).collect();
    assert_eq!(numbers, [2, 1]);
    assert_eq!(archived[0].archived.as_ref().unwrap().by, "ann");
}
