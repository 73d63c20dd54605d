//! The hosts that a server answers for, and requests on behalf of other sites; by HTTP/1.1, HTTP/2 and
//! WebSocket alike.

use reqwest::Version;
use tokio_tungstenite::{
    connect_async,
    tungstenite::{self, client::IntoClientRequest as _, http::HeaderValue},
};

use super::{
    TICK, client, client_of_http2, new_token, problem, send,
    support::{Server, data_dir},
};

#[tokio::test]
async fn a_name_that_was_pointed_at_this_machine_is_not_answered_for() {
    let (_scratch, data) = data_dir();
    new_token(&data, "read", "wall");
    let server = Server::start(&data, &["--set", "web.hosts=prices.example.com"]);
    let port = server.url.rsplit(':').next().unwrap();
    for path in ["/", "/healthz", "/api/pipeline", "/main.css"] {
        let rebound = client()
            .get(server.at(path))
            .header("host", format!("rebound.example:{port}"));
        let refused = send(rebound).await;
        assert_eq!(refused.status(), 421, "{path}");
        let problem = problem(refused).await;
        assert_eq!(problem["field"], "host");
        let detail = problem["detail"].as_str().unwrap();
        assert!(detail.contains("web.hosts"), "{detail}");
        assert!(detail.contains("rebound.example"), "{detail}");
    }
    for host in [
        "localhost",
        "127.0.0.1",
        "[::1]:1",
        "prices.example.com",
        "PRICES.example.com:443",
    ] {
        let good = send(client().get(server.at("/healthz")).header("host", host)).await;
        assert_eq!(good.status(), 200, "{host}");
    }
    let long = "x".repeat(5_000);
    let refused = send(client().get(server.at("/healthz")).header("host", long)).await;
    assert!(refused.text().await.unwrap().len() < 500);
}

#[tokio::test]
async fn over_http2_the_authority_and_the_header_both_have_to_be_a_host_of_ours() {
    let (_scratch, data) = data_dir();
    let server = Server::start(&data, &[]);
    let client = client_of_http2();
    let good = send(client.get(server.at("/healthz"))).await;
    assert_eq!(
        (good.status().as_u16(), good.version()),
        (200, Version::HTTP_2)
    );
    // The authority is that of the URL: a name that resolves to this machine stands for a rebound one.
    let rebound = client
        .get(server.at("/healthz"))
        .header("host", "rebound.example");
    let refused = send(rebound).await;
    assert_eq!(
        (refused.status().as_u16(), refused.version()),
        (421, Version::HTTP_2)
    );

    let resolver = reqwest::Client::builder()
        .http2_prior_knowledge()
        .resolve(
            "rebound.example",
            server.url["http://".len()..].parse().unwrap(),
        )
        .build()
        .unwrap();
    let port = server.url.rsplit(':').next().unwrap();
    let refused = send(resolver.get(format!("http://rebound.example:{port}/healthz"))).await;
    assert_eq!(
        (refused.status().as_u16(), refused.version()),
        (421, Version::HTTP_2)
    );
}

#[tokio::test]
async fn what_changes_something_is_refused_on_behalf_of_another_site() {
    let (_scratch, data) = data_dir();
    let server = Server::start(
        &data,
        &["--set", "web.allowed_origins=https://prices.example.com"],
    );
    for client in [client(), client_of_http2()] {
        let own = server.url.as_str();
        for (headers, status) in [
            (vec![], 200),
            (vec![("origin", own)], 200),
            (vec![("origin", "https://prices.example.com")], 200),
            (vec![("origin", "https://evil.example")], 403),
            (vec![("origin", "null")], 403),
            (vec![("sec-fetch-site", "same-origin")], 200),
            (vec![("sec-fetch-site", "none")], 200),
            (
                vec![
                    ("sec-fetch-site", "same-site"),
                    ("origin", "http://127.0.0.1:1"),
                ],
                403,
            ),
            (vec![("sec-fetch-site", "cross-site")], 403),
        ] {
            for (path, body) in [
                ("/api/ticks", TICK),
                (
                    "/api/page",
                    "{\"path\":\"/pipeline\",\"search\":\"\",\"zone\":\"\"}",
                ),
            ] {
                let mut push = client.post(server.at(path)).body(body);
                for (name, value) in &headers {
                    push = push.header(*name, *value);
                }
                let answer = send(push.header("content-type", "application/json")).await;
                let version = answer.version();
                assert_eq!(answer.status(), status, "{version:?} {path} {headers:?}");
                if status == 403 {
                    let problem = problem(answer).await;
                    let detail = problem["detail"].as_str().unwrap();
                    assert!(detail.contains("web.allowed_origins"), "{detail}");
                }
            }
        }
    }
}

#[tokio::test]
async fn handshakes_of_websockets_are_held_to_both_rules() {
    let (_scratch, data) = data_dir();
    let server = Server::start(&data, &[]);
    let own = server.url.clone();
    for path in ["/live", "/forecast"] {
        for (name, value, expected) in [
            ("origin", own.as_str(), 101),
            ("sec-fetch-site", "same-origin", 101),
            ("origin", "https://evil.example", 403),
            ("sec-fetch-site", "cross-site", 403),
            ("host", "rebound.example", 421),
        ] {
            let mut request = server.ws(path).into_client_request().unwrap();
            request
                .headers_mut()
                .insert(name, HeaderValue::from_str(value).unwrap());
            let status = match connect_async(request).await {
                Ok((_, response)) => response.status(),
                Err(tungstenite::Error::Http(response)) => response.status(),
                Err(e) => panic!("{path} {name} {value}: {e}"),
            };
            assert_eq!(status.as_u16(), expected, "{path} {name} {value}");
        }
    }
}

#[tokio::test]
async fn a_request_without_a_host_or_with_two_is_refused_unless_it_is_of_http_1_0() {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    let (_scratch, data) = data_dir();
    let server = Server::start(&data, &[]);
    let address = server.url["http://".len()..].to_owned();
    for (head, expected) in [
        ("GET /healthz HTTP/1.1\r\nConnection: close\r\n\r\n", "400"),
        (
            "GET /healthz HTTP/1.1\r\nHost: localhost\r\nHost: rebound.example\r\nConnection: close\r\n\r\n",
            "400",
        ),
        // The target's host counts as well as the header's.
        (
            "GET http://rebound.example/healthz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n",
            "421",
        ),
        ("GET /healthz HTTP/1.0\r\n\r\n", "200"),
    ] {
        let mut connection = tokio::net::TcpStream::connect(&address).await.unwrap();
        connection.write_all(head.as_bytes()).await.unwrap();
        let mut answer = String::new();
        connection.read_to_string(&mut answer).await.unwrap();
        assert_eq!(answer.split(' ').nth(1), Some(expected), "{head}: {answer}");
    }
}

#[tokio::test]
async fn a_body_in_an_encoding_that_nobody_decodes_is_415() {
    let (_scratch, data) = data_dir();
    let server = Server::start(&data, &[]);
    for client in [client(), client_of_http2()] {
        for coding in ["gzip", "br", "zstd", "identity, gzip", "nonsense"] {
            for path in ["/api/ticks", "/predict", "/api/overview"] {
                let push = client.post(server.at(path)).body(TICK);
                let refused = send(push.header("content-encoding", coding)).await;
                assert_eq!(refused.status(), 415, "{coding} {path}");
                assert_eq!(refused.headers()["accept-encoding"], "identity");
                let problem = problem(refused).await;
                assert_eq!(problem["field"], "Content-Encoding");
            }
        }
        let plain = client.post(server.at("/api/ticks")).body(TICK);
        let stored = send(plain.header("content-encoding", "identity")).await;
        assert_eq!(stored.status(), 200);
    }
}
