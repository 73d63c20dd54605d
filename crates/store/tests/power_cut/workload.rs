//! What the store is made to do while it is recorded, and what must be there after.
//!
//! Commands go in one after the other (some two at once, so that they share a commit), each of them
//! numbered; command n always writes the same. So what a database holds can be told from how many of
//! them it has, and must be the first so many.

use std::{path::Path, sync::Arc};

use market::{Band, Fan, Interval, Reject, RejectReason, Tick, Timestamp, bars_from_ticks};
use store::{
    BarQuery, DeadLetterLog, ForecastLedger, LedgerQuery, PriceReader, PriceWriter, Readiness,
    SqliteOptions, SqliteStore, StoreError,
};

use super::vfs::Recording;

pub const SYMBOLS: [&str; 3] = ["A", "B", "C"];
const TICKS: u64 = 12;
/// Commands after which the store is closed and opened again.
const REOPENED_EVERY: u64 = 45;

/// What command n is.
enum Kind {
    Ticks,
    Letter,
    Forecast,
}

fn kind(n: u64) -> Kind {
    match n % 5 {
        3 => Kind::Letter,
        4 => Kind::Forecast,
        _ => Kind::Ticks,
    }
}

/// The ticks of command n: some of them late, all of them whole numbers.
fn ticks(n: u64) -> Vec<Tick> {
    (n * TICKS..(n + 1) * TICKS)
        .map(|i| Tick {
            symbol: SYMBOLS[(i % 3) as usize].parse().unwrap(),
            ts: Timestamp::from_millis(
                1_700_000_000_000 + i as i64 * 90 - if i % 11 == 0 { 5_000 } else { 0 },
            ),
            seq: i,
            price: 100.0 + (i * 7 % 50) as f64,
            size: (i % 5) as f64,
        })
        .collect()
}

fn letter(n: u64) -> Reject {
    Reject {
        message: Some(format!("topic/0/{n}")),
        ..Reject::new(
            RejectReason::BadPrice,
            "price is -1",
            "push",
            format!("row {n}"),
        )
    }
}

fn fan(n: u64) -> Fan {
    let origin = Timestamp::from_secs(1_700_000_040 + 60 * n as i64);
    Fan {
        symbol: "A".parse().unwrap(),
        interval: Interval::M1,
        model: "naive".into(),
        origin,
        origin_close: n as f64,
        made_at: origin,
        targets: vec![Interval::M1.step_after(origin, 1)],
        mean: vec![n as f64],
        bands: vec![Band {
            level: 80.0,
            lower: vec![n as f64 - 1.0],
            upper: vec![n as f64 + 1.0],
        }],
    }
}

async fn command(store: &SqliteStore, n: u64) -> Result<(), StoreError> {
    match kind(n) {
        Kind::Ticks => store.append(ticks(n)).await.map(drop),
        Kind::Letter => {
            let at = Timestamp::from_secs(n as i64);
            store.reject(vec![letter(n)], at).await.map(drop)
        }
        Kind::Forecast => store.record(vec![fan(n)]).await.map(drop),
    }
}

pub fn options(dir: &Path, full_sync: bool) -> SqliteOptions {
    SqliteOptions {
        full_sync,
        readers: 1,
        // Small, so that checkpoints come while commands go on.
        checkpoint_pages: 40,
        ..SqliteOptions::new(dir)
    }
}

/// Runs commands from `first` on until there are `end` of them; says so of each that was answered. A
/// command that is refused is given again, `refused` times at most; the number of the one that was not
/// taken even then.
pub async fn run(
    dir: &Path,
    full_sync: bool,
    (first, end): (u64, u64),
    recording: &Arc<Recording>,
) -> Result<(), (u64, StoreError)> {
    let mut n = first;
    while n < end {
        let store = SqliteStore::open(options(dir, full_sync)).await;
        let store = store.map_err(|e| (n, e))?;
        let until = end.min((n / REOPENED_EVERY + 1) * REOPENED_EVERY);
        while n < until {
            let together = n % 7 == 0 && n + 1 < until;
            let failed = if together {
                let (a, b) = tokio::join!(command(&store, n), command(&store, n + 1));
                a.and(b).err()
            } else {
                command(&store, n).await.err()
            };
            if let Some(error) = failed {
                store.close().await.unwrap();
                return Err((n, error));
            }
            let after = n + 1 + u64::from(together);
            (n..after).for_each(|done| recording.acknowledge(done));
            n = after;
        }
        store.close().await.map_err(|e| (n, e))?;
    }
    Ok(())
}

/// How many commands a database holds; that it is sound, and that it holds the first so many and nothing
/// else; that it can be written. What is wrong, otherwise.
pub async fn held(dir: &Path) -> Result<u64, String> {
    let told = |what: &str| {
        let what = what.to_owned();
        move |error: StoreError| format!("{what}: {error}")
    };
    let store = SqliteStore::open(options(dir, false)).await;
    let store = store.map_err(told("opening"))?;
    // The opening has checked the file.
    store.ready().await.map_err(told("ready"))?;
    let mut found = Vec::new();
    let mut positions = Vec::new();
    for name in SYMBOLS {
        let symbol = name.parse().unwrap();
        let stored = store.ticks_after(&symbol, 0, usize::MAX).await;
        for tick in stored.map_err(told("ticks"))? {
            positions.push(tick.position);
            found.push(tick.tick);
        }
    }
    found.sort_by_key(|tick| tick.seq);
    let letters = store.open_dead_letters(None, 0, usize::MAX).await;
    let letters: Vec<Reject> = letters
        .map_err(told("letters"))?
        .into_iter()
        .map(|l| l.reject)
        .collect();
    let ledger = LedgerQuery {
        symbol: "A".parse().unwrap(),
        interval: Interval::M1,
        model: None,
        from: Timestamp::MIN,
        until: Timestamp::MAX,
        limit: usize::MAX,
    };
    let ledger = store.ledger(&ledger).await.map_err(told("ledger"))?;
    let fans: Vec<Fan> = ledger.into_iter().map(|row| row.fan).collect();

    // The number of commands that there must be for what there is.
    let mut held = 0;
    let (mut with_ticks, mut with_letters, mut with_fans) = (0, 0, 0);
    loop {
        match kind(held) {
            Kind::Ticks if found.len() as u64 > with_ticks * TICKS => with_ticks += 1,
            Kind::Letter if letters.len() > with_letters => with_letters += 1,
            Kind::Forecast if fans.len() > with_fans => with_fans += 1,
            _ => break,
        }
        held += 1;
    }
    let all = |wanted: fn(&Kind) -> bool| (0..held).filter(move |n| wanted(&kind(*n)));
    let expected: Vec<Tick> = all(|k| matches!(k, Kind::Ticks)).flat_map(ticks).collect();
    if found != expected {
        return Err(format!("{} ticks for {held} commands", found.len()));
    }
    let expected_letters: Vec<Reject> = all(|k| matches!(k, Kind::Letter)).map(letter).collect();
    if letters != expected_letters {
        return Err(format!("{} letters for {held} commands", letters.len()));
    }
    let expected_fans: Vec<Fan> = all(|k| matches!(k, Kind::Forecast)).map(fan).collect();
    if fans != expected_fans {
        return Err(format!("{} forecasts for {held} commands", fans.len()));
    }
    positions.sort_unstable();
    positions.dedup();
    if positions.len() != found.len() {
        return Err("a position is there twice".into());
    }
    let counts = store.dead_letter_counts().await.map_err(told("counts"))?;
    if counts.iter().map(|c| c.open).sum::<u64>() != letters.len() as u64 {
        return Err(format!("{counts:?} for {} letters", letters.len()));
    }
    let mut bars = Vec::new();
    for name in SYMBOLS {
        for interval in Interval::ALL {
            let query = BarQuery {
                symbol: name.parse().unwrap(),
                interval,
                from: Timestamp::MIN,
                until: Timestamp::MAX,
                limit: usize::MAX,
            };
            bars.extend(store.bars(&query).await.map_err(told("bars"))?);
        }
    }
    if bars != bars_from_ticks(&expected, &Interval::ALL) {
        return Err(format!("other bars than those of {held} commands"));
    }
    command(&store, held).await.map_err(told("writing on"))?;
    store.close().await.map_err(told("closing"))?;
    Ok(held)
}

/// A few ticks, of a number.
pub fn some_ticks(n: u64) -> Vec<Tick> {
    ticks(n)
}

/// As many as a commit of the pipeline has, other ones each time.
pub fn many_ticks() -> Vec<Tick> {
    use std::sync::atomic::{AtomicU64, Ordering};
    static NEXT: AtomicU64 = AtomicU64::new(100_000);
    let first = NEXT.fetch_add(600, Ordering::Relaxed);
    (first..first + 600).flat_map(ticks).collect()
}
