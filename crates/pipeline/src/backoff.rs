//! Waits that grow: doubled each time up to a limit, with a spread so that stages that failed
//! together do not all come back together.

use std::{
    hash::{BuildHasher, DefaultHasher, Hash, Hasher, RandomState},
    time::Duration,
};

#[derive(Debug)]
pub(crate) struct Backoff {
    min: Duration,
    max: Duration,
    next: Duration,
    /// What the spread of this one follows from.
    seed: u64,
    waits: u64,
}

impl Backoff {
    pub(crate) fn new(min_ms: u64, max_ms: u64) -> Self {
        Self::seeded(min_ms, max_ms, None)
    }

    /// With a spread that follows from `seed`, if there is one.
    pub(crate) fn seeded(min_ms: u64, max_ms: u64, seed: Option<u64>) -> Self {
        let min = Duration::from_millis(min_ms.max(1));
        Self {
            min,
            max: Duration::from_millis(max_ms).max(min),
            next: min,
            // The standard library's hasher is seeded at random: chance enough for a wait.
            seed: seed.unwrap_or_else(|| RandomState::new().hash_one(0)),
            waits: 0,
        }
    }

    /// The next wait: between three quarters and all of its nominal length.
    pub(crate) fn next_wait(&mut self) -> Duration {
        let nominal = self.next;
        self.next = (nominal * 2).min(self.max);
        self.waits += 1;
        let mut hasher = DefaultHasher::new();
        (self.seed, self.waits).hash(&mut hasher);
        let part = (hasher.finish() % 256) as u32;
        nominal - nominal / 4 * part / 256
    }

    pub(crate) fn reset(&mut self) {
        self.next = self.min;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_grow_to_the_limit_and_begin_anew_after_a_success() {
        let mut backoff = Backoff::new(100, 1_000);
        for nominal in [100, 200, 400, 800, 1_000, 1_000] {
            let wait = backoff.next_wait().as_millis();
            assert!(wait <= nominal && wait >= nominal * 3 / 4, "{wait}");
        }
        backoff.reset();
        assert!(backoff.next_wait().as_millis() <= 100);
    }
}
