//! The login page, and the session that it gives.

use reqwest::{Response, StatusCode, header};

use super::{
    TICK, client, new_token, send,
    support::{Server, data_dir, run, stderr},
};

const FORM: &str = "application/x-www-form-urlencoded";

async fn log_in(server: &Server, token: &str, next: &str) -> Response {
    let form = client()
        .post(server.at("/login"))
        .header("content-type", FORM)
        .header("origin", server.at(""))
        .body(format!("token={token}&next={next}"));
    send(form).await
}

fn cookie(response: &Response) -> String {
    response.headers()[header::SET_COOKIE]
        .to_str()
        .unwrap()
        .to_owned()
}

/// What a browser sends back of a cookie.
fn pair(cookie: &str) -> String {
    cookie.split(';').next().unwrap().to_owned()
}

async fn page(server: &Server, path: &str, cookie: &str) -> Response {
    let page = client().get(server.at(path)).header("accept", "text/html");
    send(page.header("cookie", cookie)).await
}

#[tokio::test]
async fn a_browser_is_sent_to_the_login_page_and_back_and_may_then_do_what_its_token_allows() {
    let (_scratch, data) = data_dir();
    let token = new_token(&data, "write", "desk");
    let server = Server::start(&data, &["--host", "0.0.0.0"]);

    let sent = page(&server, "/backtest?symbols=ACME", "").await;
    assert_eq!(sent.status(), StatusCode::SEE_OTHER);
    let to = sent.headers()[header::LOCATION].to_str().unwrap();
    assert_eq!(to, "/login?next=/backtest%3Fsymbols%3DACME");
    let form = page(&server, to, "").await;
    assert_eq!(form.status(), 200);
    let policy = form.headers()["content-security-policy"]
        .to_str()
        .unwrap()
        .to_owned();
    assert!(!policy.contains("script-src"), "{policy}");
    let html = form.text().await.unwrap();
    assert!(html.contains("value=\"/backtest?symbols=ACME\""), "{html}");

    let wrong = log_in(&server, "hunter2", "/").await;
    assert_eq!(wrong.status(), 401);
    assert!(wrong.headers().get(header::SET_COOKIE).is_none());
    assert!(wrong.text().await.unwrap().contains("none of this server"));

    let done = log_in(&server, &token, "%2Fbacktest%3Fsymbols%3DACME").await;
    assert_eq!(done.status(), StatusCode::SEE_OTHER);
    assert_eq!(done.headers()[header::LOCATION], "/backtest?symbols=ACME");
    let set = cookie(&done);
    for attribute in ["HttpOnly", "SameSite=Lax", "Path=/", "Max-Age="] {
        assert!(set.contains(attribute), "{set}");
    }
    assert!(!set.contains("Secure"), "{set}");
    assert!(!set.contains(token.rsplit('_').next().unwrap()), "{set}");

    let cookie = pair(&set);
    assert_eq!(page(&server, "/pipeline", &cookie).await.status(), 200);
    let push = client().post(server.at("/api/ticks")).body(TICK);
    assert_eq!(send(push.header("cookie", &cookie)).await.status(), 200);
    let replay = client().post(server.at("/api/deadletters/replay"));
    assert_eq!(send(replay.header("cookie", &cookie)).await.status(), 403);
    // The cookie alone is no permission for another site.
    let forged = client().post(server.at("/api/ticks")).body(TICK);
    let forged = forged
        .header("cookie", &cookie)
        .header("sec-fetch-site", "cross-site");
    assert_eq!(send(forged).await.status(), 403);

    let logout = client()
        .post(server.at("/logout"))
        .header("cookie", &cookie);
    assert_eq!(send(logout).await.status(), StatusCode::SEE_OTHER);
    assert_eq!(
        page(&server, "/pipeline", &cookie).await.status(),
        StatusCode::SEE_OTHER
    );
}

#[tokio::test]
async fn a_session_outlives_the_server_and_not_its_token() {
    let (_scratch, data) = data_dir();
    let token = new_token(&data, "read", "wall");
    let keeper = new_token(&data, "admin", "ops");
    let server = Server::start(&data, &["--host", "0.0.0.0"]);
    let cookie = pair(&cookie(&log_in(&server, &token, "/").await));
    assert_eq!(page(&server, "/pipeline", &cookie).await.status(), 200);
    server.kill();
    let server = Server::start(&data, &["--host", "0.0.0.0"]);
    assert_eq!(page(&server, "/pipeline", &cookie).await.status(), 200);
    let data = data.display().to_string();
    let revoked = run(&["token", "revoke", "wall", "--data-dir", &data]);
    assert!(revoked.status.success(), "{}", stderr(&revoked));
    assert_eq!(
        page(&server, "/pipeline", &cookie).await.status(),
        StatusCode::SEE_OTHER
    );
    assert_eq!(
        log_in(&server, &keeper, "/").await.status(),
        StatusCode::SEE_OTHER
    );
}

#[tokio::test]
async fn behind_a_proxy_that_speaks_tls_the_cookie_is_secure_and_no_login_leads_elsewhere() {
    let (_scratch, data) = data_dir();
    let token = new_token(&data, "read", "wall");
    let server = Server::start(&data, &[]);
    let form = client()
        .post(server.at("/login"))
        .header("content-type", FORM)
        .header("x-forwarded-proto", "https")
        .body(format!("token={token}&next=https://evil.example/"));
    let done = send(form).await;
    assert_eq!(done.headers()[header::LOCATION], "/");
    assert!(cookie(&done).ends_with("; Secure"), "{}", cookie(&done));
    // Another site cannot log somebody in.
    let forged = client()
        .post(server.at("/login"))
        .header("content-type", FORM)
        .header("origin", "https://evil.example")
        .body(format!("token={token}"));
    assert_eq!(send(forged).await.status(), 403);
}

#[tokio::test]
async fn readiness_beyond_loopback_tells_strangers_whether_and_not_what() {
    let (_scratch, data) = data_dir();
    new_token(&data, "read", "wall");
    let server = Server::start(&data, &["--host", "0.0.0.0"]);
    let ready = send(client().get(server.at("/readyz"))).await;
    assert_eq!(ready.status(), 200);
}
