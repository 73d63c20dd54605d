//! Time: the wall clock as an argument, and the market clock that closes bars.
//!
//! Model: a bar is closed once the market clock has passed its end. The market clock is driven by
//! event time (the greatest timestamp stored so far) and, where the prices are live, by the wall
//! clock too, so that a bar closes although nothing trades. It never goes back: a wall clock that
//! is set back only makes it wait.
//!
//! What it does not do: exchange hours. Durations are measured with `Instant`, never here.

use std::sync::{
    Arc,
    atomic::{AtomicI64, Ordering},
};

use market::{Bar, Interval, Timestamp};
use serde::{Deserialize, Serialize};

/// A wall clock.
pub trait Clock: Send + Sync + 'static {
    /// The time now.
    fn now(&self) -> Timestamp;
}

impl<F: Fn() -> Timestamp + Send + Sync + 'static> Clock for F {
    fn now(&self) -> Timestamp {
        self()
    }
}

/// The clock of the operating system.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    fn now(&self) -> Timestamp {
        let since = std::time::SystemTime::now()
            .duration_since(std::time::UNIX_EPOCH)
            .unwrap_or_default();
        Timestamp::from_micros(i64::try_from(since.as_micros()).unwrap_or(i64::MAX))
    }
}

/// What closes bars.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum MarketTime {
    /// Prices arrive as they happen: event time closes bars, and so does the wall clock.
    #[default]
    Live,
    /// Prices are replayed: only event time counts, and it stands for the wall clock wherever a
    /// forecast must be earlier than its outcome.
    Replay,
}

/// The clock that closes bars. Monotone.
pub struct MarketClock {
    mode: MarketTime,
    wall: Arc<dyn Clock>,
    lateness_us: i64,
    grace_us: i64,
    event_us: AtomicI64,
    wall_us: AtomicI64,
    now_us: AtomicI64,
}

impl std::fmt::Debug for MarketClock {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("MarketClock")
            .field("mode", &self.mode)
            .field("now", &self.now())
            .finish_non_exhaustive()
    }
}

impl MarketClock {
    /// A clock that has seen no trade. `lateness_ms`: how long after its end a bar still waits for
    /// late trades. `grace_ms`: how long the wall clock alone waits after a bar's end before it
    /// closes it, since the last trades are still on their way.
    pub fn new(mode: MarketTime, wall: Arc<dyn Clock>, lateness_ms: u64, grace_ms: u64) -> Self {
        let us = |ms: u64| i64::try_from(ms.saturating_mul(1_000)).unwrap_or(i64::MAX);
        let min = Timestamp::MIN.as_micros();
        Self {
            mode,
            wall,
            lateness_us: us(lateness_ms),
            grace_us: us(grace_ms),
            event_us: AtomicI64::new(min),
            wall_us: AtomicI64::new(min),
            now_us: AtomicI64::new(min),
        }
    }

    /// Takes note that something happened at `ts`.
    pub fn observe(&self, ts: Timestamp) {
        self.event_us.fetch_max(ts.as_micros(), Ordering::AcqRel);
    }

    /// Market time: every bar that ends at or before it is closed. Far in the past before the first
    /// trade of a replay.
    pub fn now(&self) -> Timestamp {
        let event = self.event_us.load(Ordering::Acquire);
        let now = match self.mode {
            MarketTime::Replay => event,
            MarketTime::Live => {
                // A source whose clock is ahead must not close bars that are still going on.
                let wall = self.wall_now().as_micros();
                event.min(wall).max(wall.saturating_sub(self.grace_us))
            }
        };
        let now = now.saturating_sub(self.lateness_us);
        let before = self.now_us.fetch_max(now, Ordering::AcqRel);
        Timestamp::from_micros(before.max(now))
    }

    /// The time that a forecast made now bears: the wall clock's, or event time in a replay.
    /// Monotone too.
    pub fn made_at(&self) -> Timestamp {
        match self.mode {
            MarketTime::Replay => Timestamp::from_micros(self.event_us.load(Ordering::Acquire)),
            MarketTime::Live => self.wall_now(),
        }
    }

    /// The wall clock as it says, which may step back: for heartbeats and the dead letters.
    pub fn wall(&self) -> Timestamp {
        self.wall.now()
    }

    /// Whether the bar that starts at `start` is closed.
    pub fn is_closed(&self, interval: Interval, start: Timestamp) -> bool {
        interval.end_of(start) <= self.now()
    }

    /// Whether more may still come into a bar. In a replay imported bars may lie ahead of event time:
    /// they are whole.
    pub fn is_going_on(&self, bar: &Bar) -> bool {
        bar.end() > self.now() && (self.mode == MarketTime::Live || !bar.is_external())
    }

    fn wall_now(&self) -> Timestamp {
        let now = self.wall.now().as_micros();
        let before = self.wall_us.fetch_max(now, Ordering::AcqRel);
        Timestamp::from_micros(before.max(now))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(s: i64) -> Timestamp {
        Timestamp::from_secs(s)
    }

    fn settable() -> (Arc<AtomicI64>, Arc<dyn Clock>) {
        let wall = Arc::new(AtomicI64::new(at(1_000).as_micros()));
        let read = Arc::clone(&wall);
        (
            wall,
            Arc::new(move || Timestamp::from_micros(read.load(Ordering::Relaxed))),
        )
    }

    #[test]
    fn a_wall_clock_that_steps_back_opens_no_bar_again() {
        let (wall, clock) = settable();
        let market = MarketClock::new(MarketTime::Live, clock, 0, 0);
        assert!(market.is_closed(Interval::S1, at(999)));
        wall.store(at(500).as_micros(), Ordering::Relaxed);
        assert_eq!(market.now(), at(1_000));
        assert_eq!(market.made_at(), at(1_000));
        assert!(market.is_closed(Interval::S1, at(999)));
        assert!(!market.is_closed(Interval::S1, at(1_000)));
    }

    #[test]
    fn the_wall_clock_waits_for_the_grace_and_event_time_does_not() {
        let (wall, clock) = settable();
        let market = MarketClock::new(MarketTime::Live, clock, 0, 2_000);
        assert_eq!(market.now(), at(998));
        market.observe(at(999));
        assert_eq!(market.now(), at(999));
        market.observe(at(1_500)); // a source whose clock is ahead
        assert_eq!(market.now(), at(1_000));
        wall.store(at(1_100).as_micros(), Ordering::Relaxed);
        assert_eq!(market.now(), at(1_100));
    }

    #[test]
    fn a_replay_knows_event_time_only_and_lateness_holds_it_back() {
        let (_, clock) = settable();
        let market = MarketClock::new(MarketTime::Replay, clock, 5_000, 0);
        assert!(!market.is_closed(Interval::S1, at(0)));
        market.observe(at(105));
        market.observe(at(50));
        assert_eq!(market.now(), at(100));
        assert_eq!(market.made_at(), at(105));
    }
}
