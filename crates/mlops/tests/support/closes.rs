//! Made-up closes of days, and rounds of training over them.

#![allow(dead_code, reason = "each test uses a part")]

use forecast::{Providers, backtest::Control};
use market::{Interval, Timestamp};
use mlops::{
    calendar::Calendars,
    gate::Policy,
    training::{
        Layout, Outcome, Recipe, Series, Standing, Task, TradingDays, Trainer, TrainingError,
    },
};

use crate::years::log_prices;

/// The start of a day.
pub fn day(n: usize) -> Timestamp {
    Timestamp::from_secs(1_577_836_800 + 86_400 * n as i64)
}

/// Closes of a market that never shuts, whose returns have the autocorrelation `phi`.
pub fn closes(seed: u64, phi: f64, days: usize) -> Vec<f64> {
    log_prices(seed, phi, days)
        .into_iter()
        .map(f64::exp)
        .collect()
}

/// A series of days from day 0 on.
pub fn series(closes: Vec<f64>) -> Series {
    let starts = (0..closes.len()).map(day).collect();
    Series::new("ACME".parse().unwrap(), Interval::D1, starts, closes).unwrap()
}

/// A recipe for those, with short fits.
pub fn recipe(candidates: &[&str]) -> Recipe {
    let candidates = candidates
        .iter()
        .map(|name| name.parse().unwrap())
        .collect();
    Recipe::new(candidates, Interval::D1, TradingDays::Always)
}

/// One with fewer origins, for tests that are not about the gate's power.
pub fn small(candidates: &[&str]) -> Recipe {
    let recipe = recipe(candidates);
    Recipe {
        layout: Layout {
            window: 150,
            least_window: 100,
            refit_every: 50,
            ..recipe.layout
        },
        policy: Policy {
            held_out_origins: 150,
            ..recipe.policy
        },
        ..recipe
    }
}

pub fn task(series: &Series, standing: Standing) -> Task {
    Task {
        name: "daily-ACME".into(),
        series: series.clone(),
        standing,
    }
}

/// A round without a clock.
pub fn train(
    recipe: &Recipe,
    series: &Series,
    standing: Standing,
    as_of: Timestamp,
) -> Result<Outcome, TrainingError> {
    let (providers, calendars) = (Providers::classical(), Calendars::builtin());
    let trainer = Trainer {
        recipe,
        providers: &providers,
        calendars: &calendars,
        code_version: "test",
    };
    trainer.train(&task(series, standing), as_of, Control::default())
}
