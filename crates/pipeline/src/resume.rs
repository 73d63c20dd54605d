//! Where a source goes on after a stop.
//!
//! Model: rows that the topic has are not to be sent again, however far behind the store is: what comes
//! twice does no harm to the store, but it does to those who tail the topic, when it is older than
//! what they remember. So a source goes on where its last batch in the topic says that it stood before
//! it, and leaves out what the topic has of that batch. Without a topic, or where it says nothing, the
//! store decides.

use std::{
    collections::{BTreeMap, HashMap},
    time::Duration,
};

use bus::{BusError, Delivery, Payload, Position, TopicLog};
use futures::{StreamExt as _, TryStreamExt as _, stream};
use market::{Bar, Interval, Symbol, Tick, Timestamp};
use source::rest::{Checkpoint, SourceOffset, StreamPosition};
use store::{BarQuery, PriceReader};
use tracing::warn;

use crate::{Clock as _, Result, SystemClock};

/// How far back a source is asked for what was missed while the server was down. What is older comes
/// as bars, where the source has them.
const CATCH_UP: Duration = Duration::from_secs(300);

/// How far back a source that is asked for the bars of all symbols at once goes for the one that is
/// furthest behind: it may have left the market long ago.
const CATCH_UP_BARS: Duration = Duration::from_secs(7 * 86_400);

/// How far apart the symbols of one batch of a source may stand.
const UNEVEN: Duration = Duration::from_secs(120);

/// How much later than others a row may come to a provider of all symbols.
const LATE: Duration = Duration::from_secs(10);

/// Messages of each partition that are looked at for what a source has produced: the last.
const LAST_MESSAGES: u64 = 2_000;

/// How long to wait for one of these, how often in vain before the first has come (a broker that has just
/// been started takes its time), and how often after: a partition may end in records that are not given to
/// readers.
const LOOK: (Duration, u32, u32) = (Duration::from_millis(250), 120, 8);

/// Ticks of a symbol at one time that are looked for at most.
const SAME_TIME: usize = 1_000;

/// Symbols whose last ticks the store is asked for at the same time.
const AT_ONCE: usize = 16;

/// Where a source of ticks or bars begins.
#[derive(Debug, Default)]
pub struct ResumePoint {
    /// From when on, where the checkpoint says nothing.
    pub since: Timestamp,
    /// Where each stream goes on.
    pub checkpoint: Checkpoint,
    /// Rows that come again then, and are to be left out.
    pub taken: Vec<Tick>,
}

/// The topic that a source's rows go to, where it is kept.
#[derive(Clone, Copy)]
pub struct Topic<'a> {
    /// Where it is kept.
    pub log: &'a dyn TopicLog,
    /// Its name.
    pub name: &'a str,
}

/// Where a source of ticks goes on: each stream where the topic says, else each symbol at its last
/// tick. Without a topic all symbols together go on where the one that is furthest behind stands,
/// since a process that was killed may have left a batch with the later rows of one symbol stored and
/// the earlier rows of another not; a symbol that is only quiet does not hold the others back for longer
/// than two minutes.
///
/// # Errors
/// The store's, the bus's; a topic whose last messages cannot be read.
pub async fn ticks(
    source: &str,
    stored: Option<&dyn PriceReader>,
    topic: Option<Topic<'_>>,
) -> Result<ResumePoint> {
    let now = SystemClock.now();
    let earliest = before(now, CATCH_UP);
    let mut last: BTreeMap<Symbol, Timestamp> = BTreeMap::new();
    let instruments = match stored {
        Some(stored) => stored.instruments().await?,
        None => Vec::new(),
    };
    let instruments = instruments.into_iter();
    last.extend(
        instruments
            .filter(|i| !i.bars_only)
            .map(|i| (i.symbol, i.last)),
    );
    let produced = match topic {
        Some(topic) => topic.produced_by(source).await?,
        None => Produced::default(),
    };
    for (symbol, ts) in produced.last {
        let known = last.entry(symbol).or_insert(ts);
        *known = ts.max(*known);
    }
    let since = match (last.values().min(), last.values().max()) {
        (Some(oldest), Some(newest)) => before((*oldest).max(before(*newest, UNEVEN)), LATE),
        _ => now,
    };
    let mut start = ResumePoint {
        since: since.max(earliest).min(now),
        checkpoint: last
            .iter()
            .map(|(symbol, ts)| (symbol.to_string(), at(*ts)))
            .collect(),
        taken: Vec::new(),
    };
    if let Some(stored) = stored.filter(|_| topic.is_some() && !produced.streams.contains_key("")) {
        // Of a quiet symbol the topic's end says nothing, and its last tick comes again.
        let quiet = last
            .iter()
            .filter(|(symbol, _)| !produced.streams.contains_key(symbol.as_str()));
        let asked =
            quiet.map(|(symbol, ts)| stored.ticks(symbol, *ts, ts.plus_micros(1), SAME_TIME));
        let found: Vec<Vec<Tick>> = stream::iter(asked)
            .buffer_unordered(AT_ONCE)
            .try_collect()
            .await?;
        start.taken.extend(found.into_iter().flatten());
    }
    for (stream, stand) in produced.streams {
        let old = stand.position.since < Some(earliest);
        let position = if old { at(earliest) } else { stand.position };
        start.checkpoint.insert(stream, position);
        start.taken.extend(stand.ticks.into_iter().map(|(t, _)| t));
    }
    Ok(start)
}

/// Where a source of bars goes on: each symbol at its newest stored bar of the interval, which is
/// asked for again because it may have grown since, or in the topic, where the store does not have it yet.
/// A provider that is asked for all symbols at once goes on where the symbol furthest behind stands, at
/// most a week back. Bars that come again do no harm to anybody.
///
/// # Errors
/// As [`ticks`].
pub async fn bars(
    source: &str,
    stored: Option<&dyn PriceReader>,
    topic: Option<Topic<'_>>,
    interval: Interval,
    symbols: &[Symbol],
) -> Result<ResumePoint> {
    let now = SystemClock.now();
    let mut last: BTreeMap<Symbol, Timestamp> = BTreeMap::new();
    if let Some(stored) = stored {
        let instruments = stored.instruments().await?.into_iter();
        let queries: Vec<BarQuery> = instruments
            .filter(|i| symbols.is_empty() || symbols.contains(&i.symbol))
            .filter(|i| i.intervals.contains(&interval))
            .map(|instrument| BarQuery {
                symbol: instrument.symbol,
                interval,
                from: Timestamp::MIN,
                until: Timestamp::MAX,
                limit: 1,
            })
            .collect();
        let newest = stored.bars_of(&queries).await?.into_iter().flatten();
        last.extend(newest.map(|bar| (bar.symbol, bar.start)));
    }
    if let Some(topic) = topic {
        let produced = topic.produced_by(source).await?;
        for ((symbol, of), start) in produced.bars {
            if of == interval && (symbols.is_empty() || symbols.contains(&symbol)) {
                let known = last.entry(symbol).or_insert(start);
                *known = start.max(*known);
            }
        }
    }
    let since = last.values().min();
    let since = since.map_or(now, |oldest| (*oldest).max(before(now, CATCH_UP_BARS)));
    let checkpoint = last
        .iter()
        .map(|(symbol, start)| (symbol.to_string(), at((*start).min(now))));
    Ok(ResumePoint {
        since: since.min(now),
        checkpoint: checkpoint.collect(),
        taken: Vec::new(),
    })
}

/// Where a stream stands of which no more than the time is known.
fn at(since: Timestamp) -> StreamPosition {
    StreamPosition {
        since: Some(since),
        ..StreamPosition::default()
    }
}

fn before(ts: Timestamp, span: Duration) -> Timestamp {
    ts.plus_micros(-i64::try_from(span.as_micros()).unwrap_or(i64::MAX))
}

/// Where a stream stood before its last batch in the topic.
#[derive(Debug, Default)]
struct StreamResume {
    position: StreamPosition,
    /// What the topic has that comes again from there, each with the number of its batch.
    ticks: Vec<(Tick, u64)>,
}

/// What the end of a topic says of a source.
#[derive(Debug, Default)]
struct Produced {
    /// The time of the newest tick of each symbol.
    last: HashMap<Symbol, Timestamp>,
    /// The start of the newest bar of each symbol and interval.
    bars: HashMap<(Symbol, Interval), Timestamp>,
    streams: HashMap<String, StreamResume>,
}

impl Produced {
    /// Takes a message of the source in. The partitions' messages come in any order.
    fn take(&mut self, ticks: &[Tick], offset: Option<SourceOffset>) {
        for tick in ticks {
            let newest = self.last.entry(tick.symbol.clone()).or_insert(tick.ts);
            *newest = tick.ts.max(*newest);
        }
        let Some(SourceOffset { stream, position }) = offset else {
            return;
        };
        let batch = position.batches;
        let stand = self.streams.entry(stream).or_default();
        let comes_again = |position: &StreamPosition, tick: &Tick, of: u64| {
            // A row may be late: what came with the last batch comes again whatever its time is.
            Some(tick.ts) >= position.since || of == position.batches
        };
        if position.is_after(&stand.position) {
            stand.position = position;
            let now = &stand.position;
            stand.ticks.retain(|(tick, of)| comes_again(now, tick, *of));
        }
        let again = ticks
            .iter()
            .filter(|t| comes_again(&stand.position, t, batch));
        stand.ticks.extend(again.map(|tick| (tick.clone(), batch)));
    }

    fn take_bars(&mut self, bars: &[Bar]) {
        for bar in bars {
            let newest = self
                .bars
                .entry((bar.symbol.clone(), bar.interval))
                .or_insert(bar.start);
            *newest = bar.start.max(*newest);
        }
    }
}

impl Topic<'_> {
    /// What a source has produced, by the last messages of each partition.
    async fn produced_by(&self, source: &str) -> Result<Produced> {
        let mut produced = Produced::default();
        if !self.log.is_whole(self.name).await? {
            // What a source left there would be sent again, or left out.
            return Err(BusError::Unavailable {
                detail: format!(
                    "a partition of {} has no leader: start the broker that has it",
                    self.name
                ),
            }
            .into());
        }
        let mut bounds = self.log.bounds(self.name).await?;
        bounds.retain(|b| b.next > b.oldest);
        let mut left: HashMap<u32, u64> = bounds.iter().map(|b| (b.partition, b.next)).collect();
        let from: Vec<Position> = bounds
            .iter()
            .map(|b| Position {
                partition: b.partition,
                offset: b.next.saturating_sub(LAST_MESSAGES).max(b.oldest),
            })
            .collect();
        if from.is_empty() {
            return Ok(produced);
        }
        let mut reader = self.log.read_from(self.name, &from).await?;
        let (wait, mut looks, after_the_first) = LOOK;
        let mut came = false;
        while !left.is_empty() && looks > 0 {
            let deliveries = reader.poll(usize::MAX, wait).await?;
            if deliveries.is_empty() {
                looks -= 1;
            } else if !came {
                (came, looks) = (true, after_the_first);
            }
            for Delivery { position, record } in deliveries {
                if left
                    .get(&position.partition)
                    .is_some_and(|end| position.offset + 1 >= *end)
                {
                    left.remove(&position.partition);
                }
                if &*record.source != source {
                    continue;
                }
                match &record.payload {
                    Payload::Ticks(ticks) => {
                        let offset = record.source_offset.as_deref();
                        produced.take(ticks, offset.and_then(SourceOffset::read));
                    }
                    Payload::Bars(bars) => produced.take_bars(bars),
                    Payload::Raw(_) | Payload::Reject(_) => {}
                }
            }
        }
        if !came {
            // Going on without them would leave something out, or send much again.
            return Err(BusError::Unavailable {
                detail: format!("the last messages of {} do not come", self.name),
            }
            .into());
        }
        if !left.is_empty() {
            let partitions: Vec<&u32> = left.keys().collect();
            warn!(?partitions, "not all of the last messages came");
        }
        Ok(produced)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tick(symbol: &str, second: i64) -> Tick {
        Tick {
            symbol: symbol.parse().unwrap(),
            ts: Timestamp::from_secs(second),
            seq: 0,
            price: 1.0,
            size: 1.0,
        }
    }

    fn offset(second: i64, batches: u64) -> Option<SourceOffset> {
        Some(SourceOffset {
            stream: String::new(),
            position: StreamPosition {
                cursor: None,
                since: Some(Timestamp::from_secs(second)),
                batches,
            },
        })
    }

    #[test]
    fn a_stream_goes_on_before_its_last_batch_whichever_partition_comes_first() {
        // The second batch has a late row of B, and A's rows are in another partition than B's.
        let messages = [
            (vec![tick("A", 1), tick("A", 5)], offset(0, 0)),
            (vec![tick("B", 2)], offset(0, 0)),
            (vec![tick("A", 6)], offset(5, 1)),
            (vec![tick("B", 3), tick("B", 7)], offset(5, 1)),
        ];
        for order in [[0, 1, 2, 3], [1, 3, 0, 2], [3, 1, 2, 0]] {
            let mut produced = Produced::default();
            for at in order {
                let (ticks, offset) = &messages[at];
                produced.take(ticks, offset.clone());
            }
            let stand = &produced.streams[""];
            assert_eq!(stand.position, offset(5, 1).unwrap().position);
            let mut again: Vec<Tick> = stand.ticks.iter().map(|(t, _)| t.clone()).collect();
            again.sort_by_key(|t| t.ts);
            // Of the first batch only what lies at the time from which the stream goes on.
            let expected = [tick("B", 3), tick("A", 5), tick("A", 6), tick("B", 7)];
            assert_eq!(again, expected, "{order:?}");
        }
    }

    #[test]
    fn messages_without_an_offset_tell_how_far_each_symbol_is() {
        let mut produced = Produced::default();
        produced.take(&[tick("A", 4), tick("A", 3)], None);
        assert_eq!(
            produced.last[&"A".parse::<Symbol>().unwrap()],
            Timestamp::from_secs(4)
        );
        assert!(produced.streams.is_empty());
    }
}
