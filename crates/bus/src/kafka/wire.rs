//! Messages: JSON that any Kafka consumer can read, with headers that say what it is.
//!
//! | header           | value                                                              |
//! |------------------|--------------------------------------------------------------------|
//! | `schema-version` | `1`; absent in messages from elsewhere                             |
//! | `content`        | `ticks`, `bars` or `raw`; absent in messages from elsewhere        |
//! | `source`         | who made the rows                                                  |
//! | `source-offset`  | where the source stood before the batch, in its own words          |
//! | `clock`          | when they were received, by the host's monotonic clock             |
//!
//! The key is the symbol. `ticks` and `bars` are an object, or an array of objects, of one symbol:
//! `{"symbol":"AAPL","ts_us":1700000000000000,"seq":7,"price":189.5,"size":100.0}`.
//!
//! Decoding never fails: what says that it is ticks and is not comes as [`Payload::Raw`], so that
//! the pipeline's decoder names the fault row by row; what cannot be looked into at all (a version
//! that this build does not know, a message longer than allowed) comes as [`Payload::Reject`].

use std::{sync::Arc, time::Instant};

use bytes::Bytes;
use market::{Bar, Reject, RejectReason, Symbol, Tick, TickRules, Timestamp};
use rdkafka::message::{BorrowedMessage, Header, Headers, Message, OwnedHeaders};
use serde::Deserialize;

use super::clock::HostClock;
use crate::{Payload, Position, Record};

/// The version that this build writes and reads.
pub(super) const SCHEMA_VERSION: &str = "1";

/// A message ready to be sent.
pub(super) struct Encoded {
    pub key: Option<String>,
    pub payload: Vec<u8>,
    pub headers: OwnedHeaders,
}

/// The messages of a record, in order: one, or several when it has more rows than a message may.
pub(super) fn encode(
    record: &Record,
    max_rows: usize,
    clock: &HostClock,
    out: &mut Vec<Encoded>,
) -> serde_json::Result<()> {
    let stamp = clock.write(record.received);
    let message = |content: &str, payload: Vec<u8>| {
        let header = |key, value| Header {
            key,
            value: Some(value),
        };
        let mut headers = OwnedHeaders::new_with_capacity(5)
            .insert(header("schema-version", SCHEMA_VERSION))
            .insert(header("content", content))
            .insert(header("source", &*record.source));
        if let Some(offset) = &record.source_offset {
            headers = headers.insert(header("source-offset", offset));
        }
        if let Some(stamp) = &stamp {
            headers = headers.insert(header("clock", stamp));
        }
        Encoded {
            key: Some(record.key.clone()),
            payload,
            headers,
        }
    };
    match &record.payload {
        Payload::Ticks(ticks) => {
            for rows in ticks.chunks(max_rows.max(1)) {
                out.push(message("ticks", rows_to_json(rows)?));
            }
        }
        Payload::Bars(bars) => {
            for rows in bars.chunks(max_rows.max(1)) {
                out.push(message("bars", rows_to_json(rows)?));
            }
        }
        Payload::Raw(bytes) => out.push(message("raw", bytes.to_vec())),
        // A reject is published as the row that it was: whoever reads it judges it anew.
        Payload::Reject(reject) => out.push(message("raw", reject.payload.clone().into_bytes())),
    }
    Ok(())
}

/// One row as an object, as the original pipeline wrote them; several as an array.
fn rows_to_json<T: serde::Serialize>(rows: &[T]) -> serde_json::Result<Vec<u8>> {
    match rows {
        [row] => serde_json::to_vec(row),
        rows => serde_json::to_vec(rows),
    }
}

/// What decoding needs to know besides the message.
#[derive(Clone, Debug)]
pub(super) struct Decoder {
    pub clock: HostClock,
    pub max_message_bytes: usize,
}

impl Decoder {
    pub(super) fn decode(&self, message: &BorrowedMessage<'_>, position: Position) -> Record {
        let mut version = None;
        let mut content = None;
        let mut source = None;
        let mut source_offset = None;
        let mut stamp = None;
        if let Some(headers) = message.headers() {
            for header in headers.iter() {
                let value = header.value.and_then(|v| std::str::from_utf8(v).ok());
                match header.key {
                    "schema-version" => version = value,
                    "content" => content = value,
                    "source" => source = value,
                    "source-offset" => source_offset = value,
                    "clock" => stamp = value,
                    _ => {}
                }
            }
        }
        let bytes = message.payload().unwrap_or_default();
        Record {
            key: message
                .key()
                .map(|k| String::from_utf8_lossy(k).into_owned())
                .unwrap_or_default(),
            source: source.map_or_else(|| format!("kafka:{}", message.topic()).into(), Into::into),
            source_offset: source_offset.map(Into::into),
            received: stamp
                .and_then(|s| self.clock.read(s))
                .unwrap_or_else(Instant::now),
            payload: self.payload(bytes, version, content, message.topic(), position),
        }
    }

    fn payload(
        &self,
        bytes: &[u8],
        version: Option<&str>,
        content: Option<&str>,
        topic: &str,
        position: Position,
    ) -> Payload {
        let reject_as = |text: String, reason, detail: String| {
            let origin = format!("kafka:{topic}/{}@{}", position.partition, position.offset);
            Payload::Reject(Arc::new(Reject::new(reason, detail, origin, text)))
        };
        if bytes.len() > self.max_message_bytes {
            return reject_as(
                head(bytes).into_owned(),
                RejectReason::TooLarge,
                format!(
                    "the message has {} bytes: at most {} are taken; send fewer rows in one, or raise \
                     kafka.max_message_bytes",
                    bytes.len(),
                    self.max_message_bytes
                ),
            );
        }
        if let Some(version) = version.filter(|v| *v != SCHEMA_VERSION) {
            return reject_as(
                with_version(bytes, version),
                RejectReason::UnknownVersion,
                format!(
                    "schema-version is {version:?}: this build reads {SCHEMA_VERSION:?}; consume it with a \
                     tickcast that reads it, or have it sent as {SCHEMA_VERSION:?}"
                ),
            );
        }
        let rows = match content {
            Some("ticks") => ticks(bytes).map(|t| Payload::Ticks(t.into())),
            Some("bars") => bars(bytes).map(|b| Payload::Bars(b.into())),
            _ => None,
        };
        rows.unwrap_or_else(|| Payload::Raw(Bytes::copy_from_slice(bytes)))
    }
}

/// As much of a message as a reject keeps.
fn head(bytes: &[u8]) -> std::borrow::Cow<'_, str> {
    String::from_utf8_lossy(&bytes[..bytes.len().min(Reject::MAX_PAYLOAD)])
}

/// A message of another version with that version in each of its rows, as the rows' decoder knows it: the
/// header does not come along with a dead letter, which must not pass for one of our version when it is
/// decoded again. What is no rows, or too long to be kept whole, is made unreadable.
fn with_version(bytes: &[u8], version: &str) -> String {
    let mark = |row: &mut serde_json::Value| match row.as_object_mut() {
        Some(row) => {
            row.insert("schema_version".into(), version.into());
            true
        }
        None => false,
    };
    let marked = serde_json::from_slice(bytes).ok().and_then(|mut rows| {
        let all = match &mut rows {
            serde_json::Value::Array(rows) => rows.iter_mut().all(mark),
            row => mark(row),
        };
        all.then(|| rows.to_string())
    });
    let whole = marked.filter(|text| text.len() <= Reject::MAX_PAYLOAD);
    whole.unwrap_or_else(|| format!("schema-version {version}: {}", head(bytes)))
}

/// A tick with its symbol borrowed from the message: a run of one symbol shares one allocation.
#[derive(Deserialize)]
struct WireTick<'a> {
    #[serde(borrow)]
    symbol: std::borrow::Cow<'a, str>,
    ts_us: Timestamp,
    seq: u64,
    price: f64,
    size: f64,
}

fn one_or_many<'a, T: Deserialize<'a>>(bytes: &'a [u8]) -> Option<Vec<T>> {
    match bytes.iter().find(|b| !b.is_ascii_whitespace())? {
        b'[' => serde_json::from_slice(bytes).ok(),
        _ => serde_json::from_slice(bytes).ok().map(|row| vec![row]),
    }
}

fn ticks(bytes: &[u8]) -> Option<Vec<Tick>> {
    // The time is the consumer's to judge, by its clock.
    let rules = TickRules {
        max_ahead_us: i64::MAX,
        ..TickRules::default()
    };
    let mut symbol: Option<Symbol> = None;
    one_or_many::<WireTick<'_>>(bytes)?
        .into_iter()
        .map(|row| {
            let same = symbol.take().filter(|s| s.as_str() == row.symbol);
            let tick = Tick {
                symbol: match same {
                    Some(symbol) => symbol,
                    None => row.symbol.parse().ok()?,
                },
                ts: row.ts_us,
                seq: row.seq,
                price: row.price,
                size: row.size,
            };
            symbol = Some(tick.symbol.clone());
            rules.check(&tick, Timestamp::MAX).ok()?;
            Some(tick)
        })
        .collect()
}

fn bars(bytes: &[u8]) -> Option<Vec<Bar>> {
    let bars: Vec<Bar> = one_or_many(bytes)?;
    bars.iter().all(|b| b.check().is_ok()).then_some(bars)
}

#[cfg(test)]
mod tests {
    use super::*;

    const AT: Position = Position {
        partition: 3,
        offset: 17,
    };

    fn payload(bytes: &[u8], version: Option<&str>, content: Option<&str>) -> Payload {
        let decoder = Decoder {
            clock: HostClock::new(),
            max_message_bytes: 1_000,
        };
        decoder.payload(bytes, version, content, "stock-data", AT)
    }

    const ROW: &str = r#"{"symbol":"ABC","ts_us":1700000000000000,"seq":7,"price":1.5,"size":2}"#;

    #[test]
    fn an_object_and_an_array_are_ticks_where_the_header_says_so() {
        for text in [ROW.to_owned(), format!(" [{ROW},{ROW}]")] {
            let payload = payload(text.as_bytes(), Some("1"), Some("ticks"));
            assert!(
                matches!(&payload, Payload::Ticks(t) if t[0].price == 1.5),
                "{payload:?}"
            );
        }
    }

    #[test]
    fn a_message_from_elsewhere_comes_as_it_is() {
        let expected = Payload::Raw(Bytes::copy_from_slice(ROW.as_bytes()));
        assert_eq!(payload(ROW.as_bytes(), None, None), expected);
    }

    #[test]
    fn rows_that_break_the_rules_come_as_they_are_whatever_the_header_says() {
        for bad in [
            ROW.replace("1.5", "-1.5"),
            ROW.replace("ABC", "A C"),
            ROW.replace("\"seq\":7,", ""),
            ROW[..20].to_owned(),
            String::new(),
        ] {
            let got = payload(bad.as_bytes(), Some("1"), Some("ticks"));
            assert_eq!(got, Payload::Raw(Bytes::from(bad)));
        }
    }

    #[test]
    fn an_unknown_version_is_a_reject_that_says_where_it_stood() {
        let Payload::Reject(reject) = payload(ROW.as_bytes(), Some("9"), Some("ticks")) else {
            panic!("not a reject");
        };
        assert_eq!(reject.reason, RejectReason::UnknownVersion);
        assert_eq!(reject.origin, "kafka:stock-data/3@17");
        let kept: serde_json::Value = serde_json::from_str(&reject.payload).unwrap();
        assert_eq!(
            (&kept["seq"], &kept["schema_version"]),
            (&7.into(), &"9".into())
        );
    }

    #[test]
    fn a_message_longer_than_allowed_is_a_reject_with_its_beginning() {
        let Payload::Reject(reject) = payload(&[b'x'; 1_001], None, None) else {
            panic!("not a reject");
        };
        assert_eq!(reject.reason, RejectReason::TooLarge);
        assert!(reject.payload.starts_with("xxx"));
    }

    #[test]
    fn a_long_record_becomes_several_messages_in_order() {
        let tick: Vec<Tick> = ticks(ROW.as_bytes()).unwrap();
        let ticks: Vec<Tick> = (0..5)
            .map(|seq| Tick {
                seq,
                ..tick[0].clone()
            })
            .collect();
        let record = Record {
            key: "ABC".into(),
            source: "test".into(),
            source_offset: None,
            received: Instant::now(),
            payload: Payload::Ticks(ticks.clone().into()),
        };
        let mut messages = Vec::new();
        encode(&record, 2, &HostClock::new(), &mut messages).unwrap();
        let back: Vec<Tick> = messages
            .iter()
            .flat_map(|m| self::ticks(&m.payload).unwrap())
            .collect();
        assert_eq!(messages.len(), 3);
        assert_eq!(back, ticks);
        assert_eq!(messages[2].payload[0], b'{');
    }
}
