//! Dead letters: of a message one, in the order in which they came, within the quotas.

use std::collections::{BTreeMap, BTreeSet};

use market::{Reject, RejectReason, Timestamp};
use proptest::prelude::*;
use proptest_state_machine::ReferenceStateMachine;
use store::{DeadLetterQuota, DroppedCount, ReasonCount, RejectReport, quota::size_of};

use super::{Reference, holds};
use crate::suite::{Database, StoreUnderTest};

const SOURCES: [&str; 3] = ["a", "b", "c"];
const REASONS: [RejectReason; 2] = [RejectReason::BadPrice, RejectReason::BadField];

#[derive(Clone, Debug, PartialEq)]
struct Letter {
    reject: Reject,
    replayed: bool,
}

#[derive(Clone, Debug, Default)]
pub struct Kept {
    /// In the order in which they came.
    letters: Vec<Letter>,
    dropped: BTreeMap<(String, RejectReason), u64>,
}

#[derive(Clone, Debug)]
pub enum Call {
    Reject(Vec<Reject>),
    /// Of the open letters those at these places, as far as there are so many.
    Replay(BTreeSet<usize>),
    Discard(Option<RejectReason>, Option<&'static str>),
    Reopen,
}

impl Kept {
    fn open(&self) -> Vec<&Letter> {
        self.letters.iter().filter(|l| !l.replayed).collect()
    }

    /// Letters and bytes of a source.
    fn held(&self, source: &str) -> (u64, u64) {
        let of = |letter: &&Letter| letter.reject.source() == source;
        let sizes = self.letters.iter().filter(of).map(|l| size_of(&l.reject));
        sizes.fold((0, 0), |(letters, bytes), size| (letters + 1, bytes + size))
    }

    /// Whether a letter fits, or is made to fit by replayed ones.
    fn make_room(&mut self, source: &str, size: u64, quota: DeadLetterQuota) -> bool {
        if size > quota.bytes_per_source {
            return false;
        }
        loop {
            let (letters, bytes) = self.held(source);
            let removed = if letters >= quota.per_source || bytes + size > quota.bytes_per_source {
                self.remove_replayed(Some(source))
            } else if self.letters.len() as u64 >= quota.total {
                self.remove_replayed(None)
            } else {
                return true;
            };
            if !removed {
                return false;
            }
        }
    }

    /// Removes the oldest replayed letter, of one source if given.
    fn remove_replayed(&mut self, source: Option<&str>) -> bool {
        let is_it = |letter: &Letter| {
            letter.replayed && source.is_none_or(|source| letter.reject.source() == source)
        };
        match self.letters.iter().position(is_it) {
            Some(at) => {
                self.letters.remove(at);
                true
            }
            None => false,
        }
    }

    /// See [`store::quota`]. What is known of a message is what was there before the call, and what
    /// came before in it.
    fn reject(&mut self, rejects: &[Reject], quota: DeadLetterQuota) -> RejectReport {
        let mut known: BTreeSet<String> = self
            .letters
            .iter()
            .filter_map(|letter| letter.reject.message.clone())
            .collect();
        let mut done = RejectReport::default();
        let mut dropped: BTreeMap<(String, RejectReason), u64> = BTreeMap::new();
        for reject in rejects {
            if let Some(message) = &reject.message
                && !known.insert(message.clone())
            {
                continue;
            }
            let source = reject.source().to_owned();
            if self.make_room(&source, size_of(reject), quota) {
                done.kept += 1;
                self.letters.push(Letter {
                    reject: reject.clone(),
                    replayed: false,
                });
            } else {
                *dropped.entry((source, reject.reason)).or_insert(0) += 1;
            }
        }
        for (of, more) in dropped {
            *self.dropped.entry(of.clone()).or_insert(0) += more;
            done.dropped.push(DroppedCount {
                source: of.0,
                reason: of.1,
                dropped: more,
            });
        }
        done
    }

    fn matches(reject: (&str, RejectReason), call: (Option<RejectReason>, Option<&str>)) -> bool {
        call.0.is_none_or(|reason| reject.1 == reason)
            && call.1.is_none_or(|source| reject.0 == source)
    }
}

fn some_rejects() -> impl Strategy<Value = Vec<Reject>> {
    let one = (
        0..3_usize,
        0..2_usize,
        prop::option::weighted(0.6, 0..12_u8),
        // Now and then one that needs the room of several, or more than there is.
        prop_oneof![6 => 0..20_usize, 1 => 60..130_usize],
    );
    prop::collection::vec(one, 1..7).prop_map(|rows| {
        rows.into_iter()
            .enumerate()
            .map(|(row, (source, reason, message, more))| Reject {
                // A message is of one source.
                message: message.map(|number| format!("{}/{number}", SOURCES[source])),
                ..Reject::new(
                    REASONS[reason],
                    "what was expected",
                    format!("{}:{row}", SOURCES[source]),
                    format!("row {row}{}", "x".repeat(more)),
                )
            })
            .collect()
    })
}

pub struct DeadLetters;

impl ReferenceStateMachine for DeadLetters {
    type State = Kept;
    type Transition = Call;

    fn init_state() -> BoxedStrategy<Kept> {
        Just(Kept::default()).boxed()
    }

    fn transitions(_: &Kept) -> BoxedStrategy<Call> {
        let reason = prop::option::weighted(0.5, prop::sample::select(REASONS.to_vec()));
        let source = prop::option::weighted(0.7, prop::sample::select(SOURCES.to_vec()));
        prop_oneof![
            6 => some_rejects().prop_map(Call::Reject),
            3 => prop::collection::btree_set(0..8_usize, 1..4).prop_map(Call::Replay),
            1 => (reason, source).prop_map(|(reason, source)| Call::Discard(reason, source)),
            1 => Just(Call::Reopen),
        ]
        .boxed()
    }

    fn apply(mut state: Kept, call: &Call) -> Kept {
        match call {
            Call::Reject(rejects) => {
                state.reject(rejects, Self::QUOTA);
            }
            Call::Replay(places) => {
                let mut open = state.letters.iter_mut().filter(|l| !l.replayed);
                let mut at = 0;
                for place in places {
                    if let Some(letter) = open.nth(place - at) {
                        letter.replayed = true;
                    }
                    at = place + 1;
                }
            }
            Call::Discard(reason, source) => {
                let only = (*reason, *source);
                state.letters.retain(|letter| {
                    !Kept::matches((letter.reject.source(), letter.reject.reason), only)
                });
                state
                    .dropped
                    .retain(|(source, reason), _| !Kept::matches((source, *reason), only));
            }
            Call::Reopen => {}
        }
        state
    }
}

impl Reference for DeadLetters {
    const QUOTA: DeadLetterQuota = DeadLetterQuota {
        per_source: 4,
        bytes_per_source: 120,
        total: 8,
    };

    fn reopens(call: &Call) -> bool {
        matches!(call, Call::Reopen)
    }

    async fn call(store: &dyn Database, before: &Kept, after: &Kept, call: &Call) {
        match call {
            Call::Reject(rejects) => {
                let at = Timestamp::from_secs(1);
                let mut done = store.reject(rejects.clone(), at).await.unwrap();
                done.dropped.sort();
                assert_eq!(done, before.clone().reject(rejects, Self::QUOTA));
            }
            Call::Replay(places) => {
                let open = store.open_dead_letters(None, 0, usize::MAX).await.unwrap();
                let ids: Vec<i64> = places
                    .iter()
                    .filter_map(|place| open.get(*place))
                    .map(|letter| letter.id)
                    .collect();
                let marked = store.mark_replayed(ids.clone()).await.unwrap();
                assert_eq!(marked, ids.len());
                assert_eq!(store.mark_replayed(ids).await.unwrap(), 0);
            }
            Call::Discard(reason, source) => {
                let discarded = store.discard(*reason, *source).await.unwrap();
                let gone = before.letters.len() - after.letters.len();
                assert_eq!(discarded, gone as u64);
            }
            Call::Reopen => {}
        }
    }

    async fn compare(store: &dyn Database, state: &Kept) {
        let open = store.open_dead_letters(None, 0, usize::MAX).await.unwrap();
        let found: Vec<&Reject> = open.iter().map(|letter| &letter.reject).collect();
        let expected: Vec<&Reject> = state.open().iter().map(|letter| &letter.reject).collect();
        assert_eq!(found, expected);
        assert!(open.is_sorted_by(|a, b| a.id < b.id));
        if let [first, .., last] = &open[..] {
            let some = store.open_dead_letters(Some(last.reject.reason), first.id, 2);
            let of = |letter: &&store::DeadLetter| letter.reject.reason == last.reject.reason;
            let expected: Vec<_> = open[1..].iter().filter(of).take(2).cloned().collect();
            assert_eq!(some.await.unwrap(), expected);
        }
        let mut counts = store.dead_letter_counts().await.unwrap();
        counts.retain(|count| count.open + count.replayed > 0);
        counts.sort_by_key(|count| count.reason);
        let mut expected: BTreeMap<RejectReason, ReasonCount> = BTreeMap::new();
        for letter in &state.letters {
            let reason = letter.reject.reason;
            let count = expected.entry(reason).or_insert(ReasonCount {
                reason,
                open: 0,
                replayed: 0,
            });
            count.open += u64::from(!letter.replayed);
            count.replayed += u64::from(letter.replayed);
        }
        assert_eq!(counts, expected.into_values().collect::<Vec<_>>());
        let mut dropped = store.dropped_dead_letters().await.unwrap();
        dropped.sort();
        let expected: Vec<DroppedCount> = state
            .dropped
            .iter()
            .map(|((source, reason), dropped)| DroppedCount {
                source: source.clone(),
                reason: *reason,
                dropped: *dropped,
            })
            .collect();
        assert_eq!(dropped, expected);
    }
}

pub async fn dead_letters_are_those_of_the_model(side: &dyn StoreUnderTest) {
    holds::<DeadLetters>(side).await;
}
