//! `POST /api/ticks`: takes a JSON array, NDJSON or one object of ticks (or bars), and answers after
//! the store has the rows; where other processes store (`tickcast web`) the rows are published first,
//! and the answer waits for the store a while. Rows that cannot be used are put aside; the good ones around them go in.
//!
//! Model: a body is decoded in batches of rows, each stored before the next but one is decoded, so that a push
//! costs its body and some batches. Of the rows that cannot be used a bounded number is kept as dead letters,
//! and one letter tells of the rest.

use std::time::Instant;

use axum::{
    Json,
    body::Bytes,
    extract::{State, rejection::BytesRejection},
    http::StatusCode,
};
use market::{ErrorKind, Reject, TickRules, excerpt};
use pipeline::{Clock as _, SystemClock};
use protocol::{Pushed, RejectedRow};
use source::{Decoded, Decoding};
use tokio::sync::mpsc;

use super::{
    AppState,
    problem::{Problem, Result},
};

/// How many rejects an answer shows; the dead-letter table has more.
const SHOWN: usize = 20;

/// Good rows of a batch at most.
const BATCH_ROWS: usize = 10_000;

/// Bodies from so many bytes on are decoded away from the async threads; for a smaller one the way
/// there and back takes longer than the decoding.
const DECODE_APART_BYTES: usize = 64 * 1_024;

/// The handler.
#[utoipa::path(
    post,
    path = "/api/ticks",
    summary = "Store ticks or bars",
    tag = "prices",
    request_body(content = Option<serde_json::Value>, description = "A JSON array, NDJSON or one object of ticks or bars: see the README", content_type = "application/json"),
    responses((status = 200, description = "The rows are in the store", body = Pushed), (status = 202, description = "The rows are on the bus, and some not in the store yet", body = Pushed), Problem),
)]
pub async fn ticks(
    State(state): State<AppState>,
    body: std::result::Result<Bytes, BytesRejection>,
) -> Result<(StatusCode, Json<Pushed>)> {
    let body =
        body.map_err(|e| Problem::new(ErrorKind::Invalid, excerpt(&e.body_text())).field("body"))?;
    let received = Instant::now();
    let rules = state.pipeline.config().rules();
    let mut taken = Taken::default();
    let most = state.push_rejects;
    if body.len() >= DECODE_APART_BYTES {
        let (batches, mut decoded) = mpsc::channel(1);
        let decoding =
            tokio::task::spawn_blocking(move || decode_apart(&body, most, &rules, &batches));
        while let Some(batch) = decoded.recv().await {
            taken.take(&state, batch, received).await?;
        }
        decoding
            .await
            .map_err(|e| Problem::new(ErrorKind::Internal, format!("decoding failed: {e}")))?;
    } else {
        let mut decoding =
            Decoding::new(&body, ORIGIN, SystemClock.now(), &rules).with_most_rejects(most);
        while let Some(batch) = decoding.next_batch(BATCH_ROWS) {
            taken.take(&state, batch, received).await?;
        }
    }
    let Taken {
        usable,
        rejected,
        left_out,
        rejects,
        rows,
        pushed,
    } = taken;
    state
        .pipeline
        .push_rejects(rejects.clone(), left_out)
        .await?;
    if usable == 0
        && let Some(first) = rejects.first()
    {
        return Err(nothing_usable(first, rejected));
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
        rejected,
        not_kept: left_out,
        rejects: rejects
            .into_iter()
            .take(SHOWN)
            .enumerate()
            .map(|(at, r)| RejectedRow {
                row: rows.get(at).copied(),
                reason: r.reason,
                detail: r.detail,
            })
            .collect(),
    };
    Ok((status, Json(answer)))
}

/// The origin of rows that were pushed.
const ORIGIN: &str = "push";

/// What has been taken of a push so far.
#[derive(Default)]
struct Taken {
    usable: usize,
    rejected: usize,
    left_out: usize,
    rejects: Vec<Reject>,
    /// Which rows those are.
    rows: Vec<usize>,
    pushed: pipeline::Pushed,
}

impl Taken {
    /// Stores the good rows of a batch, and keeps the bad ones for when all good ones are stored.
    async fn take(&mut self, state: &AppState, batch: Decoded, received: Instant) -> Result<()> {
        self.usable += batch.ticks.len() + batch.bars.len();
        self.rejected += batch.rejected();
        self.left_out += batch.left_out;
        self.rejects.extend(batch.rejects);
        self.rows.extend(batch.rejected_rows);
        let pushed = state
            .pipeline
            .push(batch.ticks, batch.bars, received)
            .await?;
        self.pushed += pushed;
        Ok(())
    }
}

/// Decodes a body and hands its batches over, until nobody takes them any more.
fn decode_apart(body: &Bytes, most: usize, rules: &TickRules, batches: &mpsc::Sender<Decoded>) {
    let mut decoding =
        Decoding::new(body, ORIGIN, SystemClock.now(), rules).with_most_rejects(most);
    while let Some(batch) = decoding.next_batch(BATCH_ROWS) {
        if batches.blocking_send(batch).is_err() {
            return;
        }
    }
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
