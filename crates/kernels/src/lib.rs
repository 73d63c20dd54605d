//! Neural networks for forecasting, by hand: forward, backward, and training, natively and as WebAssembly.
//!
//! # The interface in short
//! - [`Lstm`], [`PatchEncoder`] and [`NLinear`] are configurations; each is a [`Network`] whose parameters
//!   lie in one flat store, with PyTorch's names ([`Network::tensors`], [`weights`]).
//! - An [`Architecture`] is any of them, chosen at run time.
//! - A [`QuantileHead`] makes of its last layer quantiles that cannot cross.
//! - [`run::quantiles`] forecasts one window or ten thousand; [`gradient::Gradients`] gives the gradient of a
//!   batch, [`train::train`] a trained network.
//! - [`safetensors`] is the file format of weights.
//! - [`fracast::Fracast`] is a network that others have trained: it forecasts what it has never seen.
//! - A [`Cpu`] is the instruction set, chosen at run time.
//!
//! ```
//! use kernels::{Cpu, Growth, Lstm, Network, QuantileHead, run, weights};
//!
//! let head = QuantileHead::new(5, &[0.1, 0.5, 0.9], Growth::SquareRoot)?;
//! let network = Lstm::new(64, 1, 32, head)?;
//! let parameters = weights::initial(&network, 1);
//! let quantiles = run::quantiles(&network, Cpu::detect(), &parameters, &[0.0; 64]);
//! assert_eq!(quantiles.len(), 5 * 3);
//! # Ok::<(), kernels::Error>(())
//! ```
//!
//! # Numbers
//! Single precision. On one instruction set a seed gives the same bits whatever the number of threads;
//! across instruction sets sums are rounded differently. Sums over windows are double.
//!
//! # What it does not do
//! Read clocks, files or prices; know burn, or the rest of Tickcast. There is no unsafe code: the vectors
//! are `fearless_simd`'s, and bounds checks cost too little here to be worth it
//! (docs/adr/0011-kernels-by-hand.md).

#![forbid(unsafe_code)]

mod architecture;
mod attention;
mod cpu;
mod encoder;
mod error;
pub mod fracast;
mod gemm;
pub mod gradient;
mod head;
mod lstm;
mod network;
mod nlinear;
mod norm;
pub mod optimise;
mod random;
pub mod run;
pub mod safetensors;
pub mod train;
mod vector;
pub mod weights;

pub use architecture::Architecture;
pub use cpu::Cpu;
pub use encoder::{EncoderSize, PatchEncoder};
pub use error::{Error, ErrorKind, Result};
pub use head::{Growth, Place, QuantileHead};
pub use lstm::Lstm;
pub use network::{Network, Order, Tensor};
pub use nlinear::NLinear;
pub use random::Random;
