//! Where a source goes on: the positions of its streams, and how one travels with a batch.

use std::{collections::BTreeMap, sync::Arc};

use market::Timestamp;
use serde::{Deserialize, Serialize};

/// Where a stream goes on.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct StreamPosition {
    /// The cursor of a provider that has them.
    pub cursor: Option<String>,
    /// The time of the latest row taken, in microseconds since 1970 where it is written.
    #[serde(rename = "since_us")]
    pub since: Option<Timestamp>,
    /// Batches taken so far: of two positions of the same time, the one with more is the later one.
    #[serde(default)]
    pub batches: u64,
}

impl StreamPosition {
    /// Whether the stream came to this position after that one.
    pub fn is_after(&self, other: &Self) -> bool {
        (self.since, self.batches) > (other.since, other.batches)
    }
}

/// Where a source goes on: a position for each stream, by symbol; the empty name is that of a
/// provider which is asked for all symbols at once.
pub type Checkpoint = BTreeMap<String, StreamPosition>;

/// Where a stream stood before a batch, as JSON in [`crate::SourceBatch::source_offset`]: whoever
/// finds the batch in a topic can go on from there, and gets the batch once more.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SourceOffset {
    /// The stream's name in a [`Checkpoint`].
    pub stream: String,
    /// Where it stood.
    #[serde(flatten)]
    pub position: StreamPosition,
}

impl SourceOffset {
    /// The text that a batch carries; `None` where it cannot be written.
    pub fn text(&self) -> Option<Arc<str>> {
        serde_json::to_string(self).ok().map(Into::into)
    }

    /// Reads what a batch carried; `None` where another source has written it.
    pub fn read(text: &str) -> Option<Self> {
        serde_json::from_str(text).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn offset(since: i64, batches: u64) -> SourceOffset {
        SourceOffset {
            stream: "ABC".into(),
            position: StreamPosition {
                cursor: Some("c7".into()),
                since: Some(Timestamp::from_secs(since)),
                batches,
            },
        }
    }

    #[test]
    fn an_offset_is_read_as_it_was_written() {
        let text = offset(3, 5).text().unwrap();
        assert_eq!(
            &*text,
            r#"{"stream":"ABC","cursor":"c7","since_us":3000000,"batches":5}"#
        );
        assert_eq!(SourceOffset::read(&text), Some(offset(3, 5)));
        assert_eq!(SourceOffset::read("17"), None);
    }

    #[test]
    fn the_later_of_two_positions_is_found_by_time_and_then_by_batches() {
        let [first, same_time, later] =
            [(3, 5), (3, 6), (4, 0)].map(|(s, b)| offset(s, b).position);
        assert!(same_time.is_after(&first) && later.is_after(&same_time));
        assert!(!first.is_after(&first) && !first.is_after(&later));
        assert!(first.is_after(&StreamPosition::default()));
    }
}
