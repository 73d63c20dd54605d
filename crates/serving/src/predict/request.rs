//! Requests: what is asked for, checked; and what the core refused, by the field that it is about.

use std::sync::Arc;

use forecast::{ForecastModel, Level, Providers};
use market::{Interval, Symbol};
use protocol::PredictRequest;

use crate::{
    Result, ServingError,
    contenders::Choice,
    error::invalid,
    origin::{Origin, levels},
};

/// The longest horizon that may be asked for.
const MAX_HORIZON: u32 = 1_000;
/// The most levels that may be asked for.
const MAX_LEVELS: usize = 20;
/// The longest season that may be asked for, in steps, as the core has it.
const MAX_SEASON: u32 = forecast::arima::MAX_SEASON_STEPS as u32;

/// What is forecast.
pub(super) enum Subject {
    /// The stored closes of a symbol, with the season of their interval: by a state that is kept.
    Stored(Symbol, Interval),
    /// The same with another season: by a fit for this request alone.
    OfSeason {
        symbol: Symbol,
        interval: Interval,
        /// In steps.
        season: usize,
    },
    /// A series that a model is fitted to for this request alone.
    Fresh(Fresh),
}

pub(super) struct Fresh {
    pub(super) values: Vec<f64>,
    /// Where it came from, for the messages.
    pub(super) field: &'static str,
    pub(super) log: bool,
    pub(super) season: usize,
    /// The last bar, when it is stored.
    pub(super) origin: Option<Arc<Origin>>,
}

/// What is asked of a model, checked.
pub(super) struct Terms {
    pub(super) id: Option<u64>,
    pub(super) horizon: usize,
    pub(super) levels: Vec<Level>,
}

type Model = Arc<dyn ForecastModel>;

/// The model that a request names.
///
/// # Errors
/// Invalid: none that may be named here.
pub(super) fn resolve(models: &Providers, name: &str) -> Result<Arc<dyn ForecastModel>> {
    let model = models.parse(name);
    model.map_err(|e| invalid("model", e.to_string()))
}

/// The model that a request names, if it names one, and what is asked of it.
///
/// # Errors
/// Invalid, with the field.
pub(super) fn checked(
    request: &PredictRequest,
    models: &Providers,
) -> Result<(Option<Model>, Terms)> {
    let horizon = request.horizon;
    if !(1..=MAX_HORIZON).contains(&horizon) {
        return Err(invalid(
            "horizon",
            format!("expected 1 to {MAX_HORIZON} steps, got {horizon}"),
        ));
    }
    let model = request.model.as_deref();
    let model = model.map(|name| resolve(models, name)).transpose()?;
    let percent = request.levels.clone().unwrap_or_else(|| vec![80.0, 95.0]);
    if percent.len() > MAX_LEVELS {
        return Err(invalid(
            "levels",
            format!("expected at most {MAX_LEVELS}, got {}", percent.len()),
        ));
    }
    if let Some(level) = percent.iter().find(|l| !(**l > 0.0 && **l < 100.0)) {
        return Err(invalid(
            "levels",
            format!("expected percentages between 0 and 100, got {level}"),
        ));
    }
    if let Some(season) = request.season.filter(|s| !(1..=MAX_SEASON).contains(s)) {
        return Err(invalid(
            "season",
            format!("expected 1 to {MAX_SEASON} steps, got {season}"),
        ));
    }
    let terms = Terms {
        id: request.id,
        horizon: horizon as usize,
        levels: levels(&percent),
    };
    Ok((model, terms))
}

/// The model to answer by: what is named, else what is served of a stored series at its origin.
pub(super) fn choose(named: Option<Model>, origin: Option<&Origin>, choice: &Choice) -> Model {
    named.unwrap_or_else(|| choice.by_default(origin))
}

impl Subject {
    /// Of a request; a series has `most` values at most.
    ///
    /// # Errors
    /// Invalid, with the field.
    pub(super) fn new(request: PredictRequest, most: usize) -> Result<Self> {
        let season = season(&request);
        match (request.series, request.symbol, request.interval) {
            (Some(values), None, None) => {
                if values.is_empty() || values.len() > most {
                    return Err(invalid(
                        "series",
                        format!("expected 1 to {most} values, got {}", values.len()),
                    ));
                }
                Ok(Self::Fresh(Fresh {
                    values: values.iter().map(|v| v.unwrap_or(f64::NAN)).collect(),
                    field: "series",
                    log: false,
                    season,
                    origin: None,
                }))
            }
            (None, Some(symbol), Some(interval)) if season == interval.default_season() => {
                Ok(Self::Stored(symbol, interval))
            }
            (None, Some(symbol), Some(interval)) => Ok(Self::OfSeason {
                symbol,
                interval,
                season,
            }),
            (None, Some(_), None) => Err(invalid("interval", "expected one beside symbol")),
            (None, None, Some(_)) => Err(invalid("symbol", "expected one beside interval")),
            (None, None, None) => Err(invalid(
                "symbol",
                "expected either symbol and interval, or series",
            )),
            (Some(_), _, _) => Err(invalid(
                "series",
                "expected either symbol and interval, or series, not both",
            )),
        }
    }
}

/// The season that a request is about, in steps.
pub(super) fn season(request: &PredictRequest) -> usize {
    match (request.season, request.interval) {
        (Some(season), _) => season as usize,
        (None, Some(interval)) if request.series.is_none() => interval.default_season(),
        _ => 1,
    }
}

/// What the core refused, by the field of the request that it is about.
pub(super) fn refusal(error: forecast::Error, series: &'static str) -> ServingError {
    let detail = error.to_string();
    match &error {
        forecast::Error::TooShort { .. }
        | forecast::Error::NotFinite { .. }
        | forecast::Error::TooSmall { .. }
        | forecast::Error::NotPositive { .. } => invalid(series, detail),
        forecast::Error::Argument { name: "season", .. } => invalid("season", detail),
        forecast::Error::Argument { name: "level", .. } => invalid("levels", detail),
        forecast::Error::Argument {
            name: "horizon", ..
        } => invalid("horizon", detail),
        forecast::Error::Argument { .. }
        | forecast::Error::Parse { .. }
        | forecast::Error::UnknownScheme { .. }
        | forecast::Error::Unavailable { .. }
        | forecast::Error::Unsupported { .. } => invalid("model", detail),
        forecast::Error::Cancelled => ServingError::Closed,
        _ => ServingError::Model { detail },
    }
}
