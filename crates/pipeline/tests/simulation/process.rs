//! The life of a world: processes one after the other over one bus and one folder, and what must hold at
//! the end.

use std::{
    collections::BTreeSet,
    path::Path,
    sync::{
        Arc, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use bus::{EventBus as _, MemoryBus, MemoryBusOptions};
use market::{Interval, Symbol, Tick, Timestamp, bars_from_ticks};
use pipeline::{MarketTime, Pipeline, PipelineConfig, PipelineError};
use store::{BarQuery, DeadLetterLog, PriceReader, SqliteOptions, SqliteStore};
use tokio::{task::JoinHandle, time::sleep};

use crate::{
    bus::FaultyBus,
    reader::Reader,
    source,
    store::{FaultyStore, Outside},
    world::{SYMBOLS, Story, World},
};

/// Kills of a world at most; after them the faults end.
const KILLS: u64 = 4;
/// Simulated time in which a world without faults must come to its end.
const PATIENCE: Duration = Duration::from_secs(3_600);

fn config(world: &World) -> PipelineConfig {
    let mut config = PipelineConfig {
        market_time: MarketTime::Live,
        ..PipelineConfig::default()
    };
    config.produce.jitter_seed = Some(world.seed);
    config.consume.jitter_seed = Some(world.seed);
    config.produce.publish_rows = 3;
    config.consume.batch_rows = 1 + world.below(20) as usize;
    // A reader that is slow is another test's.
    config.live.queue_messages = 10_000;
    config
}

struct Process {
    pipeline: Pipeline,
    store: FaultyStore,
    holds: Arc<AtomicBool>,
    reader: JoinHandle<()>,
}

impl Process {
    async fn start(
        world: &Arc<World>,
        real: &MemoryBus,
        dir: &Path,
        outside: Outside,
        reader: &Reader,
    ) -> Self {
        let store = FaultyStore::open(dir, outside, world);
        let (pipeline, holds) = loop {
            let holds = Arc::new(AtomicBool::new(false));
            let bus = FaultyBus {
                real: real.clone(),
                world: Arc::clone(world),
                holds: Arc::clone(&holds),
            };
            let (bus, of_stages) = (Arc::new(bus), store.ports());
            let sources = vec![source::of(world)];
            let started =
                Pipeline::start(config(world), bus, of_stages, sources, world.clock()).await;
            match started {
                Ok(pipeline) => break (pipeline, holds),
                // It reads the store first, and ends when that is away; whoever runs it starts it again.
                Err(PipelineError::Store(_)) => sleep(Duration::from_secs(1)).await,
                Err(other) => panic!("{other}"),
            }
        };
        let reader = tokio::spawn(reader.clone().read(pipeline.live.clone()));
        Self {
            pipeline,
            store,
            holds,
            reader,
        }
    }

    /// SIGKILL: nothing of it goes on.
    async fn kill(self, world: &World) {
        let mut told = Story::default();
        told.kills += 1;
        told.reconnects += 1;
        told.kills_before_commit += u64::from(self.holds.load(Ordering::SeqCst));
        world.story().add(&told);
        self.reader.abort();
        let ended = self.reader.await;
        // A reader that has found a fault has panicked.
        assert!(
            ended.is_ok() || ended.is_err_and(|e| e.is_cancelled()),
            "the reader failed"
        );
        self.store.kill();
        drop(self.pipeline);
    }
}

fn done(world: &World) -> bool {
    *world.taken.lock().unwrap_or_else(PoisonError::into_inner) == world.batches.len()
}

/// Lives through a world; the test fails where something does not hold.
pub async fn live_through(world: impl FnOnce() -> Arc<World>) -> Story {
    let world = world();
    // In memory where there is such a place: what a disk does is another test's (`power_cut` of the store).
    let dir = tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir());
    let dir = dir.unwrap();
    let outside = Outside;
    let bus = MemoryBus::new(MemoryBusOptions {
        capacity_rows: 8 + world.below(60) as usize,
        partitions: 2,
    });
    let reader = Reader::default();
    for _ in 0..1 + world.below(KILLS) {
        let process = Process::start(&world, &bus, dir.path(), outside, &reader).await;
        for _ in 0..world.below(8) {
            sleep(Duration::from_millis(world.below(1_500))).await;
            if world.once_in(3) {
                world.step_back();
            }
        }
        process.kill(&world).await;
    }
    world.end_faults();
    let last = Process::start(&world, &bus, dir.path(), outside, &reader).await;
    let topic = PipelineConfig::default().topic;
    let drained = async || {
        let lag = bus.lag(&topic).await.unwrap();
        done(&world) && lag.iter().all(|group| group.records == 0)
    };
    let mut waited = Duration::ZERO;
    while !drained().await {
        let step = Duration::from_millis(100);
        sleep(step).await;
        waited += step;
        assert!(
            waited < PATIENCE,
            "it does not come to its end: {:?}",
            world.story()
        );
    }
    assert!(
        last.pipeline.shutdown(Duration::from_secs(60)).await,
        "the shutdown was cut short"
    );
    last.reader.await.unwrap();
    last.store.kill();
    drop(last.pipeline);
    check(&world, dir.path(), outside, &reader);
    world.story().clone()
}

/// What must hold when all is done.
fn check(world: &World, dir: &Path, outside: Outside, reader: &Reader) {
    let store = outside
        .run(SqliteStore::open(SqliteOptions::new(dir)))
        .unwrap();
    let good = world.good_ticks();
    let mut positions = BTreeSet::new();
    for name in SYMBOLS {
        let symbol: Symbol = name.parse().unwrap();
        let expected: &[Tick] = good.get(&symbol).map_or(&[], Vec::as_slice);
        let (of, real) = (symbol.clone(), store.clone());
        let stored = outside.run(async move { real.ticks_after(&of, 0, usize::MAX).await });
        let stored = stored.unwrap();
        for pair in stored.windows(2) {
            assert!(
                pair[0].position < pair[1].position,
                "positions of {name} grow"
            );
        }
        for tick in &stored {
            assert!(
                positions.insert(tick.position),
                "position {} twice",
                tick.position
            );
        }
        let in_order: Vec<Tick> = stored.into_iter().map(|s| s.tick).collect();
        let mut by_key = in_order.clone();
        by_key.sort_by_key(Tick::key);
        assert_eq!(by_key, expected, "{name}: each good tick once");
        let seen = reader.seen().get(&symbol).cloned().unwrap_or_default();
        assert_eq!(
            seen.ticks, in_order,
            "{name}: the reader sees each once, in order of storage"
        );
        for interval in Interval::ALL {
            let query = BarQuery {
                symbol: symbol.clone(),
                interval,
                from: Timestamp::MIN,
                until: Timestamp::MAX,
                limit: usize::MAX,
            };
            let real = store.clone();
            let bars = outside.run(async move { real.bars(&query).await }).unwrap();
            let folded = bars_from_ticks(expected, &[interval]);
            assert_eq!(
                bars, folded,
                "{name} {interval}: bars are the fold of the ticks"
            );
        }
    }
    let real = store.clone();
    let letters = outside.run(async move { real.open_dead_letters(None, 0, usize::MAX).await });
    let mut rows: Vec<String> = letters
        .unwrap()
        .into_iter()
        .map(|l| l.reject.payload)
        .collect();
    let kept = rows.len();
    rows.sort();
    rows.dedup();
    assert_eq!(
        (rows.len(), kept),
        (world.bad_rows(), world.bad_rows()),
        "each bad row once"
    );
    outside.run(async move { store.close().await }).unwrap();
}
