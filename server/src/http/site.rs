//! The front end's files, and the page of what was not found.
//!
//! Model: `ServeDir` answers, without anything of Leptos around it. Leptos' own handler for files runs
//! its context under whatever page is being rendered on the same thread, whose headers the file then
//! takes away: with it, a page lost its policy while a style sheet was fetched beside it.

use axum::{
    body::Body,
    extract::{Request, State},
    http::{Method, StatusCode, header},
    response::{IntoResponse, Response},
};
use leptos::prelude::LeptosOptions;
use leptos_axum::render_app_to_stream_with_context;
use tower::ServiceExt;
use tower_http::services::ServeDir;

/// Answers with the file, or with the page that says that there is none.
///
/// `context` is what the pages are rendered in.
pub async fn file_or_not_found(
    State(options): State<LeptosOptions>,
    context: impl Fn() + Clone + Send + Sync + 'static,
    request: Request,
) -> Response {
    if let Some(question) = question(&request)
        && let Some(file) = file(&options.site_root, question).await
    {
        return file;
    }
    let page = render_app_to_stream_with_context(context, move || app::shell(options.clone()));
    let mut response = page(request).await;
    // A page that says more than "found" has its reasons.
    if response.status() == StatusCode::OK {
        *response.status_mut() = StatusCode::NOT_FOUND;
    }
    response
}

/// What is asked of the files: the address, and the headers that an answer depends on.
fn question(request: &Request) -> Option<Request> {
    if !matches!(*request.method(), Method::GET | Method::HEAD) {
        return None;
    }
    let mut question = Request::builder()
        .method(request.method())
        .uri(request.uri());
    for name in [header::ACCEPT_ENCODING, header::IF_MODIFIED_SINCE] {
        if let Some(value) = request.headers().get(&name) {
            question = question.header(name, value);
        }
    }
    question.body(Body::empty()).ok()
}

/// The file under `root`, or that the browser has it already.
async fn file(root: &str, question: Request) -> Option<Response> {
    let files = ServeDir::new(root)
        .append_index_html_on_directories(false)
        .precompressed_gzip()
        .precompressed_br();
    let answer = files.oneshot(question).await.ok()?;
    let found = matches!(answer.status(), StatusCode::OK | StatusCode::NOT_MODIFIED);
    found.then(|| answer.into_response())
}
