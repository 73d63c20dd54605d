//! Bars of the simulated exchange's past, made from the path of the price.
//!
//! Model: what the trades of the time would add up to, without making them, which at 100,000 a second
//! would take minutes. Open and close stand off the path as a single trade does, high and low as the
//! outermost of the expected number of trades do, and the volume scatters as a sum of so many sizes.
//! Closes depend on nothing but their second, so bars of all intervals close alike.

use market::{Bar, Interval, Symbol, TickKey, Timestamp};

use super::{
    exchange::{HALF_SPREAD, MEAN_SIZE, Market},
    noise::{Noise, Purpose},
    path::{FIRST_SECOND, HOUR, activity},
};

impl Market {
    /// The bars of one symbol that lie wholly in `[from, until)`, oldest first, at most `limit`: the
    /// latest. Close to what the trades add up to, and far cheaper. Empty for an unknown listing.
    pub fn bars(
        &mut self,
        listing: usize,
        interval: Interval,
        from: Timestamp,
        until: Timestamp,
        limit: usize,
    ) -> Vec<Bar> {
        let Some(symbol) = self.symbols().get(listing).cloned() else {
            return Vec::new();
        };
        let from = from.max(Timestamp::from_secs(FIRST_SECOND));
        let end = interval.start_of(until);
        let span = i64::try_from(limit)
            .unwrap_or(i64::MAX)
            .saturating_mul(interval.micros());
        let earliest = end.plus_micros(-span).max(from);
        let mut start = interval.start_of(earliest);
        if start < earliest {
            start = interval.end_of(start);
        }
        let mut bars = Vec::new();
        while start < end {
            bars.push(self.bar(listing, &symbol, interval, start, interval.end_of(start)));
            start = interval.end_of(start);
        }
        bars
    }

    /// The bars of one symbol over all of `[from, until)`, rounded to whole seconds, oldest first. The first and
    /// the last one may be cut, and cover no more than what is asked for. Empty for an unknown listing.
    pub fn bars_over(
        &mut self,
        listing: usize,
        interval: Interval,
        from: Timestamp,
        until: Timestamp,
    ) -> Vec<Bar> {
        let Some(symbol) = self.symbols().get(listing).cloned() else {
            return Vec::new();
        };
        let until = Timestamp::from_secs(until.as_secs());
        let mut at = Timestamp::from_secs(from.as_secs().max(FIRST_SECOND));
        let mut bars = Vec::new();
        while at < until {
            let end = interval.end_of(interval.start_of(at)).min(until);
            bars.push(self.bar(listing, &symbol, interval, at, end));
            at = end;
        }
        bars
    }

    /// Trades of a listing in a second, on average.
    fn trades_per_second_of(&self, listing: usize) -> f64 {
        let share = self.wheel.iter().filter(|l| usize::from(**l) == listing);
        self.options.rate() * share.count() as f64 / self.wheel.len() as f64
    }

    fn bar(
        &mut self,
        listing: usize,
        symbol: &Symbol,
        interval: Interval,
        from: Timestamp,
        until: Timestamp,
    ) -> Bar {
        let rate = self.trades_per_second_of(listing);
        let (first, end) = (from.as_secs(), until.as_secs());
        let (mut high, mut low) = (f64::MIN, f64::MAX);
        let (mut open, mut close, mut volume) = (None, 0.0, 0.0);
        let mut second = first;
        while second < end {
            let path = self.paths[listing].hour(second.div_euclid(HOUR));
            let at = usize::try_from(second.rem_euclid(HOUR)).unwrap_or(0);
            let n = usize::try_from(end - second)
                .unwrap_or(0)
                .min(HOUR as usize - at);
            for price in &path[at..=at + n] {
                high = high.max(*price);
                low = low.min(*price);
            }
            open = open.or(Some(path[at]));
            close = path[at + n];
            let middle = second as f64 + n as f64 / 2.0;
            volume += n as f64 * rate * MEAN_SIZE * activity(middle.rem_euclid(86_400.0));
            second += n as i64;
        }
        let noise = |second| Noise::new(self.options.seed, Purpose::Bars, listing as u64, second);
        let mut of_first = noise(first);
        let trades = ((end - first) as f64 * rate).max(1.0);
        // The outermost of n uniform numbers in [-1, 1] lie at ±(n − 1)/(n + 1), on average.
        let outermost = HALF_SPREAD * (trades - 1.0) / (trades + 1.0);
        let side = |noise: &mut Noise| HALF_SPREAD * (2.0 * noise.uniform() - 1.0);
        let close = close * (1.0 + side(&mut noise(end - 1)));
        // The first number of a second is its close's, the next its open's.
        let _of_its_close = of_first.bits();
        let open = open.map_or(close, |open| open * (1.0 + side(&mut of_first)));
        // The sum of n exponential sizes, n being Poisson: its variance is twice its mean squared
        // over n.
        let variance = libm::log(1.0 + 2.0 / trades);
        let scatter = libm::exp(libm::sqrt(variance) * of_first.normal() - variance / 2.0);
        let cents = |x: f64| libm::round(x * 100.0).max(1.0) / 100.0;
        Bar {
            symbol: symbol.clone(),
            interval,
            start: interval.start_of(from),
            open: cents(open),
            high: cents((high * (1.0 + outermost)).max(open).max(close)),
            low: cents((low * (1.0 - outermost)).min(open).min(close)),
            close: cents(close),
            volume: libm::round(volume * scatter),
            trades: 0,
            first: TickKey { ts: from, seq: 0 },
            last: TickKey {
                ts: until.plus_micros(-1),
                seq: i64::MAX as u64,
            },
        }
    }
}
