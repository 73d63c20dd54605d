//! `/login`: a page that takes a token and gives the browser a session; `POST /logout` ends it.
//!
//! Model: plain forms, no scripts. After a login the browser goes on to where it wanted to, which is a
//! path of this server and nothing else.

use std::sync::Arc;

use axum::{
    Extension, Form,
    extract::{
        Query, State,
        rejection::{FormRejection, QueryRejection},
    },
    http::{HeaderName, HeaderValue, StatusCode, header, uri::PathAndQuery},
    response::{Html, IntoResponse, Redirect, Response},
};
use market::ErrorKind;
use pipeline::{Clock as _, SystemClock};
use serde::Deserialize;
use serde_json::json;
use tracing::error;

use super::{
    AppState,
    guard::{Gate, Grant, Session, refusal},
    headers::POLICY_WITHOUT_SCRIPTS,
    login_page,
    problem::{Problem, Result},
};
use crate::access::{Who, audit::Act, verifier::Verdict};

const CLEAR_SITE_DATA: HeaderName = HeaderName::from_static("clear-site-data");

/// Where to go on to.
#[derive(Debug, Default, Deserialize)]
pub struct Onward {
    #[serde(default)]
    next: String,
}

/// The form.
#[derive(Deserialize)]
pub struct Credentials {
    token: String,
    #[serde(default)]
    next: String,
}

/// `GET /login`.
pub async fn page(
    State(state): State<AppState>,
    Extension(grant): Extension<Grant>,
    onward: std::result::Result<Query<Onward>, QueryRejection>,
) -> Response {
    let next = onward.map(|Query(onward)| onward.next).unwrap_or_default();
    let shown = login_page::Shown {
        next: own_path(&next),
        refused: None,
        holder: match &grant.who {
            Who::Token { name, role, .. } => Some(format!("{name} ({role})")),
            _ => None,
        },
        no_tokens: !state.gate.verifier().has_tokens(),
    };
    answer(StatusCode::OK, &shown)
}

/// `POST /login`.
pub async fn login(
    State(state): State<AppState>,
    Extension(grant): Extension<Grant>,
    Extension(session): Extension<Session>,
    form: std::result::Result<Form<Credentials>, FormRejection>,
) -> Result<Response> {
    let Form(Credentials { token, next }) = form.map_err(|e| {
        Problem::new(ErrorKind::Invalid, e.body_text())
            .with_status(e.status())
            .field("token")
    })?;
    let next = own_path(&next);
    let verdict = state.gate.verifier().verify(token.trim(), grant.from).await;
    let Verdict::Good(token) = verdict else {
        let problem = refusal(&verdict);
        let shown = login_page::Shown {
            next,
            refused: Some(problem.detail.clone()),
            holder: None,
            no_tokens: !state.gate.verifier().has_tokens(),
        };
        return Ok(answer(problem.status(), &shown));
    };
    let who = token.who();
    if !begin(session, token).await {
        return Err(Problem::new(
            ErrorKind::Internal,
            "the session could not be kept: the server's log says more",
        ));
    }
    record(&state.gate, &who, &grant);
    Ok(Redirect::to(&next).into_response())
}

async fn begin(mut session: Session, token: Arc<crate::access::tokens::Token>) -> bool {
    let begun = async {
        let Some(holder) = session.authenticate(token).await? else {
            return Ok(false);
        };
        session.login(&holder).await.map(|()| true)
    };
    begun.await.unwrap_or_else(|e| {
        error!("a login failed: {e}");
        false
    })
}

fn record(gate: &Gate, who: &Who, grant: &Grant) {
    let now = SystemClock.now();
    gate.audit
        .record(now, Act::Login, who, Some(grant.from), json!({}));
}

/// `POST /logout`.
///
/// The browser is told to forget what it has kept for the time without a network.
pub async fn logout(Extension(mut session): Extension<Session>) -> Result<impl IntoResponse> {
    session.logout().await.map_err(|e| {
        error!("a logout failed: {e}");
        Problem::new(
            ErrorKind::Internal,
            "the session could not be ended: the server's log says more",
        )
    })?;
    let forget = (CLEAR_SITE_DATA, r#""cache", "storage""#);
    Ok(([forget], Redirect::to("/login")))
}

fn answer(status: StatusCode, shown: &login_page::Shown) -> Response {
    let mut response = (status, Html(login_page::html(shown))).into_response();
    let headers = response.headers_mut();
    headers.insert(
        header::CONTENT_SECURITY_POLICY,
        HeaderValue::from_static(POLICY_WITHOUT_SCRIPTS),
    );
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

/// The path if it is one of this server, else the first page: what a forged link says to go on to
/// must not lead elsewhere.
fn own_path(next: &str) -> String {
    let is_path = next.starts_with('/')
        && !next.starts_with("//")
        && !next.contains('\\')
        && !next.starts_with("/login")
        && next.parse::<PathAndQuery>().is_ok();
    if is_path { next } else { "/" }.to_owned()
}

/// Writes a path as the value of a parameter.
pub(super) fn encode(path: &str) -> String {
    let mut text = String::with_capacity(path.len());
    for byte in path.bytes() {
        if byte.is_ascii_alphanumeric() || b"-_.~/".contains(&byte) {
            text.push(char::from(byte));
        } else {
            text += &format!("%{byte:02X}");
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_paths_of_this_server_are_gone_on_to() {
        for next in ["/", "/s/ACME?interval=1d", "/pipeline"] {
            assert_eq!(own_path(next), next);
        }
        for next in [
            "",
            "//evil.example/",
            "/\\evil.example",
            "https://evil.example/",
            "javascript:alert(1)",
            "/login?next=/",
            "/a\r\nset-cookie: x=y",
        ] {
            assert_eq!(own_path(next), "/", "{next:?}");
        }
    }

    #[test]
    fn a_path_survives_being_a_parameter() {
        let path = "/s/BRK.B?interval=1d&model=arima(1,1,1)";
        let encoded = encode(path);
        assert!(!encoded.contains(['?', '&', '=']), "{encoded}");
        let uri = format!("/login?next={encoded}").parse().unwrap();
        let Query(onward) = Query::<Onward>::try_from_uri(&uri).unwrap();
        assert_eq!(onward.next, path);
    }
}
