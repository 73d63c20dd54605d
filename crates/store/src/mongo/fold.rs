//! Parts of bars folded anew from what they are made of: where a process may have died, or failed,
//! between its ticks and its part.
//!
//! Anybody may fold a part, also while its own process goes on writing it, and none of it needs a
//! compare-and-set: who has folded and written looks once more, and if what the part is made of has
//! changed meanwhile, does it again. So the last one to write a part has written all of it. Suppose
//! a tick is missing from the last write: it was not there when that writer looked once more, hence
//! it was stored after; but who stores a tick writes its part after that, so the write was not the
//! last. The same holds for a minute and its seconds, because parts are written the shortest first.
//! It wants a server on which who reads after a write sees it.
//!
//! Where retention has been, what a part is made of may be gone, and the part is all that is left of
//! it. So retention first tells up to when it removes (see the module `retention`), and a part that
//! starts before that is replaced by its fold only where the fold has all that the part and the new
//! ticks of this append have: at least as many trades, as early and as late ones, as high and as low.
//! Otherwise the new ticks are merged into the part as it is stored, and duplicates leave it as it is.
//! Longer bars go by the same rule: most of them are folded from shorter ones that are still there
//! and right. What this costs: where a process died between its ticks and bars, and retention took
//! some ticks of the same bar before the rest came again, nobody can tell which of them the bar
//! lacks, and it goes on lacking them.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use futures::{StreamExt, TryStreamExt, stream};
use market::{Bar, Interval, Symbol, Tick, bars_from_ticks};
use mongodb::bson::doc;

use super::{
    Inner,
    bars::{Key, key, merge_into},
    documents::TickDocument,
    keys::{self, writer_of_bar},
};
use crate::{Result, StoreError};

/// How often a part is folded anew when it keeps changing.
const TRIES: usize = 20;
/// Stretches of ticks read at the same time.
const READ_AT_ONCE: usize = 8;
/// Ticks between two bars that are read with both, rather than to ask twice.
const GAP_US: i64 = 10_000_000;
/// `_id`s that one question names at most.
const IDS_ASKED: usize = 1_000;

/// A part's key: the bar's, and the writer.
pub(super) type Part = (Key, i64);

/// What a part is whose ticks retention may have taken, by what is `stored` of it, the `new` ticks
/// that are not in that yet, and what can still be `folded`.
fn kept(stored: Option<&Bar>, new: Option<Bar>, folded: Option<&Bar>) -> Option<Bar> {
    let mut kept = stored.cloned();
    if let Some(new) = new {
        merge_into(&mut kept, new);
    }
    match (kept, folded) {
        (Some(kept), Some(folded)) if !has_all_of(folded, &kept) => Some(kept),
        (kept, folded) => folded.cloned().or(kept),
    }
}

/// Whether a fold can have every trade of `bar` in it. Volumes do not tell: they are sums of
/// fractions, added in one order or another.
fn has_all_of(fold: &Bar, bar: &Bar) -> bool {
    fold.trades >= bar.trades
        && fold.first <= bar.first
        && fold.last >= bar.last
        && fold.high >= bar.high
        && fold.low <= bar.low
}

impl Inner {
    async fn find_parts(&self, parts: &[Part]) -> Result<HashMap<Part, Bar>> {
        let mut found = HashMap::with_capacity(parts.len());
        for parts in parts.chunks(IDS_ASKED) {
            let ids: Vec<String> = parts
                .iter()
                .map(|((s, i, t), writer)| keys::bar(s, *i, *t, *writer))
                .collect();
            let mut cursor = self.bars.find(doc! { "_id": { "$in": ids } }).await?;
            while let Some(document) = cursor.try_next().await? {
                let writer = writer_of_bar(&document.id);
                let bar = document.into_bar();
                // A bar that came as a bar is nobody's part.
                if bar.trades > 0 {
                    found.insert((key(&bar), writer), bar);
                }
            }
        }
        Ok(found)
    }

    /// Folds parts, the shortest bars first: seconds from ticks, each longer one from the parts of
    /// the next shorter length. With each come the ticks of this append that are in no stored part
    /// yet, if it has any. Says of each what it is now, and whether it was another before.
    pub(super) async fn fold_anew(
        &self,
        mut parts: BTreeMap<Part, Option<Bar>>,
    ) -> Result<BTreeMap<Part, (Bar, bool)>> {
        let mut done = BTreeMap::new();
        if parts.is_empty() {
            return Ok(done);
        }
        metrics::counter!("tickcast_store_bars_folded_anew_total").increment(parts.len() as u64);
        let mut shorter = None;
        for interval in Interval::ALL {
            let left: Vec<Part> = parts
                .keys()
                .filter(|(key, _)| key.1 == interval)
                .cloned()
                .collect();
            if !left.is_empty() {
                self.fold_all(left, shorter, &mut parts, &mut done).await?;
            }
            shorter = Some(interval);
        }
        Ok(done)
    }

    /// Folds the parts of one interval until none changes any more.
    async fn fold_all(
        &self,
        mut left: Vec<Part>,
        shorter: Option<Interval>,
        new: &mut BTreeMap<Part, Option<Bar>>,
        done: &mut BTreeMap<Part, (Bar, bool)>,
    ) -> Result<()> {
        let mut folded = self.fold(&left, shorter).await?;
        for _ in 0..TRIES {
            // Asked after reading: of what starts later, nothing was gone when it was read.
            let removed_before = self.removed_before().await?;
            let now = self.find_parts(&left).await?;
            let mut statements = Vec::new();
            let mut written = Vec::new();
            for (part, folded) in left.iter().zip(&folded) {
                // Merged once: after that they are in what is stored.
                let new = new.get_mut(part).and_then(Option::take);
                let bar = if part.0.2 < removed_before {
                    kept(now.get(part), new, folded.as_ref())
                } else {
                    folded.clone()
                };
                let Some(bar) = bar else {
                    continue; // there is nothing of it
                };
                let changed = now.get(part) != Some(&bar);
                let before = done.get(part).is_some_and(|(_, changed)| *changed);
                if changed {
                    statements.push(self.put_part(&bar, part.1)?);
                    written.push(part.clone());
                }
                done.insert(part.clone(), (bar, changed || before));
            }
            let refused: BTreeSet<&Part> = self
                .update_many_of(&self.names.bars, statements)
                .await?
                .into_iter()
                .filter_map(|index| written.get(index))
                .collect();
            let again = self.fold(&left, shorter).await?;
            let changed: Vec<(Part, Option<Bar>)> = left
                .iter()
                .zip(&folded)
                .zip(again)
                .filter(|((part, before), after)| *before != after || refused.contains(part))
                .map(|((part, _), after)| (part.clone(), after))
                .collect();
            if changed.is_empty() {
                return Ok(());
            }
            (left, folded) = changed.into_iter().unzip();
        }
        let keys: Vec<String> = left
            .iter()
            .take(1)
            .map(|((symbol, interval, start), _)| format!("{symbol} {interval} {start}"))
            .collect();
        Err(StoreError::Unavailable {
            detail: format!(
                "bar {} keeps changing: it was folded {TRIES} times",
                keys.concat()
            ),
        })
    }

    /// What the parts are by what they are made of; `None` of nothing.
    async fn fold(&self, parts: &[Part], shorter: Option<Interval>) -> Result<Vec<Option<Bar>>> {
        let Some(shorter) = shorter else {
            return self.fold_ticks(parts).await;
        };
        let pieces_of = |((symbol, interval, start), writer): &Part| {
            let (end, symbol, writer) = (interval.end_of(*start), symbol.clone(), *writer);
            std::iter::successors(Some(*start), move |at| Some(shorter.end_of(*at)))
                .take_while(move |at| *at < end)
                .map(move |at| ((symbol.clone(), shorter, at), writer))
        };
        let pieces: Vec<Part> = parts.iter().flat_map(pieces_of).collect();
        let found = self.find_parts(&pieces).await?;
        Ok(parts
            .iter()
            .map(|part| {
                let whole = pieces_of(part)
                    .filter_map(|piece| found.get(&piece).cloned())
                    .reduce(|mut a, b| {
                        a.merge(&b);
                        a
                    });
                whole.map(|bar| Bar {
                    interval: part.0.1,
                    start: part.0.2,
                    ..bar
                })
            })
            .collect())
    }

    /// The parts of the shortest bars, by their ticks: those that lie side by side are read at once.
    async fn fold_ticks(&self, parts: &[Part]) -> Result<Vec<Option<Bar>>> {
        let Some(((_, interval, _), _)) = parts.first() else {
            return Ok(Vec::new());
        };
        let interval = *interval;
        let sorted: BTreeSet<&Key> = parts.iter().map(|(key, _)| key).collect();
        let mut stretches: Vec<(Symbol, i64, i64)> = Vec::new();
        for (symbol, interval, start) in sorted {
            let (from, until) = (start.as_micros(), interval.end_of(*start).as_micros());
            match stretches.last_mut() {
                Some((of, _, end)) if of == symbol && from - *end <= GAP_US => *end = until,
                _ => stretches.push((symbol.clone(), from, until)),
            }
        }
        let read: Vec<Vec<TickDocument>> = stream::iter(stretches)
            .map(|(symbol, from, until)| async move {
                let range = doc! {
                    "symbol": symbol.as_str(),
                    "ts_us": { "$gte": from, "$lt": until },
                };
                self.ticks.find(range).await?.try_collect().await
            })
            .buffered(READ_AT_ONCE)
            .try_collect::<Vec<_>>()
            .await?;
        let mut ticks: HashMap<i64, Vec<Tick>> = HashMap::new();
        for tick in read.into_iter().flatten() {
            ticks.entry(tick.writer).or_default().push(tick.into_tick());
        }
        let mut folded: HashMap<Part, Bar> = HashMap::new();
        for (writer, ticks) in ticks {
            let bars = bars_from_ticks(&ticks, &[interval]).into_iter();
            folded.extend(bars.map(|bar| ((key(&bar), writer), bar)));
        }
        Ok(parts.iter().map(|part| folded.get(part).cloned()).collect())
    }
}
