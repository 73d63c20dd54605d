//! A state is made once, whoever needs it first and however its model is named.

use std::sync::{
    Arc, Condvar, Mutex,
    atomic::{AtomicI64, AtomicUsize, Ordering},
};

use forecast::{
    Calibration, Cost, FitOptions, ForecastModel, History, ModelProvider, ModelRef, ModelSpec,
    ModelState, Needs, Providers,
};
use market::{Fan, Interval, Tick, Timestamp};
use pipeline::{Clock as _, MarketTime};
use serving::ServingConfig;

use crate::harness::*;

fn config(model: &str) -> ServingConfig {
    let mut config = m1_only();
    config.forecast.models = vec![model.parse().unwrap()];
    config.forecast.calibration = Calibration::None;
    config
}

/// A tick in each of 41 minutes: forty of them are closed.
fn minutes() -> Vec<Tick> {
    let close = |minute: i64| 50.0 + (minute * 7 % 11) as f64;
    let one = |minute| tick("AAA", minute * 60, minute as u64, close(minute));
    (0..=40).map(one).collect()
}

/// The fan of a model, once it is there.
async fn fan(stage: &Stage, model: &str) -> Fan {
    let found = || {
        let fans = stage.serving.forecasts.latest(&symbol("AAA"), Interval::M1);
        fans.into_iter().find(|fan| fan.model == model)
    };
    until(|| async { found().is_some() }).await;
    found().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_model_that_is_configured_under_a_longer_name_shares_its_state_with_the_shorter_one() {
    let dir = tempfile::tempdir().unwrap();
    let store = Arc::new(open(dir.path()).await);
    // A clock that goes on whenever somebody looks at it.
    let looks = AtomicI64::new(0);
    let wall = Arc::new(move || at(10_000_000 + looks.fetch_add(1, Ordering::SeqCst)));
    let long = "arima(1,1,1)(0,0,0)[4]";
    let stage = Stage::start_at(MarketTime::Replay, wall.clone(), config(long), store).await;
    stage.write(minutes()).await;
    let fan = fan(&stage, long).await;
    let before: Timestamp = wall.now();
    for name in ["arima(1,1,1)", long] {
        let asked = stage.serving.predictor.predict(request(name, 3)).await;
        let prediction = asked.unwrap();
        assert_eq!(prediction.model, "arima(1,1,1)");
        assert_eq!(
            (prediction.mean, prediction.bands),
            (fan.mean.clone(), fan.bands.clone())
        );
        let fitted_at = prediction.origin.unwrap().fitted_at;
        assert!(fitted_at < before, "{name} was fitted anew");
    }
}

/// Counts fits, and holds them back until it is opened.
#[derive(Debug, Default)]
struct Gate {
    begun: AtomicUsize,
    is_open: Mutex<bool>,
    opened: Condvar,
}

impl Gate {
    fn pass(&self) {
        self.begun.fetch_add(1, Ordering::SeqCst);
        let is_open = self.is_open.lock().unwrap();
        drop(self.opened.wait_while(is_open, |open| !*open).unwrap());
    }

    fn open(&self) {
        *self.is_open.lock().unwrap() = true;
        self.opened.notify_all();
    }
}

/// The drift model behind a gate, `gated:drift`.
#[derive(Clone, Debug)]
struct Gated(Arc<Gate>);

impl ForecastModel for Gated {
    fn name(&self) -> String {
        "gated:drift".to_owned()
    }

    fn needs(&self, options: &FitOptions) -> Needs {
        ModelSpec::Drift.needs(options)
    }

    fn cost(&self, observations: usize, missing: bool, options: &FitOptions) -> Cost {
        ModelSpec::Drift.cost(observations, missing, options)
    }

    fn fit(
        &self,
        history: &History<'_>,
        options: &FitOptions,
    ) -> forecast::Result<Box<dyn ModelState>> {
        self.0.pass();
        ForecastModel::fit(&ModelSpec::Drift, history, options)
    }

    fn load(&self, state: &[u8]) -> forecast::Result<Box<dyn ModelState>> {
        ModelSpec::Drift.load(state)
    }
}

impl ModelProvider for Gated {
    fn schemes(&self) -> Vec<&str> {
        vec!["gated"]
    }

    fn models(&self) -> Vec<ModelRef> {
        Vec::new()
    }

    fn resolve(&self, _: &ModelRef) -> forecast::Result<Arc<dyn ForecastModel>> {
        Ok(Arc::new(self.clone()))
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_waits_for_the_live_fit_of_the_same_state() {
    let dir = tempfile::tempdir().unwrap();
    let store = Arc::new(open(dir.path()).await);
    let gate = Arc::new(Gate::default());
    let gated = Arc::new(Gated(Arc::clone(&gate)));
    let models = Providers::new(vec![Arc::new(forecast::Classical), gated]);
    let stage = Stage::start_with(models, config("gated:drift"), store).await;
    stage.write(minutes()).await;
    until(|| async { gate.begun.load(Ordering::SeqCst) == 1 }).await;
    let predictor = stage.serving.predictor.clone();
    let asked = tokio::spawn(async move { predictor.predict(request("gated:drift", 3)).await });
    // Enough to come to a fit of its own, if it did not wait.
    tokio::time::sleep(std::time::Duration::from_millis(100)).await;
    gate.open();
    let prediction = within(asked).await.unwrap().unwrap();
    let fan = fan(&stage, "gated:drift").await;
    assert_eq!((prediction.mean, prediction.bands), (fan.mean, fan.bands));
    assert_eq!(gate.begun.load(Ordering::SeqCst), 1, "fits of one state");
}
