//! The hub: topics by symbol, the task that delivers, the list of sessions.

use std::{
    collections::{HashMap, HashSet},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError, RwLock, RwLockReadGuard,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use market::{Bar, Interval, Symbol, Timestamp};
use protocol::LiveMessage;
use store::{Appended, StoredTick};
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use super::{
    backlog::Backlog,
    message,
    outbox::{GOING_AWAY, Outbox},
    session::LiveSession,
    topic::{Delivered, Delivery, Topic},
};
use crate::{
    LiveStats, PipelineError, Result, clock::MarketClock, config::LiveConfig, interest::Interest,
    stats::Counters,
};

/// Ticks of one symbol in memory at least and at most.
const RING: (usize, usize) = (64, 8_192);

/// The fan-out of `/live`. Cheap to clone.
#[derive(Clone)]
pub struct LiveHub {
    inner: Arc<Inner>,
}

struct Inner {
    config: LiveConfig,
    backlog: Arc<dyn Backlog>,
    market: Arc<MarketClock>,
    counters: Arc<Counters>,
    interest: Interest,
    topics: RwLock<HashMap<Symbol, Arc<Topic>>>,
    /// Symbols of which bars came as bars while this process ran: as many as there are symbols.
    as_bars: RwLock<HashSet<Symbol>>,
    /// Topics with something to deliver.
    dirty: Mutex<Vec<Arc<Topic>>>,
    wake: Notify,
    sessions: Mutex<HashMap<u64, Arc<Outbox>>>,
    next_id: AtomicU64,
    closed: AtomicBool,
}

impl std::fmt::Debug for LiveHub {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("LiveHub")
            .field("topics", &self.topics().len())
            .field("sessions", &self.sessions().len())
            .finish_non_exhaustive()
    }
}

impl LiveHub {
    pub(crate) fn new(
        config: LiveConfig,
        backlog: Arc<dyn Backlog>,
        market: Arc<MarketClock>,
        counters: Arc<Counters>,
        interest: Interest,
    ) -> Self {
        Self {
            inner: Arc::new(Inner {
                config,
                backlog,
                market,
                counters,
                interest,
                topics: RwLock::default(),
                as_bars: RwLock::default(),
                dirty: Mutex::default(),
                wake: Notify::new(),
                sessions: Mutex::default(),
                next_id: AtomicU64::new(1),
                closed: AtomicBool::new(false),
            }),
        }
    }

    /// Notes that a bar of the symbol came as a bar, and as news.
    pub(crate) fn note_bars(&self, symbol: &Symbol) {
        if self.comes_as_bars(symbol) {
            return;
        }
        let noted = self.inner.as_bars.write();
        let mut noted = noted.unwrap_or_else(PoisonError::into_inner);
        noted.insert(symbol.clone());
    }

    /// Whether the symbol's prices come as bars, though it may have no tick.
    pub fn comes_as_bars(&self, symbol: &Symbol) -> bool {
        let noted = self.inner.as_bars.read();
        noted
            .unwrap_or_else(PoisonError::into_inner)
            .contains(symbol)
    }

    /// The time in the market: the newest price's, or where prices are live the wall clock's.
    pub fn now(&self) -> market::Timestamp {
        self.inner.market.now()
    }

    pub(crate) fn config(&self) -> &LiveConfig {
        &self.inner.config
    }

    pub(crate) fn backlog(&self) -> &Arc<dyn Backlog> {
        &self.inner.backlog
    }

    pub(crate) fn market(&self) -> &MarketClock {
        &self.inner.market
    }

    pub(crate) fn interest(&self) -> &Interest {
        &self.inner.interest
    }

    fn topics(&self) -> RwLockReadGuard<'_, HashMap<Symbol, Arc<Topic>>> {
        self.inner
            .topics
            .read()
            .unwrap_or_else(PoisonError::into_inner)
    }

    fn sessions(&self) -> MutexGuard<'_, HashMap<u64, Arc<Outbox>>> {
        self.inner
            .sessions
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    /// Connects a reader. Its first frame is the greeting.
    pub fn connect(&self) -> LiveSession {
        let outbox = Arc::new(Outbox::new(
            self.inner.config.queue_messages,
            self.inner.config.queue_bytes,
            self.inner.config.max_behind(),
        ));
        let id = self.inner.next_id.fetch_add(1, Ordering::Relaxed);
        let mut sessions = self.sessions();
        sessions.insert(id, Arc::clone(&outbox));
        metrics::gauge!("tickcast_live_sessions").set(sessions.len() as f64);
        drop(sessions);
        outbox.push(&message::control(&LiveMessage::Hello {
            version: self.inner.config.version.clone(),
            heartbeat_ms: self.inner.config.heartbeat_ms,
            simulated: self.inner.config.simulated,
        }));
        if self.inner.closed.load(Ordering::Acquire) {
            outbox.end(GOING_AWAY, crate::SHUTTING_DOWN, true);
        }
        LiveSession::new(self.clone(), id, outbox)
    }

    pub(crate) fn disconnect(&self, id: u64) {
        let mut sessions = self.sessions();
        sessions.remove(&id);
        metrics::gauge!("tickcast_live_sessions").set(sessions.len() as f64);
    }

    /// Takes note of what was stored, for every reader that wants it. `received`: when the process
    /// got the oldest of the ticks, by its monotonic clock.
    ///
    /// Must be called in order of storage, by one caller at a time: the sink does.
    pub fn publish(&self, appended: &Appended, received: Option<Instant>) {
        let mut by_symbol: HashMap<&Symbol, (Vec<StoredTick>, Vec<Bar>)> = HashMap::new();
        for stored in &appended.stored {
            by_symbol
                .entry(&stored.tick.symbol)
                .or_default()
                .0
                .push(stored.clone());
        }
        for bar in &appended.bars {
            by_symbol
                .entry(&bar.symbol)
                .or_default()
                .1
                .push(bar.clone());
        }
        for (symbol, (ticks, bars)) in by_symbol {
            self.publish_symbol(symbol, ticks, bars, received);
        }
    }

    pub(crate) fn publish_symbol(
        &self,
        symbol: &Symbol,
        ticks: Vec<StoredTick>,
        bars: Vec<Bar>,
        received: Option<Instant>,
    ) {
        if ticks.is_empty() && bars.is_empty() {
            return;
        }
        loop {
            // Held while publishing, so that nobody forgets the topic meanwhile.
            let topics = self.topics();
            if let Some(topic) = topics.get(symbol) {
                if topic.publish(ticks.into_iter(), bars.into_iter(), received) {
                    self.mark_dirty(Arc::clone(topic));
                }
                return;
            }
            drop(topics);
            self.topic(symbol);
        }
    }

    fn mark_dirty(&self, topic: Arc<Topic>) {
        self.inner
            .dirty
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push(topic);
        self.inner.wake.notify_one();
    }

    /// The topic of a symbol, made when it is not there.
    pub(crate) fn topic(&self, symbol: &Symbol) -> Arc<Topic> {
        if let Some(topic) = self.topics().get(symbol) {
            return Arc::clone(topic);
        }
        let mut topics = self
            .inner
            .topics
            .write()
            .unwrap_or_else(PoisonError::into_inner);
        let topic = topics
            .entry(symbol.clone())
            .or_insert_with(|| Arc::new(Topic::new(symbol.clone())));
        let topic = Arc::clone(topic);
        metrics::gauge!("tickcast_live_symbols").set(topics.len() as f64);
        topic
    }

    /// Calls `then` with a topic that cannot be forgotten meanwhile; `None` when it has been.
    pub(crate) fn hold<T>(&self, topic: &Arc<Topic>, then: impl FnOnce(&Topic) -> T) -> Option<T> {
        let topics = self.topics();
        let same = topics
            .get(&topic.symbol)
            .is_some_and(|t| Arc::ptr_eq(t, topic));
        same.then(|| then(topic))
    }

    /// Takes a reader off a symbol, and forgets a symbol that nobody wants and nobody trades.
    pub(crate) fn detach(&self, topic: &Arc<Topic>, id: u64) {
        if topic.detach(id) {
            let mut topics = self
                .inner
                .topics
                .write()
                .unwrap_or_else(PoisonError::into_inner);
            let unused = topics
                .get(&topic.symbol)
                .is_some_and(|t| Arc::ptr_eq(t, topic) && t.detach(id));
            if unused {
                topics.remove(&topic.symbol);
            }
        }
    }

    /// The position up to which a symbol has been published in this process; `None` when nobody can
    /// have been sent anything of it. Where somebody reads its backlog, or has found that empty, this is waited
    /// for, and 0 says that everything is new to its readers.
    pub(crate) async fn published(&self, symbol: &Symbol) -> Result<Option<u64>> {
        let topic = self.topics().get(symbol).cloned();
        let Some(topic) = topic else {
            return Ok(None);
        };
        if let Some(published) = topic.published() {
            return Ok(Some(published));
        }
        self.hydrate(&topic).await?;
        Ok(Some(topic.published().unwrap_or(0)))
    }

    /// Whether the symbol is known here, so that changes of its bars must be published.
    pub(crate) fn knows(&self, symbol: &Symbol) -> bool {
        self.topics().contains_key(symbol)
    }

    /// Reads from the backlog what was there before this process published anything; once a symbol.
    pub(crate) async fn hydrate(&self, topic: &Arc<Topic>) -> Result<()> {
        loop {
            if topic.hydrated.initialized() {
                return Ok(());
            }
            let Ok(turn) = Arc::clone(&topic.reading).try_lock_owned() else {
                // Somebody reads it: if that fails, it is our turn.
                drop(topic.reading.lock().await);
                continue;
            };
            let (hub, topic) = (self.clone(), Arc::clone(topic));
            // On its own: a reader that waits no longer does not undo what has been read so far,
            // so that a slow store is slow once and not again for every try.
            let reading = tokio::spawn(async move {
                let _turn = turn;
                if !topic.hydrated.initialized() {
                    topic.hydrate(hub.inner.backlog.known(&topic.symbol).await?);
                    let _ = topic.hydrated.set(());
                }
                Ok(())
            });
            return reading.await.map_err(|_| PipelineError::Internal {
                detail: "reading what is known of a symbol panicked".into(),
            })?;
        }
    }

    pub(crate) fn delivery(&self) -> Delivery {
        let topics = self.topics().len().max(1);
        Delivery {
            market_now: self.inner.market.now(),
            bar_every: self.inner.config.bar_every(),
            ring_ticks: (self.inner.config.ring_ticks / topics).clamp(RING.0, RING.1),
            at: Instant::now(),
        }
    }

    pub(crate) fn count(&self, done: &Delivered) {
        let counters = &self.inner.counters;
        counters.live_messages.add(done.messages);
        counters.live_conflations.add(done.conflations);
        counters
            .live_skipped
            .add(usize::try_from(done.skipped).unwrap_or(usize::MAX));
        counters.live_cut_offs.add(done.cut_offs);
    }

    /// Delivers until cancelled, then once more.
    pub(crate) async fn run(self, cancel: CancellationToken) {
        let coalesce = self.inner.config.coalesce();
        let bar_every = self.inner.config.bar_every().max(Duration::from_millis(1));
        let mut last = tokio::time::Instant::now();
        let mut swept = Timestamp::MIN;
        let mut waiting: Vec<Arc<Topic>> = Vec::new();
        loop {
            let idle = if waiting.is_empty() {
                Duration::from_millis(100)
            } else {
                bar_every
            };
            tokio::select! {
                () = self.inner.wake.notified() => {
                    // What came after a pause goes out at once; in a stream a message is made of
                    // what came since the last one.
                    tokio::time::sleep_until(last + coalesce).await;
                }
                () = tokio::time::sleep(idle) => {}
                () = cancel.cancelled() => {}
            }
            last = tokio::time::Instant::now();
            let env = self.delivery();
            let mut dirty = std::mem::take(
                &mut *self
                    .inner
                    .dirty
                    .lock()
                    .unwrap_or_else(PoisonError::into_inner),
            );
            dirty.append(&mut waiting);
            let second = Interval::S1.start_of(env.market_now);
            if second > swept {
                // A bar of the shortest interval may have ended: of any symbol.
                swept = second;
                dirty = self.topics().values().cloned().collect();
            }
            for topic in dirty {
                let done = topic.deliver(&env);
                if done.bars_wait {
                    waiting.push(topic);
                }
                self.count(&done);
                if done.messages > 64 {
                    tokio::task::yield_now().await;
                }
            }
            if cancel.is_cancelled() {
                return;
            }
        }
    }

    /// Ends every session with a `Bye` and status 1001, after what waits for it.
    pub(crate) fn close(&self) {
        self.inner.closed.store(true, Ordering::Release);
        let outboxes: Vec<_> = self.sessions().values().cloned().collect();
        for outbox in outboxes {
            outbox.end(GOING_AWAY, crate::SHUTTING_DOWN, true);
        }
    }

    /// How it stands.
    pub fn stats(&self) -> LiveStats {
        let sessions = self.sessions();
        let deepest_queue = sessions.values().map(|o| o.depth()).max().unwrap_or(0);
        metrics::gauge!("tickcast_live_deepest_queue").set(deepest_queue as f64);
        let counters = &self.inner.counters;
        LiveStats {
            sessions: sessions.len(),
            messages: counters.live_messages.read(),
            deepest_queue,
            conflations: counters.live_conflations.read(),
            skipped_ticks: counters.live_skipped.read(),
            cut_offs: counters.live_cut_offs.read(),
        }
    }
}
