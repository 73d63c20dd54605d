//! Forecasts on request: of a stored symbol, or of a series in the request.
//!
//! Model: what a fit costs is estimated before it starts (`forecast::Cost`). One that cannot end in time, or
//! needs too much memory, is refused at once. The others run in one of two lanes, each with a pool of threads
//! and a bound on what it has in hand; a further request is refused rather than queued: quick ones never wait
//! for long ones. A fit that nobody waits for any more, because it took too long, because the
//! client is gone or the server stops, is stopped within a few steps of its search.
//!
//! What it does not do: write to the ledger; only forecasts at closed bars are judged.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use forecast::{
    CancelToken, Cost, FitOptions, FittedModel, ForecastModel, ModelSpec, Providers, Summary,
    diagnostics::autocorrelations,
};
use market::{
    Interval, Timestamp,
    wire::{PredictRequest, Prediction},
};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, TryAcquireError};

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
/// The longest season that may be asked for, in steps, as the core has it.
const MAX_SEASON: u32 = forecast::arima::MAX_SEASON_STEPS as u32;
/// A fit that is estimated to take longer than this, in seconds, is a long one.
const QUICK_S: f64 = 0.5;
/// The estimate may be wrong by so much: what is estimated to take so many times the time-out is refused.
const MARGIN: f64 = 4.0;
/// The largest buffers of one fit, in bytes.
const MAX_FIT_BYTES: f64 = 256.0 * 1024.0 * 1024.0;

/// Makes forecasts on request. Cheap to clone.
#[derive(Clone)]
pub struct Predictor {
    inner: Arc<Inner>,
}

struct Inner {
    closes: StoredCloses,
    /// What a request may name.
    models: Providers,
    config: PredictConfig,
    /// Whether stored prices are forecast as logarithms.
    log: bool,
    quick: Lane,
    long: Lane,
    /// Stops every fit.
    stop: CancelToken,
    counters: Arc<Counters>,
}

/// A pool of threads with a bound on what it has in hand.
struct Lane {
    what: &'static str,
    limit: usize,
    slots: Arc<Semaphore>,
    cpu: Cpu,
}

impl Lane {
    fn new(what: &'static str, limit: usize, cpu: Cpu) -> Self {
        let limit = limit.max(1);
        let slots = Arc::new(Semaphore::new(limit));
        Self {
            what,
            limit,
            slots,
            cpu,
        }
    }

    fn enter(&self) -> Result<OwnedSemaphorePermit> {
        let slots = Arc::clone(&self.slots);
        slots.try_acquire_owned().map_err(|error| match error {
            TryAcquireError::Closed => PipelineError::Closed,
            TryAcquireError::NoPermits => PipelineError::Busy {
                what: self.what,
                limit: self.limit,
            },
        })
    }

    fn in_hand(&self) -> usize {
        self.limit - self.slots.available_permits().min(self.limit)
    }
}

/// Stops a fit when nobody waits for it any more.
struct StopOnDrop(CancelToken);

impl Drop for StopOnDrop {
    fn drop(&mut self) {
        self.0.cancel();
    }
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
        models: Providers,
        config: PredictConfig,
        log: bool,
        counters: Arc<Counters>,
    ) -> Result<Self> {
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        // A core stays with everything else, where there is more than one.
        let threads = cores.saturating_sub(1).max(1);
        let long = Cpu::with_threads("predict-long", threads)?;
        Ok(Self {
            inner: Arc::new(Inner {
                quick: Lane::new("forecasts", config.in_flight, Cpu::new("predict")?),
                long: Lane::new("long forecasts", config.long_in_flight, long),
                stop: CancelToken::new(),
                closes,
                models,
                config,
                log,
                counters,
            }),
        })
    }

    /// Stops every fit, and takes no more requests.
    pub(crate) fn close(&self) {
        self.inner.stop.cancel();
        self.inner.quick.slots.close();
        self.inner.long.slots.close();
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
        let (model, horizon, bands_at) = check(&request, &self.inner.models)?;
        let lane = self.lane(&*model, &request)?;
        let name = model.name();
        let slot = lane
            .enter()
            .inspect_err(|_| self.inner.counters.predictions_refused.add(1))?;
        let token = self.inner.stop.child();
        let _stops = StopOnDrop(token.clone());
        let limit = Duration::from_millis(self.inner.config.timeout_ms);
        let answer = async {
            let series = self.series(&request).await?;
            let origin = series.origin;
            let observations = series.values.iter().filter(|v| v.is_finite()).count();
            let fit = move || {
                let options = FitOptions {
                    season: series.season,
                    log: series.log,
                    ..FitOptions::default()
                };
                let began = Instant::now();
                let fitted = model
                    .fit(&(&series.values).into(), &options)
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
            let work = move || {
                let _slot = slot;
                token.scope(fit)
            };
            let (mut forecast, seen) = lane.cpu.run(work).await??;
            let prediction = Prediction {
                id: request.id,
                model: name,
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
        PredictStats {
            in_flight: self.inner.quick.in_hand() + self.inner.long.in_hand(),
            answered: self.inner.counters.predictions.read(),
            refused: self.inner.counters.predictions_refused.read(),
        }
    }

    /// The lane that a request belongs into.
    ///
    /// # Errors
    /// Invalid, when it cannot end in time or needs too much memory.
    fn lane(&self, model: &dyn ForecastModel, request: &PredictRequest) -> Result<&Lane> {
        let config = &self.inner.config;
        let (values, missing) = match &request.series {
            // A longer one is refused before it is fitted.
            Some(values) => (
                values.len().min(config.max_series),
                values.iter().any(|v| v.is_none_or(f64::is_nan)),
            ),
            None => (config.window_bars, false),
        };
        let options = FitOptions {
            season: season(request),
            ..FitOptions::default()
        };
        let cost = model.cost(values, missing, &options);
        refuse_beyond(&cost, &model.name(), values, config.timeout_ms)?;
        Ok(if cost.seconds() > QUICK_S {
            &self.inner.long
        } else {
            &self.inner.quick
        })
    }

    async fn series(&self, request: &PredictRequest) -> Result<Series> {
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
                    season: season(request),
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
                    season: season(request),
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

/// The season that a request is about, in steps.
fn season(request: &PredictRequest) -> usize {
    match (request.season, request.interval) {
        (Some(season), _) => season as usize,
        (None, Some(interval)) if request.series.is_none() => interval.default_season(),
        _ => 1,
    }
}

/// # Errors
/// Invalid, for a fit that cannot end in time or needs too much memory.
fn refuse_beyond(cost: &Cost, model: &str, values: usize, timeout_ms: u64) -> Result<()> {
    let seconds = cost.seconds();
    if seconds > MARGIN * timeout_ms as f64 / 1e3 {
        let detail = format!(
            "{model} on {values} values would take some {seconds:.0} s, and the limit is {timeout_ms} ms: \
             expected smaller orders, a shorter season or fewer values"
        );
        return Err(invalid("model", detail));
    }
    if cost.bytes > MAX_FIT_BYTES {
        let detail = format!(
            "{model} on {values} values needs some {:.0} MiB: expected smaller orders or a shorter season",
            cost.bytes / (1024.0 * 1024.0)
        );
        return Err(invalid("model", detail));
    }
    Ok(())
}

fn invalid(field: &'static str, detail: impl Into<String>) -> PipelineError {
    PipelineError::Invalid {
        field,
        detail: detail.into(),
    }
}

fn check(
    request: &PredictRequest,
    models: &Providers,
) -> Result<(Arc<dyn ForecastModel>, usize, Vec<f64>)> {
    let horizon = request.horizon;
    if !(1..=MAX_HORIZON).contains(&horizon) {
        return Err(invalid(
            "horizon",
            format!("expected 1 to {MAX_HORIZON} steps, got {horizon}"),
        ));
    }
    let model = match &request.model {
        Some(name) => models
            .parse(name)
            .map_err(|e| invalid("model", e.to_string()))?,
        None => Arc::new(ModelSpec::Naive),
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
    if let Some(season) = request.season.filter(|s| !(1..=MAX_SEASON).contains(s)) {
        return Err(invalid(
            "season",
            format!("expected 1 to {MAX_SEASON} steps, got {season}"),
        ));
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
        | forecast::Error::UnknownScheme { .. }
        | forecast::Error::Unavailable { .. }
        | forecast::Error::Unsupported { .. } => invalid("model", detail),
        forecast::Error::Cancelled => PipelineError::Closed,
        _ => PipelineError::Model { detail },
    }
}
