//! Refuses requests that a browser makes on behalf of another site: those that may change something
//! (the server functions of Leptos check nothing themselves) and WebSockets, which the same-origin
//! policy does not cover.
//!
//! Model: `tower-http`'s `csrf`, which is Go's `CrossOriginProtection`: `Sec-Fetch-Site` where a
//! browser sends it, else `Origin` against the host. A handshake of a WebSocket is a GET, which it
//! lets pass; it is judged here as the POST that it may lead to. Programs that are no browsers send
//! neither header and pass.
//!
//! What it does not do: authenticate, or look at whether the host is ours (`super::hosts`).

use std::{
    convert::Infallible,
    future::{Ready, ready},
};

use axum::{
    extract::{Request, State},
    http::{self, Method, StatusCode, header},
    middleware::Next,
    response::{IntoResponse, Response},
};
use market::ErrorKind;
use tower::{Layer as _, ServiceExt as _, util::ServiceFn};
use tower_http::csrf::{ConfigError, Csrf, CsrfLayer};

use super::problem::Problem;

type Passes = fn(http::Request<()>) -> Ready<Result<http::Response<()>, Infallible>>;

/// Decides, by the headers alone.
#[derive(Clone)]
pub struct SameOrigin(Csrf<ServiceFn<Passes>>);

impl SameOrigin {
    /// Lets pass what comes from the server's own pages, and from those of other origins.
    ///
    /// # Errors
    /// One of them is no origin.
    pub fn new(allowed: &[String]) -> Result<Self, ConfigError> {
        let layer = allowed
            .iter()
            .try_fold(CsrfLayer::new(), CsrfLayer::add_trusted_origin)?;
        let passes: Passes = |_| ready(Ok(http::Response::new(())));
        Ok(Self(layer.layer(tower::service_fn(passes))))
    }

    async fn passes(&self, head: http::Request<()>) -> bool {
        let Ok(verdict) = self.0.clone().oneshot(head).await;
        verdict.status() != StatusCode::FORBIDDEN
    }

    /// What is looked at of a request.
    fn head(request: &Request) -> http::Request<()> {
        let mut head = http::Request::new(());
        *head.method_mut() = request.method().clone();
        *head.uri_mut() = request.uri().clone();
        if request.headers().contains_key(header::UPGRADE) {
            *head.method_mut() = Method::POST;
        }
        for name in ["origin", "sec-fetch-site", "host"] {
            if let Some(value) = request.headers().get(name) {
                let name = header::HeaderName::from_static(name);
                head.headers_mut().insert(name, value.clone());
            }
        }
        head
    }
}

/// The middleware.
pub async fn check(State(rule): State<SameOrigin>, request: Request, next: Next) -> Response {
    if rule.passes(SameOrigin::head(&request)).await {
        return next.run(request).await;
    }
    Problem::new(
        ErrorKind::Invalid,
        "the request comes from another site; allow its origin in web.allowed_origins",
    )
    .field("Origin")
    .with_status(StatusCode::FORBIDDEN)
    .into_response()
}

#[cfg(test)]
mod tests {
    use axum::body::Body;

    use super::*;

    async fn passes(method: Method, headers: &[(&str, &str)]) -> bool {
        let mut request = http::Request::builder().method(method).uri("/live");
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let rule = SameOrigin::new(&["https://prices.example".to_owned()]).unwrap();
        let request = request.body(Body::empty()).unwrap();
        rule.passes(SameOrigin::head(&request)).await
    }

    #[tokio::test]
    async fn only_its_own_and_allowed_origins_pass() {
        let host = ("host", "127.0.0.1:3000");
        for (headers, expected) in [
            (vec![host], true),
            (vec![host, ("origin", "http://127.0.0.1:3000")], true),
            (vec![host, ("origin", "https://prices.example")], true),
            (vec![host, ("origin", "http://evil.example")], false),
            (vec![host, ("origin", "http://127.0.0.1:3001")], false),
            (vec![host, ("origin", "null")], false),
            (vec![("origin", "http://127.0.0.1:3000")], false),
            (vec![host, ("sec-fetch-site", "same-origin")], true),
            (vec![host, ("sec-fetch-site", "none")], true),
            (vec![host, ("sec-fetch-site", "same-site")], false),
            (vec![host, ("sec-fetch-site", "cross-site")], false),
            (
                vec![
                    host,
                    ("sec-fetch-site", "cross-site"),
                    ("origin", "https://prices.example"),
                ],
                true,
            ),
        ] {
            let asked = format!("{headers:?}");
            assert_eq!(passes(Method::POST, &headers).await, expected, "{asked}");
            // A handshake of a WebSocket alike.
            let mut handshake = headers.clone();
            handshake.push(("upgrade", "websocket"));
            assert_eq!(passes(Method::GET, &handshake).await, expected, "{asked}");
            assert!(passes(Method::GET, &headers).await, "{asked}");
        }
    }

    #[test]
    fn what_is_no_origin_is_refused_at_the_start() {
        assert!(SameOrigin::new(&["https://prices.example/path".to_owned()]).is_err());
    }
}
