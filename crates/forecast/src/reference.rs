//! References to models: the text that names a model everywhere.
//!
//! Model: a [`ModelRef`] is `NAME` or `SCHEME:REST`. A name without a scheme is one of this crate's models
//! (`ets`, `arima(1,1,1)+drift`); a scheme says who knows the rest (`lstm:DIR`, `models:/NAME@ALIAS`). Only
//! its shape is checked here; [`crate::Providers`] resolves it.
//! Does not: say whether there is such a model.

use std::{fmt, str::FromStr, sync::Arc};

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::error::{Error, Result};

/// The longest reference, in bytes: a directory may stand in it.
const MAX_BYTES: usize = 1_024;

/// The longest name without a scheme, in bytes: as long as any ARIMA order can be.
const MAX_NAME_BYTES: usize = 64;

/// A reference to a model. Cheap to clone; equal when the texts are.
///
/// ```
/// use forecast::ModelRef;
/// let reference: ModelRef = "models:/daily-close@champion".parse()?;
/// assert_eq!(reference.scheme(), Some("models"));
/// assert_eq!("arima(1,1,1)+drift".parse::<ModelRef>()?.scheme(), None);
/// assert!("two words".parse::<ModelRef>().is_err());
/// # Ok::<(), forecast::Error>(())
/// ```
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ModelRef(Arc<str>);

impl ModelRef {
    /// The scheme, where there is one.
    #[must_use]
    pub fn scheme(&self) -> Option<&str> {
        split(&self.0).0
    }

    /// What follows the scheme, or all of a name without one.
    #[must_use]
    pub fn rest(&self) -> &str {
        split(&self.0).1
    }

    /// The whole text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// A scheme is a letter and then letters, digits and hyphens, before the first colon.
fn split(text: &str) -> (Option<&str>, &str) {
    match text.split_once(':') {
        Some((scheme, rest)) if is_scheme(scheme) => (Some(scheme), rest),
        _ => (None, text),
    }
}

fn is_scheme(text: &str) -> bool {
    text.starts_with(|c: char| c.is_ascii_lowercase())
        && text
            .chars()
            .all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-')
}

const EXPECTED: &str =
    "a model's name such as ets or arima(1,1,1), or SCHEME:REST such as lstm:DIR";

impl FromStr for ModelRef {
    type Err = Error;

    fn from_str(input: &str) -> Result<Self> {
        let text = input.trim();
        let (scheme, rest) = split(text);
        let well_formed = match scheme {
            Some(_) => {
                !rest.is_empty() && text.len() <= MAX_BYTES && !rest.contains(char::is_control)
            }
            None => {
                let allowed = |c: char| c.is_ascii_alphanumeric() || "()[],+-_.=".contains(c);
                !text.is_empty() && text.len() <= MAX_NAME_BYTES && text.chars().all(allowed)
            }
        };
        if well_formed {
            Ok(Self(text.into()))
        } else {
            Err(Error::parse(input, EXPECTED))
        }
    }
}

impl fmt::Display for ModelRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for ModelRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl From<crate::ModelSpec> for ModelRef {
    fn from(spec: crate::ModelSpec) -> Self {
        Self(spec.to_string().into())
    }
}

impl Serialize for ModelRef {
    fn serialize<S: Serializer>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for ModelRef {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> std::result::Result<Self, D::Error> {
        String::deserialize(deserializer)?
            .parse()
            .map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reference_reads_back_as_itself_and_knows_its_scheme() {
        for (text, scheme, rest) in [
            ("naive", None, "naive"),
            (
                "arima(0,1,1)(0,1,1)[12]+drift",
                None,
                "arima(0,1,1)(0,1,1)[12]+drift",
            ),
            ("lstm(small,seeds=3)", None, "lstm(small,seeds=3)"),
            ("lstm:models/a", Some("lstm"), "models/a"),
            ("nlinear:models/y:z", Some("nlinear"), "models/y:z"),
            ("models:/daily@champion", Some("models"), "/daily@champion"),
            ("models:/daily/17", Some("models"), "/daily/17"),
        ] {
            let reference: ModelRef = text.parse().unwrap();
            assert_eq!(
                (reference.scheme(), reference.rest()),
                (scheme, rest),
                "{text}"
            );
            assert_eq!(reference.to_string(), text);
            let json = serde_json::to_string(&reference).unwrap();
            assert_eq!(serde_json::from_str::<ModelRef>(&json).unwrap(), reference);
        }
    }

    #[test]
    fn what_is_no_reference_is_refused_and_repeated_in_part_only() {
        let long = "x".repeat(5_000);
        for text in [
            "",
            " ",
            "lstm:",
            "lstm:a\nb",
            "two words",
            "a\u{7}",
            "Upper:x y",
            &long,
        ] {
            let error = text.parse::<ModelRef>().unwrap_err().to_string();
            assert!(error.len() < 250, "{error}");
        }
    }
}
