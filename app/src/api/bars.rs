//! Bars of one symbol and interval, and how they travel: as columns.
//!
//! Model: oldest first, one of each start. 120 bars are 30 KB of JSON one by one and 7 KB as
//! columns. The number of trades and the keys of the first and last tick stay behind; a page does
//! not merge bars.

use market::{Bar, Interval, Symbol, TickKey, Timestamp};
use serde::{Deserialize, Serialize};

/// The most bars that a page keeps; the oldest go when new ones come.
pub const MAX_BARS: usize = 5_000;

/// Bars of one symbol and interval, oldest first.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(from = "Columns", into = "Columns")]
pub struct Bars(Vec<Bar>);

impl Bars {
    /// The bars.
    pub fn as_slice(&self) -> &[Bar] {
        &self.0
    }

    /// How many.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The oldest.
    pub fn first(&self) -> Option<&Bar> {
        self.0.first()
    }

    /// The latest.
    pub fn last(&self) -> Option<&Bar> {
        self.0.last()
    }

    /// Puts a bar where it belongs: in place of the one with its start, or between its neighbours.
    /// The oldest goes when there are more than `limit`.
    pub fn put(&mut self, bar: Bar, limit: usize) {
        match self.0.binary_search_by_key(&bar.start, |b| b.start) {
            Ok(at) => self.0[at] = bar,
            Err(at) => self.0.insert(at, bar),
        }
        self.drop_oldest(limit);
    }

    /// Puts `older` bars in front; bars that are not older than the first are left out, and the
    /// oldest when there are more than `limit`.
    pub fn put_in_front(&mut self, older: Self, limit: usize) {
        let mut front = older.0;
        if let Some(first) = self.0.first() {
            front.truncate(front.partition_point(|b| b.start < first.start));
        }
        front.append(&mut self.0);
        self.0 = front;
        self.drop_oldest(limit);
    }

    /// Adds the bars of `live` that are newer than what was read here. Of a bar that both have, the
    /// one with the greater volume is the newer.
    pub fn catch_up(&mut self, live: &Self, limit: usize) {
        let Some(last) = self.0.last().cloned() else {
            return;
        };
        let from = live.0.partition_point(|b| b.start < last.start);
        for bar in &live.0[from..] {
            if bar.start > last.start || bar.volume > last.volume {
                self.put(bar.clone(), limit);
            }
        }
    }

    fn drop_oldest(&mut self, limit: usize) {
        let over = self.0.len().saturating_sub(limit.max(1));
        self.0.drain(..over);
    }
}

impl From<Vec<Bar>> for Bars {
    /// Takes bars that are oldest first already.
    fn from(bars: Vec<Bar>) -> Self {
        Self(bars)
    }
}

/// The JSON of [`Bars`]. Without a symbol there are no bars.
#[derive(Serialize, Deserialize)]
struct Columns {
    of: Option<(Symbol, Interval)>,
    start_us: Vec<Timestamp>,
    open: Vec<f64>,
    high: Vec<f64>,
    low: Vec<f64>,
    close: Vec<f64>,
    volume: Vec<f64>,
}

impl From<Bars> for Columns {
    fn from(bars: Bars) -> Self {
        let column = |f: fn(&Bar) -> f64| bars.0.iter().map(f).collect();
        Self {
            of: bars.first().map(|b| (b.symbol.clone(), b.interval)),
            start_us: bars.0.iter().map(|b| b.start).collect(),
            open: column(|b| b.open),
            high: column(|b| b.high),
            low: column(|b| b.low),
            close: column(|b| b.close),
            volume: column(|b| b.volume),
        }
    }
}

impl From<Columns> for Bars {
    /// Columns of unlike length end with the shortest.
    fn from(c: Columns) -> Self {
        let Some((symbol, interval)) = c.of else {
            return Self::default();
        };
        let bar = |i: usize| {
            let start = *c.start_us.get(i)?;
            Some(Bar {
                symbol: symbol.clone(),
                interval,
                start,
                open: *c.open.get(i)?,
                high: *c.high.get(i)?,
                low: *c.low.get(i)?,
                close: *c.close.get(i)?,
                volume: *c.volume.get(i)?,
                trades: 0,
                first: TickKey { ts: start, seq: 0 },
                last: TickKey { ts: start, seq: 0 },
            })
        };
        Self((0..c.start_us.len()).map_while(bar).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bar(second: i64, close: f64) -> Bar {
        let tick = market::Tick {
            symbol: "A".parse().unwrap(),
            ts: Timestamp::from_secs(second),
            seq: 0,
            price: close,
            size: close,
        };
        Bar::from_tick(&tick, Interval::S1)
    }

    fn shown(bars: &Bars) -> Vec<(i64, f64)> {
        bars.as_slice()
            .iter()
            .map(|b| (b.start.as_secs(), b.close))
            .collect()
    }

    #[test]
    fn a_bar_replaces_the_one_with_its_start_and_a_late_one_goes_between() {
        let mut bars = Bars::from(vec![bar(1, 1.0), bar(3, 3.0)]);
        bars.put(bar(3, 4.0), 10);
        bars.put(bar(2, 2.0), 10);
        assert_eq!(shown(&bars), [(1, 1.0), (2, 2.0), (3, 4.0)]);
    }

    #[test]
    fn the_oldest_bar_goes_when_there_are_too_many() {
        let mut bars = Bars::default();
        for second in 0..10 {
            bars.put(bar(second, 1.0), 2);
        }
        assert_eq!(shown(&bars), [(8, 1.0), (9, 1.0)]);
    }

    #[test]
    fn older_bars_go_in_front_without_doubles() {
        let mut bars = Bars::from(vec![bar(5, 5.0)]);
        bars.put_in_front(Bars::from(vec![bar(3, 3.0), bar(4, 4.0), bar(5, 9.0)]), 10);
        assert_eq!(shown(&bars), [(3, 3.0), (4, 4.0), (5, 5.0)]);
    }

    #[test]
    fn bars_that_came_live_while_others_were_read_are_kept() {
        let mut read = Bars::from(vec![bar(1, 1.0), bar(2, 2.0)]);
        read.catch_up(&Bars::from(vec![bar(1, 9.0), bar(2, 3.0), bar(3, 3.0)]), 10);
        assert_eq!(shown(&read), [(1, 1.0), (2, 3.0), (3, 3.0)]);
    }

    #[test]
    fn bars_read_back_from_their_columns() {
        let bars = Bars::from(vec![bar(1, 1.25), bar(2, 2.5)]);
        let text = serde_json::to_string(&bars).unwrap();
        let back: Bars = serde_json::from_str(&text).unwrap();
        assert_eq!(shown(&back), shown(&bars));
        assert_eq!(
            serde_json::from_str::<Bars>(&serde_json::to_string(&Bars::default()).unwrap())
                .unwrap()
                .len(),
            0
        );
    }
}
