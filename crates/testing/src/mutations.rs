//! Inputs as a fuzzer makes them of a seed, but the same at every run: an ordinary test can hold what a few
//! thousand of them must not break.
//!
//! Does not: look at what an input reaches; the fuzz targets themselves do (`fuzz/README.md` of a crate).

use crate::SplitMix64;

/// The longest run of bytes that one change is about.
const RUN: u64 = 40;

/// Pieces that requests in JSON have in places where nobody expects them.
pub const JSON_PIECES: [&[u8]; 20] = [
    b"{",
    b"}",
    b"[",
    b"],",
    b"\"",
    b":",
    b",",
    b"\n",
    b"null",
    b"-1",
    b"1e309",
    b"18446744073709551616",
    b"0.1e-400",
    b"\"op\":\"predict\"",
    b"\"symbol\":\"AAPL\"",
    b"\\ud800",
    b"\0",
    b"\xff",
    "\u{5e74}\u{2028}".as_bytes(),
    b"{\"op\":\"ping\",\"id\":1}\n",
];

/// `seed` after one to four changes, each at a place that the dice choose: a run of up to 40 bytes is lost, or
/// comes again elsewhere; one of `pieces` comes in; a byte becomes another.
///
/// ```
/// use testing::{SplitMix64, mutated};
///
/// let of = |seed| mutated(b"AAPL,1.5\n", &mut SplitMix64::new(seed), &[b"NaN"]);
/// assert_eq!(of(1), of(1));
/// assert!((0..100).any(|seed| of(seed).windows(3).any(|w| w == b"NaN")));
/// ```
#[must_use]
pub fn mutated(seed: &[u8], dice: &mut SplitMix64, pieces: &[&[u8]]) -> Vec<u8> {
    let mut data = seed.to_vec();
    for _ in 0..=dice.below(4) {
        let at = below(dice, data.len() + 1);
        let end = data.len().min(at + below(dice, RUN as usize));
        match dice.below(4) {
            0 => drop(data.drain(at..end)),
            1 => {
                let run = data[at..end].to_vec();
                let to = below(dice, data.len() + 1);
                data.splice(to..to, run);
            }
            2 if !pieces.is_empty() => {
                let piece = pieces[below(dice, pieces.len())];
                data.splice(at..at, piece.iter().copied());
            }
            _ => {
                let byte = dice.bits().to_le_bytes()[0];
                if let Some(place) = data.get_mut(at) {
                    *place = byte;
                }
            }
        }
    }
    data
}

/// A number below `bound`, which is not 0.
fn below(dice: &mut SplitMix64, bound: usize) -> usize {
    usize::try_from(dice.below(bound as u64)).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_of_change_comes_and_nothing_else() {
        let seed: Vec<u8> = (0..100).collect();
        let mut dice = SplitMix64::new(1);
        let (mut shorter, mut longer, mut same, mut whole) = (0, 0, 0, 0);
        for _ in 0..1_000 {
            let data = mutated(&seed, &mut dice, &[b"\xff\xff"]);
            assert!(data.len() <= seed.len() * 16 && data.len() + 160 >= seed.len());
            match data.len().cmp(&seed.len()) {
                std::cmp::Ordering::Less => shorter += 1,
                std::cmp::Ordering::Greater => longer += 1,
                std::cmp::Ordering::Equal => same += 1,
            }
            whole += i32::from(data == seed);
        }
        assert!(
            shorter > 200 && longer > 200 && same > 100,
            "{shorter} {longer} {same}"
        );
        assert!(whole < 100, "{whole} as they were");
        // Of nothing something may come, and nothing breaks.
        for _ in 0..100 {
            assert!(mutated(b"", &mut dice, &[b"x"]).len() <= 4);
        }
    }
}
