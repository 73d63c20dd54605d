//! The bars of a symbol in a process that does not store: the store's, taken on with the ticks that
//! came since, and compared with the store's again.
//!
//! Model: a tick after the last one of its bar is in no bar of the store that ends before it, so it
//! can be added. A tick in the past may be in the stored bar already: it only widens high and low,
//! and the bar is doubtful until the store's has been read. So is a bar that has ended, once. The
//! store's bar then takes the place of ours, with the recent ticks after its last one added; where
//! the store lies so far behind that those do not reach back to it, ours stays.

use std::{
    collections::{BTreeMap, VecDeque},
    time::{Duration, Instant},
};

use market::{Bar, Interval, Tick, TickKey, Timestamp};

/// Recent ticks kept to bring a stored bar up to now.
const RECENT: usize = 1_024;
/// Bars of one interval that are held at most.
const HELD: usize = 16;
/// How long a bar with a late tick is compared with the store's.
const DOUBTFUL: Duration = Duration::from_secs(10);
/// How long a bar that has ended waits for the store to catch up.
const ENDED: Duration = Duration::from_secs(60);

#[derive(Debug)]
struct Held {
    bar: Bar,
    /// Until when it is compared with the store's.
    doubtful_until: Option<Instant>,
    /// One look that finds the store at our last tick settles it.
    one_look: bool,
    /// Made of a late tick alone: not to be shown before the store's has been read.
    partial: bool,
}

/// The bars of one symbol.
#[derive(Debug, Default)]
pub(super) struct Bars {
    held: BTreeMap<(Interval, Timestamp), Held>,
    recent: VecDeque<Tick>,
    /// Every tick with a greater key is in `recent`.
    floor: Option<TickKey>,
}

impl Bars {
    /// Over what the store has. `newest`: the greatest key that was read before.
    pub(super) fn new(stored: &[Bar], newest: Option<TickKey>, now: Instant) -> Self {
        let held = stored.iter().map(|bar| {
            let held = Held {
                bar: bar.clone(),
                doubtful_until: Some(now + DOUBTFUL),
                one_look: false,
                partial: false,
            };
            ((bar.interval, bar.start), held)
        });
        Self {
            held: held.collect(),
            recent: VecDeque::new(),
            floor: newest,
        }
    }

    /// Takes a tick in.
    pub(super) fn push(&mut self, tick: &Tick, now: Instant) {
        self.recent.push_back(tick.clone());
        if self.recent.len() > RECENT
            && let Some(old) = self.recent.pop_front()
        {
            self.floor = self.floor.max(Some(old.key()));
        }
        for interval in Interval::ALL {
            let start = interval.start_of(tick.ts);
            if let Some(held) = self.held.get_mut(&(interval, start)) {
                held.push(tick, now);
                continue;
            }
            let newest = self.newest(interval);
            let late = newest.is_some_and(|newest| start < newest);
            if let Some(ended) = newest
                .filter(|_| !late)
                .and_then(|newest| self.held.get_mut(&(interval, newest)))
                && ended.doubtful_until.is_none()
            {
                ended.doubtful_until = Some(now + ENDED);
                ended.one_look = true;
            }
            let held = Held {
                bar: Bar::from_tick(tick, interval),
                doubtful_until: late.then(|| now + DOUBTFUL),
                one_look: false,
                partial: late,
            };
            self.held.insert((interval, start), held);
            self.bound(interval);
        }
    }

    /// Takes a bar in that came as a bar.
    pub(super) fn push_bar(&mut self, bar: &Bar, now: Instant) {
        let held = self.held.entry((bar.interval, bar.start)).or_insert(Held {
            bar: bar.clone(),
            doubtful_until: None,
            one_look: false,
            partial: false,
        });
        // Of the ticks that it does not cover the latest are known here; the store has them all.
        let inside = |tick: &&Tick| bar.interval.start_of(tick.ts) == bar.start;
        held.bar = bar.with_ticks(self.recent.iter().filter(inside));
        held.doubtful_until = Some(now + DOUBTFUL);
        held.one_look = false;
        self.bound(bar.interval);
    }

    fn newest(&self, interval: Interval) -> Option<Timestamp> {
        self.held
            .range((interval, Timestamp::MIN)..=(interval, Timestamp::MAX))
            .next_back()
            .map(|((_, start), _)| *start)
    }

    fn bound(&mut self, interval: Interval) {
        loop {
            let range = (interval, Timestamp::MIN)..=(interval, Timestamp::MAX);
            if self.held.range(range.clone()).count() <= HELD {
                return;
            }
            let Some(oldest) = self.held.range(range).next().map(|(key, _)| *key) else {
                return;
            };
            self.held.remove(&oldest);
        }
    }

    /// The bars that hold one of these ticks, to be shown.
    pub(super) fn touched(&self, ticks: &[Tick]) -> Vec<Bar> {
        let mut keys: Vec<_> = ticks
            .iter()
            .flat_map(|t| Interval::ALL.map(|i| (i, i.start_of(t.ts))))
            .collect();
        keys.sort_unstable();
        keys.dedup();
        keys.iter()
            .filter_map(|key| self.held.get(key))
            .filter(|held| !held.partial)
            .map(|held| held.bar.clone())
            .collect()
    }

    /// What is to be read from the store: of each interval, from the first doubtful bar to after the
    /// last. Forgets what is neither newest nor doubtful any more.
    pub(super) fn doubtful(&mut self, now: Instant) -> Vec<(Interval, Timestamp, Timestamp)> {
        for held in self.held.values_mut() {
            if held.doubtful_until.is_some_and(|until| until < now) {
                held.doubtful_until = None;
            }
        }
        let mut spans: Vec<(Interval, Timestamp, Timestamp)> = Vec::new();
        for interval in Interval::ALL {
            let newest = self.newest(interval);
            self.held.retain(|(i, start), held| {
                *i != interval || Some(*start) == newest || held.doubtful_until.is_some()
            });
            let mut starts = self
                .held
                .iter()
                .filter(|((i, _), held)| *i == interval && held.doubtful_until.is_some())
                .map(|((_, start), _)| *start);
            if let Some(first) = starts.next() {
                let last = starts.next_back().unwrap_or(first);
                spans.push((interval, first, last.plus_micros(1)));
            }
        }
        spans
    }

    /// Compares with a stored bar; what is to be shown if it differs.
    pub(super) fn compare(&mut self, stored: &Bar) -> Option<Bar> {
        let held = self.held.get_mut(&(stored.interval, stored.start))?;
        held.doubtful_until?;
        let caught_up = stored.last >= held.bar.last;
        if !caught_up && !held.partial && self.floor.is_some_and(|floor| stored.last < floor) {
            return None;
        }
        let mut bar = stored.clone();
        for tick in &self.recent {
            let inside = stored.interval.start_of(tick.ts) == stored.start;
            if inside && tick.key() > bar.last {
                bar.push(tick);
            }
        }
        if caught_up && held.one_look && stored.trades >= held.bar.trades {
            held.doubtful_until = None;
        }
        let differs = held.partial || held.bar != bar;
        held.partial = false;
        held.bar = bar;
        differs.then(|| held.bar.clone())
    }
}

impl Held {
    fn push(&mut self, tick: &Tick, now: Instant) {
        if self.bar.is_external() && self.bar.covers(tick.key()) {
            // A bar that came as a bar has it already.
        } else if tick.key() > self.bar.last {
            self.bar.push(tick);
        } else if self.bar.is_external() {
            self.doubtful_until = Some(now + DOUBTFUL);
            self.one_look = false;
        } else {
            self.bar.high = self.bar.high.max(tick.price);
            self.bar.low = self.bar.low.min(tick.price);
            self.doubtful_until = Some(now + DOUBTFUL);
            self.one_look = false;
        }
    }
}

#[cfg(test)]
mod tests {
    use market::bars_from_ticks;

    use super::*;

    fn tick(us: i64) -> Tick {
        Tick {
            symbol: "ABC".parse().unwrap(),
            ts: Timestamp::from_micros(us),
            seq: 0,
            price: 100.0 + us as f64 / 1e6,
            size: 1.0,
        }
    }

    fn seconds(ticks: &[Tick]) -> Vec<Bar> {
        bars_from_ticks(ticks, &Interval::ALL)
    }

    #[test]
    fn ticks_in_order_make_the_bars_that_the_store_makes() {
        let ticks: Vec<Tick> = (0..50).map(|i| tick(i * 100_000)).collect();
        let now = Instant::now();
        let mut bars = Bars::new(&seconds(&ticks[..7]), Some(ticks[6].key()), now);
        for tick in &ticks[7..] {
            bars.push(tick, now);
        }
        let whole = seconds(&ticks);
        let last = bars.touched(&ticks[49..]);
        for bar in last {
            assert!(whole.contains(&bar), "{bar:?}");
        }
    }

    #[test]
    fn a_late_tick_is_counted_once_when_the_store_has_it() {
        let ticks: Vec<Tick> = [1, 5, 9, 3].map(|i| tick(i * 10_000)).into();
        let now = Instant::now();
        let mut bars = Bars::new(&seconds(&ticks[..1]), Some(ticks[0].key()), now);
        for tick in &ticks[1..] {
            bars.push(tick, now);
        }
        // The store is one tick behind, and has the late one.
        let stored = seconds(&[ticks[0].clone(), ticks[1].clone(), ticks[3].clone()]);
        assert!(!bars.doubtful(now).is_empty());
        let shown = bars.compare(&stored[0]).unwrap();
        assert_eq!(shown, seconds(&ticks)[0]);
    }

    #[test]
    fn a_store_that_lies_far_behind_changes_nothing() {
        let ticks: Vec<Tick> = (0..3_000).map(|i| tick(i * 10)).collect();
        let now = Instant::now();
        let mut bars = Bars::new(&seconds(&ticks[..1]), Some(ticks[0].key()), now);
        for tick in &ticks[1..] {
            bars.push(tick, now);
        }
        assert_eq!(bars.compare(&seconds(&ticks[..2])[0]), None);
        let whole = bars.touched(&ticks[2_999..]);
        assert_eq!(whole[0].trades, 3_000);
    }

    #[test]
    fn a_bar_that_came_as_a_bar_stays_and_goes_on_with_the_ticks_that_it_does_not_cover() {
        let now = Instant::now();
        let came = |until: i64| {
            let start = Timestamp::from_secs(0);
            let read_at = Timestamp::from_secs(until);
            let (first, last) = Bar::keys_until(Interval::M1, start, read_at);
            Bar {
                volume: 1_000_000.0,
                trades: 0,
                start,
                interval: Interval::M1,
                first,
                last,
                ..Bar::from_tick(&tick(0), Interval::M1)
            }
        };
        let minute = |bars: &Bars| {
            let shown = bars.touched(&[tick(50_000_000)]);
            shown
                .into_iter()
                .find(|b| b.interval == Interval::M1)
                .unwrap()
        };
        // Read after its end, or while it went on; the tick before or after it.
        for (until, volume) in [(3_600, 1_000_000.0), (30, 1_000_001.0)] {
            let mut bars = Bars::new(&[], None, now);
            bars.push_bar(&came(until), now);
            bars.push(&tick(50_000_000), now);
            assert_eq!(minute(&bars).volume, volume);
            let mut bars = Bars::new(&[], None, now);
            bars.push(&tick(50_000_000), now);
            bars.push_bar(&came(until), now);
            assert_eq!(minute(&bars).volume, volume);
        }
    }

    #[test]
    fn a_bar_of_the_past_is_shown_once_the_store_has_it() {
        let now = Instant::now();
        let (early, late) = (tick(500_000), tick(70_000_000));
        let mut bars = Bars::new(&[], None, now);
        bars.push(&late, now);
        bars.push(&early, now);
        assert!(
            bars.touched(std::slice::from_ref(&early))
                .iter()
                .all(|b| b.interval > Interval::M1)
        );
        let stored = seconds(&[early]);
        assert_eq!(bars.compare(&stored[0]).as_ref(), Some(&stored[0]));
    }
}
