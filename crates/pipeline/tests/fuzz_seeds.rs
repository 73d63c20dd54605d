//! The seeds of the fuzz targets, as ordinary tests.
#![allow(clippy::unwrap_used, reason = "helpers of tests")]

#[path = "../fuzz/checks/push.rs"]
mod push;
#[path = "../fuzz/checks/websocket.rs"]
mod websocket;

/// The seeds of a target.
fn seeds(target: &str) -> Vec<Vec<u8>> {
    let folder = format!("{}/fuzz/seeds/{target}", env!("CARGO_MANIFEST_DIR"));
    let files = std::fs::read_dir(folder).unwrap();
    let mut paths: Vec<_> = files.map(|file| file.unwrap().path()).collect();
    paths.sort();
    assert!(paths.len() >= 8, "{target}: {}", paths.len());
    paths
        .iter()
        .map(|path| std::fs::read(path).unwrap())
        .collect()
}

#[test]
fn no_push_of_the_seeds_breaks_the_decoder() {
    seeds("push").iter().for_each(|seed| push::check(seed));
}

#[test]
fn no_message_of_the_seeds_breaks_a_session() {
    seeds("websocket")
        .iter()
        .for_each(|seed| websocket::check(seed));
}
