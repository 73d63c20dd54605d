//! Forecasts at closed bars: recorded before the outcome, shown, scored.

use std::{sync::Arc, time::Duration};

use forecast::{Calibration, FitOptions, Level, ModelSpec};
use market::{Fan, Interval, Timestamp};
use pipeline::{Frame, MarketTime};
use protocol::{ForecastMessage, ForecastRequest};
use serving::ForecastSession;
use store::{ForecastLedger, LedgerQuery, LedgerRow};

use crate::harness::*;

async fn next(session: &ForecastSession) -> ForecastMessage {
    match within(session.next()).await {
        Frame::Text(text) => serde_json::from_slice(&text).unwrap(),
        Frame::Close { code, reason } => panic!("closed with {code}: {reason}"),
    }
}

async fn next_fan(session: &ForecastSession) -> Fan {
    loop {
        if let ForecastMessage::Fan(fan) = next(session).await {
            return fan;
        }
    }
}

async fn ledger(store: &dyn ForecastLedger, interval: Interval) -> Vec<LedgerRow> {
    store
        .ledger(&LedgerQuery {
            symbol: symbol("AAA"),
            interval,
            model: Some("naive".into()),
            from: Timestamp::MIN,
            until: Timestamp::MAX,
            limit: 1_000,
        })
        .await
        .unwrap()
}

fn subscription() -> ForecastRequest {
    ForecastRequest::Subscribe {
        symbols: vec![symbol("AAA")],
        intervals: vec![Interval::M1],
    }
}

/// Closes of minutes 0 to 3 are 10, 11, 13, 12; each is written at second 30 of its minute.
async fn four_minutes(stage: &Stage) {
    for (minute, close) in [(0, 10.0), (1, 11.0), (2, 13.0), (3, 12.0)] {
        let ticks = vec![tick("AAA", minute * 60 + 30, minute as u64, close)];
        stage.write(ticks).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_closed_bar_gives_a_fan_that_is_in_the_ledger_and_is_scored_when_its_bars_close() {
    let dir = tempfile::tempdir().unwrap();
    let store = Arc::new(open(dir.path()).await);
    let stage = Stage::start(m1_only(), store.clone()).await;
    four_minutes(&stage).await;
    let session = stage.serving.forecasts.connect();
    session.request(subscription());
    // The fourth minute closes when something trades in the fifth.
    let close = vec![tick("AAA", 4 * 60, 100, 14.0)];
    stage.write(close).await;
    let fan = loop {
        let fan = next_fan(&session).await;
        if fan.origin == at(180) {
            break fan;
        }
    };
    // By hand: the differences 1, 2, -1 have a root mean square of sqrt(2), the naive model's sigma.
    assert_eq!((fan.model.as_str(), fan.origin_close), ("naive", 12.0));
    assert_eq!(fan.mean, [12.0; 3]);
    assert_eq!(fan.targets, [at(240), at(300), at(360)]);
    assert!(fan.made_at >= at(240) && fan.made_at < at(300));
    // Student's t with the three degrees of freedom of three differences.
    let z95 = 3.182_446_305_284_263;
    assert_eq!(fan.bands[1].level, 95.0);
    for (h, upper) in fan.bands[1].upper.iter().enumerate() {
        let expected = 12.0 + z95 * (2.0 * (h + 1) as f64).sqrt();
        assert!((upper - expected).abs() < 1e-9, "{upper} is not {expected}");
    }
    let latest = stage.serving.forecasts.latest(&symbol("AAA"), Interval::M1);
    assert_eq!(latest, std::slice::from_ref(&fan));
    let row = || async {
        let rows = ledger(&*store, Interval::M1).await;
        rows.into_iter().find(|r| r.fan.origin == at(180)).unwrap()
    };
    assert_eq!((row().await.fan, row().await.actuals.len()), (fan, 0));
    // Nothing trades in minute 5: its close is the one before. Minute 6 closes at 15.
    for (second, seq, price) in [(250, 101, 14.5), (380, 102, 15.0), (421, 103, 9.0)] {
        let ticks = vec![tick("AAA", second, seq, price)];
        stage.write(ticks).await;
    }
    until(|| async { row().await.actuals.len() == 3 }).await;
    assert_eq!(row().await.actuals, [14.5, 14.5, 15.0]);
    let aaa = symbol("AAA");
    let board = store.scoreboard(Some(&aaa), Some(Interval::M1));
    let board = board.await.unwrap();
    let third = board.iter().find(|s| s.step == 3 && s.model == "naive");
    let third = third.unwrap();
    assert!(third.count >= 1 && (third.mae - third.naive_mae).abs() < 1e-12);
}

#[tokio::test(flavor = "multi_thread")]
async fn after_a_restart_the_fan_is_shown_again_and_its_steps_are_scored() {
    let dir = tempfile::tempdir().unwrap();
    let store = Arc::new(open(dir.path()).await);
    let stage = Stage::start(m1_only(), store.clone()).await;
    four_minutes(&stage).await;
    let close = vec![tick("AAA", 4 * 60, 100, 14.0)];
    stage.write(close).await;
    let made = || async {
        let latest = stage.serving.forecasts.latest(&symbol("AAA"), Interval::M1);
        latest.first().is_some_and(|f| f.origin == at(180))
    };
    until(made).await;
    stage.stop().await;
    drop(stage);
    store.close().await.unwrap();
    drop(store);

    let store = Arc::new(open(dir.path()).await);
    let stage = Stage::start(m1_only(), store.clone()).await;
    let session = stage.serving.forecasts.connect();
    session.request(subscription());
    assert_eq!(next_fan(&session).await.origin, at(180));
    let ticks = vec![tick("AAA", 421, 103, 9.0)];
    stage.write(ticks).await;
    until(|| async {
        let rows = ledger(&*store, Interval::M1).await;
        let row = rows.iter().find(|r| r.fan.origin == at(180)).unwrap();
        row.actuals == [14.0, 14.0, 14.0]
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_forecast_whose_outcome_could_be_known_is_neither_recorded_nor_shown() {
    let dir = tempfile::tempdir().unwrap();
    let store = Arc::new(open(dir.path()).await);
    let wall = Arc::new(|| at(100_000)); // a day later: the prices are history
    let stage = Stage::start_at(MarketTime::Live, wall, m1_only(), store.clone()).await;
    four_minutes(&stage).await;
    until(|| async { stage.serving.stats().forecasts.too_late.total > 0 }).await;
    assert!(ledger(&*store, Interval::M1).await.is_empty());
    assert!(
        stage
            .serving
            .forecasts
            .latest(&symbol("AAA"), Interval::M1)
            .is_empty()
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_bar_updates_the_models_and_the_fans_are_those_of_a_fresh_fit() {
    let dir = tempfile::tempdir().unwrap();
    let store = Arc::new(open(dir.path()).await);
    let mut config = m1_only();
    config.forecast.models = vec![ModelSpec::Drift.into()];
    config.forecast.calibration = Calibration::None;
    let stage = Stage::start(config, store.clone()).await;
    let close = |minute: i64| 50.0 + (minute * 7 % 11) as f64 + 0.1 * minute as f64;
    let minute = async |minute: i64| {
        let ticks = vec![tick("AAA", minute * 60, minute as u64, close(minute))];
        stage.write(ticks).await;
    };
    let reached = async |origin: i64| {
        until(|| async {
            let fans = stage.serving.forecasts.latest(&symbol("AAA"), Interval::M1);
            fans.len() == 2 && fans.iter().all(|fan| fan.origin == at(60 * origin))
        })
        .await;
    };
    for m in 0..=61 {
        minute(m).await;
    }
    // Bar 60 is closed; the models were fitted to the fifty before minute 50.
    reached(60).await;
    let before = stage.serving.stats().forecasts;
    for m in 62..=75 {
        minute(m).await;
        reached(m - 1).await;
    }
    let after = stage.serving.stats().forecasts;
    assert_eq!(after.made.total - before.made.total, 2 * 14);
    assert_eq!(after.fitted.total, before.fitted.total);
    let closes: Vec<f64> = (0..=74).map(close).collect();
    for fan in stage.serving.forecasts.latest(&symbol("AAA"), Interval::M1) {
        let spec: ModelSpec = fan.model.parse().unwrap();
        let fresh = spec.fit(&closes, &FitOptions::default()).unwrap();
        let fresh = fresh.forecast(3, &[Level(80.0), Level(95.0)]).unwrap();
        assert_eq!(fan.mean, fresh.mean);
        for (band, fresh) in fan.bands.iter().zip(&fresh.intervals) {
            assert_eq!((&band.lower, &band.upper), (&fresh.lower, &fresh.upper));
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn seconds_are_forecast_only_while_somebody_watches() {
    let dir = tempfile::tempdir().unwrap();
    let store = Arc::new(open(dir.path()).await);
    let stage = Stage::start(m1_only(), store.clone()).await;
    let write = async |from: i64, to: i64| {
        for s in from..to {
            let ticks = vec![tick("AAA", s, s as u64, 10.0 + (s % 3) as f64)];
            stage.write(ticks).await;
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    };
    write(0, 10).await;
    assert!(ledger(&*store, Interval::S1).await.is_empty());
    let watch = stage.serving.forecasts.watch(symbol("AAA"), Interval::S1);
    until(|| async { !ledger(&*store, Interval::S1).await.is_empty() }).await;
    drop(watch);
    // What was under way may still be written.
    tokio::time::sleep(Duration::from_millis(300)).await;
    let before = ledger(&*store, Interval::S1).await.len();
    write(10, 40).await;
    tokio::time::sleep(Duration::from_millis(300)).await;
    assert_eq!(ledger(&*store, Interval::S1).await.len(), before);
}

#[tokio::test]
async fn a_reader_of_forecasts_can_ask_for_one_of_its_own() {
    let dir = tempfile::tempdir().unwrap();
    let store = Arc::new(open(dir.path()).await);
    let stage = Stage::start(m1_only(), store).await;
    let session = stage.serving.forecasts.connect();
    let request = |text: &str| serde_json::from_str::<ForecastRequest>(text).unwrap();
    session.request(request(
        r#"{"op":"predict","id":5,"series":[1,2,4,3],"horizon":2}"#,
    ));
    let ForecastMessage::Prediction(prediction) = next(&session).await else {
        panic!("no prediction");
    };
    assert_eq!((prediction.id, prediction.mean), (Some(5), vec![3.0, 3.0]));
    session.request(request(
        r#"{"op":"predict","id":6,"series":[1],"horizon":0}"#,
    ));
    assert!(matches!(
        next(&session).await,
        ForecastMessage::Error {
            id: Some(6),
            kind: market::ErrorKind::Invalid,
            ..
        }
    ));
    session.request(ForecastRequest::Ping { id: 1 });
    assert_eq!(next(&session).await, ForecastMessage::Pong { id: 1 });
}
