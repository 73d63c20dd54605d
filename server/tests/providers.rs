//! Sources through the whole server: a provider described by its user, bars over a restart, a file
//! that is replayed.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "what fails in a test's own plumbing fails the test"
)]

mod support;

use std::{
    path::Path,
    sync::{Arc, Mutex},
    time::Duration,
};

use axum::{
    Json, Router,
    extract::{Request, State},
};
use market::{Interval, Timestamp};
use serde_json::{Value, json};
use store::{BarQuery, PriceReader as _, SqliteOptions, SqliteStore};
use support::{Server, client, data_dir, now_us, until};

/// A provider that always gives the same answer and remembers what it was asked.
#[derive(Clone)]
struct Fixture {
    answer: Arc<Value>,
    asked: Arc<Mutex<Vec<(String, String)>>>,
}

async fn answer(State(fixture): State<Fixture>, request: Request) -> Json<Value> {
    let token = request.headers().get("x-token");
    let token = token.map_or("", |t| t.to_str().unwrap()).to_owned();
    let uri = request.uri().to_string();
    fixture.asked.lock().unwrap().push((uri, token));
    Json((*fixture.answer).clone())
}

async fn provider(answer_with: Value) -> (String, Fixture) {
    let fixture = Fixture {
        answer: Arc::new(answer_with),
        asked: Arc::default(),
    };
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let router = Router::new().fallback(answer).with_state(fixture.clone());
    tokio::spawn(async move { axum::serve(listener, router).await });
    (url, fixture)
}

async fn open(data: &Path) -> SqliteStore {
    SqliteStore::open(SqliteOptions::new(data)).await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_provider_is_described_in_a_file_and_its_key_goes_along() {
    let (scratch, data) = data_dir();
    let at = now_us() / 1_000 - 60_000;
    let deal = |id: i64, price: f64| json!({"id": id, "at": at + id, "deal": {"price": price, "quantity": 3}});
    let rows = [deal(1, 10.5), deal(2, 10.75), deal(3, -1.0)];
    let (url, fixture) = provider(json!({"data": {"trades": rows}})).await;
    // The example of the README, with this provider's address.
    let readme = include_str!("../../README.md");
    let example: String = readme
        .lines()
        .skip_while(|line| !line.starts_with("    # prices.toml"))
        .take_while(|line| line.is_empty() || line.starts_with("    "))
        .map(|line| line.trim_start().to_owned() + "\n")
        .collect();
    let example = example.replace("https://prices.example.com", &url);
    std::fs::write(scratch.path().join("prices.toml"), example).unwrap();
    let settings = [
        "--source",
        "rest",
        "--set",
        "source.mapping=prices.toml",
        "--set",
        "source.api_key=hunter2",
        "--set",
        "ingest.symbols=ACME",
    ];
    let server = Server::start(&data, &settings);
    server.counted("stored", 2).await;
    assert_eq!(server.stop(), Some(0));
    let (asked, token) = fixture.asked.lock().unwrap()[0].clone();
    assert!(asked.starts_with("/v1/trades/ACME?from="), "{asked}");
    assert_eq!(token, "hunter2");
    let store = open(&data).await;
    let symbol = "ACME".parse().unwrap();
    let ticks = store
        .ticks(&symbol, Timestamp::MIN, Timestamp::MAX, 9)
        .await;
    let ticks: Vec<(u64, f64, f64)> = ticks
        .unwrap()
        .iter()
        .map(|t| (t.seq, t.price, t.size))
        .collect();
    assert_eq!(ticks, [(1, 10.5, 3.0), (2, 10.75, 3.0)]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_source_of_bars_goes_on_at_the_newest_bar_after_a_restart() {
    let (_scratch, data) = data_dir();
    // The server was away for half an hour: longer than any source of trades is asked back.
    let newest = Interval::M1.start_of(Timestamp::from_micros(now_us() - 1_800_000_000));
    let bar = |minutes: i64| {
        let start = newest.plus_micros(-minutes * Interval::M1.micros());
        json!({"t": start.to_string(), "o": 10.0, "h": 12.0, "l": 9.0, "c": 11.0, "v": 5})
    };
    let bars = json!({"bars": {"ACME": [bar(2), bar(1), bar(0)]}, "next_page_token": null});
    let (url, fixture) = provider(bars).await;
    let address = format!("source.url={url}");
    let settings = [
        "--source",
        "rest",
        "--set",
        "source.preset=alpaca-bars",
        "--set",
        &address,
        "--set",
        "ingest.symbols=ACME",
    ];
    let server = Server::start(&data, &settings);
    let query = BarQuery {
        symbol: "ACME".parse().unwrap(),
        interval: Interval::M1,
        from: Timestamp::MIN,
        until: Timestamp::MAX,
        limit: 9,
    };
    server.counted("bars_written", 3).await;
    assert_eq!(server.stop(), Some(0));
    let store = open(&data).await;
    assert_eq!(store.bars(&query).await.unwrap().len(), 3);
    store.close().await.unwrap();
    fixture.asked.lock().unwrap().clear();
    let server = Server::start(&data, &settings);
    wait_for_request(&fixture).await;
    drop(server);
    let (asked, _) = fixture.asked.lock().unwrap()[0].clone();
    let start = newest.to_string().replace(':', "%3A");
    assert!(asked.contains(&format!("start={start}&")), "{asked}");
}

async fn wait_for_request(fixture: &Fixture) {
    let asked = async || !fixture.asked.lock().unwrap().is_empty();
    until("a request of the provider", asked, |asked| *asked).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_words_of_a_provider_in_trouble_are_in_the_state_of_the_source_and_on_the_page() {
    let (scratch, data) = data_dir();
    let words = "You have used up your credits for this minute.";
    let (url, _) = provider(json!({"code": 429, "message": words, "status": "error"})).await;
    // Nothing is declared about errors.
    let mapping = format!(
        "url = \"{url}/{{symbol}}\"\npage_limit = 100\n[mapping]\nrows = \"values\"\ninterval = \"1m\"\n\
         [mapping.fields]\ntime = \"datetime\"\nopen = \"open\"\nhigh = \"high\"\nlow = \"low\"\n\
         close = \"close\"\n"
    );
    std::fs::write(scratch.path().join("told.toml"), mapping).unwrap();
    let settings = [
        "--source",
        "rest",
        "--set",
        "source.mapping=told.toml",
        "--set",
        "ingest.symbols=ACME",
    ];
    let server = Server::start(&data, &settings);
    let state = async || server.get("/api/pipeline").await.1;
    until(words, state, |state| state.contains(words)).await;
    let (_, page) = server.get("/pipeline").await;
    assert!(page.contains(words), "{page}");
}

async fn bars_of(
    store: &SqliteStore,
    symbol: &market::Symbol,
    interval: Interval,
) -> Vec<market::Bar> {
    let query = BarQuery {
        symbol: symbol.clone(),
        interval,
        from: Timestamp::MIN,
        until: Timestamp::MAX,
        limit: usize::MAX,
    };
    store.bars(&query).await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_trade_does_not_take_the_place_of_an_imported_bar() {
    let (scratch, data) = data_dir();
    let file = scratch.path().join("day.csv");
    let text = "symbol,date,open,high,low,close,volume\nACME,2026-06-01,10,12,9,11,1000000\n";
    std::fs::write(&file, text).unwrap();
    let import = || {
        let (file, data) = (file.display().to_string(), data.display().to_string());
        let output = support::run(&["import", &file, "--interval", "1d", "--data-dir", &data]);
        assert!(output.status.success(), "{}", support::stderr(&output));
    };
    let symbol: market::Symbol = "ACME".parse().unwrap();
    import();
    let store = open(&data).await;
    let imported = bars_of(&store, &symbol, Interval::D1).await;
    store.close().await.unwrap();
    assert_eq!((imported.len(), imported[0].volume), (1, 1_000_000.0));
    let server = Server::start(&data, &["--source", "none"]);
    let pushed = client()
        .post(format!("{}/api/ticks", server.url))
        .json(
            &json!([{"symbol": "ACME", "timestamp": "2026-06-01T14:30:00Z", "seq": 1,
                       "price": 11.5, "size": 5}]),
        )
        .send()
        .await
        .unwrap();
    assert!(pushed.status().is_success());
    assert_eq!(server.stop(), Some(0));
    let store = open(&data).await;
    assert_eq!(bars_of(&store, &symbol, Interval::D1).await, imported);
    // The trade is there beside it.
    assert_eq!(bars_of(&store, &symbol, Interval::H1).await[0].volume, 5.0);
    store.close().await.unwrap();
    import();
    let store = open(&data).await;
    assert_eq!(bars_of(&store, &symbol, Interval::D1).await, imported);
}

#[tokio::test(flavor = "multi_thread")]
async fn at_a_fresh_start_every_longer_bar_is_the_fold_of_its_minutes_while_trades_come_in() {
    let (_scratch, data) = data_dir();
    let server = Server::start(&data, &["--source", "simulated"]);
    // The past is filled in behind the first answers; then trades come for a while.
    let status = server.counted("stored", 200).await;
    let mut written = status["stages"]["bars_written"]["total"].as_u64();
    for _ in 0..600 {
        tokio::time::sleep(Duration::from_secs(2)).await;
        let now = server.pipeline().await["stages"]["bars_written"]["total"].as_u64();
        if now == written && now > Some(0) {
            break;
        }
        written = now;
    }
    assert_eq!(server.stop(), Some(0));
    let store = open(&data).await;
    let symbols = store.instruments().await.unwrap();
    assert!(symbols.len() > 3);
    let mut open_bars = 0;
    for symbol in symbols.into_iter().map(|i| i.symbol) {
        let minutes = bars_of(&store, &symbol, Interval::M1).await;
        for interval in [Interval::M5, Interval::M15, Interval::H1, Interval::D1] {
            for bar in bars_of(&store, &symbol, interval).await {
                let of_bar = |m: &&market::Bar| interval.start_of(m.start) == bar.start;
                let fold = minutes.iter().filter(of_bar).cloned().reduce(|mut a, b| {
                    a.merge(&b);
                    a
                });
                // Bars from before the minutes that are kept have none, or not all.
                if bar.start < minutes[0].start {
                    continue;
                }
                let fold = fold.unwrap();
                let numbers = |b: &market::Bar| [b.open, b.high, b.low, b.close, b.volume];
                assert_eq!(
                    numbers(&bar),
                    numbers(&fold),
                    "{symbol} {interval} {}",
                    bar.start
                );
                open_bars += usize::from(bar.trades > 0);
            }
        }
    }
    assert!(open_bars >= 3, "no bar goes on with trades");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_is_replayed_as_a_live_source() {
    let (scratch, data) = data_dir();
    let mut text = String::from("symbol,ts_us,seq,price,size\n");
    for i in 0..300_i64 {
        let ts = 1_700_000_000_000_000 + i * 1_000_000;
        text += &format!("ACME,{ts},{i},{},1\n", 100 + i % 7);
    }
    std::fs::write(scratch.path().join("day.csv"), text).unwrap();
    let settings = [
        "--source",
        "replay",
        "--set",
        "source.file=day.csv",
        "--set",
        "source.speed=max",
    ];
    let server = Server::start(&data, &settings);
    let status = server.counted("stored", 300).await;
    assert_eq!(status["stages"]["sources"][0]["name"], "replay of day.csv");
    let page = client().get(&server.url).send().await.unwrap();
    let page = page.text().await.unwrap();
    assert!(page.contains("replay of day.csv"), "{page}");
    assert!(!page.contains("simulated-banner"), "{page}");
    assert_eq!(server.stop(), Some(0));
    let store = open(&data).await;
    let query = BarQuery {
        symbol: "ACME".parse().unwrap(),
        interval: Interval::M1,
        from: Timestamp::MIN,
        until: Timestamp::MAX,
        limit: 9,
    };
    // 1,700,000,000 lies 20 s into a minute: 300 s reach into six of them.
    let trades: Vec<u64> = store
        .bars(&query)
        .await
        .unwrap()
        .iter()
        .map(|bar| bar.trades)
        .collect();
    assert_eq!(trades, [40, 60, 60, 60, 60, 20]);
}

#[test]
fn a_replay_of_a_file_that_is_not_there_does_not_start() {
    let (_scratch, data) = data_dir();
    let data = data.display().to_string();
    let output = support::run(&[
        "serve",
        "--port",
        "0",
        "--source",
        "replay",
        "--set",
        "source.file=none.csv",
        "--data-dir",
        &data,
    ]);
    assert_eq!(output.status.code(), Some(2));
    let text = support::stderr(&output);
    assert!(text.contains("none.csv"), "{text}");
}
