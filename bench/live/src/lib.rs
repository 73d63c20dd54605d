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

/// What a figure should be, in its own unit.
#[derive(Clone, Copy, Debug)]
pub enum Goal {
    /// Nothing: the figure explains another one.
    None,
    /// This or less.
    AtMost(f64),
    /// This or more.
    AtLeast(f64),
}

/// Prints a figure, and beside it its goal and how much of the goal it is.
pub fn figure(name: &str, value: f64, unit: &str, goal: Goal) {
    let goal = match goal {
        Goal::None => String::new(),
        Goal::AtMost(most) => beside("most", most, value, unit),
        Goal::AtLeast(least) => beside("least", least, value, unit),
    };
    let line = format!("{name:<58} {value:>12.1} {unit:<10} {goal}");
    println!("{}", line.trim_end());
}

/// A goal in words, and the ratio of a value to it; nothing is a share of a goal of 0.
fn beside(bound: &str, goal: f64, value: f64, unit: &str) -> String {
    let rounded = (goal * 10.0).round() / 10.0;
    let words = format!("goal at {bound} {rounded} {unit}");
    if goal == 0.0 {
        return words;
    }
    format!("{words}: {:.2} of it", value / goal)
}
