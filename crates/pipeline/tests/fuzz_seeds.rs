//! The seeds of the fuzz target, as an ordinary test.

#[path = "../fuzz/checks/push.rs"]
mod push;

#[test]
fn no_push_of_the_seeds_breaks_the_decoder() {
    testing::fuzz_seeds(env!("CARGO_MANIFEST_DIR"), "push", 8)
        .iter()
        .for_each(|seed| push::check(seed));
}
