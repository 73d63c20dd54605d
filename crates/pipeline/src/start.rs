//! The stages put together and started. See [`crate::stop`] for their end.
//!
//! Model: [`Pipeline::prepare`] puts them together and [`Prepared::run`] starts them. What is to see every row
//! subscribes in between ([`Prepared::observers`]).

use std::{sync::Arc, time::Duration};

use bus::EventBus;
use market::{Bar, Reject, Tick};
use store::{DatabasePorts, PriceReader, StorePorts};
use tokio::{sync::watch, task::JoinSet};
use tokio_util::sync::CancellationToken;

use crate::{
    Clock, Import, Interest, LiveHub, Observers, Parts, PipelineConfig, PipelineError,
    PipelineStats, Pushed, Result, Role, Sink, SourceSpec, SourceStatus,
    clock::{MarketClock, MarketTime},
    consume::ConsumeStage,
    dead_letters::DeadLetterOutlet,
    lag::{self, LagWatch},
    live::{Backlog, Stored},
    produce::Producer,
    push, retention,
    stats::Counters,
    tail::TopicTail,
};

/// How long a dependency may take to say that it is there.
const CHECK: Duration = Duration::from_secs(2);

/// The stages, running.
pub struct Pipeline {
    /// The one door to the store.
    pub sink: Sink,
    /// `/live`.
    pub live: LiveHub,
    role: Role,
    config: PipelineConfig,
    pub(crate) bus: Arc<dyn EventBus>,
    /// The bus keeps its records.
    pub(crate) keeps: bool,
    shared_store: bool,
    dead_letters: Option<Arc<dyn DeadLetterOutlet>>,
    pub(crate) store: StorePorts,
    pub(crate) clock: Arc<dyn Clock>,
    market: Arc<MarketClock>,
    tail: Option<TopicTail>,
    interest: Interest,
    observers: Observers,
    lag: LagWatch,
    counters: Arc<Counters>,
    sources: Vec<watch::Receiver<SourceStatus>>,
    pub(crate) tasks: tokio::sync::Mutex<Tasks>,
    /// Stops the sources.
    pub(crate) stop_sources: CancellationToken,
    /// Stops the consumer after what it has polled.
    pub(crate) stop_consumer: CancellationToken,
    /// Stops the consumer now.
    pub(crate) abort_consumer: CancellationToken,
    /// Stops the rest.
    pub(crate) stop_rest: CancellationToken,
}

#[derive(Default)]
pub(crate) struct Tasks {
    pub sources: JoinSet<()>,
    pub consumer: JoinSet<()>,
    pub rest: JoinSet<()>,
}

impl std::fmt::Debug for Pipeline {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Pipeline")
            .field("config", &self.config)
            .finish_non_exhaustive()
    }
}

impl Pipeline {
    /// Starts every stage over a bus that lives as long as the process. The sources may be none:
    /// prices then come through [`Pipeline::sink`].
    ///
    /// # Errors
    /// A configuration that cannot be right, a store that cannot be read.
    pub async fn start(
        config: PipelineConfig,
        bus: Arc<dyn EventBus>,
        store: impl Into<StorePorts>,
        sources: Vec<SourceSpec>,
        clock: Arc<dyn Clock>,
    ) -> Result<Self> {
        let parts = Parts::in_process(bus, store, sources, clock);
        Self::start_as(Role::Serve, config, parts).await
    }

    /// Starts the stages of a role.
    ///
    /// # Errors
    /// As [`Self::prepare`].
    pub async fn start_as(role: Role, config: PipelineConfig, parts: Parts) -> Result<Self> {
        Ok(Self::prepare(role, config, parts).await?.run())
    }

    /// Puts the stages of a role together. Nothing is read from a source, the bus or a push before they run.
    ///
    /// # Errors
    /// As [`Self::start`]; a shared store over a bus that does not keep its records.
    pub async fn prepare(role: Role, config: PipelineConfig, parts: Parts) -> Result<Prepared> {
        let Parts {
            bus,
            store,
            clock,
            sources,
            log,
            shared_store,
            dead_letters,
        } = parts;
        if let Some((field, detail)) = config.faults().into_iter().next() {
            return Err(PipelineError::Invalid { field, detail });
        }
        let database = store.database.as_ref();
        let reader: Option<Arc<dyn PriceReader>> = database.map(|d| Arc::clone(&d.prices));
        let keeps = log.is_some();
        if !keeps && role != Role::Serve {
            return Err(PipelineError::Invalid {
                field: "bus",
                detail: format!("{} needs a bus that other processes share", role.as_str()),
            });
        }
        let counters = Arc::new(Counters::new());
        let market = Arc::new(MarketClock::new(
            config.market_time,
            Arc::clone(&clock),
            config.lateness_ms,
            config.wall_grace_ms,
        ));
        if config.market_time == MarketTime::Replay
            && let Some(reader) = &reader
        {
            // Event time goes on where it stood.
            for instrument in reader.instruments().await? {
                if !instrument.bars_only {
                    market.observe(instrument.last);
                }
            }
        }
        let (interest, observers) = (Interest::default(), Observers::default());
        // Where others store too, the order of storage is not this process's to tell.
        let tail = log
            .filter(|_| shared_store && role.has_readers())
            .zip(reader.clone())
            .map(|(log, reader)| {
                TopicTail::new(
                    &config,
                    log,
                    reader,
                    Arc::clone(&clock),
                    Arc::clone(&market),
                    Arc::clone(&counters),
                )
            });
        let backlog: Arc<dyn Backlog> = match &tail {
            Some(tail) => Arc::new(tail.clone()),
            None => Arc::new(Stored(reader)),
        };
        let live = LiveHub::new(
            config.live.clone(),
            backlog,
            Arc::clone(&market),
            Arc::clone(&counters),
            interest.clone(),
        );
        let sink = Sink::new(
            store.clone(),
            live.clone(),
            role.has_readers() && tail.is_none(),
            observers.clone(),
            Arc::clone(&market),
            Arc::clone(&counters),
        );
        let pipeline = Self {
            sink,
            live,
            role,
            config,
            bus,
            keeps,
            shared_store,
            dead_letters,
            store,
            clock,
            market,
            tail,
            interest,
            observers,
            lag: LagWatch::new(),
            counters,
            sources: Vec::new(),
            tasks: tokio::sync::Mutex::default(),
            stop_sources: CancellationToken::new(),
            stop_consumer: CancellationToken::new(),
            abort_consumer: CancellationToken::new(),
            stop_rest: CancellationToken::new(),
        };
        Ok(Prepared { pipeline, sources })
    }

    fn spawn(mut self, sources: Vec<SourceSpec>) -> Self {
        let mut tasks = Tasks::default();
        let rest = &mut tasks.rest;
        rest.spawn(self.live.clone().run(self.stop_rest.clone()));
        if let Some(tail) = &self.tail {
            let hub = self.live.clone();
            rest.spawn(tail.clone().run(hub, self.stop_rest.clone()));
        }
        let (topic, group) = (self.config.topic.clone(), self.config.group.clone());
        let lag = self.lag.clone();
        rest.spawn(lag.run(Arc::clone(&self.bus), topic, group, self.stop_rest.clone()));
        if self.role.consumes() {
            let (store, clock) = (self.store.clone(), Arc::clone(&self.clock));
            let ages = self.config.retention.clone();
            rest.spawn(retention::run(store, ages, clock, self.stop_rest.clone()));
            let consumer = ConsumeStage {
                keeps: self.keeps,
                ..ConsumeStage::new(
                    &self.config,
                    Arc::clone(&self.bus),
                    self.sink.clone(),
                    Arc::clone(&self.clock),
                    Arc::clone(&self.counters),
                    self.dead_letters.clone(),
                    self.observers.clone(),
                )
            };
            tasks
                .consumer
                .spawn(consumer.run(self.stop_consumer.clone(), self.abort_consumer.clone()));
        }
        for spec in sources {
            let producer = Producer::new(
                &spec.name,
                &self.config,
                Arc::clone(&self.bus),
                self.sink.clone(),
                Arc::clone(&self.clock),
                Arc::clone(&self.counters),
                self.dead_letters.clone(),
            );
            self.sources.push(producer.status.subscribe());
            tasks
                .sources
                .spawn(producer.run(spec, self.stop_sources.child_token()));
        }
        self.tasks = tokio::sync::Mutex::new(tasks);
        self
    }

    /// How each source stands; changes can be waited for.
    pub fn sources(&self) -> &[watch::Receiver<SourceStatus>] {
        &self.sources
    }

    /// What this process does.
    pub const fn role(&self) -> Role {
        self.role
    }

    /// Takes rows from outside, a part of a push at a time. Returns when they are stored, or, where other
    /// processes store, when the bus has them and the store has been waited for: not longer than some
    /// seconds after `received`, which is when the whole push had come.
    ///
    /// # Errors
    /// The store's or the bus's: then push the same rows again; doubles do no harm.
    pub async fn push(
        &self,
        ticks: Vec<Tick>,
        bars: Vec<Bar>,
        received: std::time::Instant,
    ) -> Result<Pushed> {
        let database = self.store.database.as_ref();
        let Some(database) = database.filter(|_| self.tail.is_some()) else {
            return push::store(&self.sink, ticks, bars, received).await;
        };
        let (bus, topic) = (&self.bus, &self.config.topic);
        let rows = ticks.len() + bars.len();
        self.counters.received.add(rows);
        let pushed = push::publish(bus, topic, &*database.prices, ticks, bars, received).await?;
        self.counters.published.add(rows);
        Ok(pushed)
    }

    /// Rejects the bad rows of a push, after its good ones, so that rows which are pushed again because
    /// those failed are kept once. `left_out`: how many more there were.
    ///
    /// # Errors
    /// The store's.
    pub async fn push_rejects(&self, rejects: Vec<Reject>, left_out: usize) -> Result<()> {
        if rejects.is_empty() {
            return Ok(());
        }
        self.sink.reject(rejects.clone()).await?;
        // Of those left out one letter tells.
        self.counters.rejected.add(left_out.saturating_sub(1));
        push::publish_rejects(self.dead_letters.as_deref(), rejects).await;
        Ok(())
    }

    /// What is missing for this process to do its work: (what, why), empty when it is ready.
    pub async fn missing(&self) -> Vec<(&'static str, String)> {
        let mut missing = Vec::new();
        let asked = self.store.readiness.ready();
        match tokio::time::timeout(CHECK, asked).await {
            Ok(Ok(_)) => {}
            Ok(Err(e)) => missing.push(("store", e.to_string())),
            Err(_) => missing.push(("store", format!("no answer within {CHECK:?}"))),
        }
        if self.keeps
            && let Err(why) = self.lag.check().await
        {
            missing.push(("bus", why));
        }
        if self.tail.as_ref().is_some_and(|f| !f.is_ready()) {
            missing.push(("live", "the topic is still being read".into()));
        }
        missing
    }

    /// The configuration that it runs with.
    pub const fn config(&self) -> &PipelineConfig {
        &self.config
    }

    /// The clock that closes bars.
    pub fn market(&self) -> &MarketClock {
        &self.market
    }

    /// An import into this pipeline's store.
    pub fn import(&self) -> Import {
        Import::new(self.sink.clone())
    }

    /// The stages' counters now.
    pub async fn stats(&self) -> PipelineStats {
        let groups = if self.keeps {
            self.lag.groups()
        } else {
            let lag = self.bus.lag(&self.config.topic).await;
            lag.unwrap_or_default()
        };
        let group = groups.into_iter().find(|g| g.group == self.config.group);
        let bus_lag_records = group.map(|g| g.records);
        if let Some(records) = bus_lag_records {
            lag::gauge(&self.config.topic, &self.config.group, records);
        }
        let counters = &self.counters;
        PipelineStats {
            sources: self.sources.iter().map(|s| s.borrow().clone()).collect(),
            received: counters.received.read(),
            published: counters.published.read(),
            stored: counters.stored.read(),
            duplicates: counters.duplicates.read(),
            bars_written: counters.bars_written.read(),
            rejected: counters.rejected.read(),
            store_errors: counters.store_errors.read(),
            bus_errors: counters.bus_errors.read(),
            bus_lag_records,
            topic_flow: self.lag.flow(),
            followed: counters.followed.read(),
            live: self.live.stats(),
        }
    }
}

/// The stages, put together and not yet running.
#[derive(Debug)]
#[must_use = "nothing runs before `run`"]
pub struct Prepared {
    pipeline: Pipeline,
    sources: Vec<SourceSpec>,
}

impl Prepared {
    /// Where one subscribes to what is stored.
    pub const fn observers(&self) -> &Observers {
        &self.pipeline.observers
    }

    /// What the process is going to do.
    pub const fn role(&self) -> Role {
        self.pipeline.role
    }

    /// The configuration.
    pub const fn config(&self) -> &PipelineConfig {
        &self.pipeline.config
    }

    /// The store, where it can be read.
    pub const fn database(&self) -> Option<&DatabasePorts> {
        self.pipeline.store.database.as_ref()
    }

    /// The clock that closes bars.
    pub const fn market(&self) -> &Arc<MarketClock> {
        &self.pipeline.market
    }

    /// What readers are interested in.
    pub const fn interest(&self) -> &Interest {
        &self.pipeline.interest
    }

    /// Whether other processes write to the store as well.
    pub const fn has_shared_store(&self) -> bool {
        self.pipeline.shared_store
    }

    /// Whether readers see the topic, since others store: what others make they find in the store.
    pub const fn follows_topic(&self) -> bool {
        self.pipeline.tail.is_some()
    }

    /// Starts the stages.
    #[must_use]
    pub fn run(self) -> Pipeline {
        self.pipeline.spawn(self.sources)
    }
}
