//! What jobs are given, as types: read from JSON, checked, and written again.
//!
//! Model: a payload is a versioned JSON object; [`Payload::read`] says which field is wrong and why, the same for a
//! request over HTTP, a command and a worker that finds it in the store. A job is about one symbol or one name, so that
//! each has its own verdict, its own attempts and one transaction; many symbols are many jobs, submitted together
//! ([`train_jobs`]).
//! What it does not do: run them ([`crate::worker`]).

mod backtest;
mod retention;
mod score;
mod train;
mod watch;

use market::Timestamp;
use serde::{Serialize, de::DeserializeOwned};
use serde_json::Value;
use store::{JobKind, NewJob};

pub use backtest::BacktestPayload;
pub use retention::RetentionPayload;
pub use score::ScorePayload;
pub use train::{TrainPayload, series_name, train_jobs};
pub use watch::WatchPayload;

/// The version of the payloads that this build writes and reads.
pub const PAYLOAD_VERSION: u32 = 1;

/// A payload that cannot be.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{field}: {reason}")]
pub struct PayloadError {
    /// The field, by its path in the JSON.
    pub field: String,
    /// What was expected, and what was given.
    pub reason: String,
}

impl PayloadError {
    pub(crate) fn new(field: impl Into<String>, reason: impl Into<String>) -> Self {
        Self {
            field: field.into(),
            reason: reason.into(),
        }
    }
}

/// What a kind of job is given.
pub trait Payload: Serialize + DeserializeOwned {
    /// The kind.
    const KIND: JobKind;

    /// Checks every field as far as the payload alone can tell.
    ///
    /// # Errors
    /// The first field that cannot be.
    fn check(&self) -> Result<(), PayloadError>;

    /// Reads and checks a payload.
    ///
    /// # Errors
    /// The first field that is missing, unknown or cannot be; a version that this build does not read.
    ///
    /// ```
    /// use mlops::jobs::{Payload as _, TrainPayload};
    /// let json = serde_json::json!({ "symbol": "AAPL", "interval": "1d", "days": "XNYS" });
    /// assert_eq!(TrainPayload::read(&json)?.name(), "close-1d.AAPL");
    /// let error = TrainPayload::read(&serde_json::json!({ "symbol": "AAPL", "interval": "2d" })).unwrap_err();
    /// assert_eq!(error.field, "interval");
    /// # Ok::<(), mlops::jobs::PayloadError>(())
    /// ```
    fn read(json: &Value) -> Result<Self, PayloadError> {
        // A field may have come with another version.
        let version = json.get("version").and_then(Value::as_u64);
        if let Some(version) = version.filter(|version| *version != u64::from(PAYLOAD_VERSION)) {
            let reason =
                format!("this build reads version {PAYLOAD_VERSION} of payloads, got {version}");
            return Err(PayloadError::new("version", reason));
        }
        let payload: Self = serde_path_to_error::deserialize(json).map_err(|e| {
            let path = e.path().to_string();
            let reason = e.inner().to_string();
            // What is missing or unknown is named by the message; the path is that of the object.
            let named = reason.split('`').nth(1).filter(|_| path == ".");
            PayloadError::new(
                named.unwrap_or(&path),
                market::excerpt(&reason).into_owned(),
            )
        })?;
        payload.check()?;
        Ok(payload)
    }

    /// The job with this payload, to be done at once.
    ///
    /// # Errors
    /// As [`Self::check`].
    fn job(&self, now: Timestamp, submitted_by: &str) -> Result<NewJob, PayloadError> {
        self.check()?;
        let json = serde_json::to_value(self)
            .map_err(|e| PayloadError::new("payload", format!("cannot be written: {e}")))?;
        Ok(NewJob::new(Self::KIND, json, now, submitted_by))
    }
}

pub(crate) const fn current_version() -> u32 {
    PAYLOAD_VERSION
}

pub(crate) fn within(
    field: &str,
    value: usize,
    least: usize,
    most: usize,
) -> Result<(), PayloadError> {
    if (least..=most).contains(&value) {
        return Ok(());
    }
    let reason = format!("expected {least} to {most}, got {value}");
    Err(PayloadError::new(field, reason))
}
