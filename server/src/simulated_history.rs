//! The past of the simulated exchange, so that the first page is not empty and a restart leaves no
//! hole: bars from what is stored (at most as far back as configured) up to where the trades begin.
//!
//! The exchange's prices are a function of its seed and of time, so these are the bars of the same
//! path that the trades go on from. Minutes are made, the last ones of the seconds that are shown too; every
//! longer bar is the fold of its minutes. A bar in which the trades begin covers the time before them, and the
//! store merges them in ([`market::Bar`] has the rule); one in which they ended before a stop is taken as it
//! stood then. What it does not do: make ticks of the past.

use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
};

use market::{Bar, Interval, Symbol, TickKey, Timestamp};
use pipeline::Pipeline;
use source::sim::Market;
use store::{BarQuery, PriceReader};
use tracing::{info, warn};

use crate::{config::Config, wiring};

/// Bars per symbol and interval at most.
const MOST_BARS: usize = 3_000;

/// So much is told by the second.
const SECONDS: i64 = 600;

/// Daily bars of the first start.
const DAYS: i64 = 60;

/// What is not stored yet.
pub struct Missing {
    /// Where the trades begin, on a whole second.
    until: Timestamp,
    stored: BTreeMap<Symbol, Stored>,
}

/// Where the prices of a symbol end, and the bars of that moment, which may go on.
#[derive(Clone, Default)]
struct Stored {
    last: Timestamp,
    open: HashMap<Interval, Bar>,
}

impl Missing {
    /// What is missing before `until`, by what is `stored`; to be asked before anything new comes in.
    ///
    /// # Errors
    /// The store's.
    pub async fn until(until: Timestamp, stored: Option<&dyn PriceReader>) -> store::Result<Self> {
        let mut missing = Self {
            until,
            stored: BTreeMap::new(),
        };
        let Some(prices) = stored else {
            return Ok(missing);
        };
        let mut queries = Vec::new();
        for instrument in prices.instruments().await? {
            let (symbol, last) = (instrument.symbol, instrument.last);
            queries.extend(instrument.intervals.into_iter().map(|interval| {
                let start = interval.start_of(last);
                BarQuery {
                    symbol: symbol.clone(),
                    interval,
                    from: start,
                    until: start.plus_micros(1),
                    limit: 1,
                }
            }));
            let stored = Stored {
                last,
                open: HashMap::new(),
            };
            missing.stored.insert(symbol, stored);
        }
        for bar in prices.bars_of(&queries).await?.into_iter().flatten() {
            if let Some(stored) = missing.stored.get_mut(&bar.symbol) {
                stored.open.insert(bar.interval, bar);
            }
        }
        Ok(missing)
    }
}

/// Fills the past in the background: the web server need not wait for it.
pub fn backfill(config: &Config, missing: Missing, pipeline: &Arc<Pipeline>) {
    let back = i64::try_from(config.simulate.history.as_micros()).unwrap_or(i64::MAX);
    let options = wiring::market_options(config);
    let pipeline = Arc::clone(pipeline);
    tokio::spawn(async move {
        let mut market = match Market::new(options) {
            Ok(market) => market,
            Err(e) => return warn!("no history of the simulated exchange: {e}"),
        };
        let missing = Arc::new(missing);
        let mut count = 0;
        // What the first page shows, before the days that take longest.
        for part in [Part::Short, Part::Days] {
            for listing in 0..market.symbols().len() {
                let missing = Arc::clone(&missing);
                let made = tokio::task::spawn_blocking(move || {
                    let bars = made(&mut market, listing, &missing, back, part);
                    (market, bars)
                });
                let bars = match made.await {
                    Ok((given_back, bars)) => {
                        market = given_back;
                        bars
                    }
                    Err(e) => return warn!("no history of the simulated exchange: {e}"),
                };
                match pipeline.sink.write_history_bars(bars).await {
                    Ok(written) => count += written,
                    Err(e) => return warn!("no history of the simulated exchange: {e}"),
                }
            }
        }
        info!("{count} bars of the simulated exchange's past are stored");
    });
}

/// What is made at once.
#[derive(Clone, Copy, PartialEq)]
enum Part {
    /// The bars of all intervals over the history that is asked for.
    Short,
    /// The days before it, at the first start.
    Days,
}

fn made(market: &mut Market, listing: usize, missing: &Missing, back: i64, part: Part) -> Vec<Bar> {
    let until = missing.until;
    let earliest = until.plus_micros(-back);
    let Some(symbol) = market.symbols().get(listing) else {
        return Vec::new();
    };
    let stored = missing.stored.get(symbol).cloned();
    // Whole days, so that the longest bars are the fold of all of their minutes too.
    let first_day = Interval::D1.start_of(earliest);
    if part == Part::Days {
        if stored.is_some() {
            return Vec::new();
        }
        let from = until.plus_micros(-DAYS * Interval::D1.micros());
        return market.bars(listing, Interval::D1, from, first_day, MOST_BARS);
    }
    let (from, stored) = match stored {
        // The rest of the second that the last trade was in is not told of.
        Some(stored) if stored.last >= earliest => {
            let next = Interval::S1.end_of(Interval::S1.start_of(stored.last));
            (next, stored)
        }
        _ => (first_day, Stored::default()),
    };
    if from >= until {
        return Vec::new();
    }
    let shown = until.plus_micros(-SECONDS * 1_000_000);
    let by_second = Interval::M1.start_of(shown).max(from);
    let seconds = market.bars_over(listing, Interval::S1, by_second, until);
    let mut minutes = market.bars_over(listing, Interval::M1, from, by_second);
    minutes.extend(folded(&seconds, Interval::M1));
    let minutes = joined(minutes);
    let mut bars = seconds;
    for interval in Interval::ALL.into_iter().skip(1) {
        let mut longer = folded(&minutes, interval);
        if let (Some(first), Some(open)) = (longer.first_mut(), stored.open.get(&interval))
            && first.start == open.start
        {
            *first = went_on(open, first);
        }
        longer.retain(|bar| bar.start >= Interval::D1.start_of(earliest));
        let kept = longer
            .iter()
            .filter(|bar| bar.end() > earliest || interval == Interval::D1);
        let kept: Vec<Bar> = kept.cloned().collect();
        bars.extend_from_slice(&kept[kept.len().saturating_sub(MOST_BARS)..]);
    }
    bars
}

/// Longer bars of shorter ones that follow each other. Each covers what they cover.
fn folded(shorter: &[Bar], interval: Interval) -> Vec<Bar> {
    let mut longer: Vec<Bar> = Vec::new();
    for bar in shorter {
        let start = interval.start_of(bar.start);
        match longer.last_mut().filter(|last| last.start == start) {
            Some(last) => last.merge(bar),
            None => longer.push(Bar {
                interval,
                start,
                ..bar.clone()
            }),
        }
    }
    longer
}

/// Two parts of one minute, where what is made of seconds begins, as one bar.
fn joined(minutes: Vec<Bar>) -> Vec<Bar> {
    folded(&minutes, Interval::M1)
}

/// A bar as it stood at a stop, and what came after: it covers all of that from its start.
fn went_on(stood: &Bar, after: &Bar) -> Bar {
    let mut whole = stood.clone();
    whole.merge(after);
    Bar {
        trades: 0,
        first: TickKey {
            ts: whole.start,
            seq: 0,
        },
        last: after.last,
        ..whole
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOURS: i64 = 3_600_000_000;

    fn market() -> Market {
        Market::new(source::sim::MarketOptions::default()).unwrap()
    }

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    fn of(bars: &[Bar], interval: Interval) -> Vec<Bar> {
        bars.iter()
            .filter(|b| b.interval == interval)
            .cloned()
            .collect()
    }

    fn fresh(until: Timestamp) -> Missing {
        Missing {
            until,
            stored: BTreeMap::new(),
        }
    }

    fn numbers(bar: &Bar) -> (Timestamp, [f64; 5]) {
        (
            bar.start,
            [bar.open, bar.high, bar.low, bar.close, bar.volume],
        )
    }

    #[test]
    fn at_a_fresh_start_every_longer_bar_is_the_fold_of_its_minutes_those_that_are_open_too() {
        for until in [
            "2026-11-27T10:23:42Z",
            "2026-11-27T00:00:01Z",
            "2026-11-27T12:00:00Z",
        ] {
            let until = at(until);
            let mut market = market();
            let bars = made(&mut market, 0, &fresh(until), 30 * HOURS, Part::Short);
            let minutes = of(&bars, Interval::M1);
            let first = minutes[0].start;
            assert!(until.micros_since(first) >= 30 * HOURS);
            for interval in [Interval::M5, Interval::M15, Interval::H1, Interval::D1] {
                let expected: Vec<_> = folded(&minutes, interval)
                    .iter()
                    // The first may have minutes from before the history that is kept.
                    .filter(|bar| bar.start >= first)
                    .map(numbers)
                    .collect();
                let longer = of(&bars, interval);
                let longer: Vec<_> = longer
                    .iter()
                    .filter(|bar| bar.start >= first)
                    .map(numbers)
                    .collect();
                assert!(!expected.is_empty());
                assert_eq!(longer, expected, "{interval}");
            }
            // The last minutes are those of the seconds, and all of them end where the trades begin.
            let seconds = of(&bars, Interval::S1);
            assert_eq!(seconds.last().unwrap().end(), until);
            let by_second: Vec<_> = folded(&seconds, Interval::M1).iter().map(numbers).collect();
            let last: Vec<_> = minutes.iter().map(numbers).collect();
            assert!(last.ends_with(&by_second));
            for interval in Interval::ALL {
                let last = of(&bars, interval).pop().unwrap();
                assert_eq!(last.last.ts, until.plus_micros(-1), "{interval}");
            }
            // Days before it join on without one twice.
            let days = made(&mut market, 0, &fresh(until), 30 * HOURS, Part::Days);
            assert!(days.last().unwrap().end() == of(&bars, Interval::D1)[0].start);
        }
    }

    #[test]
    fn after_a_stop_bars_go_on_from_what_they_were() {
        let (stop, until) = (at("2026-11-27T10:10:30.5Z"), at("2026-11-27T10:40:00Z"));
        let mut market = market();
        let symbol = market.symbols()[0].clone();
        let tick = market::Tick {
            symbol: symbol.clone(),
            ts: stop,
            seq: 7,
            price: 1.0,
            size: 1_000_000.0,
        };
        let open = Interval::ALL.map(|i| (i, Bar::from_tick(&tick, i)));
        let stored = Stored {
            last: stop,
            open: open.into_iter().collect(),
        };
        let missing = Missing {
            until,
            stored: BTreeMap::from([(symbol, stored)]),
        };
        let bars = made(&mut market, 0, &missing, 30 * HOURS, Part::Short);
        let minutes = of(&bars, Interval::M1);
        let hour = of(&bars, Interval::H1).pop().unwrap();
        assert_eq!(hour.open, 1.0);
        assert_eq!(numbers(&hour), numbers(&folded(&minutes, Interval::H1)[0]));
        assert!(hour.volume > 1_000_000.0);
        assert_eq!(
            (hour.first.ts, hour.last.ts),
            (hour.start, until.plus_micros(-1))
        );
        assert!(hour.covers(tick.key()));
        // Nothing is missing after a short stop, whose trades come again.
        let short = Missing {
            until: at("2026-11-27T10:10:20Z"),
            ..missing
        };
        assert_eq!(made(&mut market, 0, &short, 30 * HOURS, Part::Short), []);
        assert_eq!(made(&mut market, 0, &short, 30 * HOURS, Part::Days), []);
    }
}
