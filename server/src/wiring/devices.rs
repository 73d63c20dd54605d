//! Where trained models run: this processor's kernels, or a backend of burn.

use std::sync::Arc;

use neural::device::Device;

use crate::{
    config::{Config, DeviceChoice},
    error::{CommandError, Result},
};

/// The device of a choice; none where it is the kernels. A graphics adapter that is not there, or does not work, is
/// told to `warn`, and the kernels take its place: they give the same numbers.
///
/// # Errors
/// A backend that this program was built without.
pub fn open(choice: DeviceChoice, warn: impl FnOnce(String)) -> Result<Option<Arc<dyn Device>>> {
    let DeviceChoice::Burn(backend) = choice else {
        return Ok(None);
    };
    match burn_models::open(backend) {
        Ok(device) => Ok(Some(device)),
        Err(e) if e.is_of_the_build() => Err(CommandError::input(e.to_string())),
        Err(e) => {
            warn(format!("{e}; trained models run on the CPU"));
            Ok(None)
        }
    }
}

/// The device of the settings; see [`open`].
///
/// # Errors
/// As there.
pub fn of(config: &Config) -> Result<Option<Arc<dyn Device>>> {
    open(config.forecast.device, |what| tracing::warn!("{what}"))
}

#[cfg(test)]
mod tests {
    use burn_models::Backend;

    use super::*;

    #[test]
    fn a_backend_that_the_build_lacks_is_refused_with_the_command_that_has_it() {
        for backend in Backend::ALL.into_iter().filter(|b| !b.is_built_in()) {
            let refused = open(DeviceChoice::Burn(backend), |_| ()).unwrap_err();
            assert_eq!(refused.exit_code(), 2);
            let flag = format!("--features {backend}");
            assert!(refused.to_string().contains(&flag), "{refused}");
        }
    }

    #[test]
    fn the_kernels_are_no_device_of_their_own() {
        assert!(open(DeviceChoice::Cpu, |_| ()).unwrap().is_none());
    }
}
