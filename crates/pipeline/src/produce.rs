//! From sources to the bus.
//!
//! Checkpoint semantics: a batch of a source is acknowledged only after the bus has taken its good
//! rows and the store its bad ones; until then the source does not move on, and sends it again after
//! a restart. Back-pressure follows: a full bus holds the source.
//!
//! A source that fails is built and started again after a wait that grows; one that has come to its
//! end (a file) is not.

use std::{
    collections::BTreeMap,
    hash::{BuildHasher as _, RandomState},
    sync::Arc,
    time::Duration,
};

use bus::{EventBus, Payload, Record};
use market::{Bar, Reject, RejectReason, Symbol, Tick, TickRules, Timestamp};
use source::{
    Delivered, SourceBatch, SourceError, SourceOutlet, Trouble, Warnings, source_channel,
};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::{
    PipelineError, Result, Sink, SourceState, SourceStatus,
    backoff::Backoff,
    clock::Clock,
    config::{PipelineConfig, ProduceConfig},
    dead_letters::{self, DeadLetterOutlet},
    source_spec::SourceSpec,
    stats::Counters,
};

/// Everything that a producer needs.
pub(crate) struct Producer {
    pub bus: Arc<dyn EventBus>,
    pub sink: Sink,
    pub clock: Arc<dyn Clock>,
    pub counters: Arc<Counters>,
    pub topic: String,
    pub rules: TickRules,
    pub config: ProduceConfig,
    /// Where dead letters go besides the store.
    pub dead_letters: Option<Arc<dyn DeadLetterOutlet>>,
    pub status: watch::Sender<SourceStatus>,
}

impl Producer {
    pub(crate) fn new(
        name: &str,
        config: &PipelineConfig,
        bus: Arc<dyn EventBus>,
        sink: Sink,
        clock: Arc<dyn Clock>,
        counters: Arc<Counters>,
        dead_letters: Option<Arc<dyn DeadLetterOutlet>>,
    ) -> Self {
        let (status, _) = watch::channel(SourceStatus {
            name: name.to_owned(),
            state: SourceState::Starting,
            rows: 0,
            rejected: 0,
            newest: None,
            warnings: 0,
            warning: None,
        });
        Self {
            bus,
            sink,
            clock,
            counters,
            topic: config.topic.clone(),
            rules: config.rules(),
            config: config.produce.clone(),
            dead_letters,
            status,
        }
    }

    fn backoff(&self) -> Backoff {
        let config = &self.config;
        let (min, max) = (config.backoff_min_ms, config.backoff_max_ms);
        Backoff::seeded(min, max, config.jitter_seed)
    }

    fn set(&self, state: SourceState) {
        self.status.send_if_modified(|status| {
            let changed = status.state != state;
            status.state = state;
            changed
        });
    }

    /// Takes note of what the source went on past, `noted` times of which are in the status already.
    fn note(&self, warnings: &Warnings, noted: &mut u64) {
        let new = warnings.count - *noted;
        if new == 0 {
            return;
        }
        *noted = warnings.count;
        self.status.send_modify(|status| {
            status.warnings += new;
            status.warning = Some(warnings.last.clone());
        });
    }

    /// Runs a source until it ends, fails for good or is cancelled.
    pub(crate) async fn run(self, spec: SourceSpec, cancel: CancellationToken) {
        let mut backoff = self.backoff();
        loop {
            let rows = self.status.borrow().rows;
            let ended = self.run_once(&spec, &cancel).await;
            if cancel.is_cancelled() {
                self.set(SourceState::Stopped);
                return;
            }
            let error = match ended {
                Ok(()) => {
                    tracing::info!(source = %spec.name, "the source has come to its end");
                    self.set(SourceState::Finished);
                    return;
                }
                Err(e) => e,
            };
            if let PipelineError::Source(SourceError::Config { .. }) = &error {
                tracing::error!(source = %spec.name, %error, "the source has failed");
                self.set(SourceState::Failed {
                    error: error.to_string(),
                });
                return;
            }
            if self.status.borrow().rows > rows {
                backoff.reset();
            }
            let wait = backoff.next_wait();
            tracing::warn!(source = %spec.name, %error, wait_ms = wait.as_millis() as u64, "the source is started again");
            metrics::counter!("tickcast_source_restarts_total", "source" => spec.name.clone())
                .increment(1);
            self.set(SourceState::Waiting {
                error: error.to_string(),
                retry_ms: wait.as_millis() as u64,
            });
            tokio::select! {
                () = cancel.cancelled() => {}
                () = tokio::time::sleep(wait) => {}
            }
        }
    }

    async fn run_once(&self, spec: &SourceSpec, cancel: &CancellationToken) -> Result<()> {
        let source = (spec.build)()?;
        let (out, mut outlet) = source_channel(self.config.queue_batches);
        let stop = cancel.child_token();
        let _stop_on_return = stop.clone().drop_guard();
        let mut running = tokio::spawn(source.run(out, stop));
        let taken = self.take_all(&mut outlet, cancel).await;
        // Without an outlet the source hears that the pipeline is gone.
        drop(outlet);
        let _stop_now = _stop_on_return;
        let ended = tokio::select! {
            ended = &mut running => ended,
            () = async {
                if taken.is_ok() && !cancel.is_cancelled() {
                    std::future::pending::<()>().await;
                }
                tokio::time::sleep(Duration::from_secs(5)).await;
            } => {
                running.abort();
                running.await
            }
        };
        taken?;
        match ended {
            Ok(ended) => Ok(ended?),
            Err(e) if e.is_cancelled() => Ok(()),
            Err(_) => Err(PipelineError::Internal {
                detail: "the source panicked".into(),
            }),
        }
    }

    async fn take_all(&self, outlet: &mut SourceOutlet, cancel: &CancellationToken) -> Result<()> {
        let (mut troubles, mut warnings) = (outlet.trouble(), outlet.warnings());
        let mut noted = 0;
        loop {
            let delivered = tokio::select! {
                biased;
                () = cancel.cancelled() => return Ok(()),
                trouble = changed(&mut troubles) => {
                    self.set(state_of(trouble));
                    continue;
                }
                warned = changed(&mut warnings) => {
                    self.note(&warned, &mut noted);
                    continue;
                }
                delivered = outlet.recv() => delivered,
            };
            let Some(Delivered { batch, ack }) = delivered else {
                // The last word of a source that has ended.
                self.note(&warnings.borrow(), &mut noted);
                return Ok(());
            };
            // Rows of one symbol do not end the trouble of another.
            self.set(state_of(troubles.borrow().clone()));
            tokio::select! {
                biased;
                taken = self.take(batch) => taken?,
                () = cancel.cancelled() => return Ok(()),
            }
            ack.taken();
        }
    }

    /// Puts a batch on the bus, trying again while the bus or the store is away.
    async fn take(&self, batch: SourceBatch) -> Result<()> {
        let rows = batch.rows();
        let template = Record {
            key: String::new(),
            source: Arc::clone(&batch.source),
            source_offset: batch.source_offset.clone(),
            received: batch.received,
            payload: Payload::Ticks([].into()),
        };
        let (mut by_symbol, mut rejects) = self.check(batch);
        // Named before the first try: what is tried again, or comes again after a kill, is kept once.
        match &template.source_offset {
            Some(offset) => dead_letters::name_batch(&template.source, offset, &mut rejects),
            None => {
                // Nothing names it beyond this process: a name that no other batch has.
                let batch = RandomState::new().hash_one(0).to_string();
                dead_letters::name_batch(&template.source, &batch, &mut rejects);
            }
        }
        let newest = by_symbol.values().filter_map(Rows::newest).max();
        let rejected = rejects.len();
        self.counters.received.add(rows);
        let mut records = Vec::new();
        for (symbol, rows) in &mut by_symbol {
            records.extend(rows.records(symbol, &template, self.config.publish_rows));
        }
        let good: usize = records.iter().map(|r| r.payload.rows()).sum();
        let mut backoff = self.backoff();
        if !records.is_empty() {
            loop {
                match self.bus.publish(&self.topic, records.clone()).await {
                    Ok(()) => break,
                    Err(e @ bus::BusError::Unavailable { .. }) => {
                        self.counters.bus_errors.add(1);
                        tracing::warn!(error = %e, "publishing is tried again");
                        tokio::time::sleep(backoff.next_wait()).await;
                    }
                    Err(e) => return Err(e.into()),
                }
            }
        }
        self.counters.published.add(good);
        backoff.reset();
        while let Err(e) = self.sink.reject(rejects.clone()).await {
            if !matches!(e, PipelineError::Store(_)) {
                return Err(e);
            }
            tracing::warn!(error = %e, "putting rows aside is tried again");
            tokio::time::sleep(backoff.next_wait()).await;
        }
        let rejects: Vec<_> = rejects.into_iter().map(|r| (None, r)).collect();
        dead_letters::publish(self.dead_letters.as_deref(), &rejects, &mut backoff).await;
        self.status.send_modify(|status| {
            status.rows += rows as u64;
            status.rejected += rejected as u64;
            status.newest = status.newest.max(newest);
        });
        Ok(())
    }

    /// Sorts the rows of a batch by symbol, and those out that may not be stored.
    fn check(&self, batch: SourceBatch) -> (BTreeMap<Symbol, Rows>, Vec<Reject>) {
        let now = self.clock.now();
        let mut rejects = batch.rejects;
        let mut by_symbol: BTreeMap<Symbol, Rows> = BTreeMap::new();
        let mut reject = |(reason, detail): (RejectReason, String), payload: String| {
            rejects.push(Reject::new(reason, detail, &*batch.source, payload));
        };
        for tick in batch.ticks {
            match self.rules.check(&tick, now) {
                Ok(()) => match by_symbol.get_mut(&tick.symbol) {
                    Some(rows) => rows.ticks.push(tick),
                    None => {
                        let symbol = tick.symbol.clone();
                        by_symbol.entry(symbol).or_default().ticks.push(tick);
                    }
                },
                Err(fault) => reject(fault, dead_letters::row_text(&tick)),
            }
        }
        for bar in batch.bars {
            let checked = self
                .rules
                .check_origin(&bar.symbol, bar.start, now)
                .and_then(|()| bar.check());
            match checked {
                Ok(()) => {
                    let symbol = bar.symbol.clone();
                    by_symbol.entry(symbol).or_default().bars.push(bar);
                }
                Err(fault) => reject(fault, dead_letters::row_text(&bar)),
            }
        }
        (by_symbol, rejects)
    }
}

/// The next word of a source on its troubles or warnings; never when it has ended.
async fn changed<T: Clone>(told: &mut watch::Receiver<T>) -> T {
    if told.changed().await.is_err() {
        std::future::pending::<()>().await;
    }
    told.borrow_and_update().clone()
}

/// What a source's trouble makes of its state.
fn state_of(trouble: Option<Trouble>) -> SourceState {
    trouble.map_or(SourceState::Running, |trouble| SourceState::Waiting {
        error: trouble.error,
        retry_ms: trouble.wait.as_millis() as u64,
    })
}

/// The rows of one symbol.
#[derive(Debug, Default)]
struct Rows {
    ticks: Vec<Tick>,
    bars: Vec<Bar>,
}

impl Rows {
    fn newest(&self) -> Option<Timestamp> {
        let ticks = self.ticks.iter().map(|t| t.ts);
        ticks.chain(self.bars.iter().map(|b| b.start)).max()
    }

    /// Records of at most so many rows, with what else is in `template`.
    fn records(&mut self, symbol: &Symbol, template: &Record, most: usize) -> Vec<Record> {
        let record = |payload| Record {
            key: symbol.to_string(),
            payload,
            ..template.clone()
        };
        let ticks = self.ticks.chunks(most.max(1));
        let ticks = ticks.map(|part| record(Payload::Ticks(part.into())));
        let bars = self.bars.chunks(most.max(1));
        let bars = bars.map(|part| record(Payload::Bars(part.into())));
        ticks.chain(bars).collect()
    }
}
