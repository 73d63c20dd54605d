//! The pipeline over Kafka and a server of MongoDB's protocol, killed and cut at random: what was
//! taken in is stored exactly once and in order, and each reader sees it without a gap or a repeat.
//!
//! One round: an exchange with numbered trades of twenty symbols, `tickcast ingest`, two `tickcast
//! consume`, a `tickcast web` with readers behind a proxy, the broker and the store behind proxies of
//! their own. While trades are made, one fault after the other: SIGKILL to any of the processes, to
//! the broker, to the store; the store away for a while, in every fifth round for a minute; every
//! connection cut. Then the faults end, and everything must come together.
//!
//! `TICKCAST_TORTURE_ROUNDS` (5) and `TICKCAST_TEST_SEED` (1) choose how long and which faults.
//!
//! What it cannot show: power loss (a killed process leaves its page cache behind), the failover of
//! a replica set (one node of each service).

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "what fails in a test's own plumbing fails the test"
)]

mod exchange;
mod garbage;
mod processes;
mod proxy;
mod reader;

use std::{
    collections::BTreeSet,
    time::{Duration, Instant},
};

use bus::kafka::{KafkaBus, KafkaOptions};
use market::{Interval, Symbol, Tick, Timestamp, bars_from_ticks};
use store::{
    BarQuery, DeadLetterLog as _, PriceReader as _,
    mongo::{MongoOptions, MongoStore},
};
use testing::SplitMix64;

use self::{
    exchange::{Exchange, symbols},
    garbage::{GARBAGE, faults_of_letters, garbage_in_topic, publish_garbage},
    processes::{Process, Services},
    proxy::Proxy,
    reader::{Notes, Reader},
};

/// Trades per step of 50 ms.
const TRADES_PER_STEP: usize = 10;
/// Faults of one round.
const FAULTS: usize = 6;
/// In every so many rounds the store is stopped for a minute.
const LONG_EVERY: u64 = 5;
/// How long everything may take to come together after the last fault.
const SETTLE: Duration = Duration::from_secs(180);

fn number(name: &str, otherwise: u64) -> u64 {
    std::env::var(name).map_or(otherwise, |text| text.parse().unwrap())
}

fn millis(dice: &mut SplitMix64, from: u64, to: u64) -> Duration {
    Duration::from_millis(from + dice.below(to - from))
}

struct Round {
    services: Services,
    exchange: Exchange,
    to_broker: Proxy,
    to_store: Proxy,
    to_web: Proxy,
    ingest: Process,
    consumers: [Process; 2],
    web: Process,
    topic: String,
    database: String,
}

impl Round {
    async fn start(seed: u64) -> Self {
        let services = tokio::task::spawn_blocking(Services::start).await.unwrap();
        let exchange = Exchange::default();
        let url = exchange.start().await;
        let to_broker = Proxy::start_at(services.broker_front, services.broker_behind).await;
        let to_store = Proxy::start(services.mongo).await;
        let (topic, database) = (format!("torture-{seed}"), format!("torture_{seed}"));
        let mut arguments = Vec::new();
        for setting in [
            "bus.kind=kafka".to_owned(),
            format!("kafka.brokers={}", to_broker.address),
            "kafka.partitions=6".into(),
            format!("bus.topic={topic}"),
            "store.kind=mongodb".into(),
            format!(
                "mongodb.uri=mongodb://{}/?directConnection=true",
                to_store.address
            ),
            "mongodb.timeout_ms=3000".into(),
            format!("mongodb.database={database}"),
            "source.kind=rest".into(),
            format!("source.url={url}"),
            "source.poll_ms=20".into(),
            "source.max_requests_per_s=1000".into(),
            "live.heartbeat_ms=1000".into(),
            "web.port=0".into(),
            "forecast.intervals=1m".into(),
        ] {
            arguments.extend(["--set".to_owned(), setting]);
        }
        let process = |role| Process::new(role, &arguments);
        let mut round = Self {
            to_web: Proxy::start(services.mongo).await,
            services,
            exchange,
            to_broker,
            to_store,
            ingest: process("ingest"),
            consumers: [process("consume"), process("consume")],
            web: process("web"),
            topic,
            database,
        };
        tokio::task::block_in_place(|| {
            for consumer in &mut round.consumers {
                consumer.start();
            }
            let address = round.web.start().unwrap();
            round.to_web.aim(address);
            round.ingest.start();
        });
        let deadline = Instant::now() + SETTLE;
        while !round.exchange.was_asked() {
            assert!(Instant::now() < deadline, "the source never asked");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        round
    }

    /// One fault, and its end.
    fn fault(&mut self, dice: &mut SplitMix64) -> String {
        let away = millis(dice, 0, 1_500);
        let wait = || std::thread::sleep(away);
        match dice.below(8) {
            0 => {
                self.ingest.kill();
                wait();
                self.ingest.start();
                "ingest killed".into()
            }
            n @ 1..=2 => {
                let consumer = &mut self.consumers[n as usize - 1];
                consumer.kill();
                wait();
                consumer.start();
                format!("consumer {n} killed")
            }
            3 => {
                self.web.kill();
                wait();
                let address = self.web.start().unwrap();
                self.to_web.aim(address);
                "web killed".into()
            }
            4 => {
                self.services.kill("kafka");
                wait();
                self.services.start_again("kafka");
                "broker killed".into()
            }
            5 => {
                self.services.kill("mongo");
                wait();
                self.services.start_again("mongo");
                "store killed".into()
            }
            6 => {
                self.services.kill("mongo");
                std::thread::sleep(millis(dice, 4_000, 8_000));
                self.services.start_again("mongo");
                "store away for a while".into()
            }
            _ => {
                for _ in 0..5 {
                    self.to_web.cut();
                    self.to_store.cut();
                    self.to_broker.cut();
                    std::thread::sleep(Duration::from_millis(150));
                }
                "connections cut".into()
            }
        }
    }

    /// The store stopped for a minute, while trades go on.
    fn stop_the_store(&self) -> String {
        self.services.kill("mongo");
        std::thread::sleep(Duration::from_secs(60));
        self.services.start_again("mongo");
        "store away for a minute".into()
    }

    /// Where the processes' logs were put, for who looks into a failure.
    fn save_logs(&self) -> std::path::PathBuf {
        let folder = std::env::temp_dir().join(format!("tickcast-{}", self.topic));
        let _ = std::fs::create_dir_all(&folder);
        let [one, two] = &self.consumers;
        for (name, process) in [
            ("ingest", &self.ingest),
            ("consume-1", one),
            ("consume-2", two),
            ("web", &self.web),
        ] {
            let log = process.log.lock().unwrap();
            let _ = std::fs::write(folder.join(format!("{name}.log")), &*log);
        }
        folder
    }

    async fn store(&self) -> MongoStore {
        let mut options = MongoOptions::new(format!(
            "mongodb://{}/?directConnection=true",
            self.services.mongo
        ));
        options.database.clone_from(&self.database);
        MongoStore::connect(options).await.unwrap()
    }
}

impl Drop for Round {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("the processes' logs: {}", self.save_logs().display());
        }
    }
}

/// What is not as it must be with the store; empty when all is well.
async fn faults_of_store(store: &MongoStore, exchange: &Exchange) -> Vec<String> {
    let mut faults = Vec::new();
    for symbol in symbols() {
        let expected = exchange.trades_of(&symbol);
        match store
            .ticks(&symbol, Timestamp::MIN, Timestamp::MAX, 1_000_000)
            .await
        {
            Ok(stored) if stored == expected => {
                faults.extend(faults_of_bars(store, &symbol, &expected).await);
            }
            Ok(stored) => faults.push(format!(
                "{symbol}: {} stored of {} made",
                stored.len(),
                expected.len()
            )),
            Err(e) => faults.push(format!("{symbol}: {e}")),
        }
    }
    faults
}

/// Opens, closes and last keys tell whether the ticks went into the bars in the right order.
async fn faults_of_bars(store: &MongoStore, symbol: &Symbol, ticks: &[Tick]) -> Vec<String> {
    let mut faults = Vec::new();
    for interval in Interval::ALL {
        let query = BarQuery {
            symbol: symbol.clone(),
            interval,
            from: Timestamp::MIN,
            until: Timestamp::MAX,
            limit: 1_000_000,
        };
        let expected = bars_from_ticks(ticks, &[interval]);
        match store.bars(&query).await {
            Ok(bars) if bars == expected => {}
            Ok(bars) => {
                let wrong = expected.iter().find(|bar| !bars.contains(bar));
                faults.push(format!(
                    "{symbol} {interval}: not the fold of its ticks: {wrong:?}"
                ));
            }
            Err(e) => faults.push(format!("{symbol} {interval}: {e}")),
        }
    }
    faults
}

fn faults_of_reader(notes: &Notes, exchange: &Exchange) -> Vec<String> {
    let mut faults = notes.complaints.clone();
    for symbol in symbols() {
        let Some(heard) = notes.heard.get(&symbol) else {
            faults.push(format!("{symbol}: no snapshot"));
            continue;
        };
        let mut expected: Vec<Tick> = exchange.trades_of(&symbol);
        expected.retain(|t| heard.base.is_none_or(|base| t.key() > base));
        if heard.ticks != expected {
            let wrong = heard.ticks.iter().zip(&expected).position(|(a, b)| a != b);
            faults.push(format!(
                "{symbol}: {} heard of {}, the first difference at {:?} (heard {:?}, made {:?})",
                heard.ticks.len(),
                expected.len(),
                wrong,
                wrong.map(|at| heard.ticks[at].seq),
                wrong.map(|at| expected[at].seq),
            ));
        }
    }
    faults
}

async fn settled(what: &str, mut faults: impl AsyncFnMut() -> Vec<String>) {
    let deadline = Instant::now() + SETTLE;
    loop {
        let found = faults().await;
        if found.is_empty() {
            return;
        }
        assert!(Instant::now() < deadline, "{what}: {found:#?}");
        tokio::time::sleep(Duration::from_millis(300)).await;
    }
}

async fn round(seed: u64) {
    let began = Instant::now();
    let mut dice = SplitMix64::new(seed);
    let mut round = Round::start(seed).await;
    let bus = KafkaBus::connect(KafkaOptions::new(&round.services.brokers))
        .await
        .unwrap();
    let url = format!("ws://{}/live", round.to_web.address);
    let readers: Vec<Reader> = (0..3).map(|_| Reader::default()).collect();
    let mut tasks = tokio::task::JoinSet::new();
    for reader in &readers {
        tasks.spawn(reader.clone().run(url.clone()));
    }
    let exchange = round.exchange.clone();
    let trading = tokio::spawn(async move {
        loop {
            exchange.trade(TRADES_PER_STEP);
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    });
    let garbage = {
        let (bus, topic) = (bus.clone(), round.topic.clone());
        tokio::spawn(async move {
            for ten in (0..GARBAGE).step_by(10) {
                publish_garbage(&bus, &topic, ten..ten + 10).await;
                tokio::time::sleep(Duration::from_millis(500)).await;
            }
        })
    };
    for n in 0..FAULTS {
        tokio::time::sleep(millis(&mut dice, 300, 2_500)).await;
        let a_minute = n == 0 && seed % LONG_EVERY == 1;
        let fault = tokio::task::block_in_place(|| match a_minute {
            true => round.stop_the_store(),
            false => round.fault(&mut dice),
        });
        eprintln!(
            "seed {seed}, {:6.1} s: {fault}",
            began.elapsed().as_secs_f64()
        );
    }
    tokio::time::sleep(Duration::from_secs(1)).await;
    trading.abort();
    garbage.await.unwrap();

    let store = round.store().await;
    settled("the store", async || {
        faults_of_store(&store, &round.exchange).await
    })
    .await;
    for reader in &readers {
        let notes = || reader.notes.lock().unwrap().clone();
        settled("a reader", async || {
            faults_of_reader(&notes(), &round.exchange)
        })
        .await;
    }
    let all: BTreeSet<u32> = (0..GARBAGE).collect();
    settled("dead letters in the store", async || {
        let letters = store.open_dead_letters(None, 0, 10_000).await.unwrap();
        faults_of_letters(&letters)
    })
    .await;
    settled("dead letters in their topic", async || {
        let found = garbage_in_topic(&bus, &round.topic).await;
        all.difference(&found).map(u32::to_string).collect()
    })
    .await;
    for consumer in &mut round.consumers {
        let (code, took) = tokio::task::block_in_place(|| consumer.stop());
        assert_eq!(code, Some(0), "{}", consumer.log.lock().unwrap());
        assert!(took < Duration::from_secs(15), "the stop took {took:?}");
    }
    for process in [&mut round.ingest, &mut round.web] {
        let (code, _) = tokio::task::block_in_place(|| process.stop());
        assert_eq!(code, Some(0), "{}", process.log.lock().unwrap());
    }
    for reader in &readers {
        let notes = reader.notes.lock().unwrap();
        assert!(
            notes.goodbyes > 0,
            "a reader was not told that the server stops"
        );
    }
    let made: usize = symbols()
        .iter()
        .map(|s| round.exchange.trades_of(s).len())
        .sum();
    let connections: usize = readers
        .iter()
        .map(|r| r.notes.lock().unwrap().connections)
        .sum();
    eprintln!(
        "seed {seed}: {made} trades, {connections} connections of {} readers, {:.1} s",
        readers.len(),
        began.elapsed().as_secs_f64()
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_lost_doubled_or_out_of_order_whatever_is_killed_or_cut() {
    let rounds = number("TICKCAST_TORTURE_ROUNDS", 5);
    let seed = number("TICKCAST_TEST_SEED", 1);
    for seed in seed..seed + rounds {
        round(seed).await;
    }
}
