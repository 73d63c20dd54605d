//! Any text as a model name: what parses prints as itself. The fuzz target runs it, and so does an
//! ordinary test, on the seeds.

use forecast::ModelSpec;

/// Checks that a name that parses reads back as the same model.
pub fn check(text: &str) {
    if let Ok(spec) = text.parse::<ModelSpec>() {
        let printed = spec.to_string();
        assert_eq!(printed.parse::<ModelSpec>().ok(), Some(spec), "{text}");
    }
}
