//! The networks as modules of burn, whose parameters are called and shaped as PyTorch's.
//!
//! Model: a linear layer keeps its matrix as PyTorch does, out × in, and multiplies by its transpose. burn's own
//! `Linear` keeps in × out, and a square matrix that nobody has transposed loads into it without a word; here
//! the file's order is the module's, so that there is nothing to forget.
//! Forward gives what the last layer says with the window's centre and scale; [`Head`] makes quantiles of it.
//! Does not: train; crate `kernels` does.

mod encoder;
mod head;
mod lstm;
mod nlinear;

use burn::module::{Module, Param};
use burn::store::{ModuleSnapshot as _, SafetensorsStore};
use burn::tensor::{Device, Tensor};
use kernels::Architecture;
use kernels::safetensors::Tensors;

pub(crate) use self::head::{Head, Raw};
use self::{encoder::PatchTst, lstm::LstmForecaster, nlinear::NLinear};

/// A linear layer: `weight` is out × in.
#[derive(Module, Debug)]
pub(crate) struct Affine {
    weight: Param<Tensor<2>>,
    bias: Param<Tensor<1>>,
}

impl Affine {
    fn new(inputs: usize, outputs: usize, device: &Device) -> Self {
        Self {
            weight: matrix(outputs, inputs, device),
            bias: vector(outputs, device),
        }
    }

    /// Rows of inputs to rows of outputs.
    fn forward(&self, rows: Tensor<2>) -> Tensor<2> {
        rows.matmul(self.weight.val().transpose()) + self.bias.val().unsqueeze()
    }
}

/// A parameter that is to be loaded.
fn matrix(rows: usize, columns: usize, device: &Device) -> Param<Tensor<2>> {
    Param::from_tensor(Tensor::zeros([rows, columns], device))
}

/// A parameter that is to be loaded.
fn vector(length: usize, device: &Device) -> Param<Tensor<1>> {
    Param::from_tensor(Tensor::zeros([length], device))
}

/// A network of any kind, loaded.
#[derive(Debug)]
pub(crate) enum Network {
    Lstm(LstmForecaster),
    PatchTst(PatchTst),
    NLinear(NLinear),
}

impl Network {
    /// The network with these weights, as burn-store reads them from their file.
    pub(crate) fn load(
        architecture: &Architecture,
        weights: &Tensors,
        device: &Device,
    ) -> Result<Self, String> {
        let file = weights.to_bytes();
        let outputs = architecture.head().outputs();
        let window = architecture.inputs() / architecture.sequences();
        Ok(match architecture {
            Architecture::Lstm(lstm) => {
                let empty = LstmForecaster::new(lstm.features(), lstm.hidden(), outputs, device);
                Self::Lstm(loaded(empty, file)?)
            }
            Architecture::PatchEncoder(encoder) => {
                let empty = PatchTst::new(window, encoder.size(), outputs, device);
                Self::PatchTst(loaded(empty, file)?)
            }
            Architecture::NLinear(_) => {
                Self::NLinear(loaded(NLinear::new(window, outputs, device), file)?)
            }
        })
    }

    /// Windows `[window][step][channel]` to what the last layer says of each sequence.
    pub(crate) fn forward(&self, window: Tensor<3>) -> Raw {
        match self {
            Self::Lstm(network) => network.forward(window),
            Self::PatchTst(network) => network.forward(window),
            Self::NLinear(network) => network.forward(window),
        }
    }
}

/// Fills every parameter of a module from a safetensors file; nothing may be missing, or left over.
fn loaded<M: Module>(mut module: M, file: Vec<u8>) -> Result<M, String> {
    let mut store = SafetensorsStore::from_bytes(Some(file));
    let result = module.load_from(&mut store).map_err(|e| e.to_string())?;
    if result.is_success() && result.unused.is_empty() {
        Ok(module)
    } else {
        Err(format!("the weights do not fit the network: {result}"))
    }
}

/// Centre of a sequence of each channel: its last value. Windows `[window][channel][step]`.
fn last(window: &Tensor<3>) -> Tensor<3> {
    let steps = window.dims()[2];
    window.clone().narrow(2, steps - 1, 1)
}
