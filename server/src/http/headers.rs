//! The headers that tell a browser what a page of ours may do.
//!
//! Model: every answer gets the same ones. The policy of a page names the nonce that Leptos gives its
//! own inline scripts in this very answer, and which ours carry too; whatever else stands in the page
//! does not run. Files have a policy without a nonce: a worker's is that of its script.
//!
//! What it does not do: `Strict-Transport-Security`, which is for the proxy that speaks TLS.

use axum::{
    Router,
    http::{HeaderName, HeaderValue, header, request::Parts},
};
use leptos::{nonce::use_nonce, prelude::use_context};
use leptos_axum::ResponseOptions;
use tower_http::set_header::SetResponseHeaderLayer;

/// What is no page: files and answers to programs.
const POLICY_OF_FILES: &str = "default-src 'none'; script-src 'self' 'wasm-unsafe-eval'; \
     connect-src 'self'; worker-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/// A page that is a file, as the one that opens without a server: its scripts are files too.
pub const POLICY_OF_PAGES: &str = "default-src 'none'; script-src 'self' 'wasm-unsafe-eval'; \
     style-src 'self'; img-src 'self'; font-src 'self'; connect-src 'self'; worker-src 'self'; \
     manifest-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'";

/// A page without scripts: the login page.
pub const POLICY_WITHOUT_SCRIPTS: &str = "default-src 'none'; style-src 'self'; img-src 'self'; \
     manifest-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'";

const ALWAYS: [(HeaderName, &str); 7] = [
    (header::CONTENT_SECURITY_POLICY, POLICY_OF_FILES),
    (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    // For browsers that do not know frame-ancestors.
    (header::X_FRAME_OPTIONS, "DENY"),
    // Its own origin hears where a form was posted from; nobody else hears anything.
    (header::REFERRER_POLICY, "same-origin"),
    (
        HeaderName::from_static("permissions-policy"),
        "camera=(), display-capture=(), geolocation=(), microphone=(), midi=(), payment=(), usb=()",
    ),
    (
        HeaderName::from_static("cross-origin-opener-policy"),
        "same-origin",
    ),
    (
        HeaderName::from_static("cross-origin-resource-policy"),
        "same-origin",
    ),
];

/// Adds them to every answer that does not have its own.
pub fn add<S>(router: Router<S>) -> Router<S>
where
    S: Clone + Send + Sync + 'static,
{
    ALWAYS.into_iter().fold(router, |router, (name, value)| {
        let value = HeaderValue::from_static(value);
        router.layer(SetResponseHeaderLayer::if_not_present(name, value))
    })
}

/// Gives the page that is being rendered its policy. Of a server function nothing is changed: it has no
/// nonce of its own, and finds that of a page that is being rendered on its thread.
pub fn page_policy() {
    let parts = use_context::<Parts>();
    if parts.is_some_and(|parts| parts.uri.path().starts_with("/api/")) {
        return;
    }
    let (Some(nonce), Some(response)) = (use_nonce(), use_context::<ResponseOptions>()) else {
        return;
    };
    let policy = format!(
        "default-src 'none'; script-src 'self' 'nonce-{nonce}' 'wasm-unsafe-eval'; \
         style-src 'self'; img-src 'self'; font-src 'self'; connect-src 'self'; worker-src 'self'; \
         manifest-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
    );
    if let Ok(policy) = HeaderValue::try_from(policy) {
        response.insert_header(header::CONTENT_SECURITY_POLICY, policy);
    }
}
