//! Dead letters: how a row that cannot be used is named, published and warned of.
//!
//! Model: the sink writes them to the store. The name of one is made of the message that it came in and of what it
//! holds, so that a row which comes again is kept once. What is published besides may be published again.
//!
//! What it does not do: replay or discard them (see [`crate::dead_letter_replay`]).

use std::{
    collections::HashMap,
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

use async_trait::async_trait;
use bus::{BusError, Position};
use market::Reject;
use serde::Serialize;
use siphasher::sip::SipHasher13;
use store::RejectReport;

use crate::backoff::Backoff;

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

#[cfg(test)]
mod tests {
    use market::RejectReason;

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
