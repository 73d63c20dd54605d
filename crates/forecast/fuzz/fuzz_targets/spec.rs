//! Any text as a model name: what parses prints as itself.
#![no_main]

#[path = "../checks/spec.rs"]
mod spec;

libfuzzer_sys::fuzz_target!(|text: &str| spec::check(text));
