//! How many rows a second each part carries, on one core: `cargo run --release -p source --example
//! source_rate`. Figures for a person; nothing is asserted.
#![expect(clippy::unwrap_used, reason = "a measurement that cannot go on stops")]

#[expect(
    dead_code,
    reason = "the server uses all of it, this measurement a part"
)]
#[path = "../../../server/src/simulate/mod.rs"]
mod simulate;

use std::{
    fmt::Write as _,
    time::{Duration, Instant},
};

use market::{TickRules, Timestamp};
use source::{
    TickSource,
    replay::{FileReplay, ReplayOptions, Speed},
    rest::{Provider, Received, RestOptions, RestSource},
    sim::{FaultOptions, Feed, MarketOptions, PageQuery},
    source_channel, ticks_from_json,
};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

const START: Timestamp = Timestamp::from_secs(1_700_000_000);
const RATE: f64 = 100_000.0;
const SECONDS: i64 = 10;

fn report(what: &str, rows: usize, took: Duration) {
    let rate = rows as f64 / took.as_secs_f64();
    println!(
        "{what:<52} {rate:>12.0} rows/s  ({:.2} s)",
        took.as_secs_f64()
    );
}

fn options() -> MarketOptions {
    MarketOptions {
        trades_per_second: RATE,
        ..MarketOptions::default()
    }
}

fn main() {
    let begin = Instant::now();
    let mut feed = Feed::new(options(), FaultOptions::default(), 0).unwrap();
    let mut query = PageQuery {
        cursor: Feed::cursor_at(START),
        limit: 1,
        listings: 0xfff,
    };
    let until = START.plus_micros(SECONDS * 1_000_000);
    feed.page(&query, until);
    println!("first page of a new exchange: {:?}", begin.elapsed());

    query.limit = 10_000;
    let mut pages = Vec::new();
    let begin = Instant::now();
    loop {
        let page = feed.page(&query, until);
        if page.count == 0 {
            break;
        }
        query.cursor = page.next;
        pages.push(page);
    }
    let rows: usize = pages.iter().map(|p| p.count).sum();
    report(
        "exchange: trades made and written as JSON",
        rows,
        begin.elapsed(),
    );

    let rules = TickRules::default();
    let arrays: Vec<Vec<u8>> = pages
        .iter()
        .map(|p| [b"[", p.rows.as_slice(), b"]"].concat())
        .collect();
    let begin = Instant::now();
    for array in &arrays {
        assert!(
            ticks_from_json(array, "push", until, &rules)
                .rejects
                .is_empty()
        );
    }
    report("push: ticks_from_json, array", rows, begin.elapsed());

    let lines: Vec<Vec<u8>> = pages
        .iter()
        .map(|p| {
            String::from_utf8_lossy(&p.rows)
                .replace("},{", "}\n{")
                .into_bytes()
        })
        .collect();
    let begin = Instant::now();
    for text in &lines {
        assert!(
            ticks_from_json(text, "push", until, &rules)
                .rejects
                .is_empty()
        );
    }
    report("push: ticks_from_json, NDJSON", rows, begin.elapsed());

    let mapping = Provider::tickcast("http://127.0.0.1:1").mapping;
    let answers: Vec<Vec<u8>> = pages
        .iter()
        .map(|p| {
            [
                br#"{"trades":["#,
                p.rows.as_slice(),
                br#"],"next_cursor":"7"}"#,
            ]
            .concat()
        })
        .collect();
    let begin = Instant::now();
    for body in &answers {
        let received = Received {
            body,
            symbol: None,
            origin: "rest",
            now: until,
            rules: &rules,
        };
        assert!(mapping.read(received).unwrap().decoded.rejects.is_empty());
    }
    report(
        "rest: mapping of the preset tickcast",
        rows,
        begin.elapsed(),
    );

    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(replayed(true));
    runtime.block_on(replayed(false));
    runtime.block_on(polled());
}

/// A tick file that is played as fast as it goes, in the order of time and not.
async fn replayed(in_order: bool) {
    const ROWS: u64 = 1_000_003;
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("ticks.csv");
    let mut text = String::from("symbol,ts_us,seq,price,size\n");
    for i in 0..ROWS {
        // 7 does not divide the prime number of rows: each comes once.
        let i = if in_order { i } else { i * 7 % ROWS };
        let ts = START.as_micros() + i as i64 * 1_000;
        writeln!(
            text,
            "S{},{ts},{i},{:.2},5",
            i % 12,
            100.0 + (i % 97) as f64 / 10.0
        )
        .unwrap();
    }
    std::fs::write(&path, text).unwrap();
    let mut options = ReplayOptions::new(&path);
    options.speed = Speed::Max;
    let (sink, mut outlet) = source_channel(8);
    let begin = Instant::now();
    let source = Box::new(FileReplay::new(options));
    let task = tokio::spawn(source.run(sink, CancellationToken::new()));
    let mut rows = 0;
    while let Some(delivered) = outlet.recv().await {
        rows += delivered.batch.rows();
        delivered.ack.taken();
    }
    task.await.unwrap().unwrap();
    let what = if in_order { "in order" } else { "to be sorted" };
    report(
        &format!("replay of a tick file, {what}"),
        rows,
        begin.elapsed(),
    );
}

/// Exchange, HTTP and source together, in one process.
async fn polled() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let base = format!("http://{}", listener.local_addr().unwrap());
    let cancel = CancellationToken::new();
    let exchange = simulate::SimulateOptions {
        market: options(),
        start: Some(START.plus_micros(SECONDS * 1_000_000)),
        ..simulate::SimulateOptions::default()
    };
    tokio::spawn(simulate::serve(listener, exchange, cancel.clone()));
    let source =
        RestSource::new(RestOptions::new("rest", Provider::tickcast(&base), START)).unwrap();
    let (sink, mut outlet) = source_channel(4);
    let begin = Instant::now();
    let task = tokio::spawn(Box::new(source).run(sink, cancel.clone()));
    let wanted = (RATE * SECONDS as f64) as usize;
    let mut rows = 0;
    while rows < wanted {
        let delivered = outlet.recv().await.unwrap();
        rows += delivered.batch.rows();
        delivered.ack.taken();
    }
    report(
        "exchange, HTTP and source together (2 threads)",
        rows,
        begin.elapsed(),
    );
    cancel.cancel();
    task.await.unwrap().unwrap();
}
