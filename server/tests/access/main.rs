//! Who gets at a server, and to what: hosts, origins, tokens, logins, the headers of its answers, and
//! what is written down. Each test asks a real process.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "what fails in a test's own plumbing fails the test"
)]

mod audit;
mod browsers;
mod hosts;
mod login;
mod openbb;
mod routes;
#[path = "../support/mod.rs"]
mod support;
mod tokens;

use std::path::Path;

use reqwest::{Client, RequestBuilder, Response};
use serde_json::Value;
use support::{Server, run, stderr, stdout};

/// One tick.
const TICK: &str = r#"{"symbol":"ACME","ts_us":1700000000000000,"seq":1,"price":10,"size":1}"#;

/// Makes a token in a data directory by the command, and returns it.
fn new_token(data: &Path, role: &str, name: &str) -> String {
    let data = data.display().to_string();
    let made = run(&[
        "token",
        "new",
        "--role",
        role,
        "--name",
        name,
        "--data-dir",
        &data,
    ]);
    assert!(made.status.success(), "{}", stderr(&made));
    let token = stdout(&made).trim().to_owned();
    assert!(token.starts_with("tickcast_"), "{token}");
    token
}

/// A client that follows no redirect.
fn client() -> Client {
    let _ = rustls::crypto::ring::default_provider().install_default();
    Client::builder()
        .redirect(reqwest::redirect::Policy::none())
        .build()
        .unwrap()
}

/// A client that speaks HTTP/2 from the first byte on, as one behind a proxy may.
fn client_of_http2() -> Client {
    let _ = rustls::crypto::ring::default_provider().install_default();
    Client::builder().http2_prior_knowledge().build().unwrap()
}

async fn send(request: RequestBuilder) -> Response {
    request.send().await.unwrap()
}

/// The problem that an answer is.
async fn problem(response: Response) -> Value {
    let status = response.status();
    let kind = response.headers()["content-type"]
        .to_str()
        .unwrap()
        .to_owned();
    let text = response.text().await.unwrap();
    assert_eq!(kind, "application/problem+json", "{status}: {text}");
    serde_json::from_str(&text).unwrap()
}

impl Server {
    /// The address of a path, asked through loopback whatever is bound.
    fn at(&self, path: &str) -> String {
        self.url.replace("0.0.0.0", "127.0.0.1") + path
    }
}
