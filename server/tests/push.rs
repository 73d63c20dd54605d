//! `POST /api/ticks`: what it stores, what it refuses, and that an answer means stored.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "what fails in a test's own plumbing fails the test"
)]

mod support;

use market::Timestamp;
use serde_json::{Value, json};
use store::{PriceReader as _, SqliteOptions, SqliteStore};
use support::{Server, client, data_dir, now_us, run, stderr, stdout};

async fn post(server: &Server, body: String) -> (u16, Value) {
    let response = client()
        .post(format!("{}/api/ticks", server.url))
        .body(body)
        .send()
        .await
        .unwrap();
    (response.status().as_u16(), response.json().await.unwrap())
}

#[tokio::test]
async fn good_rows_go_in_around_bad_ones_and_a_repeat_changes_nothing() {
    let (_scratch, data) = data_dir();
    let server = Server::start(&data, &[]);
    let now = now_us();
    let rows = json!([
        {"symbol": "ACME", "ts_us": now, "seq": 1, "price": 10.0, "size": 1},
        {"symbol": "ACME", "ts_us": now, "seq": 2, "price": -1.0, "size": 1},
        {"symbol": "ACME", "ts_us": now + 3_600_000_000_i64, "seq": 3, "price": 10.0, "size": 1},
        {"symbol": "no symbol", "ts_us": now, "seq": 4, "price": 10.0, "size": 1},
        {"symbol": "ACME", "ts_us": now, "seq": 5, "price": 11.0, "size": 1},
    ]);
    let (status, answer) = post(&server, rows.to_string()).await;
    assert_eq!(status, 200, "{answer}");
    assert_eq!(
        (&answer["stored"], &answer["rejected"]),
        (&json!(2), &json!(3)),
        "{answer}"
    );
    let (_, again) = post(&server, rows.to_string()).await;
    assert_eq!(
        (&again["stored"], &again["duplicates"]),
        (&json!(0), &json!(2)),
        "{again}"
    );
}

#[tokio::test]
async fn ndjson_and_a_single_object_are_taken_too() {
    let (_scratch, data) = data_dir();
    let server = Server::start(&data, &[]);
    let row = |seq: u64| {
        json!({"symbol": "ACME", "timestamp": "2024-03-01T14:30:00Z", "seq": seq, "price": 1.5, "size": 2})
            .to_string()
    };
    let (_, answer) = post(&server, format!("{}\n{}\n", row(1), row(2))).await;
    assert_eq!(answer["stored"], 2, "{answer}");
    let (_, answer) = post(&server, row(3)).await;
    assert_eq!(answer["stored"], 1, "{answer}");
}

#[tokio::test]
async fn a_body_without_a_usable_row_is_a_problem_that_names_the_field() {
    let (_scratch, data) = data_dir();
    let server = Server::start(&data, &[]);
    let body = json!({"symbol": "ACME", "ts_us": now_us(), "seq": 1, "price": 0, "size": 1});
    let response = client()
        .post(format!("{}/api/ticks", server.url))
        .body(body.to_string())
        .send()
        .await
        .unwrap();
    assert_eq!(response.status(), 422);
    assert_eq!(
        response.headers()["content-type"],
        "application/problem+json"
    );
    let problem: Value = response.json().await.unwrap();
    assert_eq!(
        (&problem["kind"], &problem["field"]),
        (&json!("invalid"), &json!("price"))
    );
    let (status, problem) = post(&server, "{\"symbol\": \"ACM".into()).await;
    assert_eq!(
        (status, &problem["field"]),
        (422, &json!("body")),
        "{problem}"
    );
}

#[tokio::test]
async fn the_field_named_is_the_one_that_is_wrong() {
    let (_scratch, data) = data_dir();
    let server = Server::start(&data, &[]);
    let tick = json!({"symbol": "ACME", "ts_us": now_us(), "seq": 1, "price": 10, "size": 1});
    let bar = json!({"symbol": "ACME", "ts_us": now_us() - 90_000_000, "interval": "1m",
                     "open": 10, "high": 12, "low": 9, "close": 11, "volume": 5});
    let cases = [
        (&tick, "price", Some(json!("dear")), "price"),
        (&tick, "price", None, "price"),
        (&tick, "symbol", None, "symbol"),
        (&tick, "symbol", Some(json!("no symbol")), "symbol"),
        (&tick, "symbol", Some(json!(7)), "symbol"),
        (&tick, "ts_us", None, "timestamp"),
        (&tick, "ts_us", Some(json!("soon")), "timestamp"),
        (&tick, "size", Some(json!(-1)), "size"),
        (&tick, "seq", Some(json!(-1)), "seq"),
        (&tick, "schema_version", Some(json!(9)), "schema_version"),
        (&bar, "high", Some(json!(8)), "high"),
        (&bar, "open", Some(json!(13)), "open"),
        (&bar, "close", Some(json!(1)), "close"),
        (&bar, "low", Some(json!("deep")), "low"),
        (&bar, "volume", Some(json!(-5)), "volume"),
        (&bar, "interval", Some(json!("2m")), "interval"),
        (&bar, "interval", Some(json!(2)), "interval"),
    ];
    for (row, key, value, expected) in cases {
        let mut row = row.clone();
        match value {
            Some(value) => row[key] = value,
            None => drop(row.as_object_mut().unwrap().remove(key)),
        }
        let (status, problem) = post(&server, row.to_string()).await;
        assert_eq!(
            (status, &problem["field"]),
            (422, &json!(expected)),
            "{row}: {problem}"
        );
    }
}

#[tokio::test]
async fn a_body_that_is_too_large_is_refused_as_such() {
    let (_scratch, data) = data_dir();
    let server = Server::start(&data, &[]);
    let response = client()
        .post(format!("{}/api/ticks", server.url))
        .body(vec![b' '; 32 * 1024 * 1024 + 1])
        .send()
        .await
        .unwrap();
    assert_eq!(response.status(), 413);
    assert_eq!(response.json::<Value>().await.unwrap()["field"], "body");
}

#[tokio::test]
async fn a_browser_on_another_site_may_not_post() {
    let (_scratch, data) = data_dir();
    let server = Server::start(&data, &[]);
    let response = client()
        .post(format!("{}/api/ticks", server.url))
        .header("origin", "https://elsewhere.example")
        .body("[]")
        .send()
        .await
        .unwrap();
    assert_eq!(response.status(), 403);
}

#[tokio::test]
async fn after_kill_9_every_acknowledged_row_is_there_once() {
    let (_scratch, data) = data_dir();
    let mut acknowledged: Vec<u64> = Vec::new();
    let mut next = 0_u64;
    for round in 0..4_u64 {
        let server = Server::start(&data, &[]);
        let client = client();
        // Each round is killed after another number of answers, with a post under way.
        for _ in 0..5 + round * 7 {
            let ts = now_us();
            let rows: Vec<Value> = (next..next + 50)
                .map(|seq| json!({"symbol": "ACME", "ts_us": ts, "seq": seq, "price": 1.0, "size": 1}))
                .collect();
            let response = client
                .post(format!("{}/api/ticks", server.url))
                .body(Value::from(rows).to_string())
                .send()
                .await
                .unwrap();
            assert_eq!(response.status(), 200);
            acknowledged.extend(next..next + 50);
            next += 50;
        }
        let ts = now_us();
        let rows: Vec<Value> = (next..next + 5_000)
            .map(|seq| json!({"symbol": "ACME", "ts_us": ts, "seq": seq, "price": 1.0, "size": 1}))
            .collect();
        next += 5_000;
        let under_way = client
            .post(format!("{}/api/ticks", server.url))
            .body(Value::from(rows).to_string())
            .send();
        let (_, _) = tokio::join!(under_way, async {
            tokio::time::sleep(std::time::Duration::from_millis(3 * round)).await;
            server.kill();
        });
    }
    let store = SqliteStore::open(SqliteOptions::new(&data)).await.unwrap();
    let symbol = "ACME".parse().unwrap();
    let ticks = store
        .ticks(&symbol, Timestamp::MIN, Timestamp::MAX, 1_000_000)
        .await
        .unwrap();
    let mut stored: Vec<u64> = ticks.iter().map(|t| t.seq).collect();
    stored.sort_unstable();
    assert!(
        stored.windows(2).all(|w| w[0] != w[1]),
        "a row is stored twice"
    );
    let missing = acknowledged
        .iter()
        .filter(|seq| stored.binary_search(seq).is_err())
        .count();
    assert_eq!(missing, 0, "acknowledged rows are missing");
}

#[tokio::test]
async fn a_symbol_whose_prices_come_as_bars_is_live() {
    let (_scratch, data) = data_dir();
    let server = Server::start(&data, &[]);
    let minute = now_us() / 60_000_000 * 60_000_000;
    let bars: Vec<Value> = (0..30)
        .map(|n| {
            json!({"symbol": "ACME", "ts_us": minute - n * 60_000_000, "interval": "1m",
                   "open": 10, "high": 12, "low": 9, "close": 11, "volume": 5})
        })
        .collect();
    let (status, answer) = post(&server, Value::from(bars).to_string()).await;
    assert_eq!(status, 200, "{answer}");
    let query = json!({"query": {"symbol": "ACME", "interval": "1m", "model": "naive",
                                 "horizon": 5, "bars": 100}});
    let asked = client().post(format!("{}/api/chart", server.url));
    let chart = asked.json(&query).send().await.unwrap();
    let chart: Value = chart.json().await.unwrap();
    assert_eq!(chart["live"], true, "{chart}");
    let page = client().get(format!("{}/s/ACME?interval=1m", server.url));
    let page = page.send().await.unwrap().text().await.unwrap();
    assert!(!page.contains("Imported history"), "{page}");
}

#[tokio::test(flavor = "multi_thread")]
async fn more_dead_letters_than_a_page_are_listed_and_a_reader_may_stop_reading() {
    let (_scratch, data) = data_dir();
    let server = Server::start(&data, &["--set", "limits.push_rejects=1500"]);
    let row = |seq: i64, price: i64| {
        json!({"symbol": "ACME", "ts_us": now_us(), "seq": seq, "price": price}).to_string()
    };
    let mut rows: Vec<String> = (0..1_500).map(|seq| row(seq, -1)).collect();
    rows.push(row(1_500, 1));
    let (status, answer) = post(&server, rows.join("\n")).await;
    assert_eq!(
        (status, &answer["rejected"]),
        (200, &json!(1_500)),
        "{answer}"
    );
    let list = [
        "deadletters",
        "list",
        "--json",
        "--limit",
        "1200",
        "--url",
        &server.url,
    ];
    let listed = tokio::task::block_in_place(|| run(&list));
    let ids: std::collections::BTreeSet<i64> = stdout(&listed)
        .lines()
        .map(|line| {
            serde_json::from_str::<Value>(line).unwrap()["id"]
                .as_i64()
                .unwrap()
        })
        .collect();
    assert_eq!(ids.len(), 1_200, "{}", stderr(&listed));
    // As `| head -0`: nobody reads.
    let mut unread = std::process::Command::new(env!("CARGO_BIN_EXE_tickcast"))
        .args(list)
        .stdout(std::process::Stdio::piped())
        .stderr(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    drop(unread.stdout.take());
    let ended = tokio::task::block_in_place(|| unread.wait_with_output().unwrap());
    assert_eq!(
        (ended.status.code(), stderr(&ended)),
        (Some(0), String::new())
    );
}
