//! The networks of crate `kernels` on burn: the same weights on burn's CPU backends and on GPUs.
//!
//! # The interface in short
//! - A [`Backend`] is `flex`, `ndarray` or `wgpu`; which of them are in a build its features say
//!   ([`Backend::is_built_in`]).
//! - [`open`] gives a [`neural::device::Device`], which a [`neural::Model`] is put on.
//! - [`adapters`] lists the graphics adapters that `wgpu` finds.
//!
//! # Numbers
//! Single precision, and the kernels' to 1e-5 of the largest (`tests/parity.rs`): sums are rounded in another order.
//!
//! # What it does not do
//! Train: the kernels do that two to seven times as fast as burn's modules on a CPU (docs/adr/0024-burn-beside-the-kernels.md).
//! Without any of its features there is no burn in the build, and [`open`] says so.

#![forbid(unsafe_code)]

mod backend;
mod error;
#[cfg(any(feature = "flex", feature = "ndarray", feature = "wgpu"))]
mod loaded;
#[cfg(any(feature = "flex", feature = "ndarray", feature = "wgpu"))]
mod networks;
#[cfg(any(feature = "flex", feature = "ndarray", feature = "wgpu"))]
mod open;

pub use backend::{Adapter, Backend, adapters, open};
pub use error::{Error, Result};
