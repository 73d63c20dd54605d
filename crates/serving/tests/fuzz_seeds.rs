//! The seeds of the fuzz target, as an ordinary test.

#[path = "../fuzz/checks/websocket.rs"]
mod websocket;

#[test]
fn no_message_of_the_seeds_breaks_a_session() {
    testing::fuzz_seeds(env!("CARGO_MANIFEST_DIR"), "websocket", 8)
        .iter()
        .for_each(|seed| websocket::check(seed));
}
