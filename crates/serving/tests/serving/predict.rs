//! Forecasts on request.

use std::sync::Arc;

use futures::stream;
use market::{Bar, ErrorKind, Interval};
use protocol::PredictRequest;
use serving::ServingConfig;
use source::SourceBatch;

use crate::harness::*;

#[tokio::test]
async fn a_day_that_was_imported_is_forecast_from_however_far_ahead_of_event_time_it_lies() {
    let dir = tempfile::tempdir().unwrap();
    let store = Arc::new(open(dir.path()).await);
    let stage = Stage::start(ServingConfig::default(), store).await;
    let batch = SourceBatch {
        source: "csv:x.csv".into(),
        source_offset: None,
        received: std::time::Instant::now(),
        ticks: vec![tick("AAA", 1, 1, 10.0)],
        bars: vec![Bar::from_tick(&tick("BBB", 0, 0, 5.0), Interval::D1)],
        rejects: Vec::new(),
    };
    let import = stage.pipeline.import();
    import.run(stream::iter([Ok(batch)]), |_| {}).await.unwrap();
    let request = PredictRequest {
        id: Some(7),
        symbol: Some(symbol("BBB")),
        interval: Some(Interval::D1),
        series: None,
        model: None,
        horizon: 2,
        levels: None,
        season: None,
    };
    let refused = stage.serving.predictor.predict(request).await.unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Invalid, "it is there: {refused}");
    assert_eq!(refused.field(), Some("symbol")); // one day is too few
}

#[tokio::test]
async fn a_predict_request_that_cannot_be_right_names_the_field() {
    let dir = tempfile::tempdir().unwrap();
    let store = Arc::new(open(dir.path()).await);
    let stage = Stage::start(ServingConfig::default(), store).await;
    let good = PredictRequest {
        id: None,
        symbol: None,
        interval: None,
        series: Some((1..=20).map(|v| Some(f64::from(v))).collect()),
        model: Some("drift".into()),
        horizon: 3,
        levels: Some(vec![95.0, 50.0]),
        season: None,
    };
    let prediction = stage.serving.predictor.predict(good.clone()).await.unwrap();
    for (mean, expected) in prediction.mean.iter().zip([21.0, 22.0, 23.0]) {
        assert!((mean - expected).abs() < 1e-9);
    }
    assert_eq!((prediction.observations, prediction.bands.len()), (20, 2));
    assert_eq!(prediction.bands[0].level, 50.0);
    let faults: [(&str, PredictRequest); 9] = [
        (
            "horizon",
            PredictRequest {
                horizon: 0,
                ..good.clone()
            },
        ),
        (
            "horizon",
            PredictRequest {
                horizon: 1_001,
                ..good.clone()
            },
        ),
        (
            "model",
            PredictRequest {
                model: Some("magic".into()),
                ..good.clone()
            },
        ),
        (
            "levels",
            PredictRequest {
                levels: Some(vec![100.0]),
                ..good.clone()
            },
        ),
        (
            "season",
            PredictRequest {
                season: Some(0),
                ..good.clone()
            },
        ),
        (
            "series",
            PredictRequest {
                series: Some(Vec::new()),
                ..good.clone()
            },
        ),
        (
            "series",
            PredictRequest {
                series: Some(vec![None, Some(1.0)]),
                ..good.clone()
            },
        ),
        (
            "series",
            PredictRequest {
                symbol: Some(symbol("AAA")),
                ..good.clone()
            },
        ),
        (
            "interval",
            PredictRequest {
                series: None,
                symbol: Some(symbol("AAA")),
                ..good.clone()
            },
        ),
    ];
    for (field, request) in faults {
        let error = stage.serving.predictor.predict(request).await.unwrap_err();
        assert_eq!(error.field(), Some(field), "{error}");
    }
    let unknown = PredictRequest {
        series: None,
        symbol: Some(symbol("AAA")),
        interval: Some(Interval::M1),
        ..good
    };
    let error = stage.serving.predictor.predict(unknown).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotFound);
}
