//! Any bytes as the body of a push; see the check.
#![no_main]

#[path = "../checks/push.rs"]
mod push;

libfuzzer_sys::fuzz_target!(|data: &[u8]| push::check(data));
