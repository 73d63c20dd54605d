//! The fan-out of `/forecast`: the latest fans of every series, and who wants to hear of new ones.

use std::{
    collections::{BTreeMap, HashMap},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};

use bytes::Bytes;
use market::{Fan, Interval, Symbol, Timestamp};
use pipeline::{GOING_AWAY, Interest, MarketClock, SHUTTING_DOWN, WatchGuard, message_text};
use protocol::ForecastMessage;

use super::session::{FanOutbox, ForecastSession, QueueBounds};
use crate::{Predictor, contenders::is_registered, model_cache::Key};

/// A fan as text, made once for all readers.
#[derive(Debug)]
pub(super) struct FanMessage {
    pub fan: Fan,
    pub text: Bytes,
}

/// The fan-out of `/forecast`. Cheap to clone.
#[derive(Clone)]
pub struct ForecastHub {
    inner: Arc<Inner>,
}

struct Inner {
    predictor: Predictor,
    market: Arc<MarketClock>,
    interest: Interest,
    heartbeat: Duration,
    queue: QueueBounds,
    max_subscriptions: usize,
    /// The intervals that other processes forecast in, where this one does not forecast.
    elsewhere: Option<Vec<Interval>>,
    board: Mutex<Board>,
    next_id: AtomicU64,
    closed: AtomicBool,
}

#[derive(Debug, Default)]
struct Board {
    /// By model.
    latest: HashMap<Key, BTreeMap<String, Arc<FanMessage>>>,
    subscribers: HashMap<Key, Vec<(u64, Arc<FanOutbox>)>>,
    sessions: HashMap<u64, Arc<FanOutbox>>,
}

impl std::fmt::Debug for ForecastHub {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let board = self.board();
        f.debug_struct("ForecastHub")
            .field("series", &board.latest.len())
            .field("sessions", &board.sessions.len())
            .finish_non_exhaustive()
    }
}

impl ForecastHub {
    pub(crate) fn new(
        predictor: Predictor,
        market: Arc<MarketClock>,
        interest: Interest,
        heartbeat: Duration,
        queue: QueueBounds,
        max_subscriptions: usize,
        elsewhere: Option<Vec<Interval>>,
    ) -> Self {
        Self {
            inner: Arc::new(Inner {
                predictor,
                market,
                interest,
                heartbeat,
                queue,
                max_subscriptions,
                elsewhere,
                board: Mutex::default(),
                next_id: AtomicU64::new(1),
                closed: AtomicBool::new(false),
            }),
        }
    }

    fn board(&self) -> MutexGuard<'_, Board> {
        self.inner
            .board
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn interest(&self) -> &Interest {
        &self.inner.interest
    }

    pub(crate) fn predictor(&self) -> &Predictor {
        &self.inner.predictor
    }

    pub(super) fn heartbeat(&self) -> Duration {
        self.inner.heartbeat
    }

    pub(super) fn max_subscriptions(&self) -> usize {
        self.inner.max_subscriptions
    }

    /// Whether fans of the interval can come: another process does not know who watches here.
    pub(super) fn is_forecast(&self, interval: Interval) -> bool {
        let elsewhere = self.inner.elsewhere.as_ref();
        elsewhere.is_none_or(|intervals| intervals.contains(&interval))
    }

    pub(super) fn wall(&self) -> Timestamp {
        self.inner.market.wall()
    }

    /// Connects a reader.
    pub fn connect(&self) -> ForecastSession {
        let outbox = Arc::new(FanOutbox::new(self.inner.queue));
        let id = self.inner.next_id.fetch_add(1, Ordering::Relaxed);
        let mut board = self.board();
        board.sessions.insert(id, Arc::clone(&outbox));
        metrics::gauge!("tickcast_forecast_sessions").set(board.sessions.len() as f64);
        drop(board);
        if self.inner.closed.load(Ordering::Acquire) {
            outbox.end(GOING_AWAY, SHUTTING_DOWN);
        }
        ForecastSession::new(self.clone(), id, outbox)
    }

    /// Keeps a series forecast until the guard is dropped, although its interval is not one of those
    /// that every symbol is forecast in.
    pub fn watch(&self, symbol: Symbol, interval: Interval) -> WatchGuard {
        self.inner.interest.watch(symbol, interval)
    }

    /// The latest fan of each model, by name; empty when there is none yet.
    pub fn latest(&self, symbol: &Symbol, interval: Interval) -> Vec<Fan> {
        self.board()
            .latest
            .get(&(symbol.clone(), interval))
            .map(|fans| fans.values().map(|m| m.fan.clone()).collect())
            .unwrap_or_default()
    }

    /// Shows a fan that stands in the ledger.
    pub(crate) fn publish(&self, fan: Fan) {
        let message = Arc::new(FanMessage {
            text: message_text(&ForecastMessage::Fan(fan.clone())),
            fan,
        });
        let fan = &message.fan;
        let key = (fan.symbol.clone(), fan.interval);
        let mut board = self.board();
        let models = board.latest.entry(key.clone()).or_default();
        if models
            .get(&fan.model)
            .is_some_and(|known| known.fan.origin > fan.origin)
        {
            return;
        }
        // Of the registry's versions the champion's alone is shown.
        if is_registered(&fan.model) {
            models.retain(|name, _| !is_registered(name));
        }
        models.insert(fan.model.clone(), Arc::clone(&message));
        for (_, outbox) in board.subscribers.get(&key).into_iter().flatten() {
            outbox.push_fan(&message);
        }
    }

    /// Shows no fan of a champion any more.
    pub(crate) fn withdraw_champion(&self, key: &Key) {
        if let Some(models) = self.board().latest.get_mut(key) {
            models.retain(|name, _| !is_registered(name));
        }
    }

    /// Gives a reader the latest fans of a series, and every later one.
    pub(super) fn attach(&self, key: Key, id: u64, outbox: &Arc<FanOutbox>) {
        let mut board = self.board();
        for message in board
            .latest
            .get(&key)
            .into_iter()
            .flat_map(BTreeMap::values)
        {
            outbox.push_fan(message);
        }
        let readers = board.subscribers.entry(key).or_default();
        if readers.iter().all(|(reader, _)| *reader != id) {
            readers.push((id, Arc::clone(outbox)));
        }
    }

    pub(super) fn detach(&self, key: &Key, id: u64) {
        let mut board = self.board();
        if let Some(readers) = board.subscribers.get_mut(key) {
            readers.retain(|(reader, _)| *reader != id);
            if readers.is_empty() {
                board.subscribers.remove(key);
            }
        }
    }

    pub(super) fn disconnect(&self, id: u64) {
        let mut board = self.board();
        board.sessions.remove(&id);
        metrics::gauge!("tickcast_forecast_sessions").set(board.sessions.len() as f64);
    }

    pub(crate) fn sessions(&self) -> usize {
        self.board().sessions.len()
    }

    /// Ends every session with a `Bye` and status 1001, after what waits for it.
    pub(crate) fn close(&self) {
        self.inner.closed.store(true, Ordering::Release);
        let outboxes: Vec<_> = self.board().sessions.values().cloned().collect();
        for outbox in outboxes {
            outbox.end(GOING_AWAY, SHUTTING_DOWN);
        }
    }
}
