//! How large a series is; missing values are NaN.

/// Whether all values that are present are one.
pub(crate) fn is_flat(x: &[f64]) -> bool {
    let mut present = x.iter().filter(|v| !v.is_nan());
    let first = present.next();
    present.all(|v| Some(v) == first)
}

/// √(Σx²/n) of the values that are present, without over- or underflow; 0 when all are 0, NaN when
/// there are none and something was expected.
pub(crate) fn root_mean_square(x: &[f64]) -> f64 {
    let largest = x
        .iter()
        .filter(|v| !v.is_nan())
        .fold(0.0, |a: f64, v| a.max(v.abs()));
    if largest == 0.0 {
        return 0.0;
    }
    let (sum, n) = x
        .iter()
        .filter(|v| !v.is_nan())
        .fold((0.0, 0usize), |(sum, n), v| {
            (sum + (v / largest) * (v / largest), n + 1)
        });
    largest * (sum / n as f64).sqrt()
}
