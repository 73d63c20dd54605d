//! Numbers that a seed decides: the same on every machine, and in every version of this crate, since tests
//! hold measured shares and fits against them.
//!
//! Does not: serve cryptography or simulation studies.

/// Knuth's linear congruential generator with 64 bits of state (MMIX): state ← 6364136223846793005·state +
/// increment.
///
/// ```
/// use testing::Lcg;
///
/// let walk: Vec<f64> = Lcg::new(5, 3).walk(20.0).take(100).collect();
/// assert!(walk.windows(2).all(|pair| (pair[1] - pair[0]).abs() <= 0.5));
/// ```
#[derive(Debug, Clone)]
pub struct Lcg {
    state: u64,
    increment: u64,
}

impl Lcg {
    /// The increment that Knuth gives.
    pub const MMIX: u64 = 1_442_695_040_888_963_407;

    /// The stream of a seed; `increment` is odd. Neighbouring seeds begin with neighbouring numbers.
    #[must_use]
    pub const fn new(seed: u64, increment: u64) -> Self {
        Self {
            state: seed,
            increment,
        }
    }

    /// The next 64 bits; the low ones are poor.
    pub const fn bits(&mut self) -> u64 {
        self.state = self
            .state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(self.increment);
        self.state
    }

    /// Uniform in [0, 1).
    pub fn unit(&mut self) -> f64 {
        unit(self.bits())
    }

    /// Of mean 0 and variance 1, between −6 and 6: the sum of twelve uniform numbers, near enough to normal
    /// for widths and shares.
    pub fn normal(&mut self) -> f64 {
        sum_of_twelve(|| self.unit())
    }

    /// A random walk from `level`, whose steps are uniform in [−0.5, 0.5); the first value is one step on.
    pub fn walk(mut self, mut level: f64) -> impl Iterator<Item = f64> {
        std::iter::repeat_with(move || {
            level += self.unit() - 0.5;
            level
        })
    }

    /// A number below `bound`, which is not 0, from the high 31 bits.
    pub const fn below(&mut self, bound: u64) -> u64 {
        (self.bits() >> 33) % bound
    }
}

/// `SplitMix64` (Steele, Lea & Flood 2014, OOPSLA): neighbouring seeds give streams that have nothing to do
/// with each other.
///
/// ```
/// use testing::SplitMix64;
///
/// let mut dice = SplitMix64::new(7);
/// assert!((0..100).all(|_| dice.below(6) < 6));
/// ```
#[derive(Debug, Clone)]
pub struct SplitMix64(u64);

impl SplitMix64 {
    /// The stream of a seed.
    #[must_use]
    pub const fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// The next 64 bits.
    pub const fn bits(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// Uniform in [0, 1).
    pub fn unit(&mut self) -> f64 {
        unit(self.bits())
    }

    /// As [`Lcg::normal`].
    pub fn normal(&mut self) -> f64 {
        sum_of_twelve(|| self.unit())
    }

    /// A number below `bound`, which is not 0.
    pub const fn below(&mut self, bound: u64) -> u64 {
        self.bits() % bound
    }
}

/// `n` numbers of [`Lcg::normal`].
///
/// ```
/// assert_eq!(testing::noise(3, 1), testing::noise(9, 1)[..3]);
/// ```
#[must_use]
pub fn noise(n: usize, seed: u64) -> Vec<f64> {
    let mut random = Lcg::new(seed.wrapping_mul(2) + 1, 11);
    std::iter::repeat_with(|| random.normal()).take(n).collect()
}

fn unit(bits: u64) -> f64 {
    (bits >> 11) as f64 / (1_u64 << 53) as f64
}

fn sum_of_twelve(mut uniform: impl FnMut() -> f64) -> f64 {
    (0..12).map(|_| uniform()).sum::<f64>() - 6.0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_generators_are_those_of_their_authors() {
        // The first numbers of Vigna's splitmix64.c with the seed 1234567.
        let mut mixed = SplitMix64::new(1_234_567);
        let first = [mixed.bits(), mixed.bits(), mixed.bits()];
        assert_eq!(
            first,
            [
                6_457_827_717_110_365_317,
                3_203_168_211_198_807_973,
                9_817_491_932_198_370_423
            ]
        );
        let mut congruential = Lcg::new(0, Lcg::MMIX);
        assert_eq!(congruential.bits(), Lcg::MMIX);
        assert_eq!(congruential.bits(), 1_876_011_003_808_476_466);
    }

    #[test]
    fn normal_numbers_have_mean_0_and_variance_1() {
        let (mut congruential, mut mixed) = (Lcg::new(1, 11), SplitMix64::new(1));
        for draw in [
            &mut (|| congruential.normal()) as &mut dyn FnMut() -> f64,
            &mut || mixed.normal(),
        ] {
            let drawn: Vec<f64> = (0..10_000).map(|_| draw()).collect();
            let mean = drawn.iter().sum::<f64>() / 10_000.0;
            let variance = drawn.iter().map(|v| (v - mean) * (v - mean)).sum::<f64>() / 10_000.0;
            assert!(mean.abs() < 0.03, "{mean}");
            assert!((variance - 1.0).abs() < 0.05, "{variance}");
        }
    }
}
