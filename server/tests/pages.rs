//! What the pages say as the server sends them, without scripts.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "what fails in a test's own plumbing fails the test"
)]

mod support;

use app::api::bars::Bars;
use axum::{Router, http::StatusCode};
use market::{Interval, Timestamp};
use serde_json::{Value, json};
use support::{Server, client, data_dir, now_us, until};

async fn page(server: &Server, path: &str) -> String {
    server.get(path).await.1
}

/// Asks for a page until it holds a text.
async fn page_with(server: &Server, path: &str, text: &str) -> String {
    until(
        text,
        async || page(server, path).await,
        |html| html.contains(text),
    )
    .await
}

#[tokio::test]
async fn without_prices_the_page_says_how_they_get_in_at_this_server() {
    let (_scratch, data) = data_dir();
    let server = Server::start(&data, &[]);
    let html = page(&server, "/").await;
    assert!(
        html.contains(&format!("{}/api/ticks", server.url)),
        "{html}"
    );
    let import = "stop the server, then";
    assert!(html.contains(import), "{html}");
    assert!(html.contains("target/release/tickcast import"), "{html}");
    assert!(html.contains("Real daily bars of 2000 to 2013"), "{html}");
}

#[tokio::test]
async fn bars_that_do_not_come_with_the_page_are_streamed_newest_page_first() {
    let (_scratch, data) = data_dir();
    let server = Server::start(&data, &[]);
    // More minutes than one page of the stream holds.
    let minutes = 6_000_i64;
    let first = Interval::M1.start_of(Timestamp::from_micros(
        now_us() - (minutes + 9) * 60_000_000,
    ));
    let row = |i: i64| {
        let ts = first.plus_micros(i * 60_000_000).as_micros();
        json!({"symbol": "ACME", "ts_us": ts, "seq": i, "price": 10 + i, "size": 1})
    };
    let rows: Vec<Value> = (0..minutes).map(row).collect();
    let post = client().post(format!("{}/api/ticks", server.url));
    let answer = post.body(Value::from(rows).to_string()).send().await;
    assert_eq!(answer.unwrap().status(), 200);
    let until = first.plus_micros((minutes - 100) * 60_000_000);
    let ask = json!({"symbol": "ACME", "interval": "1m", "until": until.as_micros()});
    let stream = client().post(format!("{}/api/backfill", server.url));
    let stream = stream.json(&ask).send().await.unwrap();
    assert_eq!(stream.status(), 200);
    let text = stream.text().await.unwrap();
    let pages: Vec<Bars> = text
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    assert!(pages.len() > 1, "one page only");
    assert_eq!(pages[0].last().unwrap().end(), until);
    let closes: Vec<f64> = pages
        .iter()
        .rev()
        .flat_map(|page| page.as_slice().iter().map(|bar| bar.close))
        .collect();
    let expected: Vec<f64> = (0..minutes - 100).map(|i| (10 + i) as f64).collect();
    assert_eq!(closes, expected);
}

#[tokio::test]
async fn the_header_leads_to_the_record_only_where_there_is_one() {
    let (_scratch, data) = data_dir();
    let server = Server::start(&data, &[]);
    let row = json!({"symbol": "ACME", "ts_us": now_us(), "seq": 1, "price": 10, "size": 1});
    let post = client().post(format!("{}/api/ticks", server.url));
    let answer = post.body(row.to_string()).send().await.unwrap();
    assert_eq!(answer.status(), 200);
    let chart = page(&server, "/s/ACME").await;
    let link = |html: &str| {
        let link = html
            .split("<a ")
            .find(|a| a.starts_with("href=\"#scoreboard-heading\""));
        link.unwrap().split('>').next().unwrap().to_owned()
    };
    assert!(!link(&chart).contains("hidden"), "{chart}");
    assert!(chart.contains("id=\"scoreboard-heading\""), "{chart}");
    for path in ["/backtest", "/pipeline"] {
        let html = page(&server, path).await;
        assert!(html.contains("href=\"#watchlist-heading\""), "{html}");
        assert!(link(&html).contains("hidden"), "{html}");
    }
}

#[tokio::test]
async fn made_up_symbols_stay_marked_when_the_source_is_another_one() {
    let (_scratch, data) = data_dir();
    let server = Server::start(&data, &["--source", "simulated"]);
    let marked = "<span class=\"tag\">simulated</span>";
    let banner = "data-testid=\"simulated-banner\"";
    // The list may have the symbol a moment before its own page has prices.
    let html = page_with(&server, "/s/NIMBU", banner).await;
    assert!(
        html.contains("watch-NIMBU") && html.contains(marked),
        "{html}"
    );
    assert!(
        page(&server, "/pipeline")
            .await
            .contains("made up by the built-in")
    );
    assert_eq!(server.stop(), Some(0));
    let server = Server::start(&data, &[]);
    let html = page(&server, "/s/NIMBU").await;
    assert!(html.contains(banner) && html.contains(marked), "{html}");
    assert!(
        !page(&server, "/pipeline")
            .await
            .contains("made up by the built-in")
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_source_that_is_refused_is_told_of_on_the_pipeline_page() {
    let (_scratch, data) = data_dir();
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("source.url=http://{}", listener.local_addr().unwrap());
    let refuse = async || (StatusCode::UNAUTHORIZED, "no such key");
    let router = Router::new().fallback(refuse);
    tokio::spawn(async move { axum::serve(listener, router).await });
    let settings = ["--source", "rest", "--set", &url];
    let server = Server::start(&data, &settings);
    let html = page_with(&server, "/pipeline", "is tried again after").await;
    assert!(html.contains("no such key"), "{html}");
    assert!(
        !html.contains("Everything that this process needs"),
        "{html}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_provider_that_cannot_be_reached_is_told_of_until_it_can() {
    let (_scratch, data) = data_dir();
    // Bound and not served: nobody else gets the port meanwhile.
    let socket = tokio::net::TcpSocket::new_v4().unwrap();
    socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let address = socket.local_addr().unwrap();
    let url = format!("source.url=http://{address}");
    let server = Server::start(&data, &["--source", "rest", "--set", &url]);
    let html = page_with(&server, "/pipeline", "is tried again after").await;
    assert!(html.contains(&address.to_string()), "{html}");
    let listener = socket.listen(16).unwrap();
    let answer = async || r#"{"trades":[],"next_cursor":"0"}"#;
    let router = Router::new().fallback(answer);
    tokio::spawn(async move { axum::serve(listener, router).await });
    page_with(&server, "/pipeline", "Everything that this process needs").await;
}
