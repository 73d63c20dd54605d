//! The topic read again: the ticks of a symbol after a position, for readers that resume from
//! further back than memory reaches.
//!
//! Bounded: a few reads at a time, a number of messages per read, and a few answers kept, since a
//! resume asks for the same stretch piece by piece.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use bus::{Position, TopicLog};
use market::Symbol;
use store::StoredTick;
use tokio::sync::Semaphore;

use super::positions::{self, Window};
use crate::{Result, decode::Decode};

/// Messages before the position that are read for their keys, to tell doubles after it.
const BACK: u64 = 2_000;
/// Messages that one read goes through at most; beyond, a reader gets a new snapshot.
const MESSAGES: u64 = 200_000;
/// Reads at a time.
const AT_ONCE: usize = 4;
/// Answers that are kept.
const KEPT: usize = 8;
/// Rows of one poll, and how long it may find nothing.
const POLL: (usize, Duration) = (10_000, Duration::from_secs(3));

struct Answer {
    symbol: Symbol,
    after: u64,
    ticks: Vec<StoredTick>,
}

pub(super) struct Replay {
    log: Arc<dyn TopicLog>,
    topic: String,
    decode: Decode,
    slots: Semaphore,
    answers: Mutex<VecDeque<Answer>>,
}

impl Replay {
    pub(super) fn new(log: Arc<dyn TopicLog>, topic: String, decode: Decode) -> Self {
        Self {
            log,
            topic,
            decode,
            slots: Semaphore::new(AT_ONCE),
            answers: Mutex::default(),
        }
    }

    fn kept(&self, symbol: &Symbol, after: u64, limit: usize) -> Option<Vec<StoredTick>> {
        let answers = self.answers.lock().unwrap_or_else(PoisonError::into_inner);
        answers.iter().rev().find_map(|answer| {
            if answer.symbol != *symbol || answer.after > after {
                return None;
            }
            let first = answer.ticks.partition_point(|t| t.position <= after);
            // Only a full answer: what came since is not in it.
            let found = answer.ticks.get(first..first + limit)?;
            Some(found.to_vec())
        })
    }

    /// The ticks of `symbol`, whose messages lie in partition `home`, after a position; `None` when
    /// the topic no longer has them all, or too many messages lie between.
    pub(super) async fn ticks_after(
        &self,
        symbol: &Symbol,
        home: u32,
        after: u64,
        limit: usize,
    ) -> Result<Option<Vec<StoredTick>>> {
        if let Some(found) = self.kept(symbol, after, limit) {
            return Ok(Some(found));
        }
        let _slot = self.slots.acquire().await;
        let bounds = self.log.bounds(&self.topic).await?;
        let Some(bounds) = bounds.into_iter().find(|b| b.partition == home) else {
            return Ok(None);
        };
        let first = positions::offset_after(after);
        // Of a symbol that nothing was seen of, everything is owed that the topic still has.
        let lost = first < bounds.oldest && after > 0;
        if lost || bounds.next.saturating_sub(first) > MESSAGES {
            return Ok(None);
        }
        let mut found: Vec<StoredTick> = Vec::new();
        let mut last = after;
        let mut window = Window::default();
        let from = Position {
            partition: home,
            offset: first.saturating_sub(BACK).max(bounds.oldest),
        };
        if from.offset < bounds.next {
            let mut consumer = self.log.read_from(&self.topic, &[from]).await?;
            'read: loop {
                let deliveries = consumer.poll(POLL.0, POLL.1).await?;
                if deliveries.is_empty() {
                    return Err(bus::BusError::Unavailable {
                        detail: format!("reading {} again found nothing", self.topic),
                    }
                    .into());
                }
                for delivery in deliveries {
                    let offset = delivery.position.offset;
                    let rows = self.decode.rows(delivery);
                    for (index, tick) in rows.ticks.iter().enumerate() {
                        if tick.symbol != *symbol || !window.insert(tick.key(), usize::MAX) {
                            continue;
                        }
                        let position = positions::position(offset, index).max(last + 1);
                        if positions::position(offset, index) > after {
                            last = position;
                            found.push(StoredTick {
                                position,
                                tick: tick.clone(),
                            });
                        }
                    }
                    if found.len() >= limit || offset + 1 >= bounds.next {
                        break 'read;
                    }
                }
            }
        }
        found.truncate(limit);
        let mut answers = self.answers.lock().unwrap_or_else(PoisonError::into_inner);
        answers.push_back(Answer {
            symbol: symbol.clone(),
            after,
            ticks: found.clone(),
        });
        while answers.len() > KEPT {
            answers.pop_front();
        }
        drop(answers);
        Ok(Some(found))
    }
}
