//! How many ticks a second go from a source through bus and store to the fan-out, and what memory
//! an hour's worth of them takes.

use std::{
    io::{BufWriter, Write as _},
    path::Path,
    time::{Duration, Instant},
};

use anyhow::Result;
use bench_live::{Goal, figure, process::Server};

const SYMBOLS: usize = 12;

/// Writes a tick file: `count` trades of twelve symbols, evenly spread over `seconds`, ending now.
fn write_ticks(path: &Path, count: u64, seconds: u64) -> Result<()> {
    let mut out = BufWriter::with_capacity(1 << 20, std::fs::File::create(path)?);
    writeln!(out, "symbol,ts_us,seq,price,size")?;
    let now = std::time::SystemTime::now()
        .duration_since(std::time::UNIX_EPOCH)?
        .as_micros() as u64;
    let first = now - seconds * 1_000_000;
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let mut prices = [100.0_f64; SYMBOLS];
    for i in 0..count {
        // xorshift64: the prices need to wander, not to be random.
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        let symbol = (state % SYMBOLS as u64) as usize;
        let step = ((state >> 32) as f64 / f64::from(u32::MAX) - 0.5) * 0.02;
        prices[symbol] = (prices[symbol] + step).max(1.0);
        let ts = first + i * seconds * 1_000_000 / count;
        writeln!(
            out,
            "BENCH{symbol},{ts},{i},{:.2},{}",
            prices[symbol],
            1 + state % 100
        )?;
    }
    out.flush()?;
    Ok(())
}

/// Replays `count` ticks as fast as they go and waits until the store has them.
async fn replay(count: u64, seconds: u64) -> Result<(Server, f64)> {
    let scratch = tempfile::tempdir()?;
    let file = scratch.path().join("ticks.csv");
    write_ticks(&file, count, seconds)?;
    let set_file = format!("source.file={}", file.display());
    let arguments = [
        "--source",
        "replay",
        "--set",
        &set_file,
        "--set",
        "source.speed=max",
    ];
    let server = Server::start(&arguments).await?;
    let started = Instant::now();
    let give_up = Duration::from_secs(300);
    let mut first: Option<(Instant, f64)> = None;
    loop {
        let stored = server.counter("tickcast_ticks_stored_total").await?;
        if first.is_none() && stored > 0.0 {
            first = Some((Instant::now(), stored));
        }
        if stored >= count as f64 {
            break;
        }
        anyhow::ensure!(
            started.elapsed() < give_up,
            "only {stored} of {count} ticks were stored"
        );
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let rate = match first {
        Some((at, before)) if at.elapsed() > Duration::from_millis(200) => {
            (count as f64 - before) / at.elapsed().as_secs_f64()
        }
        _ => count as f64 / started.elapsed().as_secs_f64(),
    };
    Ok((server, rate))
}

/// Ticks a second.
pub async fn throughput() -> Result<()> {
    let (server, rate) = replay(3_000_000, 600).await?;
    figure(
        "ticks from a CSV replay to store and fan-out",
        rate,
        "ticks/s",
        Goal::AtLeast(100_000.0),
    );
    figure(
        "processor time of the server per million of them",
        server.cpu_s().await? / 3.0,
        "s",
        Goal::None,
    );
    server.stop().await
}

/// Resident memory after an hour of 1,000 ticks a second.
pub async fn memory() -> Result<()> {
    let (server, _) = replay(3_600_000, 3_600).await?;
    let after = server.resident_mib().await?;
    figure(
        "resident after an hour's worth (3.6 million ticks)",
        after,
        "MiB",
        Goal::AtMost(150.0),
    );
    figure(
        "most that was ever resident",
        server.most_resident_mib().await?,
        "MiB",
        Goal::None,
    );
    tokio::time::sleep(Duration::from_secs(20)).await;
    figure(
        "resident 20 s later",
        server.resident_mib().await?,
        "MiB",
        Goal::AtMost(150.0),
    );
    server.stop().await
}
