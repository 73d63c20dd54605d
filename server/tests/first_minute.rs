//! What a newcomer sees: which symbol, interval and model come first, what is said of real prices, of made
//! up ones and of few, and a backtest whose defaults run.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "what fails in a test's own plumbing fails the test"
)]

mod support;

use serde_json::{Value, json};
use support::{Server, client, data_dir, now_us, run, stderr, stdout, until};

const SAMPLE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../data/stocks-daily.csv.gz");
const BANNER: &str = "data-testid=\"simulated-banner\"";

/// A page, and where it is after redirects.
async fn page(server: &Server, path: &str) -> (String, String) {
    // As a browser: others are not sent on from the first page.
    let get = client().get(format!("{}{path}", server.url));
    let answer = get.header("accept", "text/html").send().await;
    let answer = answer.unwrap();
    let at = answer.url().path().to_owned();
    (at, answer.text().await.unwrap())
}

/// Asks for a page until it holds a text.
async fn page_with(server: &Server, path: &str, text: &str) -> (String, String) {
    until(
        text,
        async || page(server, path).await,
        |(_, html)| html.contains(text),
    )
    .await
}

async fn load_sample_data(server: &Server) {
    let load = client().post(format!("{}/api/load_sample_data", server.url));
    assert!(load.send().await.unwrap().status().is_success());
}

async fn push(server: &Server, rows: Value) {
    let post = client().post(format!("{}/api/ticks", server.url));
    let answer = post.body(rows.to_string()).send().await.unwrap();
    assert_eq!(answer.status(), 200);
}

/// The text of the first element that stands behind `mark`.
fn text_behind<'a>(html: &'a str, mark: &str) -> &'a str {
    let (_, rest) = html
        .split_once(mark)
        .unwrap_or_else(|| panic!("no {mark} in {html}"));
    let (_, text) = rest.split_once('>').unwrap();
    text.split('<').next().unwrap()
}

#[tokio::test]
async fn the_first_page_has_history_and_a_model_beside_naive_and_says_what_this_is() {
    let (_scratch, data) = data_dir();
    let server = Server::start(&data, &["--source", "simulated"]);
    // Until the past of the exchange is filled in, its intervals one after the other.
    let minutes = "aria-current=\"true\" data-testid=\"interval-1m\"";
    let (at, html) = page_with(&server, "/", minutes).await;
    assert!(html.contains("<option value=\"theta\" selected>"), "{html}");
    assert!(at.starts_with("/s/"), "{at}");
    assert!(
        html.contains("Tickcast forecasts prices as they come"),
        "{html}"
    );
    assert!(html.contains("<noscript><p"), "{html}");
    // The chart's own description: at least a line of bars, and a fan.
    let bars = text_behind(&html, "<desc");
    let count: usize = bars.split(' ').next().unwrap().parse().unwrap();
    assert!(count >= 60, "{bars}");
    assert!(html.contains("Forecast by theta, 10 steps ahead"), "{html}");
}

#[tokio::test]
async fn real_prices_carry_no_banner_of_made_up_ones_and_say_when_they_ended() {
    let (_scratch, data) = data_dir();
    let server = Server::start(&data, &["--source", "simulated"]);
    load_sample_data(&server).await;
    let (_, html) = page(&server, "/s/AAPL").await;
    assert!(!html.contains(BANNER), "{html}");
    let standing = text_behind(&html, "data-testid=\"standing\"");
    assert_eq!(standing, "ended 2013-03-01");
    let (_, html) = page_with(&server, "/s/NIMBU", "watch-NIMBU").await;
    assert!(html.contains(BANNER), "{html}");
    assert!(
        html.contains("<span class=\"tag\">ended 2013-03-01</span>"),
        "{html}"
    );
}

#[tokio::test]
async fn three_ticks_are_no_first_page_and_give_no_interval_without_width() {
    let (_scratch, data) = data_dir();
    let server = Server::start(&data, &[]);
    load_sample_data(&server).await;
    let second = now_us() / 1_000_000 - 60;
    let row = |n: i64| json!({"symbol": "NEW", "ts_us": (second + n) * 1_000_000, "seq": n, "price": 10, "size": 1});
    push(&server, json!([row(1), row(2), row(3)])).await;
    let (at, _) = page(&server, "/").await;
    assert_eq!(at, "/s/AAPL");
    for model in ["naive", "drift", "theta"] {
        let (_, html) = page(&server, &format!("/s/NEW?model={model}&interval=1s")).await;
        assert!(html.contains("No forecast:"), "{model}: {html}");
        let ask = json!({"symbol": "NEW", "interval": "1s", "model": model, "horizon": 2});
        let post = client().post(format!("{}/predict", server.url));
        let answer = post.json(&ask).send().await.unwrap();
        assert_eq!(answer.status(), 422, "{model}");
        let problem: Value = answer.json().await.unwrap();
        assert_eq!(problem["field"], "symbol", "{problem}");
    }
    // Alone it is the first page, and says what is missing.
    let (_scratch, data) = data_dir();
    let server = Server::start(&data, &[]);
    push(&server, json!([row(1), row(2), row(3)])).await;
    let (at, html) = page(&server, "/").await;
    assert_eq!(at, "/s/NEW");
    assert!(html.contains("No forecast:"), "{html}");
}

#[tokio::test]
async fn the_defaults_of_a_backtest_run_on_a_fresh_install() {
    let (_scratch, data) = data_dir();
    let server = Server::start(&data, &["--source", "simulated"]);
    // Until the past of the exchange is filled in.
    let (_, html) = page_with(&server, "/backtest", "with a horizon of 5 need").await;
    assert!(html.contains("data-testid=\"backtest-check\""), "{html}");
    let (_, html) = page_with(&server, "/backtest?wait=1", "data-testid=\"verdict-theta\"").await;
    assert!(!html.contains("There is no result"), "{html}");
    assert!(
        html.contains("data-testid=\"backtest-simulated\""),
        "{html}"
    );
    assert!(html.contains("Season: "), "{html}");
}

#[tokio::test]
async fn a_backtest_that_cannot_be_is_not_begun_and_says_what_would_fit() {
    let (_scratch, data) = data_dir();
    let server = Server::start(&data, &[]);
    load_sample_data(&server).await;
    let search = "symbol=FB&interval=1d&model=mean&horizon=5&origins=4000";
    let (_, html) = page(&server, &format!("/backtest?{search}")).await;
    let check = text_behind(&html, "data-testid=\"backtest-check\"");
    assert!(check.contains("of FB. That is too few: "), "{check}");
    let post = client().post(format!("{}/api/backtest", server.url));
    let answer = post.json(&json!({"search": search})).send().await.unwrap();
    assert_eq!(answer.status(), 422);
    let problem: Value = answer.json().await.unwrap();
    assert_eq!(problem["field"], "origins", "{problem}");
    assert!(
        problem["detail"]
            .as_str()
            .unwrap()
            .contains("observations, got"),
        "{problem}"
    );
    let search = "symbol=FB&interval=1d&model=mean&horizon=5&origins=10";
    let (_, html) = page(&server, &format!("/backtest?{search}")).await;
    let check = text_behind(&html, "data-testid=\"backtest-check\"");
    assert!(check.contains("The first fit sees"), "{check}");
}

#[tokio::test]
async fn the_page_and_the_command_line_use_the_same_season_and_say_which() {
    let (_scratch, data) = data_dir();
    let server = Server::start(&data, &[]);
    load_sample_data(&server).await;
    let choice = "symbol=AAPL&interval=1d&model=mean&horizon=5&origins=20&scale=price&wait=1";
    let (_, html) = page(&server, &format!("/backtest?{choice}")).await;
    assert!(html.contains("Season: 5 bars"), "{html}");
    let (_, row) = html.split_once("<th scope=\"row\">naive</th>").unwrap();
    let mase = text_behind(row, "<td");
    let output = run(&[
        "backtest",
        "--input",
        SAMPLE,
        "--id",
        "Ticker",
        "--column",
        "Adj Close",
        "--model",
        "mean",
        "--horizon",
        "5",
        "--origins",
        "20",
        "--format",
        "json",
    ]);
    assert!(output.status.success(), "{}", stderr(&output));
    let said = stderr(&output);
    assert!(
        said.contains("season 5, since the times lie 1d apart"),
        "{said}"
    );
    let reports: Value = serde_json::from_str(&stdout(&output)).unwrap();
    let all = reports.as_array().unwrap().iter();
    let apple = all.clone().find(|report| report["id"] == "AAPL").unwrap();
    assert_eq!(apple["layout"]["options"]["season"], 5);
    let models = apple["models"].as_array().unwrap().iter();
    let naive = models.clone().find(|row| row["model"] == "naive").unwrap();
    let wanted = naive["measures"]["mase"].as_f64().unwrap();
    assert_eq!(mase, format!("{wanted:.3}"));
}
