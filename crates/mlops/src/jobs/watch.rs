//! What a look for drift is given.

use market::Timestamp;
use serde::{Deserialize, Serialize};
use store::JobKind;

use super::{Payload, PayloadError, TrainPayload, current_version, within};
use crate::drift::WatchOptions;

/// A look at every champion: whether its errors have grown, or what comes in is not what it was trained on.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WatchPayload {
    /// The version of this format.
    #[serde(default = "current_version")]
    pub version: u32,
    /// What is known; the time of the attempt when absent.
    #[serde(default, rename = "as_of_us", skip_serializing_if = "Option::is_none")]
    pub as_of: Option<Timestamp>,
    /// One false alarm in so many days, over all that is watched together.
    #[serde(default = "usual_false_alarm_days")]
    pub false_alarm_days: f64,
    /// Hours after a training that an alarm began in which another alarm of the model begins none.
    #[serde(default = "usual_cool_down")]
    pub cool_down_hours: u32,
    /// What a training is given that an alarm begins, but for symbol, interval and time; none: alarms begin no training.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub train: Option<Box<TrainPayload>>,
    /// How it is watched.
    #[serde(default)]
    pub options: WatchOptions,
}

const fn usual_false_alarm_days() -> f64 {
    250.0
}

const fn usual_cool_down() -> u32 {
    168
}

impl Default for WatchPayload {
    fn default() -> Self {
        Self {
            version: current_version(),
            as_of: None,
            false_alarm_days: usual_false_alarm_days(),
            cool_down_hours: usual_cool_down(),
            train: None,
            options: WatchOptions::default(),
        }
    }
}

impl Payload for WatchPayload {
    const KIND: JobKind = JobKind::Watch;

    fn check(&self) -> Result<(), PayloadError> {
        let days = self.false_alarm_days;
        if !(1.0..=100_000.0).contains(&days) {
            let reason = format!("expected 1 to 100000, got {days}");
            return Err(PayloadError::new("false_alarm_days", reason));
        }
        let options = &self.options;
        within("options.reference", options.reference, 60, 100_000)?;
        within("options.window", options.window, 10, 100_000)?;
        within("options.bins", options.bins, 2, 50)?;
        within(
            "options.inputs",
            options.inputs,
            10 * options.bins,
            options.reference,
        )?;
        within(
            "options.calibrator.paths",
            options.calibrator.paths,
            100,
            100_000,
        )?;
        let least = usize::try_from(2 * options.errors.least_values).unwrap_or(usize::MAX);
        within(
            "options.calibrator.days",
            options.calibrator.days,
            least,
            100_000,
        )?;
        match &self.train {
            Some(train) => train.check().map_err(|e| {
                let field = format!("train.{}", e.field);
                PayloadError::new(field, e.reason)
            }),
            None => Ok(()),
        }
    }
}
