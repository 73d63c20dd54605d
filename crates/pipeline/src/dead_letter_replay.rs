//! Dead letters, decoded again after a fix.
//!
//! Model: every open letter goes once more through the decoder with the rules of now. One whose rows
//! all go through is marked as replayed, after they are stored; one that still fails stays as it is.
//! A letter is not split: of one with good and bad rows the good ones are stored again with each
//! replay, which does no harm.

use std::{collections::BTreeMap, sync::Arc};

use market::{Reject, RejectReason, TickRules};
use serde::Serialize;
use store::{DeadLetterStore, DroppedCount, ReasonCount, RejectReport, StoreError};

use crate::{Pipeline, PipelineError, Result, Sink, clock::Clock};

/// Letters that are read at once.
const LETTERS_AT_ONCE: usize = 500;
/// Letters that a report lists at most.
const LISTED: usize = 100;

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
    store: &dyn DeadLetterStore,
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

/// Dead letters of the store that the stages write to.
impl Pipeline {
    /// Dead letters by reason; also as the gauge `tickcast_dead_letters`.
    ///
    /// # Errors
    /// The store's.
    pub async fn dead_letter_counts(&self) -> Result<Vec<ReasonCount>> {
        let counts = self.store.dead_letters.dead_letter_counts().await?;
        for count in &counts {
            let reason = count.reason.as_str();
            metrics::gauge!("tickcast_dead_letters", "reason" => reason, "state" => "open")
                .set(count.open as f64);
            metrics::gauge!("tickcast_dead_letters", "reason" => reason, "state" => "replayed")
                .set(count.replayed as f64);
        }
        Ok(counts)
    }

    /// Dead letters that were not kept, because their source had its quota; also as the gauge
    /// `tickcast_dead_letters_dropped`.
    ///
    /// # Errors
    /// The store's.
    pub async fn dropped_dead_letters(&self) -> Result<Vec<DroppedCount>> {
        let dropped = self.store.dead_letters.dropped_dead_letters().await?;
        for count in &dropped {
            // As many sources as the store counts apart at most.
            let labels = [
                ("source", count.source.clone()),
                ("reason", count.reason.as_str().to_owned()),
            ];
            metrics::gauge!("tickcast_dead_letters_dropped", &labels).set(count.dropped as f64);
        }
        Ok(dropped)
    }

    /// Keeps rejected rows as dead letters.
    ///
    /// # Errors
    /// The store's.
    pub async fn reject(&self, rejects: Vec<Reject>) -> Result<RejectReport> {
        self.sink.reject(rejects).await
    }

    /// Discards dead letters, of a reason and a source if given: see
    /// [`store::DeadLetterStore::discard`].
    ///
    /// # Errors
    /// The store's; what was removed before stays removed.
    pub async fn discard_dead_letters(
        &self,
        reason: Option<RejectReason>,
        source: Option<&str>,
    ) -> Result<u64> {
        let store = self.dead_letter_store()?;
        Ok(store.discard(reason, source).await?)
    }

    /// Replays the open dead letters, of one reason if given, with the rules of now.
    ///
    /// # Errors
    /// The store's.
    pub async fn replay_dead_letters(&self, reason: Option<RejectReason>) -> Result<ReplayReport> {
        let rules = self.config().rules();
        let store = self.dead_letter_store()?;
        replay(store, &self.sink, &rules, &self.clock, reason).await
    }

    /// The dead letters, where something can be done with them.
    fn dead_letter_store(&self) -> Result<&dyn DeadLetterStore> {
        let database = self.store.database.as_ref();
        let dead_letters = database.map(|database| &*database.dead_letters);
        dead_letters.ok_or_else(|| PipelineError::Store(StoreError::Invalid {
            detail: "this store is for writing only: its dead letters can be listed, and neither replayed nor discarded".into(),
        }))
    }
}
