//! The training loop from outside: jobs over HTTP and by command, a champion that is served, promotion by hand
//! and roll-back, the schedule, and a process that is killed in the middle.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "what fails in a test's own plumbing fails the test"
)]

mod champion;
#[cfg(feature = "service-tests")]
mod mlflow;
#[path = "../support/mod.rs"]
mod support;
#[path = "../support/training.rs"]
mod training;
mod watching;

use std::path::Path;

use serde_json::{Value, json};
use support::{Server, data_dir, run, stderr, stdout, until};
use training::{finished, get, payload, post, stocked, train};

#[tokio::test]
async fn a_job_is_judged_a_champion_served_and_another_version_put_in_its_place_by_hand() {
    let (_scratch, data) = stocked();
    let server = Server::start(&data, &[]);
    let champion = "/api/models/close-1d.EDGE/aliases/champion";

    let walk = train(&server, "WALK", 650, "walk").await;
    assert_eq!(walk["state"], "succeeded", "a refusal is a result: {walk}");
    let words = walk["result"]["words"].as_str().unwrap();
    assert!(words.contains("naive"), "{words}");
    let verdicts = get(&server, "/api/models/close-1d.WALK/verdicts").await;
    assert_eq!(verdicts[0]["promoted"], false, "{verdicts}");
    assert_eq!(verdicts[0]["words"], words);
    assert_eq!(
        get(&server, "/api/models/close-1d.WALK/versions").await,
        json!([])
    );

    let edge = train(&server, "EDGE", 650, "edge").await;
    assert_eq!(edge["state"], "succeeded", "{edge}");
    assert_eq!(get(&server, champion).await["version"], 1, "{edge}");
    let log = get(&server, &format!("/api/jobs/{}/log", edge["id"])).await;
    assert!(!log.as_array().unwrap().is_empty());

    // The same key is the same job; another payload under it is a conflict.
    let again = train(&server, "EDGE", 650, "edge").await;
    assert_eq!(again["id"], edge["id"]);
    let other = json!({ "kind": "train", "payload": payload("EDGE", 651) });
    let (status, problem) = post(&server, "/api/jobs", &other, Some("edge")).await;
    assert_eq!(
        (status, problem["kind"].as_str()),
        (409, Some("conflict")),
        "{problem}"
    );

    // What is served is the champion, by whichever of its names.
    let ask =
        |model: &str| json!({ "symbol": "EDGE", "interval": "1d", "horizon": 3, "model": model });
    let (status, served) = post(
        &server,
        "/predict",
        &ask("models:/close-1d.EDGE@champion"),
        None,
    )
    .await;
    assert_eq!(status, 200, "{served}");
    let (status, by_number) =
        post(&server, "/predict", &ask("models:/close-1d.EDGE/1"), None).await;
    assert_eq!(status, 200, "{by_number}");
    assert_eq!(served["mean"], by_number["mean"]);
    assert_eq!(served["bands"], by_number["bands"]);

    // A later round makes another version; an administrator puts the first one back.
    let later = train(&server, "EDGE", 690, "later").await;
    assert_eq!(later["state"], "succeeded", "{later}");
    let versions = get(&server, "/api/models/close-1d.EDGE/versions").await;
    assert_eq!(versions.as_array().unwrap().len(), 2, "{versions}");
    let now = get(&server, champion).await["version"].as_u64().unwrap();
    assert_eq!(now, 2);
    let back =
        json!({ "version": 1, "expected": 2, "why": "the second one was trained on a bad day" });
    let (status, moved) = post(&server, champion, &back, None).await;
    assert_eq!((status, &moved["version"]), (200, &json!(1)), "{moved}");
    let last = &moved["moves"][0];
    assert_eq!(
        (&last["from"], &last["to"]),
        (&json!(2), &json!(1)),
        "{moved}"
    );
    let (_, served_again) = post(
        &server,
        "/predict",
        &ask("models:/close-1d.EDGE@champion"),
        None,
    )
    .await;
    assert_eq!(
        served_again["mean"], by_number["mean"],
        "the page proves by what is served that it took"
    );
    let (status, stale) = post(&server, champion, &back, None).await;
    assert_eq!(
        (status, stale["kind"].as_str()),
        (409, Some("conflict")),
        "{stale}"
    );

    // Who was champion when.
    let moves = get(&server, champion).await["moves"]
        .as_array()
        .unwrap()
        .clone();
    assert_eq!(moves.len(), 3, "{moves:?}");
    let first = moves[0]["change"]["at_us"].as_i64().unwrap();
    let at = market::Timestamp::from_micros(first - 1_000_000).to_string();
    assert_eq!(
        get(&server, &format!("{champion}?at={at}")).await["version"],
        Value::Null
    );
    let audit = get(&server, "/api/audit").await;
    let acts = audit["entries"].as_array().unwrap();
    assert!(
        acts.iter()
            .any(|e| e["act"] == "promotion" && e["what"]["version"] == 1),
        "{audit}"
    );
    let put_away = json!({ "archived": true, "why": "superseded" });
    let (status, _) = post(
        &server,
        "/api/models/close-1d.EDGE/versions/2/archive",
        &put_away,
        None,
    )
    .await;
    assert_eq!(status, 200);
    let (status, _) = post(
        &server,
        "/api/models/close-1d.EDGE/versions/1/archive",
        &put_away,
        None,
    )
    .await;
    assert_eq!(status, 409, "the champion is not put away");
}

#[tokio::test]
async fn a_version_with_an_altered_file_is_not_promoted_and_the_champion_stays() {
    let (_scratch, data) = stocked();
    let server = Server::start(&data, &[]);
    for (day, key) in [(650, "first"), (690, "second")] {
        let job = train(&server, "EDGE", day, key).await;
        assert_eq!(job["state"], "succeeded", "{job}");
    }
    let first = get(&server, "/api/models/close-1d.EDGE/versions/1").await;
    let file = first["artefacts"]
        .as_array()
        .unwrap()
        .iter()
        .find(|a| a["path"] == "state.bin");
    let hash = file.unwrap()["sha256"].as_str().unwrap();
    let path = find(&data, hash);
    let mut bytes = std::fs::read(&path).unwrap();
    bytes[20] ^= 1;
    std::fs::write(&path, bytes).unwrap();
    // Nothing of the first version is in memory any more.
    assert_eq!(server.stop(), Some(0));
    let server = Server::start(&data, &[]);
    let champion = "/api/models/close-1d.EDGE/aliases/champion";
    let back = json!({ "version": 1, "why": "roll back" });
    let (status, problem) = post(&server, champion, &back, None).await;
    assert_eq!(
        (status, problem["field"].as_str()),
        (409, Some("version")),
        "{problem}"
    );
    assert!(
        problem["detail"].as_str().unwrap().contains("state.bin"),
        "{problem}"
    );
    assert_eq!(get(&server, champion).await["version"], 2);
}

/// The file of this name below a folder.
fn find(folder: &Path, name: &str) -> std::path::PathBuf {
    let entries = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path());
    let (folders, files): (Vec<_>, Vec<_>) = entries.partition(|path| path.is_dir());
    let here = files
        .into_iter()
        .find(|path| path.to_string_lossy().contains(name));
    here.or_else(|| {
        folders
            .iter()
            .find_map(|f| std::panic::catch_unwind(|| find(f, name)).ok())
    })
    .unwrap()
}

#[tokio::test]
async fn what_cannot_be_a_job_is_refused_with_its_field() {
    let (_scratch, data) = data_dir();
    let server = Server::start(&data, &[]);
    let train = |payload: Value| json!({ "kind": "train", "payload": payload });
    for (body, field) in [
        (json!({ "kind": "trian", "payload": {} }), "kind"),
        (train(json!({ "interval": "1d" })), "payload.symbol"),
        (
            train(json!({ "symbol": "A", "interval": "2d" })),
            "payload.interval",
        ),
        (
            train(json!({ "symbol": "A", "interval": "1d", "horizon": 0 })),
            "payload.horizon",
        ),
        (
            train(json!({ "symbol": "A", "interval": "1d", "horizon": 10_000 })),
            "payload.horizon",
        ),
        (
            train(json!({ "symbol": "A", "interval": "1d", "days": "XXXX" })),
            "payload.days",
        ),
        (
            json!({ "kind": "train", "payload": {}, "max_attempts": 0 }),
            "max_attempts",
        ),
    ] {
        let (status, problem) = post(&server, "/api/jobs", &body, None).await;
        assert_eq!(
            (status, problem["field"].as_str()),
            (422, Some(field)),
            "{problem}"
        );
    }
    for (path, status, field) in [
        ("/api/jobs/9", 404, "id"),
        ("/api/jobs/x", 422, "id"),
        ("/api/jobs?state=done", 422, "state"),
        ("/api/jobs?colour=red", 422, "colour"),
        ("/api/models/close-1d.A/versions/3", 404, "version"),
        (
            "/api/models/close-1d.A/aliases/champion?at=yesterday",
            422,
            "at",
        ),
    ] {
        let (got, text) = server.get(path).await;
        let problem: Value = serde_json::from_str(&text).unwrap();
        assert_eq!(
            (got, problem["field"].as_str()),
            (status, Some(field)),
            "{path}: {text}"
        );
    }
    // An unknown symbol is found when the job runs: it fails, and is not tried again.
    let job = train(json!({ "symbol": "NOSUCH", "interval": "1d" }));
    let (status, job) = post(&server, "/api/jobs", &job, None).await;
    assert_eq!(status, 201);
    let job = finished(&server, job["id"].as_i64().unwrap()).await;
    assert_eq!(
        (job["state"].as_str(), job["attempt"].as_i64()),
        (Some("failed"), Some(1)),
        "{job}"
    );
    let unknown = json!({ "symbol": "NOSUCH", "interval": "1d", "horizon": 1, "model": "models:/none@champion" });
    let (status, problem) = post(&server, "/predict", &unknown, None).await;
    assert_eq!(
        (status, problem["field"].as_str()),
        (404, Some("model")),
        "{problem}"
    );
}

#[tokio::test]
async fn a_job_whose_process_was_killed_is_done_by_the_next_once() {
    let (_scratch, data) = stocked();
    let flags = ["--set", "training.lease_ms=1000"];
    let server = Server::start(&data, &flags);
    let job = json!({ "kind": "train", "payload": payload("EDGE", 690) });
    let (_, job) = post(&server, "/api/jobs", &job, Some("killed")).await;
    let id = job["id"].as_i64().unwrap();
    let path = format!("/api/jobs/{id}");
    let running = |job: &Value| job["state"] != "queued";
    until(
        "a worker takes it",
        async || get(&server, &path).await,
        running,
    )
    .await;
    server.kill();
    let server = Server::start(&data, &flags);
    let job = finished(&server, id).await;
    assert_eq!(job["state"], "succeeded", "{job}");
    let versions = get(&server, "/api/models/close-1d.EDGE/versions").await;
    assert_eq!(versions.as_array().unwrap().len(), 1, "{versions}");
    assert_eq!(
        get(&server, "/api/models/close-1d.EDGE/aliases/champion").await["version"],
        1
    );
}

#[tokio::test]
async fn a_schedule_submits_each_symbol_once_and_its_job_says_so() {
    let (_scratch, data) = stocked();
    let flags = [
        "--set",
        "training.schedule=* * * * * *",
        "--set",
        "training.symbols=EDGE",
        "--set",
        "training.days=always",
        "--set",
        "training.candidates=theta",
    ];
    let server = Server::start(&data, &flags);
    let some = |jobs: &Value| jobs.as_array().unwrap().len() >= 2;
    let path = "/api/jobs?kind=train";
    let jobs = until("two fires", async || get(&server, path).await, some).await;
    let mut keys = std::collections::BTreeSet::new();
    for job in jobs.as_array().unwrap() {
        assert_eq!(job["payload"]["symbol"], "EDGE");
        assert!(
            job["submitted_by"]
                .as_str()
                .unwrap()
                .contains("* * * * * *"),
            "{job}"
        );
        assert!(
            keys.insert(job["key"].as_str().unwrap().to_owned()),
            "twice: {job}"
        );
    }
    assert_eq!(server.stop(), Some(0));
    // Started again it goes on behind the last fire, whose jobs are there, and not from the first.
    let server = Server::start(&data, &flags);
    let newest = jobs[0]["id"].as_i64().unwrap();
    let more = |jobs: &Value| jobs[0]["id"].as_i64().unwrap() > newest;
    let jobs = until("a later fire", async || get(&server, path).await, more).await;
    for job in jobs.as_array().unwrap() {
        if job["id"].as_i64().unwrap() > newest {
            assert!(!keys.contains(job["key"].as_str().unwrap()), "twice: {job}");
        }
    }
    for spec in ["0 0 30 2 *", "every day", "XXXX close"] {
        let refused = run(&[
            "serve",
            "--port",
            "0",
            "--data-dir",
            "none",
            "--set",
            &format!("training.schedule={spec}"),
        ]);
        assert_eq!(
            refused.status.code(),
            Some(2),
            "{spec}: {}",
            stderr(&refused)
        );
    }
}

#[test]
fn the_command_trains_without_a_server_and_ends_with_what_came_of_it() {
    let (_scratch, data) = stocked();
    let data = data.display().to_string();
    let train = |symbols: &str, more: &[&str]| {
        let mut line = vec![
            "train",
            "--symbols",
            symbols,
            "--days",
            "always",
            "--candidate",
            "theta",
        ];
        line.extend(["--as-of", "2023-11-20T00:00:00Z", "--data-dir", &data]);
        line.extend(more);
        run(&line)
    };
    let done = train("WALK,EDGE", &["--key", "today", "--json"]);
    assert_eq!(done.status.code(), Some(0), "{}", stderr(&done));
    let jobs: Vec<Value> = stdout(&done)
        .lines()
        .map(|l| serde_json::from_str(l).unwrap())
        .collect();
    assert_eq!(jobs.len(), 2);
    assert!(
        jobs.iter()
            .all(|job| job["state"] == "succeeded" && job["result"]["words"].is_string())
    );
    let again = train("WALK,EDGE", &["--key", "today", "--json"]);
    let same: Vec<Value> = stdout(&again)
        .lines()
        .map(|l| serde_json::from_str(l).unwrap())
        .collect();
    assert_eq!(jobs, same, "the same key is the same jobs");
    let refused = train("NOSUCH", &[]);
    assert_eq!(refused.status.code(), Some(1), "{}", stderr(&refused));
    let listed = run(&["jobs", "list", "--json", "--data-dir", &data]);
    assert_eq!(stdout(&listed).lines().count(), 3, "{}", stderr(&listed));
    let wrong = train("WALK", &["--steps", "0"]);
    assert_eq!(wrong.status.code(), Some(2), "{}", stderr(&wrong));
    let both = run(&["train", "--symbols", "WALK", "--input", "x.csv"]);
    assert_eq!(both.status.code(), Some(2));
}
