//! Which of many readings are alarms.
//!
//! Model: each reading comes as a rate of false alarms a day, which stands for its p-value of the day; Benjamini &
//! Hochberg (1995), J. R. Stat. Soc. B 57(1), at 1/N. Where nothing has drifted, the whole board gives one alarm
//! in N days; where something has, at most 1/N of the alarms are false.
//! What it does not do: keep an alarm from being given again the next day (see [`super::PageHinkley::reset`]).

use serde::{Deserialize, Serialize};

/// What was watched.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// The errors of forecasts.
    Errors,
    /// The inputs.
    Inputs,
}

/// One detector's reading of a day.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Reading {
    /// The symbol.
    pub symbol: String,
    /// What was watched.
    pub kind: Kind,
    /// The statistic.
    pub statistic: f64,
    /// False alarms a day at this statistic ([`super::Calibration::rate`]).
    pub rate: f64,
}

/// An alarm.
#[derive(Clone, Debug, PartialEq)]
pub struct Alarm {
    /// The place of its reading among all of the day.
    pub index: usize,
    /// The reading.
    pub reading: Reading,
    /// Its rate, corrected over all readings of the day.
    pub corrected_rate: f64,
}

/// The readings that are alarms, at one false alarm in so many days over all of them; in their order.
#[must_use]
pub fn alarms(readings: &[Reading], false_alarm_days: f64) -> Vec<Alarm> {
    let rates: Vec<f64> = readings.iter().map(|reading| reading.rate).collect();
    benjamini_hochberg(&rates)
        .into_iter()
        .zip(readings)
        .enumerate()
        .filter(|(_, (corrected, _))| *corrected <= 1.0 / false_alarm_days)
        .map(|(index, (corrected_rate, reading))| Alarm {
            index,
            reading: reading.clone(),
            corrected_rate,
        })
        .collect()
}

/// p-values corrected by Benjamini & Hochberg, in their order. A NaN counts as 1.
#[must_use]
pub fn benjamini_hochberg(p_values: &[f64]) -> Vec<f64> {
    let known = |p: f64| if p.is_nan() { 1.0 } else { p };
    let mut order: Vec<usize> = (0..p_values.len()).collect();
    order.sort_by(|a, b| known(p_values[*b]).total_cmp(&known(p_values[*a])));
    let n = p_values.len();
    let mut corrected = vec![1.0; n];
    let mut lowest: f64 = 1.0;
    for (rank, index) in order.into_iter().enumerate() {
        lowest = lowest.min(known(p_values[index]) * n as f64 / (n - rank) as f64);
        corrected[index] = lowest;
    }
    corrected
}

#[cfg(test)]
mod tests {
    use super::*;

    // R 4.2.2: p.adjust(c(0.01, 0.04, 0.03, 0.005, 0.5), "BH")
    #[test]
    fn the_correction_is_that_of_r() {
        let got = benjamini_hochberg(&[0.01, 0.04, 0.03, 0.005, 0.5]);
        for (got, want) in got.iter().zip([0.025, 0.05, 0.05, 0.025, 0.5]) {
            assert!((got - want).abs() < 1e-12, "{got} {want}");
        }
        assert_eq!(benjamini_hochberg(&[f64::NAN, 0.2]), [1.0, 0.4]);
    }

    #[test]
    fn one_symbol_of_many_must_stand_out_more() {
        let reading = |i: usize, rate: f64| Reading {
            symbol: format!("S{i}"),
            kind: Kind::Errors,
            statistic: 1.0,
            rate,
        };
        let one = [reading(0, 1.0 / 300.0)];
        assert_eq!(alarms(&one, 250.0).len(), 1);
        let many: Vec<Reading> = (0..100)
            .map(|i| reading(i, if i == 0 { 1.0 / 300.0 } else { 0.5 }))
            .collect();
        assert!(alarms(&many, 250.0).is_empty());
    }
}
