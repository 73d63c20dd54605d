//! One linear layer on the window less its last value, each channel by itself (see `kernels::NLinear`).

use burn::module::Module;
use burn::tensor::{Device, Tensor};

use super::{Affine, Raw, last};

/// Parameters: `linear.weight`, `linear.bias`.
#[derive(Module, Debug)]
pub(crate) struct NLinear {
    linear: Affine,
}

impl NLinear {
    pub(super) fn new(window: usize, outputs: usize, device: &Device) -> Self {
        Self {
            linear: Affine::new(window, outputs, device),
        }
    }

    pub(super) fn forward(&self, window: Tensor<3>) -> Raw {
        let window = window.swap_dims(1, 2);
        let [windows, channels, steps] = window.dims();
        let centre = last(&window);
        let sequences = windows * channels;
        let path = (window - centre.clone()).reshape([sequences, steps]);
        Raw {
            rows: self.linear.forward(path),
            centre: Some(centre.reshape([sequences, 1])),
            scale: None,
        }
    }
}
