//! From series to a trained model and back from its files.

#![allow(
    clippy::unwrap_used,
    reason = "what fails in a test's own plumbing fails the test"
)]

use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use forecast::backtest::Backtest;
use forecast::{FitOptions, ForecastModel, Level, ModelProvider as _};
use kernels::{Cpu, Random};
use neural::device::{Device, LoadedNetwork};
use neural::training::{Control, Options, train};
use neural::{
    Artefacts, Config, Covariate, Error, Kind, Model, Series, Size, TrainedModel, Transform,
    artefact,
};

const DAY_MS: i64 = 86_400_000;

/// Prices whose returns have a sign that holds on for some days, so that there is something to learn.
fn prices(seed: u64, n: usize) -> Vec<f64> {
    let mut random = Random::new(seed);
    let mut normal = move || (0..12).map(|_| random.uniform(0.0, 1.0)).sum::<f32>() - 6.0;
    let (mut level, mut drift) = (4.0f64, 0.0f64);
    (0..n)
        .map(|_| {
            drift = 0.9 * drift + 0.004 * f64::from(normal());
            level += drift + 0.004 * f64::from(normal());
            level.exp()
        })
        .collect()
}

fn config(kind: Kind) -> Config {
    Config {
        window: 32,
        ..Config::new(kind, Size::Small, 3)
    }
}

fn options() -> Options {
    Options {
        epochs: 3,
        ..Options::default()
    }
}

fn quiet() -> Control<'static> {
    Control {
        progress: None,
        cancel: None,
        clock: &|| 0.0,
        checkpoint: None,
    }
}

fn trained(kind: Kind) -> Model {
    trained_for(kind, 3)
}

fn trained_for(kind: Kind, epochs: usize) -> Model {
    let (a, b) = (prices(1, 700), prices(2, 500));
    let series = [Series::of(&a), Series::of(&b)];
    let options = Options {
        epochs,
        ..options()
    };
    train(&config(kind), &series, &options, Cpu::detect(), quiet()).unwrap()
}

#[test]
fn every_kind_learns_what_is_there_and_comes_back_from_disk_to_the_bit() {
    let directory = tempfile::tempdir().unwrap();
    let y = prices(3, 200);
    for kind in Kind::ALL {
        let model = trained_for(kind, 15);
        let measures = &model.provenance().measures;
        assert!(
            measures.pinball < 0.97 * measures.pinball_naive,
            "{kind}: {measures:?}"
        );
        let to = directory.path().join(kind.name());
        artefact::save(&model, &to).unwrap();
        artefact::save(&model, &to).unwrap();
        let back = artefact::load(&to).unwrap();
        let levels = Level::DEFAULT;
        let forecast = model.forecast(&Series::of(&y), 3, &levels).unwrap();
        assert_eq!(
            back.forecast(&Series::of(&y), 3, &levels).unwrap(),
            forecast
        );
        assert_eq!(back.provenance(), model.provenance());
        for step in 0..3 {
            let [inner, outer] = &forecast.intervals[..] else {
                panic!("two bands")
            };
            assert!(outer.lower[step] <= inner.lower[step]);
            assert!(inner.lower[step] <= forecast.mean[step]);
            assert!(forecast.mean[step] <= inner.upper[step]);
            assert!(inner.upper[step] <= outer.upper[step]);
        }
    }
    assert_eq!(
        fs::read_dir(directory.path()).unwrap().count(),
        3,
        "leftovers"
    );
}

#[test]
fn a_model_of_a_directory_is_made_of_its_files_again() {
    let directory = tempfile::tempdir().unwrap();
    let y = prices(3, 200);
    let provider = Artefacts::default();
    let forecast = |model: &dyn ForecastModel| {
        let state = model.fit(&(&y).into(), &FitOptions::default()).unwrap();
        state.forecast(3, &Level::DEFAULT).unwrap()
    };
    for kind in Kind::ALL {
        let to = directory.path().join(kind.name());
        artefact::save(&trained(kind), &to).unwrap();
        let reference = |kind: Kind| format!("{kind}:{}", to.display()).parse().unwrap();
        let model = provider.resolve(&reference(kind)).unwrap();
        let files = model.files().unwrap();
        let whole = provider.assemble(&reference(kind), &[]).unwrap();
        fs::remove_dir_all(&to).unwrap();
        let again = provider.assemble(&reference(kind), &files).unwrap();
        assert_eq!(again.name(), model.name());
        assert_eq!(forecast(&*again), forecast(&*model));
        assert_eq!(forecast(&*whole), forecast(&*model));

        let other = Kind::ALL.into_iter().find(|other| *other != kind).unwrap();
        let refused = provider.assemble(&reference(other), &files).unwrap_err();
        let words = format!("a model of kind {kind}, not {other}");
        assert!(refused.to_string().contains(&words), "{refused}");
        let refused = provider.assemble(&reference(kind), &files[..1]);
        let refused = refused.unwrap_err().to_string();
        assert!(
            refused.contains("manifest.json: it is missing"),
            "{refused}"
        );
    }
}

#[test]
fn neither_the_future_nor_a_split_changes_a_forecast() {
    let model = trained(Kind::Lstm);
    let y = prices(3, 300);
    let trained = TrainedModel::new(Arc::new(model), "lstm:x");
    let forecast = |y: &[f64]| {
        let state = trained.fit(&y.into(), &FitOptions::default()).unwrap();
        let read = trained.load(&state.save().unwrap()).unwrap();
        let forecast = state.forecast(3, &Level::DEFAULT).unwrap();
        assert_eq!(read.forecast(3, &Level::DEFAULT).unwrap(), forecast);
        forecast
    };
    let before = forecast(&y[..200]);
    let mut other = y.clone();
    other[200..].iter_mut().for_each(|v| *v *= 3.0);
    let after = forecast(&other[..200]);
    assert_eq!(before, after);
    // Ten times the price is ten times the forecast: a split changes nothing.
    let ten: Vec<f64> = y[..200].iter().map(|v| v * 10.0).collect();
    let scaled = forecast(&ten);
    for (a, b) in before.mean.iter().zip(&scaled.mean) {
        assert!((10.0 * a / b - 1.0).abs() < 1e-5);
    }
}

#[test]
fn a_trained_model_stands_in_a_backtest_beside_naive() {
    let model = Arc::new(trained(Kind::NLinear));
    let trained: Arc<dyn ForecastModel> = Arc::new(TrainedModel::new(model, "nlinear:m"));
    let y = prices(9, 600);
    let backtest = Backtest {
        horizon: 3,
        origins: 60,
        step: 3,
        ..Backtest::default()
    };
    let report = backtest
        .run(&y, &[trained], forecast::backtest::Control::default())
        .unwrap();
    let crps = |name: &str| {
        let row = report.models.iter().find(|row| row.model == name).unwrap();
        assert_eq!(row.failures, 0, "{name}");
        row.measures.crps.unwrap()
    };
    assert!(crps("nlinear:m") < crps("naive"));
}

#[test]
fn a_batch_gives_what_each_series_gives_alone() {
    let model = trained(Kind::PatchTst);
    let all: Vec<Vec<f64>> = (0..40).map(|seed| prices(seed + 50, 60)).collect();
    let mut series: Vec<Series<'_>> = all.iter().map(|y| Series::of(y)).collect();
    series[7].values = &all[7][..20];
    let together = model.forecast_many(&series, 2, &[Level(80.0)]);
    for (i, (one, got)) in series.iter().zip(together).enumerate() {
        match model.forecast(one, 2, &[Level(80.0)]) {
            Ok(alone) => {
                let got = got.unwrap();
                for (a, b) in alone.mean.iter().zip(&got.mean) {
                    assert!((a / b - 1.0).abs() < 1e-6, "{i}");
                }
            }
            Err(e) => assert_eq!(e.to_string(), got.unwrap_err().to_string()),
        }
    }
}

/// A card that has been pulled out.
#[derive(Debug)]
struct Gone;

impl Device for Gone {
    fn name(&self) -> String {
        "gone".into()
    }

    fn load(
        &self,
        architecture: &kernels::Architecture,
        weights: &kernels::safetensors::Tensors,
    ) -> neural::Result<Arc<dyn LoadedNetwork>> {
        architecture.from_tensors(weights, "")?;
        Ok(Arc::new(Self))
    }
}

impl LoadedNetwork for Gone {
    fn quantiles(&self, _input: &[f32]) -> neural::Result<Vec<f32>> {
        Err(Error::Device {
            device: "gone".into(),
            reason: "device lost".into(),
        })
    }
}

#[test]
fn a_device_that_fails_fails_every_series_that_waits_and_no_other_fault_is_hidden() {
    let model = trained_for(Kind::NLinear, 1).on_device(&Gone).unwrap();
    let (long, short) = (prices(6, 100), prices(6, 5));
    let series = [Series::of(&long), Series::of(&short), Series::of(&long)];
    let said: Vec<String> = model
        .forecast_many(&series, 3, &[])
        .into_iter()
        .map(|forecast| forecast.unwrap_err().to_string())
        .collect();
    assert_eq!(said[0], "the device gone: device lost");
    assert!(said[1].contains("values in a row"), "{}", said[1]);
    assert_eq!(said[2], said[0]);
}

#[test]
fn covariates_are_used_or_said_to_be_missing() {
    let y = prices(4, 600);
    let times: Vec<i64> = (0..600).map(|i| i * DAY_MS).collect();
    let volumes: Vec<f64> = (0..600).map(|i| 1e6 + f64::from(i % 7) * 1e5).collect();
    let config = Config {
        covariates: vec![
            Covariate::Volatility,
            Covariate::Volume,
            Covariate::Calendar,
        ],
        ..config(Kind::Lstm)
    };
    let cpu = Cpu::detect();
    let bare = train(&config, &[Series::of(&y)], &options(), cpu, quiet()).unwrap();
    assert_eq!(bare.config().covariates, [Covariate::Volatility]);
    let missing = &bare.provenance().missing_covariates;
    assert_eq!(missing[0].reason, "there are no volumes");
    assert_eq!(missing[1].reason, "there are no times");

    let full = Series {
        id: "A",
        values: &y,
        times_ms: Some(&times),
        volumes: Some(&volumes),
    };
    let model = train(&config, &[full], &options(), cpu, quiet()).unwrap();
    assert_eq!(model.config().covariates.len(), 3);
    assert!(model.provenance().missing_covariates.is_empty());
    assert_eq!(model.provenance().data.to_ms, Some(599 * DAY_MS));
    model.forecast(&full, 3, &[]).unwrap();
    let refused = model.forecast(&Series::of(&y), 3, &[]).unwrap_err();
    assert!(matches!(refused, Error::Covariate { .. }), "{refused}");
}

#[test]
fn the_market_of_the_validation_block_is_in_no_training_target() {
    // Two series of different length whose times overlap: the split is one moment for both.
    let (a, b) = (prices(1, 700), prices(2, 300));
    let times_a: Vec<i64> = (0..700).map(|i| i * DAY_MS).collect();
    let times_b: Vec<i64> = (400..700).map(|i| i * DAY_MS).collect();
    let one = Series {
        id: "A",
        values: &a,
        times_ms: Some(&times_a),
        volumes: None,
    };
    let other = Series {
        id: "B",
        values: &b,
        times_ms: Some(&times_b),
        volumes: None,
    };
    let cpu = Cpu::detect();
    let weights = |b: &Series<'_>| {
        let model = train(&config(Kind::NLinear), &[one, *b], &options(), cpu, quiet()).unwrap();
        let moved = model.provenance().measures.training_windows;
        (model.forecast(&one, 3, &[]).unwrap(), moved)
    };
    let (_, windows) = weights(&other);
    // 932 origins in all, a fifth of them for validation: 70 to 110 moments, so origins from about 600 on
    // are validation in both series.
    assert!((500..780).contains(&windows), "{windows}");
}

#[test]
fn bad_input_is_refused_with_its_reason() {
    let model = trained(Kind::NLinear);
    let y = prices(5, 100);
    let refusal = |y: &[f64]| {
        model
            .forecast(&Series::of(y), 3, &[])
            .unwrap_err()
            .to_string()
    };
    assert_eq!(
        refusal(&y[..32]),
        "nlinear needs 33 values in a row before the forecast, got 32"
    );
    let mut gap = y.clone();
    gap[90] = f64::NAN;
    assert!(refusal(&gap).starts_with("value 90 is missing or not finite"));
    gap[90] = -1.0;
    assert!(refusal(&gap).starts_with("value 90 is -1: the model was trained on logarithms"));
    let still = vec![7.0; 100];
    assert!(refusal(&still).starts_with("the last 33 values are all the same"));
    let far = model.forecast(&Series::of(&y), 4, &[]).unwrap_err();
    assert_eq!(
        far.to_string(),
        "the model was trained for 1 to 3 steps, asked for 4"
    );

    let cpu = Cpu::detect();
    let none = |y: &[f64], config: &Config| {
        train(config, &[Series::of(y)], &options(), cpu, quiet())
            .unwrap_err()
            .to_string()
    };
    let config = config(Kind::NLinear);
    assert!(none(&y[..30], &config).starts_with("no window of 33 values and 3 targets is left"));
    assert!(none(&still, &config).contains("62 windows were unusable"));
    let below: Vec<f64> = y.iter().map(|v| v - 50.0).collect();
    assert!(none(&below, &config).contains("logarithms need positive values"));
    let plain = Config {
        transform: Transform::None,
        ..config
    };
    let model = train(&plain, &[Series::of(&below)], &options(), cpu, quiet()).unwrap();
    model.forecast(&Series::of(&below), 3, &[]).unwrap();
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        fs::copy(entry.path(), to.join(entry.file_name())).unwrap();
    }
}

#[test]
fn an_artefact_that_was_altered_says_which_file() {
    let directory = tempfile::tempdir().unwrap();
    let good = directory.path().join("good");
    artefact::save(&trained(Kind::NLinear), &good).unwrap();
    let refusal = |name: &str, change: &dyn Fn(Vec<u8>) -> Vec<u8>| {
        let bad = directory.path().join("bad");
        let _ = fs::remove_dir_all(&bad);
        copy(&good, &bad);
        let file = bad.join(name);
        fs::write(&file, change(fs::read(&file).unwrap())).unwrap();
        artefact::load(&bad).unwrap_err().to_string()
    };
    let flipped = refusal("model.safetensors", &|mut bytes| {
        let at = bytes.len() - 9;
        bytes[at] ^= 1;
        bytes
    });
    assert!(
        flipped.contains("model.safetensors: it was altered"),
        "{flipped}"
    );
    let cut = refusal("model.safetensors", &|mut bytes| {
        bytes.truncate(bytes.len() / 2);
        bytes
    });
    assert!(cut.contains("model.safetensors: it was altered"), "{cut}");
    let manifest = |from: &'static str, to: &'static str| {
        refusal("manifest.json", &move |bytes| {
            let text = String::from_utf8(bytes).unwrap();
            assert!(text.contains(from), "{text}");
            text.replace(from, to).into_bytes()
        })
    };
    let version = manifest("\"format\": 1", "\"format\": 2");
    assert!(
        version.contains("manifest.json: it has version 2, expected 1"),
        "{version}"
    );
    let other = manifest("\"window\": 32", "\"window\": 40");
    assert!(
        other.contains("model.safetensors: tensor \"linear.weight\" has shape"),
        "{other}"
    );
    let elsewhere = manifest("\"model.safetensors\":", "\"../good/model.safetensors\":");
    assert!(elsewhere.contains("is no name of a file"), "{elsewhere}");
    let broken = refusal("manifest.json", &|_| b"{".to_vec());
    assert!(
        broken.contains("manifest.json: it is no manifest"),
        "{broken}"
    );
    fs::remove_file(good.join("model.safetensors")).unwrap();
    let gone = artefact::load(&good).unwrap_err().to_string();
    assert!(gone.contains("model.safetensors: No such file"), "{gone}");
}

#[test]
fn what_is_not_an_artefact_is_not_overwritten() {
    let directory = tempfile::tempdir().unwrap();
    fs::write(directory.path().join("thesis.txt"), "years of work").unwrap();
    let refused = artefact::save(&trained(Kind::NLinear), directory.path()).unwrap_err();
    assert!(
        refused
            .to_string()
            .contains("something that is not a trained model")
    );
    assert!(directory.path().join("thesis.txt").exists());
}

#[test]
fn a_training_goes_on_from_its_checkpoint_to_the_same_weights() {
    let directory = tempfile::tempdir().unwrap();
    let checkpoint = directory.path().join("checkpoint");
    let y = prices(6, 600);
    let config = Config {
        ensemble: 2,
        ..config(Kind::Lstm)
    };
    let cpu = Cpu::detect();
    let series = [Series::of(&y)];
    let whole = train(&config, &series, &options(), cpu, quiet()).unwrap();
    // Cancelled in the second epoch of the second network, then in its third.
    for stop in [(2, 2), (2, 3)] {
        let cancel = AtomicBool::new(false);
        let steps = AtomicUsize::new(0);
        let progress = |event: &neural::training::Event| {
            steps.fetch_add(1, Ordering::Relaxed);
            if (event.network, event.epoch) == stop && event.validation_loss.is_none() {
                cancel.store(true, Ordering::Relaxed);
            }
        };
        let control = Control {
            progress: Some(&progress),
            cancel: Some(&cancel),
            checkpoint: Some(&checkpoint),
            ..quiet()
        };
        let error = train(&config, &series, &options(), cpu, control).unwrap_err();
        assert_eq!(error.kind(), neural::ErrorKind::Cancelled);
        assert!(checkpoint.exists());
    }
    let first = AtomicUsize::new(0);
    let progress = |event: &neural::training::Event| {
        let at = 10 * event.network + event.epoch;
        let _ = first.compare_exchange(0, at, Ordering::Relaxed, Ordering::Relaxed);
    };
    let control = Control {
        progress: Some(&progress),
        checkpoint: Some(&checkpoint),
        ..quiet()
    };
    let resumed = train(&config, &series, &options(), cpu, control).unwrap();
    assert_eq!(first.load(Ordering::Relaxed), 23, "it began anew");
    assert!(!checkpoint.exists());
    let levels = Level::DEFAULT;
    assert_eq!(
        resumed.forecast(&series[0], 3, &levels).unwrap(),
        whole.forecast(&series[0], 3, &levels).unwrap()
    );
    assert_eq!(resumed.provenance(), whole.provenance());
}
