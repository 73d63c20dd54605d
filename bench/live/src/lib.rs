//! What the benchmarks have in common: a `tickcast` of their own, and how a figure is printed.
//!
//! What it does not do: measure; the programs do.

pub mod process;

use anyhow::Result;

/// The load averages over 1, 5 and 15 minutes: figures of a busy machine are worth less.
pub async fn load() -> Result<String> {
    let text = tokio::fs::read_to_string("/proc/loadavg").await?;
    Ok(text.split(' ').take(3).collect::<Vec<_>>().join(" "))
}

/// Prints a figure beside its goal.
pub fn figure(name: &str, value: f64, unit: &str, goal: &str) {
    println!("{name:<58} {value:>12.1} {unit:<10} goal: {goal}");
}
