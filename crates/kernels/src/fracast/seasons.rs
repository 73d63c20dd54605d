//! Periods of a context, and what they say of the future: TinyCast's (Apache-2.0, arXiv:2608.15767), which Fracast-0 has taken
//! over.
//!
//! Model: a peak of the periodogram counts as a period when it is higher than that of white noise would be once in
//! twenty times (Bonferroni over the frequencies); the four highest are taken. The fill is the mean of the context at
//! the same sixteenth of the first period.

use super::{Fracast, PERIODS};

const LENGTH: usize = Fracast::CONTEXT;
const FREQUENCIES: usize = LENGTH / 2;
const BINS: usize = 16;

/// Periods in steps, the strongest first; 0 where there is none.
pub(super) fn periods(values: &[f32], observed: &[bool]) -> [usize; PERIODS] {
    let known = || values.iter().zip(observed).filter(|(_, known)| **known);
    let mean = known().map(|(value, _)| value).sum::<f32>() / known().count().max(1) as f32;
    let filled = values.iter().zip(observed);
    let filled: Vec<f32> = filled
        .map(|(value, known)| if *known { *value } else { mean })
        .collect();
    let mean = filled.iter().map(|x| f64::from(*x)).sum::<f64>() / LENGTH as f64;
    let mut real: Vec<f64> = filled.iter().map(|x| f64::from(*x) - mean).collect();
    let mut imaginary = vec![0.0f64; LENGTH];
    fourier(&mut real, &mut imaginary);
    // Without the constant: index k is frequency k + 1.
    let power: Vec<f64> = (1..=FREQUENCIES)
        .map(|k| real[k] * real[k] + imaginary[k] * imaginary[k])
        .collect();
    let total = power.iter().sum::<f64>().max(1e-12);
    let least = (FREQUENCIES as f64 / 0.05).ln() / FREQUENCIES as f64;
    let mut peaks: Vec<(f64, usize)> = (1..FREQUENCIES - 1)
        .filter(|k| power[*k] > power[k - 1] && power[*k] > power[k + 1])
        .map(|k| (power[k] / total, k))
        .filter(|(share, _)| *share >= least)
        .collect();
    peaks.sort_by(|a, b| b.0.total_cmp(&a.0));
    let mut periods = [0; PERIODS];
    for (period, (_, k)) in periods.iter_mut().zip(peaks) {
        *period = (LENGTH as f32 / (k + 1) as f32).round_ties_even() as usize;
    }
    periods
}

/// Sine and cosine of a step's phase in each period, zeros where there is none.
pub(super) fn phases(step: usize, periods: &[usize; PERIODS]) -> [f32; 2 * PERIODS] {
    let mut phases = [0.0; 2 * PERIODS];
    for (pair, period) in phases.chunks_exact_mut(2).zip(periods) {
        if *period > 0 {
            let phase = std::f32::consts::TAU * step as f32 / *period as f32;
            pair.copy_from_slice(&[phase.sin(), phase.cos()]);
        }
    }
    phases
}

/// The mean of the context at the phase of each step after it.
pub(super) fn fill(values: &[f32], observed: &[bool], period: usize, horizon: usize) -> Vec<f32> {
    let period = period.max(1) as f32;
    let bin = |step: usize| {
        let phase = (step as f32 % period) / period * BINS as f32;
        (phase as usize).min(BINS - 1)
    };
    let (mut sums, mut counts) = ([0.0f64; BINS], [0u32; BINS]);
    for (step, (value, _)) in values
        .iter()
        .zip(observed)
        .enumerate()
        .filter(|(_, (_, o))| **o)
    {
        sums[bin(step)] += f64::from(*value);
        counts[bin(step)] += 1;
    }
    let mean = sums.iter().sum::<f64>() / f64::from(counts.iter().sum::<u32>().max(1));
    let of = |step: usize| match counts[bin(step)] {
        0 => mean as f32,
        n => (sums[bin(step)] / f64::from(n)) as f32,
    };
    (LENGTH..LENGTH + horizon).map(of).collect()
}

/// The discrete Fourier transform in place; the length is a power of two (Cooley & Tukey 1965).
fn fourier(real: &mut [f64], imaginary: &mut [f64]) {
    let n = real.len();
    let bits = n.trailing_zeros();
    for i in 0..n {
        let j = i.reverse_bits() >> (usize::BITS - bits);
        if i < j {
            real.swap(i, j);
            imaginary.swap(i, j);
        }
    }
    let mut half = 1;
    while half < n {
        for k in 0..half {
            let angle = -std::f64::consts::PI * k as f64 / half as f64;
            let (sine, cosine) = angle.sin_cos();
            for i in (k..n).step_by(2 * half) {
                let j = i + half;
                let re = real[j] * cosine - imaginary[j] * sine;
                let im = real[j] * sine + imaginary[j] * cosine;
                (real[j], imaginary[j]) = (real[i] - re, imaginary[i] - im);
                real[i] += re;
                imaginary[i] += im;
            }
        }
        half *= 2;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn periods_of_two_waves_are_found_the_stronger_first() {
        let wave = |period: f64, step: usize| (std::f64::consts::TAU * step as f64 / period).sin();
        let values: Vec<f32> = (0..LENGTH)
            .map(|step| (2.0 * wave(7.0, step) + wave(30.0, step)) as f32)
            .collect();
        let found = periods(&values, &[true; LENGTH]);
        assert_eq!(found[..2], [7, 30]);
    }

    #[test]
    fn a_constant_has_no_period_and_fills_itself() {
        let values = [0.5; LENGTH];
        let known = [true; LENGTH];
        assert_eq!(periods(&values, &known), [0; PERIODS]);
        assert_eq!(fill(&values, &known, 0, 3), [0.5; 3]);
    }
}
