//! Dead letters, decoded again after a fix.
//!
//! Model: every open letter goes once more through the decoder with the rules of now. One whose rows
//! all go through is marked as replayed, after they are stored; one that still fails stays as it is.
//! A letter is not split: of one with good and bad rows the good ones are stored again with each
//! replay, which does no harm.

use std::{
    collections::{BTreeMap, HashMap},
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use async_trait::async_trait;
use bus::{BusError, Position};
use market::{Reject, RejectReason, TickRules};
use serde::Serialize;
use siphasher::sip::SipHasher13;
use store::{DeadLetterStore, DroppedCount, ReasonCount, RejectReport, StoreError};

use crate::{Pipeline, PipelineError, Result, Sink, backoff::Backoff, clock::Clock};

/// Letters that are read at once.
const LETTERS_AT_ONCE: usize = 500;
/// Letters that a report lists at most.
const LISTED: usize = 100;

/// Where dead letters are published besides the store: a topic that others may watch.
#[async_trait]
pub trait DeadLetterOutlet: Send + Sync + 'static {
    /// Publishes rows that could not be used, each with where its message stood, if it came from
    /// the topic. May get the same rows again.
    ///
    /// # Errors
    /// The bus's.
    async fn publish(&self, rejects: &[(Option<Position>, Reject)]) -> bus::Result<()>;
}

/// A row as the text of its letter.
pub(crate) fn row_text<T: Serialize + std::fmt::Debug>(row: &T) -> String {
    // JSON cannot say NaN: then the row is kept as Rust writes it.
    serde_json::to_string(row).unwrap_or_else(|_| format!("{row:?}"))
}

/// Gives each reject the name of its message and what tells it from the others of that message: what
/// it holds, and how often that came before in it. Its number would not do, since another time fewer
/// of the message's rows may be refused.
pub(crate) fn name_messages(topic: &str, rejects: &mut [(Option<Position>, Reject)]) {
    let mut seen = HashMap::new();
    for (position, reject) in rejects {
        let Some(at) = *position else { continue };
        let message = format!("{topic}/{}/{}", at.partition, at.offset);
        name(message, reject, &mut seen);
    }
}

/// The same for rows of a source's batch, which is named by where the source stood before it; those that
/// the source has named keep their names.
pub(crate) fn name_batch(source: &str, batch: &str, rejects: &mut [Reject]) {
    let mut seen = HashMap::new();
    for reject in rejects.iter_mut().filter(|r| r.message.is_none()) {
        let message = format!("{source}/{:016x}", hash(batch));
        name(message, reject, &mut seen);
    }
}

fn name(message: String, reject: &mut Reject, seen: &mut HashMap<(String, u64), u32>) {
    let hash = hash(&reject.payload);
    let before = seen.entry((message.clone(), hash)).or_insert(0);
    reject.message = Some(format!("{message}/{hash:016x}.{before}"));
    *before += 1;
}

/// The names are stored, so the hash is one that never changes: SipHash-1-3 with keys of 0. The standard
/// library's hasher, which named the letters of earlier versions, is the same until a release of Rust
/// changes it.
fn hash(text: &str) -> u64 {
    SipHasher13::new().hash(text.as_bytes())
}

/// Publishes rejected rows that are in the store, trying again while the bus is down. What the bus
/// refuses for good (no right to write the topic, a setting) is said in the log and left at that: the
/// letters are in the store, and good rows must not wait for it.
pub(crate) async fn publish(
    outlet: Option<&dyn DeadLetterOutlet>,
    rejects: &[(Option<Position>, Reject)],
    backoff: &mut Backoff,
) {
    let Some(outlet) = outlet.filter(|_| !rejects.is_empty()) else {
        return;
    };
    loop {
        match outlet.publish(rejects).await {
            Ok(()) => return,
            Err(e @ BusError::Unavailable { .. }) => {
                tracing::warn!(error = %e, "publishing dead letters is tried again");
                tokio::time::sleep(backoff.next_wait()).await;
            }
            Err(BusError::Closed) => return,
            Err(e) => {
                metrics::counter!("tickcast_dead_letters_untold_total")
                    .increment(rejects.len() as u64);
                tracing::error!(
                    error = %e,
                    letters = rejects.len(),
                    "the topic of dead letters cannot be written; they are in the store"
                );
                return;
            }
        }
    }
}

/// How often a source that has its quota is warned of at most: a flood must not fill the log too.
const WARN_EVERY: Duration = Duration::from_secs(10);

/// Letters that were not kept since the last warning.
#[derive(Debug, Default)]
pub(crate) struct Drops {
    since: Mutex<Unsaid>,
}

#[derive(Debug, Default)]
struct Unsaid {
    letters: u64,
    said: Option<Instant>,
}

impl Drops {
    /// Takes note of what became of a batch, and warns when some of it was not kept.
    pub(crate) fn note(&self, done: &RejectReport) {
        let Some(first) = done.dropped.first() else {
            return;
        };
        let mut since = self.since.lock().unwrap_or_else(PoisonError::into_inner);
        since.letters += done.dropped_in_all();
        if since.said.is_some_and(|said| said.elapsed() < WARN_EVERY) {
            return;
        }
        tracing::warn!(
            source = %first.source,
            reason = %first.reason,
            letters = since.letters,
            "dead letters are counted and no longer kept: this source has its quota; replay or discard some (tickcast deadletters)"
        );
        *since = Unsaid {
            letters: 0,
            said: Some(Instant::now()),
        };
    }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_are_stored_stay_as_they_are() {
        let at = Position {
            partition: 3,
            offset: 42,
        };
        let reject = || Reject::new(RejectReason::BadPrice, "", "", "ABC,1700000000,-1");
        let mut of_a_message = [(Some(at), reject()), (Some(at), reject())];
        name_messages("t", &mut of_a_message);
        let names = of_a_message.map(|(_, r)| r.message.unwrap());
        assert_eq!(
            names,
            ["t/3/42/0922c622f50e5dde.0", "t/3/42/0922c622f50e5dde.1"]
        );
        let mut of_a_batch = [reject()];
        name_batch("rest:x", r#"{"batches":3}"#, &mut of_a_batch);
        let name = of_a_batch[0].message.as_deref();
        assert_eq!(name, Some("rest:x/f21899e4c9cb50f2/0922c622f50e5dde.0"));
    }

    #[test]
    fn a_row_of_a_message_has_one_name_whatever_else_of_it_is_refused() {
        let at = Position {
            partition: 3,
            offset: 42,
        };
        let names = |payloads: &[&str]| -> Vec<String> {
            let reject = |p: &&str| Reject::new(RejectReason::BadPrice, "", "", *p);
            let mut rejects: Vec<_> = payloads.iter().map(|p| (Some(at), reject(p))).collect();
            name_messages("t", &mut rejects);
            let names = rejects.into_iter().map(|(_, r)| r.message.unwrap());
            names.collect()
        };
        let all = names(&["a", "b", "b"]);
        assert!(all[0].starts_with("t/3/42/"), "{all:?}");
        assert_ne!(all[1], all[2]);
        assert_eq!(names(&["b", "b"]), all[1..]);
        let mut of_a_batch =
            ["a", "b", "b"].map(|p| Reject::new(RejectReason::BadPrice, "", "", p));
        name_batch("rest:x", r#"{"batches":3}"#, &mut of_a_batch);
        let mut after = [Reject::new(RejectReason::BadPrice, "", "", "a")];
        name_batch("rest:x", r#"{"batches":4}"#, &mut after);
        let mut names: Vec<_> = of_a_batch
            .into_iter()
            .chain(after)
            .map(|r| r.message)
            .collect();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), 4, "{names:?}");
        let mut pushed = [(None, Reject::new(RejectReason::BadPrice, "", "", "a"))];
        name_messages("t", &mut pushed);
        assert_eq!(pushed[0].1.message, None);
    }
}
