//! The pages of the training loop as the server sends them: many models, and forms that ask for what cannot be.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "what fails in a test's own plumbing fails the test"
)]

mod support;

use market::Timestamp;
use serde_json::json;
use store::{ModelRegistry as _, NewVerdict, Publication, SqliteOptions, SqliteStore};
use support::{Server, client, data_dir};

const MODELS: usize = 120;

/// A refusal, as a round leaves it.
fn refusal(name: &str) -> Publication {
    Publication {
        verdict: Some(NewVerdict {
            name: name.to_owned(),
            champion: None,
            promoted: false,
            budget_spent: 0.0,
            tries_this_year: 1,
            numbers: json!({ "of": "a later program" }),
            words: format!("Naive is served for {name} <b>."),
            at: Timestamp::from_secs(1_700_000_000),
        }),
        ..Publication::default()
    }
}

async fn stocked() -> (tempfile::TempDir, std::path::PathBuf) {
    let (scratch, data) = data_dir();
    let store = SqliteStore::open(SqliteOptions::new(&data)).await.unwrap();
    for n in 0..MODELS {
        let name = format!("close-1d.S{n:03}");
        let now = Timestamp::from_secs(1_700_000_000);
        store.publish(refusal(&name), now).await.unwrap();
    }
    store.close().await.unwrap();
    (scratch, data)
}

/// The models on the list of a page, and the address of the next one.
fn listed(html: &str) -> (Vec<&str>, Option<String>) {
    let rows = html.split("data-testid=\"model-").skip(1);
    let rows = rows.map(|row| row.split('"').next().unwrap()).collect();
    let next = html.split("<a href=\"").find(|link| {
        let tag = link.split('>').next().unwrap_or_default();
        tag.contains("later-models")
    });
    let next = next.map(|link| link.split('"').next().unwrap().replace("&amp;", "&"));
    (rows, next)
}

#[tokio::test]
async fn many_models_come_in_pages_and_are_searched_in_the_store() {
    let (_scratch, data) = stocked().await;
    let server = Server::start(&data, &[]);
    let (mut path, mut seen) = (Some("/models".to_owned()), Vec::new());
    while let Some(at) = path {
        let (status, html) = server.get(&at).await;
        assert_eq!(status, 200, "{at}");
        let (rows, next) = listed(&html);
        assert!(rows.len() <= 50, "{} rows", rows.len());
        seen.extend(rows.into_iter().map(ToOwned::to_owned));
        path = next;
    }
    let all: Vec<String> = (0..MODELS).map(|n| format!("close-1d.S{n:03}")).collect();
    assert_eq!(seen, all);
    let (_, found) = server.get("/models?find=s11").await;
    assert_eq!(listed(&found).0.len(), 10);
    let (_, none) = server.get("/models?find=nobody").await;
    assert!(none.contains("No series has such a name"), "{none}");
}

#[tokio::test]
async fn a_verdict_of_numbers_that_nobody_reads_is_told_by_its_words_which_are_text() {
    let (_scratch, data) = stocked().await;
    let server = Server::start(&data, &[]);
    let (status, html) = server.get("/models?name=close-1d.S007").await;
    assert_eq!(status, 200);
    assert!(
        html.contains("Naive is served for close-1d.S007 &lt;b"),
        "{html}"
    );
    let (status, html) = server.get("/models?name=close-1d.S0").await;
    assert_eq!(status, 404, "a part of a name is none");
    assert!(html.contains("there is no model close-1d.S0"), "{html}");
}

#[tokio::test]
async fn forms_that_ask_for_what_cannot_be_change_nothing_and_say_why_by_a_kind() {
    let (_scratch, data) = stocked().await;
    let server = Server::start(&data, &[]);
    // Where the browser is sent on to is what is looked at.
    drop(client());
    let asking = reqwest::Client::builder().redirect(reqwest::redirect::Policy::none());
    let asking = asking.build().unwrap();
    let cases = [
        (
            "move_champion",
            "name=close-1d.S007&version=3&expected=&why=x",
            "problem=not_found",
        ),
        (
            "move_champion",
            "name=close-1d.S007&version=x&expected=&why=x",
            "problem=invalid",
        ),
        (
            "move_champion",
            "name=close-1d.S007&version=&expected=4&why=x",
            "problem=conflict",
        ),
        (
            "move_champion",
            "name=close-1d.S007&version=&expected=&why=+",
            "field=why",
        ),
        (
            "archive_version",
            "name=close-1d.S007&version=1&why=x",
            "problem=not_found",
        ),
        ("train_now", "symbols=NOBODY&interval=1d", "field=symbols"),
        ("train_now", "symbols=&interval=1d", "field=symbols"),
        ("cancel_job", "id=77", "problem=not_found"),
    ];
    for (act, form, expected) in cases {
        let post = asking.post(format!("{}/api/{act}", server.url));
        let post = post.header("content-type", "application/x-www-form-urlencoded");
        let answer = post.header("accept", "text/html").body(form).send().await;
        let answer = answer.unwrap();
        let to = answer
            .headers()
            .get("location")
            .map(|to| to.to_str().unwrap());
        assert_eq!(answer.status(), 302, "{act} {form}");
        assert!(
            to.is_some_and(|to| to.contains(expected)),
            "{act} {form}: {to:?}"
        );
    }
    let (_, audit) = server.get("/api/audit").await;
    assert!(
        !audit.contains("\"error\":null"),
        "nothing was done: {audit}"
    );
}
