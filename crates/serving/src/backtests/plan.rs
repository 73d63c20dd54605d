//! A backtest that was asked for, checked against what may be asked, and its computation.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Instant,
};

use forecast::{
    BASELINES, CalibrationOptions, CancelToken, FitOptions, ForecastModel, Providers,
    backtest::{Backtest, Control, Report, Window},
};
use market::{Symbol, Timestamp};

use super::request::{BacktestRequest, Backtested};
use crate::{Result, config::BacktestConfig, error::invalid, series_reader::Closes};

/// How far a backtest is; shared by those who compute and those who wait.
#[derive(Default)]
pub(super) struct Job {
    pub(super) done: AtomicUsize,
    pub(super) all: AtomicUsize,
    pub(super) series: AtomicUsize,
    pub(super) stop: CancelToken,
}

/// The threads of one backtest: its share of the cores.
pub(super) fn threads(config: &BacktestConfig) -> usize {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    (cores / config.in_flight.max(1)).max(1)
}

/// A request that was checked.
pub(super) struct Plan {
    pub(super) symbols: Vec<Symbol>,
    models: Vec<Arc<dyn ForecastModel>>,
    layout: Backtest,
}

impl Plan {
    /// # Errors
    /// Invalid, with the field.
    pub(super) fn new(
        request: &BacktestRequest,
        providers: &Providers,
        config: &BacktestConfig,
    ) -> Result<Self> {
        let symbols = each_once(request.symbols.iter().cloned());
        let most = config.max_symbols;
        if symbols.is_empty() || symbols.len() > most {
            let detail = format!("expected 1 to {most}, got {}", symbols.len());
            return Err(invalid("symbols", detail));
        }
        let mut models: Vec<Arc<dyn ForecastModel>> = Vec::new();
        for name in &request.models {
            let model = providers
                .parse(name)
                .map_err(|e| invalid("models", e.to_string()))?;
            if models.iter().all(|known| known.name() != model.name()) {
                models.push(model);
            }
        }
        if models.is_empty() {
            return Err(invalid("models", "expected at least one"));
        }
        let within = |field, value: usize, most: usize| {
            if (1..=most).contains(&value) {
                return Ok(value);
            }
            Err(invalid(field, format!("expected 1 to {most}, got {value}")))
        };
        let horizon = within("horizon", request.horizon, config.max_horizon)?;
        let origins = within("origins", request.origins, config.window_bars)?;
        let step = within("step", request.step.unwrap_or(horizon), config.window_bars)?;
        let window = match request.window {
            Some(window) => Window::Sliding(within("window", window, config.window_bars)?),
            None => Window::Expanding,
        };
        let layout = Backtest {
            horizon,
            origins,
            step,
            window,
            options: FitOptions {
                season: request.interval.default_season(),
                log: request.log,
                ..FitOptions::default()
            },
            calibration: CalibrationOptions::new(config.calibration, horizon),
            ..Backtest::default()
        };
        let plan = Self {
            symbols,
            models,
            layout,
        };
        if plan.fits() > config.max_fits {
            let detail = format!(
                "{} symbols with {} models from {origins} origins are {} fits: expected at most {}",
                plan.symbols.len(),
                plan.rows(),
                plan.fits(),
                config.max_fits
            );
            return Err(invalid("origins", detail));
        }
        let seconds = plan.seconds(config.window_bars) / threads(config) as f64;
        if seconds > config.max_seconds as f64 {
            let detail = format!(
                "{} fits would take some {:.0} min, and the limit is {} min: expected fewer origins, symbols or \
                 models, or a window",
                plan.fits(),
                seconds / 60.0,
                config.max_seconds / 60
            );
            return Err(invalid("origins", detail));
        }
        Ok(plan)
    }

    /// About how long one thread takes, in seconds, on series of `most` values.
    fn seconds(&self, most: usize) -> f64 {
        let values = match self.layout.window {
            Window::Sliding(window) => window.min(most),
            Window::Expanding => most,
        };
        let each = self.models.iter().map(|model| {
            let cost = model.cost(values, false, &self.layout.options);
            self.layout.calibration.method.fits() * cost.seconds()
        });
        each.sum::<f64>() * (self.symbols.len() * self.layout.origins) as f64
    }

    /// Models with the baselines that run beside them.
    fn rows(&self) -> usize {
        let asked = |name: &&str| self.models.iter().any(|m| m.name() == **name);
        self.models.len() + BASELINES.iter().filter(|name| !asked(name)).count()
    }

    /// How many fits it is, of all symbols.
    pub(super) fn fits(&self) -> usize {
        self.symbols.len() * self.rows() * self.layout.origins
    }

    /// Whether any series is long enough; what is none is a result of its own beside the others'.
    pub(super) fn check(
        &self,
        series: &[(Symbol, std::result::Result<Closes, String>)],
    ) -> Result<()> {
        let mut why = None;
        for (symbol, closes) in series {
            let fault = match closes {
                Ok(closes) => match self.layout.fits(closes.values.len()) {
                    Ok(()) => return Ok(()),
                    Err(e) => format!("{symbol}: {e}"),
                },
                Err(e) => e.clone(),
            };
            why.get_or_insert(fault);
        }
        why.map_or(Ok(()), |why| Err(invalid("origins", why)))
    }

    /// One symbol after the other, the folds of each in parallel. `None` when it was stopped.
    pub(super) fn run(
        &self,
        series: Vec<(Symbol, std::result::Result<Closes, String>)>,
        job: &Job,
    ) -> Option<Vec<Backtested>> {
        let began = Instant::now();
        let clock = || began.elapsed().as_secs_f64();
        let count = series.len();
        let mut found = Vec::with_capacity(count);
        for (at, (symbol, closes)) in series.into_iter().enumerate() {
            job.series.store(at, Ordering::Relaxed);
            let tell = |done: usize, all: usize| {
                job.all.store(all * count, Ordering::Relaxed);
                // Threads tell in any order; what is shown only grows.
                job.done.fetch_max(at * all + done, Ordering::Relaxed);
            };
            let control = Control {
                progress: Some(&tell),
                cancel: Some(&job.stop),
                clock: Some(&clock),
            };
            let (origins, outcome) = match closes {
                Err(why) => (Vec::new(), Err(why)),
                Ok(closes) => match self.layout.run(&closes.values, &self.models, control) {
                    Err(forecast::Error::Cancelled) => return None,
                    Err(e) => (Vec::new(), Err(e.to_string())),
                    Ok(report) => (origins(&report, &closes.starts), Ok(report)),
                },
            };
            found.push(Backtested {
                symbol,
                origins,
                outcome,
            });
        }
        (!job.stop.is_cancelled()).then_some(found)
    }
}

/// The start of the last bar that was known at each origin.
fn origins(report: &Report, starts: &[Timestamp]) -> Vec<Timestamp> {
    let folds = report.models.first().map_or(&[][..], |row| &row.folds);
    let last = |known: usize| starts.get(known.checked_sub(1)?).copied();
    folds.iter().filter_map(|fold| last(fold.origin)).collect()
}

fn each_once<T: PartialEq>(all: impl Iterator<Item = T>) -> Vec<T> {
    all.fold(Vec::new(), |mut kept, one| {
        if !kept.contains(&one) {
            kept.push(one);
        }
        kept
    })
}
