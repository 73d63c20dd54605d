//! The answers of last resort, as problem+json like every other: an unknown address, a method that
//! an address does not know, a handler that panicked.

use std::any::Any;

use axum::{
    Router,
    extract::ws::rejection::WebSocketUpgradeRejection,
    http::{Method, StatusCode, Uri},
    response::{IntoResponse, Response},
};
use market::ErrorKind;
use tower_http::catch_panic::CatchPanicLayer;
use tracing::error;

use super::problem::Problem;

/// No such address; for programs. People get a page.
pub async fn not_found(uri: Uri) -> Problem {
    let detail = format!("there is nothing at {}", uri.path());
    Problem::new(ErrorKind::NotFound, detail).field("path")
}

/// The address is there, but not for this method; the header `Allow` says for which.
pub async fn method_not_allowed(method: Method, uri: Uri) -> Problem {
    let detail = format!("{} does not take {method}", uri.path());
    Problem::new(ErrorKind::Invalid, detail)
        .with_status(StatusCode::METHOD_NOT_ALLOWED)
        .field("method")
}

/// A WebSocket's address was asked without the upgrade that makes one.
pub fn no_upgrade(rejection: &WebSocketUpgradeRejection) -> Problem {
    let field = match rejection {
        WebSocketUpgradeRejection::MethodNotGet(_)
        | WebSocketUpgradeRejection::MethodNotConnect(_) => "method",
        WebSocketUpgradeRejection::InvalidConnectionHeader(_) => "connection",
        WebSocketUpgradeRejection::InvalidWebSocketVersionHeader(_) => "sec-websocket-version",
        WebSocketUpgradeRejection::WebSocketKeyHeaderMissing(_) => "sec-websocket-key",
        _ => "upgrade",
    };
    let detail = format!("this is a WebSocket: {}", rejection.body_text());
    Problem::new(ErrorKind::Invalid, detail)
        .with_status(rejection.status())
        .field(field)
}

/// Panics of every route become problems.
pub fn catch_panics<S>(router: Router<S>) -> Router<S>
where
    S: Clone + Send + Sync + 'static,
{
    router.layer(CatchPanicLayer::custom(panicked))
}

/// What the panic said stays in the log: it may tell of what is none of the caller's business.
fn panicked(panic: Box<dyn Any + Send>) -> Response {
    let said = panic
        .downcast_ref::<String>()
        .map(String::as_str)
        .or_else(|| panic.downcast_ref::<&str>().copied())
        .unwrap_or("nothing readable");
    error!("a handler panicked: {said}");
    let detail = "a fault of the server: its log says more";
    Problem::new(ErrorKind::Internal, detail).into_response()
}

#[cfg(test)]
mod tests {
    use axum::{body::Body, http::Request, routing::get};
    use tower::ServiceExt as _;

    use super::*;

    #[tokio::test]
    #[expect(clippy::panic, reason = "the panic is what is tested")]
    async fn a_panic_becomes_a_problem_that_does_not_tell_what_it_said() {
        async fn breaks() {
            panic!("the secret is hunter2");
        }
        let router = catch_panics(Router::<()>::new().route("/", get(breaks)));
        let request = Request::get("/").body(Body::empty()).unwrap();
        let response = router.oneshot(request).await.unwrap();
        assert_eq!(response.status(), 500);
        assert_eq!(
            response.headers()["content-type"],
            "application/problem+json"
        );
        let body = axum::body::to_bytes(response.into_body(), 9_999).await;
        let problem: serde_json::Value = serde_json::from_slice(&body.unwrap()).unwrap();
        assert_eq!(problem["kind"], "internal");
        assert!(!problem.to_string().contains("hunter2"), "{problem}");
    }
}
