//! The REST source against the simulated exchange's own routes, over a real socket.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on panics")]

#[expect(dead_code, reason = "the server uses all of it, this test a part")]
#[path = "../../../server/src/simulate/mod.rs"]
mod simulate;

use std::{collections::BTreeMap, time::Duration};

use market::{Tick, Timestamp};
use simulate::SimulateOptions;
use source::{
    SourceOutlet, TickSource,
    rest::{Checkpoint, Provider, RestOptions, RestSource},
    sim::{FaultOptions, Market, MarketOptions},
    source_channel, ticks_from_json,
};
use tokio::{net::TcpListener, task::JoinHandle};
use tokio_util::sync::CancellationToken;

const START: Timestamp = Timestamp::from_secs(1_700_000_000);

struct Running {
    base: String,
    cancel: CancellationToken,
    task: JoinHandle<std::io::Result<()>>,
}

impl Running {
    async fn stop(self) {
        self.cancel.cancel();
        self.task.await.unwrap().unwrap();
    }
}

async fn exchange(options: SimulateOptions) -> Running {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let base = format!("http://{}", listener.local_addr().unwrap());
    let cancel = CancellationToken::new();
    let task = tokio::spawn(simulate::serve(listener, options, cancel.clone()));
    Running { base, cancel, task }
}

fn options(rate: f64, faults: FaultOptions) -> SimulateOptions {
    SimulateOptions {
        market: MarketOptions {
            trades_per_second: rate,
            speed: 1.0,
            seed: 5,
        },
        faults,
        // The exchange's clock is twenty seconds ahead of what is asked for: no waiting.
        start: Some(START.plus_micros(20_000_000)),
        ..SimulateOptions::default()
    }
}

fn rest(base: &str, checkpoint: Checkpoint) -> RestSource {
    let mut provider = Provider::tickcast(base);
    provider.page_limit = 70;
    let mut options = RestOptions::new("rest:tickcast", provider, START);
    options.checkpoint = checkpoint;
    options.backoff_base = Duration::from_millis(1);
    options.backoff_cap = Duration::from_millis(5);
    RestSource::new(options).unwrap()
}

/// Takes batches until the trades of the first ten seconds are there; drops every `drop_nth` batch
/// without taking it.
async fn collect(
    outlet: &mut SourceOutlet,
    wanted: &BTreeMap<u64, Tick>,
    drop_nth: usize,
) -> (BTreeMap<u64, Tick>, usize) {
    let (mut ticks, mut rejects) = (BTreeMap::new(), 0);
    let mut n = 0;
    while !wanted.keys().all(|seq| ticks.contains_key(seq)) {
        let delivered = outlet.recv().await.unwrap();
        n += 1;
        if n % drop_nth == 0 {
            continue;
        }
        rejects += delivered.batch.rejects.len();
        for tick in delivered.batch.ticks {
            ticks.insert(tick.seq, tick);
        }
        delivered.ack.taken();
    }
    (ticks, rejects)
}

fn first_ten_seconds(options: &SimulateOptions) -> BTreeMap<u64, Tick> {
    let mut market = Market::new(options.market.clone()).unwrap();
    market
        .trades(START, START.plus_micros(10_000_000))
        .iter()
        .map(|t| (t.seq, market.tick(t)))
        .collect()
}

#[tokio::test]
async fn no_trade_is_lost_to_failing_requests_spoilt_rows_and_dropped_batches() {
    let faults = FaultOptions {
        error_share: 0.2,
        throttle_share: 0.1,
        retry_after_s: 0,
        latency_jitter_ms: 2,
        malformed_share: 0.05,
        duplicate_share: 0.05,
        late_share: 0.05,
        out_of_order_share: 0.1,
        ..FaultOptions::default()
    };
    let options = options(200.0, faults);
    let wanted = first_ten_seconds(&options);
    let exchange = exchange(options).await;
    let (sink, mut outlet) = source_channel(2);
    let cancel = CancellationToken::new();
    let source =
        tokio::spawn(Box::new(rest(&exchange.base, Checkpoint::new())).run(sink, cancel.clone()));
    let (ticks, rejects) = collect(&mut outlet, &wanted, 7).await;
    for (seq, tick) in &wanted {
        assert_eq!(&ticks[seq], tick);
    }
    assert!(rejects > 0);
    cancel.cancel();
    source.await.unwrap().unwrap();
    exchange.stop().await;
}

#[tokio::test]
async fn a_source_goes_on_from_its_checkpoint_without_a_gap_or_a_repeat() {
    let options = options(300.0, FaultOptions::default());
    let wanted = first_ten_seconds(&options);
    let exchange = exchange(options.clone()).await;
    let mut seqs = Vec::new();
    let mut checkpoint = Checkpoint::new();
    // Each life takes some batches and dies with one untaken.
    for life in 0..8 {
        let source = rest(&exchange.base, checkpoint.clone());
        let checkpoints = source.checkpoints();
        let (sink, mut outlet) = source_channel(1);
        let cancel = CancellationToken::new();
        let task = tokio::spawn(Box::new(source).run(sink, cancel.clone()));
        for _ in 0..5 + life {
            let delivered = outlet.recv().await.unwrap();
            seqs.extend(delivered.batch.ticks.iter().map(|t| t.seq));
            delivered.ack.taken();
        }
        let untaken = outlet.recv().await.unwrap();
        cancel.cancel();
        task.await.unwrap().unwrap();
        drop(untaken);
        checkpoint = checkpoints.borrow().clone();
    }
    assert!(seqs.windows(2).all(|w| w[0] < w[1]));
    let wanted: Vec<u64> = wanted.into_keys().collect();
    assert_eq!(seqs[..wanted.len()], wanted);
    exchange.stop().await;
}

async fn get(
    base: &str,
    path: &str,
    etag: Option<&str>,
) -> (u16, reqwest::header::HeaderMap, String) {
    // Fails when another test was faster: then its choice is as good.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let mut request = reqwest::Client::new().get(format!("{base}{path}"));
    if let Some(etag) = etag {
        request = request.header("if-none-match", etag);
    }
    let response = request.send().await.unwrap();
    let (status, headers) = (response.status().as_u16(), response.headers().clone());
    (status, headers, response.text().await.unwrap())
}

#[tokio::test]
async fn the_routes_answer_as_documented() {
    let running = exchange(options(50.0, FaultOptions::default())).await;
    let base = &running.base;
    let (status, headers, body) = get(base, "/v1/symbols", None).await;
    assert_eq!(status, 200);
    assert!(body.contains("NIMBU"));
    let etag = headers["etag"].to_str().unwrap().to_owned();
    assert_eq!(get(base, "/v1/symbols", Some(&etag)).await.0, 304);
    let path = "/v1/bars?symbol=nimbu&interval=1m&until=2023-11-14T22:13:00Z&limit=5";
    let (status, headers, body) = get(base, path, None).await;
    assert_eq!(status, 200);
    let etag = headers["etag"].to_str().unwrap().to_owned();
    assert_eq!(get(base, path, Some(&etag)).await.0, 304);
    let value: serde_json::Value = serde_json::from_str(&body).unwrap();
    let rows = value["bars"].to_string();
    let decoded = ticks_from_json(
        rows.as_bytes(),
        "bars",
        START,
        &market::TickRules::default(),
    );
    assert_eq!((decoded.bars.len(), decoded.rejects.len()), (5, 0));
    assert_eq!(get(base, "/v1/status", None).await.0, 200);
    for (path, status, field) in [
        ("/v1/trades?limit=many", 422, Some("limit")),
        ("/v1/trades?cursor=x", 422, Some("cursor")),
        ("/v1/trades?symbols=AAPL", 404, Some("symbols")),
        ("/v1/bars", 422, Some("symbol")),
        ("/v1/bars?symbol=NIMBU&interval=2m", 422, Some("interval")),
        ("/nothing", 404, None),
    ] {
        let (got, headers, body) = get(base, path, None).await;
        assert_eq!(got, status, "{path}");
        assert_eq!(headers["content-type"], "application/problem+json");
        let problem: serde_json::Value = serde_json::from_str(&body).unwrap();
        assert_eq!(problem["field"].as_str(), field, "{path}");
        assert_eq!(problem["status"], status);
    }
    running.stop().await;
}

#[tokio::test]
async fn a_held_request_is_answered_with_the_next_trade_and_let_go_at_shutdown() {
    let running = exchange(options(5.0, FaultOptions::default())).await;
    let (_, _, body) = get(&running.base, "/v1/trades?wait_ms=30000", None).await;
    assert!(body.contains("\"symbol\""));
    let far = "/v1/trades?since=2099-01-01&wait_ms=30000";
    let base = running.base.clone();
    let held = tokio::spawn(async move { get(&base, far, None).await });
    // Until the exchange has it in hand.
    while !get(&running.base, "/v1/status", None)
        .await
        .2
        .contains("\"requests\":2")
    {}
    running.stop().await;
    assert_eq!(held.await.unwrap().0, 200);
}
