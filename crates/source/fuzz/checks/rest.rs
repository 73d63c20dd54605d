//! Any answer of a provider, by any preset or by a mapping that comes with it: read to the same rows every
//! time, of which the good ones keep the rules, and never more of them than the answer has room for. The
//! fuzz target runs it, and so does an ordinary test, on the seeds.

use market::{Reject, TickRules, Timestamp};
use source::rest::{Mapping, Provider, Received};

const NOW: Timestamp = Timestamp::from_secs(1_800_000_000);

/// The mapping and the answer: a line of JSON that is a mapping, or the name of a preset; then the answer.
fn parts(data: &[u8]) -> Option<(Mapping, &[u8])> {
    let end = data.iter().position(|b| *b == b'\n')?;
    let (first, body) = (std::str::from_utf8(&data[..end]).ok()?, &data[end + 1..]);
    let preset = Provider::preset(first, Some("http://127.0.0.1:1")).ok();
    let mapping = preset.map(|preset| preset.mapping);
    Some((mapping.or_else(|| serde_json::from_str(first).ok())?, body))
}

/// Reads an answer twice, and checks what comes of it.
pub fn check(data: &[u8]) {
    let Some((mapping, body)) = parts(data) else {
        return;
    };
    let rules = TickRules::default();
    let received = Received {
        body,
        symbol: Some("ACME"),
        origin: "rest:fuzz",
        now: NOW,
        rules: &rules,
    };
    let read = mapping.read(received);
    assert_eq!(read, mapping.read(received));
    let Ok(answer) = read else {
        return;
    };
    // A row is at least a character and what parts it from the next; a cell of a column likewise.
    let rows = answer.decoded.rows();
    assert!(
        rows <= body.len() / 2 + 2,
        "{rows} rows of {} bytes",
        body.len()
    );
    for tick in &answer.decoded.ticks {
        assert!(rules.check(tick, NOW).is_ok(), "{tick:?}");
    }
    for bar in &answer.decoded.bars {
        assert!(bar.check().is_ok(), "{bar:?}");
        assert!(bar.first <= bar.last && bar.last.ts < bar.end(), "{bar:?}");
    }
    for reject in &answer.decoded.rejects {
        assert!(reject.payload.len() <= Reject::MAX_PAYLOAD);
    }
}
