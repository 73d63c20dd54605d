//! Percentages and volumes as text. Prices are written as the charts write them.
//!
//! Whole-number arithmetic: the machinery that formats floating point numbers would be a good part
//! of the page's share of the first wasm download.

/// A number with `decimals` decimals (at most 9), with a true minus sign; `–` when it is not one
/// that can be written so.
pub fn fixed(value: f64, decimals: u32) -> String {
    let unit = 10u64.pow(decimals.min(9));
    let scaled = (value.abs() * unit as f64).round();
    if !scaled.is_finite() || scaled >= 9e15 {
        return "–".to_owned();
    }
    let scaled = scaled as u64;
    // A number that rounds to zero has no sign.
    let sign = if value < 0.0 && scaled > 0 { "−" } else { "" };
    let (whole, rest, width) = (scaled / unit, scaled % unit, decimals.min(9) as usize);
    if width == 0 {
        format!("{sign}{whole}")
    } else {
        format!("{sign}{whole}.{rest:0width$}")
    }
}

/// A share as a percentage: `78 %` of 0.781.
pub fn percent(share: f64, decimals: u32) -> String {
    fixed(share * 100.0, decimals) + "\u{a0}%"
}

/// A share as a percentage with its sign: `+1.25 %` of 0.0125.
pub fn signed_percent(share: f64, decimals: u32) -> String {
    let text = percent(share, decimals);
    let positive = share > 0.0 && text.bytes().any(|b| (b'1'..=b'9').contains(&b));
    if positive { format!("+{text}") } else { text }
}

/// The change from `before` to `now` as a share; `None` without a usable `before`.
pub fn change(now: f64, before: Option<f64>) -> Option<f64> {
    before
        .filter(|b| *b > 0.0 && now.is_finite())
        .map(|b| now / b - 1.0)
}

/// A volume in five characters or so: `950`, `12.3K`, `4.5M`.
pub fn compact(value: f64) -> String {
    for (size, unit) in [(1e9, "B"), (1e6, "M"), (1e3, "K")] {
        if value.abs() >= size {
            return fixed(value / size, 1) + unit;
        }
    }
    fixed(value, if value.fract() == 0.0 { 0 } else { 2 })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_rounds_to_zero_has_no_sign() {
        assert_eq!(fixed(-0.001, 2), "0.00");
        assert_eq!(signed_percent(0.000_001, 2), "0.00\u{a0}%");
        assert_eq!(signed_percent(0.0125, 2), "+1.25\u{a0}%");
        assert_eq!(signed_percent(-0.0125, 1), "−1.3\u{a0}%");
    }

    #[test]
    fn what_is_no_number_is_a_dash() {
        assert_eq!(fixed(f64::NAN, 2), "–");
        assert_eq!(fixed(1e300, 2), "–");
    }

    #[test]
    fn volumes_are_short() {
        assert_eq!(compact(950.0), "950");
        assert_eq!(compact(12_345.0), "12.3K");
        assert_eq!(compact(4_500_000.0), "4.5M");
    }

    #[test]
    fn a_change_needs_a_price_before() {
        assert_eq!(change(110.0, Some(0.0)), None);
        assert_eq!(change(110.0, None), None);
        assert!((change(110.0, Some(100.0)).unwrap() - 0.1).abs() < 1e-12);
    }
}
