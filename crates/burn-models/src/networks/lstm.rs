//! A long short-term memory with a linear layer on its last hidden state (see `kernels::Lstm`).

use burn::module::{Module, Param};
use burn::tensor::{Device, Tensor, activation::sigmoid};

use super::{Affine, Raw, matrix, vector};

/// Parameters: `lstm.*_l0`, `head.weight`, `head.bias`.
#[derive(Module, Debug)]
pub(crate) struct LstmForecaster {
    lstm: Recurrent,
    head: Affine,
}

/// One layer by PyTorch's names: gates i, f, g, o below each other.
#[derive(Module, Debug)]
struct Recurrent {
    weight_ih_l0: Param<Tensor<2>>,
    weight_hh_l0: Param<Tensor<2>>,
    bias_ih_l0: Param<Tensor<1>>,
    bias_hh_l0: Param<Tensor<1>>,
}

impl LstmForecaster {
    pub(super) fn new(features: usize, hidden: usize, outputs: usize, device: &Device) -> Self {
        Self {
            lstm: Recurrent {
                weight_ih_l0: matrix(4 * hidden, features, device),
                weight_hh_l0: matrix(4 * hidden, hidden, device),
                bias_ih_l0: vector(4 * hidden, device),
                bias_hh_l0: vector(4 * hidden, device),
            },
            head: Affine::new(hidden, outputs, device),
        }
    }

    pub(super) fn forward(&self, window: Tensor<3>) -> Raw {
        Raw {
            rows: self.head.forward(self.lstm.last(window)),
            centre: None,
            scale: None,
        }
    }
}

impl Recurrent {
    /// The hidden state after the last step, `[window][unit]`.
    fn last(&self, window: Tensor<3>) -> Tensor<2> {
        let [windows, steps, features] = window.dims();
        let hidden = self.weight_hh_l0.dims()[1];
        let device = window.device();
        let bias = (self.bias_ih_l0.val() + self.bias_hh_l0.val()).unsqueeze::<2>();
        // What the inputs say at all steps is one product; steps first, so that each step's rows lie together.
        let rows = window.swap_dims(0, 1).reshape([steps * windows, features]);
        let inputs = rows.matmul(self.weight_ih_l0.val().transpose()) + bias;
        let inputs = inputs.reshape([steps, windows, 4 * hidden]);
        let recurrent = self.weight_hh_l0.val().transpose();
        let mut state = Tensor::<2>::zeros([windows, hidden], &device);
        let mut cell = Tensor::<2>::zeros([windows, hidden], &device);
        for step in 0..steps {
            let input = inputs.clone().narrow(0, step, 1);
            let gates = input.reshape([windows, 4 * hidden]) + state.matmul(recurrent.clone());
            let gate = |k: usize| gates.clone().narrow(1, k * hidden, hidden);
            let (input, forget) = (sigmoid(gate(0)), sigmoid(gate(1)));
            let (candidate, output) = (gate(2).tanh(), sigmoid(gate(3)));
            cell = forget * cell + input * candidate;
            state = output * cell.clone().tanh();
        }
        state
    }
}
