//! The `_id`s: texts made of the key, in whose order a symbol's documents lie as the keys do.
//!
//! A time is 16 hexadecimal digits of its microseconds with the sign bit turned, so that times
//! before 1970 sort before those after. A sequence is its hexadecimal digits after a letter for
//! their number (`a` for one, `p` for sixteen), so that 9 sorts before 10 without padding. `|`
//! stands in no symbol.
//!
//! | document | `_id`                                         |
//! |----------|-----------------------------------------------|
//! | tick     | `AAPL\|80060a24181e4000\|a7`                  |
//! | bar      | `AAPL\|1m\|80060a24181e4000`                  |
//! | its part | `AAPL\|1m\|80060a24181e4000\|w12` (the writer) |
//! | forecast | `AAPL\|1m\|80060a24181e4000\|arima(1,1,1)`    |
//! | outcome  | `1234\|3` (the forecast's number, the step)   |

use market::{Interval, Symbol, TickKey, Timestamp};

/// A time as it stands in an `_id`.
fn time(ts: Timestamp) -> String {
    format!("{:016x}", ts.as_micros().cast_unsigned() ^ (1 << 63))
}

/// A tick's `_id`.
pub(super) fn tick(symbol: &Symbol, key: TickKey) -> String {
    let digits = format!("{:x}", key.seq);
    let length = char::from(b'a' + u8::try_from(digits.len() - 1).unwrap_or(0));
    format!("{symbol}|{}|{length}{digits}", time(key.ts))
}

/// The `_id` of a writer's part of a bar. Bars that came as bars are in no writer's part, nor were
/// those of schema version 1: both have the writer 0.
pub(super) fn bar(symbol: &Symbol, interval: Interval, start: Timestamp, writer: i64) -> String {
    let whole = format!("{symbol}|{interval}|{}", time(start));
    match writer {
        0 => whole,
        writer => format!("{whole}|w{writer}"),
    }
}

/// The writer of a bar's part, from its `_id`.
pub(super) fn writer_of_bar(id: &str) -> i64 {
    id.rsplit_once("|w")
        .and_then(|(_, writer)| writer.parse().ok())
        .unwrap_or(0)
}

/// A forecast's `_id`.
pub(super) fn forecast(
    symbol: &Symbol,
    interval: Interval,
    origin: Timestamp,
    model: &str,
) -> String {
    format!("{symbol}|{interval}|{}|{model}", time(origin))
}

/// An outcome's `_id`.
pub(super) fn outcome(forecast_id: i64, step: u32) -> String {
    format!("{forecast_id}|{step}")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn ids_sort_as_the_keys_do(
            a in (any::<i64>(), 0..=i64::MAX.cast_unsigned()),
            b in (any::<i64>(), 0..=i64::MAX.cast_unsigned()),
            near in 0..3_u64,
        ) {
            let symbol: Symbol = "ABC".parse().unwrap();
            let key = |(us, seq): (i64, u64)| TickKey { ts: Timestamp::from_micros(us), seq };
            for (a, b) in [(key(a), key(b)), (key((a.0, a.1)), key((a.0, (a.1 / 16).saturating_add(near))))] {
                let ids = (tick(&symbol, a), tick(&symbol, b));
                prop_assert_eq!(a.cmp(&b), ids.0.cmp(&ids.1));
            }
        }
    }
}
