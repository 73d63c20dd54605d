//! Faults as problem+json (RFC 9457).

use axum::{
    Json,
    http::{StatusCode, header},
    response::{IntoResponse, Response},
};
use market::ErrorKind;
use serde::Serialize;

/// A problem document.
#[derive(Debug, Serialize)]
pub struct Problem {
    #[serde(rename = "type")]
    reference: &'static str,
    title: &'static str,
    status: u16,
    kind: ErrorKind,
    detail: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    field: Option<&'static str>,
}

impl Problem {
    /// A query parameter that cannot be right.
    pub fn bad_parameter(field: &'static str, detail: impl Into<String>) -> Self {
        Self {
            reference: "about:blank",
            title: "the request cannot be right",
            status: 422,
            kind: ErrorKind::Invalid,
            detail: detail.into(),
            field: Some(field),
        }
    }

    /// A thing that is not there.
    pub fn absent(field: Option<&'static str>, detail: impl Into<String>) -> Self {
        Self {
            reference: "about:blank",
            title: "there is no such thing",
            status: 404,
            kind: ErrorKind::NotFound,
            detail: detail.into(),
            field,
        }
    }

    /// A fault of the exchange: a real one, or one that it was told to have.
    pub fn internal(detail: impl Into<String>) -> Self {
        Self {
            reference: "about:blank",
            title: "the exchange has failed",
            status: 500,
            kind: ErrorKind::Internal,
            detail: detail.into(),
            field: None,
        }
    }

    /// Too many requests.
    pub fn throttled() -> Self {
        Self {
            reference: "about:blank",
            title: "too many requests",
            status: 429,
            kind: ErrorKind::Unavailable,
            detail: "wait as long as Retry-After says".into(),
            field: None,
        }
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let status = StatusCode::from_u16(self.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let kind = [(header::CONTENT_TYPE, "application/problem+json")];
        (status, kind, Json(self)).into_response()
    }
}

/// Answers paths that are no route.
pub async fn not_found(uri: axum::http::Uri) -> Problem {
    Problem::absent(None, format!("no route {}", uri.path()))
}
