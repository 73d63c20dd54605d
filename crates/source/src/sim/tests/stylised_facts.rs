//! What the made-up market shares with real ones (Cont, Quantitative Finance 1, 2001): volatility
//! that changes, jumps, and volume that is high when a session opens and closes.
//!
//! Returns are those of the price path. The trades stand off it by the spread, which within a second
//! is larger than the path's own move.

use super::*;
use crate::sim::path::HOUR;

/// Log returns of every second of one session, hour by hour, of every listing.
fn hours_of_returns() -> Vec<Vec<f64>> {
    let mut market = Market::new(options(1.0)).unwrap();
    let first = START / HOUR;
    let mut hours = Vec::new();
    for path in &mut market.paths {
        for hour in first..first + 6 {
            let prices = path.hour(hour);
            hours.push(prices.windows(2).map(|p| (p[1] / p[0]).ln()).collect());
        }
    }
    hours
}

fn mean(values: impl ExactSizeIterator<Item = f64>) -> f64 {
    let n = values.len() as f64;
    values.sum::<f64>() / n
}

/// The autocorrelation at lag 1.
fn autocorrelation(series: &[f64]) -> f64 {
    let middle = mean(series.iter().copied());
    let with_next = series.windows(2).map(|x| (x[0] - middle) * (x[1] - middle));
    let with_itself = series.iter().map(|x| (x - middle) * (x - middle));
    with_next.sum::<f64>() / with_itself.sum::<f64>()
}

#[test]
fn a_large_move_is_followed_by_large_moves() {
    // Within each hour, so that busy and quiet hours do not count.
    let of_hours: Vec<f64> = hours_of_returns()
        .iter()
        .map(|returns| autocorrelation(&returns.iter().map(|r| r * r).collect::<Vec<_>>()))
        .collect();
    let found = mean(of_hours.iter().copied());
    // Measured: 0.072. Gaussian returns of constant volatility give 0, with a standard error of
    // 0.002 over these 259,200 seconds.
    assert!(found > 0.03, "{found}");
}

#[test]
fn now_and_then_a_price_jumps() {
    // By the volatility of the minute before: that volatility changes makes no jump.
    let is_jump = |returns: &&[f64]| {
        let (last, before) = returns.split_last().unwrap();
        let variance = mean(before.iter().map(|r| r * r));
        last.abs() > 8.0 * variance.sqrt()
    };
    let jumps: usize = hours_of_returns()
        .iter()
        .map(|returns| returns.windows(61).filter(is_jump).count())
        .sum();
    // Measured: 52. Of as many Gaussian returns of constant volatility fewer than one in ten
    // thousand such samples holds even one.
    assert!(jumps > 20, "{jumps}");
}

#[test]
fn more_is_traded_when_a_session_opens_and_closes_than_in_its_middle() {
    let mut market = Market::new(options(50.0)).unwrap();
    let mut volume = |from: i64| -> f64 {
        let (from, until) = (Timestamp::from_secs(from), Timestamp::from_secs(from + 300));
        let trades = market.trades(from, until);
        trades.iter().map(|t| f64::from(t.size)).sum()
    };
    let day = START - START % (24 * HOUR);
    for session in 0..4 {
        let opens = day + session * 6 * HOUR;
        let middle = volume(opens + 3 * HOUR - 150);
        // Measured: 2.9 times, for each of the eight. A flat market gives 1, within a hundredth or two.
        for edge in [volume(opens), volume(opens + 6 * HOUR - 300)] {
            assert!(edge > 2.0 * middle, "session {session}: {edge} {middle}");
        }
    }
}
