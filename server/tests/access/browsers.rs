//! What the answers tell a browser: the policy of each page, its nonce, and the headers beside it.

use super::{
    client, send,
    support::{Server, data_dir},
};

#[tokio::test]
async fn every_inline_script_of_a_page_carries_the_nonce_of_this_answer() {
    let (_scratch, data) = data_dir();
    let server = Server::start(&data, &[]);
    let push = client().post(server.at("/api/ticks")).body(super::TICK);
    assert_eq!(send(push).await.status(), 200);
    let mut nonces = std::collections::BTreeSet::new();
    let paths = [
        "/",
        "/s/ACME",
        "/s/ACME",
        "/backtest",
        "/pipeline",
        "/no-such-page",
    ];
    for path in paths {
        let answer = send(client().get(server.at(path)).header("accept", "text/html")).await;
        let policy = answer.headers()["content-security-policy"]
            .to_str()
            .unwrap()
            .to_owned();
        let html = answer.text().await.unwrap();
        if path == "/" && html.is_empty() {
            // It leads on to the first chart.
            continue;
        }
        for part in [
            "default-src 'none'",
            "'wasm-unsafe-eval'",
            "frame-ancestors 'none'",
            "base-uri 'none'",
            "form-action 'self'",
        ] {
            assert!(policy.contains(part), "{path}: {policy}");
        }
        for part in ["unsafe-inline", "'unsafe-eval'", "*"] {
            assert!(!policy.contains(part), "{path}: {policy}");
        }
        let nonce = policy
            .split("'nonce-")
            .nth(1)
            .unwrap()
            .split('\'')
            .next()
            .unwrap();
        assert!(nonce.len() >= 20, "{nonce}");
        let scripts: Vec<&str> = html
            .match_indices("<script")
            .map(|(at, _)| html[at..].split('>').next().unwrap())
            .collect();
        assert!(scripts.len() >= 2, "{path}: {html}");
        for script in scripts {
            let carries = script.contains(&format!("nonce=\"{nonce}\"")) || script.contains("src=");
            assert!(carries, "{path}: {script} without {nonce}");
        }
        for handler in [
            " onclick=",
            " onload=",
            " onerror=",
            " style=\"",
            "javascript:",
        ] {
            assert!(!html.contains(handler), "{path}: {handler}");
        }
        assert!(nonces.insert(nonce.to_owned()), "{nonce} came twice");
    }
    assert!(nonces.len() >= 5, "{nonces:?}");
}

#[tokio::test]
async fn every_answer_has_the_headers_refusals_and_files_too() {
    let (_scratch, data) = data_dir();
    let server = Server::start(&data, &[]);
    for (request, status) in [
        (client().get(server.at("/healthz")), 200),
        (client().get(server.at("/api/nothing")), 404),
        (
            client()
                .get(server.at("/healthz"))
                .header("host", "rebound.example"),
            421,
        ),
        (
            client()
                .post(server.at("/predict"))
                .header("sec-fetch-site", "cross-site"),
            403,
        ),
    ] {
        let answer = send(request).await;
        assert_eq!(answer.status(), status);
        for (name, value) in [
            ("x-content-type-options", "nosniff"),
            ("x-frame-options", "DENY"),
            ("referrer-policy", "same-origin"),
            ("cross-origin-opener-policy", "same-origin"),
            ("cross-origin-resource-policy", "same-origin"),
        ] {
            assert_eq!(answer.headers()[name], value, "{status} {name}");
        }
        let policy = answer.headers()["content-security-policy"]
            .to_str()
            .unwrap();
        assert!(policy.contains("frame-ancestors 'none'"), "{policy}");
        let permissions = answer.headers()["permissions-policy"].to_str().unwrap();
        assert!(permissions.contains("geolocation=()"), "{permissions}");
    }
}

/// Files and pages are asked for side by side, as every browser does, and many of them.
#[tokio::test]
async fn a_page_keeps_its_policy_while_files_are_fetched_beside_it() {
    let (scratch, data) = data_dir();
    let site = scratch.path().join("site");
    std::fs::create_dir(&site).unwrap();
    std::fs::write(site.join("main.css"), "body { color: black }").unwrap();
    let server = Server::start(&data, &["--site-root", site.to_str().unwrap()]);
    let client = client();
    let asks = (0..24).map(|reader| {
        let (client, server) = (&client, &server);
        async move {
            for turn in 0..20 {
                let path =
                    ["/backtest", "/main.css", "/pipeline", "/no-such-page"][(reader + turn) % 4];
                let answer = send(client.get(server.at(path)).header("accept", "text/html")).await;
                let policy = answer.headers()["content-security-policy"]
                    .to_str()
                    .unwrap()
                    .to_owned();
                let text = answer.text().await.unwrap();
                let nonce = policy
                    .split_once("'nonce-")
                    .map(|(_, rest)| rest.split_once('\'').unwrap().0);
                if path == "/main.css" {
                    assert_eq!(text, "body { color: black }");
                    assert_eq!(nonce, None, "a page's policy on a file");
                } else {
                    let nonce = nonce.unwrap_or_else(|| panic!("{path} without a nonce: {policy}"));
                    assert!(
                        text.contains(&format!("nonce=\"{nonce}\"")),
                        "{path} has another page's nonce"
                    );
                }
            }
        }
    });
    futures::future::join_all(asks).await;
}
