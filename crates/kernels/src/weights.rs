//! The parameters of a network, and their way to and from named tensors.
//!
//! Model: one flat store; the network says where each of PyTorch's tensors lies in it. Every tensor must be
//! there with its shape and finite values; a square matrix cannot be taken untransposed by mistake, because
//! the order is the network's, never guessed.
//! Does not: read or write files (see [`crate::safetensors`] for the bytes).

use crate::error::Result;
use crate::network::{Network, Order, transpose};
use crate::random::Random;
use crate::safetensors::{NamedTensor, Tensors};

/// Fresh parameters of a network.
#[must_use]
pub fn initial<N: Network>(network: &N, seed: u64) -> Vec<f32> {
    let mut parameters = vec![0.0; network.parameters()];
    network.initialise(&mut Random::new(seed), &mut parameters);
    parameters
}

/// The parameters as tensors with PyTorch's names, shapes and orders.
#[must_use]
pub fn to_tensors<N: Network>(network: &N, parameters: &[f32]) -> Vec<NamedTensor> {
    network
        .tensors()
        .into_iter()
        .map(|tensor| {
            let stored = &parameters[tensor.offset..][..tensor.len()];
            let mut data = stored.to_vec();
            match (tensor.order, &tensor.shape[..]) {
                (Order::Transposed, [rows, columns]) => {
                    transpose(stored, *columns, *rows, &mut data);
                }
                (Order::Added, _) => data.fill(0.0),
                _ => {}
            }
            NamedTensor {
                name: tensor.name,
                shape: tensor.shape,
                data,
            }
        })
        .collect()
}

/// The parameters from tensors with PyTorch's names; `prefix` stands before each of them.
///
/// # Errors
/// A tensor that is missing, has another shape or a value that is not finite.
pub fn from_tensors<N: Network>(network: &N, tensors: &Tensors, prefix: &str) -> Result<Vec<f32>> {
    let mut parameters = vec![0.0; network.parameters()];
    for tensor in network.tensors() {
        let name = format!("{prefix}{}", tensor.name);
        let found = tensors.checked(&name, &tensor.shape)?;
        let to = &mut parameters[tensor.offset..][..found.len()];
        match (tensor.order, &tensor.shape[..]) {
            (Order::Transposed, [rows, columns]) => transpose(found, *rows, *columns, to),
            (Order::Added, _) => {
                for (to, from) in to.iter_mut().zip(found) {
                    *to += from;
                }
            }
            _ => to.copy_from_slice(found),
        }
    }
    Ok(parameters)
}
