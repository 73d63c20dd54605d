//! Estimates, measures and p-values as text. Unlike prices they have no usual size.

use super::record::NAIVE;
use crate::format;

/// An error of prices, to be read beside others: `1.234`, `0.0623`, `0.000012`.
pub fn error_size(value: f64) -> String {
    let decimals = match value.abs() {
        size if size >= 100.0 => 1,
        size if size >= 1.0 => 3,
        size if size >= 0.01 => 4,
        _ => 6,
    };
    format::fixed(value, decimals)
}

/// A number in four significant digits or so: `0.0213`, `−1,234.5`, `1.02e−7`; `–` when there is none.
pub fn estimate(value: Option<f64>) -> String {
    let Some(value) = value.filter(|v| v.is_finite()) else {
        return "–".to_owned();
    };
    let size = value.abs();
    if size > 0.0 && !(1e-4..1e7).contains(&size) {
        return format!("{value:.2e}").replace('-', "−");
    }
    if value == 0.0 {
        return "0".to_owned();
    }
    let before_point = size.max(1e-4).log10().floor() as i32;
    let decimals = (3 - before_point).clamp(0, 7).unsigned_abs();
    format::fixed(value, decimals)
}

/// A measure that has no unit: `1.042`.
pub fn measure(value: Option<f64>) -> String {
    value.map_or_else(|| "–".to_owned(), |v| format::fixed(v, 3))
}

/// A share as a percentage without decimals.
pub fn share(value: Option<f64>) -> String {
    value.map_or_else(|| "–".to_owned(), |v| format::percent(v, 0))
}

/// The skill of a model against naive: `+2.1 %`, and of naive itself `yardstick`.
pub fn skill(model: &str, value: Option<f64>) -> String {
    match value {
        _ if model == NAIVE => "yardstick".to_owned(),
        Some(value) => format::signed_percent(value, 1),
        None => "–".to_owned(),
    }
}

/// A p-value: `0.012`, `< 0.001`.
pub fn p_value(p: Option<f64>) -> String {
    match p {
        None => "–".to_owned(),
        Some(p) if p < 0.001 => "< 0.001".to_owned(),
        Some(p) => format::fixed(p, 3),
    }
}

/// As it stands in a sentence, where it is not to be broken: `p = 0.012`, `p < 0.001`.
pub fn p_in_words(p: f64) -> String {
    if p < 0.001 {
        "p\u{a0}<\u{a0}0.001".to_owned()
    } else {
        format!("p\u{a0}=\u{a0}{}", format::fixed(p, 3))
    }
}

/// A duration: `0.4 ms`, `12 ms`, `3.2 s`.
pub fn duration(seconds: Option<f64>) -> String {
    match seconds {
        None => "–".to_owned(),
        Some(s) if s < 0.01 => format::fixed(s * 1e3, 1) + "\u{a0}ms",
        Some(s) if s < 1.0 => format::fixed(s * 1e3, 0) + "\u{a0}ms",
        Some(s) => format::fixed(s, 1) + "\u{a0}s",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn estimates_keep_four_digits_whatever_their_size() {
        let texts = [0.0, 1.0, -0.02134567, 1234.567, 1.02e-7, 3.5e12].map(|v| estimate(Some(v)));
        assert_eq!(
            texts,
            ["0", "1.000", "−0.02135", "1235", "1.02e−7", "3.50e12"]
        );
        assert_eq!(estimate(Some(f64::NAN)), "–");
        assert_eq!(estimate(None), "–");
    }

    #[test]
    fn a_p_value_is_never_zero() {
        assert_eq!(p_value(Some(1e-9)), "< 0.001");
        assert_eq!(p_in_words(0.0423), "p\u{a0}=\u{a0}0.042");
    }
}
