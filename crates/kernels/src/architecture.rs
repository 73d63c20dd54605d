//! Any of the networks, chosen at run time.
//!
//! Model: a closed set; every entry point is compiled here once for each network and instruction set, so that
//! the crates above neither compile them again nor are generic themselves.
//! Does not: name configurations (crate `neural` does).

use std::ops::ControlFlow;

use crate::cpu::Cpu;
use crate::encoder::PatchEncoder;
use crate::error::Result;
use crate::gradient::Gradients;
use crate::head::QuantileHead;
use crate::lstm::Lstm;
use crate::network::{Network as _, Tensor};
use crate::nlinear::NLinear;
use crate::run;
use crate::safetensors::{NamedTensor, Tensors};
use crate::train::{self, Options, Progress, State, Windows};
use crate::weights;

/// A network of any kind.
#[derive(Clone, Debug, PartialEq)]
pub enum Architecture {
    /// The long short-term memory.
    Lstm(Lstm),
    /// The Transformer over patches.
    PatchEncoder(PatchEncoder),
    /// The linear map.
    NLinear(NLinear),
}

macro_rules! each {
    ($self:expr, $network:ident => $op:expr) => {
        match $self {
            Architecture::Lstm($network) => $op,
            Architecture::PatchEncoder($network) => $op,
            Architecture::NLinear($network) => $op,
        }
    };
}

impl Architecture {
    /// Levels and horizon.
    #[must_use]
    pub fn head(&self) -> &QuantileHead {
        each!(self, network => network.head())
    }

    /// Number of parameters.
    #[must_use]
    pub fn parameters(&self) -> usize {
        each!(self, network => network.parameters())
    }

    /// Numbers of one input window.
    #[must_use]
    pub fn inputs(&self) -> usize {
        each!(self, network => network.inputs())
    }

    /// Forecasts per window.
    #[must_use]
    pub fn sequences(&self) -> usize {
        each!(self, network => network.sequences())
    }

    /// The tensors by PyTorch's names.
    #[must_use]
    pub fn tensors(&self) -> Vec<Tensor> {
        each!(self, network => network.tensors())
    }

    /// Fresh parameters; see [`weights::initial`].
    #[must_use]
    pub fn initial(&self, seed: u64) -> Vec<f32> {
        each!(self, network => weights::initial(network, seed))
    }

    /// The parameters as named tensors; see [`weights::to_tensors`].
    #[must_use]
    pub fn to_tensors(&self, parameters: &[f32]) -> Vec<NamedTensor> {
        each!(self, network => weights::to_tensors(network, parameters))
    }

    /// The parameters from named tensors; see [`weights::from_tensors`].
    ///
    /// # Errors
    /// As there.
    pub fn from_tensors(&self, tensors: &Tensors, prefix: &str) -> Result<Vec<f32>> {
        each!(self, network => weights::from_tensors(network, tensors, prefix))
    }

    /// The quantiles of every window; see [`run::quantiles`].
    ///
    /// # Panics
    /// As there.
    #[must_use]
    pub fn quantiles(&self, cpu: Cpu, parameters: &[f32], input: &[f32]) -> Vec<f32> {
        each!(self, network => run::quantiles(network, cpu, parameters, input))
    }

    /// Mean loss and gradient of a batch; see [`Gradients::compute`].
    ///
    /// # Panics
    /// As there.
    #[must_use]
    pub fn gradient(
        &self,
        cpu: Cpu,
        parameters: &[f32],
        input: &[f32],
        targets: &[f32],
    ) -> (f64, Vec<f32>) {
        let batch = input.len() / self.inputs();
        each!(self, network => {
            let mut gradients = Gradients::new(network, cpu, batch);
            let loss = gradients.compute(parameters, input, targets);
            (loss, gradients.gradient().to_vec())
        })
    }

    /// Trains; see [`train::train`].
    ///
    /// # Errors
    /// As there.
    pub fn train(
        &self,
        cpu: Cpu,
        training: &dyn Windows,
        validation: &dyn Windows,
        options: &Options,
        from: Option<State>,
        on: &mut dyn FnMut(&Progress<'_>) -> ControlFlow<()>,
    ) -> Result<State> {
        each!(self, network => train::train(network, cpu, training, validation, options, from, on))
    }

    /// The mean loss over windows; see [`train::validation_loss`].
    #[must_use]
    pub fn loss(&self, cpu: Cpu, parameters: &[f32], windows: &dyn Windows) -> f64 {
        each!(self, network => train::validation_loss(network, cpu, parameters, windows))
    }
}
