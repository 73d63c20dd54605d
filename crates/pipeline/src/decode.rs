//! From a message of the bus to rows: the one place that decides which rows of it can be used, for who stores
//! them and for who only shows them.

use std::sync::Arc;

use bus::{Delivery, Payload};
use market::{Bar, Reject, RejectReason, Tick, TickRules};
use serde::Serialize;

use crate::{Clock, dead_letters};

/// Rows of a message, as they are decided about everywhere.
#[derive(Debug, Default)]
pub(crate) struct MessageRows {
    pub ticks: Vec<Tick>,
    pub bars: Vec<Bar>,
    pub rejects: Vec<Reject>,
}

impl MessageRows {
    fn reject<T: Serialize + std::fmt::Debug>(
        &mut self,
        (reason, detail): (RejectReason, String),
        source: &str,
        row: &T,
    ) {
        let reject = Reject::new(reason, detail, source, dead_letters::row_text(row));
        self.rejects.push(reject);
    }
}

/// Decodes messages.
#[derive(Clone)]
pub(crate) struct Decode {
    pub rules: Arc<TickRules>,
    pub clock: Arc<dyn Clock>,
}

impl Decode {
    pub(crate) fn rows(&self, delivery: Delivery) -> MessageRows {
        let Delivery { position, record } = delivery;
        match record.payload {
            // Whoever published them may have another clock, or no rules.
            Payload::Ticks(ticks) => {
                let now = self.clock.now();
                let mut rows = MessageRows::default();
                rows.ticks.reserve(ticks.len());
                for tick in ticks.iter() {
                    match self.rules.check(tick, now) {
                        Ok(()) => rows.ticks.push(tick.clone()),
                        Err(fault) => rows.reject(fault, &record.source, tick),
                    }
                }
                rows
            }
            Payload::Bars(bars) => {
                let now = self.clock.now();
                let mut rows = MessageRows::default();
                for bar in bars.iter() {
                    match self.rules.check_origin(&bar.symbol, bar.start, now) {
                        Ok(()) => rows.bars.push(bar.clone()),
                        Err(fault) => rows.reject(fault, &record.source, bar),
                    }
                }
                rows
            }
            Payload::Raw(bytes) => {
                let origin = format!(
                    "{}/{}@{}",
                    record.source, position.partition, position.offset
                );
                let decoded =
                    source::ticks_from_json(&bytes, &origin, self.clock.now(), &self.rules);
                MessageRows {
                    ticks: decoded.ticks,
                    bars: decoded.bars,
                    rejects: decoded.rejects,
                }
            }
            Payload::Reject(reject) => MessageRows {
                rejects: vec![Arc::unwrap_or_clone(reject)],
                ..MessageRows::default()
            },
        }
    }
}
