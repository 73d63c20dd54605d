//! Starts that cannot succeed end with one clear line and exit code 2.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "what fails in a test's own plumbing fails the test"
)]

mod support;

use support::{Server, data_dir, run, stderr, stdout};

fn one_line_and_code_2(output: &std::process::Output, expected: &str) {
    assert_eq!(output.status.code(), Some(2), "{}", stderr(output));
    let text = stderr(output);
    assert_eq!(text.trim_end().lines().count(), 1, "{text}");
    assert!(text.contains(expected), "{text}");
}

#[test]
fn a_port_in_use() {
    let (_scratch, data) = data_dir();
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port().to_string();
    let data = data.display().to_string();
    let output = run(&[
        "serve",
        "--source",
        "none",
        "--port",
        &port,
        "--data-dir",
        &data,
    ]);
    one_line_and_code_2(&output, "is in use");
}

#[test]
fn a_second_process_on_the_same_data_directory() {
    let (_scratch, data) = data_dir();
    let server = Server::start(&data, &[]);
    let text = data.display().to_string();
    let output = run(&[
        "serve",
        "--source",
        "none",
        "--port",
        "0",
        "--data-dir",
        &text,
    ]);
    one_line_and_code_2(&output, "in use by another tickcast");
    let output = run(&["deadletters", "--data-dir", &text]);
    one_line_and_code_2(
        &output,
        "stop it, or choose another directory with --data-dir",
    );
    assert_eq!(server.stop(), Some(0));
}

#[test]
fn a_data_directory_that_cannot_be_written() {
    // A path below a file: not even root can make it.
    let (scratch, _) = data_dir();
    let file = scratch.path().join("file");
    std::fs::write(&file, "").unwrap();
    let below = file.join("data").display().to_string();
    let output = run(&[
        "serve",
        "--source",
        "none",
        "--port",
        "0",
        "--data-dir",
        &below,
    ]);
    one_line_and_code_2(&output, "cannot be used");
}

#[test]
fn a_configuration_with_faults_lists_them_all() {
    let output = run(&[
        "serve",
        "--port",
        "many",
        "--set",
        "store.data_dri=x",
        "--rate",
        "0",
    ]);
    assert_eq!(output.status.code(), Some(2));
    let text = stderr(&output);
    for part in [
        "3 faults",
        "web.port",
        "did you mean store.data_dir?",
        "simulate.rate",
    ] {
        assert!(text.contains(part), "{part:?} is missing in {text}");
    }
}

#[test]
fn config_prints_the_effective_settings_with_their_origin() {
    let output = support::tickcast()
        .args(["config", "--set", "source.api_key=hunter2"])
        .env("TICKCAST_WEB_PORT", "8123")
        .current_dir(std::env::temp_dir())
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", stderr(&output));
    let text = stdout(&output);
    assert!(text.contains("port = 8123  # TICKCAST_WEB_PORT"), "{text}");
    assert!(!text.contains("hunter2"), "{text}");
}

#[test]
fn a_role_that_shares_its_work_without_anything_to_share_it_over() {
    for role in ["ingest", "consume", "web"] {
        let output = run(&[role]);
        one_line_and_code_2(&output, "bus.kind = kafka");
        assert!(stderr(&output).contains("store.kind = mongodb"));
    }
    let output = run(&["consume", "--set", "bus.kind=kafka"]);
    one_line_and_code_2(&output, "set store.kind = mongodb");
    // What is wrong is said whoever listens where the role would.
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port();
    for (role, key) in [("web", "web.port"), ("ingest", "health.port")] {
        let output = run(&[role, "--set", &format!("{key}={port}")]);
        one_line_and_code_2(&output, "bus.kind = kafka");
    }
}

#[test]
fn a_store_that_is_not_there() {
    let output = run(&[
        "consume",
        "--set",
        "bus.kind=kafka",
        "--set",
        "store.kind=mongodb",
        "--set",
        "mongodb.uri=mongodb://127.0.0.1:9",
        "--set",
        "mongodb.timeout_ms=300",
    ]);
    one_line_and_code_2(&output, "127.0.0.1:9");
}

#[test]
fn a_broker_that_is_not_there() {
    let (_scratch, data) = data_dir();
    let data = data.display().to_string();
    let output = run(&[
        "serve",
        "--port",
        "0",
        "--data-dir",
        &data,
        "--set",
        "bus.kind=kafka",
        "--set",
        "kafka.brokers=127.0.0.1:9",
        "--set",
        "kafka.timeout_ms=1000",
        "--set",
        "log.level=off",
    ]);
    one_line_and_code_2(&output, "127.0.0.1:9");
}

#[test]
fn a_stop_while_a_broker_is_waited_for_is_heard() {
    let (scratch, data) = data_dir();
    let mut waiting = std::process::Command::new(env!("CARGO_BIN_EXE_tickcast"))
        .args([
            "ingest",
            "--set",
            "bus.kind=kafka",
            "--set",
            "store.kind=csv",
        ])
        .args(["--set", "kafka.brokers=127.0.0.1:9", "--set"])
        .arg(format!("store.csv_dir={}", data.display()))
        .current_dir(scratch.path())
        .stderr(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    // The folder is locked right before the broker is asked for.
    let locked = || std::fs::read_dir(&data).is_ok_and(|mut files| files.next().is_some());
    for _ in 0..600 {
        if locked() {
            break;
        }
        std::thread::sleep(std::time::Duration::from_millis(50));
    }
    std::thread::sleep(std::time::Duration::from_millis(300));
    let pid = waiting.id().to_string();
    let kill = std::process::Command::new("kill")
        .args(["-TERM", &pid])
        .status();
    assert!(kill.unwrap().success());
    // By a signal there would be no code.
    assert_eq!(waiting.wait().unwrap().code(), Some(0));
}
