//! Fans over the shared store: made by consumers, shown by web processes.

use std::time::Duration;

use protocol::ForecastMessage;
use serde_json::json;

use super::{connect, next, post, settings, started, web};

#[tokio::test(flavor = "multi_thread")]
async fn fans_that_a_consumer_makes_are_shown_by_the_web_process_from_the_ledger() {
    let mut settings = settings("fans");
    settings.extend(["--set".into(), "forecast.intervals=1s".into()]);
    let (_consumer, _) = started("consume", &settings).await;
    let (_web, address) = web(&settings).await;
    let subscribe = json!({"op": "subscribe", "symbols": ["ACME"], "intervals": ["1s"]});
    let mut socket = connect(address, "/forecast", subscribe).await;
    let feeding = tokio::spawn(async move {
        for n in 0_u64.. {
            post(address, n..n + 1).await;
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
    });
    let fan = loop {
        if let ForecastMessage::Fan(fan) = next(&mut socket).await {
            break fan;
        }
    };
    feeding.abort();
    let _ = feeding.await;
    assert_eq!(fan.symbol.as_str(), "ACME");
    assert!(fan.made_at <= fan.interval.end_of(fan.targets[0]));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reader_is_told_that_the_consumers_do_not_forecast_an_interval() {
    let (_web, address) = web(&settings("no-fans")).await;
    let subscribe = json!({"op": "subscribe", "symbols": ["ACME"], "intervals": ["1s", "1m"]});
    let mut socket = connect(address, "/forecast", subscribe).await;
    let told = loop {
        if let ForecastMessage::Error { detail, .. } = next(&mut socket).await {
            break detail;
        }
    };
    assert!(
        told.contains("forecasts of 1s:") && told.contains("forecast.intervals"),
        "{told}"
    );
}
