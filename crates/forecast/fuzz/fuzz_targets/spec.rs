//! Any text as a model name: what parses prints as itself.
#![no_main]

use forecast::ModelSpec;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    if let Ok(spec) = text.parse::<ModelSpec>() {
        let printed = spec.to_string();
        assert_eq!(printed.parse::<ModelSpec>().ok(), Some(spec));
    }
});
