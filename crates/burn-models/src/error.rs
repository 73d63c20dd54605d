//! What can go wrong, as data.

use crate::backend::Backend;

/// The crate's result.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Why a backend cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The feature was off when this program was built.
    #[error(
        "{backend} is not in this build; `cargo build --release -p server --features {backend}` makes one that has it"
    )]
    NotBuiltIn {
        /// Which.
        backend: Backend,
    },
    /// There is no graphics adapter, or no driver for it.
    #[error(
        "{backend} finds no graphics adapter (on Linux a Vulkan driver, on macOS Metal, on Windows Direct3D 12)"
    )]
    NoAdapter {
        /// Which.
        backend: Backend,
    },
    /// The adapter is there and does not work.
    #[error("{backend} cannot be used: {reason}")]
    Failed {
        /// Which.
        backend: Backend,
        /// What it said.
        reason: String,
    },
}

impl Error {
    /// Whether another build would do, so that there is something to mend; without an adapter there is not.
    #[must_use]
    pub fn is_of_the_build(&self) -> bool {
        matches!(self, Self::NotBuiltIn { .. })
    }
}
