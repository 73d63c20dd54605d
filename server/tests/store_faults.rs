//! What a running server says of a store that cannot be written or is damaged, and backups of it.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "what fails in a test's own plumbing fails the test"
)]

mod support;

use std::{fs, path::Path, process::Command};

use serde_json::{Value, json};
use support::{Server, TICKCAST, client, data_dir, run, stderr, stdout, until};

async fn push(server: &Server, seqs: std::ops::Range<u64>) -> u16 {
    let row = |seq: u64| {
        json!({"symbol": "ACME", "ts_us": 1_700_000_000_000_000_i64 + 1_000 * seq as i64,
               "seq": seq, "price": 10, "size": 1})
    };
    let rows: Vec<Value> = seqs.map(row).collect();
    let posted = client()
        .post(format!("{}/api/ticks", server.url))
        .body(Value::from(rows).to_string());
    posted.send().await.unwrap().status().as_u16()
}

/// Asks until the answer has this status; the answer then.
async fn answered(server: &Server, path: &str, status: u16) -> String {
    let what = format!("{status} from {path}");
    let ask = async || server.get(path).await;
    until(&what, ask, |answer| answer.0 == status).await.1
}

/// Fills two pages in the middle of a database: not what the opening reads, which are the first and the last.
fn damage(database: &Path) {
    let mut content = fs::read(database).unwrap();
    let middle = content.len() / 8_192 * 4_096;
    content[middle..middle + 8_192].fill(0xA5);
    fs::write(database, content).unwrap();
}

/// A server whose files may not grow beyond a limit that the test sets, as on a disk that is full.
fn limited(data: &Path) -> (Server, String) {
    let mut command = Command::new("sh");
    // The process that writes too much gets an error, not the signal.
    command.args([
        "-c",
        "trap '' XFSZ; echo $$ >pid; exec \"$0\" \"$@\"",
        TICKCAST,
    ]);
    command.args(["serve", "--port", "0", "--source", "none", "--data-dir"]);
    command.arg(data);
    for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("TICKCAST_")) {
        command.env_remove(name);
    }
    let scratch = data.parent().unwrap();
    let server = Server::spawn(command, scratch);
    let pid = fs::read_to_string(scratch.join("pid")).unwrap();
    (server, pid.trim().to_owned())
}

fn limit(pid: &str, bytes: &str) {
    let limit = format!("--fsize={bytes}:unlimited");
    let set = Command::new("prlimit")
        .args(["--pid", pid, &limit])
        .status();
    assert!(set.unwrap().success());
}

#[tokio::test]
async fn a_server_whose_disk_is_full_is_not_ready_and_is_again_when_there_is_room() {
    let (_scratch, data) = data_dir();
    let (server, pid) = limited(&data);
    assert_eq!(push(&server, 0..100).await, 200);
    assert_eq!(server.get("/readyz").await.0, 200);
    limit(&pid, "600000");
    let mut stored = 100;
    loop {
        match push(&server, stored..stored + 2_000).await {
            200 => stored += 2_000,
            refused => {
                assert_eq!(refused, 503);
                break;
            }
        }
    }
    for _ in 0..3 {
        let (status, why) = server.get("/readyz").await;
        assert_eq!(status, 503, "{why}");
        assert!(why.contains("store: the store is unavailable"), "{why}");
    }
    // It is alive, reads, and says so to people too.
    assert_eq!(server.get("/healthz").await.0, 200);
    assert!(server.get("/api/pipeline").await.1.contains("unavailable"));
    assert!(server.get("/pipeline").await.1.contains("Missing: store"));
    limit(&pid, "unlimited");
    answered(&server, "/readyz", 200).await;
    assert_eq!(push(&server, 0..stored + 2_000).await, 200);
    assert_eq!(server.get("/readyz").await.0, 200);
    assert_eq!(server.stop(), Some(0));
}

#[tokio::test]
async fn a_server_on_a_damaged_database_says_so_and_is_ready_after_a_restore() {
    let (scratch, data) = data_dir();
    let server = Server::start(&data, &[]);
    assert_eq!(push(&server, 0..5_000).await, 200);
    let file = scratch.path().join("backup.db");
    let (file, data_text) = (file.display().to_string(), data.display().to_string());
    // Of the running server.
    let made = run(&["backup", &file, "--data-dir", &data_text]);
    assert!(made.status.success(), "{}", stderr(&made));
    let told = stdout(&made);
    assert!(
        told.contains("checked") && told.contains("5000 ticks"),
        "{told}"
    );
    assert_eq!(push(&server, 5_000..6_000).await, 200);
    let refused = run(&["restore", &file, "--data-dir", &data_text, "--force"]);
    assert_eq!(refused.status.code(), Some(2));
    assert!(stderr(&refused).contains("in use by another tickcast"));
    assert_eq!(server.stop(), Some(0));

    damage(&data.join("tickcast.db"));
    let server = Server::start(&data, &[]);
    let (status, why) = server.get("/readyz").await;
    assert_eq!(status, 503, "{why}");
    assert!(
        why.contains("damaged") && why.contains("restore it from a backup"),
        "{why}"
    );
    assert_ne!(push(&server, 6_000..6_001).await, 200);
    assert_eq!(server.stop(), Some(0));

    let refused = run(&["restore", &file, "--data-dir", &data_text]);
    assert_eq!(refused.status.code(), Some(2));
    assert!(stderr(&refused).contains("--force"), "{}", stderr(&refused));
    let restored = run(&["restore", &file, "--data-dir", &data_text, "--force"]);
    assert!(restored.status.success(), "{}", stderr(&restored));
    assert!(
        stdout(&restored).contains("before-restore"),
        "{}",
        stdout(&restored)
    );
    let server = Server::start(&data, &[]);
    assert_eq!(server.get("/readyz").await.0, 200);
    // The thousand after the backup are new, those in it are not.
    let (_, status) = server.get("/api/pipeline").await;
    assert!(status.contains("\"role\":\"serve\""), "{status}");
    assert_eq!(push(&server, 0..6_000).await, 200);
    let (_, status) = server.get("/api/pipeline").await;
    let status: Value = serde_json::from_str(&status).unwrap();
    assert_eq!(status["stages"]["stored"]["total"], 1_000);
    assert_eq!(status["stages"]["duplicates"]["total"], 5_000);
    assert_eq!(server.stop(), Some(0));
}

#[tokio::test]
async fn a_flood_of_bad_rows_leaves_earlier_letters_and_what_is_not_kept_is_told() {
    let (_scratch, data) = data_dir();
    let set = ["--set", "store.dead_letters_per_source=20"];
    let server = Server::start(&data, &set);
    let bad = |from: usize, rows: usize| -> String {
        (from..from + rows).map(|n| format!("bad{n}\n")).collect()
    };
    let post = async |body: String| {
        let url = format!("{}/api/ticks", server.url);
        client().post(url).body(body).send().await.unwrap().status()
    };
    post(bad(0, 5)).await;
    for flood in 0..5 {
        post(bad(1_000 * (flood + 1), 100)).await;
    }
    let list = run(&["deadletters", "--url", &server.url]);
    let told = stdout(&list);
    assert!(list.status.success(), "{}", stderr(&list));
    for row in ["bad0", "bad4", "push", "not kept", "485"] {
        assert!(told.contains(row), "{row} is missing in {told}");
    }
    let (_, metrics) = server.get("/metrics").await;
    let dropped = metrics
        .lines()
        .find(|line| line.starts_with("tickcast_dead_letters_dropped{"));
    let dropped = dropped.unwrap_or_else(|| panic!("{metrics}"));
    assert!(
        dropped.contains("source=\"push\"") && dropped.ends_with(" 485"),
        "{dropped}"
    );
    let (_, page) = server.get("/pipeline").await;
    assert!(
        page.contains("letters-dropped") && page.contains("485"),
        "{page}"
    );
    let which = run(&["deadletters", "discard", "--url", &server.url]);
    assert_eq!(which.status.code(), Some(2), "{}", stderr(&which));
    let gone = run(&[
        "deadletters",
        "discard",
        "--source",
        "push",
        "--url",
        &server.url,
    ]);
    assert_eq!(stdout(&gone), "20 discarded\n", "{}", stderr(&gone));
    post(bad(9_000, 1)).await;
    let told = stdout(&run(&["deadletters", "--url", &server.url]));
    assert!(
        told.contains("bad9000") && !told.contains("not kept"),
        "{told}"
    );
    assert_eq!(server.stop(), Some(0));
}

#[tokio::test]
async fn beyond_loopback_only_a_token_is_told_what_is_missing() {
    let (_scratch, data) = data_dir();
    let server = Server::start(&data, &["--source", "none"]);
    assert_eq!(push(&server, 0..5_000).await, 200);
    assert_eq!(server.stop(), Some(0));
    let made = run(&[
        "token",
        "new",
        "--role",
        "read",
        "--name",
        "probe",
        "--data-dir",
        &data.display().to_string(),
    ]);
    assert!(made.status.success(), "{}", stderr(&made));
    damage(&data.join("tickcast.db"));
    let server = Server::start(&data, &["--source", "none", "--host", "0.0.0.0"]);
    for path in ["/readyz", "/readyz?verbose"] {
        let (status, why) = server.get(path).await;
        let told: Value = serde_json::from_str(&why).unwrap();
        assert_eq!(
            (status, &told["detail"]),
            (503, &json!("not ready; a token says what is missing")),
            "{why}"
        );
        // Neither a field nor words of the store.
        assert!(
            !why.contains("store") && !why.contains("damaged"),
            "{path}: {why}"
        );
    }
    let told = client()
        .get(format!("{}/readyz", server.url))
        .bearer_auth(stdout(&made).trim());
    let told = told.send().await.unwrap();
    assert_eq!(told.status().as_u16(), 503);
    let why = told.text().await.unwrap();
    assert!(
        why.contains("damaged") && why.contains("\"field\":\"store\""),
        "{why}"
    );
    assert_eq!(server.stop(), Some(0));
}
