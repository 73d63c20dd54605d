//! `/openapi.json` says what programs may ask for, and `/docs` shows it.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "what fails in a test's own plumbing fails the test"
)]

#[path = "../support/mod.rs"]
mod support;

use std::collections::BTreeSet;

use leptos::server_fn::axum::server_fn_paths;
use serde_json::Value;
use server::http::{
    openapi::{DESCRIPTION, description},
    routes::ROUTES,
};
use support::{Server, client, data_dir};

/// Routes that are no resources: pages, WebSockets, the description itself.
const NOT_DESCRIBED: &[&str] = &[
    "/",
    "/s/{symbol}",
    "/backtest",
    "/models",
    "/pipeline",
    "/scoreboard",
    "/training",
    "/login",
    "/logout",
    "/live",
    "/forecast",
    "/docs",
    "/docs/",
    "/docs/{*rest}",
    DESCRIPTION,
];

#[test]
fn every_route_for_programs_is_described_and_nothing_else() {
    let json = serde_json::to_value(description()).unwrap();
    let paths = json["paths"].as_object().unwrap();
    let described: BTreeSet<(String, String)> = paths
        .iter()
        .flat_map(|(path, methods)| {
            let methods = methods.as_object().unwrap().keys();
            methods.map(move |method| (method.to_uppercase(), path.clone()))
        })
        .collect();
    // What pages ask for is theirs.
    let of_pages: BTreeSet<(String, &str)> = server_fn_paths()
        .map(|(path, method)| (method.to_string(), path))
        .collect();
    let expected: BTreeSet<(String, String)> = ROUTES
        .iter()
        .filter(|(method, route, _)| *method != "*" && !NOT_DESCRIBED.contains(route))
        .map(|(method, route, _)| ((*method).to_owned(), (*route).to_owned()))
        .filter(|(method, route)| !of_pages.contains(&(method.clone(), route.as_str())))
        .collect();
    assert_eq!(described, expected);
}

/// What clients were generated from must not change without being seen.
#[test]
fn the_description_is_the_one_that_was_looked_at() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/openapi/snapshot.json");
    let mut now = serde_json::to_value(description()).unwrap();
    // Its version is the program's.
    now["info"]["version"] = "".into();
    let now = format!("{}\n", serde_json::to_string_pretty(&now).unwrap());
    if std::env::var_os("UPDATE_SNAPSHOTS").is_some() {
        std::fs::write(path, &now).unwrap();
    }
    let looked_at = std::fs::read_to_string(path).unwrap();
    assert!(
        now == looked_at,
        "messages or routes have changed: run this test with UPDATE_SNAPSHOTS=1, and look at the difference"
    );
}

#[tokio::test]
async fn the_server_serves_its_description_and_a_page_that_shows_it() {
    let (_scratch, data) = data_dir();
    let server = Server::start(&data, &["--source", "none"]);
    let get = async |path: &str| {
        let answer = client().get(format!("{}{path}", server.url)).send().await;
        answer.unwrap()
    };
    let described: Value = get(DESCRIPTION).await.json().await.unwrap();
    assert_eq!(described["openapi"], "3.1.0");
    assert_eq!(described["info"]["version"], env!("CARGO_PKG_VERSION"));

    let page = get("/docs/").await;
    assert_eq!(page.status(), 200);
    let policy = page.headers()["content-security-policy"]
        .to_str()
        .unwrap()
        .to_owned();
    assert!(policy.contains("script-src 'self';"), "{policy}");
    let page = page.text().await.unwrap();
    // Its files come from this server alone.
    let files: Vec<&str> = page
        .split(['"', '\''])
        .filter(|part| part.ends_with(".js") || part.ends_with(".css"))
        .collect();
    assert!(files.len() >= 3, "{page}");
    for file in files {
        assert!(!file.contains("//"), "{file}");
        let path = format!("/docs/{}", file.trim_start_matches("./"));
        assert_eq!(get(&path).await.status(), 200, "{path}");
    }
    let initializer = get("/docs/swagger-initializer.js")
        .await
        .text()
        .await
        .unwrap();
    assert!(initializer.contains(DESCRIPTION), "{initializer}");
}
