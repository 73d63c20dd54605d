//! Ticks: the append, and the reads.

use std::{
    collections::{BTreeSet, HashMap, HashSet},
    time::Instant,
};

use futures::TryStreamExt;
use market::{Interval, Symbol, Tick, Timestamp, bars_from_ticks};
use mongodb::bson::{Document, doc};

use super::{
    Inner, Writer,
    bars::{Key, bars_of},
    documents::TickDocument,
    instruments, keys, limit_of,
    ranges::Ranges,
    recent::Known,
    schema::duplicates,
};
use crate::{Appended, Result, StoredTick, check};

/// Ticks of failed appends that are remembered as told of at most; then all of these appends are
/// forgotten, and what is left of them counts as duplicates.
const TOLD_KEPT: usize = 1_000_000;
/// `_id`s that one question names at most.
const IDS_ASKED: usize = 1_000;

/// A batch without its own duplicates, in order.
struct Batch {
    ids: Vec<String>,
    ticks: Vec<Tick>,
    duplicates: usize,
}

fn without_doubles(ticks: Vec<Tick>) -> Batch {
    let mut seen = HashSet::with_capacity(ticks.len());
    let before = ticks.len();
    let mut batch = Batch {
        ids: Vec::with_capacity(before),
        ticks: Vec::with_capacity(before),
        duplicates: 0,
    };
    for tick in ticks {
        let id = keys::tick(&tick.symbol, tick.key());
        if seen.insert(id.clone()) {
            batch.ids.push(id);
            batch.ticks.push(tick);
        }
    }
    batch.duplicates = before - batch.ticks.len();
    batch
}

impl Inner {
    /// See [`crate::PriceWriter::append`].
    pub(super) async fn append(&self, ticks: Vec<Tick>) -> Result<Appended> {
        check::ticks(&ticks)?;
        if ticks.is_empty() {
            return Ok(Appended::default());
        }
        let batch = without_doubles(ticks);
        let mut writer = self.writer.lock().await;
        if writer.number == 0 {
            writer.number = self.new_writer().await?;
        }
        let keys: BTreeSet<Key> = batch.ticks.iter().flat_map(bars_of).collect();
        let before = self.bars_before(&mut writer, &keys).await?;
        let first = self.next_numbers("position", batch.ticks.len()).await?;
        let last = first + i64::try_from(batch.ticks.len()).unwrap_or(i64::MAX) - 1;
        if writer.last != 0 && first != writer.last + 1 {
            writer.others_at = Some(Instant::now());
        }
        writer.last = last;
        let unsure = writer.unsure_of(&keys);
        writer.doubt(&keys);
        let done = self
            .insert(&mut writer, batch, first, before, &unsure)
            .await;
        if let Ok(appended) = &done {
            writer.trust(&keys, &unsure);
            writer.finished.add(first, last);
            let told = appended.stored.iter().map(|s| s.position.cast_signed());
            writer.told.extend(told.filter(|p| *p < first));
            if writer.told.len() > TOLD_KEPT {
                writer.failed = Ranges::default();
                writer.told = HashSet::new();
            }
        } else {
            writer.failed.add(first, last);
        }
        done
    }

    async fn insert(
        &self,
        writer: &mut Writer,
        batch: Batch,
        first: i64,
        before: HashMap<Key, Known>,
        unsure: &BTreeSet<Key>,
    ) -> Result<Appended> {
        let documents: Vec<TickDocument> = (first..)
            .zip(&batch.ticks)
            .zip(&batch.ids)
            .map(|((position, tick), id)| {
                TickDocument::new(tick, id.clone(), position, writer.number)
            })
            .collect();
        let inserted = self.ticks.insert_many(&documents).ordered(false).await;
        let there: HashSet<usize> = duplicates(inserted)?.into_iter().collect();
        let repeated: Vec<&str> = batch
            .ids
            .iter()
            .enumerate()
            .filter(|(i, _)| there.contains(i))
            .map(|(_, id)| id.as_str())
            .collect();
        let positions = self.positions_of(&repeated).await?;
        let mut stored: Vec<StoredTick> = Vec::with_capacity(documents.len());
        let mut new: Vec<&Tick> = Vec::with_capacity(documents.len());
        let mut old: Vec<(&Tick, i64)> = Vec::with_capacity(there.len());
        for (i, document) in documents.into_iter().enumerate() {
            if !there.contains(&i) {
                new.push(&batch.ticks[i]);
                stored.push(document.into_stored());
            } else {
                let (position, of) = positions.get(&document.id).copied().unwrap_or_default();
                let ours = of == writer.number;
                let told = ours && writer.told.contains(&position);
                if !(told || ours && writer.finished.contains(position)) {
                    old.push((&batch.ticks[i], of));
                }
                if ours && !told && writer.failed.contains(position) {
                    // Put there by an append of ours that failed after: nobody was told of it.
                    stored.push(StoredTick {
                        position: position.cast_unsigned(),
                        tick: document.into_tick(),
                    });
                }
            }
        }
        stored.sort_by_key(|s| s.position);
        let reported = bars_from_ticks(stored.iter().map(|s| &s.tick), &Interval::ALL);
        let bars = self
            .merge_bars(writer, &new, &old, unsure, before, reported)
            .await?;
        let symbols: HashSet<Symbol> = stored.iter().map(|s| s.tick.symbol.clone()).collect();
        for symbol in &symbols {
            self.note(symbol, instruments::HAS_TICKS).await?;
            for interval in Interval::ALL {
                self.note(symbol, instruments::field(interval)).await?;
            }
        }
        let duplicates = batch.duplicates + batch.ticks.len() - stored.len();
        metrics::counter!("tickcast_store_duplicate_ticks_total").increment(duplicates as u64);
        Ok(Appended {
            duplicates,
            stored,
            bars,
        })
    }

    /// The positions and writers of ticks that were there already.
    async fn positions_of(&self, ids: &[&str]) -> Result<HashMap<String, (i64, i64)>> {
        let mut positions = HashMap::with_capacity(ids.len());
        for ids in ids.chunks(IDS_ASKED) {
            let found: Vec<TickDocument> = self
                .ticks
                .find(doc! { "_id": { "$in": ids.to_vec() } })
                .await?
                .try_collect()
                .await?;
            positions.extend(found.into_iter().map(|t| (t.id, (t.position, t.writer))));
        }
        Ok(positions)
    }

    async fn find_ticks(
        &self,
        filter: Document,
        sort: Document,
        limit: i64,
    ) -> Result<Vec<TickDocument>> {
        Ok(self
            .ticks
            .find(filter)
            .sort(sort)
            .limit(limit)
            .await?
            .try_collect()
            .await?)
    }

    /// See [`crate::PriceReader::ticks_after`].
    pub(super) async fn ticks_after(
        &self,
        symbol: &Symbol,
        position: u64,
        limit: usize,
    ) -> Result<Vec<StoredTick>> {
        let (Some(limit), Ok(position)) = (limit_of(limit), i64::try_from(position)) else {
            return Ok(Vec::new());
        };
        let filter = doc! { "symbol": symbol.as_str(), "position": { "$gt": position } };
        let found = self
            .find_ticks(filter, doc! { "position": 1 }, limit)
            .await?;
        Ok(found.into_iter().map(TickDocument::into_stored).collect())
    }

    /// See [`crate::PriceReader::ticks`].
    pub(super) async fn ticks(
        &self,
        symbol: &Symbol,
        from: Timestamp,
        until: Timestamp,
        limit: usize,
    ) -> Result<Vec<Tick>> {
        let Some(limit) = limit_of(limit).filter(|_| from < until) else {
            return Ok(Vec::new());
        };
        let filter = doc! {
            "symbol": symbol.as_str(),
            "ts_us": { "$gte": from.as_micros(), "$lt": until.as_micros() },
        };
        let latest_first = doc! { "ts_us": -1, "seq": -1 };
        let mut found = self.find_ticks(filter, latest_first, limit).await?;
        found.reverse();
        Ok(found.into_iter().map(TickDocument::into_tick).collect())
    }

    /// See [`crate::PriceReader::latest_tick`].
    pub(super) async fn latest_tick(&self, symbol: &Symbol) -> Result<Option<StoredTick>> {
        let Some(newest) = self.newest_tick(symbol).await? else {
            return Ok(None);
        };
        // From the end in growing steps: not every server stops reading at the first document of a
        // sorted answer.
        let last = self.last_number("position").await?;
        for back in [1_000, 100_000, 10_000_000, last] {
            let filter = doc! { "symbol": symbol.as_str(), "position": { "$gt": last - back } };
            let found = self.find_ticks(filter, doc! { "position": -1 }, 1).await?;
            if let Some(tick) = found.first() {
                return Ok(Some(StoredTick {
                    position: tick.position.cast_unsigned(),
                    tick: newest.into_tick(),
                }));
            }
        }
        Ok(None)
    }

    /// The tick of the greatest key: the one that the latest day's bar ends with. Where that bar is
    /// not there (a process died before it wrote it, or an earlier version's retention took it), the
    /// end of the index tells, which not every server finds without reading all of the symbol's.
    pub(super) async fn newest_tick(&self, symbol: &Symbol) -> Result<Option<TickDocument>> {
        let filter = doc! {
            "symbol": symbol.as_str(),
            "interval": Interval::D1.as_str(),
            "trades": { "$gt": 0_i64 },
        };
        let mut days = self.latest_bars(filter, i64::MIN, i64::MAX, 1).await?;
        if let Some(day) = days.pop() {
            let id = keys::tick(symbol, day.last);
            let found = self.ticks.find_one(doc! { "_id": id }).await?;
            if found.is_some() {
                return Ok(found);
            }
        }
        let latest_first = doc! { "ts_us": -1, "seq": -1 };
        let of_symbol = doc! { "symbol": symbol.as_str() };
        let mut found = self.find_ticks(of_symbol, latest_first, 1).await?;
        Ok(found.pop())
    }
}
