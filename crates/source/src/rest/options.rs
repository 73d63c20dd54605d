//! What to poll, and how hard.

use std::{sync::Arc, time::Duration};

use market::{Symbol, Tick, TickRules, Timestamp};

use super::{offset::Checkpoint, provider::Provider};
use crate::{WallClock, system_clock};

/// What to poll, and how hard.
#[derive(Clone)]
pub struct RestOptions {
    /// The source's name in batches, `rest:tickcast`.
    pub name: Arc<str>,
    /// The provider.
    pub provider: Provider,
    /// The symbols to ask for. Needed by providers that are asked for one at a time; empty asks the
    /// others for all.
    pub symbols: Vec<Symbol>,
    /// Where to start when the checkpoint says nothing.
    pub since: Timestamp,
    /// Where to go on.
    pub checkpoint: Checkpoint,
    /// Rows at the checkpoint and after it that were handed over already: left out when they come.
    pub taken: Vec<Tick>,
    /// The wait between two polls of a stream that has no more pages.
    pub poll_interval: Duration,
    /// The limit of a request, first byte to last.
    pub timeout: Duration,
    /// Requests per second; `None`: as many as it takes.
    pub requests_per_second: Option<f64>,
    /// The first back-off after a failure.
    pub backoff_base: Duration,
    /// The longest back-off.
    pub backoff_cap: Duration,
    /// Decides the jitter.
    pub seed: u64,
    /// The rules for rows.
    pub rules: TickRules,
    /// The wall clock.
    pub clock: WallClock,
}

impl RestOptions {
    /// The defaults for a provider: poll every 5 ms if it holds the request until there are rows
    /// (`wait_ms`), else every second; 10 s for a request; back-off from 100 ms to 30 s; rows at
    /// most 10 s ahead of the clock.
    pub fn new(name: impl Into<Arc<str>>, provider: Provider, since: Timestamp) -> Self {
        let holds = provider.query.contains_key("wait_ms");
        Self {
            name: name.into(),
            provider,
            symbols: Vec::new(),
            since,
            checkpoint: Checkpoint::new(),
            taken: Vec::new(),
            poll_interval: Duration::from_millis(if holds { 5 } else { 1_000 }),
            timeout: Duration::from_secs(10),
            requests_per_second: None,
            backoff_base: Duration::from_millis(100),
            backoff_cap: Duration::from_secs(30),
            seed: 0,
            rules: TickRules {
                max_ahead_us: 10_000_000,
                ..TickRules::default()
            },
            clock: system_clock(),
        }
    }
}
