//! What the pages say as the server sends them, without scripts.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "what fails in a test's own plumbing fails the test"
)]

mod support;

use std::time::Duration;

use axum::{Router, http::StatusCode};
use serde_json::json;
use support::{Server, client, data_dir, now_us};

async fn page(server: &Server, path: &str) -> String {
    let answer = client().get(format!("{}{path}", server.url)).send().await;
    answer.unwrap().text().await.unwrap()
}

/// Asks for a page until it holds a text.
async fn page_with(server: &Server, path: &str, text: &str) -> String {
    let mut html = String::new();
    for _ in 0..300 {
        html = page(server, path).await;
        if html.contains(text) {
            return html;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("{text:?} never came: {html}");
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
async fn the_header_leads_to_the_record_only_where_there_is_one() {
    let (_scratch, data) = data_dir();
    let server = Server::start(&data, &[]);
    let row = json!({"symbol": "ACME", "ts_us": now_us(), "seq": 1, "price": 10, "size": 1});
    let post = client().post(format!("{}/api/ticks", server.url));
    let answer = post.body(row.to_string()).send().await.unwrap();
    assert_eq!(answer.status(), 200);
    let chart = page(&server, "/s/ACME").await;
    assert!(chart.contains("href=\"#scoreboard-heading\""), "{chart}");
    assert!(chart.contains("id=\"scoreboard-heading\""), "{chart}");
    for path in ["/backtest", "/pipeline"] {
        let html = page(&server, path).await;
        assert!(html.contains("href=\"#watchlist-heading\""), "{html}");
        assert!(!html.contains("#scoreboard-heading"), "{html}");
    }
}

#[tokio::test]
async fn made_up_symbols_stay_marked_when_the_source_is_another_one() {
    let (_scratch, data) = data_dir();
    let server = Server::start(&data, &["--source", "simulated"]);
    let marked = "<span class=\"tag\">simulated</span>";
    let html = page_with(&server, "/s/NIMBU", "watch-NIMBU").await;
    assert!(html.contains("simulated-banner"), "{html}");
    // The banner speaks for all of them.
    assert!(!html.contains(marked), "{html}");
    assert_eq!(server.stop(), Some(0));
    let server = Server::start(&data, &[]);
    let html = page(&server, "/s/NIMBU").await;
    assert!(!html.contains("simulated-banner"), "{html}");
    assert!(html.contains(marked), "{html}");
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
