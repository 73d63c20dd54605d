//! Updates, straight lines and seasons.

use super::*;
use crate::model::FittedModel;

/// What the method forecasts after `y` with the parameters that `fitted` found in its first values: the
/// level as a weighted sum and the line by least squares, instead of by their recursions. Equation 12 of
/// Fiorucci et al. (2016).
fn refitted(fitted: &FittedTheta, first: usize, y: &[f64]) -> f64 {
    let (alpha, kept) = (fitted.alpha, 1.0 - fitted.alpha);
    let mut adjusted: Vec<f64> = (0..first)
        .map(|t| fitted.adjusted(t, y[t] / fitted.scale))
        .collect();
    let mut next = 0.0;
    for t in first..=y.len() {
        let later = adjusted[first..].iter().rev();
        let weighted = later
            .enumerate()
            .map(|(k, v)| alpha * kept.powi(k as i32) * v);
        let level = kept.powi((t - first) as i32) * fitted.memory.level + weighted.sum::<f64>();
        let (intercept, slope) = match fitted.kind {
            ThetaKind::Standard => (fitted.memory.intercept, fitted.memory.slope),
            ThetaKind::Optimised => line(&adjusted),
        };
        let faded = kept.powi(t as i32);
        next = level
            + (1.0 - 1.0 / fitted.theta)
                * (faded * intercept + (1.0 - faded * kept) / alpha * slope);
        // The expectation takes the place of a missing value.
        match y.get(t) {
            Some(v) if v.is_nan() => adjusted.push(next),
            Some(v) => adjusted.push(fitted.adjusted(t, v / fitted.scale)),
            None => {}
        }
    }
    let t = y.len();
    match fitted.seasonal.len() {
        0 => next * fitted.scale,
        m if fitted.multiplicative => next * fitted.seasonal[t % m] * fitted.scale,
        m => (next + fitted.seasonal[t % m]) * fitted.scale,
    }
}

#[test]
fn updates_give_what_a_refit_with_the_same_parameters_does() {
    let line_and_noise = |t: u32| 10.0 + 0.5 * f64::from(t) + f64::from(t * 7 % 5);
    let season = |t: u32| f64::from([3, -4, 0, 1][t as usize % 4]);
    let cases: [(usize, Vec<f64>); 3] = [
        (1, (0..60).map(line_and_noise).collect()),
        // Factors of a season, and terms where values are negative.
        (
            4,
            (0..60)
                .map(|t| line_and_noise(t) * (1.0 + 0.1 * season(t)))
                .collect(),
        ),
        (
            4,
            (0..60)
                .map(|t| line_and_noise(t) - 25.0 + 4.0 * season(t))
                .collect(),
        ),
    ];
    for (season, mut y) in cases {
        y[47] = f64::NAN;
        for theta in [Theta::new(season), Theta::standard(season)] {
            let fit = theta.fit(&y[..40]).unwrap();
            assert_eq!(fit.seasonal.len(), if season > 1 { season } else { 0 });
            let mut updated = fit.clone();
            for end in 40..=60 {
                let got = updated.forecast(1, &[]).unwrap().mean[0];
                let want = refitted(&fit, 40, &y[..end]);
                assert!((got - want).abs() < 1e-9, "{theta:?} {end}: {got} {want}");
                if let Some(value) = y.get(end) {
                    updated.update(*value).unwrap();
                }
            }
        }
    }
}

#[test]
fn a_line_is_continued_by_the_optimised_and_half_so_by_the_standard_method() {
    let y: Vec<f64> = (0..40).map(|t| 10.0 + 2.0 * f64::from(t)).collect();
    let optimised = Theta::new(1)
        .fit(&y)
        .unwrap()
        .forecast(3, &[])
        .unwrap()
        .mean;
    let standard = Theta::standard(1)
        .fit(&y)
        .unwrap()
        .forecast(3, &[])
        .unwrap()
        .mean;
    for h in 0..3 {
        assert!(
            (optimised[h] - (90.0 + 2.0 * h as f64)).abs() < 0.1,
            "{optimised:?}"
        );
        assert!(
            (standard[h] - (89.0 + h as f64)).abs() < 0.1,
            "{standard:?}"
        );
    }
}

#[test]
fn seasonal_indices_find_the_season() {
    let y: Vec<f64> = (0..40)
        .map(|t| (20.0 + f64::from(t)) * [0.5, 1.0, 1.5, 1.0][t as usize % 4])
        .collect();
    let found = seasonal_indices(&y, 4, true).unwrap();
    assert!((found[0] - 0.5).abs() < 0.02 && (found[2] - 1.5).abs() < 0.02);
}
