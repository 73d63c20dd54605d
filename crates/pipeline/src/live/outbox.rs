//! The queue of one reader: bounded, and folded into the latest state per symbol when full.
//!
//! Model: messages wait in order, bounded in number and in bytes. When one more does not fit, the waiting ticks and bars are folded:
//! per symbol the last tick with the number of ticks left out, and per interval the newest bar.
//! From then on new ones are folded too, until the reader has taken everything: so memory is bounded
//! by the number of its symbols. A reader that stays behind longer than it may is cut off.
//!
//! What it does not do: know the hub.

use std::{
    collections::{HashMap, VecDeque},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use bytes::Bytes;
use market::{Interval, Symbol, Tick, Timestamp};
use protocol::LiveMessage;
use tokio::{sync::Notify, time::Instant};

use super::message::{Frame, Kind, Message, message_text};

/// WebSocket status 1001: the server goes away.
pub const GOING_AWAY: u16 = 1001;
/// WebSocket status 1008: the reader broke the rules, by being too slow as a rule.
pub const POLICY: u16 = 1008;

/// What a push did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Pushed {
    /// The queue was full and has been folded.
    pub conflated: bool,
    /// Ticks left out by it.
    pub skipped: u64,
    /// The reader has been cut off by it.
    pub cut_off: bool,
}

/// The latest state of a symbol, in place of what was left out.
#[derive(Debug)]
struct Latest {
    /// The last tick, its seq and how many ticks it stands for, itself included.
    tick: Option<(Tick, u64, u64)>,
    bars: HashMap<Interval, (Timestamp, Arc<Message>)>,
}

#[derive(Debug)]
struct End {
    bye: Option<Bytes>,
    code: u16,
    reason: String,
    /// Whether what waits is still delivered before.
    drain: bool,
}

#[derive(Debug, Default)]
struct Queue {
    messages: VecDeque<Arc<Message>>,
    /// Of the messages.
    bytes: usize,
    latest: HashMap<Symbol, Latest>,
    order: VecDeque<Symbol>,
    behind_since: Option<Instant>,
    end: Option<End>,
}

/// The queue of one reader.
#[derive(Debug)]
pub(crate) struct Outbox {
    queue: Mutex<Queue>,
    capacity: usize,
    /// Messages of so many bytes together wait at most; one always may.
    most_bytes: usize,
    max_behind: Duration,
    /// Wakes the reader.
    pub ready: Notify,
    /// Wakes whoever waits for the end of the session.
    ended: Notify,
}

impl Outbox {
    pub(crate) fn new(capacity: usize, most_bytes: usize, max_behind: Duration) -> Self {
        Self {
            queue: Mutex::new(Queue::default()),
            capacity: capacity.max(1),
            most_bytes,
            max_behind,
            ready: Notify::new(),
            ended: Notify::new(),
        }
    }

    fn lock(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Queues a message.
    pub(crate) fn push(&self, message: &Arc<Message>) -> Pushed {
        let mut pushed = Pushed::default();
        let mut queue = self.lock();
        if queue.end.is_some() {
            return pushed;
        }
        let idle = queue.messages.is_empty() && queue.order.is_empty();
        if matches!(message.kind, Kind::Control) {
            let twice = |most: usize| most.saturating_mul(2);
            if queue.messages.len() >= twice(self.capacity)
                || !queue.fits(message, twice(self.most_bytes))
            {
                drop(queue);
                self.end(
                    POLICY,
                    "too many requests are waiting for their answers",
                    false,
                );
                pushed.cut_off = true;
                return pushed;
            }
            queue.append(Arc::clone(message));
        } else if !queue.order.is_empty() {
            pushed.skipped = queue.fold(message);
        } else if queue.messages.len() < self.capacity && queue.fits(message, self.most_bytes) {
            queue.append(Arc::clone(message));
        } else {
            pushed.conflated = true;
            queue.bytes = 0;
            for waiting in std::mem::take(&mut queue.messages) {
                if matches!(waiting.kind, Kind::Control) {
                    queue.append(waiting);
                } else {
                    pushed.skipped += queue.fold(&waiting);
                }
            }
            pushed.skipped += queue.fold(message);
        }
        if !queue.order.is_empty() {
            let since = *queue.behind_since.get_or_insert_with(Instant::now);
            if since.elapsed() > self.max_behind {
                drop(queue);
                self.end(POLICY, "the reader is too slow", false);
                pushed.cut_off = true;
                return pushed;
            }
        }
        drop(queue);
        if idle {
            self.ready.notify_one();
        }
        pushed
    }

    /// Takes the next frame, if there is one.
    pub(crate) fn pop(&self) -> Option<Frame> {
        let mut queue = self.lock();
        if queue.end.as_ref().is_none_or(|end| end.drain)
            && let Some(frame) = queue.take()
        {
            return Some(frame);
        }
        let end = queue.end.as_mut()?;
        Some(match end.bye.take() {
            Some(bye) => Frame::Text(bye),
            None => Frame::Close {
                code: end.code,
                reason: end.reason.clone(),
            },
        })
    }

    /// Ends the session: a `Bye`, then the close. With `drain` what waits is delivered first.
    pub(crate) fn end(&self, code: u16, reason: &str, drain: bool) {
        let mut queue = self.lock();
        if queue.end.is_none() {
            queue.end = Some(End {
                bye: Some(message_text(&LiveMessage::Bye {
                    reason: reason.to_owned(),
                })),
                code,
                reason: reason.chars().take(100).collect(),
                drain,
            });
            if !drain {
                queue.messages.clear();
                queue.bytes = 0;
                queue.latest.clear();
                queue.order.clear();
            }
        }
        drop(queue);
        self.ready.notify_one();
        self.ended.notify_waiters();
    }

    pub(crate) fn has_ended(&self) -> bool {
        self.lock().end.is_some()
    }

    /// Returns when the session has ended.
    pub(crate) async fn wait_for_end(&self) {
        loop {
            let ended = self.ended.notified();
            tokio::pin!(ended);
            ended.as_mut().enable();
            if self.has_ended() {
                return;
            }
            ended.await;
        }
    }

    /// How many messages and folded symbols wait.
    pub(crate) fn depth(&self) -> usize {
        let queue = self.lock();
        queue.messages.len() + queue.order.len()
    }
}

impl Queue {
    /// Whether a message may wait with the others, so that they are at most so many bytes.
    fn fits(&self, message: &Message, most_bytes: usize) -> bool {
        self.messages.is_empty() || self.bytes + message.text.len() <= most_bytes
    }

    fn append(&mut self, message: Arc<Message>) {
        self.bytes += message.text.len();
        self.messages.push_back(message);
    }

    /// Takes a message into the latest state; returns how many ticks are left out by it.
    fn fold(&mut self, message: &Arc<Message>) -> u64 {
        let symbol = match &message.kind {
            Kind::Control => return 0,
            Kind::Ticks { symbol, .. } | Kind::Bar { symbol, .. } => symbol,
        };
        if !self.latest.contains_key(symbol) {
            self.order.push_back(symbol.clone());
        }
        let latest = self.latest.entry(symbol.clone()).or_insert_with(|| Latest {
            tick: None,
            bars: HashMap::new(),
        });
        match &message.kind {
            Kind::Control => 0,
            Kind::Ticks {
                seq, count, last, ..
            } => {
                let (before, left_out) = match &latest.tick {
                    Some((_, _, before)) => (*before, *count),
                    None => (0, count - 1),
                };
                latest.tick = Some((last.clone(), *seq, before + count));
                left_out
            }
            Kind::Bar {
                interval, start, ..
            } => {
                // A correction of an older bar gives way to the newest.
                if latest.bars.get(interval).is_none_or(|(at, _)| at <= start) {
                    latest.bars.insert(*interval, (*start, Arc::clone(message)));
                }
                0
            }
        }
    }

    fn take(&mut self) -> Option<Frame> {
        if let Some(message) = self.messages.pop_front() {
            self.bytes -= message.text.len();
            if self.messages.is_empty() && self.order.is_empty() {
                self.behind_since = None;
            }
            return Some(Frame::Text(message.text.clone()));
        }
        let symbol = self.order.pop_front()?;
        let latest = self.latest.remove(&symbol)?;
        let mut bars: Vec<_> = latest.bars.into_iter().collect();
        bars.sort_by_key(|(interval, _)| *interval);
        for (_, (_, message)) in bars {
            self.append(message);
        }
        let Some((tick, seq, count)) = latest.tick else {
            return self.take();
        };
        if self.messages.is_empty() && self.order.is_empty() {
            self.behind_since = None;
        }
        Some(Frame::Text(message_text(&LiveMessage::Latest {
            symbol,
            seq,
            tick,
            skipped: count - 1,
        })))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::live::message;

    fn tick(seq: u64) -> Tick {
        Tick {
            symbol: "ABC".parse().unwrap(),
            ts: Timestamp::from_secs(seq as i64),
            seq,
            price: 1.0,
            size: 1.0,
        }
    }

    fn ticks(seq: u64, n: u64) -> Arc<Message> {
        let list = (seq + 1 - n..=seq).map(tick).collect();
        message::ticks(&"ABC".parse().unwrap(), seq, list, None).unwrap()
    }

    fn read(outbox: &Outbox) -> Option<LiveMessage> {
        match outbox.pop()? {
            Frame::Text(text) => Some(serde_json::from_slice(&text).unwrap()),
            Frame::Close { .. } => None,
        }
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_delivered_and_what_is_said_to_be_left_out_add_up() {
        let outbox = Outbox::new(3, 1 << 20, Duration::from_secs(60));
        let mut sent = 0;
        for _ in 0..7 {
            sent += 2;
            outbox.push(&ticks(sent, 2));
        }
        let mut seen = 0;
        while let Some(message) = read(&outbox) {
            match message {
                LiveMessage::Ticks { ticks, .. } => seen += ticks.len() as u64,
                LiveMessage::Latest { skipped, seq, .. } => {
                    assert_eq!(seq, sent);
                    seen += 1 + skipped;
                }
                other => panic!("{other:?}"),
            }
        }
        assert_eq!(seen, sent);
        outbox.push(&ticks(sent + 1, 1));
        assert!(matches!(read(&outbox), Some(LiveMessage::Ticks { .. })));
    }

    #[test]
    fn what_waits_is_bounded_in_bytes_too() {
        let outbox = Outbox::new(1_000, 4_000, Duration::from_secs(60));
        let bytes = |outbox: &Outbox| {
            outbox
                .lock()
                .messages
                .iter()
                .map(|m| m.text.len())
                .sum::<usize>()
        };
        let mut conflated = false;
        for n in 1..=20 {
            conflated |= outbox.push(&ticks(n * 10, 10)).conflated;
            assert!(bytes(&outbox) <= 4_000 && bytes(&outbox) == outbox.lock().bytes);
        }
        assert!(conflated);
        while read(&outbox).is_some() {}
        assert_eq!(outbox.lock().bytes, 0);
        // Answers are never left out: a reader that lets too many of them wait is cut off.
        let answer = message::control(&LiveMessage::Bye {
            reason: "x".repeat(900),
        });
        let cut_off = (0..20).position(|_| outbox.push(&answer).cut_off);
        assert_eq!(cut_off, Some(8_000 / answer.text.len()));
        assert_eq!(bytes(&outbox), 0);
        // One message always may wait, however large.
        let outbox = Outbox::new(1_000, 10, Duration::from_secs(60));
        outbox.push(&ticks(1, 1));
        assert!(matches!(read(&outbox), Some(LiveMessage::Ticks { .. })));
    }

    #[tokio::test(start_paused = true)]
    async fn a_reader_that_stays_behind_is_cut_off_with_a_reason() {
        let outbox = Outbox::new(1, 1 << 20, Duration::from_secs(5));
        outbox.push(&ticks(1, 1));
        assert!(outbox.push(&ticks(2, 1)).conflated);
        tokio::time::advance(Duration::from_secs(4)).await;
        assert!(!outbox.push(&ticks(3, 1)).cut_off);
        tokio::time::advance(Duration::from_secs(2)).await;
        assert!(outbox.push(&ticks(4, 1)).cut_off);
        assert!(matches!(read(&outbox), Some(LiveMessage::Bye { .. })));
        for _ in 0..2 {
            assert!(matches!(
                outbox.pop(),
                Some(Frame::Close { code: POLICY, .. })
            ));
        }
        outbox.wait_for_end().await;
    }
}
