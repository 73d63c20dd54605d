//! The front end's files, and the page of what was not found.
//!
//! Model: `ServeDir` answers, without anything of Leptos around it. Leptos' own handler for files runs
//! its context under whatever page is being rendered on the same thread, whose headers the file then
//! takes away: with it, a page lost its policy while a style sheet was fetched beside it.

use std::{path::Path, sync::Arc};

use axum::{
    body::Body,
    extract::{Request, State},
    http::{HeaderValue, Method, StatusCode, Uri, header},
    response::{IntoResponse, Response},
};
use leptos_axum::render_app_to_stream_with_context;
use tower::ServiceExt;
use tower_http::services::ServeDir;

use super::{AppState, headers::POLICY_OF_PAGES};

/// The pages that are files: the one that a service worker shows where there is no server, and the one that forecasts
/// files of the device.
const PAGES: [&str; 2] = ["/offline.html", "/file.html"];

/// The name of the build that lies under `root`, which its pages ask for their files by; empty where the build
/// has left none.
pub fn build(root: &Path) -> Arc<str> {
    let name = std::fs::read_to_string(root.join("build.txt")).unwrap_or_default();
    name.trim().into()
}

/// Answers with the file, or with the page that says that there is none.
///
/// `context` is what the pages are rendered in.
pub async fn file_or_not_found(
    State(state): State<AppState>,
    context: impl Fn() + Clone + Send + Sync + 'static,
    request: Request,
) -> Response {
    if let Some(question) = question(&request)
        && let Some(file) = file(&state, question).await
    {
        return file;
    }
    let page = render_app_to_stream_with_context(context, move || app::shell(&state.build));
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

/// The file, or that the browser has it already. A file of another build than this server's there is not: a page
/// gets its script and its wasm of one build, or none.
async fn file(state: &AppState, question: Request) -> Option<Response> {
    let of_build = build_asked(question.uri());
    if of_build.is_some_and(|build| build != &*state.build) {
        return None;
    }
    let lasts = of_build.is_some();
    let is_page = PAGES.contains(&question.uri().path());
    let files = ServeDir::new(&*state.leptos.site_root)
        .append_index_html_on_directories(false)
        .precompressed_gzip()
        .precompressed_br();
    let answer = files.oneshot(question).await.ok()?;
    if !matches!(answer.status(), StatusCode::OK | StatusCode::NOT_MODIFIED) {
        return None;
    }
    let mut answer = answer.into_response();
    let headers = answer.headers_mut();
    if lasts {
        let lasting = HeaderValue::from_static("private, max-age=31536000, immutable");
        headers.insert(header::CACHE_CONTROL, lasting);
    }
    if is_page {
        let policy = HeaderValue::from_static(POLICY_OF_PAGES);
        headers.insert(header::CONTENT_SECURITY_POLICY, policy);
    }
    Some(answer)
}

/// The build that a file is asked of.
fn build_asked(uri: &Uri) -> Option<&str> {
    let mut pairs = uri.query()?.split('&');
    pairs.find_map(|pair| pair.strip_prefix("b="))
}
