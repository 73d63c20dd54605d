//! The answers of last resort, as problem+json like every other: an unknown address, a method that
//! an address does not know, a handler that panicked, a server function that failed.

use std::any::Any;

use app::api::ApiError;
use axum::{
    Router,
    extract::ws::rejection::WebSocketUpgradeRejection,
    http::{Method, StatusCode, Uri},
    response::{IntoResponse, Response},
};
use leptos::server_fn::error::SERVER_FN_ERROR_HEADER;
use market::{ErrorKind, excerpt};
use tower_http::catch_panic::CatchPanicLayer;
use tracing::error;

use super::problem::Problem;

/// The longest error of a server function that is read.
const MAX_ERROR: usize = 1 << 20;

/// A detail of ours is never longer, in bytes.
const MAX_DETAIL: usize = 1_000;

/// No such address; for programs. People get a page.
pub async fn not_found(uri: Uri) -> Problem {
    let detail = format!("there is nothing at {}", excerpt(uri.path()));
    Problem::new(ErrorKind::NotFound, detail).field("path")
}

/// The address is there, but not for this method; the header `Allow` says for which.
pub async fn method_not_allowed(method: Method, uri: Uri) -> Problem {
    let (path, method) = (excerpt(uri.path()), excerpt(method.as_str()));
    let detail = format!("{path} does not take {method}");
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

/// Errors of server functions become problems, those too that Leptos finds before the function is
/// called. Their members are read by the browser's code as before.
pub async fn of_server_functions(response: Response) -> Response {
    let failed = response.status().is_client_error() || response.status().is_server_error();
    let Some(path) = response.headers().get(SERVER_FN_ERROR_HEADER).cloned() else {
        return response;
    };
    if !failed {
        return response;
    }
    let body = axum::body::to_bytes(response.into_body(), MAX_ERROR).await;
    let error = body
        .ok()
        .and_then(|body| serde_json::from_slice::<ApiError>(&body).ok());
    let problem = match error {
        Some(error) => {
            let field = error.field.or_else(|| missing_field(&error.detail));
            // Leptos' own errors repeat what could not be read; ours are not so long.
            let detail = if error.detail.len() > MAX_DETAIL {
                excerpt(&error.detail).into_owned()
            } else {
                error.detail
            };
            let kind = error.kind;
            Problem::from(ApiError {
                kind,
                detail,
                field,
            })
        }
        None => Problem::new(
            ErrorKind::Internal,
            "a fault of the server: its log says more",
        ),
    };
    let mut response = problem.into_response();
    response.headers_mut().insert(SERVER_FN_ERROR_HEADER, path);
    response
}

/// The field that serde says is missing: the arguments are read before any code of ours.
fn missing_field(detail: &str) -> Option<String> {
    let rest = detail.split_once("missing field `")?.1;
    Some(rest.split_once('`')?.0.to_owned())
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
