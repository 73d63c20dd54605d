//! Any bytes as a file of prices: an error, or rows that the rules take, never a panic.
#![no_main]

#[path = "../checks/file.rs"]
mod file;

libfuzzer_sys::fuzz_target!(|data: &[u8]| file::check(data));
