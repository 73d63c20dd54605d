//! Whatever goes wrong over HTTP is answered as problem+json with a kind and, where one is at fault,
//! the field.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "what fails in a test's own plumbing fails the test"
)]

mod support;

use reqwest::Method;
use serde_json::Value;
use support::{Server, client, data_dir, run, stderr};

/// Asks, and checks that the answer is a problem of this status, kind and field.
async fn problem(server: &Server, method: Method, path: &str, expected: (u16, &str, &str)) {
    problem_of(server, method, path, "", expected).await;
}

/// The same, of a request with a body of JSON, if it is not empty.
async fn problem_of(
    server: &Server,
    method: Method,
    path: &str,
    body: &str,
    expected: (u16, &str, &str),
) {
    let url = format!("{}{path}", server.url);
    let mut request = client().request(method.clone(), url);
    if !body.is_empty() {
        request = request
            .header("content-type", "application/json")
            .body(body.to_owned());
    }
    let response = request.send().await.unwrap();
    let asked = format!("{method} {path} {body}");
    let (status, kind) = (
        response.status().as_u16(),
        response.headers().get("content-type").cloned(),
    );
    let text = response.text().await.unwrap();
    assert_eq!(kind.unwrap(), "application/problem+json", "{asked}: {text}");
    let problem: Value = serde_json::from_str(&text).unwrap();
    let got = (
        status,
        problem["kind"].as_str().unwrap(),
        problem["field"].as_str().unwrap_or_default(),
    );
    assert_eq!(got, expected, "{asked}: {text}");
    assert_eq!(problem["status"], status, "{asked}: {text}");
}

#[tokio::test]
async fn unknown_addresses_and_methods_are_problems_and_an_unknown_page_stays_a_page() {
    let (_scratch, data) = data_dir();
    let server = Server::start(&data, &[]);
    for path in ["/api/tiks", "/api/pipeline/more", "/api/deadletters/9"] {
        problem(&server, Method::GET, path, (404, "not_found", "path")).await;
    }
    problem(&server, Method::POST, "/api/x", (404, "not_found", "path")).await;
    for (method, path) in [
        (Method::GET, "/api/ticks"),
        (Method::GET, "/predict"),
        (Method::DELETE, "/api/deadletters"),
        (Method::POST, "/healthz"),
        (Method::GET, "/api/overview"),
        (Method::POST, "/live"),
    ] {
        problem(&server, method, path, (405, "invalid", "method")).await;
    }
    let refused = client().get(format!("{}/api/ticks", server.url)).send();
    assert_eq!(refused.await.unwrap().headers()["allow"], "POST");
    let page = client().get(format!("{}/no-such-page", server.url)).send();
    let page = page.await.unwrap();
    assert_eq!(page.status(), 404);
    let kind = page.headers()["content-type"].to_str().unwrap();
    assert!(kind.starts_with("text/html"), "{kind}");
}

#[tokio::test]
async fn server_functions_answer_with_problems_too() {
    let (_scratch, data) = data_dir();
    let server = Server::start(&data, &[]);
    let chart = r#"{"query":{"symbol":"NOBODY","model":"naive","horizon":5,"bars":100}}"#;
    let forecast = r#"{"symbol":"NOBODY","interval":"1m","model":"nonsense","horizon":5}"#;
    for (path, body, expected) in [
        ("/api/chart", chart, (404, "not_found", "symbol")),
        ("/api/chart", "{}", (422, "invalid", "query")),
        ("/api/chart", "{\"query\"", (422, "invalid", "")),
        ("/api/forecast", forecast, (422, "invalid", "model")),
        (
            "/api/backtest",
            r#"{"search":"symbols=ABC&models=naive&horizon=x"}"#,
            (422, "invalid", "horizon"),
        ),
    ] {
        problem_of(&server, Method::POST, path, body, expected).await;
    }
}

#[tokio::test]
async fn a_plain_get_of_a_websocket_says_that_it_is_one() {
    let (_scratch, data) = data_dir();
    let server = Server::start(&data, &[]);
    for path in ["/live", "/forecast"] {
        problem(&server, Method::GET, path, (400, "invalid", "connection")).await;
    }
}

#[tokio::test]
async fn a_parameter_of_the_dead_letters_is_named_when_it_is_wrong() {
    let (_scratch, data) = data_dir();
    let server = Server::start(&data, &[]);
    for (query, field) in [
        ("reason=bad", "reason"),
        ("after=x", "after"),
        ("limit=-1", "limit"),
        ("reason=bad_price&colour=red", "colour"),
    ] {
        let path = format!("/api/deadletters?{query}");
        problem(&server, Method::GET, &path, (422, "invalid", field)).await;
        let path = format!("/api/deadletters/replay?{query}");
        problem(&server, Method::POST, &path, (422, "invalid", field)).await;
    }
    let good = "/api/deadletters?reason=bad_price&after=3&limit=5";
    let url = format!("{}{good}", server.url);
    assert_eq!(client().get(url).send().await.unwrap().status(), 200);
}

#[test]
fn dead_letters_asked_where_nobody_listens_give_the_cause_and_the_address_once() {
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", free.local_addr().unwrap());
    drop(free);
    let output = run(&["deadletters", "--url", &url]);
    assert_eq!(output.status.code(), Some(1));
    let text = stderr(&output);
    assert!(text.contains("Connection refused"), "{text}");
    assert_eq!(text.matches(&url).count(), 1, "{text}");
}
