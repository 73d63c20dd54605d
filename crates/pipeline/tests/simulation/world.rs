//! What all parts of one world share: chance, the faults that it decides, the clocks, and what happened.

use std::{
    collections::BTreeMap,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicI64, Ordering},
    },
    time::Duration,
};

use market::{Reject, RejectReason, Symbol, Tick, Timestamp};
use pipeline::Clock;
use testing::SplitMix64;

pub const SYMBOLS: [&str; 4] = ["AAA", "BBB", "CCC", "DDD"];
/// The wall clock at the beginning: a day after the first tick, so that no step back makes a tick one of
/// the future.
const NOON: i64 = 1_709_596_800;
const FIRST_TICK: i64 = NOON - 86_400;

/// How often things happened.
#[derive(Clone, Debug, Default)]
pub struct Story {
    pub rows: u64,
    pub bad_rows: u64,
    pub late_rows: u64,
    pub repeated_batches: u64,
    pub source_failures: u64,
    pub bus_faults: u64,
    pub store_refusals: u64,
    pub lost_answers: u64,
    pub kills: u64,
    pub kills_before_commit: u64,
    pub steps_back: u64,
    pub reconnects: u64,
}

impl Story {
    pub fn counts(&self) -> [(&'static str, u64); 12] {
        [
            ("rows", self.rows),
            ("bad rows", self.bad_rows),
            ("late rows", self.late_rows),
            ("repeated batches", self.repeated_batches),
            ("failures of the source", self.source_failures),
            ("faults of the bus", self.bus_faults),
            ("refusals of the store", self.store_refusals),
            ("lost answers", self.lost_answers),
            ("kills", self.kills),
            // Rarer than one in each world: weighed so that the same bound holds.
            ("kills before a commit", self.kills_before_commit * 10),
            ("steps back of the clock", self.steps_back),
            ("reconnects", self.reconnects),
        ]
    }

    pub fn add(&mut self, other: &Self) {
        self.rows += other.rows;
        self.bad_rows += other.bad_rows;
        self.late_rows += other.late_rows;
        self.repeated_batches += other.repeated_batches;
        self.source_failures += other.source_failures;
        self.bus_faults += other.bus_faults;
        self.store_refusals += other.store_refusals;
        self.lost_answers += other.lost_answers;
        self.kills += other.kills;
        self.kills_before_commit += other.kills_before_commit;
        self.steps_back += other.steps_back;
        self.reconnects += other.reconnects;
    }
}

/// What a call of the store or the bus comes to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// It is done, after a while, and answered after another.
    Done(Duration, Duration),
    /// It is refused and not done.
    Refused(Duration),
    /// It is done, and nobody hears of it.
    Unheard(Duration),
}

/// A batch of the source, always the same one when it is sent again.
#[derive(Clone, Debug)]
pub struct Batch {
    pub ticks: Vec<Tick>,
    pub rejects: Vec<Reject>,
}

pub struct World {
    pub seed: u64,
    random: Mutex<SplitMix64>,
    faulty: AtomicBool,
    /// By how much the wall clock is off the simulated one.
    offset_us: AtomicI64,
    started: tokio::time::Instant,
    /// What the source has to send.
    pub batches: Vec<Batch>,
    /// How many of them were taken: what it keeps when it is killed.
    pub taken: Mutex<usize>,
    story: Mutex<Story>,
}

impl World {
    /// A world. Its clock must be running: it begins now.
    pub fn new(seed: u64) -> impl FnOnce() -> Arc<Self> {
        move || {
            let mut world = Self {
                seed,
                random: Mutex::new(SplitMix64::new(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15))),
                faulty: AtomicBool::new(true),
                offset_us: AtomicI64::new(0),
                started: tokio::time::Instant::now(),
                batches: Vec::new(),
                taken: Mutex::new(0),
                story: Mutex::default(),
            };
            world.batches = world.make_batches();
            Arc::new(world)
        }
    }

    pub fn story(&self) -> MutexGuard<'_, Story> {
        self.story.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A number below `bound`, which is not 0.
    pub fn below(&self, bound: u64) -> u64 {
        let mut random = self.random.lock().unwrap_or_else(PoisonError::into_inner);
        random.below(bound)
    }

    /// Whether what happens once in `times` happens now.
    pub fn once_in(&self, times: u64) -> bool {
        self.faulty.load(Ordering::SeqCst) && self.below(times) == 0
    }

    fn ms(&self, below: u64) -> Duration {
        Duration::from_millis(self.below(below))
    }

    /// What becomes of a call.
    pub fn fate(&self) -> Fate {
        if !self.faulty.load(Ordering::SeqCst) {
            return Fate::Done(Duration::ZERO, Duration::ZERO);
        }
        match self.below(20) {
            0 => Fate::Refused(self.ms(50)),
            // As a time-out: the caller waits long, and what it asked for was done.
            1 => Fate::Unheard(self.ms(10_000)),
            2 => Fate::Done(self.ms(3_000), self.ms(3_000)),
            _ => Fate::Done(self.ms(5), self.ms(5)),
        }
    }

    /// From now on nothing fails.
    pub fn end_faults(&self) {
        self.faulty.store(false, Ordering::SeqCst);
    }

    /// The wall clock, which goes with simulated time and steps back now and then.
    pub fn clock(self: &Arc<Self>) -> Arc<dyn Clock> {
        let world = Arc::clone(self);
        Arc::new(move || {
            let since = world.started.elapsed().as_micros() as i64;
            let offset = world.offset_us.load(Ordering::SeqCst);
            Timestamp::from_secs(NOON).plus_micros(since + offset)
        })
    }

    /// The wall clock is set back.
    pub fn step_back(&self) {
        let by = 1_000 * self.below(600_000) as i64;
        self.offset_us.fetch_sub(by, Ordering::SeqCst);
        self.story().steps_back += 1;
    }

    fn make_batches(&self) -> Vec<Batch> {
        let count = 8 + self.below(14);
        let mut sequence = 0;
        let mut second = 0;
        (0..count)
            .map(|number| {
                second += self.below(40) as i64;
                self.batch(number, second, &mut sequence)
            })
            .collect()
    }

    fn batch(&self, number: u64, second: i64, sequence: &mut u64) -> Batch {
        let mut story = self.story();
        let mut batch = Batch {
            ticks: Vec::new(),
            rejects: Vec::new(),
        };
        for _ in 0..=self.below(9) {
            *sequence += 1;
            story.rows += 1;
            let late = if self.below(6) == 0 {
                self.below(120) as i64
            } else {
                0
            };
            story.late_rows += u64::from(late > 0);
            let tick = Tick {
                symbol: SYMBOLS[self.below(4) as usize].parse().unwrap(),
                ts: Timestamp::from_secs(FIRST_TICK + second - late)
                    .plus_micros((*sequence % 1_000) as i64),
                seq: *sequence,
                // Whole numbers: sums do not depend on their order.
                price: (50 + self.below(100)) as f64,
                size: self.below(10) as f64,
            };
            match self.below(12) {
                0 => {
                    story.bad_rows += 1;
                    let row = format!("row {sequence} of batch {number}");
                    let bad = Reject::new(RejectReason::Unparsable, "no row", "sim", row);
                    batch.rejects.push(bad);
                }
                1 => {
                    // The producer finds this one out.
                    story.bad_rows += 1;
                    let price = -(tick.price + 1.0);
                    batch.ticks.push(Tick { price, ..tick });
                }
                _ => batch.ticks.push(tick),
            }
        }
        batch
    }

    /// Every tick that must be stored, by symbol and key.
    pub fn good_ticks(&self) -> BTreeMap<Symbol, Vec<Tick>> {
        let mut good: BTreeMap<Symbol, Vec<Tick>> = BTreeMap::new();
        let ticks = self.batches.iter().flat_map(|batch| &batch.ticks);
        for tick in ticks.filter(|tick| tick.price > 0.0) {
            good.entry(tick.symbol.clone())
                .or_default()
                .push(tick.clone());
        }
        for ticks in good.values_mut() {
            ticks.sort_by_key(Tick::key);
        }
        good
    }

    /// How many rows must be dead letters.
    pub fn bad_rows(&self) -> usize {
        let bad = |batch: &Batch| {
            batch.rejects.len() + batch.ticks.iter().filter(|t| t.price < 0.0).count()
        };
        self.batches.iter().map(bad).sum()
    }
}
