//! The documents: flat, with the field names that people read in the database.

use market::{Bar, Interval, Reject, RejectReason, Symbol, Tick, TickKey, Timestamp};
use mongodb::bson::{Bson, Document};
use serde::{Deserialize, Serialize};

use super::keys;
use crate::{DeadLetter, DeadLetterState, StoredTick, quota::size_of};

/// A tick, in `stock_data`.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct TickDocument {
    #[serde(rename = "_id")]
    pub id: String,
    pub symbol: Symbol,
    pub ts_us: Timestamp,
    pub seq: i64,
    pub price: f64,
    pub size: f64,
    pub position: i64,
    /// The process that stored it: the bar that it is counted in is that one's part.
    #[serde(default)]
    pub writer: i64,
}

impl TickDocument {
    pub(super) fn new(tick: &Tick, id: String, position: i64, writer: i64) -> Self {
        Self {
            id,
            symbol: tick.symbol.clone(),
            ts_us: tick.ts,
            seq: tick.seq.cast_signed(),
            price: tick.price,
            size: tick.size,
            position,
            writer,
        }
    }

    pub(super) fn into_tick(self) -> Tick {
        Tick {
            symbol: self.symbol,
            ts: self.ts_us,
            seq: self.seq.cast_unsigned(),
            price: self.price,
            size: self.size,
        }
    }

    pub(super) fn into_stored(self) -> StoredTick {
        StoredTick {
            position: self.position.cast_unsigned(),
            tick: self.into_tick(),
        }
    }
}

/// A bar, or one writer's part of it, in `stock_data_bars`. `trades` is 0 in a bar that came as a
/// bar.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct BarDocument {
    #[serde(rename = "_id")]
    pub id: String,
    pub symbol: Symbol,
    pub interval: Interval,
    pub start_us: Timestamp,
    pub open: f64,
    pub high: f64,
    pub low: f64,
    pub close: f64,
    pub volume: f64,
    pub trades: i64,
    pub first_ts_us: Timestamp,
    pub first_seq: i64,
    pub last_ts_us: Timestamp,
    pub last_seq: i64,
}

impl BarDocument {
    /// A bar that came as a bar.
    pub(super) fn given(bar: &Bar) -> Self {
        Self {
            trades: 0,
            ..Self::part(bar, 0)
        }
    }

    /// A writer's part.
    pub(super) fn part(bar: &Bar, writer: i64) -> Self {
        Self {
            id: keys::bar(&bar.symbol, bar.interval, bar.start, writer),
            symbol: bar.symbol.clone(),
            interval: bar.interval,
            start_us: bar.start,
            open: bar.open,
            high: bar.high,
            low: bar.low,
            close: bar.close,
            volume: bar.volume,
            trades: bar.trades.cast_signed(),
            first_ts_us: bar.first.ts,
            first_seq: bar.first.seq.cast_signed(),
            last_ts_us: bar.last.ts,
            last_seq: bar.last.seq.cast_signed(),
        }
    }

    pub(super) fn into_bar(self) -> Bar {
        let key = |ts, seq: i64| TickKey {
            ts,
            seq: seq.cast_unsigned(),
        };
        Bar {
            symbol: self.symbol,
            interval: self.interval,
            start: self.start_us,
            open: self.open,
            high: self.high,
            low: self.low,
            close: self.close,
            volume: self.volume,
            trades: self.trades.cast_unsigned(),
            first: key(self.first_ts_us, self.first_seq),
            last: key(self.last_ts_us, self.last_seq),
        }
    }
}

/// A dead letter, in `stock_data_dead_letters`.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct DeadLetterDocument {
    #[serde(rename = "_id")]
    pub id: i64,
    pub at_us: Timestamp,
    pub reason: RejectReason,
    pub detail: String,
    pub origin: String,
    /// Whose quota it counts in; empty in letters of builds that had none.
    #[serde(default)]
    pub source: String,
    /// What it counts for there in bytes; 0 in letters of builds that did not count them.
    #[serde(default)]
    pub bytes: i64,
    pub payload: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
    pub state: DeadLetterState,
}

impl DeadLetterDocument {
    pub(super) fn new(id: i64, source: String, reject: Reject, at: Timestamp) -> Self {
        Self {
            id,
            at_us: at,
            bytes: i64::try_from(size_of(&reject)).unwrap_or(i64::MAX),
            reason: reject.reason,
            detail: reject.detail,
            origin: reject.origin,
            source,
            payload: reject.payload,
            message: reject.message,
            state: DeadLetterState::Open,
        }
    }

    pub(super) fn into_letter(self) -> DeadLetter {
        DeadLetter {
            id: self.id,
            at: self.at_us,
            reject: Reject {
                reason: self.reason,
                detail: self.detail,
                origin: self.origin,
                payload: self.payload,
                message: self.message,
            },
            state: self.state,
        }
    }
}

/// A number, of whatever width the server answers with.
pub(super) fn number(document: &Document, field: &str) -> f64 {
    match document.get(field) {
        Some(Bson::Double(n)) => *n,
        Some(Bson::Int32(n)) => f64::from(*n),
        Some(Bson::Int64(n)) => *n as f64,
        _ => f64::NAN,
    }
}
