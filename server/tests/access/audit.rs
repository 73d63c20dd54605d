//! What is written down: who did what cannot be undone, and what came of it.

use serde_json::Value;

use super::{
    client, new_token, send,
    support::{Server, data_dir, run, stderr, stdout},
};

const SAMPLE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../data/stocks-daily.csv.gz");

#[tokio::test]
async fn replays_imports_and_tokens_are_written_down_with_who_and_what_came_of_it() {
    let (_scratch, data) = data_dir();
    let data_text = data.display().to_string();
    let imported = run(&[
        "import",
        SAMPLE,
        "--column",
        "Adj Close",
        "--data-dir",
        &data_text,
    ]);
    assert!(imported.status.success(), "{}", stderr(&imported));
    let admin = new_token(&data, "admin", "ops");
    let read = new_token(&data, "read", "wall");
    let server = Server::start(&data, &[]);
    // One row that cannot be used, and its replay, by a program and by the page's form.
    let bad = r#"[{"symbol":"ACME","ts_us":1700000000000000,"seq":1,"price":10,"size":1},
        {"symbol":"ACME","ts_us":1700000000000000,"seq":2,"price":-1,"size":1}]"#;
    let push = client()
        .post(server.at("/api/ticks"))
        .bearer_auth(&admin)
        .body(bad);
    assert_eq!(send(push).await.status(), 200);
    let refused = client()
        .post(server.at("/api/deadletters/replay"))
        .bearer_auth(&read);
    assert_eq!(send(refused).await.status(), 403);
    let replay = client().post(server.at("/api/deadletters/replay?reason=bad_price"));
    assert_eq!(send(replay.bearer_auth(&admin)).await.status(), 200);
    let form = client()
        .post(server.at("/api/replay_dead_letters"))
        .bearer_auth(&admin);
    let form = form
        .header("content-type", "application/x-www-form-urlencoded")
        .body("");
    let status = send(form).await.status();
    assert!(status.is_success() || status.is_redirection(), "{status}");

    let url = server.at("");
    let listed = run(&["audit", "--json", "--url", &url, "--token", &admin]);
    assert!(listed.status.success(), "{}", stderr(&listed));
    let remote = ["--url", &url, "--token", &admin];
    // More than one answer of the server may hold.
    let all = run(&[&["audit", "--json", "--limit", "20000"], &remote[..]].concat());
    assert_eq!(stdout(&all), stdout(&listed), "{}", stderr(&all));
    let jobs = run(&[&["jobs", "list", "--limit", "5000"], &remote[..]].concat());
    assert!(jobs.status.success(), "{}", stderr(&jobs));
    let entries: Vec<Value> = stdout(&listed)
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    let acts: Vec<_> = entries.iter().map(|e| e["act"].as_str().unwrap()).collect();
    assert_eq!(
        acts,
        ["import", "token_made", "token_made", "replay", "replay"]
    );
    assert_eq!(entries[0]["who"]["by"], "command");
    assert!(
        entries[0]["what"]["file"]
            .as_str()
            .unwrap()
            .contains("stocks-daily")
    );
    assert!(
        entries[0]["what"]["bars"].as_u64().unwrap() > 1_000,
        "{}",
        entries[0]
    );
    assert_eq!(entries[1]["what"]["name"], "ops");
    for replay in &entries[3..] {
        assert_eq!(
            (&replay["who"]["by"], &replay["who"]["name"]),
            (&"token".into(), &"ops".into())
        );
        assert_eq!(replay["from"], "127.0.0.1");
        assert_eq!(
            (&replay["what"]["replayed"], &replay["what"]["still_bad"]),
            (&0.into(), &1.into())
        );
    }
    assert_eq!(entries[3]["what"]["reason"], "bad_price");
    let all = stdout(&listed);
    for token in [&admin, &read] {
        assert!(!all.contains(token.rsplit('_').next().unwrap()), "{all}");
    }
    // Not for everybody; and the same without the server.
    let refused = run(&["audit", "--url", &url, "--token", &read]);
    assert!(stderr(&refused).contains("403"), "{}", stderr(&refused));
    let local = run(&["audit", "--json", "--data-dir", &data_text]);
    assert_eq!(stdout(&local), all);
    let table = run(&["audit", "--data-dir", &data_text, "--limit", "1"]);
    assert!(stdout(&table).contains("ops (token"), "{}", stdout(&table));
}
