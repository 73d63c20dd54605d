//! What the tests of several crates share: seeded numbers, processes that are killed while they write, the
//! seeds of the fuzz targets, and what becomes of a seed by chance.
//!
//! Model: a library like any other, named only under `[dev-dependencies]`. A failed expectation panics, as in
//! the test that called.
//! Does not: know any crate of the project, so that each of them may use it; start the server (see
//! server/tests/support).

#[cfg(not(target_family = "wasm"))]
mod fuzz_seeds;
#[cfg(not(target_family = "wasm"))]
pub mod kill;
mod mutations;
mod random;

#[cfg(not(target_family = "wasm"))]
pub use fuzz_seeds::fuzz_seeds;
pub use mutations::{JSON_PIECES, mutated};
pub use random::{Lcg, SplitMix64, noise};
