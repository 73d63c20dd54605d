//! Opening a backend that is in the build.
//!
//! Model: burn's devices are opened when a tensor first needs them, and panic where that fails. So one is tried with
//! a small sum here, and what it says becomes an error.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use burn::tensor::{Device, Tensor};

#[cfg(feature = "wgpu")]
use crate::backend::Adapter;
use crate::backend::Backend;
use crate::error::{Error, Result};
use crate::loaded::BurnDevice;

/// Opens one that is built in.
pub(crate) fn open(backend: Backend) -> Result<Arc<dyn neural::device::Device>> {
    let (device, name) = match backend {
        #[cfg(feature = "flex")]
        Backend::Flex => (Device::flex(), backend.to_string()),
        #[cfg(feature = "ndarray")]
        #[expect(deprecated, reason = "it is offered for as long as burn has it")]
        Backend::NdArray => (Device::ndarray(), backend.to_string()),
        #[cfg(feature = "wgpu")]
        Backend::Wgpu => wgpu()?,
        #[allow(unreachable_patterns, reason = "unreachable with all features")]
        _ => return Err(Error::NotBuiltIn { backend }),
    };
    works(backend, &device)?;
    Ok(Arc::new(BurnDevice::new(device, name)))
}

#[cfg(feature = "wgpu")]
fn wgpu() -> Result<(Device, String)> {
    use burn::tensor::DeviceKind;

    let backend = Backend::Wgpu;
    if listed()?.is_empty() {
        return Err(Error::NoAdapter { backend });
    }
    let device = Device::wgpu(DeviceKind::DefaultDevice);
    works(backend, &device)?;
    let name = adapter(&device).map(|adapter| adapter.name);
    let name = name.unwrap_or_else(|| "unnamed adapter".into());
    Ok((device, format!("{backend} ({name})")))
}

#[cfg(feature = "wgpu")]
fn listed() -> Result<Vec<Device>> {
    use burn::tensor::DeviceType;

    caught(|| Ok(Device::enumerate(DeviceType::Wgpu).into_vec())).map_err(failed(Backend::Wgpu))
}

#[cfg(feature = "wgpu")]
fn adapter(device: &Device) -> Option<Adapter> {
    let identity = device.identity()?;
    Some(Adapter {
        name: identity.name,
        is_hardware: identity.physical.is_some(),
    })
}

/// The adapters of this machine, each opened.
#[cfg(feature = "wgpu")]
pub(crate) fn adapters() -> Result<Vec<Adapter>> {
    let listed = listed()?;
    caught(|| Ok(listed.iter().filter_map(adapter).collect())).map_err(failed(Backend::Wgpu))
}

fn works(backend: Backend, device: &Device) -> Result<()> {
    let sum = caught(|| {
        let ones = Tensor::<1>::ones([4], device);
        ones.sum()
            .try_into_vec_as::<f32>()
            .map_err(|e| e.to_string())
    });
    match sum.map_err(failed(backend))? {
        sum if sum == [4.0] => Ok(()),
        sum => Err(failed(backend)(format!("it takes four ones for {sum:?}"))),
    }
}

fn failed(backend: Backend) -> impl Fn(String) -> Error {
    move |reason| Error::Failed { backend, reason }
}

/// What a call gives; what it says when it fails, or panics as burn's devices do, as the error.
pub(crate) fn caught<T>(call: impl FnOnce() -> Result<T, String>) -> Result<T, String> {
    catch_unwind(AssertUnwindSafe(call)).unwrap_or_else(|panic| Err(words(&*panic)))
}

/// The words of a panic.
fn words(panic: &(dyn std::any::Any + Send)) -> String {
    let text = panic.downcast_ref::<String>().map(String::as_str);
    let text = text.or_else(|| panic.downcast_ref::<&str>().copied());
    text.unwrap_or("it panicked without a word").to_owned()
}
