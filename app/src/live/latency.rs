//! Tick-to-screen latency: from a tick's arrival at the server to the paint that shows it.
//!
//! Model: the sum of three spans, each by one monotonic clock: the age that the server wrote into
//! the message, half the way there and back of the last ping, and `performance.now()` from the
//! message's arrival to after the next paint. The page shows the median of the last 64.
//!
//! What it does not do: compare the clocks of two machines.

use std::{
    cell::{Cell, RefCell},
    rc::Rc,
    time::Duration,
};

use leptos::prelude::*;

use super::socket::now_ms;

const SAMPLES: usize = 64;

#[derive(Default)]
struct Inner {
    /// The oldest tick that is not on the screen yet: arrival and age at the server.
    waiting: Cell<Option<(f64, f64)>>,
    round_trip_ms: Cell<Option<f64>>,
    ping: Cell<Option<(u64, f64)>>,
    samples_ms: RefCell<Vec<f64>>,
    next: Cell<usize>,
}

#[derive(Clone, Default)]
pub(super) struct Latency(Rc<Inner>);

impl Latency {
    /// The id of a ping that is sent now.
    pub(super) fn ping(&self) -> u64 {
        let id = self.0.ping.get().map_or(1, |(id, _)| id + 1);
        self.0.ping.set(Some((id, now_ms())));
        id
    }

    /// A ping came back.
    pub(super) fn pong(&self, id: u64) {
        if let Some((sent, at_ms)) = self.0.ping.get()
            && sent == id
        {
            self.0.round_trip_ms.set(Some(now_ms() - at_ms));
        }
    }

    /// A message with fresh ticks came.
    pub(super) fn arrived(&self, age_us: u64) {
        if self.0.waiting.get().is_none() {
            self.0
                .waiting
                .set(Some((now_ms(), age_us as f64 / 1_000.0)));
        }
    }

    /// The ticks that wait are in the signals: measures after the next paint.
    pub(super) fn shown(&self, median_ms: RwSignal<Option<f64>>) {
        let (Some((arrived_ms, age_ms)), Some(round_trip_ms)) =
            (self.0.waiting.take(), self.0.round_trip_ms.get())
        else {
            return;
        };
        let this = self.clone();
        // This runs in the animation frame; a task of its own comes after the frame's paint.
        set_timeout(
            move || {
                let sample = age_ms + round_trip_ms / 2.0 + now_ms() - arrived_ms;
                median_ms.set(Some(this.median_with(sample)));
            },
            Duration::ZERO,
        );
    }

    fn median_with(&self, sample_ms: f64) -> f64 {
        let mut samples = self.0.samples_ms.borrow_mut();
        let next = self.0.next.replace((self.0.next.get() + 1) % SAMPLES);
        match samples.get_mut(next) {
            Some(slot) => *slot = sample_ms,
            None => samples.push(sample_ms),
        }
        median(&samples)
    }
}

/// The value that half of the values (at least one) lie below. Counting is quadratic, and for 64
/// values smaller than a sort.
fn median(values: &[f64]) -> f64 {
    let below = |value: f64| values.iter().filter(|v| **v < value).count();
    let half = values.len() / 2;
    let upper = |value: f64| below(value) <= half;
    values
        .iter()
        .copied()
        .filter(|v| upper(*v))
        .fold(f64::NEG_INFINITY, f64::max)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_is_that_of_the_last_64_samples() {
        let latency = Latency::default();
        let mut median = 0.0;
        for sample in 0..200 {
            median = latency.median_with(f64::from(sample));
        }
        assert!((median - 168.0).abs() < 1e-9, "{median}");
    }
}
