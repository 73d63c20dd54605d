//! The exchange's clock: it runs at its own speed and never steps back.

use std::time::Instant;

use market::Timestamp;

/// Tells the exchange's time.
#[derive(Clone, Copy, Debug)]
pub struct ExchangeClock {
    start: Timestamp,
    started: Instant,
    speed: f64,
}

impl ExchangeClock {
    /// A clock that says `start` now and runs `speed` times as fast as the host's monotonic clock.
    pub fn new(start: Timestamp, speed: f64) -> Self {
        Self {
            start,
            started: Instant::now(),
            speed,
        }
    }

    /// The time now.
    pub fn now(&self) -> Timestamp {
        let passed_us = self.started.elapsed().as_secs_f64() * self.speed * 1e6;
        self.start.plus_micros(passed_us as i64)
    }
}
