//! What a model is shown of the past.
//!
//! Model: values oldest first, and beside them, where they are known, the time and the volume of each step.
//! A [`History`] borrows; it is as cheap to copy as three slices.
//! Does not: check that the steps are equally spaced.

use std::ops::Range;

/// A series with what is known of its steps.
///
/// ```
/// use forecast::History;
/// let history = History::from(&[100.0, 101.5, f64::NAN, 101.0]);
/// assert_eq!(history.range(1..3).values.len(), 2);
/// assert!(history.times_ms.is_none());
/// ```
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct History<'a> {
    /// The values, oldest first, equally spaced; NaN for a missing one.
    pub values: &'a [f64],
    /// The start of each step in milliseconds since 1970 UTC; as many as values.
    pub times_ms: Option<&'a [i64]>,
    /// The volume of each step; as many as values.
    pub volumes: Option<&'a [f64]>,
}

/// A step of a series.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Observation {
    /// The value; NaN where it is missing.
    pub value: f64,
    /// The start of the step in milliseconds since 1970 UTC, where it is known.
    pub time_ms: Option<i64>,
    /// Its volume, where it is known.
    pub volume: Option<f64>,
}

impl From<f64> for Observation {
    fn from(value: f64) -> Self {
        Self {
            value,
            ..Self::default()
        }
    }
}

impl<'a> History<'a> {
    /// The steps one by one, oldest first.
    pub fn observations(&self) -> impl Iterator<Item = Observation> + use<'a> {
        let (times_ms, volumes) = (self.times_ms, self.volumes);
        self.values
            .iter()
            .enumerate()
            .map(move |(at, value)| Observation {
                value: *value,
                time_ms: times_ms.and_then(|times| times.get(at).copied()),
                volume: volumes.and_then(|volumes| volumes.get(at).copied()),
            })
    }

    /// With the start of each step. Times of another number than the values are left out.
    #[must_use]
    pub fn with_times(mut self, times_ms: Option<&'a [i64]>) -> Self {
        self.times_ms = times_ms.filter(|times| times.len() == self.values.len());
        self
    }

    /// With the volume of each step. Volumes of another number than the values are left out.
    #[must_use]
    pub fn with_volumes(mut self, volumes: Option<&'a [f64]>) -> Self {
        self.volumes = volumes.filter(|volumes| volumes.len() == self.values.len());
        self
    }

    /// The steps of a range.
    ///
    /// # Panics
    /// A range that the series does not have.
    #[must_use]
    pub fn range(&self, range: Range<usize>) -> Self {
        Self {
            values: &self.values[range.clone()],
            times_ms: self.times_ms.map(|times| &times[range.clone()]),
            volumes: self.volumes.map(|volumes| &volumes[range]),
        }
    }
}

impl<'a> From<&'a [f64]> for History<'a> {
    fn from(values: &'a [f64]) -> Self {
        Self {
            values,
            times_ms: None,
            volumes: None,
        }
    }
}

impl<'a> From<&'a Vec<f64>> for History<'a> {
    fn from(values: &'a Vec<f64>) -> Self {
        values.as_slice().into()
    }
}

impl<'a, const N: usize> From<&'a [f64; N]> for History<'a> {
    fn from(values: &'a [f64; N]) -> Self {
        values.as_slice().into()
    }
}
