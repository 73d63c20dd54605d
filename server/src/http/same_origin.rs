//! Refuses requests that a browser makes on behalf of another site: posts (the server functions of
//! Leptos check nothing themselves) and WebSockets, which the same-origin policy does not cover.
//!
//! Programs that are no browsers send no `Origin` and pass. What it does not do: authenticate.

use std::sync::Arc;

use axum::{
    extract::{Request, State},
    http::{HeaderMap, Method, StatusCode, header},
    middleware::Next,
    response::{IntoResponse, Response},
};
use market::ErrorKind;

use super::problem::Problem;

/// The origins that pass besides the server's own.
pub type AllowedOrigins = Arc<[String]>;

/// The middleware.
pub async fn check(
    State(allowed): State<AllowedOrigins>,
    request: Request,
    next: Next,
) -> Response {
    let changes = !matches!(
        *request.method(),
        Method::GET | Method::HEAD | Method::OPTIONS
    );
    let upgrades = request.headers().contains_key(header::UPGRADE);
    if (changes || upgrades) && !same_origin(request.headers(), &allowed) {
        return Problem::new(
            ErrorKind::Invalid,
            "the request comes from another site; allow its origin in web.allowed_origins",
        )
        .field("Origin")
        .with_status(StatusCode::FORBIDDEN)
        .into_response();
    }
    next.run(request).await
}

fn same_origin(headers: &HeaderMap, allowed: &[String]) -> bool {
    let Some(origin) = headers.get(header::ORIGIN) else {
        return true;
    };
    let Ok(origin) = origin.to_str().map(str::to_ascii_lowercase) else {
        return false;
    };
    if allowed.contains(&origin) {
        return true;
    }
    let host = headers
        .get(header::HOST)
        .and_then(|h| h.to_str().ok())
        .map(str::to_ascii_lowercase);
    let authority = origin
        .strip_prefix("http://")
        .or_else(|| origin.strip_prefix("https://"));
    authority.is_some() && authority == host.as_deref()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn passes(origin: Option<&str>, host: &str) -> bool {
        let mut headers = HeaderMap::new();
        headers.insert(header::HOST, host.parse().unwrap());
        if let Some(origin) = origin {
            headers.insert(header::ORIGIN, origin.parse().unwrap());
        }
        same_origin(&headers, &["https://prices.example".to_owned()])
    }

    #[test]
    fn only_its_own_and_allowed_origins_pass() {
        assert!(passes(None, "127.0.0.1:3000"));
        assert!(passes(Some("http://127.0.0.1:3000"), "127.0.0.1:3000"));
        assert!(passes(Some("https://prices.example"), "127.0.0.1:3000"));
        assert!(!passes(Some("http://evil.example"), "127.0.0.1:3000"));
        assert!(!passes(Some("http://127.0.0.1:3001"), "127.0.0.1:3000"));
        assert!(!passes(Some("null"), "127.0.0.1:3000"));
    }
}
