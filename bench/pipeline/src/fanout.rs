//! How many WebSocket readers one `tickcast web` holds at ten messages a second each, beside FastAPI
//! and uvicorn doing the same. The readers run in this process, on the same cores.

use anyhow::Result;
use bench_live::{Goal, figure};
use futures::{StreamExt as _, TryStreamExt as _, stream};

use crate::{
    Services,
    latency::paced,
    python,
    reader::{self, Socket, quantile},
    throughput::start,
    ticks::{fresh, make_topic, symbol},
};

const READERS: usize = 5_000;
const MESSAGES_PER_S: u64 = 10;
const SECONDS: u64 = 10;
/// What is tried on the other side, until it takes longer than ours.
const LADDER: [usize; 7] = [100, 250, 500, 1_000, 2_000, 3_500, 5_000];
const CONNECT_AT_ONCE: usize = 64;

/// Measures and prints.
pub async fn measure(services: &Services) -> Result<()> {
    let topic = fresh("fanout")?;
    // All readers are one client here.
    let limits = [
        "--set",
        "limits.connections=8192",
        "--set",
        "limits.connections_per_client=8192",
        "--set",
        "limits.sockets_per_s=0",
    ];
    let server = start("web", services, &topic, Some(&services.mongodb), &limits).await?;
    let watched = [symbol(0)?];
    let sockets: Vec<Socket> = stream::iter(0..READERS)
        .map(|_| reader::subscribe(&server.url, &watched))
        .buffer_unordered(CONNECT_AT_ONCE)
        .try_collect()
        .await?;
    let before = server.cpu_s().await?;
    let ours = held(
        services,
        &topic,
        sockets,
        "tickcast web",
        Goal::AtMost(250.0),
    )
    .await?;
    println!(
        "  (processor time of the server {:.1} s, resident {:.0} MiB)",
        server.cpu_s().await? - before,
        server.resident_mib().await?
    );
    server.stop().await?;
    let mut most = 0;
    for readers in LADDER {
        let topic = fresh("fanout")?;
        make_topic(services, &topic).await?;
        let port = python::free_port()?;
        let _server = python::fastapi(port, &services.brokers, &topic).await?;
        let url = format!("ws://127.0.0.1:{port}/live");
        let sockets: Vec<Socket> = stream::iter(0..readers)
            .map(|_| tokio_tungstenite::connect_async(&url))
            .buffer_unordered(CONNECT_AT_ONCE)
            .map_ok(|(socket, _)| socket)
            .try_collect()
            .await?;
        let theirs = held(services, &topic, sockets, "fastapi and uvicorn", Goal::None).await?;
        if theirs.is_nan() || theirs > ours {
            break;
        }
        most = readers;
    }
    figure(
        "readers that fastapi holds at that p95, at least",
        most as f64,
        "readers",
        Goal::None,
    );
    figure(
        "readers held at the same p95: tickcast / fastapi",
        if ours.is_nan() {
            f64::NAN
        } else {
            READERS as f64 / most.max(LADDER[0]) as f64
        },
        "times",
        Goal::None,
    );
    Ok(())
}

/// Sends, prints, and gives the p95; NaN when a reader did not get every message.
async fn held(
    services: &Services,
    topic: &str,
    sockets: Vec<Socket>,
    who: &str,
    goal: Goal,
) -> Result<f64> {
    let readers = sockets.len();
    let total = MESSAGES_PER_S * SECONDS;
    let (mut latencies, complete) = paced(
        services,
        topic,
        sockets,
        MESSAGES_PER_S,
        2 * MESSAGES_PER_S,
        total,
    )
    .await?;
    latencies.sort_by(f64::total_cmp);
    let what = format!("{who}, {readers} readers at 10/s");
    figure(
        &format!("{what}, p95"),
        quantile(&latencies, 0.95),
        "ms",
        Goal::None,
    );
    figure(
        &format!("{what}, p99"),
        quantile(&latencies, 0.99),
        "ms",
        goal,
    );
    if complete < readers {
        println!(
            "  ({} readers did not get every message)",
            readers - complete
        );
    }
    // Readers that were not sent everything are not held.
    Ok(if complete < readers {
        f64::NAN
    } else {
        quantile(&latencies, 0.95)
    })
}
