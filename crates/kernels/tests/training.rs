//! What training must do: learn what can be learnt, not learn what cannot, and end with the same bits
//! whatever the threads and interruptions.

#![allow(
    clippy::unwrap_used,
    reason = "what fails in a test's own plumbing fails the test"
)]

use std::ops::ControlFlow;

use kernels::{
    Architecture, Cpu, EncoderSize, Error, Growth, Lstm, NLinear, PatchEncoder, QuantileHead,
    Random,
    train::{Options, Progress, State, Windows},
};

const WINDOW: usize = 32;
const HORIZON: usize = 4;

/// Windows of one series from `begin`, anchored at their last value.
struct Series<'a> {
    y: &'a [f32],
    begin: usize,
    end: usize,
    /// Inputs are differences (for the LSTM) or the path itself.
    differences: bool,
}

impl Windows for Series<'_> {
    fn len(&self) -> usize {
        self.end - self.begin
    }

    fn write(&self, index: usize, input: &mut [f32], targets: &mut [f32]) {
        let at = self.begin + index;
        let last = self.y[at];
        for (i, to) in input.iter_mut().enumerate() {
            let t = at + 1 + i - WINDOW;
            *to = if self.differences {
                self.y[t] - self.y[t - 1]
            } else {
                self.y[t] - last
            };
        }
        for (k, to) in targets.iter_mut().enumerate() {
            *to = self.y[at + 1 + k] - last;
        }
    }
}

fn halves(y: &[f32], differences: bool) -> (Series<'_>, Series<'_>) {
    let middle = y.len() * 2 / 3;
    let training = Series {
        y,
        begin: WINDOW,
        end: middle,
        differences,
    };
    let validation = Series {
        y,
        begin: middle + HORIZON + WINDOW,
        end: y.len() - HORIZON,
        differences,
    };
    (training, validation)
}

/// Twelve uniform numbers less six: near enough to normal, variance 1.
fn normal(random: &mut Random) -> f32 {
    (0..12).map(|_| random.uniform(0.0, 1.0)).sum::<f32>() - 6.0
}

fn head(levels: &[f32]) -> QuantileHead {
    QuantileHead::new(HORIZON, levels, Growth::SquareRoot).unwrap()
}

fn lstm(hidden: usize) -> Architecture {
    Architecture::Lstm(Lstm::new(WINDOW, 1, hidden, head(&[0.1, 0.5, 0.9])).unwrap())
}

fn encoder() -> Architecture {
    let size = EncoderSize {
        patch: 4,
        width: 32,
        heads: 4,
        feed_forward: 64,
        layers: 2,
    };
    let network = PatchEncoder::new(WINDOW, 1, size, head(&[0.1, 0.5, 0.9]));
    Architecture::PatchEncoder(network.unwrap())
}

fn nlinear() -> Architecture {
    Architecture::NLinear(NLinear::new(WINDOW, 1, head(&[0.1, 0.5, 0.9])).unwrap())
}

fn fit(network: &Architecture, y: &[f32], differences: bool, options: &Options) -> State {
    let (training, validation) = halves(y, differences);
    let cpu = Cpu::detect();
    let on = &mut |_: &Progress<'_>| ControlFlow::Continue(());
    network
        .train(cpu, &training, &validation, options, None, on)
        .unwrap()
}

/// A sine of period 20 under noise of standard deviation 0.2.
fn sine() -> Vec<f32> {
    let mut random = Random::new(11);
    let wave = |t: usize| (t as f32 * std::f32::consts::TAU / 20.0).sin();
    (0..1_500)
        .map(|t| wave(t) + 0.2 * normal(&mut random))
        .collect()
}

/// The mean pinball loss of knowing the sine: the noise of the target and of the anchor cannot be known,
/// the anchor can; only the target's noise is left. For a normal deviation σ and levels .1, .5, .9 the
/// loss of the right quantiles is σ·mean(φ(z)) = σ·(2·0.17550 + 0.39894)/3, over √step.
fn floor_of_the_sine() -> f64 {
    let spread: f64 = (1..=HORIZON).map(|k| 1.0 / (k as f64).sqrt()).sum();
    0.2 * (2.0 * 0.175_50 + 0.398_94) / 3.0 * spread / HORIZON as f64
}

fn learns_the_sine(network: &Architecture, differences: bool, rate: f32, within: f64) {
    let options = Options {
        epochs: 60,
        rate,
        patience: 60,
        ..Options::default()
    };
    let state = fit(network, &sine(), differences, &options);
    let ratio = state.best_loss / floor_of_the_sine();
    assert!(ratio > 0.9, "below the noise: {ratio}, there is leakage");
    assert!(ratio < within, "{ratio} of the noise floor");
}

#[test]
fn the_lstm_learns_a_sine_to_near_its_noise() {
    learns_the_sine(&lstm(32), true, 1e-2, 1.25);
}

#[test]
fn the_patch_encoder_learns_a_sine_to_near_its_noise() {
    learns_the_sine(&encoder(), false, 2e-3, 1.25);
}

#[test]
fn nlinear_learns_a_sine_to_near_its_noise() {
    learns_the_sine(&nlinear(), false, 3e-2, 1.25);
}

/// On a random walk nothing beats naive with the right quantiles.
fn finds_nothing_in_a_random_walk(network: &Architecture, differences: bool) {
    let mut gains = Vec::new();
    for seed in 0..4 {
        let mut random = Random::new(100 + seed);
        let mut level = 0.0;
        let mut step = |_| {
            level += normal(&mut random);
            level
        };
        // Trained on the first two thirds, stopped on the third, judged on a part that neither has seen.
        let y: Vec<f32> = (0..6_000).map(&mut step).collect();
        let options = Options {
            epochs: 4,
            seed,
            ..Options::default()
        };
        let state = fit(network, &y[..3_000], differences, &options);
        let test = Series {
            y: &y,
            begin: 3_000 + HORIZON + WINDOW,
            end: 6_000 - HORIZON,
            differences,
        };
        let got = network.loss(Cpu::detect(), &state.best, &test);
        // The quantiles of the walk itself, by the same measure.
        let z = [-1.281_55f32, 0.0, 1.281_55];
        let mut sum = 0.0;
        let (mut x, mut targets) = (vec![0.0; WINDOW], vec![0.0; HORIZON]);
        for i in 0..test.len() {
            test.write(i, &mut x, &mut targets);
            let walk = |k: usize| z.map(|z| z * ((k + 1) as f32).sqrt());
            let quantiles: Vec<f32> = (0..HORIZON).flat_map(walk).collect();
            sum += network.head().pinball(&quantiles, &targets);
        }
        let naive = sum / (test.len() * HORIZON * z.len()) as f64;
        gains.push(1.0 - got / naive);
    }
    let mean = gains.iter().sum::<f64>() / gains.len() as f64;
    // Losses of overlapping windows scatter by about half a percent here.
    assert!(mean < 0.01, "skill {gains:?} on a random walk: leakage");
    assert!(mean > -0.1, "skill {gains:?}: it does not even find naive");
}

#[test]
fn the_lstm_finds_nothing_in_a_random_walk() {
    finds_nothing_in_a_random_walk(&lstm(16), true);
}

#[test]
fn the_patch_encoder_finds_nothing_in_a_random_walk() {
    finds_nothing_in_a_random_walk(&encoder(), false);
}

#[test]
fn nlinear_finds_nothing_in_a_random_walk() {
    finds_nothing_in_a_random_walk(&nlinear(), false);
}

/// Slopes of the loss along random directions, by differences; PyTorch's gradients are in pytorch.rs.
fn gradient_follows_the_loss(network: &Architecture, windows: usize) {
    let mut random = Random::new(1);
    let mut parameters = network.initial(2);
    let noise: Vec<f32> = parameters
        .iter()
        .map(|_| random.uniform(-0.1, 0.1))
        .collect();
    parameters.iter_mut().zip(&noise).for_each(|(p, n)| *p += n);
    let mut draw = |n: usize| -> Vec<f32> { (0..n).map(|_| normal(&mut random)).collect() };
    let x = draw(windows * network.inputs());
    let y = draw(windows * network.sequences() * network.head().horizon());
    let mut directions: Vec<Vec<f32>> = (0..8).map(|_| draw(parameters.len())).collect();
    for cpu in Cpu::available() {
        let (_, gradient) = network.gradient(cpu, &parameters, &x, &y);
        for direction in &mut directions {
            let length = direction.iter().map(|d| d * d).sum::<f32>().sqrt();
            direction.iter_mut().for_each(|d| *d /= length);
            let at = |by: f32| {
                let moved: Vec<f32> = parameters
                    .iter()
                    .zip(&*direction)
                    .map(|(p, d)| p + by * d)
                    .collect();
                network.gradient(cpu, &moved, &x, &y).0
            };
            let slope = (at(1e-3) - at(-1e-3)) / 2e-3;
            let along: f64 = gradient
                .iter()
                .zip(&*direction)
                .map(|(g, d)| f64::from(g * d))
                .sum();
            // The loss has kinks where a quantile passes a target.
            assert!((slope - along).abs() < 2e-3, "{cpu}: {slope} {along}");
        }
    }
}

#[test]
fn gradients_follow_the_loss_for_batches_that_fill_no_chunk() {
    for windows in [1, 15, 37] {
        gradient_follows_the_loss(&lstm(16), windows);
        gradient_follows_the_loss(&encoder(), windows);
        gradient_follows_the_loss(&nlinear(), windows);
    }
}

#[test]
fn the_same_seed_gives_the_same_bits_with_one_thread_and_with_many() {
    let y = sine();
    let options = Options {
        epochs: 2,
        batch: 100,
        ..Options::default()
    };
    let with = |threads: usize| {
        let pool = rayon_pool(threads);
        pool.install(|| {
            (
                fit(&lstm(32), &y, true, &options),
                fit(&encoder(), &y, false, &options),
            )
        })
    };
    let (lstm1, encoder1) = with(1);
    for threads in [2, 3] {
        let (lstm_n, encoder_n) = with(threads);
        assert!(lstm1 == lstm_n, "{threads} threads, LSTM");
        assert!(encoder1 == encoder_n, "{threads} threads, encoder");
    }
    let other = fit(&lstm(32), &y, true, &Options { seed: 2, ..options });
    assert!(other.best != lstm1.best, "another seed, the same weights");
}

fn rayon_pool(threads: usize) -> rayon::ThreadPool {
    rayon::ThreadPoolBuilder::new()
        .num_threads(threads)
        .build()
        .unwrap()
}

#[test]
fn a_training_that_was_cut_off_ends_with_the_same_bits() {
    let y = sine();
    let network = lstm(16);
    let (training, validation) = halves(&y, true);
    let options = Options {
        epochs: 4,
        ..Options::default()
    };
    let whole = fit(&network, &y, true, &options);
    let mut kept: Option<State> = None;
    let cut = network.train(
        Cpu::detect(),
        &training,
        &validation,
        &options,
        None,
        &mut |progress| {
            if let Some((_, state)) = progress.finished {
                kept = Some(state.clone());
            }
            if progress.epoch == 3 && progress.step % 5 == 0 {
                ControlFlow::Break(())
            } else {
                ControlFlow::Continue(())
            }
        },
    );
    assert_eq!(cut.unwrap_err(), Error::Cancelled);
    let kept = kept.unwrap();
    assert_eq!(kept.epoch, 2);
    let on = &mut |_: &Progress<'_>| ControlFlow::Continue(());
    let cpu = Cpu::detect();
    let resumed = network
        .train(cpu, &training, &validation, &options, Some(kept), on)
        .unwrap();
    assert!(resumed == whole);
}

#[test]
fn instruction_sets_part_only_by_rounding() {
    let y = sine();
    let (training, validation) = halves(&y, true);
    let network = lstm(16);
    let options = Options {
        epochs: 1,
        ..Options::default()
    };
    let ends: Vec<f64> = Cpu::available()
        .into_iter()
        .map(|cpu| {
            let on = &mut |_: &Progress<'_>| ControlFlow::Continue(());
            let state = network.train(cpu, &training, &validation, &options, None, on);
            state.unwrap().history[0].1
        })
        .collect();
    for end in &ends {
        assert!((end / ends[0] - 1.0).abs() < 1e-3, "{ends:?}");
    }
}

#[test]
fn what_cannot_be_trained_is_refused_by_name() {
    let y = sine();
    let (training, _) = halves(&y, true);
    let none = Series {
        y: &y,
        begin: 40,
        end: 40,
        differences: true,
    };
    let on = &mut |_: &Progress<'_>| ControlFlow::Continue(());
    let cpu = Cpu::detect();
    let options = Options::default();
    let network = lstm(16);
    let refused = network
        .train(cpu, &training, &none, &options, None, on)
        .unwrap_err();
    assert_eq!(
        refused.to_string(),
        "training needs at least one validation window, got none"
    );
    let zero = Options {
        batch: 0,
        ..options
    };
    let refused = network
        .train(cpu, &training, &training, &zero, None, on)
        .unwrap_err();
    assert_eq!(refused.to_string(), "batch: expected at least 1, got 0");
    let wild = Options {
        rate: 1e30,
        ..options
    };
    let refused = network
        .train(cpu, &training, &training, &wild, None, on)
        .unwrap_err();
    assert!(matches!(refused, Error::Diverged { epoch: 1 }), "{refused}");
    assert!(Lstm::new(64, 1, 20, head(&[0.5])).is_err());
    let size = EncoderSize {
        patch: 7,
        width: 32,
        heads: 4,
        feed_forward: 64,
        layers: 1,
    };
    assert!(PatchEncoder::new(64, 1, size, head(&[0.5])).is_err());
}
