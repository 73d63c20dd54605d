//! `tickcast simulate` as a process: where its settings come from, its faults, and `serve` on it.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "what fails in a test's own plumbing fails the test"
)]

mod support;

use serde_json::{Value, json};
use support::{Server, client, data_dir, run, stderr, tickcast};

async fn get(url: String) -> Value {
    client()
        .get(url)
        .send()
        .await
        .unwrap()
        .json()
        .await
        .unwrap()
}

fn exchange(directory: &std::path::Path, flags: &[&str], environment: &[(&str, &str)]) -> Server {
    let mut command = tickcast();
    command.args(["simulate", "--port", "0"]).args(flags);
    command.envs(environment.iter().copied());
    Server::spawn(command, directory)
}

#[tokio::test]
async fn seed_and_rate_come_from_the_file_the_environment_and_flags_in_that_order() {
    let scratch = tempfile::tempdir().unwrap();
    let file = scratch.path().join("tickcast.toml");
    std::fs::write(file, "[simulate]\nseed = 7\nrate = 8\n").unwrap();
    let rate = [("TICKCAST_SIMULATE_RATE", "9")];
    for (flags, environment, expected) in [
        (&[][..], &[][..], (7, 8.0)),
        (&[], &rate, (7, 9.0)),
        (&["--rate", "10", "--seed", "11"], &rate, (11, 10.0)),
    ] {
        let exchange = exchange(scratch.path(), flags, environment);
        let status = get(exchange.url.clone()).await;
        assert_eq!(status["market"]["seed"], json!(expected.0), "{status}");
        let rate = &status["market"]["trades_per_second"];
        assert_eq!(*rate, json!(expected.1), "{status}");
    }
}

#[tokio::test]
async fn each_flag_of_a_fault_makes_that_fault() {
    let scratch = tempfile::tempdir().unwrap();
    let flags = [
        "--latency-ms=1",
        "--latency-jitter-ms=2",
        "--errors=0.1",
        "--throttled=0.2",
        "--retry-after-s=3",
        "--malformed=0.4",
        "--duplicates=0.5",
        "--late=0.6",
        "--out-of-order=0.7",
    ];
    let with_all = exchange(scratch.path(), &flags, &[]);
    let expected = json!({
        "latency_ms": 1, "latency_jitter_ms": 2, "error_share": 0.1, "throttle_share": 0.2,
        "retry_after_s": 3, "malformed_share": 0.4, "duplicate_share": 0.5, "late_share": 0.6,
        "out_of_order_share": 0.7,
    });
    assert_eq!(get(with_all.url.clone()).await["faults"], expected);
    for (flags, status) in [
        (&["--errors=1"][..], 500),
        (&["--throttled=1", "--retry-after-s=3"], 429),
    ] {
        let broken = exchange(scratch.path(), flags, &[]);
        let url = broken.url.replace("status", "symbols");
        let answer = client().get(url).send().await.unwrap();
        assert_eq!(answer.status(), status);
        let wait = answer.headers().get("retry-after");
        assert_eq!(wait.is_some_and(|w| w == "3"), status == 429);
    }
}

#[test]
fn a_port_in_use_and_a_share_that_is_none_end_with_one_line_and_code_2() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port().to_string();
    for (flags, expected) in [
        (["--port", &*port], "is in use"),
        (["--errors", "2"], "error_share"),
        (["--rate", "0"], "simulate.rate (from --rate)"),
    ] {
        let output = run(&[&["simulate"][..], &flags].concat());
        assert_eq!(output.status.code(), Some(2), "{}", stderr(&output));
        assert!(stderr(&output).contains(expected), "{}", stderr(&output));
    }
}

#[tokio::test]
async fn a_server_on_a_simulated_exchange_of_another_process_says_that_its_data_is_simulated() {
    let (scratch, data) = data_dir();
    let exchange = exchange(scratch.path(), &["--rate", "500"], &[]);
    let url = exchange.url.replace("/v1/status", "");
    let address = format!("source.url={url}");
    let server = Server::start(&data, &["--source", "rest", "--set", &address]);
    server.counted("stored", 1).await;
    let (_, page) = server.get("/pipeline").await;
    assert!(page.contains("simulated-source"), "{page}");
}
