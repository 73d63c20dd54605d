//! Which backends there are, and opening one.

use std::sync::Arc;

use neural::device::Device;

use crate::error::Result;

/// A backend of burn.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Backend {
    /// burn's present CPU backend.
    Flex,
    /// burn's former CPU backend; it ends with version 0.22.
    NdArray,
    /// GPUs, through Vulkan, Metal or Direct3D 12.
    Wgpu,
}

impl Backend {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Flex, Self::NdArray, Self::Wgpu];

    /// Name in settings, and of the feature that builds it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Flex => "flex",
            Self::NdArray => "ndarray",
            Self::Wgpu => "wgpu",
        }
    }

    /// The backend of that name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|backend| backend.name() == name)
    }

    /// Whether it is in this build.
    #[must_use]
    pub fn is_built_in(self) -> bool {
        match self {
            Self::Flex => cfg!(feature = "flex"),
            Self::NdArray => cfg!(feature = "ndarray"),
            Self::Wgpu => cfg!(feature = "wgpu"),
        }
    }
}

impl std::fmt::Display for Backend {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(self.name())
    }
}

/// A graphics adapter.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Adapter {
    /// As its driver calls it.
    pub name: String,
    /// Whether it is a card; otherwise a program that stands for one on the CPU (Mesa's lavapipe).
    pub is_hardware: bool,
}

/// Opens a backend. Where there are several adapters wgpu's own choice is taken: the strongest card.
///
/// # Errors
/// [`crate::Error::NotBuiltIn`], [`crate::Error::NoAdapter`], or [`crate::Error::Failed`] for an adapter that
/// does not work.
pub fn open(backend: Backend) -> Result<Arc<dyn Device>> {
    #[cfg(any(feature = "flex", feature = "ndarray", feature = "wgpu"))]
    return crate::open::open(backend);
    #[cfg(not(any(feature = "flex", feature = "ndarray", feature = "wgpu")))]
    Err(crate::Error::NotBuiltIn { backend })
}

/// The graphics adapters of this machine; none in a build without `wgpu`.
///
/// # Errors
/// [`crate::Error::Failed`] when one is found and cannot be opened.
pub fn adapters() -> Result<Vec<Adapter>> {
    #[cfg(feature = "wgpu")]
    return crate::open::adapters();
    #[cfg(not(feature = "wgpu"))]
    Ok(Vec::new())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_backend_is_found_by_its_name() {
        for backend in Backend::ALL {
            assert_eq!(Backend::from_name(backend.name()), Some(backend));
        }
        assert_eq!(Backend::from_name("cpu"), None);
    }

    #[test]
    fn one_that_is_not_built_in_says_how_it_would_be() {
        for backend in Backend::ALL.into_iter().filter(|b| !b.is_built_in()) {
            let error = open(backend).unwrap_err();
            assert!(error.is_of_the_build());
            let flag = format!("--features {backend}");
            assert!(error.to_string().contains(&flag), "{error}");
        }
    }
}
