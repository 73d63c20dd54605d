//! The table of roles against the router that is served, and against every route of a running server.

use std::{collections::BTreeSet, sync::Arc};

use axum::{
    body::Body,
    http::{Method, Request},
};
use pipeline::Role as ProcessRole;
use server::{
    access::Role,
    config::{self, Config},
    http::{
        self,
        guard::Gate,
        routes::{Access, ROUTES},
    },
    wiring,
};
use tower::ServiceExt as _;

use super::{
    client, new_token, send,
    support::{Server, data_dir},
};

/// A path of a route, with something in the place of its parameters.
fn filled(route: &str) -> String {
    route
        .replace("{symbol}", "NOBODY")
        .replace("{*path}", "no/such")
}

#[tokio::test]
async fn every_route_that_is_served_is_in_the_table_with_each_of_its_methods() {
    let (_scratch, data) = data_dir();
    let flags = [
        ("store.data_dir", data.display().to_string()),
        ("source.kind", "none".to_owned()),
    ];
    let flags: Vec<_> = flags
        .map(|(key, text)| (key.to_owned(), text, "--set".to_owned()))
        .into();
    let config = Config::from_layers(config::read_layers(None, &flags)).unwrap();
    let gate = Arc::new(Gate::open(&config.web, config.web.address).unwrap());
    let wired = wiring::start(ProcessRole::Serve, &config).await.unwrap();
    let state = wired.app_state(&config, config.web.address, gate).unwrap();
    let router = http::router(state, &config);

    // The router tells of its paths in no other way. What axum is asked for is pinned, and a format
    // that changed would find none.
    let debugged = format!("{router:?}");
    let paths: BTreeSet<String> = debugged
        .split("RouteId(")
        .filter_map(|part| part.split_once("): \"")?.1.split('"').next())
        .filter(|path| path.starts_with('/') && !path.contains("__private__"))
        .map(str::to_owned)
        .collect();
    let mut served = BTreeSet::new();
    for path in &paths {
        // A method that nobody knows is answered with those that are.
        let request = Request::builder()
            .method("WALK")
            .uri(filled(path))
            .header("host", "localhost")
            .body(Body::empty())
            .unwrap();
        let answer = router.clone().oneshot(request).await.unwrap();
        match answer.headers().get("allow") {
            Some(allowed) => served.extend(
                allowed
                    .to_str()
                    .unwrap()
                    .split(',')
                    .filter(|method| *method != "HEAD")
                    .map(|method| (method.trim().to_owned(), path.clone())),
            ),
            None => {
                served.insert(("*".to_owned(), path.clone()));
            }
        }
    }
    let table: BTreeSet<(String, String)> = ROUTES
        .iter()
        .map(|(method, path, _)| ((*method).to_owned(), (*path).to_owned()))
        .collect();
    assert_eq!(
        served, table,
        "left: what is served; right: http::routes::ROUTES"
    );
    wired.stop().await;
}

#[tokio::test]
async fn beyond_loopback_each_route_is_open_to_its_role_and_to_no_lesser_one() {
    let (_scratch, data) = data_dir();
    let tokens = Role::ALL.map(|role| (role, new_token(&data, role.as_str(), role.as_str())));
    let server = Server::start(&data, &["--host", "0.0.0.0"]);
    for (method, route, access) in ROUTES {
        let method = if *method == "*" { "GET" } else { method };
        let url = server.at(&filled(route));
        let ask = |token: Option<&str>| {
            let mut request = client()
                .request(Method::from_bytes(method.as_bytes()).unwrap(), &url)
                .header("content-type", "application/json");
            if let Some(token) = token {
                request = request.bearer_auth(token);
            }
            send(request)
        };
        let expected = if *access == Access::Public {
            None
        } else {
            Some(401)
        };
        let status = ask(None).await.status().as_u16();
        assert_eq!(
            Some(status).filter(|s| *s == 401),
            expected,
            "{method} {route}: {status}"
        );
        for (role, token) in &tokens {
            let status = ask(Some(token)).await.status().as_u16();
            let refused = status == 403 || status == 401;
            assert_eq!(
                refused,
                !access.allows(Some(*role)),
                "{method} {route} as {role}: {status}"
            );
        }
    }
    // Files and pages that are not there tell nothing either; what the login page shows is there.
    for path in ["/pkg/frontend.js", "/no-such-page"] {
        assert_eq!(
            send(client().get(server.at(path))).await.status(),
            401,
            "{path}"
        );
    }
    let style = send(client().get(server.at("/main.css"))).await.status();
    assert_ne!(style, 401);
}
