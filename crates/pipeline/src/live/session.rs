//! One reader of `/live`.
//!
//! Model: requests are noted down and worked off by [`LiveSession::next`], at the reader's own pace:
//! so a resume of many ticks never fills its queue. The order per symbol: snapshot, or what was
//! missed; then every later message once. A request that fails because the store or the bus is away
//! or slow stays, and is tried again until it succeeds: the reader, who gets its heartbeats, need not
//! ask anew.
//!
//! What it does not do: parse frames; the transport reads JSON into a `LiveRequest`.

use std::{
    collections::{BTreeMap, HashMap, HashSet},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use market::{ErrorKind, Interval, Symbol, Timestamp};
use protocol::{LiveMessage, LiveRequest};
use store::BarQuery;
use tokio::time::Instant;

use super::{
    bars::Intervals,
    hub::LiveHub,
    message::{self, Frame, message_text},
    outbox::Outbox,
    topic::{Attached, Delivered, Subscriber, TICKS_PER_MESSAGE, Topic},
    work::{Task, Work, WorkList},
};
use crate::{PipelineError, Result, interest::WatchGuard};

/// Frames in a row, while a request waits, after which a step of the request is done.
const FRAMES_PER_STEP: u32 = 32;
/// Bars of one interval that a resume sends at most.
const RESUME_BARS: usize = 200;

/// One reader of `/live`. Dropping it ends its subscriptions.
///
/// [`Self::next`] and [`Self::request`] take `&self`, so that the two directions of a connection can
/// be two tasks; `next` is for one task at a time.
#[derive(Debug)]
pub struct LiveSession {
    hub: LiveHub,
    id: u64,
    outbox: Arc<Outbox>,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    subscriptions: HashMap<Symbol, Subscription>,
    work: WorkList,
    last_frame: Instant,
    frames: u32,
}

#[derive(Debug)]
struct Subscription {
    intervals: Intervals,
    topic: Arc<Topic>,
    /// Keeps the series of its intervals forecast.
    _watches: Vec<WatchGuard>,
}

impl LiveSession {
    pub(super) fn new(hub: LiveHub, id: u64, outbox: Arc<Outbox>) -> Self {
        Self {
            hub,
            id,
            outbox,
            state: Mutex::new(State {
                subscriptions: HashMap::new(),
                work: WorkList::default(),
                last_frame: Instant::now(),
                frames: 0,
            }),
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes a request in; its answers come from [`Self::next`].
    pub fn request(&self, request: LiveRequest) {
        match request {
            LiveRequest::Subscribe {
                symbols,
                intervals,
                resume,
            } => self.subscribe(symbols, Intervals::of(&intervals), &resume),
            LiveRequest::Unsubscribe { symbols } => {
                for symbol in each_once(symbols) {
                    let gone = {
                        let mut state = self.state();
                        state.work.forget(&symbol);
                        state.subscriptions.remove(&symbol)
                    };
                    if let Some(subscription) = gone {
                        self.hub.detach(&subscription.topic, self.id);
                    }
                }
            }
            LiveRequest::Ping { id } => self.send(&LiveMessage::Pong { id }),
        }
    }

    /// Answers a message that is no request, with an `Error` message; the session stays. The
    /// detail repeats no more of the message than an excerpt.
    pub fn refuse(&self, kind: ErrorKind, detail: impl Into<String>) {
        self.send(&LiveMessage::Error {
            kind,
            detail: detail.into(),
        });
    }

    fn send(&self, message: &LiveMessage) {
        let pushed = self.outbox.push(&message::control(message));
        self.hub.count(&Delivered {
            messages: 1,
            cut_offs: usize::from(pushed.cut_off),
            ..Delivered::default()
        });
    }

    fn subscribe(
        &self,
        symbols: Vec<Symbol>,
        intervals: Intervals,
        resume: &BTreeMap<Symbol, u64>,
    ) {
        let most = self.hub.config().max_symbols;
        let mut refused = 0;
        let mut state = self.state();
        for symbol in each_once(symbols) {
            let known = state.subscriptions.get(&symbol).map(|s| s.intervals);
            if known.is_none() && state.subscriptions.len() >= most {
                refused += 1;
                continue;
            }
            let intervals = known.unwrap_or_default().with(intervals);
            let watch = |i: Interval| self.hub.interest().watch(symbol.clone(), i);
            let subscription = Subscription {
                intervals,
                topic: self.hub.topic(&symbol),
                _watches: intervals.iter().map(watch).collect(),
            };
            state.subscriptions.insert(symbol.clone(), subscription);
            let task = match resume.get(&symbol) {
                Some(seen) => {
                    // Else it would get deltas while what came before them is still on its way.
                    self.hub.detach(&self.hub.topic(&symbol), self.id);
                    Task::Resume {
                        seen: *seen,
                        sent: 0,
                        oldest: None,
                        counted: false,
                        beyond: false,
                    }
                }
                None => Task::Snapshot { reset: false },
            };
            state.work.push(symbol, task);
        }
        drop(state);
        if refused > 0 {
            self.refuse(
                ErrorKind::Invalid,
                format!("{refused} symbols were not subscribed: a session may have {most}"),
            );
        }
        self.outbox.ready.notify_one();
    }

    /// The next frame. Waits at most for the heartbeat; can be dropped at any await without losing
    /// anything.
    pub async fn next(&self) -> Frame {
        loop {
            if let Some(work) = self.due_work() {
                self.step(work).await;
                continue;
            }
            if let Some(frame) = self.try_next() {
                return frame;
            }
            let (deadline, due) = {
                let state = self.state();
                let deadline = state.last_frame + self.hub.config().heartbeat();
                let due = state.work.next_due();
                (deadline, due.unwrap_or(deadline).max(Instant::now()))
            };
            tokio::select! {
                () = self.outbox.ready.notified() => {}
                () = tokio::time::sleep_until(due), if due < deadline => {}
                () = tokio::time::sleep_until(deadline) => {
                    self.state().last_frame = Instant::now();
                    let now = self.hub.market().wall();
                    return Frame::Text(message_text(&LiveMessage::Heartbeat { now }));
                }
            }
        }
    }

    /// A frame that is there already: for a transport that writes several before it flushes.
    pub fn try_next(&self) -> Option<Frame> {
        let frame = self.outbox.pop()?;
        let mut state = self.state();
        state.last_frame = Instant::now();
        state.frames = state.frames.saturating_add(1);
        Some(frame)
    }

    /// Returns once the session has ended (cut off, or the server shuts down): for a transport that
    /// is stuck in a write and must not wait for it much longer.
    pub async fn ended(&self) {
        self.outbox.wait_for_end().await;
    }

    fn due_work(&self) -> Option<Work> {
        let mut state = self.state();
        let now = Instant::now();
        let heartbeat_is_due = now >= state.last_frame + self.hub.config().heartbeat();
        let work = state.work.due(now)?.clone();
        if state.frames < FRAMES_PER_STEP && self.outbox.depth() > 0 {
            return None;
        }
        if self.outbox.has_ended() || heartbeat_is_due {
            return None;
        }
        state.frames = 0;
        Some(work)
    }

    /// Does one piece of work. Nothing is changed before the last await.
    async fn step(&self, work: Work) {
        let Some((topic, intervals)) = self
            .state()
            .subscriptions
            .get(&work.symbol)
            .map(|s| (Arc::clone(&s.topic), s.intervals))
        else {
            self.state().work.finish(work.id, None);
            return;
        };
        let limit = self.hub.config().heartbeat();
        let done = match tokio::time::timeout(limit, self.advance(&work, &topic, intervals)).await {
            Ok(done) => done,
            Err(_) => Err(PipelineError::Timeout {
                timeout_ms: self.hub.config().heartbeat_ms,
            }),
        };
        match done {
            Ok(next) => {
                let mut state = self.state();
                state.work.finish(work.id, next);
                let wanted = state.subscriptions.contains_key(&work.symbol);
                drop(state);
                if !wanted {
                    // Unsubscribed by another task while this one was attaching.
                    self.hub.detach(&topic, self.id);
                }
            }
            Err(e) if e.kind().is_transient() => {
                tracing::debug!(symbol = %work.symbol, error = %e, "a reader's request is tried again");
                self.state().work.postpone(work.id);
            }
            Err(e) => {
                let gone = {
                    let mut state = self.state();
                    state.work.finish(work.id, None);
                    state.subscriptions.remove(&work.symbol)
                };
                if let Some(gone) = gone {
                    self.hub.detach(&gone.topic, self.id);
                }
                self.refuse(e.kind(), format!("{}: {e}", work.symbol));
            }
        }
    }

    fn subscriber(&self, intervals: Intervals) -> Subscriber {
        Subscriber {
            id: self.id,
            outbox: Arc::clone(&self.outbox),
            intervals,
        }
    }

    /// Does a piece of work and returns the one that follows from it.
    async fn advance(
        &self,
        work: &Work,
        topic: &Arc<Topic>,
        intervals: Intervals,
    ) -> Result<Option<Task>> {
        self.hub.hydrate(topic).await?;
        match work.task {
            Task::Snapshot { reset } => {
                let env = self.hub.delivery();
                let attached = self.hub.hold(topic, |topic| {
                    topic.attach(self.subscriber(intervals), reset, &env)
                });
                Ok(self.after_hold(&work.symbol, attached, work.task.clone(), |_| None))
            }
            Task::Resume {
                seen,
                sent,
                oldest,
                counted,
                beyond,
            } => {
                let most = self.hub.config().resume_ticks;
                let env = self.hub.delivery();
                let met = self.hub.hold(topic, |topic| {
                    topic.resume(
                        self.subscriber(intervals),
                        seen,
                        most.saturating_sub(sent),
                        &env,
                    )
                });
                let Some((attached, done)) = met else {
                    self.renew(&work.symbol);
                    return Ok(Some(work.task.clone()));
                };
                self.hub.count(&done);
                match attached {
                    Attached::Yes(ring_oldest) => {
                        let from = [oldest, ring_oldest].into_iter().flatten().min();
                        Ok(from.map(|from| Task::Bars { from }))
                    }
                    Attached::Ahead if !beyond => {
                        // Another process may have shown the reader what is still to come here.
                        if self.hub.backlog().reaches(&work.symbol, seen).await? {
                            return Err(PipelineError::Bus(bus::BusError::Unavailable {
                                detail: "the topic has not been read so far yet".into(),
                            }));
                        }
                        // It may have been reached between the two questions.
                        Ok(Some(Task::Resume {
                            seen,
                            sent,
                            oldest,
                            counted,
                            beyond: true,
                        }))
                    }
                    Attached::Ahead | Attached::TooMany => Ok(Some(Task::Snapshot { reset: true })),
                    Attached::NotInRing if !counted => {
                        let backlog = self.hub.backlog();
                        let missed = backlog.ticks_after(&work.symbol, seen, most + 1).await?;
                        if missed.is_none_or(|missed| missed.len() > most) {
                            return Ok(Some(Task::Snapshot { reset: true }));
                        }
                        Ok(Some(Task::Resume {
                            seen,
                            sent,
                            oldest,
                            counted: true,
                            beyond,
                        }))
                    }
                    Attached::NotInRing => self.send_stored(topic, seen, sent, oldest).await,
                }
            }
            Task::Bars { from } => {
                self.send_bars(topic, intervals, from).await?;
                Ok(None)
            }
        }
    }

    fn after_hold(
        &self,
        symbol: &Symbol,
        held: Option<Delivered>,
        again: Task,
        then: impl FnOnce(Delivered) -> Option<Task>,
    ) -> Option<Task> {
        match held {
            Some(done) => {
                self.hub.count(&done);
                then(done)
            }
            None => {
                self.renew(symbol);
                Some(again)
            }
        }
    }

    /// The topic was forgotten in the moment between looking it up and attaching.
    fn renew(&self, symbol: &Symbol) {
        let topic = self.hub.topic(symbol);
        if let Some(subscription) = self.state().subscriptions.get_mut(symbol) {
            subscription.topic = topic;
        }
    }

    /// Sends the next ticks after `seen` from the backlog.
    async fn send_stored(
        &self,
        topic: &Arc<Topic>,
        seen: u64,
        sent: usize,
        oldest: Option<Timestamp>,
    ) -> Result<Option<Task>> {
        // What was delivered by then is in the backlog; what came later is left to the ring, or to
        // the next round.
        let until = topic.seq();
        let backlog = self.hub.backlog();
        let Some(mut missed) = backlog
            .ticks_after(&topic.symbol, seen, TICKS_PER_MESSAGE)
            .await?
        else {
            return Ok(Some(Task::Snapshot { reset: true }));
        };
        let full = missed.len() == TICKS_PER_MESSAGE;
        missed.retain(|t| t.position <= until);
        let last = missed.last().map(|t| t.position);
        let oldest = missed.iter().map(|t| t.tick.ts).chain(oldest).min();
        let sent = sent + missed.len();
        if let Some(seq) = last {
            let ticks = missed.into_iter().map(|t| t.tick).collect();
            if let Some(message) = message::ticks(&topic.symbol, seq, ticks, None) {
                let pushed = self.outbox.push(&message);
                self.hub.count(&Delivered {
                    messages: 1,
                    conflations: usize::from(pushed.conflated),
                    skipped: pushed.skipped,
                    cut_offs: usize::from(pushed.cut_off),
                    bars_wait: false,
                });
            }
        }
        Ok(Some(Task::Resume {
            seen: match last {
                Some(last) if full => last,
                _ => seen.max(until),
            },
            sent,
            oldest,
            counted: true,
            beyond: false,
        }))
    }

    /// Sends the bars of the time that a resume has covered, but for the newest of each interval.
    async fn send_bars(
        &self,
        topic: &Arc<Topic>,
        intervals: Intervals,
        from: Timestamp,
    ) -> Result<()> {
        let covered = |interval: Interval| {
            Some(BarQuery {
                symbol: topic.symbol.clone(),
                interval,
                from: interval.start_of(from),
                until: topic.newest_bar(interval)?,
                limit: RESUME_BARS,
            })
        };
        let queries: Vec<BarQuery> = intervals.iter().filter_map(covered).collect();
        let bars = self.hub.backlog().bars_of(&queries).await?;
        let mut messages = Vec::new();
        for bar in bars.into_iter().flatten() {
            let closed = self.hub.market().is_closed(bar.interval, bar.start);
            messages.push(message::bar(topic.seq(), bar, closed));
        }
        for message in &messages {
            self.outbox.push(message);
        }
        Ok(())
    }
}

/// The symbols in their order, each once: a request may name one thousands of times, and each costs.
fn each_once(symbols: Vec<Symbol>) -> impl Iterator<Item = Symbol> {
    let mut seen = HashSet::with_capacity(symbols.len());
    symbols
        .into_iter()
        .filter(move |symbol| seen.insert(symbol.clone()))
}

impl Drop for LiveSession {
    fn drop(&mut self) {
        let subscriptions = std::mem::take(&mut self.state().subscriptions);
        for subscription in subscriptions.into_values() {
            self.hub.detach(&subscription.topic, self.id);
        }
        self.hub.disconnect(self.id);
    }
}
