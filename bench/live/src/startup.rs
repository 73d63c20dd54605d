//! How fast `tickcast serve` starts.

use anyhow::Result;
use bench_live::{Goal, figure, process::Server};

/// Time from exec to ready, the median of seven starts.
pub async fn startup() -> Result<()> {
    let mut times = Vec::new();
    for _ in 0..7 {
        let server = Server::start(&["--source", "simulated"]).await?;
        let alive = reqwest::get(format!("{}/readyz", server.url)).await?;
        anyhow::ensure!(
            alive.status().is_success(),
            "the server says it is not ready"
        );
        times.push(server.ready_after.as_secs_f64() * 1e3);
        server.stop().await?;
    }
    times.sort_by(f64::total_cmp);
    figure(
        "server ready, empty store, median of 7",
        times[3],
        "ms",
        Goal::AtMost(1_000.0),
    );
    Ok(())
}
