//! Random numbers that depend on nothing but the seed and a place: any second of the market can be
//! made again without making those before it.
//!
//! ChaCha with 8 rounds, keyed by (seed, purpose, symbol, block); the elementary functions are
//! libm's, which are the same on every platform, so the same seed gives the same bytes everywhere.

use rand_chacha::{
    ChaCha8Rng,
    rand_core::{Rng, SeedableRng},
};

/// What a stream of numbers is for.
#[derive(Clone, Copy, Debug)]
pub enum Purpose {
    /// Daily returns.
    Days = 1,
    /// Returns of the hours of a day.
    Hours = 2,
    /// Returns of the seconds of an hour.
    Seconds = 3,
    /// The trades of a second.
    Trades = 4,
    /// The faults in the rows of a second.
    RowFaults = 5,
    /// The fault of a request.
    RequestFaults = 6,
    /// How a bar of the past stands off the path of the price.
    Bars = 7,
}

/// A stream of random numbers.
pub struct Noise {
    rng: ChaCha8Rng,
    spare: Option<f64>,
}

impl Noise {
    /// The stream of a purpose, symbol and block.
    pub fn new(seed: u64, purpose: Purpose, symbol: u64, block: i64) -> Self {
        let mut key = [0u8; 32];
        key[..8].copy_from_slice(&seed.to_le_bytes());
        key[8..16].copy_from_slice(&(purpose as u64).to_le_bytes());
        key[16..24].copy_from_slice(&symbol.to_le_bytes());
        key[24..].copy_from_slice(&block.to_le_bytes());
        Self {
            rng: ChaCha8Rng::from_seed(key),
            spare: None,
        }
    }

    /// 64 random bits.
    pub fn bits(&mut self) -> u64 {
        self.rng.next_u64()
    }

    /// Uniform in [0, 1).
    pub fn uniform(&mut self) -> f64 {
        // The upper 53 bits fill the mantissa exactly.
        (self.bits() >> 11) as f64 * (1.0 / 9_007_199_254_740_992.0)
    }

    /// Whether an event of this probability happens.
    pub fn happens(&mut self, probability: f64) -> bool {
        self.uniform() < probability
    }

    /// Standard normal, by the polar method (Marsaglia and Bray, SIAM Review 6, 1964).
    pub fn normal(&mut self) -> f64 {
        if let Some(spare) = self.spare.take() {
            return spare;
        }
        loop {
            let (a, b) = (2.0 * self.uniform() - 1.0, 2.0 * self.uniform() - 1.0);
            let s = a * a + b * b;
            if s > 0.0 && s < 1.0 {
                let scale = libm::sqrt(-2.0 * libm::log(s) / s);
                self.spare = Some(b * scale);
                return a * scale;
            }
        }
    }
}
