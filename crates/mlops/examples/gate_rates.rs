//! Prints how often a year of gates promotes, with the shipped default: `bench/gate/run [--walks N] [--signals N]`.

#![allow(clippy::unwrap_used, reason = "a bench that cannot run ends")]

#[path = "../tests/support/years.rs"]
mod years;

use std::{
    sync::atomic::{AtomicU64, Ordering},
    thread,
};

use mlops::gate::Policy;
use years::{DAYS, TRAINING, candidate, equals, log_prices, naive, plain_year, year};

const CANDIDATES: [&str; 3] = ["arima(1,1,0)", "arima(0,1,1)", "theta"];

/// What one series ended with.
#[derive(Default)]
struct Outcome {
    daily: bool,
    first_day: Option<usize>,
    weekly: bool,
    monthly: bool,
    plain: bool,
    words: String,
}

fn one_series(seed: u64, phi: f64, policy: &Policy) -> Outcome {
    let origins = policy.held_out_origins + DAYS;
    let y = log_prices(seed, phi, origins + TRAINING);
    let candidates: Vec<_> = CANDIDATES
        .iter()
        .map(|name| candidate(name, &y, origins))
        .collect();
    let naive = naive(&y, origins);
    let run = |every: usize| year(&candidates, &naive, None, policy, every);
    let daily = run(1);
    Outcome {
        daily: daily.promotions > 0,
        first_day: daily.first_promotion,
        weekly: run(5).promotions > 0,
        monthly: run(21).promotions > 0,
        plain: plain_year(&candidates, &naive, policy, 0.05, 1).is_some(),
        words: daily.words,
    }
}

/// Runs a function for each seed on all cores, in the order of the seeds.
fn each<T: Send>(seeds: u64, of: impl Fn(u64) -> T + Sync) -> Vec<T> {
    let next = AtomicU64::new(0);
    let threads = thread::available_parallelism().map_or(1, usize::from);
    let mut all: Vec<(u64, T)> = thread::scope(|scope| {
        let workers: Vec<_> = (0..threads)
            .map(|_| {
                scope.spawn(|| {
                    let mut mine = Vec::new();
                    loop {
                        let seed = next.fetch_add(1, Ordering::Relaxed);
                        if seed >= seeds {
                            return mine;
                        }
                        mine.push((seed, of(seed)));
                    }
                })
            })
            .collect();
        workers
            .into_iter()
            .flat_map(|worker| worker.join().unwrap())
            .collect()
    });
    all.sort_by_key(|(seed, _)| *seed);
    all.into_iter().map(|(_, outcome)| outcome).collect()
}

fn figure(name: &str, outcomes: &[Outcome], of: impl Fn(&Outcome) -> bool, goal: &str) {
    let (hits, all) = (
        outcomes.iter().filter(|outcome| of(outcome)).count(),
        outcomes.len(),
    );
    let percent = 100.0 * hits as f64 / all as f64;
    println!("{name:<58} {hits:>4} of {all:<4} {percent:>5.1} %   {goal}");
}

/// The rates of daily, weekly and monthly gates.
fn rates(name: &str, outcomes: &[Outcome], goal: &str) {
    figure(&format!("{name}, daily gates"), outcomes, |o| o.daily, goal);
    figure("    weekly gates", outcomes, |o| o.weekly, "");
    figure("    monthly gates", outcomes, |o| o.monthly, "");
    figure(
        "    daily, p < .05 at each gate and no budget",
        outcomes,
        |o| o.plain,
        "",
    );
}

fn main() {
    let arguments: Vec<String> = std::env::args().collect();
    let number = |flag: &str, default: u64| {
        let place = arguments.iter().position(|argument| argument == flag);
        let text = place.and_then(|place| arguments.get(place + 1));
        text.map_or(default, |text| text.parse().unwrap())
    };
    let (walks, signals) = (number("--walks", 200), number("--signals", 50));
    let policy = Policy::default();
    println!(
        "# a year: {DAYS} gates a day apart, or fewer; {} held-out origins at its opening",
        policy.held_out_origins
    );
    println!(
        "# candidates {}, refitted every 5 days on {TRAINING} bars",
        CANDIDATES.join(", ")
    );

    let walks = each(walks, |seed| one_series(seed, 0.0, &policy));
    rates(
        "random walks with any promotion",
        &walks,
        "goal: at most 5 %",
    );

    let equal = each(number("--pairs", 1_000), |seed| {
        let (models, naive) = equals(seed, policy.planned_origins());
        let run = |every| year(&models, &naive, Some(0), &policy, every).promotions > 0;
        Outcome {
            daily: run(1),
            weekly: run(5),
            monthly: run(21),
            plain: plain_year(&models[1..], &models[0].loss, &policy, 0.05, 1).is_some(),
            ..Outcome::default()
        }
    });
    rates("an equal challenger promoted", &equal, "goal: at most 5 %");

    let mut words = String::new();
    for (phi, goal) in [(0.3, "goal: at least 90 %"), (0.2, ""), (0.1, "")] {
        let outcomes = each(signals, |seed| one_series(10_000 + seed, phi, &policy));
        rates(&format!("AR(1) of returns {phi} promoted"), &outcomes, goal);
        let mut days: Vec<usize> = outcomes.iter().filter_map(|o| o.first_day).collect();
        days.sort_unstable();
        if let Some(median) = days.get(days.len() / 2) {
            println!("    median day of the first promotion: {median}");
        }
        if let Some(first) = outcomes.first().filter(|_| words.is_empty()) {
            words.clone_from(&first.words);
        }
    }
    println!("# the first promotion of the first series of AR(1) .3, in words:\n{words}");
}
