//! What the tests of several crates share: seeded numbers, processes that are killed while they write, and
//! the seeds of the fuzz targets.
//!
//! Model: a library like any other, named only under `[dev-dependencies]`. A failed expectation panics, as in
//! the test that called.
//! Does not: know any crate of the project, so that each of them may use it; start the server (see
//! server/tests/support).

#[cfg(not(target_family = "wasm"))]
mod fuzz_seeds;
#[cfg(not(target_family = "wasm"))]
pub mod kill;
mod random;

#[cfg(not(target_family = "wasm"))]
pub use fuzz_seeds::fuzz_seeds;
pub use random::{Lcg, SplitMix64, noise};
