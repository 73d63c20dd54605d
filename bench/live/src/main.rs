//! Measures a release build of `tickcast` as its users meet it: as a process, over HTTP and
//! WebSockets, on loopback. Prints one line per figure, with the goal and the ratio to it beside it.
//!
//! Run by `make bench`; `TICKCAST_BIN` names the binary. Arguments choose among `startup`,
//! `throughput`, `push`, `memory` and `latency`; without any, all are measured. What it does not do: judge. A figure below
//! its goal is printed as such and the exit code stays 0.

mod fanout;
mod push;
mod replay;
mod startup;

use anyhow::Result;
use bench_live::load;

#[tokio::main]
async fn main() -> Result<()> {
    // reqwest is built without a default provider of cryptography; loopback needs none, the client
    // asks for one all the same.
    let _ = rustls::crypto::ring::default_provider().install_default();
    println!("# tickcast, one process, embedded bus and store");
    println!("cores: {}", std::thread::available_parallelism()?);
    let chosen: Vec<String> = std::env::args().skip(1).collect();
    for name in ["startup", "throughput", "push", "memory", "latency"] {
        if !chosen.is_empty() && !chosen.iter().any(|c| c == name) {
            continue;
        }
        println!("load of the machine before {name}: {}", load().await?);
        match name {
            "startup" => startup::startup().await?,
            "throughput" => replay::throughput().await?,
            "push" => push::push().await?,
            "memory" => replay::memory().await?,
            _ => fanout::latency().await?,
        }
    }
    Ok(())
}
