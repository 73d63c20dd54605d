//! What real providers do, on purpose: in requests (latency, 500, 429) and in rows (malformed,
//! twice, late, out of order). Seeded, so that a run can be repeated.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::noise::{Noise, Purpose};
use crate::SourceError;

/// How often what goes wrong. Shares are from 0 to 1.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct FaultOptions {
    /// Added to every answer, milliseconds.
    pub latency_ms: u64,
    /// Up to so much more, at random, milliseconds.
    pub latency_jitter_ms: u64,
    /// Share of requests answered with 500.
    pub error_share: f64,
    /// Share of requests answered with 429.
    pub throttle_share: f64,
    /// What `Retry-After` says then, seconds.
    pub retry_after_s: u64,
    /// Share of rows followed by a malformed copy of themselves. The trade itself is not lost.
    pub malformed_share: f64,
    /// Share of rows that come twice.
    pub duplicate_share: f64,
    /// Share of rows that come one to five seconds late.
    pub late_share: f64,
    /// Share of rows that change places with the row before.
    pub out_of_order_share: f64,
}

impl FaultOptions {
    /// Every fault in the options themselves.
    pub fn faults(&self) -> Vec<SourceError> {
        [
            ("error_share", self.error_share),
            ("throttle_share", self.throttle_share),
            ("malformed_share", self.malformed_share),
            ("duplicate_share", self.duplicate_share),
            ("late_share", self.late_share),
            ("out_of_order_share", self.out_of_order_share),
        ]
        .into_iter()
        .filter(|(_, share)| !(0.0..=1.0).contains(share))
        .map(|(key, share)| SourceError::Config {
            key: key.into(),
            expected: format!("expected 0 to 1, got {share}"),
        })
        .collect()
    }

    /// Whether rows come just as they were traded.
    pub fn rows_are_sound(&self) -> bool {
        [
            self.malformed_share,
            self.duplicate_share,
            self.late_share,
            self.out_of_order_share,
        ]
        .iter()
        .all(|share| *share == 0.0)
    }
}

/// What becomes of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It is answered.
    Answer,
    /// 500.
    Error,
    /// 429 with this `Retry-After`, seconds.
    Throttle {
        /// Seconds.
        retry_after_s: u64,
    },
}

impl FaultOptions {
    /// What becomes of the `n`-th request, and after what wait.
    pub fn request(&self, seed: u64, n: u64) -> (Duration, Verdict) {
        let mut noise = Noise::new(seed, Purpose::RequestFaults, n, 0);
        let jitter = (noise.uniform() * self.latency_jitter_ms as f64) as u64;
        let wait = Duration::from_millis(self.latency_ms + jitter);
        let verdict = if noise.happens(self.error_share) {
            Verdict::Error
        } else if noise.happens(self.throttle_share) {
            Verdict::Throttle {
                retry_after_s: self.retry_after_s,
            }
        } else {
            Verdict::Answer
        };
        (wait, verdict)
    }
}
