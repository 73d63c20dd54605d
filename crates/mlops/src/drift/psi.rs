//! The population stability index: are these the inputs that the model was trained on?
//!
//! Model: the reference is cut at its quantiles into bins of equal share e; with the shares a of what comes now,
//! PSI = Σ (a − e)·ln(a/e) (Siddiqi 2006, Credit Risk Scorecards; it is the symmetric Kullback–Leibler divergence of
//! Jeffreys 1946). A bin without a value counts half of one, so that the logarithm is finite.
//! What it does not do: look at several inputs together.

use serde::{Deserialize, Serialize};

use super::fault;
use crate::Result;

/// The bins of a reference.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct InputProfile {
    /// Where the bins meet, ascending; a value on an edge lies above it.
    pub edges: Vec<f64>,
    /// Share of the reference in each bin: one more than edges.
    pub shares: Vec<f64>,
}

impl InputProfile {
    /// The profile of a reference in `bins` bins (10 is usual). Values that repeat make bins fall together.
    ///
    /// # Errors
    /// Fewer than two bins, fewer than ten values a bin, a reference of one value.
    pub fn of(reference: &[f64], bins: usize) -> Result<Self> {
        let mut sorted: Vec<f64> = reference
            .iter()
            .copied()
            .filter(|v| v.is_finite())
            .collect();
        sorted.sort_by(f64::total_cmp);
        if bins < 2 || sorted.len() < 10 * bins {
            return Err(fault(format!(
                "{} values for {bins} bins: at least 2 bins of 10 values are needed",
                sorted.len()
            )));
        }
        let mut edges: Vec<f64> = (1..bins).map(|i| sorted[i * sorted.len() / bins]).collect();
        edges.dedup();
        // An edge at the lowest value has nothing below it.
        edges.retain(|edge| *edge > sorted[0]);
        if edges.is_empty() {
            return Err(fault("the inputs of the reference are all alike"));
        }
        let counts = counts(&edges, &sorted);
        let shares = counts
            .iter()
            .map(|n| *n as f64 / sorted.len() as f64)
            .collect();
        Ok(Self { edges, shares })
    }

    /// The bin of a value.
    #[must_use]
    pub fn bin(&self, value: f64) -> usize {
        self.edges.partition_point(|edge| *edge <= value)
    }

    /// PSI of what came; NaN values are left out. None when nothing is left.
    #[must_use]
    pub fn psi(&self, values: &[f64]) -> Option<f64> {
        let finite: Vec<f64> = values.iter().copied().filter(|v| v.is_finite()).collect();
        self.psi_of_counts(&counts(&self.edges, &finite))
    }

    /// PSI of counts in the bins. None without any.
    #[must_use]
    pub fn psi_of_counts(&self, counts: &[u64]) -> Option<f64> {
        let total: u64 = counts.iter().sum();
        if total == 0 {
            return None;
        }
        let term = |(count, expected): (&u64, &f64)| {
            let actual = (*count as f64).max(0.5) / total as f64;
            (actual - expected) * (actual / expected).ln()
        };
        Some(counts.iter().zip(&self.shares).map(term).sum())
    }
}

fn counts(edges: &[f64], values: &[f64]) -> Vec<u64> {
    let mut counts = vec![0; edges.len() + 1];
    for value in values {
        counts[edges.partition_point(|edge| edge <= value)] += 1;
    }
    counts
}

#[cfg(test)]
mod tests {
    use super::*;

    /// By hand: shares of 0.5 and 0.5 against 0.8 and 0.2 give 0.3·ln 1.6 + (−0.3)·ln 0.4 = 0.4159.
    #[test]
    fn two_bins_are_as_computed_by_hand() {
        let reference: Vec<f64> = (0..20).map(f64::from).collect();
        let profile = InputProfile::of(&reference, 2).unwrap();
        assert_eq!(profile.edges, [10.0]);
        let now = [1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0, 10.0, f64::NAN, 30.0];
        let psi = profile.psi(&now).unwrap();
        assert!((psi - 0.415_888_308_335_967_2).abs() < 1e-12, "{psi}");
        assert_eq!(profile.psi(&reference), Some(0.0));
        assert_eq!(profile.psi(&[f64::NAN]), None);
    }

    #[test]
    fn an_empty_bin_counts_half_a_value() {
        let reference: Vec<f64> = (0..20).map(f64::from).collect();
        let profile = InputProfile::of(&reference, 2).unwrap();
        let want = (1.0 - 0.5) * (1.0_f64 / 0.5).ln() + (0.125 - 0.5) * (0.125_f64 / 0.5).ln();
        assert!((profile.psi(&[1.0; 4]).unwrap() - want).abs() < 1e-12);
    }

    #[test]
    fn a_reference_that_cannot_be_cut_is_refused() {
        assert!(InputProfile::of(&[1.0; 40], 4).is_err());
        assert!(InputProfile::of(&[1.0, 2.0], 2).is_err());
        // Most values alike: bins fall together, none is empty.
        let mut reference = vec![0.0; 50];
        reference.extend((0..50).map(f64::from));
        let profile = InputProfile::of(&reference, 10).unwrap();
        assert!(profile.shares.iter().all(|share| *share > 0.0));
        assert!((profile.shares.iter().sum::<f64>() - 1.0).abs() < 1e-12);
    }
}
