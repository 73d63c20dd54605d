//! Numbers on axes: round steps, and texts with the right number of decimals.
//!
//! The texts are made with integer arithmetic where it is exact: the formatting machinery of
//! floating point numbers would be a good part of the crate's share of the wasm bundle.

/// Whether a value can be drawn: finite, and small enough that a difference of two is.
pub(crate) fn usable(value: f64) -> bool {
    value.abs() < 1e100
}

/// 10 to the power of `exponent`.
fn pow10(exponent: i32) -> f64 {
    10f64.powi(exponent)
}

/// The exponent of the leading digit: 0 for 1 to 9.99, -1 for 0.1.
fn magnitude(value: f64) -> i32 {
    let size = value.abs();
    if size > 0.0 && usable(value) {
        size.log10().floor() as i32
    } else {
        0
    }
}

/// A value with a fixed number of decimals; scientific where that would be too long to read.
pub(crate) fn fixed(value: f64, decimals: u32) -> String {
    if !usable(value) {
        return "–".into();
    }
    let scaled = (value.abs() * pow10(decimals.min(300) as i32)).round();
    if decimals > 12 || scaled >= 9e15 {
        return scientific(value);
    }
    let scaled = scaled as u64;
    let unit = 10u64.pow(decimals);
    let sign = if value < 0.0 && scaled > 0 { "−" } else { "" };
    if decimals == 0 {
        return format!("{sign}{scaled}");
    }
    let (whole, fraction) = (scaled / unit, scaled % unit);
    let width = decimals as usize;
    format!("{sign}{whole}.{fraction:0width$}")
}

fn scientific(value: f64) -> String {
    if value == 0.0 {
        return "0".into();
    }
    let mut exponent = magnitude(value);
    // Two divisions, because 10^-exponent overflows for the smallest numbers.
    let half = exponent / 2;
    let mut hundredths = (value.abs() / pow10(half) / pow10(exponent - half) * 100.0).round();
    if hundredths >= 1000.0 {
        hundredths /= 10.0;
        exponent += 1;
    }
    let hundredths = hundredths as u64;
    let sign = if value < 0.0 { "−" } else { "" };
    format!(
        "{sign}{}.{:02}e{exponent}",
        hundredths / 100,
        hundredths % 100
    )
}

/// The decimals that a price of unknown step is usually read with: 2 from 1 up, none from 100,000 up, and
/// five significant digits below 1.
fn usual_decimals(price: f64) -> u32 {
    let size = price.abs();
    if size >= 100_000.0 {
        0
    } else if size >= 1.0 || size == 0.0 {
        2
    } else {
        (4 - magnitude(price)).clamp(2, 13).unsigned_abs()
    }
}

/// Prices with more significant digits than this are computed (adjusted for dividends, a mean), and say
/// nothing about the step that they are quoted in.
const QUOTED_DIGITS: i32 = 8;

/// The decimals of a price as it is quoted; `None` of one that is computed. Hundredths are quoted of prices
/// of any size.
fn quoted_decimals(price: f64) -> Option<u32> {
    let most = (QUOTED_DIGITS - 1 - magnitude(price)).clamp(2, 12);
    (0..=most).find_map(|decimals| {
        let scaled = price.abs() * pow10(decimals);
        // A decimal fraction lies within rounding of its double.
        let exact = (scaled - scaled.round()).abs() <= scaled * 1e-12;
        exact.then(|| decimals.unsigned_abs())
    })
}

/// The decimals that prices of a symbol are written with: those of the smallest step seen in `prices`, some
/// recent ones of it; EURUSD 1.08698, AAPL 264.58, BTC 64123.5, a share at 0.0004. Below 1,000 at least two,
/// as money is read. Where all prices are computed, or there are none, as many as is usual for their size.
pub fn price_decimals(prices: impl IntoIterator<Item = f64>) -> u32 {
    let (mut step, mut greatest) = (None, 0.0f64);
    for price in prices {
        if usable(price) && price != 0.0 {
            greatest = greatest.max(price.abs());
            step = step.max(quoted_decimals(price));
        }
    }
    match step {
        Some(decimals) if greatest < 1_000.0 => decimals.max(2),
        Some(decimals) => decimals,
        None => usual_decimals(greatest),
    }
}

/// A price with the decimals of its symbol, see [`price_decimals`].
pub fn format_price(price: f64, decimals: u32) -> String {
    fixed(price, decimals)
}

/// A number that is as large as a price and is none, such as an error: `173.10`, `0.50000`, `1250000`.
pub(crate) fn format_size(value: f64) -> String {
    fixed(value, usual_decimals(value))
}

/// A large number in three digits or so: `950`, `1.2K`, `35M`.
pub(crate) fn compact(value: f64) -> String {
    let size = value.abs();
    for (unit, name) in [(1e12, "T"), (1e9, "B"), (1e6, "M"), (1e3, "K")] {
        if size >= unit * 0.9995 {
            let scaled = value / unit;
            let decimals = u32::from(scaled.abs() < 9.95);
            return fixed(scaled, decimals) + name;
        }
    }
    fixed(value, if size >= 9.95 || size == 0.0 { 0 } else { 2 })
}

/// A level in percent without needless decimals: `80`, `97.5`.
pub(crate) fn level(percent: f64) -> String {
    let whole = (percent - percent.round()).abs() < 1e-9;
    fixed(percent, if whole { 0 } else { 1 })
}

/// The round values of an axis, and the decimals that tell them apart.
pub(crate) struct Ticks {
    pub values: Vec<f64>,
    pub decimals: u32,
}

/// At most about `most` round values from `low` to `high`.
pub(crate) fn ticks(low: f64, high: f64, most: usize) -> Ticks {
    let raw = (high - low) / most.max(1) as f64;
    if !(raw > 0.0 && usable(raw)) {
        return Ticks {
            values: Vec::new(),
            decimals: 0,
        };
    }
    let exponent = magnitude(raw);
    let base = pow10(exponent);
    let (factor, exponent) = match raw / base {
        // The nearest round step, by ratio: at most 1.5 times as many values as asked for.
        m if m <= 1.4 => (1.0, exponent),
        m if m <= 3.0 => (2.0, exponent),
        m if m <= 7.0 => (5.0, exponent),
        _ => (1.0, exponent + 1),
    };
    let step = factor * pow10(exponent);
    let first = (low / step).ceil();
    let count = ((high / step).floor() - first).clamp(-1.0, 60.0);
    let values = (0..)
        .map(f64::from)
        .take_while(|i| *i <= count)
        .map(|i| (first + i) * step)
        .collect();
    Ticks {
        values,
        decimals: (-exponent).max(0).unsigned_abs(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prices_of_every_size_are_readable() {
        for (price, text) in [
            (173.1, "173.10"),
            (0.5, "0.50000"),
            (1.2345e-6, "0.0000012345"),
            (1_250_000.4, "1250000"),
            (1e9, "1000000000"),
            (0.0, "0.00"),
            (-3.456, "−3.46"),
            (1e-30, "1.00e-30"),
            (9.999e20, "1.00e21"),
            (f64::NAN, "–"),
        ] {
            assert_eq!(format_size(price), text);
        }
    }

    #[test]
    fn prices_are_written_with_the_decimals_of_their_step() {
        let shown = |prices: &[f64]| -> Vec<String> {
            let decimals = price_decimals(prices.iter().copied());
            prices.iter().map(|p| format_price(*p, decimals)).collect()
        };
        for (prices, texts) in [
            // EURUSD: the last digit may be zero.
            (
                &[1.08698, 1.087, 1.08][..],
                &["1.08698", "1.08700", "1.08000"][..],
            ),
            (&[264.58, 264.5, 264.0], &["264.58", "264.50", "264.00"]),
            // BTC in halves, and in cents.
            (&[64_123.5, 64_124.0], &["64123.5", "64124.0"]),
            (&[64_123.57], &["64123.57"]),
            // A penny stock, a coin of many zeros, a share in whole yen.
            (&[0.0004, 0.0005], &["0.0004", "0.0005"]),
            (&[0.000_012_34], &["0.00001234"]),
            (&[2_500.0, 2_501.0], &["2500", "2501"]),
            (&[0.5], &["0.50"]),
            (&[12.5], &["12.50"]),
            (&[151.234, 151.23], &["151.234", "151.230"]),
            // One computed price among quoted ones, and nothing but computed ones.
            (&[179.401_234_567_8, 179.45], &["179.40", "179.45"]),
            (&[179.401_234_567_8, 0.1 + 0.2], &["179.40", "0.30"]),
            (&[1.0 / 3.0], &["0.33333"]),
            (&[f64::NAN, 0.0], &["–", "0.00"]),
            (&[1_250_000.25], &["1250000.25"]),
        ] {
            assert_eq!(shown(prices), texts, "{prices:?}");
        }
        assert_eq!(price_decimals([]), 2);
    }

    #[test]
    fn volumes_are_short() {
        for (volume, text) in [
            (0.0, "0"),
            (0.25, "0.25"),
            (950.0, "950"),
            (1_234.0, "1.2K"),
            (35_000_000.0, "35M"),
            (999_900.0, "1.0M"),
        ] {
            assert_eq!(compact(volume), text);
        }
    }

    #[test]
    fn ticks_are_round_and_inside() {
        let t = ticks(98.7, 104.2, 6);
        assert_eq!(t.values, [99.0, 100.0, 101.0, 102.0, 103.0, 104.0]);
        assert_eq!(t.decimals, 0);
        let t = ticks(1.0e-6, 1.4e-6, 5);
        assert_eq!(t.values.len(), 5);
        assert_eq!(t.decimals, 7);
        assert!(ticks(1.0, 1.0, 5).values.is_empty());
        assert!(ticks(0.0, f64::INFINITY, 5).values.is_empty());
    }
}
