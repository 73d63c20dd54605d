//! Any bytes as the body of a push: bounded rejects, and in batches the same as in one piece. The fuzz target
//! runs it, and so does an ordinary test, on the seeds.

use market::{TickRules, Timestamp};
use source::{Decoded, Decoding, decode::MAX_REJECT_BYTES, decode::MAX_REJECTS, ticks_from_json};

const NOW: Timestamp = Timestamp::from_secs(1_700_000_000);

/// Of each field of a row that is wrong an excerpt is told.
const MOST_FAULTS: usize = 10;

/// Decodes the bytes whole and in batches of one row.
pub fn check(data: &[u8]) {
    let rules = TickRules::default();
    let whole = ticks_from_json(data, "push", NOW, &rules);
    assert!(whole.rows() <= data.len(), "a row has at least one byte");
    assert!(whole.rejects.len() <= MAX_REJECTS + 1);
    let kept: usize = whole.rejects.iter().map(|r| r.payload.len()).sum();
    // What is not UTF-8 grows to at most three times its size.
    assert!(kept <= 3 * MAX_REJECT_BYTES, "{kept}");
    for reject in &whole.rejects {
        let faults = reject.detail.chars().count() / market::EXCERPT_CHARS;
        assert!(faults <= MOST_FAULTS, "{}", reject.detail);
    }
    let mut parts = Decoded::default();
    let mut decoding = Decoding::new(data, "push", NOW, &rules);
    while let Some(part) = decoding.next_batch(1) {
        assert!(part.ticks.len() + part.bars.len() <= 1);
        parts.ticks.extend(part.ticks);
        parts.bars.extend(part.bars);
        parts.rejects.extend(part.rejects);
        parts.rejected_rows.extend(part.rejected_rows);
        parts.left_out += part.left_out;
    }
    assert_eq!(parts, whole);
}
