//! What `/live` knows of one symbol: its readers, its latest state, its last ticks.
//!
//! Model: two locks. Whoever publishes takes only the inbox's, and only to append. Whoever delivers
//! or attaches a reader takes the state's, empties the inbox into it first, and so sees a state that
//! is exactly "everything up to `seq`": a snapshot made then is followed by every later tick once.
//!
//! Bars: the newest bar of each interval and those not closed yet are kept. A bar that goes on is
//! sent at intervals, one that closes or is corrected after it closed at once.

use std::{
    collections::VecDeque,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::Instant,
};

use market::{Bar, Interval, Symbol, Tick, Timestamp};
use protocol::LiveMessage;
use store::StoredTick;

use super::{
    backlog::Known,
    bars::{BarSlot, Intervals, put},
    message::{self, Message},
    outbox::{Outbox, Pushed},
};

/// Ticks in a message at most.
pub(crate) const TICKS_PER_MESSAGE: usize = 1_000;
/// Ticks in an inbox at most; beyond, all but the last are left out for every reader.
const INBOX_TICKS: usize = 16_384;

/// What a delivery needs besides the topic.
pub(crate) struct Delivery {
    /// Market time: bars that end at or before it are closed.
    pub market_now: Timestamp,
    pub bar_every: std::time::Duration,
    /// How many ticks the ring may hold.
    pub ring_ticks: usize,
    /// Now, by the monotonic clock.
    pub at: Instant,
}

/// What a delivery did.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Delivered {
    pub messages: usize,
    pub conflations: usize,
    pub skipped: u64,
    pub cut_offs: usize,
    /// There are bars whose turn has not come yet.
    pub bars_wait: bool,
}

impl Delivered {
    fn add(&mut self, pushed: Pushed) {
        self.messages += 1;
        self.conflations += usize::from(pushed.conflated);
        self.skipped += pushed.skipped;
        self.cut_offs += usize::from(pushed.cut_off);
    }
}

#[derive(Debug, Default)]
struct Inbox {
    ticks: Vec<StoredTick>,
    /// Ticks left out because nobody emptied the inbox in time, all before `ticks`.
    skipped: u64,
    bars: Vec<Bar>,
    received: Option<Instant>,
    /// The position of the last tick published.
    published: u64,
}

#[derive(Debug)]
pub(crate) struct Subscriber {
    pub id: u64,
    pub outbox: Arc<Outbox>,
    pub intervals: Intervals,
}

#[derive(Debug, Default)]
struct State {
    seq: u64,
    last: Option<Tick>,
    ring: VecDeque<StoredTick>,
    /// Every tick of the symbol with a position above it and up to `seq` is in the ring.
    floor: u64,
    bars: [Vec<BarSlot>; 6],
    subscribers: Vec<Subscriber>,
    wanted: Intervals,
}

/// One symbol.
#[derive(Debug)]
pub(crate) struct Topic {
    pub symbol: Symbol,
    inbox: Mutex<Inbox>,
    state: Mutex<State>,
    /// Whether it stands in the hub's list of topics with something to deliver.
    pub dirty: AtomicBool,
    /// Whether the state from before this process has been read from the store.
    pub hydrated: tokio::sync::OnceCell<()>,
    /// Held by who reads it.
    pub reading: Arc<tokio::sync::Mutex<()>>,
}

/// How a reader that resumes was met.
pub(crate) enum Attached {
    /// It is attached and has got what it missed; the time of the oldest tick of that.
    Yes(Option<Timestamp>),
    /// The ring does not reach back to where it stopped: read on from the store.
    NotInRing,
    /// It has missed more than it may be sent one by one.
    TooMany,
    /// It says that it has seen more than there is, so that it needs a snapshot.
    Ahead,
}

impl Topic {
    pub(crate) fn new(symbol: Symbol) -> Self {
        Self {
            symbol,
            inbox: Mutex::new(Inbox::default()),
            state: Mutex::new(State::default()),
            dirty: AtomicBool::new(false),
            hydrated: tokio::sync::OnceCell::new(),
            reading: Arc::default(),
        }
    }

    fn inbox(&self) -> MutexGuard<'_, Inbox> {
        self.inbox.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes note of stored ticks (in order of storage) and changed bars. Cheap; true when the topic
    /// must be put on the hub's list.
    pub(crate) fn publish(
        &self,
        ticks: impl Iterator<Item = StoredTick>,
        bars: impl Iterator<Item = Bar>,
        received: Option<Instant>,
    ) -> bool {
        let mut inbox = self.inbox();
        inbox.ticks.extend(ticks);
        if let Some(last) = inbox.ticks.last() {
            inbox.published = inbox.published.max(last.position);
        }
        if inbox.ticks.len() > INBOX_TICKS {
            let left_out = inbox.ticks.len() - 1;
            inbox.skipped += left_out as u64;
            inbox.ticks.drain(..left_out);
        }
        for bar in bars {
            match inbox
                .bars
                .iter_mut()
                .find(|b| b.interval == bar.interval && b.start == bar.start)
            {
                Some(slot) => *slot = bar,
                None => inbox.bars.push(bar),
            }
        }
        inbox.received = match (inbox.received, received) {
            (Some(a), Some(b)) => Some(a.min(b)),
            (a, b) => a.or(b),
        };
        drop(inbox);
        !self.dirty.swap(true, Ordering::AcqRel)
    }

    /// The position up to which ticks have been published or read; `None` when nothing is known.
    pub(crate) fn published(&self) -> Option<u64> {
        let in_state = self.state().seq;
        Some(self.inbox().published.max(in_state)).filter(|seq| *seq > 0)
    }

    /// Takes in what there was before this process published anything.
    pub(crate) fn hydrate(&self, known: Known) {
        let mut state = self.state();
        // Nobody has been sent anything yet, so the backlog's word may simply be taken; what is
        // published meanwhile with a position up to it is dropped.
        if state.seq < known.seq {
            state.seq = known.seq;
            state.floor = known.seq;
            state.ring.clear();
        }
        if let Some(last) = known.last
            && state.last.as_ref().is_none_or(|t| t.key() < last.key())
        {
            state.last = Some(last);
        }
        for bar in known.bars {
            let slots = &mut state.bars[bar.interval as usize];
            let newer = slots.iter().any(|s| {
                s.bar.start > bar.start || (s.bar.start == bar.start && s.bar.trades >= bar.trades)
            });
            if !newer {
                put(slots, bar);
            }
        }
    }

    /// Delivers what the inbox holds, and the bars whose turn has come.
    pub(crate) fn deliver(&self, env: &Delivery) -> Delivered {
        let mut state = self.state();
        self.deliver_locked(&mut state, env)
    }

    fn deliver_locked(&self, state: &mut State, env: &Delivery) -> Delivered {
        self.dirty.store(false, Ordering::Release);
        let Inbox {
            ticks,
            skipped,
            bars,
            received,
            ..
        } = {
            let mut inbox = self.inbox();
            let published = inbox.published;
            std::mem::replace(
                &mut *inbox,
                Inbox {
                    published,
                    ..Inbox::default()
                },
            )
        };
        let mut done = Delivered::default();
        self.take_ticks(state, ticks, skipped, received, env, &mut done);
        for bar in bars {
            put(&mut state.bars[bar.interval as usize], bar);
        }
        state.send_bars(env, &mut done);
        done
    }

    fn take_ticks(
        &self,
        state: &mut State,
        ticks: Vec<StoredTick>,
        skipped: u64,
        received: Option<Instant>,
        env: &Delivery,
        done: &mut Delivered,
    ) {
        let mut fresh = Vec::with_capacity(ticks.len());
        for stored in ticks {
            if stored.position <= state.seq {
                continue;
            }
            if state.seq == 0 {
                // Positions grow with time, so this one's predecessors are older than the process.
                state.floor = stored.position - 1;
            }
            state.seq = stored.position;
            if state
                .last
                .as_ref()
                .is_none_or(|t| t.key() < stored.tick.key())
            {
                state.last = Some(stored.tick.clone());
            }
            if !state.subscribers.is_empty() {
                fresh.push((stored.position, stored.tick.clone()));
            }
            state.ring.push_back(stored);
        }
        if skipped > 0 {
            state.ring.clear();
            state.floor = state.seq;
            if let Some((seq, tick)) = fresh.pop() {
                let skipped = skipped + fresh.len() as u64;
                let message = message::control(&LiveMessage::Latest {
                    symbol: self.symbol.clone(),
                    seq,
                    tick,
                    skipped,
                });
                done.skipped += skipped;
                state.send(&message, done);
            }
            return;
        }
        while state.ring.len() > env.ring_ticks {
            if let Some(old) = state.ring.pop_front() {
                state.floor = old.position;
            }
        }
        let age_us = received.map(|r| {
            u64::try_from(env.at.saturating_duration_since(r).as_micros()).unwrap_or(u64::MAX)
        });
        let mut fresh = fresh.into_iter().peekable();
        while fresh.peek().is_some() {
            let mut seq = 0;
            let part = fresh
                .by_ref()
                .take(TICKS_PER_MESSAGE)
                .map(|(position, tick)| {
                    seq = position;
                    tick
                })
                .collect();
            if let Some(message) = message::ticks(&self.symbol, seq, part, age_us) {
                state.send(&message, done);
            }
        }
    }

    /// Attaches a reader and gives it a snapshot.
    pub(crate) fn attach(&self, subscriber: Subscriber, reset: bool, env: &Delivery) -> Delivered {
        let mut state = self.state();
        let mut done = self.deliver_locked(&mut state, env);
        state.detach(subscriber.id);
        let bars: Vec<Bar> = subscriber
            .intervals
            .iter()
            .filter_map(|i| state.bars[i as usize].last())
            .map(|slot| slot.bar.clone())
            .collect();
        // A snapshot does not say which bars are closed, and nothing more may come of those.
        let closed: Vec<_> = bars
            .iter()
            .filter(|bar| bar.end() <= env.market_now)
            .map(|bar| message::bar(state.seq, bar.clone(), true))
            .collect();
        let snapshot = message::control(&LiveMessage::Snapshot {
            symbol: self.symbol.clone(),
            seq: state.seq,
            last: state.last.clone(),
            bars,
            reset,
        });
        done.add(subscriber.outbox.push(&snapshot));
        for bar in &closed {
            done.add(subscriber.outbox.push(bar));
        }
        state.join(subscriber);
        done
    }

    /// Attaches a reader that has seen everything up to `seen`, if the ring reaches back so far, and
    /// gives it what came after, and the newest bars.
    pub(crate) fn resume(
        &self,
        subscriber: Subscriber,
        seen: u64,
        most: usize,
        env: &Delivery,
    ) -> (Attached, Delivered) {
        let mut state = self.state();
        let mut done = self.deliver_locked(&mut state, env);
        if seen > state.seq {
            return (Attached::Ahead, done);
        }
        if seen < state.floor {
            return (Attached::NotInRing, done);
        }
        let first = state.ring.partition_point(|t| t.position <= seen);
        if state.ring.len() - first > most {
            return (Attached::TooMany, done);
        }
        state.detach(subscriber.id);
        let missed: Vec<&StoredTick> = state.ring.range(first..).collect();
        let oldest = missed.iter().map(|t| t.tick.ts).min();
        for part in missed.chunks(TICKS_PER_MESSAGE) {
            let Some(last) = part.last() else { continue };
            let ticks = part.iter().map(|t| t.tick.clone()).collect();
            if let Some(message) = message::ticks(&self.symbol, last.position, ticks, None) {
                done.add(subscriber.outbox.push(&message));
            }
        }
        for interval in subscriber.intervals.iter() {
            if let Some(slot) = state.bars[interval as usize].last() {
                let closed = slot.bar.end() <= env.market_now;
                let message = message::bar(state.seq, slot.bar.clone(), closed);
                done.add(subscriber.outbox.push(&message));
            }
        }
        state.join(subscriber);
        (Attached::Yes(oldest), done)
    }

    /// The start of the newest bar of an interval.
    pub(crate) fn newest_bar(&self, interval: Interval) -> Option<Timestamp> {
        self.state().bars[interval as usize]
            .last()
            .map(|slot| slot.bar.start)
    }

    /// The seq that has been delivered.
    pub(crate) fn seq(&self) -> u64 {
        self.state().seq
    }

    /// Takes a reader away; true when nobody is left and nothing was ever published, so that the
    /// topic can be forgotten.
    pub(crate) fn detach(&self, id: u64) -> bool {
        let mut state = self.state();
        state.detach(id);
        state.subscribers.is_empty()
            && state.seq == 0
            && state.bars.iter().all(Vec::is_empty)
            && self.inbox().published == 0
    }
}

impl State {
    fn send(&self, message: &Arc<Message>, done: &mut Delivered) {
        for subscriber in &self.subscribers {
            done.add(subscriber.outbox.push(message));
        }
    }

    fn join(&mut self, subscriber: Subscriber) {
        self.wanted = self.wanted.with(subscriber.intervals);
        self.subscribers.push(subscriber);
    }

    fn detach(&mut self, id: u64) {
        if let Some(at) = self.subscribers.iter().position(|s| s.id == id) {
            self.subscribers.swap_remove(at);
            self.wanted = self
                .subscribers
                .iter()
                .fold(Intervals::default(), |set, s| set.with(s.intervals));
        }
    }

    fn send_bars(&mut self, env: &Delivery, done: &mut Delivered) {
        for interval in Interval::ALL {
            let wanted = self.wanted.has(interval);
            let mut slots = std::mem::take(&mut self.bars[interval as usize]);
            for slot in &mut slots {
                let closed = slot.bar.end() <= env.market_now;
                let closes = closed && !slot.closed_sent;
                if !closes && !slot.dirty {
                    continue;
                }
                let turn = slot
                    .sent_at
                    .is_none_or(|at| env.at.saturating_duration_since(at) >= env.bar_every);
                if wanted && !closes && !turn {
                    done.bars_wait = true;
                    continue;
                }
                slot.dirty = false;
                slot.closed_sent = closed;
                if wanted {
                    slot.sent_at = Some(env.at);
                    let message = message::bar(self.seq, slot.bar.clone(), closed);
                    for subscriber in &self.subscribers {
                        if subscriber.intervals.has(interval) {
                            done.add(subscriber.outbox.push(&message));
                        }
                    }
                }
            }
            // Of what is closed and sent only the newest is kept.
            let newest = slots.len().saturating_sub(1);
            let mut at = 0;
            slots.retain(|slot| {
                let keep = at == newest || slot.dirty || !slot.closed_sent;
                at += 1;
                keep
            });
            self.bars[interval as usize] = slots;
        }
    }
}
