//! The settings of live forecasts: by which models, of which bars, how far.

use std::time::Duration;

use forecast::{BASELINES, Calibration, Classical, ModelProvider as _, ModelRef};
use market::Interval;
use mlops::worker::CHAMPION;

use super::{
    DeviceChoice, Layers, at_least, retention,
    settings::{Setting, list, setting},
    within,
};

/// The settings.
pub const FORECAST: &[Setting] = &[
    list(
        "forecast.models",
        "naive,drift,snaive,theta",
        "a list of models, such as naive, drift, snaive, ets, theta, auto-arima",
        "Models whose fans are made at each closed bar. naive, drift and snaive always are among them.",
    ),
    setting(
        "forecast.default_model",
        CHAMPION,
        "champion, or a model",
        "Model of a forecast that names none: champion stands for the champion of the series, and for naive (on the chart \
         for theta) where it has none; a model that is named here answers in the place of every champion.",
    ),
    setting(
        "forecast.champion_expiry_days",
        "30",
        "days from 1 to 36525, or nothing",
        "A champion whose training ended so many days before the newest bar is not served any more, and naive is; \
         nothing: never.",
    ),
    list(
        "forecast.intervals",
        "1m,5m,15m,1h,1d",
        "a list of 1s, 1m, 5m, 15m, 1h, 1d",
        "Intervals forecast for every symbol; in one process with its readers (serve), others are for symbols \
         that are watched.",
    ),
    setting(
        "forecast.horizon_steps",
        "30",
        "a number from 1 to 1000",
        "Steps of a live forecast.",
    ),
    setting(
        "forecast.window_bars",
        "500",
        "a number from 10",
        "Closed bars that a forecast of a stored symbol is fitted on, live and on request.",
    ),
    setting(
        "forecast.calibration",
        "adaptive",
        "none, split or adaptive",
        "How prediction intervals are calibrated on past outcomes; none leaves the model's own.",
    ),
    setting(
        "forecast.device",
        "cpu",
        "cpu, flex, ndarray or wgpu",
        "Where trained models run. Without a graphics adapter wgpu is the CPU; `tickcast devices` lists what is there.",
    ),
];

/// Live forecasts.
#[derive(Clone, Debug)]
pub struct ForecastConfig {
    /// Models made at each closed bar; naive first.
    pub models: Vec<ModelRef>,
    /// The model of a forecast that names none, in the place of a series' champion.
    pub default_model: Option<ModelRef>,
    /// A champion whose training ended longer before the newest bar is not served.
    pub champion_expiry: Option<Duration>,
    /// How intervals are calibrated.
    pub calibration: Calibration,
    /// Where trained models run.
    pub device: DeviceChoice,
    /// Intervals forecast for every symbol.
    pub intervals: Vec<Interval>,
    /// Steps.
    pub horizon_steps: usize,
    /// Closed bars fitted on.
    pub window_bars: usize,
}

pub(super) fn read_forecast(l: &mut Layers) -> Option<ForecastConfig> {
    let mut models = l.many("forecast.models", model);
    // A model is judged beside all of them, so they always run.
    models.retain(|m| !BASELINES.contains(&m.as_str()));
    models.splice(0..0, BASELINES.iter().filter_map(|name| name.parse().ok()));
    let intervals = l.many("forecast.intervals", str::parse::<Interval>);
    let horizon_steps = l.one("forecast.horizon_steps", |t| within(t, 1, 1_000));
    let window_bars = at_least(l, "forecast.window_bars", 10);
    let calibration = l.one("forecast.calibration", str::parse::<Calibration>);
    let device = l.one("forecast.device", str::parse::<DeviceChoice>);
    let default_model = l.one("forecast.default_model", |t| match t {
        CHAMPION => Ok(None),
        named => model(named).map(Some),
    });
    let champion_expiry = l.one("forecast.champion_expiry_days", |t| match t {
        "" => Ok(None),
        age => retention::days(age).map(|d| Some(Duration::from_secs(u64::from(d) * 86_400))),
    });
    Some(ForecastConfig {
        models,
        default_model: default_model?,
        champion_expiry: champion_expiry?,
        calibration: calibration?,
        device: device?,
        intervals,
        horizon_steps: horizon_steps?,
        window_bars: window_bars?,
    })
}

/// A model by its name; what has a scheme is found, or not, when it is loaded.
fn model(text: &str) -> forecast::Result<ModelRef> {
    let reference: ModelRef = text.parse()?;
    if reference.scheme().is_none() {
        Classical.check(&reference)?;
    }
    Ok(reference)
}
