//! Any answer of a provider, by any preset or by a mapping that comes with it.
#![no_main]

#[path = "../checks/rest.rs"]
mod rest;

libfuzzer_sys::fuzz_target!(|data: &[u8]| rest::check(data));
