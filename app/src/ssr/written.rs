//! Which page an address names, and its gathering.

use std::sync::Arc;

use leptos::prelude::use_context;
use market::ErrorKind;

use super::{desk::Desk, models, scoreboard, search::Search, training};
use crate::api::{ApiError, serve, written::Written};

/// The desk in the context.
pub fn desk() -> Result<Arc<dyn Desk>, ApiError> {
    let none = "the server gave its pages no training loop";
    use_context().ok_or_else(|| ApiError::new(ErrorKind::Internal, none.to_owned()))
}

/// Writes the page of an address.
pub async fn page(path: &str, search: &str, zone: &str) -> Result<Written, ApiError> {
    let backend = serve::backend()?;
    let desk = desk()?;
    let read = Search::read(search);
    match path {
        "/pipeline" => serve::pipeline_board(&*backend, search).await,
        "/models" => models::page(&*backend, &*desk, &read).await,
        "/training" => training::page(&*desk, &read, zone).await,
        "/scoreboard" => scoreboard::page(&*backend, &*desk, &read).await,
        _ => Err(ApiError::not_found("the server writes no such page".to_owned()).field("path")),
    }
}

/// What an act did, as an address has it: a word of ours and a kind of error. Anything else in it would be shown to
/// whoever follows a forged link.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Done {
    /// What was done.
    pub done: Option<String>,
    /// How many.
    pub count: u64,
    /// Why it was not done.
    pub problem: Option<ErrorKind>,
    /// The field at fault.
    pub field: Option<String>,
}

impl Done {
    /// Reads it from an address.
    pub fn read(search: &Search) -> Self {
        let problem = search.get("problem");
        Self {
            done: search.get("done").map(ToOwned::to_owned),
            count: search.parse("count").unwrap_or(0),
            problem: problem.and_then(|text| serde_json::from_value(text.into()).ok()),
            field: search.get("field").map(ToOwned::to_owned),
        }
    }
}
