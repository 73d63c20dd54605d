//! Is the difference real? Diebold–Mariano and Holm.
//!
//! Model: the loss differential of two models over origins is tested for mean 0 with a long-run
//! variance over the overlap of the forecasts (Diebold & Mariano 1995, J. Bus. Econ. Stat. 13(3)),
//! the small-sample factor and Student-t of Harvey, Leybourne & Newbold (1997), Int. J. Forecasting
//! 13(2). Holm (1979), Scand. J. Stat. 6, corrects when several models are tested at once.
//! Does not: test nested models differently.

use serde::{Deserialize, Serialize};

use crate::distribution::student_t_cdf;

/// The Diebold–Mariano test of equal accuracy.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct DieboldMariano {
    /// The corrected statistic; negative when the first model has the lower loss.
    pub statistic: f64,
    /// Two-sided p-value from Student's t with n − 1 degrees of freedom.
    pub p_value: f64,
    /// Number of origins compared.
    pub origins: usize,
}

/// Tests whether two series of losses over the same origins have the same mean; NaN pairs are left
/// out. `overlap` is h: forecasts that reach h steps ahead (a gap before them included), made at every
/// step, overlap in h − 1 (pass 1 when they do not overlap). None with fewer than three origins, or when the losses never differ.
#[must_use]
pub fn diebold_mariano(first: &[f64], second: &[f64], overlap: usize) -> Option<DieboldMariano> {
    let d: Vec<f64> = first
        .iter()
        .zip(second)
        .map(|(a, b)| a - b)
        .filter(|v| v.is_finite())
        .collect();
    let origins = d.len();
    if origins < 3 {
        return None;
    }
    let n = origins as f64;
    let mean = d.iter().sum::<f64>() / n;
    let covariance = |lag: usize| -> f64 {
        d.iter()
            .zip(&d[lag..])
            .map(|(a, b)| (a - mean) * (b - mean))
            .sum::<f64>()
            / n
    };
    let own = covariance(0);
    if own.is_nan() || own <= 0.0 {
        return None;
    }
    let lags = overlap.clamp(1, origins - 1) - 1;
    let mut variance = own + 2.0 * (1..=lags).map(covariance).sum::<f64>();
    if variance <= 0.0 {
        // The rectangular window can fail; Bartlett's cannot.
        let weight = |lag: usize| 1.0 - lag as f64 / (lags + 1) as f64;
        variance = own
            + 2.0
                * (1..=lags)
                    .map(|lag| weight(lag) * covariance(lag))
                    .sum::<f64>();
    }
    if variance.is_nan() || variance <= 0.0 {
        return None;
    }
    let h = (lags + 1) as f64;
    let factor = ((n + 1.0 - 2.0 * h + h * (h - 1.0) / n) / n)
        .max(0.0)
        .sqrt();
    let statistic = factor * mean / (variance / n).sqrt();
    let p_value = 2.0 * student_t_cdf(-statistic.abs(), n - 1.0);
    Some(DieboldMariano {
        statistic,
        p_value,
        origins,
    })
}

/// Holm's step-down correction of several p-values, in their order.
#[must_use]
pub fn holm(p_values: &[f64]) -> Vec<f64> {
    let mut order: Vec<usize> = (0..p_values.len()).collect();
    order.sort_by(|a, b| p_values[*a].total_cmp(&p_values[*b]));
    let mut corrected = vec![0.0; p_values.len()];
    let mut highest: f64 = 0.0;
    for (rank, index) in order.into_iter().enumerate() {
        highest = highest
            .max((p_values.len() - rank) as f64 * p_values[index])
            .min(1.0);
        corrected[index] = highest;
    }
    corrected
}

#[cfg(test)]
mod tests {
    use super::*;

    // R 4.2.2, forecast 8.20: dm.test(e1, e2, h = 1 and 2, power = 1)
    #[test]
    fn the_statistic_is_that_of_r() {
        let first: [f64; 8] = [1.0, 2.0, 0.5, 1.5, 2.5, 0.3, 1.1, 0.9];
        let second: [f64; 8] = [1.2, 2.5, 0.4, 1.9, 2.2, 0.8, 1.6, 1.3];
        let one = diebold_mariano(&first, &second, 1).unwrap();
        assert!((one.statistic - DM_H1.0).abs() < 1e-6, "{one:?}");
        assert!((one.p_value - DM_H1.1).abs() < 1e-6, "{one:?}");
        let two = diebold_mariano(&first, &second, 2).unwrap();
        assert!((two.statistic - DM_H2.0).abs() < 1e-6, "{two:?}");
        assert!((two.p_value - DM_H2.1).abs() < 1e-6, "{two:?}");
    }

    const DM_H1: (f64, f64) = (-2.4202654833, 0.0460742116);
    const DM_H2: (f64, f64) = (-5.0509797757, 0.0014781950);

    // R 4.2.2: p.adjust(c(0.01, 0.04, 0.03, 0.005), "holm")
    #[test]
    fn holm_is_that_of_r() {
        let got = holm(&[0.01, 0.04, 0.03, 0.005]);
        for (got, want) in got.iter().zip([0.03, 0.06, 0.06, 0.02]) {
            assert!((got - want).abs() < 1e-12);
        }
    }

    #[test]
    fn equal_losses_are_not_tested() {
        assert_eq!(diebold_mariano(&[1.0; 9], &[1.0; 9], 1), None);
    }
}
