//! What can go wrong, as data.

/// The crate's result.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Why a model cannot be exported.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// Its weights.
    #[error(transparent)]
    Weights(#[from] kernels::Error),
    /// A part of it.
    #[error(transparent)]
    Model(#[from] neural::Error),
}
