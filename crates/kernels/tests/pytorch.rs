//! Forward, loss and gradients against PyTorch, on every instruction set, from weights that PyTorch wrote.
//!
//! The fixtures are made by `fixtures/make.py` (its head says with what).

#![allow(
    clippy::unwrap_used,
    reason = "what fails in a test's own plumbing fails the test"
)]

use kernels::{
    Architecture, Cpu, EncoderSize, Growth, Lstm, NLinear, PatchEncoder, QuantileHead,
    safetensors::Tensors,
};

fn head() -> QuantileHead {
    QuantileHead::new(3, &[0.1, 0.25, 0.5, 0.75, 0.9], Growth::SquareRoot).unwrap()
}

fn lstm(hidden: usize) -> Architecture {
    Architecture::Lstm(Lstm::new(12, 3, hidden, head()).unwrap())
}

fn encoder() -> Architecture {
    let size = EncoderSize {
        patch: 4,
        width: 16,
        heads: 4,
        feed_forward: 32,
        layers: 2,
    };
    Architecture::PatchEncoder(PatchEncoder::new(20, 2, size, head()).unwrap())
}

/// Largest difference, against the largest size of what is right.
fn distance(got: &[f32], right: &[f32]) -> f64 {
    assert_eq!(got.len(), right.len());
    let largest = right
        .iter()
        .fold(1e-12f64, |a, x| a.max(f64::from(x.abs())));
    let off = got
        .iter()
        .zip(right)
        .map(|(a, b)| (f64::from(*a) - f64::from(*b)).abs());
    off.fold(0.0, f64::max) / largest
}

fn agrees(network: &Architecture, file: &[u8]) {
    let file = Tensors::from_bytes(file).unwrap();
    let of = |name: &str| &file.get(name).unwrap().data[..];
    let parameters = network.from_tensors(&file, "").unwrap();
    let right = network.from_tensors(&file, "grad.").unwrap();
    for cpu in Cpu::available() {
        let quantiles = network.quantiles(cpu, &parameters, of("input"));
        let off = distance(&quantiles, of("quantiles"));
        assert!(off < 1e-5, "{cpu}: quantiles off by {off:e}");

        let (loss, gradient) = network.gradient(cpu, &parameters, of("input"), of("targets"));
        let expected = f64::from(of("loss")[0]);
        assert!(
            (loss - expected).abs() < 1e-6,
            "{cpu}: loss {loss} {expected}"
        );
        for tensor in network.tensors() {
            // PyTorch's two biases have the same gradient; the one store of both was given its double.
            let twice = tensor.name.starts_with("lstm.bias");
            let at = tensor.offset..tensor.offset + tensor.len();
            let mut expected = right[at.clone()].to_vec();
            expected
                .iter_mut()
                .for_each(|g| *g *= if twice { 0.5 } else { 1.0 });
            let off = distance(&gradient[at], &expected);
            assert!(
                off < 2e-5,
                "{cpu}: gradient of {} off by {off:e}",
                tensor.name
            );
        }
    }
}

#[test]
fn the_lstm_agrees_with_pytorch() {
    agrees(&lstm(16), include_bytes!("fixtures/lstm.safetensors"));
}

#[test]
fn the_patch_encoder_agrees_with_pytorch() {
    agrees(&encoder(), include_bytes!("fixtures/encoder.safetensors"));
}

#[test]
fn nlinear_agrees_with_pytorch() {
    let network = Architecture::NLinear(NLinear::new(16, 2, head()).unwrap());
    agrees(&network, include_bytes!("fixtures/nlinear.safetensors"));
}

#[test]
fn weights_come_back_from_a_file_as_they_went() {
    let network = encoder();
    let parameters = network.initial(5);
    let tensors = Tensors {
        metadata: vec![("kind".into(), "patchtst \"é\"\n".into())],
        tensors: network.to_tensors(&parameters),
    };
    let back = Tensors::from_bytes(&tensors.to_bytes()).unwrap();
    assert_eq!(back, tensors);
    assert_eq!(network.from_tensors(&back, "").unwrap(), parameters);
}

#[test]
fn a_file_of_another_network_is_refused_by_name() {
    let file = Tensors::from_bytes(include_bytes!("fixtures/encoder.safetensors")).unwrap();
    let missing = lstm(16).from_tensors(&file, "").unwrap_err();
    assert_eq!(
        missing.to_string(),
        "tensor \"lstm.weight_ih_l0\" is missing"
    );
    let file = Tensors::from_bytes(include_bytes!("fixtures/lstm.safetensors")).unwrap();
    let shape = lstm(32).from_tensors(&file, "").unwrap_err();
    assert_eq!(
        shape.to_string(),
        "tensor \"lstm.weight_ih_l0\" has shape [64, 3], expected [128, 3]"
    );
    let mut bad = file;
    bad.tensors.iter_mut().for_each(|t| t.data[0] = f32::NAN);
    let nan = lstm(16).from_tensors(&bad, "").unwrap_err();
    assert!(
        nan.to_string()
            .ends_with("holds a value that is not finite"),
        "{nan}"
    );
}
