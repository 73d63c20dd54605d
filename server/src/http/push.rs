//! `POST /api/ticks`: takes a JSON array, NDJSON or one object of ticks (or bars), and answers after
//! the store has the rows; where other processes store (`tickcast web`) the rows are published first,
//! and the answer waits for the store a while. Rows that cannot be used are put aside; the good ones around them go in.

use std::time::Instant;

use axum::{
    Json,
    body::Bytes,
    extract::{State, rejection::BytesRejection},
    http::StatusCode,
};
use market::{ErrorKind, Reject, RejectReason};
use pipeline::{Clock as _, SystemClock};
use serde::Serialize;

use super::{
    AppState, MAX_BODY,
    problem::{Problem, Result},
};

/// How many rejects an answer shows; all of them are in the dead-letter table.
const SHOWN: usize = 20;

/// Bodies from so many bytes on are decoded away from the async threads; for a smaller one the way
/// there and back takes longer than the decoding.
const DECODE_APART_BYTES: usize = 64 * 1_024;

/// What became of the rows.
#[derive(Debug, Serialize)]
pub struct Pushed {
    /// Rows that are in the store now and were not before.
    stored: usize,
    /// Rows that were there already.
    duplicates: usize,
    /// Rows that the bus has taken and the store did not have when the wait was over; the status is
    /// then 202. Never where this process stores.
    #[serde(skip_serializing_if = "is_zero")]
    on_the_way: usize,
    /// Rows put aside.
    rejected: usize,
    /// The first of them.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    rejects: Vec<Refused>,
}

#[expect(
    clippy::trivially_copy_pass_by_ref,
    reason = "serde hands a reference over"
)]
const fn is_zero(n: &usize) -> bool {
    *n == 0
}

/// One row put aside.
#[derive(Debug, Serialize)]
pub struct Refused {
    reason: RejectReason,
    detail: String,
}

/// The handler.
pub async fn ticks(
    State(state): State<AppState>,
    body: std::result::Result<Bytes, BytesRejection>,
) -> Result<(StatusCode, Json<Pushed>)> {
    let body = body.map_err(|e| {
        if e.status() == StatusCode::PAYLOAD_TOO_LARGE {
            let detail = format!("the body is larger than {MAX_BODY} bytes: send it in parts");
            return Problem::new(ErrorKind::Invalid, detail)
                .with_status(StatusCode::PAYLOAD_TOO_LARGE)
                .field("body");
        }
        Problem::new(ErrorKind::Invalid, e.body_text()).field("body")
    })?;
    let received = Instant::now();
    let rules = state.pipeline.config().rules();
    let apart = body.len() >= DECODE_APART_BYTES;
    let decode = move || source::ticks_from_json(&body, "push", SystemClock.now(), &rules);
    let decoded = if apart {
        tokio::task::spawn_blocking(decode)
            .await
            .map_err(|e| Problem::new(ErrorKind::Internal, format!("decoding failed: {e}")))?
    } else {
        decode()
    };
    let usable = decoded.ticks.len() + decoded.bars.len();
    let rejects = decoded.rejects;
    let pushed = state
        .pipeline
        .push(decoded.ticks, decoded.bars, rejects.clone(), received)
        .await?;
    if usable == 0
        && let Some(first) = rejects.first()
    {
        return Err(nothing_usable(first, rejects.len()));
    }
    let status = if pushed.on_the_way > 0 {
        StatusCode::ACCEPTED
    } else {
        StatusCode::OK
    };
    let answer = Pushed {
        stored: pushed.stored,
        duplicates: pushed.duplicates,
        on_the_way: pushed.on_the_way,
        rejected: rejects.len(),
        rejects: rejects
            .into_iter()
            .take(SHOWN)
            .map(|r| Refused {
                reason: r.reason,
                detail: r.detail,
            })
            .collect(),
    };
    Ok((status, Json(answer)))
}

fn nothing_usable(first: &Reject, count: usize) -> Problem {
    let others = if count > 1 {
        format!(" (and {} more rows)", count - 1)
    } else {
        String::new()
    };
    Problem::new(
        ErrorKind::Invalid,
        format!("no row could be used: {}{others}", first.detail),
    )
    .field(first.field().unwrap_or("body"))
}
