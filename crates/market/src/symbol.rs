//! A ticker symbol.

use std::{borrow::Borrow, fmt, str::FromStr, sync::Arc};

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::{MarketError, Result};

/// A ticker symbol: 1 to 32 bytes of `A-Z`, `0-9` and `. - _ = ^ / :`, upper-cased when parsed. No part
/// of it between slashes is `.` or `..`: as part of an address or a path it would lead elsewhere.
///
/// Cheap to clone (one reference count); compares and hashes as its text.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Symbol(Arc<str>);

impl Symbol {
    /// The longest symbol, in bytes.
    pub const MAX_LEN: usize = 32;

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for Symbol {
    type Err = MarketError;

    fn from_str(text: &str) -> Result<Self> {
        let trimmed = text.trim();
        let ok = !trimmed.is_empty()
            && trimmed.len() <= Self::MAX_LEN
            && trimmed
                .bytes()
                .all(|b| b.is_ascii_alphanumeric() || b".-_=^/:".contains(&b))
            && !trimmed.split('/').any(|part| matches!(part, "." | ".."));
        if !ok {
            return Err(MarketError::Symbol {
                text: text.chars().take(64).collect(),
            });
        }
        if trimmed.bytes().any(|b| b.is_ascii_lowercase()) {
            return Ok(Self(trimmed.to_ascii_uppercase().into()));
        }
        Ok(Self(trimmed.into()))
    }
}

impl fmt::Display for Symbol {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

impl fmt::Debug for Symbol {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&*self.0, f)
    }
}

impl Borrow<str> for Symbol {
    fn borrow(&self) -> &str {
        &self.0
    }
}

impl AsRef<str> for Symbol {
    fn as_ref(&self) -> &str {
        &self.0
    }
}

impl Serialize for Symbol {
    fn serialize<S: Serializer>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for Symbol {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> std::result::Result<Self, D::Error> {
        std::borrow::Cow::<'de, str>::deserialize(deserializer)?
            .parse()
            .map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_symbol_is_upper_cased_and_trimmed() {
        assert_eq!(" brk.b ".parse::<Symbol>().unwrap().as_str(), "BRK.B");
    }

    #[test]
    fn dots_and_slashes_within_a_symbol_stay() {
        for text in ["BRK.B", "BTC/USD", ".SPX", "A..B", "...", "/ES"] {
            assert_eq!(text.parse::<Symbol>().unwrap().as_str(), text);
        }
    }

    #[test]
    fn texts_that_are_no_symbols_are_refused() {
        let long = "A".repeat(33);
        let texts = ["", " ", "A B", "A,B", "é", "<script>", "A\u{1b}[2J", &long];
        let paths = [".", "..", " .. ", "../A", "A/./B", "BTC/.."];
        for text in texts.into_iter().chain(paths) {
            assert!(text.parse::<Symbol>().is_err(), "{text:?}");
        }
    }
}
