//! The seeds of the fuzz target as ordinary tests: as they are, and changed by seeded chance.

#[path = "../fuzz/checks/push.rs"]
mod push;

use testing::{JSON_PIECES, SplitMix64, mutated};

fn seeds() -> Vec<Vec<u8>> {
    testing::fuzz_seeds(env!("CARGO_MANIFEST_DIR"), "push", 8)
}

#[test]
fn no_push_of_the_seeds_breaks_the_decoder() {
    seeds().iter().for_each(|seed| push::check(seed));
}

#[test]
fn pushes_with_pieces_moved_lost_and_added_are_decoded_or_refused() {
    let mut dice = SplitMix64::new(3);
    for seed in seeds() {
        for _ in 0..400 {
            push::check(&mutated(&seed, &mut dice, &JSON_PIECES));
        }
    }
}
