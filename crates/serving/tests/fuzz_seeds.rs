//! The seeds of the fuzz target as ordinary tests: as they are, and changed by seeded chance.

#[path = "../fuzz/checks/websocket.rs"]
mod websocket;

use testing::{JSON_PIECES, SplitMix64, mutated};

fn seeds() -> Vec<Vec<u8>> {
    testing::fuzz_seeds(env!("CARGO_MANIFEST_DIR"), "websocket", 8)
}

#[test]
fn no_message_of_the_seeds_breaks_a_session() {
    seeds().iter().for_each(|seed| websocket::check(seed));
}

#[test]
fn messages_with_pieces_moved_lost_and_added_are_answered_within_the_bounds() {
    let mut dice = SplitMix64::new(4);
    for seed in seeds() {
        for _ in 0..100 {
            websocket::check(&mutated(&seed, &mut dice, &JSON_PIECES));
        }
    }
}
