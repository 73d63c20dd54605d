//! The seeds of the fuzz targets, which ordinary tests run through the same checks.

use std::{fs, io, path::Path};

/// The seeds of a target of the crate in `manifest_dir` (`env!("CARGO_MANIFEST_DIR")`), sorted by name.
///
/// # Panics
/// When they cannot be read, or when there are fewer than `at_least`: a test over no seeds would pass.
#[must_use]
pub fn fuzz_seeds(manifest_dir: &str, target: &str, at_least: usize) -> Vec<Vec<u8>> {
    let folder = Path::new(manifest_dir).join("fuzz/seeds").join(target);
    let seeds = read(&folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    assert!(seeds.len() >= at_least, "{target}: {} seeds", seeds.len());
    seeds
}

fn read(folder: &Path) -> io::Result<Vec<Vec<u8>>> {
    let files = fs::read_dir(folder)?;
    let mut paths = files
        .map(|file| Ok(file?.path()))
        .collect::<io::Result<Vec<_>>>()?;
    paths.sort();
    paths.iter().map(fs::read).collect()
}
