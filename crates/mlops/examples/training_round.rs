//! Times a round of training: 12 symbols of 2,000 daily closes with the usual candidates.
//!
//!     cargo run --release -p mlops --example training_round [SYMBOLS [DAYS]]

#![allow(clippy::unwrap_used, reason = "a bench that cannot run ends")]

#[path = "../tests/support/closes.rs"]
mod closes;
#[path = "../tests/support/years.rs"]
mod years;

use std::time::Instant;

use closes::{closes, day, series, task};
use forecast::{Providers, backtest::Control};
use mlops::{
    calendar::Calendars,
    training::{Recipe, Standing, TradingDays, Trainer},
};

fn main() {
    let mut arguments = std::env::args().skip(1).map(|text| text.parse().unwrap());
    let (symbols, days): (u64, usize) = (
        arguments.next().unwrap_or(12) as u64,
        arguments.next().unwrap_or(2_000),
    );
    let candidates = Recipe::usual_candidates().unwrap();
    let recipe = Recipe::new(candidates, market::Interval::D1, TradingDays::Always);
    let tasks: Vec<_> = (0..symbols)
        .map(|seed| {
            let phi = 0.1 * (seed % 4) as f64;
            task(&series(closes(seed, phi, days)), Standing::default())
        })
        .collect();
    let (providers, calendars) = (Providers::classical(), Calendars::builtin());
    let trainer = Trainer {
        recipe: &recipe,
        providers: &providers,
        calendars: &calendars,
        code_version: "bench",
    };
    let began = Instant::now();
    let clock = move || began.elapsed().as_secs_f64();
    let control = Control {
        clock: Some(&clock),
        ..Control::default()
    };
    let outcomes = trainer.train_all(&tasks, day(days), control);
    println!("{symbols} symbols of {days} closes: {:.2} s", clock());
    for outcome in outcomes.iter().flatten() {
        let round = &outcome.round;
        println!("{:?}", round.action);
        for one in &round.measures {
            println!(
                "  {:14} {} origins, {} fits of {:.1} ms, forecast p99 {:.3} ms, skill {:+.4}, 95 %: {:.3}",
                one.model,
                one.origins,
                one.fits,
                one.fit_ms.unwrap(),
                one.forecast_p99_ms.unwrap(),
                one.skill_against_naive.unwrap(),
                one.coverage_95.unwrap()
            );
        }
    }
}
