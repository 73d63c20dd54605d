//! A fit and its forecast in the one JSON form that the command line, the server and the browser's
//! worker give out.
//!
//! Model: an [`Answer`] borrows a [`Forecast`] and a [`Summary`] and is written as
//! `{"id"?,"model","params":{…},"std_errors":{…},"sigma2","loglik","aic","aicc","bic","mean":[…],
//! "lower":{"80":[…],…},"upper":{…},"seconds"}`. A criterion that the model does not have is null.
//! Does not: choose an encoder, or measure time: the seconds are the caller's.

use serde::ser::{Serialize, SerializeStruct, Serializer};

use crate::model::{Parameter, Summary};
use crate::output::{Forecast, Interval};

/// The fit and the forecast of one series.
///
/// ```
/// use forecast::{Answer, FitOptions, FittedModel, Level, ModelSpec};
///
/// let spec: ModelSpec = "naive".parse()?;
/// let fitted = spec.fit(&[1.0, 2.0, 4.0], &FitOptions::default())?;
/// let (summary, forecast) = (fitted.summary(), fitted.forecast(1, &Level::DEFAULT)?);
/// let answer = Answer { id: Some("IBM"), summary: &summary, forecast: &forecast, seconds: 0.1 };
/// let text = serde_json::to_string(&answer)?;
/// assert!(text.starts_with(r#"{"id":"IBM","model":"naive","#), "{text}");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, Copy)]
pub struct Answer<'a> {
    /// Name of the series, where there are many.
    pub id: Option<&'a str>,
    /// What the fit found.
    pub summary: &'a Summary,
    /// What comes next.
    pub forecast: &'a Forecast,
    /// Seconds that fit and forecast took together.
    pub seconds: f64,
}

impl Serialize for Answer<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let Self {
            id,
            summary,
            forecast,
            seconds,
        } = *self;
        let fields = 12 + usize::from(id.is_some());
        let mut object = serializer.serialize_struct("Answer", fields)?;
        if let Some(id) = id {
            object.serialize_field("id", id)?;
        }
        object.serialize_field("model", &forecast.model)?;
        object.serialize_field("params", &Params(&summary.params))?;
        object.serialize_field("std_errors", &StdErrors(&summary.params))?;
        object.serialize_field("sigma2", &summary.sigma2)?;
        object.serialize_field("loglik", &summary.loglik)?;
        object.serialize_field("aic", &summary.aic)?;
        object.serialize_field("aicc", &summary.aicc)?;
        object.serialize_field("bic", &summary.bic)?;
        object.serialize_field("mean", &forecast.mean)?;
        object.serialize_field("lower", &Bounds(&forecast.intervals, |band| &band.lower))?;
        object.serialize_field("upper", &Bounds(&forecast.intervals, |band| &band.upper))?;
        object.serialize_field("seconds", &seconds)?;
        object.end()
    }
}

/// The estimates by name.
struct Params<'a>(&'a [Parameter]);

impl Serialize for Params<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.0.iter().map(|p| (&p.name, p.value)))
    }
}

/// The standard errors by name, of the parameters that have one.
struct StdErrors<'a>(&'a [Parameter]);

impl Serialize for StdErrors<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let known = self.0.iter().filter_map(|p| Some((&p.name, p.se?)));
        serializer.collect_map(known)
    }
}

/// One bound of every band, by level.
struct Bounds<'a>(&'a [Interval], fn(&Interval) -> &[f64]);

impl Serialize for Bounds<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let Self(bands, bound) = self;
        serializer.collect_map(
            bands
                .iter()
                .map(|band| (band.level.to_string(), bound(band))),
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{FitOptions, Level, ModelSpec};

    #[test]
    fn an_answer_has_the_names_of_the_contract_in_their_order() {
        let fitted = ModelSpec::Naive
            .fit(&[1.0, 2.0, 4.0], &FitOptions::default())
            .unwrap();
        let forecast = fitted.forecast(1, &[Level(80.0), Level(97.5)]).unwrap();
        let summary = fitted.summary();
        let answer = Answer {
            id: None,
            summary: &summary,
            forecast: &forecast,
            seconds: 0.25,
        };
        let text = serde_json::to_string(&answer).unwrap();
        let mut rest = text.as_str();
        for name in [
            "model",
            "params",
            "std_errors",
            "sigma2",
            "loglik",
            "aic",
            "aicc",
            "bic",
            "mean",
            "lower",
            "80",
            "97.5",
            "upper",
            "80",
            "97.5",
            "seconds",
        ] {
            let quoted = format!("\"{name}\":");
            let at = rest
                .find(&quoted)
                .unwrap_or_else(|| panic!("{name}: {text}"));
            rest = &rest[at + quoted.len()..];
        }
        assert_eq!(rest, "0.25}");
        let with_id = Answer {
            id: Some("IBM"),
            ..answer
        };
        let text = serde_json::to_string(&with_id).unwrap();
        assert!(
            text.starts_with("{\"id\":\"IBM\",\"model\":\"naive\","),
            "{text}"
        );
    }
}
