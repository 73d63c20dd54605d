//! What a series must satisfy before a model looks at it, and how missing values are stored.
//!
//! Model: a series is a slice of `f64`, oldest first, equally spaced; NaN marks a missing value.
//! Infinities, values whose squares would overflow and series whose squares would vanish are refused
//! at the border.
//! Does not: know about time stamps; resampling happens before.

use crate::error::{Error, Result};

/// Values of this size and above are refused: their squares would overflow.
pub(crate) const LARGEST: f64 = 1e150;

/// A series that is nowhere of this size, but not 0 everywhere, is refused: the squares of its steps
/// would vanish, and with them the width of every interval.
pub(crate) const SMALLEST: f64 = 1e-150;

/// Checks one value: finite and of a size that can be squared, or NaN for missing.
pub(crate) fn check_value(index: usize, value: f64) -> Result<()> {
    if value.is_nan() || value.abs() < LARGEST {
        Ok(())
    } else {
        Err(Error::NotFinite { index, value })
    }
}

/// Checks a series: that its values can be squared, neither overflowing nor all vanishing, and that
/// at least `needed` of them are not missing; returns their number.
pub(crate) fn check_series(model: &str, y: &[f64], needed: usize) -> Result<usize> {
    let mut got = 0;
    let mut largest: f64 = 0.0;
    for (index, &value) in y.iter().enumerate() {
        check_value(index, value)?;
        largest = largest.max(value.abs());
        got += usize::from(!value.is_nan());
    }
    if got < needed {
        return Err(Error::TooShort {
            model: model.to_owned(),
            needed,
            got,
        });
    }
    if largest > 0.0 && largest < SMALLEST {
        return Err(Error::TooSmall { largest });
    }
    Ok(got)
}

/// How far apart two steps of a series may lie and be the same: differences of decimal prices are equal up
/// to rounding, whose size is that of the values.
pub(crate) fn step_rounding(y: &[f64]) -> f64 {
    let values = y.iter().filter(|v| !v.is_nan());
    1e-12 * values.fold(0.0, |largest: f64, v| largest.max(v.abs()))
}

/// Serde for vectors that may hold NaN: JSON has no NaN, so a missing value travels as null.
pub(crate) mod nullable {
    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    pub(crate) fn serialize<S: Serializer>(
        values: &[f64],
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        let options: Vec<Option<f64>> = values
            .iter()
            .map(|v| if v.is_finite() { Some(*v) } else { None })
            .collect();
        options.serialize(serializer)
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Vec<f64>, D::Error> {
        let options = Vec::<Option<f64>>::deserialize(deserializer)?;
        Ok(options.into_iter().map(|v| v.unwrap_or(f64::NAN)).collect())
    }
}
