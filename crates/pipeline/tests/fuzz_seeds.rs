//! The seeds of the fuzz targets, as ordinary tests.

#[path = "../fuzz/checks/push.rs"]
mod push;
#[path = "../fuzz/checks/websocket.rs"]
mod websocket;

fn seeds(target: &str) -> Vec<Vec<u8>> {
    testing::fuzz_seeds(env!("CARGO_MANIFEST_DIR"), target, 8)
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
