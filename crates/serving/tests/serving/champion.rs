//! The champion of a series is what is served where nobody names a model; challengers run beside it unseen.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use forecast::{CalibrationOptions, FitOptions, Level, ModelRef, Providers, ServedState};
use market::{Fan, Interval, Timestamp};
use mlops::{
    registered::RegisteredModels,
    training::{MANIFEST_FILE, Manifest, STATE_FILE},
};
use protocol::{PredictRequest, Prediction};
use serving::ServingConfig;
use store::{
    AliasMove, AliasTarget, Artefact, Artefacts as _, ForecastLedger as _, LedgerQuery, Lineage,
    ModelRegistry as _, NewVersion, SqliteStore,
};

use crate::harness::*;

const NAME: &str = "close-1m.AAA";

fn close(minute: i64) -> f64 {
    80.0 + 3.0 * (minute as f64 / 9.0).sin() + (minute * 7_919 % 13) as f64 / 10.0
}

fn version(number: u32) -> String {
    format!("models:/{NAME}/{number}")
}

/// The state of a model that was fitted to the closes of minutes 0 to `last`.
fn trained(model: &str, last: i64) -> ServedState {
    let base = Providers::classical().parse(model).unwrap();
    let closes: Vec<f64> = (0..=last).map(close).collect();
    let calibration = CalibrationOptions::default();
    ServedState::fit(
        &*base,
        &(&closes).into(),
        &FitOptions::default(),
        &calibration,
    )
    .unwrap()
}

/// Registers a version; it has no alias yet.
async fn register(store: &SqliteStore, model: &str, last: i64) {
    let manifest = Manifest {
        format: Manifest::FORMAT,
        reference: model.parse().unwrap(),
        symbol: symbol("AAA"),
        interval: Interval::M1,
        last: at(60 * last),
        options: FitOptions::default(),
        calibration: CalibrationOptions::default(),
    };
    let manifest = serde_json::to_vec(&manifest).unwrap();
    let mut artefacts = Vec::new();
    for (path, bytes) in [
        (MANIFEST_FILE, manifest),
        (STATE_FILE, trained(model, last).save().unwrap()),
    ] {
        artefacts.push(Artefact {
            path: path.to_owned(),
            bytes: bytes.len() as u64,
            sha256: store.put(bytes).await.unwrap(),
        });
    }
    let made = NewVersion {
        name: NAME.to_owned(),
        reference: model.to_owned(),
        lineage: Lineage {
            from: at(0),
            until: at(60 * (last + 1)),
            rows: last.unsigned_abs() + 1,
            sha256: String::new(),
            code_version: "test".to_owned(),
            seed: 0,
            parent: None,
        },
        measures: serde_json::Value::Null,
        artefacts,
        created_by: "test".to_owned(),
        note: String::new(),
    };
    store.publish(made.into(), at(0)).await.unwrap();
}

async fn point(store: &SqliteStore, alias: &str, to: AliasTarget) {
    let to = AliasMove {
        name: NAME.to_owned(),
        alias: alias.to_owned(),
        to,
        expected: None,
        by: "ann".to_owned(),
        why: "a test".to_owned(),
    };
    store.publish(to.into(), at(0)).await.unwrap();
}

/// Forecasts with a registry.
struct Place {
    dir: tempfile::TempDir,
    store: Arc<SqliteStore>,
    models: RegisteredModels,
    stage: Stage,
}

fn config() -> ServingConfig {
    let mut config = m1_only();
    config.forecast.horizon_steps = 4;
    config
}

async fn start(store: &Arc<SqliteStore>, config: ServingConfig) -> (RegisteredModels, Stage) {
    let models = RegisteredModels::new(Providers::classical(), store.clone(), store.clone());
    models.refresh().await.unwrap();
    let stage = Stage::start_with_registry(&models, config, store.clone()).await;
    (models, stage)
}

impl Place {
    async fn open(config: ServingConfig) -> Self {
        Self::in_folder(tempfile::tempdir().unwrap(), config).await
    }

    async fn in_folder(dir: tempfile::TempDir, config: ServingConfig) -> Self {
        let store = Arc::new(open(dir.path()).await);
        let (models, stage) = start(&store, config).await;
        Self {
            dir,
            store,
            models,
            stage,
        }
    }

    async fn restart(self, config: ServingConfig) -> Self {
        let Self {
            dir, store, stage, ..
        } = self;
        stage.stop().await;
        drop(stage);
        store.close().await.unwrap();
        drop(store);
        Self::in_folder(dir, config).await
    }

    async fn minutes(&self, minutes: std::ops::Range<i64>) {
        for minute in minutes {
            let ticks = vec![tick("AAA", minute * 60, minute as u64, close(minute))];
            self.stage.write(ticks).await;
        }
    }

    async fn point(&self, alias: &str, to: AliasTarget) {
        point(&self.store, alias, to).await;
        self.models.refresh().await.unwrap();
    }

    fn shown(&self) -> Vec<Fan> {
        let forecasts = &self.stage.serving.forecasts;
        forecasts.latest(&symbol("AAA"), Interval::M1)
    }

    /// The fan of a model from the bar of this minute, once it is shown.
    async fn fan(&self, model: &str, minute: i64) -> Fan {
        let found = || {
            let mut shown = self.shown().into_iter();
            shown.find(|fan| fan.model == model && fan.origin == at(60 * minute))
        };
        until(|| async { found().is_some() }).await;
        found().unwrap()
    }

    /// Every forecast by this model in the ledger.
    async fn recorded(&self, model: &str) -> Vec<store::LedgerRow> {
        let query = LedgerQuery {
            symbol: symbol("AAA"),
            interval: Interval::M1,
            model: Some(model.to_owned()),
            from: Timestamp::MIN,
            until: Timestamp::MAX,
            limit: 1_000,
        };
        self.store.ledger(&query).await.unwrap()
    }

    async fn served(&self) -> Prediction {
        let predictor = &self.stage.serving.predictor;
        predictor.predict(by_default()).await.unwrap()
    }

    /// All who may be asked say the same as the fan, and as the state that was trained says after the closes since.
    async fn one_answer(&self, number: u32, (model, last): (&str, i64), minute: i64) {
        let name = version(number);
        let fan = self.fan(&name, minute).await;
        let served = self.served().await;
        assert_eq!(served.model, name, "the answer names the version");
        let predictor = &self.stage.serving.predictor;
        for asked in [name.as_str(), "models:/close-1m.AAA@champion"] {
            let asked = predictor.predict(request(asked, 4)).await.unwrap();
            assert_eq!(asked, served);
        }
        assert_eq!(
            asked_over_websocket(&self.stage, by_default()).await,
            served
        );
        assert_eq!((&fan.mean, &fan.bands), (&served.mean, &served.bands));
        assert_eq!(fan.targets, served.targets);
        let from = served.origin.unwrap();
        assert_eq!((from.start, from.close), (fan.origin, fan.origin_close));
        let mut by_hand = trained(model, last);
        for minute in last + 1..=minute {
            by_hand.update(close(minute)).unwrap();
        }
        let said = by_hand.forecast(4, &[Level(80.0), Level(95.0)]).unwrap();
        assert_eq!(said.forecast.mean, fan.mean);
        for (band, own) in said.forecast.intervals.iter().zip(&fan.bands) {
            assert_eq!((&band.lower, &band.upper), (&own.lower, &own.upper));
        }
        // Of the registry's versions nobody is shown another one.
        let shown: Vec<String> = self.shown().into_iter().map(|fan| fan.model).collect();
        assert_eq!(shown, [name, "naive".to_owned()]);
    }
}

fn by_default() -> PredictRequest {
    PredictRequest {
        model: None,
        ..request("", 4)
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_champion_is_one_answer_across_a_swap_and_a_restart_and_a_challenger_runs_unseen() {
    let place = Place::open(config()).await;
    place.minutes(0..116).await;
    place.fan("naive", 114).await;
    assert_eq!(place.served().await.model, "naive", "nobody is champion");

    // The champion's fan comes at once, from the bar that the others are from.
    let (first, second) = (("theta", 100), ("ets", 112));
    register(&place.store, first.0, first.1).await;
    register(&place.store, second.0, second.1).await;
    place.point("champion", AliasTarget::Version(1)).await;
    place.one_answer(1, first, 114).await;

    // A challenger is forecast by, and neither shown nor served.
    place.point("challenger", AliasTarget::Version(2)).await;
    place.minutes(116..121).await;
    place.one_answer(1, first, 119).await;
    until(|| async { !place.recorded(&version(2)).await.is_empty() }).await;
    place.one_answer(1, first, 119).await;
    // The swap: the other version as a whole, from the same bar.
    place.point("champion", AliasTarget::Version(2)).await;
    assert_eq!(place.served().await.model, version(2));
    place.one_answer(2, second, 119).await;
    place.minutes(121..126).await;
    place.one_answer(2, second, 124).await;
    // What has happened is scored for both, each under its own name.
    let scored = async |number| {
        let rows = place.recorded(&version(number)).await;
        rows.iter().map(|row| row.actuals.len()).sum::<usize>()
    };
    until(|| async { scored(1).await > 0 && scored(2).await > 0 }).await;
    let last = place.recorded(&version(1)).await;
    let newest = last.iter().map(|row| row.fan.origin).max().unwrap();
    assert!(newest < at(60 * 124), "who is neither forecasts no more");

    // What has just started says what ran all the time, and shows what was shown.
    let before = place.served().await;
    let place = place.restart(config()).await;
    let mut after = place.served().await;
    after.origin.as_mut().unwrap().fitted_at = before.origin.as_ref().unwrap().fitted_at;
    assert_eq!(after, before);
    place.one_answer(2, second, 124).await;

    // Without a champion naive is served, and the fan of the one that was is not shown any more.
    place.point("champion", AliasTarget::Nobody).await;
    assert_eq!(place.served().await.model, "naive");
    until(|| async { place.shown().len() == 1 }).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_champion_goes_on_behind_the_usual_window_until_it_expires_and_a_pinned_model_stays() {
    let mut config = config();
    config.forecast.window_bars = 20;
    config.forecast.champion_expiry = Some(Duration::from_secs(60 * 150));
    let place = Place::open(config.clone()).await;
    register(&place.store, "theta", 30).await;
    place.point("champion", AliasTarget::Version(1)).await;
    // The window of other models begins behind the last bar that the champion has seen.
    place.minutes(0..182).await;
    place.one_answer(1, ("theta", 30), 180).await;
    let aaa = symbol("AAA");
    let standing = async |place: &Place| {
        let asked = place.stage.serving.champion(&aaa, Interval::M1).await;
        asked.unwrap().unwrap()
    };
    let now = standing(&place).await;
    assert_eq!((now.model, now.expired), (version(1), false));
    assert_eq!(now.trained_to, at(60 * 31));

    // 150 minutes of bars later it is too old.
    place.minutes(182..184).await;
    place.fan("naive", 182).await;
    until(|| async { place.shown().len() == 1 }).await;
    assert_eq!(place.served().await.model, "naive");
    assert!(standing(&place).await.expired);
    // Who names it is answered by it.
    let named = request("models:/close-1m.AAA@champion", 4);
    let named = place.stage.serving.predictor.predict(named).await.unwrap();
    assert_eq!(named.model, version(1));

    config.forecast.champion_expiry = None;
    config.forecast.default_model = Some("drift".parse::<ModelRef>().unwrap());
    let place = place.restart(config).await;
    assert_eq!(place.served().await.model, "drift");
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_asks_while_the_champion_changes_is_answered_by_one_version_as_a_whole() {
    let place = Arc::new(Place::open(config()).await);
    place.minutes(0..116).await;
    register(&place.store, "theta", 100).await;
    register(&place.store, "ets", 112).await;
    let mut whole = Vec::new();
    for number in [1, 2] {
        place.point("champion", AliasTarget::Version(number)).await;
        let served = place.served().await;
        assert_eq!(served.model, version(number));
        whole.push((served.model, served.mean, served.bands));
    }
    let swapped = Arc::new(AtomicBool::new(false));
    let askers: Vec<_> = (0..64)
        .map(|_| {
            let (place, swapped, whole) = (place.clone(), swapped.clone(), whole.clone());
            tokio::spawn(async move {
                let mut seen = [0_usize; 2];
                while !swapped.load(Ordering::Acquire) {
                    let answer = place.served().await;
                    let answer = (answer.model, answer.mean, answer.bands);
                    let which = whole.iter().position(|one| *one == answer);
                    seen[which.expect("half of one version and half of another")] += 1;
                    tokio::task::yield_now().await;
                }
                seen
            })
        })
        .collect();
    for round in 0..40 {
        place
            .point("champion", AliasTarget::Version(1 + round % 2))
            .await;
    }
    swapped.store(true, Ordering::Release);
    let mut seen = [0_usize; 2];
    for asker in askers {
        let one = within(asker).await.unwrap();
        seen = [seen[0] + one[0], seen[1] + one[1]];
    }
    assert!(seen[0] > 0 && seen[1] > 0, "{seen:?}");
}
