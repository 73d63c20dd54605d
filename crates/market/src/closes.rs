//! The closes of bars as a model sees them: equally spaced.

use crate::{Bar, Interval, Timestamp};

/// Buckets without a trade in a row that carry the last close forward, where nothing else is configured.
pub const MAX_CARRIED_BARS: usize = 120;

/// The closes of bars, oldest first, equally spaced: the last `window` of them, each with the start of
/// its bar or of its empty bucket. An intraday bucket without a bar carries the close before it
/// forward, at most `max_carried` in a row; a longer gap is a closed market and leaves none. Days are
/// taken as they are.
pub fn timed_closes(
    bars: &[Bar],
    interval: Interval,
    window: usize,
    max_carried: usize,
) -> (Vec<Timestamp>, Vec<f64>) {
    let mut starts = Vec::with_capacity(bars.len());
    let mut closes = Vec::with_capacity(bars.len());
    let mut before: Option<&Bar> = None;
    for bar in bars {
        if let (Some(before), false) = (before, interval == Interval::D1) {
            let buckets = bar.start.micros_since(before.start) / interval.micros();
            let carried = usize::try_from(buckets - 1).unwrap_or(0);
            if carried <= max_carried {
                closes.extend(std::iter::repeat_n(before.close, carried));
                let bucket = |n| before.start.plus_micros(interval.micros() * n);
                starts.extend((1..buckets).map(bucket));
            }
        }
        closes.push(bar.close);
        starts.push(bar.start);
        before = Some(bar);
    }
    let first = closes.len().saturating_sub(window);
    (starts.split_off(first), closes.split_off(first))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bar(interval: Interval, start_s: i64, close: f64) -> Bar {
        let tick = crate::Tick {
            symbol: "ABC".parse().unwrap(),
            ts: Timestamp::from_secs(start_s),
            seq: 1,
            price: close,
            size: 1.0,
        };
        Bar::from_tick(&tick, interval)
    }

    #[test]
    fn minutes_without_a_trade_carry_the_last_close_forward() {
        let m1 = |s, c| bar(Interval::M1, s, c);
        let bars = [m1(0, 1.0), m1(60, 2.0), m1(240, 3.0)];
        let closes =
            |bars: &[Bar], interval, window, most| timed_closes(bars, interval, window, most).1;
        assert_eq!(closes(&bars, Interval::M1, 9, 9), [1.0, 2.0, 2.0, 2.0, 3.0]);
        assert_eq!(closes(&bars, Interval::M1, 2, 9), [2.0, 3.0]);
        assert_eq!(closes(&bars, Interval::M1, 9, 1), [1.0, 2.0, 3.0]);
    }

    #[test]
    fn a_carried_close_has_the_start_of_its_bucket() {
        let m1 = |s, c| bar(Interval::M1, s, c);
        let bars = [m1(0, 1.0), m1(180, 2.0)];
        let (starts, closes) = timed_closes(&bars, Interval::M1, 3, 9);
        let seconds: Vec<i64> = starts.iter().map(|t| t.as_secs()).collect();
        assert_eq!((seconds, closes), (vec![60, 120, 180], vec![1.0, 1.0, 2.0]));
    }

    #[test]
    fn days_are_taken_as_they_are() {
        let d1 = |day: i64, c| bar(Interval::D1, day * 86_400, c);
        let bars = [d1(1, 1.0), d1(4, 2.0)];
        assert_eq!(timed_closes(&bars, Interval::D1, 9, 9).1, [1.0, 2.0]);
    }
}
