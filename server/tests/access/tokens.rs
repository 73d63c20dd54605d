//! Tokens: made, listed and revoked by the command, asked for by the server.

use super::{
    TICK, client, new_token, problem, send,
    support::{self, Server, data_dir, run, stderr, stdout},
};

async fn push(server: &Server, token: Option<&str>) -> reqwest::Response {
    let mut push = client().post(server.at("/api/ticks")).body(TICK);
    if let Some(token) = token {
        push = push.bearer_auth(token);
    }
    send(push).await
}

#[tokio::test]
async fn without_a_token_this_machine_may_do_everything_and_no_other_is_listened_to() {
    let (_scratch, data) = data_dir();
    let server = Server::start(&data, &[]);
    assert_eq!(push(&server, None).await.status(), 200);
    drop(server);
    let data_text = data.display().to_string();
    for (flags, instead) in [
        (["--host", "0.0.0.0"], "--host 127.0.0.1"),
        (["--host", "::"], "--host 127.0.0.1"),
        (["--set", "web.hosts=prices.example.com"], "leave it empty"),
    ] {
        let mut arguments = vec![
            "serve",
            "--source",
            "none",
            "--port",
            "0",
            "--data-dir",
            &data_text,
        ];
        arguments.extend(flags);
        let refused = run(&arguments);
        assert_eq!(refused.status.code(), Some(2), "{}", stderr(&refused));
        let text = stderr(&refused);
        assert_eq!(text.trim_end().lines().count(), 1, "{text}");
        assert!(text.contains("tickcast token new --role admin"), "{text}");
        assert!(text.contains(instead), "{text}");
    }
    new_token(&data, "read", "somebody");
    let server = Server::start(&data, &["--host", "0.0.0.0"]);
    assert_eq!(
        send(client().get(server.at("/healthz"))).await.status(),
        200
    );
}

#[tokio::test]
async fn once_there_is_a_token_this_machine_needs_it_to_write_and_not_to_read() {
    let (_scratch, data) = data_dir();
    let server = Server::start(&data, &[]);
    // The running server takes it up, and drops it, by itself.
    let token = new_token(&data, "write", "feed");
    let refused = push(&server, None).await;
    assert_eq!(refused.status(), 401);
    assert!(
        refused.headers()["www-authenticate"]
            .to_str()
            .unwrap()
            .starts_with("Bearer")
    );
    let problem = problem(refused).await;
    let detail = problem["detail"].as_str().unwrap();
    assert!(
        detail.contains("tickcast token new --role write"),
        "{detail}"
    );
    assert_eq!(push(&server, Some(&token)).await.status(), 200);
    for path in ["/", "/metrics", "/api/deadletters"] {
        let read = send(client().get(server.at(path))).await;
        assert!(
            read.status().is_success() || read.status() == 302,
            "{path}: {}",
            read.status()
        );
    }
    let data_text = data.display().to_string();
    let revoked = run(&["token", "revoke", "feed", "--data-dir", &data_text]);
    assert!(revoked.status.success(), "{}", stderr(&revoked));
    assert!(
        stderr(&revoked).contains("No token is left"),
        "{}",
        stderr(&revoked)
    );
    assert_eq!(push(&server, Some(&token)).await.status(), 401);
    assert_eq!(push(&server, None).await.status(), 200);
}

#[tokio::test]
async fn wrong_tokens_are_refused_and_many_of_them_turned_away_while_good_ones_pass() {
    let (_scratch, data) = data_dir();
    let token = new_token(&data, "write", "feed");
    let server = Server::start(&data, &[]);
    assert_eq!(push(&server, Some(&token)).await.status(), 200);
    let wrong = push(&server, Some("tickcast_0")).await;
    assert_eq!(wrong.status(), 401);
    let detail = problem(wrong).await["detail"].to_string();
    assert!(detail.contains("revoked"), "{detail}");
    let mut turned_away = 0;
    for number in 0..12 {
        let guess = format!("tickcast_{number:08x}_{}", "0".repeat(48));
        let refused = push(&server, Some(&guess)).await;
        match refused.status().as_u16() {
            401 => {}
            429 => {
                let wait: u64 = refused.headers()["retry-after"]
                    .to_str()
                    .unwrap()
                    .parse()
                    .unwrap();
                assert!((1..=7).contains(&wait), "{wait}");
                turned_away += 1;
            }
            other => panic!("{other}"),
        }
    }
    assert!(turned_away > 0);
    assert_eq!(push(&server, Some(&token)).await.status(), 200);
    assert_eq!(push(&server, None).await.status(), 401);
    assert_eq!(
        send(client().get(server.at("/healthz"))).await.status(),
        200
    );
}

#[test]
fn tokens_are_listed_without_what_they_read_and_revoked_by_name() {
    let (_scratch, data) = data_dir();
    let token = new_token(&data, "admin", "ops");
    new_token(&data, "read", "wall");
    let data = data.display().to_string();
    let listed = run(&["token", "list", "--data-dir", &data]);
    let text = stdout(&listed);
    for part in ["ops", "admin", "wall", "read"] {
        assert!(text.contains(part), "{text}");
    }
    let secret = token.rsplit('_').next().unwrap();
    assert!(!text.contains(secret), "{text}");
    let revoked = run(&["token", "revoke", "ops", "--data-dir", &data]);
    assert!(
        stdout(&revoked).contains("is revoked"),
        "{}",
        stderr(&revoked)
    );
    let again = run(&["token", "revoke", "ops", "--data-dir", &data]);
    assert_eq!(again.status.code(), Some(2));
    assert!(
        stderr(&again).contains("tickcast token list"),
        "{}",
        stderr(&again)
    );
    let listed = run(&["token", "list", "--json", "--data-dir", &data]);
    let line: serde_json::Value = serde_json::from_str(stdout(&listed).trim()).unwrap();
    assert_eq!(
        (&line["name"], &line["role"]),
        (&"wall".into(), &"read".into())
    );
    for (arguments, expected) in [
        (
            ["token", "new", "--role", "root"],
            "expected read, write or admin",
        ),
        (["token", "new", "--name", "x"], "--role"),
    ] {
        let refused = run(&arguments);
        assert_eq!(refused.status.code(), Some(2));
        assert!(stderr(&refused).contains(expected), "{}", stderr(&refused));
    }
}

#[tokio::test]
async fn commands_show_their_token_to_the_server_they_ask() {
    let (_scratch, data) = data_dir();
    let read = new_token(&data, "read", "wall");
    let admin = new_token(&data, "admin", "ops");
    let server = Server::start(&data, &["--host", "0.0.0.0"]);
    let url = server.at("");
    let listed = run(&["deadletters", "--url", &url, "--token", &read]);
    assert!(listed.status.success(), "{}", stderr(&listed));
    let refused = run(&["deadletters", "--url", &url]);
    assert_eq!(refused.status.code(), Some(1));
    assert!(stderr(&refused).contains("401"), "{}", stderr(&refused));
    let refused = run(&["deadletters", "replay", "--url", &url, "--token", &read]);
    assert!(
        stderr(&refused).contains("this needs admin"),
        "{}",
        stderr(&refused)
    );
    let replayed = support::tickcast()
        .args(["deadletters", "replay", "--url", &url])
        .env("TICKCAST_TOKEN", &admin)
        .output()
        .unwrap();
    assert!(replayed.status.success(), "{}", stderr(&replayed));
}
