//! Bars: merged from new ticks, put as they come, read.
//!
//! Model: a bar made of ticks lies in parts, one for each process that stored ticks of it, and a
//! reader merges the parts (bars of one symbol, interval and start form a commutative monoid, see
//! [`market::Bar`]). Each tick says which process stored it, and so in whose part it counts. A part
//! is written by its own process alone, from memory, so nothing has to be compared and set, which
//! not every server of MongoDB's protocol does atomically. The exception is the module `fold`: parts
//! of processes that died in between.
//!
//! Rule, as on every side ([`market::Bar`]): what a bar that came as a bar covers is told by it alone, and
//! ticks outside of that are merged into it. Here both lie side by side, and the reader combines them: the
//! parts are of all ticks, so where only some of them lie outside, these are folded by themselves, from the
//! longest bars that fit (the module `outside`).

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    sync::PoisonError,
    time::{Duration, Instant},
};

use futures::{StreamExt, TryStreamExt, stream};
use market::{Bar, Coverage, Interval, Symbol, Tick, Timestamp, bars_from_ticks};
use mongodb::bson::{Document, doc, serialize_to_document};

use super::{
    Inner, Writer,
    documents::BarDocument,
    fault,
    fold::Part,
    instruments,
    keys::writer_of_bar,
    limit_of,
    recent::{Known, State},
    schema::duplicates,
};
use crate::{BarQuery, Result, StoreError, check};

/// How old what is remembered of other processes' parts may be, while others append too: so long a
/// bar may be told without what they added. What is stored and read is right at any time.
const LOOK_AGAIN: Duration = Duration::from_secs(5);
/// Bars looked up at the same time.
const AT_ONCE: usize = 8;
/// Documents read beyond a limit at first, for bars that lie in several parts.
const SPARE: i64 = 8;

/// The bars of one symbol and interval.
pub(super) type Series = (Symbol, Interval);

/// A bar's key; sorts as [`crate::Appended::bars`] does.
pub(super) type Key = (Symbol, Interval, Timestamp);

pub(super) fn key(bar: &Bar) -> Key {
    (bar.symbol.clone(), bar.interval, bar.start)
}

/// The bars that a tick is in.
pub(super) fn bars_of(tick: &Tick) -> impl Iterator<Item = Key> {
    Interval::ALL
        .into_iter()
        .map(|interval| (tick.symbol.clone(), interval, interval.start_of(tick.ts)))
}

pub(super) fn merge_into(whole: &mut Option<Bar>, part: Bar) {
    match whole {
        Some(whole) => whole.merge(&part),
        None => *whole = Some(part),
    }
}

/// A bar as it lies there: what came as a bar, and what its ticks amount to.
#[derive(Clone, Debug, Default)]
struct Lying {
    came: Option<Bar>,
    ticks: Option<Bar>,
}

impl Lying {
    fn take(&mut self, part: Bar) {
        if part.is_external() {
            self.came = Some(part);
        } else {
            merge_into(&mut self.ticks, part);
        }
    }
}

/// The bars that documents, sorted by their start, are the parts of.
fn lying(documents: Vec<BarDocument>) -> Vec<(Timestamp, Lying)> {
    let mut bars: Vec<(Timestamp, Lying)> = Vec::with_capacity(documents.len());
    for part in documents.into_iter().map(BarDocument::into_bar) {
        if bars.last().is_none_or(|(start, _)| *start != part.start) {
            bars.push((part.start, Lying::default()));
        }
        if let Some((_, last)) = bars.last_mut() {
            last.take(part);
        }
    }
    bars
}

impl Inner {
    /// The statement that puts a part in its place.
    pub(super) fn put_part(&self, part: &Bar, writer: i64) -> Result<Document> {
        self.put(&BarDocument::part(part, writer))
    }

    fn put(&self, bar: &BarDocument) -> Result<Document> {
        let filter = self.only(&bar.id, bar.symbol.as_str());
        let document = serialize_to_document(bar).map_err(fault::foreign)?;
        Ok(doc! { "q": filter, "u": document, "upsert": true })
    }

    /// What a bar is made of now.
    async fn state(&self, (symbol, interval, start): &Key, writer: i64) -> Result<State> {
        let parts: Vec<BarDocument> = self
            .bars
            .find(doc! {
                "symbol": symbol.as_str(),
                "interval": interval.as_str(),
                "start_us": start.as_micros(),
            })
            .await?
            .try_collect()
            .await?;
        let mut state = State::default();
        for part in parts {
            if part.trades == 0 {
                state.came = Some(part.into_bar());
                continue;
            }
            let of_us = writer_of_bar(&part.id) == writer;
            let side = if of_us {
                &mut state.own
            } else {
                &mut state.others
            };
            merge_into(side, part.into_bar());
        }
        Ok(state)
    }

    async fn states(&self, keys: Vec<Key>, writer: i64) -> Result<Vec<(Key, State)>> {
        stream::iter(keys)
            .map(|key| async move {
                let state = self.state(&key, writer).await?;
                Ok((key, state))
            })
            .buffered(AT_ONCE)
            .try_collect()
            .await
    }

    /// Takes note of the newest bar of each series that this process begins to write.
    async fn look_at_new_series(&self, writer: &mut Writer, keys: &BTreeSet<Key>) -> Result<()> {
        let series: BTreeSet<Series> = keys
            .iter()
            .map(|(symbol, interval, _)| (symbol.clone(), *interval))
            .filter(|series| !writer.recent.contains_key(series))
            .collect();
        let newest: Vec<(Series, Option<BarDocument>)> = stream::iter(series)
            .map(|series| async move {
                let all = doc! { "symbol": series.0.as_str(), "interval": series.1.as_str() };
                let newest = self.newest_bar(all).await?;
                Ok::<_, StoreError>((series, newest))
            })
            .buffered(AT_ONCE)
            .try_collect()
            .await?;
        for (series, newest) in newest {
            if let Some(bar) = newest {
                writer.there(series, bar.start_us);
            }
        }
        Ok(())
    }

    /// What these bars are made of now. Of our own parts memory alone is trusted: in the database
    /// somebody who folds them may just have put something that he will correct.
    pub(super) async fn bars_before(
        &self,
        writer: &mut Writer,
        keys: &BTreeSet<Key>,
    ) -> Result<HashMap<Key, Known>> {
        self.look_at_new_series(writer, keys).await?;
        let mut before = HashMap::with_capacity(keys.len());
        let mut to_look_up = Vec::new();
        for key in keys {
            let start = key.2;
            let recent = writer.recent.get(&(key.0.clone(), key.1));
            let known = match recent.and_then(|recent| Some((recent, recent.newest()?))) {
                None => {
                    to_look_up.push(key.clone());
                    Known {
                        start,
                        state: Some(State::default()),
                        looked: Instant::now(),
                    }
                }
                Some((recent, newest)) if newest.start < start => {
                    let put = self.put_of(key).is_some_and(|(_, newest)| start <= newest);
                    if put || recent.may_be_there(start) {
                        to_look_up.push(key.clone());
                    }
                    Known {
                        start,
                        state: Some(State::default()),
                        looked: newest.looked,
                    }
                }
                Some((recent, _)) => match recent.of(start) {
                    Some(known) if known.state.is_some() => known.clone(),
                    _ => continue,
                },
            };
            let changed = writer.others_at.is_some_and(|at| at > known.looked);
            let came = self.came_since(key, known.looked);
            if to_look_up.last() != Some(key)
                && (came || changed && known.looked.elapsed() >= LOOK_AGAIN)
            {
                to_look_up.push(key.clone());
            }
            before.insert(key.clone(), known);
        }
        let looked = Instant::now();
        for (key, state) in self.states(to_look_up, writer.number).await? {
            if let Some(known) = before.get_mut(&key) {
                known.looked = looked;
                let known = known.state.get_or_insert_default();
                (known.others, known.came) = (state.others, state.came);
            }
        }
        Ok(before)
    }

    /// Merges `new` ticks into our parts as they were `before`, and folds anew the parts of `old`
    /// ticks, which were there already, and our parts of which we are `unsure`. Returns the bars of
    /// `reported` as they stand now, and those that were found to be wrong.
    pub(super) async fn merge_bars(
        &self,
        writer: &mut Writer,
        new: &[&Tick],
        old: &[(&Tick, i64)],
        unsure: &BTreeSet<Key>,
        before: HashMap<Key, Known>,
        reported: Vec<Bar>,
    ) -> Result<Vec<Bar>> {
        let me = writer.number;
        let mut doubtful: BTreeMap<Part, Option<Bar>> = old
            .iter()
            .flat_map(|(tick, writer)| bars_of(tick).map(move |key| ((key, *writer), None)))
            .collect();
        let mut now: BTreeMap<Key, Known> = BTreeMap::new();
        let mut groups: BTreeMap<Symbol, Vec<(Document, Key)>> = BTreeMap::new();
        for partial in bars_from_ticks(new.iter().copied(), &Interval::ALL) {
            let key = key(&partial);
            let part = (key.clone(), me);
            let known = before.get(&key).filter(|_| !unsure.contains(&key));
            let Some(known) = known.filter(|_| !doubtful.contains_key(&part)) else {
                doubtful.insert(part, Some(partial));
                continue;
            };
            let mut known = known.clone();
            let own = &mut known.state.get_or_insert_default().own;
            merge_into(own, partial);
            if let Some(own) = own {
                let statement = (self.put_part(own, me)?, key.clone());
                groups.entry(key.0.clone()).or_default().push(statement);
            }
            now.insert(key, known);
        }
        for key in self.update_in_order(groups.into_values()).await? {
            // Somebody folded our part at the same moment, and both were the first. What he wrote may
            // have the new ticks in it.
            now.remove(&key);
            doubtful.insert((key, me), None);
        }
        let told: BTreeSet<Key> = reported.iter().map(key).collect();
        let mut wrong = BTreeSet::new();
        let mut look = BTreeSet::new();
        let mut folded = HashMap::new();
        for ((key, part_of), (bar, changed)) in self.fold_anew(doubtful).await? {
            if changed {
                wrong.insert(key.clone());
            }
            if changed || part_of == me || told.contains(&key) {
                look.insert(key.clone());
            }
            if part_of == me {
                folded.insert(key, bar);
            }
        }
        let mut bars = BTreeMap::new();
        let mut came = HashMap::new();
        let looked = Instant::now();
        for (key, mut state) in self.states(look.into_iter().collect(), me).await? {
            let ours = now.get(&key).or_else(|| before.get(&key));
            let own = match (folded.remove(&key), ours) {
                (Some(own), _) => Some(Some(own)),
                (None, Some(known)) => known.state.as_ref().map(|state| state.own.clone()),
                (None, None) => None,
            };
            if let Some(own) = own {
                state.own = own;
                let (start, state) = (key.2, Some(state.clone()));
                now.insert(
                    key.clone(),
                    Known {
                        start,
                        state,
                        looked,
                    },
                );
            }
            if wrong.contains(&key) || told.contains(&key) {
                came.extend(state.came.clone().map(|bar| (key.clone(), bar)));
                bars.extend(state.whole().map(|bar| (key, bar)));
            }
        }
        for (key, known) in now {
            if told.contains(&key)
                && !bars.contains_key(&key)
                && let Some(state) = known.state.clone()
            {
                came.extend(state.came.clone().map(|bar| (key.clone(), bar)));
                bars.extend(state.whole().map(|bar| (key.clone(), bar)));
            }
            writer.learn(key, known);
        }
        let mut seen = Vec::with_capacity(bars.len());
        for (key, bar) in bars {
            let lying = Lying {
                came: came.remove(&key),
                ticks: Some(bar),
            };
            seen.extend(self.combined(lying).await?);
        }
        Ok(seen)
    }

    /// The bar that is seen.
    async fn combined(&self, lying: Lying) -> Result<Option<Bar>> {
        let (mut came, ticks) = match (lying.came, lying.ticks) {
            (Some(came), Some(ticks)) => (came, ticks),
            (came, ticks) => return Ok(came.or(ticks)),
        };
        let outside = match came.coverage_of(&ticks) {
            Coverage::All => None,
            Coverage::None => Some(ticks),
            Coverage::Some => self.outside(&came).await?,
        };
        if let Some(outside) = outside {
            came.merge(&outside);
        }
        Ok(Some(came))
    }

    /// Whether a bar has come here, of a symbol and interval, since somebody looked.
    fn came_since(&self, key: &Key, looked: Instant) -> bool {
        self.put_of(key).is_some_and(|(at, _)| at >= looked)
    }

    /// When a bar of the same series was last put here, and the start of the newest of them.
    fn put_of(&self, (symbol, interval, _): &Key) -> Option<(Instant, Timestamp)> {
        let put = self
            .names
            .put
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        put.get(&(symbol.clone(), *interval)).copied()
    }

    /// See [`crate::PriceWriter::put_bars`].
    pub(super) async fn put_bars(&self, bars: Vec<Bar>) -> Result<usize> {
        check::bars(&bars)?;
        if bars.is_empty() {
            return Ok(0);
        }
        // Of a bar that comes twice in one batch, the last one counts, as if they came one by one.
        let documents: BTreeMap<Key, BarDocument> = bars
            .iter()
            .map(|bar| (key(bar), BarDocument::given(bar)))
            .collect();
        let (keys, documents): (Vec<Key>, Vec<BarDocument>) = documents.into_iter().unzip();
        let inserted = self.bars.insert_many(&documents).ordered(false).await;
        let there = duplicates(inserted)?;
        let statements = there
            .iter()
            .map(|i| self.put(&documents[*i]))
            .collect::<Result<Vec<_>>>()?;
        self.update_many_of(&self.names.bars, statements).await?;
        for (symbol, interval, _) in &keys {
            self.note(symbol, instruments::field(*interval)).await?;
        }
        let at = Instant::now();
        let mut put = self
            .names
            .put
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        for (symbol, interval, start) in keys {
            let (last, newest) = put.entry((symbol, interval)).or_insert((at, start));
            (*last, *newest) = (at, start.max(*newest));
        }
        Ok(bars.len())
    }

    /// See [`crate::PriceReader::bars_of`].
    pub(super) async fn read_bars_of(&self, queries: &[BarQuery]) -> Result<Vec<Vec<Bar>>> {
        // The queries are moved into the stream: a borrow of them would have to outlive it.
        stream::iter(queries.to_vec())
            .map(|query| async move { self.read_bars(&query).await })
            .buffered(AT_ONCE)
            .try_collect()
            .await
    }

    async fn read_bars(&self, query: &BarQuery) -> Result<Vec<Bar>> {
        let Some(limit) = limit_of(query.limit).filter(|_| query.from < query.until) else {
            return Ok(Vec::new());
        };
        let filter = doc! {
            "symbol": query.symbol.as_str(),
            "interval": query.interval.as_str(),
        };
        let until = query.until.as_micros().saturating_sub(1);
        let (from, limit) = (query.from.as_micros(), limit);
        let mut bars = self.latest_bars(filter, from, until, limit).await?;
        bars.reverse();
        Ok(bars)
    }

    /// The latest `limit` whole bars that match and start in `[from, last]`, the latest first.
    pub(super) async fn latest_bars(
        &self,
        filter: Document,
        from: i64,
        mut last: i64,
        limit: i64,
    ) -> Result<Vec<Bar>> {
        let mut bars: Vec<Bar> = Vec::new();
        loop {
            let left = limit - i64::try_from(bars.len()).unwrap_or(i64::MAX);
            let asked = left.saturating_add(SPARE);
            let mut range = filter.clone();
            range.insert("start_us", doc! { "$gte": from, "$lte": last });
            let documents: Vec<BarDocument> = self
                .bars
                .find(range)
                .sort(doc! { "start_us": -1 })
                .limit(asked)
                .await?
                .try_collect()
                .await?;
            let all = i64::try_from(documents.len()).unwrap_or(i64::MAX) < asked;
            let mut found = lying(documents);
            if all {
                self.see(found, &mut bars).await?;
            } else if let Some((cut, _)) = found.pop() {
                // Of the earliest one, parts may have been left out.
                if found.is_empty() {
                    // More parts of one bar than are read at once: all of them, then.
                    let mut only = filter.clone();
                    only.insert("start_us", cut.as_micros());
                    let parts = self.bars.find(only).await?.try_collect().await?;
                    self.see(lying(parts), &mut bars).await?;
                    last = cut.as_micros().saturating_sub(1);
                } else {
                    self.see(found, &mut bars).await?;
                    last = cut.as_micros();
                }
            }
            let enough = i64::try_from(bars.len()).unwrap_or(i64::MAX) >= limit;
            if all || enough || last < from {
                bars.truncate(usize::try_from(limit).unwrap_or(usize::MAX));
                return Ok(bars);
            }
        }
    }

    async fn see(&self, lying: Vec<(Timestamp, Lying)>, bars: &mut Vec<Bar>) -> Result<()> {
        for (_, lying) in lying {
            bars.extend(self.combined(lying).await?);
        }
        Ok(())
    }
}
