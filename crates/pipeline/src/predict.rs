//! Forecasts on request: of a stored symbol, or of a series in the request.
//!
//! Model: a bounded number is computed at once, on a pool of threads; a further request is refused
//! rather than queued. A computation that takes too long goes on to its end and counts until then,
//! so that time-outs cannot pile up work.
//!
//! What it does not do: write to the ledger; only forecasts at closed bars are judged.

use std::{sync::Arc, time::Duration};

use forecast::{FitOptions, ModelSpec};
use market::{
    Interval, Symbol, Timestamp,
    wire::{PredictRequest, Prediction},
};
use store::{BarQuery, Store};
use tokio::sync::Semaphore;

use crate::{
    PipelineError, Result,
    clock::MarketClock,
    config::{ForecastConfig, PredictConfig},
    cpu::Cpu,
    forecasts::{bands, closes, levels},
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
    store: Arc<dyn Store>,
    market: Arc<MarketClock>,
    config: PredictConfig,
    live: ForecastConfig,
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
        store: Arc<dyn Store>,
        market: Arc<MarketClock>,
        config: PredictConfig,
        live: ForecastConfig,
        cpu: Cpu,
        counters: Arc<Counters>,
    ) -> Self {
        let slots = Arc::new(Semaphore::new(config.in_flight.max(1)));
        Self {
            inner: Arc::new(Inner {
                store,
                market,
                config,
                live,
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
        let (model, horizon, bands_at) = check(&request)?;
        let slot = Arc::clone(&self.inner.slots)
            .try_acquire_owned()
            .map_err(|_| {
                self.inner.counters.predictions_refused.add(1);
                PipelineError::Busy {
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
                model
                    .fit(&series.values, &options)
                    .and_then(|fitted| fitted.forecast(horizon, &levels(&bands_at)))
                    .map_err(|e| refusal(e, series.field))
            };
            let mut forecast = self.inner.cpu.run(work).await??;
            Ok(Prediction {
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
            })
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
                let (values, start) = self.stored(symbol, interval).await?;
                Ok(Series {
                    values,
                    field: "symbol",
                    log: self.inner.live.log,
                    season: season(Some(interval)),
                    origin: Some((interval, start)),
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

    /// The closes of the closed bars of a symbol, and the start of the last.
    async fn stored(&self, symbol: &Symbol, interval: Interval) -> Result<(Vec<f64>, Timestamp)> {
        let window = self.inner.config.window_bars.max(1);
        let query = BarQuery {
            symbol: symbol.clone(),
            interval,
            from: Timestamp::MIN,
            until: Timestamp::MAX,
            limit: window + 1,
        };
        let mut bars = self.inner.store.bars(&query).await?;
        if bars
            .last()
            .is_some_and(|bar| self.inner.market.is_going_on(bar))
        {
            bars.pop();
        }
        let Some(last) = bars.last() else {
            return Err(PipelineError::NotFound {
                field: "symbol",
                what: format!("a closed {interval} bar of {symbol}"),
            });
        };
        let start = last.start;
        let values = closes(&bars, interval, window, self.inner.live.max_carried_bars);
        Ok((values, start))
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
