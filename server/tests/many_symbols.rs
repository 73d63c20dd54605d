//! Twenty thousand symbols: pages list what one can see, and the rest is found.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "what fails in a test's own plumbing fails the test"
)]

mod support;

use market::{Bar, Interval, Tick, Timestamp};
use serde_json::{Value, json};
use store::{PriceWriter as _, SqliteOptions, SqliteStore};
use support::{Server, client, data_dir};

const SYMBOLS: usize = 20_000;
/// The largest page, uncompressed. Two drawings of a chart are most of it.
const MOST_BYTES: usize = 250_000;

fn bar(symbol: &str, day: i64, close: f64) -> Bar {
    let tick = Tick {
        symbol: symbol.parse().unwrap(),
        ts: Timestamp::from_secs(day * 86_400),
        seq: 0,
        price: close,
        size: 1.0,
    };
    Bar {
        trades: 0,
        ..Bar::from_tick(&tick, Interval::D1)
    }
}

async fn page(server: &Server, path: &str) -> String {
    // As a browser: others are not sent on from the first page.
    let get = client().get(format!("{}{path}", server.url));
    let answer = get.header("accept", "text/html").send().await;
    answer.unwrap().text().await.unwrap()
}

/// The symbols on the list of a page.
fn listed(html: &str) -> Vec<&str> {
    let rows = html.split("data-testid=\"watch-").skip(1);
    rows.map(|row| row.split('"').next().unwrap()).collect()
}

#[tokio::test]
async fn twenty_thousand_symbols_leave_pages_small_and_each_can_be_found() {
    let (_scratch, data) = data_dir();
    let store = SqliteStore::open(SqliteOptions::new(&data)).await.unwrap();
    let mut bars: Vec<Bar> = (0..SYMBOLS)
        .map(|n| bar(&format!("S{n:05}"), 15_000, 10.0))
        .collect();
    bars.extend((0..300).map(|day| bar("ZETA", 15_000 + day, 10.0 + (day % 7) as f64)));
    store.put_bars(bars).await.unwrap();
    store.close().await.unwrap();
    let server = Server::start(&data, &[]);

    for path in [
        "/",
        "/s/S19999",
        "/s/ZETA",
        "/s/NOBODY",
        "/backtest",
        "/pipeline",
    ] {
        let html = page(&server, path).await;
        assert!(html.len() < MOST_BYTES, "{path} has {} bytes", html.len());
        assert!(listed(&html).len() <= 51, "{path}");
        assert!(html.contains("data-testid=\"find-symbol\""), "{path}");
    }
    let html = page(&server, "/s/S19999").await;
    let rows = listed(&html);
    assert_eq!((rows[0], rows[1], rows.len()), ("S19999", "S00000", 51));
    let current = html.split("data-testid=\"watch-S19999\"").nth(1).unwrap();
    assert!(
        current
            .split('>')
            .next()
            .unwrap()
            .contains("aria-current=\"page\"")
    );

    // By how a name begins, by what it holds, and page by page; as a form sends it without scripts.
    let html = page(&server, "/s/ZETA?find=s1234").await;
    let found: Vec<String> = (0..10).map(|n| format!("S1234{n}")).collect();
    assert_eq!(listed(&html)[1..], found);
    assert_eq!(listed(&page(&server, "/s/ZETA?find=eta").await), ["ZETA"]);
    let html = page(&server, "/s/S00000?find=&after=11S00049").await;
    assert_eq!(listed(&html)[..3], ["S00000", "S00050", "S00051"]);
    let html = page(&server, "/s/ZETA?find=nothing").await;
    assert!(html.contains("None found."), "{html}");

    let ask = json!({"find": "zet", "after": "", "current": ""});
    let post = client().post(format!("{}/api/overview", server.url));
    let answer = post.json(&ask).send().await.unwrap();
    let body: Value = answer.json().await.unwrap();
    assert_eq!(body[1]["rows"][0]["symbol"], "ZETA");
    assert_eq!(body[1]["next"], "");

    // The form of a backtest keeps what is chosen beside what is found.
    let html = page(&server, "/backtest?symbol=ZETA&find_symbol=S0777").await;
    assert!(html.contains("value=\"ZETA\" checked"), "{html}");
    assert_eq!(html.matches("data-testid=\"symbol-S0777").count(), 10);
    let html = page(&server, "/backtest?symbol=ZETA").await;
    assert!(html.contains("data-testid=\"backtest-more\""), "{html}");
    assert!(html.matches("name=\"symbol\"").count() <= 26, "{html}");
}
