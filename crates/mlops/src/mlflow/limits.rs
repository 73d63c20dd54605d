//! MLflow's limits, and what is done to a text that is beyond them.
//!
//! Source of the numbers: `mlflow/utils/validation.py` of MLflow 3.17.2, and `mlflow/store/*/dbmodels` where
//! a column holds less than is let through. An older or otherwise configured
//! server may have smaller ones; reading back finds what it dropped.
//!
//! Model: a name that MLflow refuses is replaced by one that it takes, which ends in eight digits of its
//! SHA-256, so that two names never become one; the name as it was goes into a tag. A value that is too long
//! is cut here, before MLflow cuts it in silence, and ends in its length and eight digits of its SHA-256: two
//! values that differ behind the cut stay different.

use std::borrow::Cow;

use sha2::{Digest, Sha256};

/// Characters of a key of a parameter, metric or tag.
pub const KEY_CHARS: usize = 250;
/// Characters of a parameter's value.
pub const PARAM_CHARS: usize = 6_000;
/// Characters of a run's tag.
pub const TAG_CHARS: usize = 8_000;
/// Characters of a tag of a model version.
pub const VERSION_TAG_CHARS: usize = 100_000;
/// Characters of the name of an experiment, and of a registered model: what the columns of its database hold.
pub const NAME_CHARS: usize = 256;
/// Characters of a run's name.
pub const RUN_NAME_CHARS: usize = 250;
/// Characters of a version's note.
pub const NOTE_CHARS: usize = 5_000;
/// Metrics of one batch.
pub const BATCH_METRICS: usize = 1_000;
/// Parameters of one batch, and tags of one.
pub const BATCH_PARAMS: usize = 100;
/// Of all three in one batch.
pub const BATCH_TOTAL: usize = 1_000;
/// Bytes of one batch. MLflow documents a million and does not hold others to it; what stands in front of it may.
pub const BATCH_BYTES: usize = 900_000;

/// The SHA-256 in hexadecimal digits.
pub fn sha256(bytes: &[u8]) -> String {
    hexadecimal(&Sha256::digest(bytes))
}

/// Two digits for each byte.
pub(super) fn hexadecimal(bytes: &[u8]) -> String {
    use std::fmt::Write;
    bytes.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

/// The key under which MLflow keeps what is called `name`: itself, where MLflow takes it.
///
/// ```
/// use mlops::mlflow::limits::key;
///
/// assert_eq!(key("val/rmse at 5"), "val/rmse at 5");
/// assert_eq!(key("rmse(^GSPC)"), "rmse__GSPC_-ffc4d5e9");
/// ```
pub fn key(name: &str) -> Cow<'_, str> {
    let allowed = |c: char| c.is_ascii_alphanumeric() || "_-. :/".contains(c);
    mapped(name, KEY_CHARS, allowed)
}

/// The name of the registered model in MLflow for a model that is called `name` here: `/` and `:`, which
/// `models:/NAME@alias` has other uses for, are replaced as in [`key`].
///
/// ```
/// use mlops::mlflow::limits::model_name;
///
/// assert_eq!(model_name("arima.^GSPC"), "arima.^GSPC");
/// assert_eq!(model_name("EUR/USD"), "EUR_USD-9105c84a");
/// ```
pub fn model_name(name: &str) -> Cow<'_, str> {
    // Quotes would end the text in a filter; the others mean something in an address.
    let allowed = |c: char| !c.is_control() && !c.is_whitespace() && !"/:@'\"`\\?#%".contains(c);
    mapped(name, NAME_CHARS, allowed)
}

fn mapped(name: &str, most_chars: usize, allowed: impl Fn(char) -> bool) -> Cow<'_, str> {
    // MLflow refuses what would be another name as a path.
    let path_safe = !name.split('/').any(|part| matches!(part, "" | "." | ".."));
    if path_safe && name.chars().count() <= most_chars && name.chars().all(&allowed) {
        return Cow::Borrowed(name);
    }
    let replaced = name
        .chars()
        .take(most_chars - 9)
        .map(|c| match c {
            '/' if !path_safe => '_',
            c if allowed(c) => c,
            _ => '_',
        })
        .collect::<String>();
    // Cut at a slash, or in front of one, it would not be a path again.
    let replaced = replaced.trim_end_matches('/');
    Cow::Owned(format!("{replaced}-{}", &sha256(name.as_bytes())[..8]))
}

/// A value of at most so many characters; the end of one that was cut says so.
///
/// ```
/// use mlops::mlflow::limits::value;
///
/// assert_eq!(value("short", 60), "short");
/// assert_eq!(value(&"a".repeat(70), 45), "aaaaaaa [cut: 70 characters, sha256 6bd5e503]");
/// ```
pub fn value(text: &str, most_chars: usize) -> Cow<'_, str> {
    let chars = text.chars().count();
    if chars <= most_chars {
        return Cow::Borrowed(text);
    }
    let end = format!(
        " [cut: {chars} characters, sha256 {}]",
        &sha256(text.as_bytes())[..8]
    );
    let kept: String = text
        .chars()
        .take(most_chars.saturating_sub(end.len()))
        .collect();
    Cow::Owned(kept + &end)
}
