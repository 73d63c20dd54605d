//! One model, one series, one origin: one answer, whoever is asked.

use std::sync::Arc;

use forecast::{Level, Providers, ServedState};
use market::{Fan, Interval, Timestamp};
use serving::ServingConfig;

use crate::harness::*;

const MODELS: [&str; 9] = [
    "naive",
    "drift",
    "snaive",
    "mean",
    "ets",
    "theta",
    "arima(1,1,1)",
    "auto-arima",
    "garch",
];

fn every_model() -> ServingConfig {
    let mut config = ServingConfig::default();
    config.forecast.intervals = vec![Interval::M1];
    config.forecast.models = MODELS.map(|name| name.parse().unwrap()).to_vec();
    config.forecast.horizon_steps = 4;
    config
}

fn close(minute: i64) -> f64 {
    80.0 + 3.0 * (minute as f64 / 9.0).sin() + (minute * 7_919 % 13) as f64 / 10.0
}

async fn minutes(stage: &Stage, minutes: std::ops::Range<i64>) {
    for minute in minutes {
        let ticks = vec![tick("AAA", minute * 60, minute as u64, close(minute))];
        stage.write(ticks).await;
    }
}

/// The fans of every model from the bar of this minute.
async fn fans(stage: &Stage, origin: i64) -> Vec<Fan> {
    let latest = || stage.serving.forecasts.latest(&symbol("AAA"), Interval::M1);
    until(|| async {
        let at_origin = |fan: &Fan| fan.origin == at(60 * origin);
        latest().iter().filter(|fan| at_origin(fan)).count() == MODELS.len()
    })
    .await;
    latest()
}

/// Which of the test's minutes starts then.
fn minute_of(start: Timestamp) -> i64 {
    start.micros_since(at(0)) / Interval::M1.micros()
}

/// What a browser says that got the state at an earlier origin and the closes since.
async fn agrees(stage: &Stage, fans: &[Fan], earlier: &[(i64, Vec<u8>)]) {
    for (fan, (origin, state)) in fans.iter().zip(earlier) {
        let name = &fan.model;
        let prediction = stage
            .serving
            .predictor
            .predict(request(name, 4))
            .await
            .unwrap();
        assert_eq!(
            prediction,
            asked_over_websocket(stage, request(name, 4)).await,
            "{name}"
        );
        assert_eq!(
            (&fan.mean, &fan.bands),
            (&prediction.mean, &prediction.bands),
            "{name}"
        );
        assert_eq!(fan.targets, prediction.targets);
        let from = prediction.origin.unwrap();
        assert_eq!((from.start, from.close), (fan.origin, fan.origin_close));
        assert_eq!(prediction.calibration, "adaptive", "{name}");
        let model = Providers::classical().parse(name).unwrap();
        let mut browser = ServedState::load(&*model, state).unwrap();
        for minute in origin + 1..=minute_of(fan.origin) {
            browser.update(close(minute)).unwrap();
        }
        let said = browser.forecast(4, &[Level(80.0), Level(95.0)]).unwrap();
        assert_eq!(said.forecast.mean, fan.mean, "{name}");
        for (band, own) in said.forecast.intervals.iter().zip(&fan.bands) {
            assert_eq!(
                (&band.lower, &band.upper),
                (&own.lower, &own.upper),
                "{name}"
            );
        }
    }
}

/// The states of the models of these fans, as a browser gets them, with the minute that they stand at.
async fn states(stage: &Stage, fans: &[Fan]) -> Vec<(i64, Vec<u8>)> {
    let mut all = Vec::new();
    for fan in fans {
        let (aaa, predictor) = (symbol("AAA"), &stage.serving.predictor);
        let state = predictor.state(&aaa, Interval::M1, &fan.model);
        let (origin, bytes) = state.await.unwrap();
        all.push((minute_of(origin), bytes));
    }
    all
}

#[tokio::test(flavor = "multi_thread")]
async fn live_fan_prediction_websocket_and_browser_give_the_same_numbers_to_the_last_bit() {
    let dir = tempfile::tempdir().unwrap();
    let store = Arc::new(open(dir.path()).await);
    let stage = Stage::start(every_model(), store.clone()).await;
    minutes(&stage, 0..116).await;
    let at_114 = fans(&stage, 114).await;
    let kept = states(&stage, &at_114).await;
    agrees(&stage, &at_114, &kept).await;

    // Over closes of bars, by states that were handed out before.
    minutes(&stage, 116..121).await;
    let at_119 = fans(&stage, 119).await;
    agrees(&stage, &at_119, &kept).await;

    // A trade that comes late corrects a bar: whoever asks from then on gets the corrected answer.
    let before = stage
        .serving
        .predictor
        .predict(request("theta", 4))
        .await
        .unwrap();
    let late = vec![tick("AAA", 117 * 60 + 50, 90_000, 95.0)];
    stage.write(late).await;
    let after = stage
        .serving
        .predictor
        .predict(request("theta", 4))
        .await
        .unwrap();
    assert_ne!(before.mean, after.mean);
    let late = vec![tick("AAA", 117 * 60 + 55, 90_001, close(117))];
    stage.write(late).await;
    let again = stage
        .serving
        .predictor
        .predict(request("theta", 4))
        .await
        .unwrap();
    assert_eq!((again.mean, again.bands), (before.mean, before.bands));

    // Over a restart: what has just started says what ran all the time.
    let shown = stage
        .serving
        .predictor
        .predict(request("ets", 4))
        .await
        .unwrap();
    stage.stop().await;
    drop(stage);
    store.close().await.unwrap();
    drop(store);
    let store = Arc::new(open(dir.path()).await);
    let stage = Stage::start(every_model(), store.clone()).await;
    let mut restarted = stage
        .serving
        .predictor
        .predict(request("ets", 4))
        .await
        .unwrap();
    // By the clock, and not by the closes.
    restarted.origin.as_mut().unwrap().fitted_at = shown.origin.as_ref().unwrap().fitted_at;
    assert_eq!(restarted, shown);
    agrees(&stage, &at_119, &kept).await;
}
