//! Forecasts on request: of a stored symbol, or of a series in the request.
//!
//! Model: what a fit costs is estimated before it starts (`forecast::Cost`). One that cannot end in time, or
//! needs too much memory, is refused at once. The others run in one of two lanes, each with a pool of threads
//! and a bound on what it has in hand; a further request is refused rather than queued: quick ones never wait
//! for long ones, and one client has at most half of the places for long ones. A fit that nobody waits for any more,
//! because it took too long, because the client is gone or the server stops, is stopped within a few steps of its
//! search.
//!
//! What it does not do: write to the ledger; only forecasts at closed bars are judged.

mod lane;
mod request;

use std::{
    net::IpAddr,
    sync::Arc,
    time::{Duration, Instant},
};

use forecast::{
    Calibration, CalibrationOptions, CancelToken, FitOptions, FitReport, FittedModel, Forecast,
    ForecastModel, History, ModelRef, Providers, Served, ServedState,
};
use market::{ErrorKind, Interval, Symbol, Timestamp};
use pipeline::MarketClock;
use protocol::{PredictRequest, Prediction, PredictionOrigin};

use self::{
    lane::{Lane, Slot, StopOnDrop, refuse_beyond},
    request::{Fresh, Subject, Terms, checked, choose, refusal, resolve},
};
use crate::{
    PredictStats, Result, ServingError,
    config::{ForecastConfig, PredictConfig},
    contenders::{Choice, is_registered, naive},
    cpu::Cpu,
    error::invalid,
    model_cache::{CachedModel, ModelCache},
    origin::{Origin, bands, has_no_width, recipe},
    series_reader::SeriesReader,
    stats::Counters,
};

/// A horizon up to which a forecast from a kept state is made at once, without a place in a lane: it takes
/// microseconds.
const INLINE_STEPS: usize = 100;
/// A fit that is estimated to take longer than this, in seconds, is a long one.
const QUICK_S: f64 = 0.5;

/// Makes forecasts on request. Cheap to clone.
#[derive(Clone)]
pub struct Predictor {
    inner: Arc<Inner>,
    /// Whose share of the long lane its fits count on; those of whom no address is known have one together.
    client: Option<IpAddr>,
}

struct Inner {
    reader: SeriesReader,
    cache: Arc<ModelCache>,
    /// What a request may name.
    models: Providers,
    config: PredictConfig,
    /// How stored prices are forecast.
    forecast: ForecastConfig,
    market: Arc<MarketClock>,
    /// What answers where a request names no model.
    choice: Choice,
    quick: Lane,
    long: Lane,
    /// Stops every fit.
    stop: CancelToken,
    counters: Arc<Counters>,
}

impl std::fmt::Debug for Predictor {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Predictor")
            .field("config", &self.inner.config)
            .finish_non_exhaustive()
    }
}

/// What is told of the fit behind a forecast: of the fitted model, its options, and the seconds of the fit.
type Look<T> = fn(&dyn FittedModel, &FitOptions, f64) -> T;

impl Predictor {
    pub(crate) fn new(
        reader: SeriesReader,
        models: Providers,
        config: PredictConfig,
        forecast: ForecastConfig,
        choice: Choice,
        market: Arc<MarketClock>,
        counters: Arc<Counters>,
    ) -> Result<Self> {
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        // A core stays with everything else, where there is more than one.
        let threads = cores.saturating_sub(1).max(1);
        let long = Cpu::with_threads("predict-long", threads)?;
        Ok(Self {
            inner: Arc::new(Inner {
                quick: Lane::new("forecasts", config.in_flight, Cpu::new("predict")?),
                long: Lane::new("long forecasts", config.long_in_flight, long).shared(),
                stop: CancelToken::new(),
                reader,
                cache: Arc::default(),
                models,
                config,
                forecast,
                choice,
                market,
                counters,
            }),
            client: None,
        })
    }

    /// The same for a client, on whose share of the long lane its fits then count.
    #[must_use]
    pub fn on_behalf_of(&self, client: Option<IpAddr>) -> Self {
        Self {
            client,
            ..self.clone()
        }
    }

    /// Where the states of stored series come from and are kept: who forecasts at closed bars shares them.
    pub(crate) fn served(&self) -> (SeriesReader, Arc<ModelCache>, Choice) {
        let inner = &self.inner;
        let (reader, choice) = (inner.reader.clone(), inner.choice.clone());
        (reader, Arc::clone(&inner.cache), choice)
    }

    /// Stops every fit, and takes no more requests.
    pub(crate) fn close(&self) {
        self.inner.stop.cancel();
        self.inner.quick.close();
        self.inner.long.close();
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

    /// The state of a model of a stored series at its newest closed bar, as bytes; and the start of that bar.
    ///
    /// # Errors
    /// As [`Self::predict`].
    pub async fn state(
        &self,
        symbol: &Symbol,
        interval: Interval,
        model: &str,
    ) -> Result<(Timestamp, Vec<u8>)> {
        let model = resolve(&self.inner.models, model)?;
        self.in_time(async {
            let origin = self.inner.reader.origin(symbol, interval).await?;
            let origin = self.inner.reader.reaching(origin, &*model).await?;
            let (_, state) = self.state_at(&origin, &model).await?;
            let bytes = state.save().map_err(|e| refusal(e, "model"))?;
            Ok((origin.start, bytes))
        })
        .await
    }

    /// The end of the newest closed bar of a series.
    pub(crate) async fn newest(&self, symbol: &Symbol, interval: Interval) -> Result<Timestamp> {
        Ok(self.inner.reader.origin(symbol, interval).await?.end())
    }

    /// Makes a forecast, and shows what is behind it to `look`.
    async fn look<T: Send + 'static>(
        &self,
        request: PredictRequest,
        look: Look<T>,
    ) -> Result<(Prediction, T)> {
        let (model, terms) = checked(&request, &self.inner.models)?;
        let answer = self
            .in_time(async {
                let subject = Subject::new(request, self.inner.config.max_series)?;
                match subject {
                    Subject::Stored(symbol, interval) => {
                        let origin = self.inner.reader.origin(&symbol, interval).await?;
                        let is_named = model.is_some();
                        let model = choose(model, Some(&*origin), &self.inner.choice);
                        let is_champion = !is_named && is_registered(&model.name());
                        match self.stored(&terms, model, &origin, look).await {
                            // A champion whose last bar is not in the store any more, or too far back.
                            Err(error) if is_champion && error.kind() == ErrorKind::Invalid => {
                                tracing::debug!(%symbol, %interval, %error, "naive answers in the place of the champion");
                                self.stored(&terms, naive(), &origin, look).await
                            }
                            made => made,
                        }
                    }
                    // A champion has the season that it was trained with, and closes of its own.
                    Subject::OfSeason {
                        symbol,
                        interval,
                        season,
                    } => {
                        let model = choose(model, None, &self.inner.choice);
                        let series = self.of_season(&symbol, interval, season).await?;
                        self.fresh(terms, model, series, look).await
                    }
                    Subject::Fresh(series) => {
                        let model = choose(model, None, &self.inner.choice);
                        self.fresh(terms, model, series, look).await
                    }
                }
            })
            .await;
        if answer.is_ok() {
            self.inner.counters.predictions.add(1);
        }
        answer
    }

    async fn in_time<T>(&self, work: impl Future<Output = Result<T>>) -> Result<T> {
        let timeout_ms = self.inner.config.timeout_ms;
        let limit = Duration::from_millis(timeout_ms);
        let late = ServingError::Timeout { timeout_ms };
        tokio::time::timeout(limit, work).await.unwrap_or(Err(late))
    }

    /// By the state that is served of a stored series.
    async fn stored<T>(
        &self,
        terms: &Terms,
        model: Arc<dyn ForecastModel>,
        origin: &Arc<Origin>,
        look: Look<T>,
    ) -> Result<(Prediction, T)> {
        let origin = Arc::clone(origin);
        let origin = self.inner.reader.reaching(origin, &*model).await?;
        let (name, state) = self.state_at(&origin, &model).await?;
        let (horizon, levels) = (terms.horizon, terms.levels.clone());
        let served = if horizon <= INLINE_STEPS {
            state.forecast(horizon, &levels)
        } else {
            let _slot = self.enter(&self.inner.quick)?;
            let state = state.clone();
            let work = move || state.forecast(horizon, &levels);
            self.inner.quick.cpu.run(work).await?
        };
        let served = served.map_err(|e| refusal(e, "symbol"))?;
        let observations = origin.window.len();
        check_width(&served.forecast, observations, "symbol")?;
        let (fitted_from, fitted_to) = state.fitted_range();
        let recipe = recipe(&self.inner.forecast, origin.interval);
        let prediction = Prediction {
            origin: Some(PredictionOrigin {
                start: origin.start,
                close: origin.close,
                state: state.version(),
                fitted_at: state.fitted_at(),
                fitted_from,
                fitted_to,
                fitted_observations: state.fitted_observations(),
            }),
            targets: origin.targets(horizon),
            ..prediction(terms.id, name.to_string(), observations, &served)
        };
        let seen = look(state.fitted(), &recipe.fit, state.seconds());
        Ok((prediction, seen))
    }

    /// The state of a model at an origin: kept, or made now, once for all who wait for it.
    async fn state_at(
        &self,
        origin: &Arc<Origin>,
        model: &Arc<dyn ForecastModel>,
    ) -> Result<(ModelRef, CachedModel)> {
        let inner = &self.inner;
        let name: ModelRef = model.name().parse().map_err(|e| refusal(e, "model"))?;
        let key = origin.key();
        let current = || {
            let kept = inner.cache.get(&key, &name);
            kept.filter(|kept| kept.is_current(&origin.window))
        };
        if let Some(state) = current() {
            return Ok((name, state));
        }
        let _turn = inner.cache.turn(&key, &name).await;
        if let Some(state) = current() {
            return Ok((name, state));
        }
        let recipe = recipe(&inner.forecast, origin.interval);
        let values = origin.window.len();
        let lane = self.lane(&**model, values, false, &recipe.fit)?;
        let slot = self.enter(lane)?;
        let token = inner.stop.child();
        let _stops = StopOnDrop(token.clone());
        let kept = inner.cache.get(&key, &name);
        let (at, model) = (Arc::clone(origin), Arc::clone(model));
        let now = inner.market.wall();
        let work = move || {
            let _slot = slot;
            token.scope(|| CachedModel::at(&at.window, kept, &*model, &recipe, now))
        };
        let made = lane.cpu.run(work).await?;
        let (state, _) = made.map_err(|e| refusal(e, "symbol"))?;
        inner.cache.put(key, name.clone(), state.clone());
        Ok((name, state))
    }

    /// The stored closes of a symbol, to be fitted with a season of the request's own.
    async fn of_season(&self, symbol: &Symbol, interval: Interval, season: usize) -> Result<Fresh> {
        let origin = self.inner.reader.origin(symbol, interval).await?;
        Ok(Fresh {
            values: origin.window.values().to_vec(),
            field: "symbol",
            log: self.inner.forecast.log,
            season,
            origin: Some(origin),
        })
    }

    /// By a fit that is made for this request alone.
    async fn fresh<T: Send + 'static>(
        &self,
        terms: Terms,
        model: Arc<dyn ForecastModel>,
        series: Fresh,
        look: Look<T>,
    ) -> Result<(Prediction, T)> {
        let options = FitOptions {
            season: series.season,
            log: series.log,
            ..FitOptions::default()
        };
        let missing = series.values.iter().any(|v| v.is_nan());
        let lane = self.lane(&*model, series.values.len(), missing, &options)?;
        let slot = self.enter(lane)?;
        let token = self.inner.stop.child();
        let _stops = StopOnDrop(token.clone());
        let observations = series.values.iter().filter(|v| v.is_finite()).count();
        let origin = series.origin.clone();
        let calibration = CalibrationOptions::new(self.inner.forecast.calibration, terms.horizon);
        let Terms {
            id,
            horizon,
            levels,
        } = terms;
        let name = model.name();
        let fit = move || {
            let began = Instant::now();
            let history = History::from(&series.values);
            let state = ServedState::fit(&*model, &history, &options, &calibration)
                .map_err(|e| refusal(e, series.field))?;
            let seconds = began.elapsed().as_secs_f64();
            let served = state
                .forecast(horizon, &levels)
                .map_err(|e| refusal(e, series.field))?;
            if series.origin.is_some() {
                check_width(&served.forecast, observations, series.field)?;
            }
            Ok::<_, ServingError>((served, look(state.fitted(), &options, seconds)))
        };
        let work = move || {
            let _slot = slot;
            token.scope(fit)
        };
        let (served, seen) = lane.cpu.run(work).await??;
        let prediction = Prediction {
            targets: origin.map_or_else(Vec::new, |origin| origin.targets(horizon)),
            ..prediction(id, name, observations, &served)
        };
        Ok((prediction, seen))
    }

    fn enter(&self, lane: &Lane) -> Result<Slot> {
        let refused = &self.inner.counters.predictions_refused;
        lane.enter(self.client).inspect_err(|_| refused.add(1))
    }

    /// How it stands.
    pub fn stats(&self) -> PredictStats {
        PredictStats {
            in_flight: self.inner.quick.in_hand() + self.inner.long.in_hand(),
            answered: self.inner.counters.predictions.read(),
            refused: self.inner.counters.predictions_refused.read(),
        }
    }

    /// The lane that a fit belongs into.
    ///
    /// # Errors
    /// Invalid, when it cannot end in time or needs too much memory.
    fn lane(
        &self,
        model: &dyn ForecastModel,
        values: usize,
        missing: bool,
        options: &FitOptions,
    ) -> Result<&Lane> {
        let mut cost = model.cost(values, missing, options);
        cost.operations *= self.inner.forecast.calibration.fits();
        refuse_beyond(&cost, &model.name(), values, self.inner.config.timeout_ms)?;
        Ok(if cost.seconds() > QUICK_S {
            &self.inner.long
        } else {
            &self.inner.quick
        })
    }
}

/// The answer, without what only a stored series has.
fn prediction(id: Option<u64>, model: String, observations: usize, served: &Served) -> Prediction {
    let calibrated = served.calibration != Calibration::None;
    Prediction {
        id,
        model,
        observations,
        mean: served.forecast.mean.clone(),
        bands: bands(&served.forecast.intervals),
        own_bands: if calibrated {
            bands(&served.own)
        } else {
            Vec::new()
        },
        calibration: served.calibration.to_string(),
        targets: Vec::new(),
        origin: None,
    }
}

/// # Errors
/// Invalid, where the closes do not tell how far the price may move.
fn check_width(forecast: &Forecast, observations: usize, field: &'static str) -> Result<()> {
    if has_no_width(forecast) {
        let detail = format!(
            "{observations} closes do not tell how far the price may move: too few, or all the same"
        );
        return Err(invalid(field, detail));
    }
    Ok(())
}
