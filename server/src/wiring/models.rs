//! Which models there are: the forecasting core's, and trained ones by their directory.

use std::sync::Arc;

use forecast::{Classical, ModelRef, Providers};
use neural::Artefacts;

/// The providers of this program.
pub fn providers() -> Providers {
    Providers::new(vec![Arc::new(Classical), Arc::new(Artefacts)])
}

/// Reads the reference of a model that a provider may have; it is not loaded.
///
/// # Errors
/// No reference, or one that no provider can know.
pub fn reference(text: &str) -> forecast::Result<ModelRef> {
    let reference = text.parse()?;
    providers().check(&reference)?;
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
        ] {
            assert_eq!(reference(name).unwrap().to_string(), name);
        }
        for name in ["lstm", "lstm:", "gru:x", "naive:x", "prophet"] {
            assert!(reference(name).is_err(), "{name}");
        }
    }
}
