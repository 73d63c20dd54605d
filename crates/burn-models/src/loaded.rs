//! A device of burn behind the port of crate `neural`, and a network on it.

use std::sync::Arc;

use burn::tensor::{Device, Tensor, TensorData};
use kernels::Architecture;
use kernels::safetensors::Tensors;
use neural::Error;
use neural::device::LoadedNetwork;

use crate::networks::{Head, Network};
use crate::open::caught;

/// Windows that go through a network together, at most: what lies on the device at once is bounded, whatever the
/// number of series.
const WINDOWS: usize = 1_024;

/// A device of burn.
#[derive(Debug)]
pub(crate) struct BurnDevice {
    device: Device,
    name: Arc<str>,
}

impl BurnDevice {
    pub(crate) fn new(device: Device, name: String) -> Self {
        Self {
            device,
            name: name.into(),
        }
    }
}

impl neural::device::Device for BurnDevice {
    fn name(&self) -> String {
        self.name.to_string()
    }

    fn load(
        &self,
        architecture: &Architecture,
        weights: &Tensors,
    ) -> neural::Result<Arc<dyn LoadedNetwork>> {
        let (network, head) = guarded(&self.name, || {
            let network = Network::load(architecture, weights, &self.device)?;
            let head = Head::new(architecture.head(), &self.device);
            Ok((network, head))
        })?;
        Ok(Arc::new(BurnNetwork {
            network,
            head,
            device: self.device.clone(),
            name: Arc::clone(&self.name),
            inputs: architecture.inputs(),
            channels: match architecture {
                Architecture::Lstm(lstm) => lstm.features(),
                _ => architecture.sequences(),
            },
        }))
    }
}

/// A network on a device of burn.
struct BurnNetwork {
    network: Network,
    head: Head,
    device: Device,
    name: Arc<str>,
    /// Numbers of a window.
    inputs: usize,
    /// Numbers of a step.
    channels: usize,
}

impl std::fmt::Debug for BurnNetwork {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("BurnNetwork")
            .field("device", &self.name)
            .finish_non_exhaustive()
    }
}

impl LoadedNetwork for BurnNetwork {
    fn quantiles(&self, input: &[f32]) -> neural::Result<Vec<f32>> {
        let mut all = Vec::new();
        for input in input.chunks(WINDOWS * self.inputs) {
            let shape = [
                input.len() / self.inputs,
                self.inputs / self.channels,
                self.channels,
            ];
            let quantiles = guarded(&self.name, || {
                let data = TensorData::new(input.to_vec(), shape);
                let window = Tensor::<3>::from_data(data, &self.device);
                let quantiles = self.head.quantiles(self.network.forward(window));
                quantiles
                    .try_into_vec_as::<f32>()
                    .map_err(|e| e.to_string())
            })?;
            all.extend(quantiles);
        }
        Ok(all)
    }
}

/// As [`caught`], for who calls the device.
fn guarded<T>(device: &str, call: impl FnOnce() -> Result<T, String>) -> neural::Result<T> {
    caught(call).map_err(|reason| Error::Device {
        device: device.to_owned(),
        reason,
    })
}
