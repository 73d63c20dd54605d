//! Measures of point forecasts.
//!
//! Model: scaled errors divide by the in-sample error of (seasonal) naive, so that 1 means "as
//! good as naive was on the past". References: Hyndman & Koehler (2006), Int. J. Forecasting
//! 22(4); Makridakis & Hibon (2000) for sMAPE as the M3 competition defined it.
//! Does not: use percentages of actual values other than sMAPE.

/// Mean of `f` over the pairs whose actual value is present; NaN when there is none.
fn average(actual: &[f64], forecast: &[f64], f: impl Fn(f64, f64) -> f64) -> f64 {
    let (sum, n) = actual
        .iter()
        .zip(forecast)
        .filter(|(a, _)| !a.is_nan())
        .fold((0.0, 0usize), |(sum, n), (a, b)| (sum + f(*a, *b), n + 1));
    sum / n as f64
}

/// Mean absolute error, in the units of the series.
///
/// ```
/// assert_eq!(forecast::metrics::mae(&[1.0, f64::NAN, 3.0], &[2.0, 9.0, 3.0]), 0.5);
/// ```
#[must_use]
pub fn mae(actual: &[f64], forecast: &[f64]) -> f64 {
    average(actual, forecast, |a, f| (a - f).abs())
}

/// Root mean squared error, in the units of the series.
///
/// ```
/// assert_eq!(forecast::metrics::rmse(&[1.0, 3.0], &[2.0, 4.0]), 1.0);
/// ```
#[must_use]
pub fn rmse(actual: &[f64], forecast: &[f64]) -> f64 {
    average(actual, forecast, |a, f| (a - f) * (a - f)).sqrt()
}

/// Mean absolute seasonal difference of the training series: the scale of [`mase`].
///
/// NaN when no two observations lie `season` apart; 0 for a constant series.
///
/// ```
/// assert_eq!(forecast::metrics::naive_scale(&[1.0, 3.0, 2.0, 5.0], 1), 2.0);
/// ```
#[must_use]
pub fn naive_scale(train: &[f64], season: usize) -> f64 {
    differences(train, season, f64::abs)
}

/// Mean squared seasonal difference of the training series: the scale of [`rmsse`].
///
/// ```
/// assert_eq!(forecast::metrics::naive_square_scale(&[1.0, 3.0, 5.0], 1), 4.0);
/// ```
#[must_use]
pub fn naive_square_scale(train: &[f64], season: usize) -> f64 {
    differences(train, season, |d| d * d)
}

fn differences(train: &[f64], season: usize, f: impl Fn(f64) -> f64) -> f64 {
    let season = season.max(1).min(train.len());
    let (sum, n) = train
        .iter()
        .zip(&train[season..])
        .map(|(a, b)| b - a)
        .filter(|d| !d.is_nan())
        .fold((0.0, 0usize), |(sum, n), d| (sum + f(d), n + 1));
    sum / n as f64
}

/// Mean absolute scaled error; `scale` is [`naive_scale`] of the training series.
///
/// ```
/// use forecast::metrics::{mase, naive_scale};
/// let scale = naive_scale(&[1.0, 3.0, 5.0], 1);
/// assert_eq!(mase(&[7.0], &[6.0], scale), 0.5);
/// ```
#[must_use]
pub fn mase(actual: &[f64], forecast: &[f64], scale: f64) -> f64 {
    mae(actual, forecast) / scale
}

/// Root mean squared scaled error; `scale` is [`naive_square_scale`] of the training series.
///
/// ```
/// use forecast::metrics::{naive_square_scale, rmsse};
/// let scale = naive_square_scale(&[1.0, 3.0, 5.0], 1);
/// assert_eq!(rmsse(&[7.0], &[6.0], scale), 0.5);
/// ```
#[must_use]
pub fn rmsse(actual: &[f64], forecast: &[f64], scale: f64) -> f64 {
    rmse(actual, forecast) / scale.sqrt()
}

/// Symmetric mean absolute percentage error, 0 to 200, as in the M3 competition:
/// the mean of 200·|a − f| / (|a| + |f|). A pair of zeros counts as 0.
///
/// ```
/// assert_eq!(forecast::metrics::smape(&[1.0], &[0.0]), 200.0);
/// ```
#[must_use]
pub fn smape(actual: &[f64], forecast: &[f64]) -> f64 {
    average(actual, forecast, |a, f| {
        let size = a.abs() + f.abs();
        if size == 0.0 {
            0.0
        } else {
            200.0 * (a - f).abs() / size
        }
    })
}

/// Skill against a reference: 1 − loss/reference. 0 is as good, 1 is perfect, below 0 is worse.
///
/// ```
/// assert_eq!(forecast::metrics::skill(0.9, 1.0), 1.0 - 0.9);
/// ```
#[must_use]
pub fn skill(loss: f64, reference: f64) -> f64 {
    1.0 - loss / reference
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn naive_scores_one_on_its_own_training_steps() {
        let y = [1.0, 3.0, 2.0, 5.0];
        let scale = naive_scale(&y, 1);
        assert_eq!(scale, 2.0);
        assert_eq!(mase(&y[1..], &y[..3], scale), 1.0);
        assert_eq!(rmsse(&y[1..], &y[..3], naive_square_scale(&y, 1)), 1.0);
    }

    #[test]
    fn missing_actual_values_are_left_out() {
        assert_eq!(mae(&[1.0, f64::NAN, 3.0], &[2.0, 9.0, 3.0]), 0.5);
        assert!(mae(&[f64::NAN], &[1.0]).is_nan());
    }

    #[test]
    fn smape_is_at_most_two_hundred() {
        assert_eq!(smape(&[1.0], &[0.0]), 200.0);
        assert_eq!(smape(&[0.0], &[0.0]), 0.0);
        assert!((smape(&[100.0], &[110.0]) - 2000.0 / 210.0).abs() < 1e-12);
    }
}
