//! One set of weights on the kernels and on every backend of burn: the same quantiles, to 1e-5 of the largest.
//!
//! wgpu runs on whatever adapter there is; `scripts/test gpu` sees to it that there is one, a software one if need be.

#![allow(
    clippy::unwrap_used,
    reason = "what fails in a test's own plumbing fails the test"
)]

use std::sync::{Arc, OnceLock};

use burn_models::{Backend, open};
use kernels::safetensors::Tensors;
use kernels::{
    Architecture, Cpu, EncoderSize, Growth, Lstm, NLinear, PatchEncoder, QuantileHead, Random,
};
use neural::device::Device;
use neural::training::{Control, Options, train};
use neural::{Config, Kind, Series, Size, artefact};

const TOLERANCE: f64 = 1e-5;

/// Every backend, opened once. One that is not there fails the test.
fn devices() -> Vec<Arc<dyn Device>> {
    static OPENED: OnceLock<[Arc<dyn Device>; 3]> = OnceLock::new();
    let opened = OPENED.get_or_init(|| Backend::ALL.map(|backend| open(backend).unwrap()));
    opened.to_vec()
}

/// Largest difference, against the largest size of what is right.
fn distance(got: &[f32], right: &[f32]) -> f64 {
    assert_eq!(got.len(), right.len());
    let largest = right.iter().fold(0.0f64, |a, x| a.max(f64::from(x.abs())));
    let off = got.iter().zip(right);
    off.map(|(a, b)| (f64::from(*a) - f64::from(*b)).abs())
        .fold(0.0, f64::max)
        / largest
}

fn named(architecture: &Architecture, parameters: &[f32]) -> Tensors {
    Tensors {
        metadata: Vec::new(),
        tensors: architecture.to_tensors(parameters),
    }
}

fn agree(what: &str, architecture: &Architecture, parameters: &[f32], input: &[f32]) {
    let right = architecture.quantiles(Cpu::detect(), parameters, input);
    for device in devices() {
        let network = device
            .load(architecture, &named(architecture, parameters))
            .unwrap();
        let got = network.quantiles(input).unwrap();
        let off = distance(&got, &right);
        println!("{what} on {}: off by {off:.1e}", device.name());
        assert!(
            off < TOLERANCE,
            "{what} on {}: off by {off:e}",
            device.name()
        );
    }
}

fn random(seed: u64, length: usize, size: f32) -> Vec<f32> {
    let mut random = Random::new(seed);
    (0..length).map(|_| random.uniform(-size, size)).collect()
}

/// Fresh weights, moved so that norms and biases are not neutral.
fn weights(architecture: &Architecture) -> Vec<f32> {
    let noise = random(3, architecture.parameters(), 0.05);
    let fresh = architecture.initial(7);
    fresh.iter().zip(noise).map(|(w, e)| w + e).collect()
}

#[test]
fn every_configuration_agrees_on_every_backend() {
    for kind in Kind::ALL {
        for size in [Size::Small, Size::Base, Size::Large] {
            let mut config = Config::new(kind, size, 5);
            // The covariates that an LSTM can have, all of them.
            if kind == Kind::Lstm && size == Size::Base {
                use neural::Covariate::{Calendar, Volatility, Volume};
                config.covariates = vec![Volatility, Volume, Calendar];
            }
            let architecture = config.architecture().unwrap();
            // More than goes through at once, and no multiple of anything, for the cheap one.
            let windows = if kind == Kind::NLinear { 1_025 } else { 19 };
            let input = random(1, windows * architecture.inputs(), 3.0);
            let what = format!("{kind} {size:?}");
            agree(&what, &architecture, &weights(&architecture), &input);
        }
    }
}

#[test]
fn other_heads_and_several_channels_agree_too() {
    let even = QuantileHead::new(4, &[0.1, 0.9], Growth::Even).unwrap();
    let size = EncoderSize {
        patch: 4,
        width: 16,
        heads: 2,
        feed_forward: 48,
        layers: 1,
    };
    let networks = [
        Architecture::Lstm(Lstm::new(9, 2, 16, even.clone()).unwrap()),
        Architecture::PatchEncoder(PatchEncoder::new(24, 3, size, even.clone()).unwrap()),
        Architecture::NLinear(NLinear::new(10, 3, even).unwrap()),
    ];
    for network in networks {
        let input = random(2, 7 * network.inputs(), 2.0);
        agree("a small network", &network, &weights(&network), &input);
    }
}

/// The fixtures of crate `kernels`; the encoder has a square matrix, which one that forgets to transpose would take.
#[test]
fn weights_that_pytorch_wrote_give_pytorchs_quantiles() {
    let head = || QuantileHead::new(3, &[0.1, 0.25, 0.5, 0.75, 0.9], Growth::SquareRoot).unwrap();
    let size = EncoderSize {
        patch: 4,
        width: 16,
        heads: 4,
        feed_forward: 32,
        layers: 2,
    };
    let fixtures: [(Architecture, &[u8]); 3] = [
        (
            Architecture::Lstm(Lstm::new(12, 3, 16, head()).unwrap()),
            include_bytes!("../../kernels/tests/fixtures/lstm.safetensors"),
        ),
        (
            Architecture::PatchEncoder(PatchEncoder::new(20, 2, size, head()).unwrap()),
            include_bytes!("../../kernels/tests/fixtures/encoder.safetensors"),
        ),
        (
            Architecture::NLinear(NLinear::new(16, 2, head()).unwrap()),
            include_bytes!("../../kernels/tests/fixtures/nlinear.safetensors"),
        ),
    ];
    for (architecture, bytes) in fixtures {
        let file = Tensors::from_bytes(bytes).unwrap();
        let of = |name: &str| file.get(name).unwrap().data.clone();
        // As PyTorch wrote them, both biases of the LSTM too.
        let ours: Vec<String> = architecture.tensors().into_iter().map(|t| t.name).collect();
        let mut weights = file.clone();
        weights.tensors.retain(|t| ours.contains(&t.name));
        for device in devices() {
            let network = device.load(&architecture, &weights).unwrap();
            let off = distance(&network.quantiles(&of("input")).unwrap(), &of("quantiles"));
            assert!(off < TOLERANCE, "{}: off by {off:e}", device.name());
        }
    }
}

#[test]
fn weights_of_another_network_are_refused_by_name() {
    let of = |hidden: usize| {
        let head = QuantileHead::new(2, &[0.5], Growth::Even).unwrap();
        Architecture::Lstm(Lstm::new(8, 1, hidden, head).unwrap())
    };
    let small = named(&of(16), &of(16).initial(1));
    let mut less = small.clone();
    less.tensors.retain(|t| t.name != "head.bias");
    let mut more = small.clone();
    more.tensors.push(more.tensors[0].clone());
    more.tensors.last_mut().unwrap().name = "lstm.weight_ih_l1".into();
    for device in devices() {
        for (architecture, weights, name) in [
            (of(32), &small, "lstm.weight_ih_l0"),
            (of(16), &less, "head.bias"),
            (of(16), &more, "lstm.weight_ih_l1"),
        ] {
            let refused = device.load(&architecture, weights).unwrap_err().to_string();
            assert!(refused.contains(name), "{refused}");
            assert!(refused.contains(&device.name()), "{refused}");
        }
    }
}

/// A model that was trained, written and read, in prices.
#[test]
fn a_trained_model_forecasts_alike_on_every_backend() {
    let steps = random(5, 400, 0.02);
    let mut price = 50.0;
    let prices: Vec<f64> = steps
        .iter()
        .map(|step| {
            price *= f64::from(*step).exp();
            price
        })
        .collect();
    let mut config = Config::new(Kind::Lstm, Size::Small, 3);
    config.ensemble = 2;
    let options = Options {
        epochs: 2,
        ..Options::default()
    };
    let quiet = Control {
        progress: None,
        cancel: None,
        clock: &|| 0.0,
        checkpoint: None,
    };
    let series = [Series::of(&prices)];
    let trained = train(&config, &series, &options, Cpu::detect(), quiet).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let directory = folder.path().join("lstm");
    artefact::save(&trained, &directory).unwrap();
    let model = artefact::load(&directory).unwrap();
    let series: Vec<Series<'_>> = (0..30).map(|i| Series::of(&prices[..300 + i])).collect();
    let levels = [forecast::Level(80.0), forecast::Level(95.0)];
    let right = model.forecast_many(&series, 3, &levels);
    for device in devices() {
        let there = model.clone().on_device(&*device).unwrap();
        let got = there.forecast_many(&series, 3, &levels);
        for (got, right) in got.iter().zip(&right) {
            let (got, right) = (got.as_ref().unwrap(), right.as_ref().unwrap());
            let pairs = got.mean.iter().zip(&right.mean).chain(
                got.intervals
                    .iter()
                    .zip(&right.intervals)
                    .flat_map(|(g, r)| {
                        g.lower
                            .iter()
                            .zip(&r.lower)
                            .chain(g.upper.iter().zip(&r.upper))
                    }),
            );
            for (got, right) in pairs {
                let off = (got / right - 1.0).abs();
                assert!(off < TOLERANCE, "{}: {got} {right}", device.name());
            }
        }
    }
}

/// The loaders of Vulkan and of EGL are pointed at nothing, in a process of its own.
#[cfg(target_os = "linux")]
#[test]
fn without_a_driver_there_is_no_adapter_and_that_is_said() {
    const CHILD: &str = "TICKCAST_WITHOUT_A_DRIVER";
    if std::env::var_os(CHILD).is_some() {
        let refused = open(Backend::Wgpu).unwrap_err();
        assert_eq!(
            refused,
            burn_models::Error::NoAdapter {
                backend: Backend::Wgpu
            }
        );
        assert!(!refused.is_of_the_build());
        assert_eq!(burn_models::adapters().unwrap(), []);
        return;
    }
    let name = "without_a_driver_there_is_no_adapter_and_that_is_said";
    let mut child = std::process::Command::new(std::env::current_exe().unwrap());
    child.args(["--exact", name]).env(CHILD, "1");
    for loader in [
        "VK_DRIVER_FILES",
        "VK_ICD_FILENAMES",
        "__EGL_VENDOR_LIBRARY_FILENAMES",
    ] {
        child.env(loader, "/nowhere");
    }
    let done = child.output().unwrap();
    let said = String::from_utf8_lossy(&done.stdout);
    assert!(done.status.success(), "{said}");
    assert!(said.contains("1 passed"), "{said}");
}
