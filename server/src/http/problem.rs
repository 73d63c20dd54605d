//! Errors as `application/problem+json` (RFC 9457) with two members of our own: `kind`, by which a
//! program decides what to do, and `field`, where the fault is of one field.

use std::collections::BTreeMap;

use axum::{
    http::{HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use market::ErrorKind;
use serde::Serialize;
use utoipa::{
    IntoResponses, ToSchema,
    openapi::{ContentBuilder, Ref, RefOr, Response as Described, ResponseBuilder},
};

use super::trace::TraceId;

/// A problem document.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub struct Problem {
    /// Always `about:blank`: `kind` tells more than a page would.
    #[serde(rename = "type")]
    type_uri: &'static str,
    /// The status' own phrase.
    title: &'static str,
    /// The HTTP status.
    status: u16,
    /// What is wrong, for a person.
    pub detail: String,
    /// What is wrong, for a program.
    pub kind: ErrorKind,
    /// The field that is at fault.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub field: Option<String>,
    /// The request's trace, by which it is found in the log.
    #[serde(skip_serializing_if = "Option::is_none")]
    trace_id: Option<String>,
    /// When to try again, in seconds; a header.
    #[serde(skip)]
    retry_after_s: Option<u16>,
}

impl Problem {
    /// A problem of a kind; the kind decides the status.
    pub fn new(kind: ErrorKind, detail: impl Into<String>) -> Self {
        let status = status_of(kind);
        Self {
            type_uri: "about:blank",
            title: status.canonical_reason().unwrap_or("Error"),
            status: status.as_u16(),
            detail: detail.into(),
            kind,
            field: None,
            trace_id: TraceId::current().map(|id| id.to_string()),
            retry_after_s: (kind == ErrorKind::Unavailable).then_some(1),
        }
    }

    /// The same with another status than the kind's own: 413, 415, 403.
    pub fn with_status(mut self, status: StatusCode) -> Self {
        self.title = status.canonical_reason().unwrap_or("Error");
        self.status = status.as_u16();
        self
    }

    /// Says when to try again.
    pub fn retry_after(mut self, seconds: u16) -> Self {
        self.retry_after_s = Some(seconds);
        self
    }

    /// The HTTP status.
    pub fn status(&self) -> StatusCode {
        StatusCode::from_u16(self.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)
    }

    /// Names the field at fault.
    pub fn field(mut self, field: impl Into<String>) -> Self {
        self.field = Some(field.into());
        self
    }
}

fn status_of(kind: ErrorKind) -> StatusCode {
    match kind {
        ErrorKind::NotFound => StatusCode::NOT_FOUND,
        ErrorKind::Conflict => StatusCode::CONFLICT,
        ErrorKind::Invalid => StatusCode::UNPROCESSABLE_ENTITY,
        ErrorKind::Timeout => StatusCode::GATEWAY_TIMEOUT,
        ErrorKind::Unavailable => StatusCode::SERVICE_UNAVAILABLE,
        ErrorKind::Internal => StatusCode::INTERNAL_SERVER_ERROR,
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let mut response = (self.status(), axum::Json(&self)).into_response();
        response.headers_mut().insert(
            header::CONTENT_TYPE,
            HeaderValue::from_static("application/problem+json"),
        );
        if let Some(seconds) = self.retry_after_s {
            response
                .headers_mut()
                .insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        }
        response
    }
}

impl IntoResponses for Problem {
    /// Every route may answer with one; its own fault or the server's.
    fn responses() -> BTreeMap<String, RefOr<Described>> {
        let problem = |description: &str| {
            let content = ContentBuilder::new()
                .schema(Some(Ref::from_schema_name("Problem")))
                .build();
            ResponseBuilder::new()
                .description(description)
                .content("application/problem+json", content)
                .build()
                .into()
        };
        BTreeMap::from([
            ("4XX".to_owned(), problem("What was asked cannot be done")),
            ("5XX".to_owned(), problem("It cannot be done now")),
        ])
    }
}

impl From<app::api::ApiError> for Problem {
    fn from(error: app::api::ApiError) -> Self {
        let problem = Self::new(error.kind, error.detail);
        match error.field {
            Some(field) => problem.field(field),
            None => problem,
        }
    }
}

impl From<store::StoreError> for Problem {
    fn from(error: store::StoreError) -> Self {
        Self::new(error.kind(), error.to_string())
    }
}

impl From<pipeline::PipelineError> for Problem {
    fn from(error: pipeline::PipelineError) -> Self {
        let problem = Self::new(error.kind(), error.to_string());
        match error.field() {
            Some(field) => problem.field(field),
            None => problem,
        }
    }
}

impl From<serving::ServingError> for Problem {
    fn from(error: serving::ServingError) -> Self {
        let problem = Self::new(error.kind(), error.to_string());
        match error.field() {
            Some(field) => problem.field(field),
            None => problem,
        }
    }
}

/// The answer's type of every handler.
pub type Result<T> = std::result::Result<T, Problem>;
