//! The REST source against small HTTP servers that behave as real providers do at their worst.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on panics")]

mod going_on;
mod redirects;
mod trouble;

use std::{
    collections::HashMap,
    sync::{Arc, Mutex},
    time::Duration,
};

use axum::{
    Router,
    extract::{Request, State},
    http::{HeaderMap, StatusCode, Uri, header},
    response::{IntoResponse, Response},
};
use market::Timestamp;
use source::{
    SourceError, SourceOutlet, TickSource,
    rest::{Checkpoint, Credential, Provider, RestOptions, RestSource, Secret},
    source_channel,
};
use tokio::{net::TcpListener, sync::watch, task::JoinHandle};
use tokio_util::sync::CancellationToken;

const START: Timestamp = Timestamp::from_secs(1_700_000_000);

type Script = Box<dyn FnMut(usize, &Uri, &HeaderMap) -> Response + Send>;

struct Seen {
    script: Script,
    requests: Vec<(String, tokio::time::Instant)>,
}

type Shared = Arc<Mutex<Seen>>;

async fn answer(State(shared): State<Shared>, request: Request) -> Response {
    let mut seen = shared.lock().unwrap();
    let n = seen.requests.len();
    let uri = request.uri().clone();
    seen.requests
        .push((uri.to_string(), tokio::time::Instant::now()));
    (seen.script)(n, &uri, request.headers())
}

/// A server on a free port that answers by script; it ends with the test's runtime.
async fn server(
    script: impl FnMut(usize, &Uri, &HeaderMap) -> Response + Send + 'static,
) -> (String, Shared) {
    let shared = Arc::new(Mutex::new(Seen {
        script: Box::new(script),
        requests: Vec::new(),
    }));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let base = format!("http://{}", listener.local_addr().unwrap());
    let router = Router::new().fallback(answer).with_state(shared.clone());
    tokio::spawn(async move { axum::serve(listener, router).await });
    (base, shared)
}

fn options(provider: Provider) -> RestOptions {
    let mut options = RestOptions::new("rest:test", provider, START);
    options.poll_interval = Duration::from_millis(1);
    options.backoff_base = Duration::from_millis(1);
    options.backoff_cap = Duration::from_millis(4);
    options
}

struct Poll {
    outlet: SourceOutlet,
    checkpoints: watch::Receiver<Checkpoint>,
    cancel: CancellationToken,
    task: JoinHandle<source::Result<()>>,
}

impl Poll {
    fn start(options: RestOptions) -> Self {
        let source = RestSource::new(options).unwrap();
        let (sink, outlet) = source_channel(1);
        let cancel = CancellationToken::new();
        Self {
            checkpoints: source.checkpoints(),
            task: tokio::spawn(Box::new(source).run(sink, cancel.clone())),
            cancel,
            outlet,
        }
    }

    /// The sequences of the next batch, which is taken.
    async fn next(&mut self) -> Vec<u64> {
        let delivered = self.outlet.recv().await.unwrap();
        let seqs = delivered.batch.ticks.iter().map(|t| t.seq).collect();
        delivered.ack.taken();
        seqs
    }

    async fn stop(self) -> source::Result<()> {
        self.cancel.cancel();
        self.task.await.unwrap()
    }
}

fn json(body: String) -> Response {
    ([(header::CONTENT_TYPE, "application/json")], body).into_response()
}

fn tickcast_row(seq: u64) -> String {
    format!(
        r#"{{"symbol":"ABC","ts_us":{},"seq":{seq},"price":1.5,"size":1}}"#,
        START.as_micros()
    )
}

/// One row per page: the cursor is the sequence of the next.
fn paged(uri: &Uri) -> Response {
    let at: u64 = uri
        .query()
        .unwrap_or_default()
        .split('&')
        .find_map(|p| p.strip_prefix("cursor="))
        .map_or(0, |c| c.parse().unwrap());
    let (row, next) = (tickcast_row(at), at + 1);
    json(format!(r#"{{"trades":[{row}],"next_cursor":"{next}"}}"#))
}

fn one_per_page(base: &str) -> Provider {
    Provider {
        page_limit: 1,
        ..Provider::tickcast(base)
    }
}

#[tokio::test]
async fn every_kind_of_passing_failure_is_retried_at_the_same_place() {
    let (base, shared) = server(|n, uri, _| match n % 8 {
        0 => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
        1 => (StatusCode::TOO_MANY_REQUESTS, [("retry-after", "0")]).into_response(),
        2 => "<html>busy</html>".into_response(),
        3 => json(r#"{"trades":[{"symbol""#.into()),
        4 => (
            StatusCode::SERVICE_UNAVAILABLE,
            [("retry-after", "Fri, 01 Mar 2024 12:00:30 GMT")],
        )
            .into_response(),
        _ => paged(uri),
    })
    .await;
    let mut poll = Poll::start(options(one_per_page(&base)));
    for wanted in 0..20 {
        assert_eq!(poll.next().await, [wanted]);
    }
    poll.stop().await.unwrap();
    assert!(shared.lock().unwrap().requests.len() > 40);
}

#[tokio::test]
async fn a_page_that_is_not_taken_is_asked_for_again_and_the_checkpoint_stays() {
    let (base, _) = server(|_, uri, _| paged(uri)).await;
    let mut poll = Poll::start(options(one_per_page(&base)));
    assert_eq!(poll.next().await, [0]);
    for _ in 0..3 {
        let refused = poll.outlet.recv().await.unwrap();
        assert_eq!(refused.batch.ticks[0].seq, 1);
        let checkpoint = poll.checkpoints.borrow().clone();
        assert_eq!(checkpoint[""].cursor.as_deref(), Some("1"));
        drop(refused);
    }
    assert_eq!(poll.next().await, [1]);
    assert_eq!(poll.next().await, [2]);
    poll.stop().await.unwrap();
}

#[tokio::test]
async fn retry_after_is_honoured() {
    let (base, shared) = server(|n, uri, _| match n {
        0 => (StatusCode::TOO_MANY_REQUESTS, [("retry-after", "1")]).into_response(),
        _ => paged(uri),
    })
    .await;
    let mut poll = Poll::start(options(one_per_page(&base)));
    assert_eq!(poll.next().await, [0]);
    poll.stop().await.unwrap();
    let requests = &shared.lock().unwrap().requests;
    // A lower bound on a wait that was asked for: no machine is too slow to keep it.
    assert!(requests[1].1 - requests[0].1 >= Duration::from_millis(990));
}

#[tokio::test]
async fn the_rate_limit_spaces_requests() {
    let (base, shared) = server(|_, uri, _| paged(uri)).await;
    let mut options = options(one_per_page(&base));
    options.requests_per_second = Some(20.0);
    let begin = tokio::time::Instant::now();
    let mut poll = Poll::start(options);
    for wanted in 0..30 {
        assert_eq!(poll.next().await, [wanted]);
    }
    poll.stop().await.unwrap();
    // Twenty at once, ten more at 50 ms each.
    assert!(begin.elapsed() >= Duration::from_millis(450));
    assert!(shared.lock().unwrap().requests.len() <= 32);
}

#[tokio::test]
async fn a_provider_that_does_not_answer_is_given_up_after_the_time_out() {
    // Accepts and says nothing, twice; then answers.
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let base = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move {
        let mut silent = Vec::new();
        for _ in 0..2 {
            silent.push(listener.accept().await.unwrap());
        }
        let router = Router::new().fallback(|uri: Uri| async move { paged(&uri) });
        axum::serve(listener, router).await
    });
    let mut options = options(one_per_page(&base));
    options.timeout = Duration::from_millis(100);
    let mut poll = Poll::start(options);
    assert_eq!(poll.next().await, [0]);
    poll.stop().await.unwrap();
}

#[tokio::test]
async fn refused_credentials_end_the_source_without_showing_the_key() {
    let (base, _) = server(|_, uri, headers| {
        assert!(uri.query().unwrap().contains("apiKey=hunter2"));
        assert_eq!(headers["x-other"], "hunter3");
        (StatusCode::FORBIDDEN, "not your data").into_response()
    })
    .await;
    let mut provider = Provider::tickcast(&base);
    provider.credentials = vec![
        Credential::Query("apiKey".into(), Secret::new("hunter2")),
        Credential::Header("X-Other".into(), Secret::new("hunter3")),
    ];
    let poll = Poll::start(options(provider));
    let error = poll.task.await.unwrap().unwrap_err();
    assert!(matches!(error, SourceError::Refused { status: 403, .. }));
    let shown = format!("{error} {error:?}");
    assert!(shown.contains("not your data") && !shown.contains("hunter"));
}

#[tokio::test]
async fn a_provider_that_cannot_be_reached_does_not_show_the_key_either() {
    let mut provider = Provider::tickcast("http://127.0.0.1:1");
    provider.credentials = vec![Credential::Query("apiKey".into(), Secret::new("hunter2"))];
    let poll = Poll::start(options(provider));
    let mut troubles = poll.outlet.trouble();
    let told = troubles.wait_for(Option::is_some).await.unwrap().clone();
    let shown = format!("{told:?}");
    assert!(shown.contains("127.0.0.1:1"), "{shown}");
    assert!(!shown.contains("hunter2"), "{shown}");
    assert!(!poll.task.is_finished());
    poll.stop().await.unwrap();
}

#[tokio::test]
async fn an_unchanged_answer_is_not_read_again() {
    let (base, shared) = server(|_, _, headers| {
        if headers.get("if-none-match").is_some_and(|v| v == "\"v1\"") {
            return StatusCode::NOT_MODIFIED.into_response();
        }
        let body = r#"{"results":[{"v":1,"o":1,"c":1,"h":1,"l":1,"t":1699999980000}]}"#;
        ([(header::ETAG, "\"v1\"")], json(body.into())).into_response()
    })
    .await;
    let mut provider = Provider::polygon_bars(&base);
    // An address that stays the same from poll to poll.
    provider.url = format!("{base}/bars/{{symbol}}");
    let mut options = options(provider);
    options.symbols = vec!["ABC".parse().unwrap()];
    let mut poll = Poll::start(options);
    let delivered = poll.outlet.recv().await.unwrap();
    assert_eq!(delivered.batch.bars.len(), 1);
    delivered.ack.taken();
    while shared.lock().unwrap().requests.len() < 5 {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    assert!(poll.outlet.try_recv().is_none());
    poll.stop().await.unwrap();
}

fn polygon_bar(close: f64) -> String {
    format!(r#"{{"v":1,"o":1,"c":{close},"h":9,"l":1,"t":1700000040000}}"#)
}

#[tokio::test]
async fn a_bar_is_handed_over_again_only_when_it_has_changed_and_a_bad_row_once() {
    let bad = r#"{"v":1,"o":1,"c":1,"h":1,"l":2,"t":1700000040000}"#;
    let (base, shared) = server(move |n, _, _| {
        let close = if n < 10 { 2.0 } else { 3.0 };
        let row = polygon_bar(close);
        json(format!(r#"{{"results":[{row},{bad}]}}"#))
    })
    .await;
    let mut options = options(Provider::polygon_bars(&base));
    options.symbols = vec!["ABC".parse().unwrap()];
    let mut poll = Poll::start(options);
    let (mut closes, mut bad_rows) = (Vec::new(), 0);
    while closes.len() < 2 {
        let delivered = poll.outlet.recv().await.unwrap();
        closes.extend(delivered.batch.bars.iter().map(|bar| bar.close));
        bad_rows += delivered.batch.rejects.len();
        delivered.ack.taken();
    }
    assert_eq!((closes, bad_rows), (vec![2.0, 3.0], 1));
    let asked = shared.lock().unwrap().requests.len();
    while shared.lock().unwrap().requests.len() < asked + 5 {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    assert!(poll.outlet.try_recv().is_none());
    poll.stop().await.unwrap();
}

#[tokio::test]
async fn what_is_retried_is_told_of_until_it_is_over() {
    let (base, shared) = server(|n, uri, _| match n {
        0..5 => (StatusCode::BAD_GATEWAY, "no").into_response(),
        _ => paged(uri),
    })
    .await;
    let mut poll = Poll::start(options(one_per_page(&base)));
    let mut troubles = poll.outlet.trouble();
    let told = troubles.wait_for(Option::is_some).await.unwrap().clone();
    assert!(told.unwrap().error.contains("502"));
    assert_eq!(poll.next().await, [0]);
    troubles.wait_for(Option::is_none).await.unwrap();
    assert!(shared.lock().unwrap().requests.len() >= 6);
    poll.stop().await.unwrap();
}

#[tokio::test]
async fn a_symbol_whose_answers_cannot_be_read_does_not_hold_up_the_others() {
    let (base, _) = server(|_, uri, _| {
        if uri.path().contains("BAD") {
            return json("busy".into());
        }
        alpaca(uri)
    })
    .await;
    let mut options = options(Provider::alpaca_trades(&base));
    options.symbols = vec!["BAD".parse().unwrap(), "GOOD".parse().unwrap()];
    let mut poll = Poll::start(options);
    assert_eq!(poll.next().await, [0, 1]);
    poll.stop().await.unwrap();
}

/// Alpaca as documented: pages by token within a request, inclusive start, sorted by time.
fn alpaca(uri: &Uri) -> Response {
    let query = uri.query().unwrap_or_default();
    let value = |name: &str| query.split('&').find_map(|p| p.strip_prefix(name));
    let start: Timestamp = value("start=")
        .unwrap()
        .replace("%3A", ":")
        .parse()
        .unwrap();
    let symbol = uri.path().split('/').nth(3).unwrap();
    let from = start.micros_since(START).max(0) / 1_000_000;
    let at = value("page_token=").map_or(from, |t| t.parse().unwrap());
    // Twelve trades, a second apart, two a page.
    let rows: Vec<String> = (at..(at + 2).min(12))
        .map(|i| {
            let t = START.plus_micros(i * 1_000_000);
            format!(r#"{{"t":"{t}","x":"C","p":1.5,"s":1,"c":[],"i":{i},"z":"B"}}"#)
        })
        .collect();
    let next = if at + 2 < 12 {
        format!("\"{}\"", at + 2)
    } else {
        "null".into()
    };
    json(format!(
        r#"{{"trades":[{}],"symbol":"{symbol}","next_page_token":{next}}}"#,
        rows.join(",")
    ))
}

#[tokio::test]
async fn pages_by_token_are_followed_for_each_symbol_and_then_the_latest_row_is_the_start() {
    let (base, shared) = server(|n, uri, _| {
        if n % 5 == 3 {
            return StatusCode::BAD_GATEWAY.into_response();
        }
        alpaca(uri)
    })
    .await;
    let mut provider = Provider::alpaca_trades(&base);
    provider.page_limit = 2;
    let mut options = options(provider);
    options.symbols = vec!["AAA".parse().unwrap(), "BBB".parse().unwrap()];
    let mut poll = Poll::start(options);
    // A failure of one gives the other its turn.
    let mut seqs: HashMap<String, Vec<u64>> = HashMap::new();
    while seqs.values().map(Vec::len).sum::<usize>() < 24 {
        let delivered = poll.outlet.recv().await.unwrap();
        for tick in &delivered.batch.ticks {
            seqs.entry(tick.symbol.to_string())
                .or_default()
                .push(tick.seq);
        }
        delivered.ack.taken();
    }
    for symbol in ["AAA", "BBB"] {
        assert_eq!(seqs[symbol], (0..12).collect::<Vec<u64>>());
    }
    // The next round asks from the last row on, and gets it again: it is not handed over once more.
    let asked = shared.lock().unwrap().requests.len();
    while shared.lock().unwrap().requests.len() < asked + 6 {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    assert!(poll.outlet.try_recv().is_none());
    let checkpoint = poll.checkpoints.borrow().clone();
    for symbol in ["AAA", "BBB"] {
        assert_eq!(
            checkpoint[symbol].since,
            Some(START.plus_micros(11_000_000))
        );
    }
    poll.stop().await.unwrap();
    let seen = shared.lock().unwrap();
    assert!(
        seen.requests
            .iter()
            .any(|(uri, _)| uri.contains("page_token=10"))
    );
}

#[tokio::test]
async fn a_next_address_on_another_host_is_not_followed() {
    let (base, shared) = server(|_, _, _| {
        let row =
            r#"{"price":1.5,"sequence_number":1,"sip_timestamp":1700000000000000000,"size":1}"#;
        json(format!(
            r#"{{"results":[{row}],"next_url":"http://127.0.0.2:9/v3"}}"#
        ))
    })
    .await;
    let mut options = options(Provider::polygon_trades(&base));
    options.symbols = vec!["ABC".parse().unwrap()];
    let mut poll = Poll::start(options);
    assert_eq!(poll.next().await, [1]);
    let mut troubles = poll.outlet.trouble();
    let told = troubles.wait_for(Option::is_some).await.unwrap().clone();
    assert!(told.unwrap().error.contains("another host"));
    // It stays with the provider, and tries again from the first page.
    while shared.lock().unwrap().requests.len() < 4 {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    assert!(!poll.task.is_finished());
    poll.stop().await.unwrap();
}

#[tokio::test]
async fn settings_that_cannot_be_right_are_refused_at_once() {
    let without_symbols = RestSource::new(options(Provider::alpaca_trades("http://127.0.0.1:1")));
    assert!(
        matches!(without_symbols.err(), Some(SourceError::Config { key, .. }) if key == "symbols")
    );
    let no_address = RestSource::new(options(Provider::tickcast("exchange")));
    assert!(matches!(no_address.err(), Some(SourceError::Config { key, .. }) if key == "url"));
    let mut no_rate = options(Provider::tickcast("http://127.0.0.1:1"));
    no_rate.requests_per_second = Some(0.0);
    assert!(RestSource::new(no_rate).is_err());
}
