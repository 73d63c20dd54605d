//! Where the networks of a trained model run, when it is not on the kernels.
//!
//! Model: a port. A [`Device`] takes the weights of a network by PyTorch's names and gives it back as
//! something that turns windows into quantiles ([`LoadedNetwork`]); crate `burn-models` has its sides. Without
//! one a [`crate::Model`] runs on the kernels, on this processor.
//! Does not: train on other devices; know what a device is.

use std::fmt::Debug;
use std::sync::Arc;

use kernels::Architecture;
use kernels::safetensors::Tensors;

use crate::error::Result;

/// Somewhere that a network can run.
pub trait Device: Debug + Send + Sync {
    /// What it is, for messages: `flex`, `wgpu (llvmpipe)`.
    fn name(&self) -> String;

    /// Brings one network there.
    ///
    /// # Errors
    /// [`crate::Error::Device`] for weights that do not fit the architecture, or a device that fails.
    fn load(
        &self,
        architecture: &Architecture,
        weights: &Tensors,
    ) -> Result<Arc<dyn LoadedNetwork>>;
}

/// A network on a device.
pub trait LoadedNetwork: Debug + Send + Sync {
    /// The quantiles of every window, as [`Architecture::quantiles`] gives them:
    /// `[window][sequence][step][level]`.
    ///
    /// # Errors
    /// [`crate::Error::Device`] for a device that fails.
    fn quantiles(&self, input: &[f32]) -> Result<Vec<f32>>;
}
