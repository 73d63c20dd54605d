//! Forecasts on request: of a stored symbol, or of a series in the request.
//!
//! Model: a bounded number is computed at once, on a pool of threads; a further request is refused
//! rather than queued. A computation that takes too long goes on to its end and counts until then,
//! so that time-outs cannot pile up work.
//!
//! What it does not do: write to the ledger; only forecasts at closed bars are judged.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use forecast::{FitOptions, FittedModel, ModelSpec, Summary, diagnostics::autocorrelations};
use market::{
    Interval, Timestamp,
    wire::{PredictRequest, Prediction},
};
use tokio::sync::Semaphore;

use crate::{
    PipelineError, Result,
    closes::StoredCloses,
    config::PredictConfig,
    cpu::Cpu,
    forecasts::{bands, has_no_width, levels},
    stats::{Counters, PredictStats},
};

/// The longest horizon that may be asked for.
const MAX_HORIZON: u32 = 1_000;
/// The most levels that may be asked for.
const MAX_LEVELS: usize = 20;

/// Makes forecasts on request. Cheap to clone.
#[derive(Clone)]
pub struct Predictor {
    inner: Arc<Inner>,
}

struct Inner {
    closes: StoredCloses,
    config: PredictConfig,
    /// Whether stored prices are forecast as logarithms.
    log: bool,
    slots: Arc<Semaphore>,
    cpu: Cpu,
    counters: Arc<Counters>,
}

impl std::fmt::Debug for Predictor {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Predictor")
            .field("config", &self.inner.config)
            .finish_non_exhaustive()
    }
}

/// What the fit behind a forecast found.
#[derive(Clone, Debug, PartialEq)]
pub struct FitReport {
    /// Parameters and criteria; of the logarithms where [`Self::log`] says so.
    pub summary: Summary,
    /// Whether the model was fitted to logarithms.
    pub log: bool,
    /// The season that it was offered, in steps; 1 for none.
    pub season: usize,
    /// How many residuals there are.
    pub residuals: usize,
    /// Their autocorrelations at lags 1, 2, …; empty when they do not vary.
    pub acf: Vec<f64>,
    /// How long the fit took.
    pub seconds: f64,
}

impl FitReport {
    fn new(fitted: &dyn FittedModel, options: &FitOptions, seconds: f64) -> Self {
        let summary = fitted.summary();
        let residuals = fitted.residuals();
        let count = residuals.iter().filter(|e| !e.is_nan()).count();
        // As many as R's acf() shows, and all that the test looks at.
        let usual = (10.0 * (count.max(1) as f64).log10()) as usize;
        let tested = summary.ljung_box.map_or(0, |test| test.lags);
        let lags = usual.max(tested).min(count.saturating_sub(1));
        Self {
            acf: autocorrelations(residuals, lags),
            residuals: count,
            summary,
            log: options.log,
            season: options.season,
            seconds,
        }
    }
}

/// What is forecast.
struct Series {
    values: Vec<f64>,
    /// Where it came from, for the messages.
    field: &'static str,
    log: bool,
    season: usize,
    /// The last bar, when it is stored.
    origin: Option<(Interval, Timestamp)>,
}

impl Predictor {
    pub(crate) fn new(
        closes: StoredCloses,
        config: PredictConfig,
        log: bool,
        cpu: Cpu,
        counters: Arc<Counters>,
    ) -> Self {
        let slots = Arc::new(Semaphore::new(config.in_flight.max(1)));
        Self {
            inner: Arc::new(Inner {
                closes,
                config,
                log,
                slots,
                cpu,
                counters,
            }),
        }
    }

    /// Makes a forecast.
    ///
    /// # Errors
    /// Invalid or not found, with the field; busy; timed out; the model's own; the store's.
    pub async fn predict(&self, request: PredictRequest) -> Result<Prediction> {
        let (prediction, ()) = self.look(request, |_, _, _| ()).await?;
        Ok(prediction)
    }

    /// Makes a forecast, and tells what its fit found.
    ///
    /// # Errors
    /// As [`Self::predict`].
    pub async fn fit(&self, request: PredictRequest) -> Result<(Prediction, FitReport)> {
        self.look(request, FitReport::new).await
    }

    /// Makes a forecast, and shows the fitted model, its options and the seconds of the fit to
    /// `look`.
    async fn look<T: Send + 'static>(
        &self,
        request: PredictRequest,
        look: fn(&dyn FittedModel, &FitOptions, f64) -> T,
    ) -> Result<(Prediction, T)> {
        let (model, horizon, bands_at) = check(&request)?;
        let slot = Arc::clone(&self.inner.slots)
            .try_acquire_owned()
            .map_err(|_| {
                self.inner.counters.predictions_refused.add(1);
                PipelineError::Busy {
                    what: "forecasts",
                    limit: self.inner.config.in_flight,
                }
            })?;
        let limit = Duration::from_millis(self.inner.config.timeout_ms);
        let answer = async {
            let series = self.series(&request).await?;
            let origin = series.origin;
            let observations = series.values.iter().filter(|v| v.is_finite()).count();
            let work = move || {
                let _slot = slot;
                let options = FitOptions {
                    season: series.season,
                    log: series.log,
                    ..FitOptions::default()
                };
                let began = Instant::now();
                let fitted = model
                    .fit(&series.values, &options)
                    .map_err(|e| refusal(e, series.field))?;
                let seconds = began.elapsed().as_secs_f64();
                let forecast = fitted
                    .forecast(horizon, &levels(&bands_at))
                    .map_err(|e| refusal(e, series.field))?;
                if series.origin.is_some() && has_no_width(&forecast) {
                    let detail = format!(
                        "{observations} closes do not tell how far the price may move: too few, or all the same"
                    );
                    return Err(invalid(series.field, detail));
                }
                Ok::<_, PipelineError>((forecast, look(&*fitted, &options, seconds)))
            };
            let (mut forecast, seen) = self.inner.cpu.run(work).await??;
            let prediction = Prediction {
                id: request.id,
                model: model.to_string(),
                observations,
                bands: bands(&mut forecast),
                mean: forecast.mean,
                targets: origin.map_or_else(Vec::new, |(interval, start)| {
                    (1..=request.horizon)
                        .map(|step| interval.step_after(start, step))
                        .collect()
                }),
            };
            Ok((prediction, seen))
        };
        let answer =
            tokio::time::timeout(limit, answer)
                .await
                .map_err(|_| PipelineError::Timeout {
                    timeout_ms: self.inner.config.timeout_ms,
                })?;
        if answer.is_ok() {
            self.inner.counters.predictions.add(1);
        }
        answer
    }

    /// How it stands.
    pub fn stats(&self) -> PredictStats {
        let limit = self.inner.config.in_flight.max(1);
        PredictStats {
            in_flight: limit - self.inner.slots.available_permits().min(limit),
            answered: self.inner.counters.predictions.read(),
            refused: self.inner.counters.predictions_refused.read(),
        }
    }

    async fn series(&self, request: &PredictRequest) -> Result<Series> {
        let season = |interval: Option<Interval>| match request.season {
            Some(season) => season as usize,
            None => interval.map_or(1, Interval::default_season),
        };
        match (&request.series, &request.symbol, request.interval) {
            (Some(values), None, None) => {
                let most = self.inner.config.max_series;
                if values.is_empty() || values.len() > most {
                    return Err(invalid(
                        "series",
                        format!("expected 1 to {most} values, got {}", values.len()),
                    ));
                }
                Ok(Series {
                    values: values.iter().map(|v| v.unwrap_or(f64::NAN)).collect(),
                    field: "series",
                    log: false,
                    season: season(None),
                    origin: None,
                })
            }
            (None, Some(symbol), Some(interval)) => {
                let window = self.inner.config.window_bars;
                let closes = self.inner.closes.read(symbol, interval, window).await?;
                Ok(Series {
                    origin: Some((interval, closes.last)),
                    values: closes.values,
                    field: "symbol",
                    log: self.inner.log,
                    season: season(Some(interval)),
                })
            }
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

fn invalid(field: &'static str, detail: impl Into<String>) -> PipelineError {
    PipelineError::Invalid {
        field,
        detail: detail.into(),
    }
}

fn check(request: &PredictRequest) -> Result<(ModelSpec, usize, Vec<f64>)> {
    let horizon = request.horizon;
    if !(1..=MAX_HORIZON).contains(&horizon) {
        return Err(invalid(
            "horizon",
            format!("expected 1 to {MAX_HORIZON} steps, got {horizon}"),
        ));
    }
    let model = match &request.model {
        Some(name) => name
            .parse()
            .map_err(|e: forecast::Error| invalid("model", e.to_string()))?,
        None => ModelSpec::Naive,
    };
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
    if request.season == Some(0) {
        return Err(invalid("season", "expected at least 1 step, got 0"));
    }
    Ok((model, horizon as usize, percent))
}

/// What the core refused, by the field of the request that it is about.
fn refusal(error: forecast::Error, series: &'static str) -> PipelineError {
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
        | forecast::Error::Unsupported { .. } => invalid("model", detail),
        _ => PipelineError::Model { detail },
    }
}
