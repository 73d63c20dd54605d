//! Which models there are: the forecasting core's, trained ones by their directory, and those of the registry.

use std::{sync::Arc, time::Duration};

use forecast::{Classical, ModelProvider as _, ModelRef, Providers};
use mlops::registered::RegisteredModels;
use neural::{Artefacts, NetworkSpec, Networks, ZeroShot, device::Device};
use store::DatabasePorts;
use tracing::{info, warn};

/// How soon another process' promotion is served here.
const FOLLOWED_EVERY: Duration = Duration::from_secs(2);

/// The providers of this program; trained models run on the device, where there is one besides the kernels.
pub fn providers(device: Option<&Arc<dyn Device>>) -> Providers {
    let artefacts = device.cloned().map(Artefacts::on).unwrap_or_default();
    Providers::new(vec![
        Arc::new(Classical),
        Arc::new(artefacts),
        Arc::new(ZeroShot),
    ])
}

/// The providers of a worker, and of what workers have made: those of this program, and networks that are named before
/// they are trained. A worker's have no device: what a verdict rests on is the kernels'.
pub fn trainable(device: Option<&Arc<dyn Device>>) -> Providers {
    let networks = device.cloned().map(Networks::on).unwrap_or_default();
    providers(device).after(Arc::new(networks))
}

/// The models of a database's registry; none of them is loaded yet.
pub fn registered(database: &DatabasePorts, device: Option<&Arc<dyn Device>>) -> RegisteredModels {
    let (registry, files) = (&database.registry, &database.artefacts);
    RegisteredModels::new(trainable(device), Arc::clone(registry), Arc::clone(files))
}

/// Keeps the registry's models as they are there, until it is dropped; they have been read once before. A fault is
/// told when it comes, not at every look.
pub async fn follow(registered: RegisteredModels) {
    let mut known = Vec::new();
    loop {
        tokio::time::sleep(FOLLOWED_EVERY).await;
        match registered.refresh().await {
            Ok(changed) => {
                for reference in changed.moved {
                    info!(%reference, "another version is served");
                }
                for fault in changed
                    .faults
                    .iter()
                    .filter(|fault| !known.contains(*fault))
                {
                    let (reference, why) = fault;
                    warn!(%reference, "a model of the registry cannot be served: {why}");
                }
                known = changed.faults;
            }
            Err(e) => warn!("the registry cannot be read: {e}"),
        }
    }
}

/// Reads the reference of a model that a provider may have; it is not loaded.
///
/// # Errors
/// No reference, or one that no provider can know.
pub fn reference(text: &str) -> forecast::Result<ModelRef> {
    let reference = text.parse()?;
    providers(None).check(&reference)?;
    Ok(reference)
}

/// Reads the reference of a model that a round of training may judge: one that a provider may have, or a network that
/// the round trains.
///
/// # Errors
/// No reference, or one that no provider can know.
pub fn candidate(text: &str) -> forecast::Result<ModelRef> {
    let reference: ModelRef = text.parse()?;
    if NetworkSpec::is_meant(text) {
        Networks::default().check(&reference)?;
    } else {
        providers(None).check(&reference)?;
    }
    Ok(reference)
}

/// What a page offers: every model of the core, and what else is configured.
pub fn listed(configured: &[ModelRef]) -> Vec<String> {
    let mut all = Providers::classical().models();
    all.extend(configured.iter().filter(|r| r.scheme().is_some()).cloned());
    all.iter().map(ToString::to_string).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_both_providers_are_read_and_written_alike() {
        for name in [
            "naive",
            "arima(1,1,1)+drift",
            "lstm:models/a",
            "patchtst:x",
            "nlinear:models/y:z",
            "fracast:models/fracast",
        ] {
            assert_eq!(reference(name).unwrap().to_string(), name);
        }
        for name in ["lstm", "lstm:", "gru:x", "naive:x", "prophet"] {
            assert!(reference(name).is_err(), "{name}");
        }
        for name in ["lstm", "patchtst(small,seeds=3)", "ets", "lstm:models/a"] {
            assert_eq!(candidate(name).unwrap().to_string(), name);
        }
        for name in ["lstm(huge)", "lstm:", "gru", "lstm(window=1)"] {
            assert!(candidate(name).is_err(), "{name}");
        }
    }
}
