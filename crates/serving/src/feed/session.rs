//! One reader of `/forecast`.
//!
//! Model: of each (symbol, interval, model) at most the newest fan waits, so that a slow reader's
//! queue is bounded by what it has subscribed, and holds nothing that the hub does not hold for all; answers
//! to its own requests are bounded in number and in bytes.

use std::{
    collections::{BTreeSet, HashMap, HashSet, VecDeque},
    net::IpAddr,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use bytes::Bytes;
use market::{ErrorKind, Interval, Symbol};
use pipeline::{Frame, POLICY, WatchGuard, message_text};
use protocol::{ForecastMessage, ForecastRequest};
use tokio::{sync::Notify, task::JoinSet, time::Instant};

use super::hub::{FanMessage, ForecastHub};
use crate::Predictor;

/// Forecasts on request that one session may have in hand.
const PREDICTIONS_PER_SESSION: usize = 4;

type FanKey = (Symbol, Interval, String);

#[derive(Debug)]
enum Item {
    Answer(Bytes),
    Fan(FanKey),
}

#[derive(Debug, Default)]
struct Queue {
    items: VecDeque<Item>,
    fans: HashMap<FanKey, Arc<FanMessage>>,
    /// Of the answers.
    bytes: usize,
    end: Option<(Option<Bytes>, u16, String)>,
}

/// What may wait for one reader, of answers.
#[derive(Clone, Copy, Debug)]
pub(crate) struct QueueBounds {
    /// How many; one always may.
    pub messages: usize,
    /// How many bytes.
    pub bytes: usize,
}

/// The queue of one reader.
#[derive(Debug)]
pub(super) struct FanOutbox {
    queue: Mutex<Queue>,
    bounds: QueueBounds,
    ready: Notify,
    ended: Notify,
}

impl FanOutbox {
    pub(super) fn new(bounds: QueueBounds) -> Self {
        Self {
            queue: Mutex::default(),
            bounds,
            ready: Notify::new(),
            ended: Notify::new(),
        }
    }

    fn lock(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn push_fan(&self, message: &Arc<FanMessage>) {
        let fan = &message.fan;
        let key = (fan.symbol.clone(), fan.interval, fan.model.clone());
        let mut queue = self.lock();
        if queue.end.is_some() {
            return;
        }
        if queue
            .fans
            .insert(key.clone(), Arc::clone(message))
            .is_none()
        {
            queue.items.push_back(Item::Fan(key));
        } else {
            metrics::counter!("tickcast_forecast_fans_replaced_total").increment(1);
        }
        self.check(queue);
    }

    fn push_answer(&self, message: &ForecastMessage) {
        let mut queue = self.lock();
        if queue.end.is_none() {
            let text = message_text(message);
            queue.bytes += text.len();
            queue.items.push_back(Item::Answer(text));
        }
        self.check(queue);
    }

    fn check(&self, queue: MutexGuard<'_, Queue>) {
        // Fans are bounded by what is subscribed: one of each series and model, each once in `items`.
        let answers = queue.items.len().saturating_sub(queue.fans.len());
        // One answer always may wait.
        let full =
            answers > self.bounds.messages.max(1) || answers > 1 && queue.bytes > self.bounds.bytes;
        drop(queue);
        if full {
            metrics::counter!("tickcast_forecast_cut_offs_total").increment(1);
            self.end(POLICY, "the reader is too slow for what it has asked for");
        }
        self.ready.notify_one();
    }

    pub(super) fn end(&self, code: u16, reason: &str) {
        let mut queue = self.lock();
        if queue.end.is_none() {
            let bye = message_text(&ForecastMessage::Bye {
                reason: reason.to_owned(),
            });
            queue.end = Some((Some(bye), code, reason.to_owned()));
        }
        if code == POLICY {
            queue.items.clear();
            queue.fans.clear();
            queue.bytes = 0;
        }
        drop(queue);
        self.ready.notify_one();
        self.ended.notify_waiters();
    }

    fn pop(&self) -> Option<Frame> {
        let mut queue = self.lock();
        match queue.items.pop_front() {
            Some(Item::Answer(text)) => {
                queue.bytes -= text.len();
                return Some(Frame::Text(text));
            }
            Some(Item::Fan(key)) => {
                if let Some(message) = queue.fans.remove(&key) {
                    return Some(Frame::Text(message.text.clone()));
                }
            }
            None => {}
        }
        let (bye, code, reason) = queue.end.as_mut()?;
        Some(match bye.take() {
            Some(bye) => Frame::Text(bye),
            None => Frame::Close {
                code: *code,
                reason: reason.clone(),
            },
        })
    }
}

/// One reader of `/forecast`. Dropping it ends its subscriptions and requests. As with
/// [`pipeline::LiveSession`], the two directions of a connection can be two tasks.
#[derive(Debug)]
pub struct ForecastSession {
    hub: ForecastHub,
    predictor: Predictor,
    id: u64,
    outbox: Arc<FanOutbox>,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    subscriptions: HashMap<(Symbol, Interval), WatchGuard>,
    predictions: JoinSet<()>,
    last_frame: Instant,
}

impl ForecastSession {
    pub(super) fn new(hub: ForecastHub, id: u64, outbox: Arc<FanOutbox>) -> Self {
        Self {
            predictor: hub.predictor().clone(),
            hub,
            id,
            outbox,
            state: Mutex::new(State {
                subscriptions: HashMap::new(),
                predictions: JoinSet::new(),
                last_frame: Instant::now(),
            }),
        }
    }

    /// The same for a client, on whose share of the long fits its requests then count.
    #[must_use]
    pub fn on_behalf_of(mut self, client: Option<IpAddr>) -> Self {
        self.predictor = self.predictor.on_behalf_of(client);
        self
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes a request in; its answers come from [`Self::next`]. Must be called inside a runtime.
    pub fn request(&self, request: ForecastRequest) {
        match request {
            ForecastRequest::Subscribe { symbols, intervals } => {
                self.subscribe(symbols, &intervals);
            }
            ForecastRequest::Unsubscribe { symbols } => {
                let symbols: HashSet<Symbol> = symbols.into_iter().collect();
                let mut state = self.state();
                let keys: Vec<_> = state
                    .subscriptions
                    .keys()
                    .filter(|(symbol, _)| symbols.contains(symbol))
                    .cloned()
                    .collect();
                for key in keys {
                    state.subscriptions.remove(&key);
                    self.hub.detach(&key, self.id);
                }
            }
            ForecastRequest::Predict(request) => {
                let mut state = self.state();
                while state.predictions.try_join_next().is_some() {}
                if state.predictions.len() >= PREDICTIONS_PER_SESSION {
                    drop(state);
                    self.outbox.push_answer(&ForecastMessage::Error {
                        id: request.id,
                        kind: ErrorKind::Unavailable,
                        detail: format!(
                            "a session may have {PREDICTIONS_PER_SESSION} forecasts in hand"
                        ),
                    });
                    return;
                }
                let predictor = self.predictor.clone();
                let outbox = Arc::clone(&self.outbox);
                state.predictions.spawn(async move {
                    let id = request.id;
                    let answer = match predictor.predict(request).await {
                        Ok(prediction) => ForecastMessage::Prediction(prediction),
                        Err(e) => ForecastMessage::Error {
                            id,
                            kind: e.kind(),
                            detail: e.to_string(),
                        },
                    };
                    outbox.push_answer(&answer);
                });
            }
            ForecastRequest::Ping { id } => {
                self.outbox.push_answer(&ForecastMessage::Pong { id });
            }
        }
    }

    /// Answers a message that is no request, with an `Error` message; the session stays. The
    /// detail repeats no more of the message than an excerpt.
    pub fn refuse(&self, kind: ErrorKind, detail: impl Into<String>) {
        self.refuse_request(None, kind, detail);
    }

    /// Answers a request of this id with an `Error` message; the session stays.
    pub fn refuse_request(&self, id: Option<u64>, kind: ErrorKind, detail: impl Into<String>) {
        self.outbox.push_answer(&ForecastMessage::Error {
            id,
            kind,
            detail: detail.into(),
        });
    }

    fn subscribe(&self, symbols: Vec<Symbol>, intervals: &[Interval]) {
        let most = self.hub.max_subscriptions();
        // A request may name the same thousands of times: every pair of them costs.
        let intervals: BTreeSet<Interval> = intervals.iter().copied().collect();
        let mut seen = HashSet::with_capacity(symbols.len());
        let symbols: Vec<Symbol> = symbols
            .into_iter()
            .filter(|s| seen.insert(s.clone()))
            .collect();
        let mut refused = symbols.len().saturating_sub(most) * intervals.len();
        let never = intervals.iter().filter(|i| !self.hub.is_forecast(**i));
        let never: Vec<&str> = never.map(|i| i.as_str()).collect();
        if !never.is_empty() {
            self.refuse(
                ErrorKind::Unavailable,
                format!(
                    "the consumers make no forecasts of {}: name it in their forecast.intervals, and in this \
                     process's",
                    never.join(", ")
                ),
            );
        }
        for symbol in symbols.into_iter().take(most) {
            for interval in &intervals {
                let key = (symbol.clone(), *interval);
                let mut state = self.state();
                if !state.subscriptions.contains_key(&key) {
                    if state.subscriptions.len() >= most {
                        refused += 1;
                        continue;
                    }
                    let guard = self.hub.watch(symbol.clone(), *interval);
                    state.subscriptions.insert(key.clone(), guard);
                }
                drop(state);
                self.hub.attach(key, self.id, &self.outbox);
            }
        }
        if refused > 0 {
            self.refuse(
                ErrorKind::Invalid,
                format!("{refused} series were not subscribed: a session may have {most}"),
            );
        }
    }

    /// The next frame. Waits at most for the heartbeat; can be dropped at any await without losing
    /// anything.
    pub async fn next(&self) -> Frame {
        loop {
            if let Some(frame) = self.try_next() {
                return frame;
            }
            let deadline = self.state().last_frame + self.hub.heartbeat();
            tokio::select! {
                () = self.outbox.ready.notified() => {}
                () = tokio::time::sleep_until(deadline) => {
                    self.state().last_frame = Instant::now();
                    let now = self.hub.wall();
                    return Frame::Text(message_text(&ForecastMessage::Heartbeat { now }));
                }
            }
        }
    }

    /// A frame that is there already: for a transport that writes several before it flushes.
    pub fn try_next(&self) -> Option<Frame> {
        let frame = self.outbox.pop()?;
        self.state().last_frame = Instant::now();
        Some(frame)
    }

    /// Returns once the session has ended (cut off, or the server shuts down).
    pub async fn ended(&self) {
        loop {
            let ended = self.outbox.ended.notified();
            tokio::pin!(ended);
            ended.as_mut().enable();
            if self.outbox.lock().end.is_some() {
                return;
            }
            ended.await;
        }
    }
}

impl Drop for ForecastSession {
    fn drop(&mut self) {
        let subscriptions = std::mem::take(&mut self.state().subscriptions);
        for key in subscriptions.into_keys() {
            self.hub.detach(&key, self.id);
        }
        self.hub.disconnect(self.id);
    }
}

#[cfg(test)]
mod tests {
    use market::{Fan, Timestamp};

    use super::*;

    fn bounds(messages: usize, bytes: usize) -> QueueBounds {
        QueueBounds { messages, bytes }
    }

    fn fan(n: usize) -> Arc<FanMessage> {
        let fan = Fan {
            symbol: format!("S{n}").parse().unwrap(),
            interval: Interval::M1,
            model: "naive".into(),
            origin: Timestamp::from_secs(0),
            origin_close: 1.0,
            made_at: Timestamp::from_secs(60),
            targets: Vec::new(),
            mean: Vec::new(),
            bands: Vec::new(),
        };
        Arc::new(FanMessage {
            fan,
            text: Bytes::from_static(b"{}"),
        })
    }

    #[test]
    fn a_reader_may_subscribe_more_series_than_answers_may_wait() {
        let outbox = FanOutbox::new(bounds(2, 1 << 20));
        (0..50).for_each(|n| outbox.push_fan(&fan(n)));
        // A newer fan takes the place of one that waits.
        outbox.push_fan(&fan(7));
        let pong = ForecastMessage::Pong { id: 0 };
        outbox.push_answer(&pong);
        outbox.push_answer(&pong);
        let waiting = std::iter::from_fn(|| outbox.pop()).count();
        assert_eq!(waiting, 52);
        (0..3).for_each(|_| outbox.push_answer(&pong));
        assert!(outbox.lock().end.is_some(), "three answers wait");
    }

    #[test]
    fn answers_that_wait_are_bounded_in_bytes() {
        let outbox = FanOutbox::new(bounds(1_000, 2_000));
        let answer = ForecastMessage::Bye {
            reason: "x".repeat(900),
        };
        outbox.push_answer(&answer);
        outbox.push_answer(&answer);
        assert!(outbox.lock().end.is_none());
        outbox.push_answer(&answer);
        assert!(outbox.lock().end.is_some() && outbox.lock().bytes == 0);
    }
}
