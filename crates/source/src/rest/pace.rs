//! When to ask next: back-off with full jitter, Retry-After, and a rate limit.

use std::time::Duration;

use market::Timestamp;
use rand_chacha::{
    ChaCha8Rng,
    rand_core::{Rng, SeedableRng},
};
use tokio::time::Instant;

/// Exponential back-off with full jitter: a wait uniform between zero and `base * 2^attempt`, at most
/// `cap` (Brooker, "Exponential Backoff And Jitter", AWS Architecture Blog, 2015).
///
/// ```
/// use std::time::Duration;
/// use source::rest::Backoff;
///
/// let mut backoff = Backoff::new(Duration::from_millis(100), Duration::from_secs(30), 7);
/// assert!(backoff.wait() <= Duration::from_millis(100));
/// assert_eq!(backoff.ceiling(), Duration::from_millis(200));
/// ```
#[derive(Clone, Debug)]
pub struct Backoff {
    base: Duration,
    cap: Duration,
    attempt: u32,
    rng: ChaCha8Rng,
}

impl Backoff {
    /// Starts at `base`, never waits longer than `cap`; the jitter follows from `seed`.
    pub fn new(base: Duration, cap: Duration, seed: u64) -> Self {
        Self {
            base,
            cap,
            attempt: 0,
            rng: ChaCha8Rng::seed_from_u64(seed),
        }
    }

    /// The longest that the next wait can be.
    pub fn ceiling(&self) -> Duration {
        self.base
            .saturating_mul(1u32.checked_shl(self.attempt).unwrap_or(u32::MAX))
            .min(self.cap)
    }

    /// The next wait.
    pub fn wait(&mut self) -> Duration {
        let share = (self.rng.next_u64() >> 11) as f64 / 9_007_199_254_740_992.0;
        let wait = self.ceiling().mul_f64(share);
        self.attempt = self.attempt.saturating_add(1);
        wait
    }

    /// Starts over, after a success.
    pub const fn reset(&mut self) {
        self.attempt = 0;
    }
}

/// Nobody is waited for longer than this, whatever Retry-After says.
const MAX_RETRY_AFTER: Duration = Duration::from_secs(3_600);

/// Reads Retry-After (RFC 9110, section 10.2.3): seconds, or a date of HTTP. `None` when it is
/// neither.
///
/// ```
/// use std::time::Duration;
/// use market::Timestamp;
/// use source::rest::retry_after;
///
/// let now = Timestamp::from_secs(784_111_777);
/// assert_eq!(retry_after("120", now), Some(Duration::from_secs(120)));
/// assert_eq!(retry_after("Sun, 06 Nov 1994 08:50:37 GMT", now), Some(Duration::from_secs(60)));
/// assert_eq!(retry_after("soon", now), None);
/// ```
pub fn retry_after(value: &str, now: Timestamp) -> Option<Duration> {
    let value = value.trim();
    if let Ok(seconds) = value.parse::<u64>() {
        return Some(Duration::from_secs(seconds).min(MAX_RETRY_AFTER));
    }
    let at = jiff::fmt::rfc2822::DateTimeParser::new()
        .parse_timestamp(value)
        .ok()?;
    let wait = Timestamp::from_micros(at.as_microsecond()).micros_since(now);
    let wait = Duration::from_micros(u64::try_from(wait).unwrap_or(0));
    Some(wait.min(MAX_RETRY_AFTER))
}

/// A token bucket: so many requests a second on average, and at most one second's worth (at least
/// one) at once.
///
/// ```
/// use std::time::Duration;
/// use source::rest::RateLimit;
/// use tokio::time::Instant;
///
/// let (mut limit, now) = (RateLimit::new(2.0), Instant::now());
/// assert_eq!((limit.take(now), limit.take(now)), (Duration::ZERO, Duration::ZERO));
/// assert!(limit.take(now) > Duration::ZERO);
/// ```
#[derive(Clone, Debug)]
pub struct RateLimit {
    per_second: f64,
    burst: f64,
    tokens: f64,
    filled: Instant,
}

impl RateLimit {
    /// `per_second` must be above zero.
    pub fn new(per_second: f64) -> Self {
        let burst = per_second.max(1.0);
        Self {
            per_second,
            burst,
            tokens: burst,
            filled: Instant::now(),
        }
    }

    /// Takes a token, and says how long to wait until it is there.
    pub fn take(&mut self, now: Instant) -> Duration {
        let passed = now.saturating_duration_since(self.filled).as_secs_f64();
        self.filled = self.filled.max(now);
        self.tokens = (self.tokens + passed * self.per_second).min(self.burst) - 1.0;
        if self.tokens >= 0.0 {
            Duration::ZERO
        } else {
            Duration::try_from_secs_f64(-self.tokens / self.per_second).unwrap_or(Duration::MAX)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_are_jittered_and_their_ceiling_doubles_up_to_the_cap() {
        let mut backoff = Backoff::new(Duration::from_millis(100), Duration::from_secs(2), 7);
        let mut ceilings = Vec::new();
        for _ in 0..40 {
            let ceiling = backoff.ceiling();
            assert!(backoff.wait() <= ceiling);
            ceilings.push(ceiling.as_millis());
        }
        assert_eq!(ceilings[..7], [100, 200, 400, 800, 1_600, 2_000, 2_000]);
        assert_eq!(ceilings[39], 2_000);
        backoff.reset();
        assert_eq!(backoff.ceiling(), Duration::from_millis(100));
        let again = |seed| {
            let mut b = Backoff::new(Duration::from_secs(1), Duration::from_secs(9), seed);
            [b.wait(), b.wait(), b.wait()]
        };
        assert_eq!(again(3), again(3));
        assert_ne!(again(3), again(4));
    }

    #[test]
    fn retry_after_is_read_as_seconds_and_as_a_date() {
        let now: Timestamp = "2024-03-01T12:00:00Z".parse().unwrap();
        assert_eq!(retry_after(" 7 ", now), Some(Duration::from_secs(7)));
        assert_eq!(
            retry_after("Fri, 01 Mar 2024 12:00:30 GMT", now),
            Some(Duration::from_secs(30))
        );
        assert_eq!(
            retry_after("Fri, 01 Mar 2024 11:00:00 GMT", now),
            Some(Duration::ZERO)
        );
        assert_eq!(retry_after("99999999", now), Some(MAX_RETRY_AFTER));
        assert_eq!(retry_after("soon", now), None);
    }

    #[tokio::test(start_paused = true)]
    async fn the_rate_limit_lets_a_second_s_worth_through_and_then_spaces_requests() {
        let mut limit = RateLimit::new(4.0);
        let start = Instant::now();
        let mut at = Vec::new();
        for _ in 0..12 {
            tokio::time::sleep(limit.take(Instant::now())).await;
            at.push(start.elapsed().as_millis());
        }
        assert_eq!(at[3], 0);
        assert!(at[11] >= 2_000, "{at:?}");
        assert!(at.windows(5).skip(4).all(|w| w[4] - w[0] >= 990), "{at:?}");
    }
}
