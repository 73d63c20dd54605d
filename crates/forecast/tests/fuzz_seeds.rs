//! The seeds of the fuzz targets, as ordinary tests.
#![cfg(not(target_family = "wasm"))]
#![allow(clippy::unwrap_used, reason = "helpers of tests")]

#[path = "../fuzz/checks/models.rs"]
mod models;
#[path = "../fuzz/checks/spec.rs"]
mod spec;

fn seeds(target: &str) -> Vec<Vec<u8>> {
    testing::fuzz_seeds(env!("CARGO_MANIFEST_DIR"), target, 10)
}

#[test]
fn every_name_of_the_seeds_that_parses_prints_as_itself() {
    for seed in seeds("spec") {
        spec::check(std::str::from_utf8(&seed).unwrap());
    }
}

#[test]
fn no_series_of_the_seeds_breaks_a_model() {
    for seed in seeds("models") {
        models::check(&seed);
    }
}
