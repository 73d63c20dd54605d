//! Backtests of what is stored: told step by step, and stopped.

use std::{path::Path, sync::Arc};

use forecast::backtest::Verdict;
use futures::stream;
use market::{Bar, ErrorKind, Interval, Tick};
use serving::{BacktestEvent, BacktestRequest, BacktestRun, Backtested, ServingConfig};
use source::SourceBatch;

use crate::harness::{Stage, at, open, symbol, until, within};

const DAY: i64 = 86_400;

/// A store with 120 days of two symbols: a straight line, and one that goes up and down.
async fn with_days(dir: &Path) -> Stage {
    let stage = Stage::start(ServingConfig::default(), Arc::new(open(dir).await)).await;
    let day = |name: &str, day: i64, price: f64| -> Bar {
        let tick = Tick {
            symbol: symbol(name),
            ts: at(day * DAY),
            seq: 0,
            price,
            size: 1.0,
        };
        let mut bar = Bar::from_tick(&tick, Interval::D1);
        // It came as a bar, so it is whole.
        bar.trades = 0;
        bar
    };
    let bars = (0..120).flat_map(|n| {
        let wave = 50.0 + (n as f64 * 0.9).sin() + n as f64 / 40.0;
        [day("LINE", n, 100.0 + n as f64), day("WAVE", n, wave)]
    });
    let batch = SourceBatch {
        source: "test".into(),
        source_offset: None,
        received: std::time::Instant::now(),
        ticks: Vec::new(),
        bars: bars.collect(),
        rejects: Vec::new(),
    };
    let import = stage.pipeline.import();
    import.run(stream::iter([Ok(batch)]), |_| ()).await.unwrap();
    stage
}

fn request(symbols: &[&str], models: &[&str], origins: usize) -> BacktestRequest {
    BacktestRequest {
        symbols: symbols.iter().map(|s| symbol(s)).collect(),
        interval: Interval::D1,
        models: models.iter().map(|m| (*m).to_owned()).collect(),
        horizon: 2,
        origins,
        step: Some(1),
        window: None,
        log: false,
    }
}

/// Everything that a run tells.
async fn told(run: &mut BacktestRun) -> Vec<BacktestEvent> {
    let mut events = Vec::new();
    while let Some(event) = within(run.next()).await {
        events.push(event.unwrap());
    }
    events
}

#[tokio::test]
async fn a_backtest_tells_how_far_it_is_and_then_a_report_for_each_symbol() {
    let dir = tempfile::tempdir().unwrap();
    let stage = with_days(dir.path()).await;
    let asked = request(&["LINE", "NONE", "WAVE"], &["theta", "drift", "theta"], 20);
    let mut run = stage.serving.backtests.start(asked).await.unwrap();
    let mut events = told(&mut run).await;
    let Some(BacktestEvent::Finished(found)) = events.pop() else {
        panic!("it did not finish: {events:?}");
    };
    let BacktestEvent::Progress { all, .. } = events[0] else {
        panic!("no progress: {events:?}");
    };
    // Two models, two further baselines, twenty origins, three symbols.
    assert_eq!(all, 4 * 20 * 3);
    let names: Vec<&str> = found.iter().map(|f| f.symbol.as_str()).collect();
    assert_eq!(names, ["LINE", "NONE", "WAVE"]);
    let Backtested {
        origins, outcome, ..
    } = &found[0];
    assert_eq!(origins.len(), 20);
    // Of 120 days the last two are what the last origin is judged by.
    assert_eq!(origins[19], at(117 * DAY));
    let report = outcome.as_ref().unwrap();
    let rows: Vec<&str> = report.models.iter().map(|m| m.model.as_str()).collect();
    assert_eq!(rows, ["theta", "drift", "naive", "snaive"]);
    // On a straight line the drift is right and naive is not.
    let drift = report.model("drift").unwrap();
    assert!(drift.measures.mae.unwrap() < 1e-9);
    assert!(drift.seconds.is_some());
    assert_eq!(report.model("naive").unwrap().verdict, Verdict::Undecided);
    // A symbol without bars keeps nobody's result back.
    assert!(found[1].outcome.as_ref().unwrap_err().contains("NONE"));
    assert!(found[2].outcome.is_ok());
    assert_eq!(stage.serving.backtests.stats().finished.total, 1);
}

#[tokio::test]
async fn a_backtest_that_is_stopped_by_its_number_ends_without_a_report() {
    let dir = tempfile::tempdir().unwrap();
    let stage = with_days(dir.path()).await;
    let asked = request(&["WAVE"], &["combo"], 60);
    let mut run = stage.serving.backtests.start(asked).await.unwrap();
    let first = within(run.next()).await.unwrap().unwrap();
    assert!(matches!(first, BacktestEvent::Progress { .. }), "{first:?}");
    assert!(stage.serving.backtests.stop(run.id()));
    assert!(!stage.serving.backtests.stop(run.id() + 1));
    assert_eq!(told(&mut run).await.pop(), Some(BacktestEvent::Stopped));
    assert_eq!(stage.serving.backtests.stats().stopped.total, 1);
}

#[tokio::test]
async fn more_backtests_than_may_run_are_refused_until_one_is_let_go() {
    let dir = tempfile::tempdir().unwrap();
    let stage = with_days(dir.path()).await;
    let asked = || request(&["WAVE"], &["combo"], 60);
    let mut runs = Vec::new();
    for _ in 0..2 {
        let mut run = stage.serving.backtests.start(asked()).await.unwrap();
        within(run.next()).await.unwrap().unwrap();
        runs.push(run);
    }
    let refused = stage.serving.backtests.start(asked()).await.unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Unavailable);
    let stats = stage.serving.backtests.stats();
    assert_eq!((stats.in_flight, stats.refused.total), (2, 1));
    // Whoever waited for it has gone: it ends at its next fit.
    runs.clear();
    until(|| async { stage.serving.backtests.stats().in_flight == 0 }).await;
    let mut run = stage.serving.backtests.start(asked()).await.unwrap();
    within(run.next()).await.unwrap().unwrap();
}

#[tokio::test]
async fn what_shuts_down_stops_its_backtests_and_takes_no_more() {
    let dir = tempfile::tempdir().unwrap();
    let stage = with_days(dir.path()).await;
    let asked = || request(&["WAVE"], &["combo"], 60);
    let mut run = stage.serving.backtests.start(asked()).await.unwrap();
    within(run.next()).await.unwrap().unwrap();
    stage.stop().await;
    assert_eq!(told(&mut run).await.pop(), Some(BacktestEvent::Stopped));
    let refused = stage.serving.backtests.start(asked()).await.unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Unavailable);
}

#[tokio::test]
async fn a_backtest_that_cannot_be_right_names_the_field() {
    let dir = tempfile::tempdir().unwrap();
    let stage = with_days(dir.path()).await;
    let good = request(&["LINE"], &["drift"], 5);
    let faults: [(&str, BacktestRequest); 7] = [
        ("symbols", request(&[], &["drift"], 5)),
        ("models", request(&["LINE"], &["magic"], 5)),
        ("models", request(&["LINE"], &[], 5)),
        ("origins", request(&["LINE"], &["drift"], 0)),
        (
            "horizon",
            BacktestRequest {
                horizon: 0,
                ..good.clone()
            },
        ),
        (
            "step",
            BacktestRequest {
                step: Some(0),
                ..good.clone()
            },
        ),
        (
            "window",
            BacktestRequest {
                window: Some(1_000_000),
                ..good
            },
        ),
    ];
    for (field, request) in faults {
        let error = stage.serving.backtests.start(request).await.unwrap_err();
        assert_eq!(error.field(), Some(field), "{error}");
        assert_eq!(error.kind(), ErrorKind::Invalid);
    }
}

#[tokio::test]
async fn a_fit_tells_what_it_found_beside_its_forecast() {
    let dir = tempfile::tempdir().unwrap();
    let stage = with_days(dir.path()).await;
    let request = protocol::PredictRequest {
        id: None,
        symbol: Some(symbol("WAVE")),
        interval: Some(Interval::D1),
        series: None,
        model: Some("arima(1,1,1)".into()),
        horizon: 3,
        levels: None,
        season: None,
    };
    let (prediction, fit) = stage.serving.predictor.fit(request).await.unwrap();
    assert_eq!(prediction.mean.len(), 3);
    assert_eq!(fit.summary.model, "arima(1,1,1)");
    assert_eq!(fit.summary.params.len(), 2);
    assert!(fit.summary.aicc.is_some() && fit.summary.ljung_box.is_some());
    // Fitted to what lies before the last refit point; 10·log10 of about 100 residuals.
    assert_eq!(fit.acf.len(), 20);
    assert!(fit.log && fit.residuals >= 99);
}
