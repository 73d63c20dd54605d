//! Trades of the simulated exchange for any span of time; its bars are in `bars`.

use market::{Symbol, Tick, Timestamp};
use serde::{Deserialize, Serialize};

use super::{
    listing::{LISTINGS, Listing},
    noise::{Noise, Purpose},
    path::{FIRST_SECOND, HOUR, Path, activity},
};
use crate::{Result, SourceError};

/// A trade's sequence is its second since 1970 shifted by this, plus its place in the second: unique
/// over the exchange, in the order of time, and below 2^53 until the year 2242.
pub const SECOND_SHIFT: u32 = 20;

/// Trades fall on either side of the middle price, within so much of it.
pub(super) const HALF_SPREAD: f64 = 2e-4;

/// Mean size of a trade when the market is as busy as on average.
pub(super) const MEAN_SIZE: f64 = 100.0;

/// What to simulate.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct MarketOptions {
    /// Decides every price and trade.
    pub seed: u64,
    /// Trades per second of the wall clock, over all symbols; 1 to 100,000.
    pub trades_per_second: f64,
    /// How many seconds pass on the exchange in one second of the wall clock; 0.1 to 3,600.
    pub speed: f64,
}

impl Default for MarketOptions {
    fn default() -> Self {
        Self {
            seed: 42,
            trades_per_second: 50.0,
            speed: 1.0,
        }
    }
}

impl MarketOptions {
    /// Every fault in the options.
    pub fn faults(&self) -> Vec<SourceError> {
        let mut faults = Vec::new();
        if !(1.0..=100_000.0).contains(&self.trades_per_second) {
            faults.push(SourceError::Config {
                key: "trades_per_second".into(),
                expected: format!("expected 1 to 100000, got {}", self.trades_per_second),
            });
        }
        if !(0.1..=3_600.0).contains(&self.speed) {
            faults.push(SourceError::Config {
                key: "speed".into(),
                expected: format!("expected 0.1 to 3600, got {}", self.speed),
            });
        }
        faults
    }

    /// Trades per second of the exchange's own time.
    pub fn rate(&self) -> f64 {
        self.trades_per_second / self.speed
    }
}

/// A trade, in the exchange's own terms.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Trade {
    /// Index into [`LISTINGS`].
    pub listing: u8,
    /// When.
    pub ts: Timestamp,
    /// The exchange's number of it.
    pub seq: u64,
    /// The price in hundredths.
    pub cents: u32,
    /// Units traded.
    pub size: u32,
}

/// The simulated market: a pure function of its options and of time.
///
/// ```
/// use market::Timestamp;
/// use source::sim::{Market, MarketOptions};
///
/// let mut market = Market::new(MarketOptions::default())?;
/// let from = Timestamp::from_secs(1_764_000_000);
/// let trades = market.trades(from, Timestamp::from_secs(1_764_000_002));
/// assert!(trades.iter().all(|trade| trade.ts >= from && market.tick(trade).price > 0.0));
/// # Ok::<(), source::SourceError>(())
/// ```
#[derive(Debug)]
pub struct Market {
    pub(super) options: MarketOptions,
    pub(super) paths: Vec<Path>,
    symbols: Vec<Symbol>,
    /// For a random byte, the listing that trades: shares of 256.
    pub(super) wheel: [u8; 256],
}

impl Market {
    /// # Errors
    /// An option out of its range.
    pub fn new(options: MarketOptions) -> Result<Self> {
        if let Some(fault) = options.faults().into_iter().next() {
            return Err(fault);
        }
        let symbols = LISTINGS
            .iter()
            .map(|l| l.symbol.parse())
            .collect::<std::result::Result<Vec<Symbol>, _>>()
            .map_err(|e| SourceError::Config {
                key: "listing".into(),
                expected: e.to_string(),
            })?;
        let total: u32 = LISTINGS.iter().map(|l| l.weight).sum();
        let mut wheel = [0u8; 256];
        let mut upto = 0;
        for (i, listing) in (0u8..).zip(LISTINGS) {
            let from = upto * 256 / total;
            upto += listing.weight;
            wheel[from as usize..(upto * 256 / total) as usize].fill(i);
        }
        Ok(Self {
            paths: LISTINGS
                .iter()
                .enumerate()
                .map(|(i, l)| Path::new(options.seed, i, *l))
                .collect(),
            symbols,
            wheel,
            options,
        })
    }

    /// The options it was made with.
    pub const fn options(&self) -> &MarketOptions {
        &self.options
    }

    /// The symbols, in the order of [`LISTINGS`].
    pub fn symbols(&self) -> &[Symbol] {
        &self.symbols
    }

    /// The index of a symbol in [`LISTINGS`].
    pub fn listing_of(&self, symbol: &Symbol) -> Option<usize> {
        self.symbols.iter().position(|s| s == symbol)
    }

    /// How many trades a second of the exchange's time has.
    pub fn trades_in(&self, second: i64) -> u32 {
        if second < FIRST_SECOND {
            return 0;
        }
        // The difference of rounded totals keeps fractional rates exact in the long run.
        let since = (second - FIRST_SECOND) as f64;
        let rate = self.options.rate();
        let n = libm::floor((since + 1.0) * rate) - libm::floor(since * rate);
        n as u32
    }

    /// The trades of one second, `[second, second + 1)`, in the order of time and sequence.
    pub fn second(&mut self, second: i64) -> Vec<Trade> {
        let n = self.trades_in(second);
        if n == 0 {
            return Vec::new();
        }
        let hour = second.div_euclid(HOUR);
        let at = usize::try_from(second.rem_euclid(HOUR)).unwrap_or(0);
        let ends: Vec<(f64, f64)> = self
            .paths
            .iter_mut()
            .map(|p| {
                let path = p.hour(hour);
                (path[at], path[at + 1])
            })
            .collect();
        let busy = activity(second.rem_euclid(86_400) as f64);
        let first_seq = second.unsigned_abs() << SECOND_SHIFT;
        let slot = 1e6 / f64::from(n);
        let mut noise = Noise::new(self.options.seed, Purpose::Trades, 0, second);
        (0..n)
            .map(|i| {
                let (a, b) = (noise.bits(), noise.bits());
                let listing = self.wheel[(a & 0xff) as usize];
                // Three numbers out of the bits of two draws.
                let jitter = ((a >> 8) & 0xff_ffff) as f64 / 16_777_216.0;
                let side = (a >> 32) as f64 / 4_294_967_296.0 - 0.5;
                let u = ((b >> 11) as f64 + 1.0) / 9_007_199_254_740_993.0;
                let offset = (f64::from(i) + jitter) * slot;
                let (from, to) = ends[usize::from(listing)];
                let mid = from + (to - from) * offset / 1e6;
                let price = mid * (1.0 + 2.0 * HALF_SPREAD * side);
                Trade {
                    listing,
                    ts: Timestamp::from_micros(second * 1_000_000 + (offset as i64).min(999_999)),
                    seq: first_seq + u64::from(i),
                    cents: libm::round(price * 100.0).max(1.0) as u32,
                    size: (1.0 - MEAN_SIZE * busy * libm::log(u)).min(1e6) as u32,
                }
            })
            .collect()
    }

    /// A trade as a tick.
    pub fn tick(&self, trade: &Trade) -> Tick {
        Tick {
            symbol: self.symbols[usize::from(trade.listing)].clone(),
            ts: trade.ts,
            seq: trade.seq,
            price: f64::from(trade.cents) / 100.0,
            size: f64::from(trade.size),
        }
    }

    /// The trades of `[from, until)`, in order.
    pub fn trades(&mut self, from: Timestamp, until: Timestamp) -> Vec<Trade> {
        let mut trades = Vec::new();
        let mut second = from.as_secs().max(FIRST_SECOND);
        while Timestamp::from_secs(second) < until {
            trades.extend(
                self.second(second)
                    .into_iter()
                    .filter(|t| t.ts >= from && t.ts < until),
            );
            second += 1;
        }
        trades
    }

    /// The companies.
    pub const fn listings(&self) -> &'static [Listing; 12] {
        &LISTINGS
    }
}
