//! MLflow's messages, as far as they are read here. Fields that it leaves out are absent or empty.

use serde::{Deserialize, Serialize};

/// A metric's value on the wire and in a kept record: a number, or one of "NaN", "Infinity" and "-Infinity".
///
/// JSON has no such numbers. MLflow takes the texts; it would take a bare NaN too, and stop reading there.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Number(pub f64);

impl Number {
    /// The same for two values that MLflow cannot tell apart once it has stored them: it keeps infinities as
    /// the largest number, and has one zero.
    pub(super) const fn stored(self) -> u64 {
        let value = self.0;
        if value.is_nan() {
            return f64::NAN.to_bits();
        }
        // Adding makes -0 the other zero.
        (value.clamp(f64::MIN, f64::MAX) + 0.0).to_bits()
    }
}

impl Serialize for Number {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.0 {
            v if v.is_nan() => serializer.serialize_str("NaN"),
            f64::INFINITY => serializer.serialize_str("Infinity"),
            f64::NEG_INFINITY => serializer.serialize_str("-Infinity"),
            v => serializer.serialize_f64(v),
        }
    }
}

impl<'de> Deserialize<'de> for Number {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(untagged)]
        enum Either {
            Number(f64),
            Text(String),
        }
        match Either::deserialize(deserializer)? {
            Either::Number(value) => Ok(Self(value)),
            Either::Text(text) => match text.as_str() {
                "NaN" => Ok(Self(f64::NAN)),
                "Infinity" => Ok(Self(f64::INFINITY)),
                "-Infinity" => Ok(Self(f64::NEG_INFINITY)),
                _ => Err(serde::de::Error::custom(format!("{text:?} is no number"))),
            },
        }
    }
}

/// For `#[serde(with = "…")]` on an f64 that may be no finite number.
pub(super) mod number {
    use serde::{Deserialize, Serialize};

    use super::Number;

    pub(crate) fn serialize<S: serde::Serializer>(value: &f64, to: S) -> Result<S::Ok, S::Error> {
        Number(*value).serialize(to)
    }

    pub(crate) fn deserialize<'de, D: serde::Deserializer<'de>>(from: D) -> Result<f64, D::Error> {
        Ok(Number::deserialize(from)?.0)
    }
}

/// Of a parameter or a tag.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct KeyValue {
    pub key: String,
    #[serde(default)]
    pub value: String,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Point {
    pub key: String,
    pub value: Number,
    /// Unix milliseconds.
    pub timestamp: i64,
    #[serde(default)]
    pub step: i64,
}

#[derive(Debug, Deserialize)]
pub(super) struct ExperimentAnswer {
    pub experiment: Experiment,
}

#[derive(Debug, Deserialize)]
pub(super) struct Experiment {
    pub experiment_id: String,
    #[serde(default)]
    pub lifecycle_stage: String,
}

#[derive(Debug, Deserialize)]
pub(super) struct ExperimentCreated {
    pub experiment_id: String,
}

#[derive(Debug, Deserialize)]
pub(super) struct RunAnswer {
    pub run: Run,
}

#[derive(Debug, Default, Deserialize)]
pub(super) struct RunsFound {
    #[serde(default)]
    pub runs: Vec<Run>,
}

/// A run as MLflow has it.
#[derive(Clone, Debug, Deserialize)]
pub(super) struct Run {
    pub info: RunInfo,
    #[serde(default)]
    pub data: RunData,
}

#[derive(Clone, Debug, Deserialize)]
pub(super) struct RunInfo {
    pub run_id: String,
    #[serde(default)]
    pub status: String,
    #[serde(default)]
    pub end_time: i64,
    #[serde(default)]
    pub artifact_uri: String,
    #[serde(default)]
    pub lifecycle_stage: String,
}

#[derive(Clone, Debug, Default, Deserialize)]
pub(super) struct RunData {
    #[serde(default)]
    pub params: Vec<KeyValue>,
    #[serde(default)]
    pub tags: Vec<KeyValue>,
}

impl Run {
    pub(super) fn tag(&self, key: &str) -> Option<&str> {
        let tag = self.data.tags.iter().find(|tag| tag.key == key)?;
        Some(&tag.value)
    }
}

#[derive(Debug, Default, Deserialize)]
pub(super) struct History {
    #[serde(default)]
    pub metrics: Vec<Point>,
    #[serde(default)]
    pub next_page_token: Option<String>,
}

#[derive(Debug, Deserialize)]
pub(super) struct VersionAnswer {
    pub model_version: ModelVersion,
}

#[derive(Debug, Default, Deserialize)]
pub(super) struct VersionsFound {
    #[serde(default)]
    pub model_versions: Vec<ModelVersion>,
}

/// A version of a registered model.
#[derive(Clone, Debug, Deserialize)]
pub(super) struct ModelVersion {
    pub name: String,
    pub version: String,
    #[serde(default)]
    pub source: String,
    #[serde(default)]
    pub run_id: String,
    #[serde(default)]
    pub status: String,
    #[serde(default)]
    pub status_message: String,
    #[serde(default)]
    pub tags: Vec<KeyValue>,
}

impl ModelVersion {
    /// The job that made it; None of a version that others made.
    pub(super) fn job(&self) -> Option<&str> {
        let tag = self.tags.iter().find(|tag| tag.key == super::JOB_TAG)?;
        Some(&tag.value)
    }
}

/// An answer that says nothing.
#[derive(Debug, Deserialize)]
pub(super) struct Empty {}
