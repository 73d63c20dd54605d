//! What the jobs of the killed writer are about.

/// Model names.
pub const NAMES: u64 = 3;

/// The model of job `n`.
pub fn name(n: u64) -> String {
    format!("M{}/1d", n % NAMES)
}

/// The file of job `n`.
pub fn content(n: u64) -> Vec<u8> {
    format!("the weights of {n}").repeat(500).into_bytes()
}
