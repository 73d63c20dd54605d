//! States as bytes: how a fitted model travels to the browser, to the registry and over a restart.
//!
//! Model: `TCST`, the version as two bytes (little-endian), then the state in postcard's format. Floats are
//! their eight bytes, so a state that is read back forecasts the same to the last bit, NaN included.
//! Does not: compress, or check who wrote them.

use crate::error::{Error, Result};
use crate::fit::Fitted;

/// The version of the format. It grows when a state of before could be misread.
pub const STATE_VERSION: u16 = 1;

const MAGIC: [u8; 4] = *b"TCST";
const HEADER_BYTES: usize = MAGIC.len() + 2;

impl Fitted {
    /// The state as bytes.
    ///
    /// # Errors
    /// [`Error::State`] when it cannot be written.
    pub fn save(&self) -> Result<Vec<u8>> {
        let mut bytes = MAGIC.to_vec();
        bytes.extend(STATE_VERSION.to_le_bytes());
        postcard::to_extend(self, bytes)
            .map_err(|e| Error::state(format!("cannot be written: {e}")))
    }

    /// The state that [`Self::save`] wrote.
    ///
    /// # Errors
    /// [`Error::State`]: no state, one of another version, or a damaged one.
    pub fn load(bytes: &[u8]) -> Result<Self> {
        let Some((header, body)) = bytes.split_at_checked(HEADER_BYTES) else {
            return Err(Error::state("fewer bytes than a header"));
        };
        if header[..MAGIC.len()] != MAGIC {
            return Err(Error::state("these bytes are none"));
        }
        let version = u16::from_le_bytes([header[4], header[5]]);
        if version != STATE_VERSION {
            let reason = format!("version {version}, and this build reads version {STATE_VERSION}");
            return Err(Error::state(reason));
        }
        match postcard::take_from_bytes(body) {
            Ok((state, [])) => Ok(state),
            Ok((_, rest)) => Err(Error::state(format!("{} bytes too many", rest.len()))),
            Err(e) => Err(Error::state(format!("damaged: {e}"))),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{FitOptions, FittedModel as _, Level, ModelSpec};

    fn series() -> Vec<f64> {
        let mut y: Vec<f64> = (0..90)
            .map(|t: usize| 80.0 + (t as f64 * 0.7).sin() + (t * 7919 % 13) as f64 / 10.0)
            .collect();
        y[17] = f64::NAN;
        y
    }

    #[test]
    fn a_state_that_is_read_back_says_the_same_to_the_last_bit_and_goes_on_the_same() {
        for name in [
            "naive",
            "drift",
            "snaive",
            "mean",
            "ets",
            "theta",
            "arima(1,1,1)+drift",
            "arima(1,0,0)(0,1,1)[4]",
            "auto-arima",
            "garch",
            "combo",
        ] {
            for log in [false, true] {
                let options = FitOptions {
                    season: 4,
                    log,
                    ..FitOptions::default()
                };
                let spec: ModelSpec = name.parse().unwrap();
                let mut state = spec.fit_owned(&series(), &options).unwrap();
                // What is handed out has taken values since its fit.
                for value in [80.25, 81.0, 80.0] {
                    state.update(value).unwrap();
                }
                let bytes = state.save().unwrap();
                let mut read = Fitted::load(&bytes).unwrap();
                for value in [None, Some(80.5), Some(f64::NAN), Some(81.25)] {
                    if let Some(value) = value {
                        // Smoothing takes no missing value: both refuse it, or neither.
                        assert_eq!(state.update(value), read.update(value), "{name}");
                    }
                    let said = |s: &Fitted| s.forecast(6, &Level::DEFAULT).unwrap();
                    assert_eq!(said(&state), said(&read), "{name} {log}");
                    assert_eq!(state.summary(), read.summary(), "{name} {log}");
                }
                assert_eq!(read.save().unwrap(), state.save().unwrap(), "{name} {log}");
            }
        }
    }

    #[test]
    fn bytes_of_another_version_cut_short_or_of_something_else_are_refused_with_the_reason() {
        let state = ModelSpec::Theta.fit_owned(&series(), &FitOptions::default());
        let bytes = state.unwrap().save().unwrap();
        let refused = |bytes: &[u8]| Fitted::load(bytes).unwrap_err().to_string();
        let mut newer = bytes.clone();
        newer[4] = 9;
        assert!(refused(&newer).contains("version 9"), "{}", refused(&newer));
        assert!(refused(b"{\"kind\":1}").contains("none"));
        assert!(refused(b"TC").contains("header"));
        for cut in HEADER_BYTES..bytes.len() {
            assert!(refused(&bytes[..cut]).contains("damaged"), "{cut}");
        }
        let longer = [&bytes[..], &[0]].concat();
        assert!(refused(&longer).contains("1 bytes too many"));
    }
}
