//! Any bytes as a series: an error or a finite forecast, never a panic.
#![no_main]

#[path = "../checks/models.rs"]
mod models;

libfuzzer_sys::fuzz_target!(|data: &[u8]| models::check(data));
