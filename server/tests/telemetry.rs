//! What a server tells of itself: metrics, and trace ids.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "what fails in a test's own plumbing fails the test"
)]

mod support;

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;
use support::{Server, client, data_dir, until};

#[tokio::test]
async fn every_metric_has_words_and_durations_are_histograms() {
    let (_scratch, data) = data_dir();
    let server = Server::start(&data, &["--source", "simulated", "--rate", "200"]);
    let get = async |path: &str| {
        let answer = client().get(format!("{}{path}", server.url)).send().await;
        answer.unwrap().text().await.unwrap()
    };
    for path in [
        "/",
        "/healthz",
        "/api/pipeline",
        "/no-such-page",
        "/metrics",
    ] {
        get(path).await;
    }
    // Until the first trade is stored.
    let stored = |text: &String| text.contains("tickcast_store_commit_seconds");
    let text = until("a commit", async || get("/metrics").await, stored).await;
    let mut types = BTreeMap::new();
    let mut helped = BTreeSet::new();
    let mut counted = BTreeSet::new();
    for line in text.lines().filter(|line| !line.is_empty()) {
        if let Some(rest) = line.strip_prefix("# TYPE ") {
            let (name, kind) = rest.split_once(' ').unwrap();
            types.insert(name, kind);
        } else if let Some(rest) = line.strip_prefix("# HELP ") {
            let (name, words) = rest.split_once(' ').unwrap();
            assert!(words.len() > 3, "{line}");
            helped.insert(name);
        } else {
            counted.insert(line.split(['{', ' ']).next().unwrap());
        }
    }
    for (name, kind) in &types {
        assert_ne!(*kind, "summary", "{name}");
        assert!(helped.contains(name), "{name} has no words");
    }
    for name in [
        "process_cpu_seconds_total",
        "process_resident_memory_bytes",
        "process_open_fds",
    ] {
        assert!(counted.contains(name), "{name} is missing in {text}");
    }
    assert_eq!(types["tickcast_http_request_seconds"], "histogram");
    assert_eq!(types["tickcast_store_commit_seconds"], "histogram");
    assert!(
        text.contains(
            "tickcast_http_requests_total{method=\"GET\",route=\"/healthz\",status=\"200\"}"
        ),
        "{text}"
    );
    // What anybody may make up is no label.
    assert!(!text.contains("no-such-page"), "{text}");
}

#[tokio::test]
async fn a_problem_names_its_trace_and_goes_on_with_the_callers() {
    let (_scratch, data) = data_dir();
    let server = Server::start(&data, &[]);
    let url = format!("{}/api/nothing", server.url);
    let trace = "4bf92f3577b34da6a3ce929d0e0e4736";
    let parent = format!("00-{trace}-00f067aa0ba902b7-01");
    let answer = client()
        .get(&url)
        .header("traceparent", parent)
        .send()
        .await
        .unwrap();
    assert_eq!(answer.headers()["x-trace-id"], trace);
    let problem: Value = answer.json().await.unwrap();
    assert_eq!(problem["trace_id"], trace, "{problem}");
    let own: Value = client()
        .get(&url)
        .send()
        .await
        .unwrap()
        .json()
        .await
        .unwrap();
    let id = own["trace_id"].as_str().unwrap();
    assert!(id.len() == 32 && id != trace, "{own}");
}

#[test]
fn requests_are_logged_in_the_share_that_is_set() {
    use std::{
        io::{BufRead as _, BufReader, Read as _, Write as _},
        process::Stdio,
    };
    let lines_of = |share: &str| {
        let (scratch, data) = data_dir();
        let log = scratch.path().join("log");
        let mut command = support::tickcast();
        command
            .args(["serve", "--port", "0", "--source", "none", "--data-dir"])
            .arg(&data)
            .args([
                "--set",
                &format!("log.access={share}"),
                "--set",
                "log.format=json",
            ])
            .stdout(Stdio::piped())
            .stderr(std::fs::File::create(&log).unwrap())
            .current_dir(scratch.path());
        let mut child = command.spawn().unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.as_mut().unwrap())
            .read_line(&mut line)
            .unwrap();
        let address = line
            .split("http://")
            .nth(1)
            .unwrap()
            .split_whitespace()
            .next()
            .unwrap();
        for _ in 0..5 {
            let mut stream = std::net::TcpStream::connect(address).unwrap();
            let head = format!(
                "GET /healthz?secret=1 HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n"
            );
            stream.write_all(head.as_bytes()).unwrap();
            stream.read_to_string(&mut String::new()).unwrap();
        }
        child.kill().unwrap();
        child.wait().unwrap();
        let log = std::fs::read_to_string(log).unwrap();
        assert!(!log.contains("secret"), "{log}");
        log.lines()
            .filter(|line| line.contains("tickcast::access"))
            .map(str::to_owned)
            .collect::<Vec<_>>()
    };
    assert!(lines_of("0").is_empty());
    let lines = lines_of("1");
    assert_eq!(lines.len(), 5, "{lines:?}");
    let line: Value = serde_json::from_str(&lines[0]).unwrap();
    let fields = &line["fields"];
    assert_eq!(
        (&fields["method"], &fields["path"], &fields["status"]),
        (&"GET".into(), &"/healthz".into(), &200.into()),
        "{line}"
    );
    assert_eq!(fields["trace"].as_str().unwrap().len(), 32);
}
