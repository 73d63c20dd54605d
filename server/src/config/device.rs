//! Where trained models run.

use std::str::FromStr;

use burn_models::Backend;

/// What is chosen by `forecast.device` and `--device`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum DeviceChoice {
    /// The kernels, on this processor.
    #[default]
    Cpu,
    /// A backend of burn.
    Burn(Backend),
}

impl DeviceChoice {
    /// Its name in settings.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Cpu => "cpu",
            Self::Burn(backend) => backend.name(),
        }
    }
}

impl std::fmt::Display for DeviceChoice {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(self.name())
    }
}

impl FromStr for DeviceChoice {
    type Err = String;

    fn from_str(name: &str) -> Result<Self, String> {
        if name == "cpu" {
            return Ok(Self::Cpu);
        }
        let backend = Backend::from_name(name);
        backend
            .map(Self::Burn)
            .ok_or_else(|| format!("{name:?} is not cpu, flex, ndarray or wgpu"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_device_is_chosen_by_its_name() {
        for name in ["cpu", "flex", "ndarray", "wgpu"] {
            assert_eq!(name.parse::<DeviceChoice>().unwrap().to_string(), name);
        }
        let wrong = "cuda".parse::<DeviceChoice>().unwrap_err();
        assert_eq!(wrong, "\"cuda\" is not cpu, flex, ndarray or wgpu");
    }
}
