//! Measures Tickcast over a real Kafka broker and servers of MongoDB's protocol, beside the bare
//! drivers and the original Python pipeline, in one run. Prints one line per figure with the goal
//! beside it. Started by `bench/pipeline/run`, which starts the services.
//!
//! What it does not do: judge. The exit code says only whether everything could be measured.

mod fanout;
mod latency;
mod memory;
mod original;
mod producer;
mod python;
mod reader;
mod throughput;
mod ticks;

use std::time::Duration;

use anyhow::{Context, Result, bail};
use bench_live::load;

const SCENARIOS: [&str; 7] = [
    "producer",
    "throughput",
    "mongodb",
    "original",
    "latency",
    "fanout",
    "memory",
];

/// Where the services are.
#[derive(Clone, Debug)]
pub struct Services {
    /// Host and port of the broker.
    pub brokers: String,
    /// URI of the server of MongoDB's protocol.
    pub mongodb: String,
    /// URI of the second such server, where it was asked for.
    pub ferretdb: Option<String>,
}

#[tokio::main]
async fn main() -> Result<()> {
    // reqwest is built without a default provider of cryptography; loopback needs none, the client
    // asks for one all the same.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let variable = |name: &str| {
        std::env::var(name).with_context(|| format!("{name} is not set: use bench/pipeline/run"))
    };
    let services = Services {
        brokers: variable("KAFKA_BROKERS")?,
        mongodb: variable("MONGODB_URI")?,
        ferretdb: std::env::var("FERRETDB_URI").ok(),
    };
    let mut memory_s = 600;
    let mut chosen = Vec::new();
    let mut arguments = std::env::args().skip(1);
    while let Some(argument) = arguments.next() {
        if argument == "--memory-s" {
            memory_s = arguments
                .next()
                .context("--memory-s wants seconds")?
                .parse()?;
        } else if SCENARIOS.contains(&argument.as_str()) {
            chosen.push(argument);
        } else {
            bail!(
                "no such scenario: {argument}; there are {}",
                SCENARIOS.join(", ")
            );
        }
    }
    println!("# tickcast over kafka and a server of mongodb's protocol");
    println!("cores: {}", std::thread::available_parallelism()?);
    for name in SCENARIOS {
        if !chosen.is_empty() && !chosen.iter().any(|c| c == name) {
            continue;
        }
        println!("load of the machine before {name}: {}", load().await?);
        match name {
            "producer" => producer::measure(&services).await?,
            "throughput" => throughput::sqlite(&services).await?,
            "mongodb" => throughput::mongodb(&services).await?,
            "original" => original::measure(&services).await?,
            "latency" => latency::measure(&services).await?,
            "fanout" => fanout::measure(&services).await?,
            _ => memory::measure(&services, Duration::from_secs(memory_s)).await?,
        }
    }
    Ok(())
}
