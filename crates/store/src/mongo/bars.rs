//! Bars: merged from new ticks, folded anew where that cannot be trusted, put as they come, read.
//!
//! Rule, as on every side: bars made of ticks win over those that came as bars (`trades` = 0), in
//! both directions.
//!
//! A bar is written only over the state it was made from: the number of trades is compared, and a
//! bar of none is `-1`, which matches nothing, so that the upsert becomes an insert that fails when
//! somebody was first. Trades only ever grow, so the comparison tells every change by others.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use futures::{StreamExt, TryStreamExt, stream};
use market::{Bar, Interval, Symbol, Tick, Timestamp, bars_from_ticks};
use mongodb::bson::{Document, doc, serialize_to_document};

use super::{
    Inner, Writer,
    documents::{BarDocument, TickDocument},
    fault, instruments, keys, limit_of,
    schema::duplicates,
};
use crate::{BarQuery, Result, StoreError};

/// How often a bar is folded anew when others keep changing it.
const TRIES: usize = 20;
/// Seconds folded from their ticks at the same time.
const FOLDED_AT_ONCE: usize = 8;
/// `_id`s that one question names at most.
const IDS_ASKED: usize = 1_000;

/// A bar's key; sorts as [`crate::Appended::bars`] does.
type Key = (Symbol, Interval, Timestamp);

fn key(bar: &Bar) -> Key {
    (bar.symbol.clone(), bar.interval, bar.start)
}

fn buckets<'a>(ticks: impl IntoIterator<Item = &'a &'a Tick>) -> BTreeSet<Key> {
    let mut keys = BTreeSet::new();
    for tick in ticks {
        for interval in Interval::ALL {
            keys.insert((tick.symbol.clone(), interval, interval.start_of(tick.ts)));
        }
    }
    keys
}

/// The bar's statement in an update: over a state of so many trades, or over none.
fn statement(bar: &Bar, over: Option<u64>) -> Result<Document> {
    let document = BarDocument::new(bar, bar.trades);
    let over = over.map_or(-1, u64::cast_signed);
    let filter = doc! { "_id": &document.id, "trades": over };
    let document = serialize_to_document(&document).map_err(fault::foreign)?;
    Ok(doc! { "q": filter, "u": document, "upsert": true })
}

/// Refuses what the documents cannot hold.
fn check(bars: &[Bar]) -> Result<()> {
    for bar in bars {
        let numbers = [bar.open, bar.high, bar.low, bar.close, bar.volume];
        let sequences = [bar.first.seq, bar.last.seq];
        if numbers.iter().any(|n| !n.is_finite())
            || sequences.iter().any(|s| i64::try_from(*s).is_err())
        {
            return Err(fault::invalid(format!(
                "bar {} {} {} cannot be stored: expected finite numbers and sequences below 2^63",
                bar.symbol, bar.interval, bar.start
            )));
        }
    }
    Ok(())
}

impl Inner {
    async fn find_bars(&self, keys: &[Key]) -> Result<HashMap<Key, Bar>> {
        let mut found = HashMap::with_capacity(keys.len());
        for keys in keys.chunks(IDS_ASKED) {
            let ids: Vec<String> = keys.iter().map(|(s, i, t)| keys::bar(s, *i, *t)).collect();
            let mut cursor = self.bars.find(doc! { "_id": { "$in": ids } }).await?;
            while let Some(document) = cursor.try_next().await? {
                let bar = document.into_bar();
                found.insert(key(&bar), bar);
            }
        }
        Ok(found)
    }

    /// What the bars of these ticks are now: from memory where this process wrote the latest one,
    /// else from the database. A bar later than the latest that this process wrote is taken to be
    /// none; if it is there all the same, writing it will tell.
    pub(super) async fn bars_before(
        &self,
        writer: &Writer,
        ticks: &[Tick],
    ) -> Result<HashMap<Key, Bar>> {
        let mut known = HashMap::new();
        let mut unknown = Vec::new();
        for key in buckets(&ticks.iter().collect::<Vec<_>>()) {
            match writer.latest.get(&(key.0.clone(), key.1)) {
                Some(bar) if bar.start == key.2 => {
                    known.insert(key, bar.clone());
                }
                Some(bar) if bar.start < key.2 => {}
                _ => unknown.push(key),
            }
        }
        known.extend(self.find_bars(&unknown).await?);
        Ok(known)
    }

    /// Merges `new` ticks into the bars as they were `before`, and folds the bars of `old` ticks,
    /// which were there already, anew. Returns the bars of `reported` as they stand now, and those
    /// that were found to be wrong.
    pub(super) async fn merge_bars(
        &self,
        writer: &mut Writer,
        new: &[&Tick],
        old: &[&Tick],
        before: HashMap<Key, Bar>,
        reported: Vec<Bar>,
    ) -> Result<Vec<Bar>> {
        let mut doubtful = buckets(old);
        let mut written: BTreeMap<Key, Bar> = BTreeMap::new();
        let mut statements = Vec::new();
        let mut targets = Vec::new();
        for partial in bars_from_ticks(new.iter().copied(), &Interval::ALL) {
            let key = key(&partial);
            if doubtful.contains(&key) {
                continue;
            }
            let over = before.get(&key);
            let bar = match over {
                Some(over) if over.trades > 0 => {
                    let mut whole = over.clone();
                    whole.merge(&partial);
                    whole
                }
                _ => partial,
            };
            statements.push(statement(&bar, over.map(|b| b.trades))?);
            targets.push((key, bar));
        }
        let refused = self.update_many_of(&self.names.bars, statements).await?;
        for index in refused {
            if let Some((key, _)) = targets.get(index) {
                doubtful.insert(key.clone());
            }
        }
        for (key, bar) in targets {
            if !doubtful.contains(&key) {
                written.insert(key, bar);
            }
        }
        let report: BTreeSet<Key> = reported.iter().map(key).collect();
        for (key, (bar, changed)) in self.fold_anew(doubtful).await? {
            if changed || report.contains(&key) {
                written.insert(key, bar);
            }
        }
        for bar in written.values() {
            let latest = writer.latest.entry((bar.symbol.clone(), bar.interval));
            latest
                .and_modify(|b| {
                    if b.start <= bar.start {
                        *b = bar.clone();
                    }
                })
                .or_insert_with(|| bar.clone());
        }
        Ok(written.into_values().collect())
    }

    /// Folds bars from what they are made of, the shortest first: seconds from ticks, each longer
    /// one from the bars of the next shorter length. Says of each whether it was another before.
    async fn fold_anew(&self, keys: BTreeSet<Key>) -> Result<BTreeMap<Key, (Bar, bool)>> {
        let mut done = BTreeMap::new();
        if keys.is_empty() {
            return Ok(done);
        }
        metrics::counter!("tickcast_store_bars_folded_anew_total").increment(keys.len() as u64);
        let mut shorter = None;
        for interval in Interval::ALL {
            let mut left: Vec<Key> = keys.iter().filter(|k| k.1 == interval).cloned().collect();
            for _ in 0..TRIES {
                if left.is_empty() {
                    break;
                }
                let now = self.find_bars(&left).await?;
                let mut statements = Vec::new();
                let mut targets = Vec::new();
                let folded = self.fold(&left, shorter).await?;
                for (key, bar) in left.iter().zip(folded) {
                    let Some(bar) = bar else {
                        continue;
                    };
                    let over = now.get(key);
                    if over == Some(&bar) {
                        done.insert(key.clone(), (bar, false));
                        continue;
                    }
                    statements.push(statement(&bar, over.map(|b| b.trades))?);
                    targets.push((key.clone(), bar));
                }
                let refused = self.update_many_of(&self.names.bars, statements).await?;
                left = refused
                    .iter()
                    .filter_map(|i| targets.get(*i))
                    .map(|(key, _)| key.clone())
                    .collect();
                for (key, bar) in targets {
                    if !left.contains(&key) {
                        done.insert(key, (bar, true));
                    }
                }
            }
            if let Some((symbol, interval, start)) = left.first() {
                return Err(StoreError::Unavailable {
                    detail: format!(
                        "bar {symbol} {interval} {start} is being changed by another process: a symbol wants one writer at a time"
                    ),
                });
            }
            shorter = Some(interval);
        }
        Ok(done)
    }

    /// What the bars are by what they are made of; `None` of nothing.
    async fn fold(&self, keys: &[Key], shorter: Option<Interval>) -> Result<Vec<Option<Bar>>> {
        let Some(shorter) = shorter else {
            return stream::iter(keys.to_vec())
                .map(|key| self.fold_ticks(key))
                .buffered(FOLDED_AT_ONCE)
                .try_collect()
                .await;
        };
        let parts_of = |(symbol, interval, start): &Key| {
            let (end, symbol) = (interval.end_of(*start), symbol.clone());
            std::iter::successors(Some(*start), move |at| Some(shorter.end_of(*at)))
                .take_while(move |at| *at < end)
                .map(move |at| (symbol.clone(), shorter, at))
        };
        let parts: Vec<Key> = keys.iter().flat_map(parts_of).collect();
        let found = self.find_bars(&parts).await?;
        Ok(keys
            .iter()
            .map(|key| {
                let whole = parts_of(key)
                    .filter_map(|part| found.get(&part).filter(|b| b.trades > 0).cloned())
                    .reduce(|mut a, b| {
                        a.merge(&b);
                        a
                    });
                whole.map(|bar| Bar {
                    interval: key.1,
                    start: key.2,
                    ..bar
                })
            })
            .collect())
    }

    async fn fold_ticks(&self, (symbol, interval, start): Key) -> Result<Option<Bar>> {
        let (from, until) = (start.as_micros(), interval.end_of(start).as_micros());
        let range = doc! {
            "symbol": symbol.as_str(),
            "ts_us": { "$gte": from, "$lt": until },
        };
        let ticks: Vec<TickDocument> = self.ticks.find(range).await?.try_collect().await?;
        let ticks: Vec<Tick> = ticks.into_iter().map(TickDocument::into_tick).collect();
        Ok(bars_from_ticks(&ticks, &[interval]).pop())
    }

    /// See [`crate::BarStore::put_bars`].
    pub(super) async fn put_bars(&self, bars: Vec<Bar>) -> Result<usize> {
        check(&bars)?;
        if bars.is_empty() {
            return Ok(0);
        }
        // Of a bar that comes twice in one batch, the last one counts, as if they came one by one.
        let documents: BTreeMap<Key, BarDocument> = bars
            .iter()
            .map(|bar| (key(bar), BarDocument::new(bar, 0)))
            .collect();
        let (keys, documents): (Vec<Key>, Vec<BarDocument>) = documents.into_iter().unzip();
        let inserted = self.bars.insert_many(&documents).ordered(false).await;
        let there = duplicates(inserted)?;
        let statements = there
            .iter()
            .map(|i| {
                let filter = doc! { "_id": &documents[*i].id, "trades": 0_i64 };
                let document = serialize_to_document(&documents[*i]).map_err(fault::foreign)?;
                Ok(doc! { "q": filter, "u": document, "upsert": true })
            })
            .collect::<Result<Vec<_>>>()?;
        let kept: BTreeSet<usize> = self
            .update_many_of(&self.names.bars, statements)
            .await?
            .into_iter()
            .filter_map(|refused| there.get(refused).copied())
            .collect();
        for (i, (symbol, interval, _)) in keys.iter().enumerate() {
            if !kept.contains(&i) {
                self.note(symbol, instruments::field(*interval)).await?;
            }
        }
        Ok(bars
            .iter()
            .filter(|bar| {
                let at = keys.binary_search(&key(bar));
                at.is_ok_and(|at| !kept.contains(&at))
            })
            .count())
    }

    /// See [`crate::BarStore::bars`].
    pub(super) async fn read_bars(&self, query: &BarQuery) -> Result<Vec<Bar>> {
        let Some(limit) = limit_of(query.limit).filter(|_| query.from < query.until) else {
            return Ok(Vec::new());
        };
        let range = doc! {
            "symbol": query.symbol.as_str(),
            "interval": query.interval.as_str(),
            "start_us": { "$gte": query.from.as_micros(), "$lt": query.until.as_micros() },
        };
        let documents: Vec<BarDocument> = self
            .bars
            .find(range)
            .sort(doc! { "start_us": -1 })
            .limit(limit)
            .await?
            .try_collect()
            .await?;
        let mut bars: Vec<Bar> = documents.into_iter().map(BarDocument::into_bar).collect();
        bars.reverse();
        Ok(bars)
    }
}
