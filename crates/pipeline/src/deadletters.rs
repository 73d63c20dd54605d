//! Dead letters, decoded again after a fix.
//!
//! Model: every open letter goes once more through the decoder with the rules of now. One whose rows
//! all go through is marked as replayed, after they are stored; one that still fails stays as it is.
//! A letter is not split: of one with good and bad rows the good ones are stored again with each
//! replay, which does no harm.

use std::{collections::BTreeMap, sync::Arc};

use async_trait::async_trait;
use bus::Position;
use market::{Reject, RejectReason, TickRules};
use serde::Serialize;
use store::Store;

use crate::{Result, Sink, clock::Clock};

/// Letters that are read at once.
const LETTERS_AT_ONCE: usize = 500;
/// Letters that a report lists at most.
const LISTED: usize = 100;

/// Where dead letters are told of besides the store: a topic that others may watch.
#[async_trait]
pub trait DeadLetterOutlet: Send + Sync + 'static {
    /// Publishes rows that could not be used, each with where its message stood, if it came from
    /// the topic. May get the same rows again.
    ///
    /// # Errors
    /// The bus's.
    async fn publish(&self, rejects: &[(Option<Position>, Reject)]) -> bus::Result<()>;
}

/// What a replay did.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct ReplayReport {
    /// Letters looked at.
    pub looked_at: u64,
    /// Letters that went through.
    pub replayed: u64,
    /// Rows stored from them, doubles included.
    pub rows: u64,
    /// Letters that still fail, by reason.
    pub still: BTreeMap<RejectReason, u64>,
    /// The first of those: the letter's id and what is wrong with it now.
    pub examples: Vec<(i64, String)>,
}

/// Replays the open letters, of one reason if given.
///
/// # Errors
/// The store's; what was replayed before stays replayed.
pub async fn replay(
    store: &Arc<dyn Store>,
    sink: &Sink,
    rules: &TickRules,
    clock: &Arc<dyn Clock>,
    reason: Option<RejectReason>,
) -> Result<ReplayReport> {
    let mut report = ReplayReport::default();
    let mut after = 0;
    loop {
        let letters = store
            .open_dead_letters(reason, after, LETTERS_AT_ONCE)
            .await?;
        let Some(last) = letters.last() else {
            return Ok(report);
        };
        after = last.id;
        let now = clock.now();
        let (mut ticks, mut bars, mut through) = (Vec::new(), Vec::new(), Vec::new());
        for letter in letters {
            report.looked_at += 1;
            let reject = &letter.reject;
            let decoded = decode_again(&reject.payload, &reject.origin, now, rules);
            match decoded.rejects.first() {
                None if decoded.rows() > 0 => through.push(letter.id),
                None => {
                    // An empty payload says nothing: it fails as it did.
                    report.fails(letter.id, reject.reason, &reject.detail);
                    continue;
                }
                Some(still) => {
                    report.fails(letter.id, still.reason, &still.detail);
                }
            }
            report.rows += (decoded.ticks.len() + decoded.bars.len()) as u64;
            ticks.extend(decoded.ticks);
            bars.extend(decoded.bars);
        }
        sink.write_history(ticks).await?;
        sink.write_history_bars(bars).await?;
        if !through.is_empty() {
            report.replayed += store.mark_replayed(through).await? as u64;
        }
    }
}

fn decode_again(
    payload: &str,
    origin: &str,
    now: market::Timestamp,
    rules: &TickRules,
) -> source::Decoded {
    source::ticks_from_json(payload.as_bytes(), origin, now, rules)
}

impl ReplayReport {
    fn fails(&mut self, id: i64, reason: RejectReason, detail: &str) {
        *self.still.entry(reason).or_insert(0) += 1;
        if self.examples.len() < LISTED {
            self.examples.push((id, detail.to_owned()));
        }
    }
}
