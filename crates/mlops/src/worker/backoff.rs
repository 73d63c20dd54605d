//! Waits that grow: doubled each time up to a limit, spread so that what failed together does not come back together.
//!
//! Model: a wait follows from its seed and its number alone, so that the same attempt of the same job waits the same
//! wherever it failed.

use std::time::Duration;

/// The wait before try `number` (from 0): between three quarters and all of `first`·2^number, at most `most`.
pub(crate) fn wait(first: Duration, most: Duration, seed: u64, number: u32) -> Duration {
    let doubled = first.saturating_mul(1 << number.min(30));
    let nominal = doubled.min(most.max(first));
    let part = mix(seed ^ u64::from(number).wrapping_mul(0x9e37_79b9_7f4a_7c15)) % 256;
    nominal - nominal.mul_f64(part as f64 / 1_024.0)
}

/// SplitMix64's finisher (Steele, Lea & Flood 2014): every bit of the seed moves every bit of the result.
const fn mix(seed: u64) -> u64 {
    let mut z = seed.wrapping_add(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

/// Waits of one who tries until it works.
#[derive(Debug)]
pub(crate) struct Backoff {
    first: Duration,
    most: Duration,
    seed: u64,
    tries: u32,
}

impl Backoff {
    pub(crate) const fn new(first: Duration, most: Duration, seed: u64) -> Self {
        Self {
            first,
            most,
            seed,
            tries: 0,
        }
    }

    pub(crate) fn next_wait(&mut self) -> Duration {
        let wait = wait(self.first, self.most, self.seed, self.tries);
        self.tries = self.tries.saturating_add(1);
        wait
    }

    pub(crate) const fn reset(&mut self) {
        self.tries = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_double_to_their_limit_and_are_spread_by_their_seed_alone() {
        let (first, most) = (Duration::from_millis(100), Duration::from_secs(1));
        let waits = |seed| -> Vec<u128> {
            (0..40)
                .map(|number| wait(first, most, seed, number).as_millis())
                .collect()
        };
        for (number, nominal) in [100, 200, 400, 800, 1_000, 1_000].into_iter().enumerate() {
            let got = waits(7)[number];
            assert!(got <= nominal && got >= nominal * 3 / 4, "{number}: {got}");
        }
        assert_eq!(waits(7), waits(7));
        assert_ne!(waits(7), waits(8));
        let mut backoff = Backoff::new(first, most, 7);
        let both = [backoff.next_wait(), backoff.next_wait()];
        backoff.reset();
        assert_eq!([backoff.next_wait(), backoff.next_wait()], both);
    }
}
