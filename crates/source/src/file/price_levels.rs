//! Trades of two markets in one file, when no column says so: by their prices alone.
//!
//! Model: trades are looked at in the order of time, each beside the one before it. A price that is half as high
//! again as the last one, or falls as far, is a jump; one back to about where the last jump began is a return.
//! Trades of one instant that lie a jump apart, again and again, are not of one market: an order that takes
//! several prices at once takes them a few steps apart, and a wrong print comes rarely. That is refused. A
//! price that goes back and forth between instants may be a wide spread or wrong prints: that is told.
//!
//! What it does not do: tell markets of similar prices apart. Nothing in the rows does: what could be known of
//! them is a column with the symbol or an id for each trade.

/// So many times as high is far.
pub const FAR: f64 = 1.5;
/// How near to where the last jump began a return ends: the square root of [`FAR`].
const NEAR: f64 = 1.224_744_871;
/// A jump is over more than so many of the smallest steps of the file: a cent is far from two cents.
const STEPS: f64 = 9.5;
/// Fewer than this are chance.
const OFTEN: u64 = 5;
/// Of so many rows one is about an instant with two levels; fewer are wrong prints.
const ROWS_PER_INSTANT: u64 = 1_000;
/// Prices that the next one is held against to find the smallest step.
const RECENT: usize = 4;
/// So many pairs of rows are kept.
const PAIRS: usize = 32;

/// What is seen of the prices of one series, one after the other.
#[derive(Clone, Debug)]
pub struct PriceLevels {
    rows: u64,
    last: Option<Seen>,
    /// Whether the last jump was upwards, and the price that it began at.
    jump: Option<(bool, f64)>,
    returns: u64,
    first_return: (u64, u64),
    /// The last instant with prices a jump apart, how many there were, and rows of the first.
    instant: Option<i64>,
    instants: u64,
    pairs: Vec<(u64, u64)>,
    /// The last prices, and the smallest distance to one of them: markets that take turns are a jump apart
    /// at every row.
    recent: [f64; RECENT],
    smallest_step: f64,
    smallest_jump: f64,
}

#[derive(Clone, Copy, Debug)]
struct Seen {
    instant: i64,
    price: f64,
    row: u64,
}

/// What the prices say.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Trades of two markets: so many instants have prices far apart; rows of the first of them.
    Two {
        /// How many instants.
        instants: u64,
        /// Two rows of each of the first.
        pairs: Vec<(u64, u64)>,
    },
    /// Perhaps: the price has gone far and back so many times, first between these rows.
    Perhaps {
        /// How many times.
        returns: u64,
        /// The rows of the first.
        rows: (u64, u64),
    },
}

impl Default for PriceLevels {
    fn default() -> Self {
        Self {
            rows: 0,
            last: None,
            jump: None,
            returns: 0,
            first_return: (0, 0),
            instant: None,
            instants: 0,
            pairs: Vec::new(),
            recent: [f64::NAN; RECENT],
            smallest_step: f64::INFINITY,
            smallest_jump: f64::INFINITY,
        }
    }
}

impl PriceLevels {
    /// Takes in the next trade: its time in microseconds since the epoch, or any number that is the same for
    /// one instant; its price; its row. What is no price is passed over.
    #[inline]
    pub fn see(&mut self, instant: i64, price: f64, row: u64) {
        if !(price > 0.0 && price.is_finite()) {
            return;
        }
        self.rows += 1;
        let seen = Seen {
            instant,
            price,
            row,
        };
        let Some(last) = self.last.replace(seen) else {
            return;
        };
        if price == last.price {
            return;
        }
        for recent in self.recent {
            let step = (price - recent).abs();
            if step > 0.0 && step < self.smallest_step {
                self.smallest_step = step;
            }
        }
        self.recent.rotate_right(1);
        self.recent[0] = price;
        let (up, down) = (price >= last.price * FAR, last.price >= price * FAR);
        if up || down {
            self.jumped(last, seen, (price - last.price).abs(), up);
        }
    }

    fn jumped(&mut self, last: Seen, seen: Seen, step: f64, up: bool) {
        self.smallest_jump = self.smallest_jump.min(step);
        if last.instant == seen.instant && self.instant != Some(seen.instant) {
            self.instant = Some(seen.instant);
            self.instants += 1;
            if self.pairs.len() < PAIRS {
                self.pairs.push((last.row, seen.row));
            }
        }
        if let Some((was_up, from)) = self.jump
            && was_up != up
            && seen.price <= from * NEAR
            && from <= seen.price * NEAR
        {
            if self.returns == 0 {
                self.first_return = (last.row, seen.row);
            }
            self.returns += 1;
        }
        self.jump = Some((up, last.price));
    }

    /// What they say of all that was seen; nothing for one market.
    pub fn verdict(&self) -> Option<Verdict> {
        if self.smallest_jump < self.smallest_step * STEPS {
            return None;
        }
        if self.instants >= OFTEN && self.instants.saturating_mul(ROWS_PER_INSTANT) >= self.rows {
            return Some(Verdict::Two {
                instants: self.instants,
                pairs: self.pairs.clone(),
            });
        }
        (self.returns >= OFTEN).then_some(Verdict::Perhaps {
            returns: self.returns,
            rows: self.first_return,
        })
    }
}

#[cfg(test)]
mod tests {
    use testing::SplitMix64;

    use super::*;

    /// A walk in steps of a cent, from a price in dollars.
    fn walk(dice: &mut SplitMix64, from: f64) -> impl FnMut() -> f64 + use<> {
        let (mut cents, mut dice) = ((from * 100.0).round(), SplitMix64::new(dice.bits()));
        move || {
            cents += dice.below(3) as f64 - 1.0;
            cents / 100.0
        }
    }

    fn verdict(trades: impl IntoIterator<Item = (i64, f64)>) -> Option<Verdict> {
        let mut levels = PriceLevels::default();
        for (row, (instant, price)) in (0..).zip(trades) {
            levels.see(instant, price, row);
        }
        levels.verdict()
    }

    #[test]
    fn two_markets_with_trades_of_the_same_instants_are_two() {
        let mut dice = SplitMix64::new(1);
        let (mut a, mut b) = (walk(&mut dice, 230.0), walk(&mut dice, 430.0));
        let mut trades = Vec::new();
        for second in 0..200 {
            trades.extend([(second, a()), (second, b())]);
        }
        let found = verdict(trades.clone());
        let Some(Verdict::Two { instants, pairs }) = found else {
            panic!("{found:?}");
        };
        assert_eq!((instants, pairs[0], pairs.len()), (200, (0, 1), PAIRS));
        // Whichever way round they stand.
        trades.reverse();
        assert!(matches!(verdict(trades), Some(Verdict::Two { .. })));
    }

    #[test]
    fn two_markets_that_share_no_instant_are_told() {
        let mut dice = SplitMix64::new(2);
        let (mut a, mut b) = (walk(&mut dice, 3_000.0), walk(&mut dice, 60_000.0));
        let trades = (0..500).map(|n| (n, if dice.below(10) == 0 { b() } else { a() }));
        let found = verdict(trades.collect::<Vec<_>>());
        let Some(Verdict::Perhaps { returns, .. }) = found else {
            panic!("{found:?}");
        };
        assert!((20..=100).contains(&returns), "{returns}");
    }

    #[test]
    fn one_market_is_one_whatever_its_steps_splits_and_wrong_prints() {
        let mut dice = SplitMix64::new(3);
        let mut calm = walk(&mut dice, 50.0);
        assert_eq!(verdict((0..10_000).map(|n| (n / 3, calm()))), None);
        // A tick that is as large as the price itself.
        let cheap = |n: i64| (n / 2, [0.000_1, 0.000_2][(n % 2) as usize]);
        assert_eq!(verdict((0..1_000).map(cheap)), None);
        // A split, and a price that doubles for good.
        let mut high = walk(&mut dice, 400.0);
        let split = (0..2_000).map(|n| (n / 2, if n < 1_000 { high() } else { high() / 4.0 }));
        assert_eq!(verdict(split.collect::<Vec<_>>()), None);
        // Wrong prints, six in twenty thousand rows and of an instant that others have: told, not refused.
        let mut wrong = walk(&mut dice, 50.0);
        let prints = (0..20_000).map(|n| {
            let price = wrong();
            (n / 4, if n % 3_333 == 2 { price / 10.0 } else { price })
        });
        let found = verdict(prints.collect::<Vec<_>>());
        assert!(matches!(found, Some(Verdict::Perhaps { .. })), "{found:?}");
        // What is no price is nothing.
        let none = (0..100).map(|n| (n / 2, [f64::NAN, 0.0, -1.0, f64::INFINITY][n as usize % 4]));
        assert_eq!(verdict(none), None);
    }
}
