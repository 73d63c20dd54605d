//! A series with what is known besides its values.
//!
//! Model: borrowed slices of one length, oldest first; NaN is a missing value.

/// A series to train on or to forecast.
#[derive(Clone, Copy, Debug, Default)]
pub struct Series<'a> {
    /// Name, for messages.
    pub id: &'a str,
    /// Values, oldest first, equally spaced.
    pub values: &'a [f64],
    /// Their times in milliseconds since 1970 UTC, rising, where they are known.
    pub times_ms: Option<&'a [i64]>,
    /// Their volumes, where they are known.
    pub volumes: Option<&'a [f64]>,
}

impl<'a> Series<'a> {
    /// Values alone.
    #[must_use]
    pub fn of(values: &'a [f64]) -> Self {
        Self {
            values,
            ..Self::default()
        }
    }

    /// The first `n` steps.
    #[must_use]
    pub fn until(&self, n: usize) -> Self {
        Self {
            id: self.id,
            values: &self.values[..n],
            times_ms: self.times_ms.map(|times| &times[..n]),
            volumes: self.volumes.map(|volumes| &volumes[..n]),
        }
    }
}
