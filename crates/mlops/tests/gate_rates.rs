//! How often a year of daily gates promotes: on random walks, with an equal challenger, and where there is a signal.
//! `bench/gate/run` prints the same with more series and more candidates.

#![allow(
    clippy::unwrap_used,
    reason = "what fails in a test's own plumbing fails the test"
)]

#[path = "support/years.rs"]
mod years;

use mlops::gate::Policy;
use years::{candidate, equals, log_prices, naive, plain_year, year};

/// How many of the seeds end a year with a promotion.
fn promoted(seeds: std::ops::Range<u64>, phi: f64) -> usize {
    let policy = Policy::default();
    let origins = policy.held_out_origins + years::DAYS;
    seeds
        .filter(|seed| {
            let y = log_prices(*seed, phi, origins + years::TRAINING);
            let candidates = [candidate("arima(1,1,0)", &y, origins)];
            year(&candidates, &naive(&y, origins), None, &policy, 1).promotions > 0
        })
        .count()
}

#[test]
fn a_year_of_daily_gates_promotes_next_to_nothing_on_random_walks() {
    // One of twenty years may, and 3 of 24 would be less likely than 1 in 15 even then.
    let promotions = promoted(0..24, 0.0);
    assert!(promotions <= 2, "{promotions} of 24 random walks");
}

#[test]
fn a_strong_signal_is_promoted_within_the_year() {
    let promotions = promoted(100..112, 0.3);
    assert!(promotions >= 10, "only {promotions} of 12");
}

#[test]
fn an_equal_challenger_takes_the_place_in_at_most_one_year_of_twenty() {
    let policy = Policy::default();
    let (mut with_budget, mut without) = (0, 0);
    for seed in 0..300 {
        let (models, naive) = equals(seed, policy.planned_origins());
        with_budget += usize::from(year(&models, &naive, Some(0), &policy, 5).promotions > 0);
        // The same years by a plain test at each gate, against the champion.
        without +=
            usize::from(plain_year(&models[1..], &models[0].loss, &policy, 0.05, 5).is_some());
    }
    // 15 of 300 are expected at most; 26 is what chance makes of 15 in one case of 300.
    assert!(with_budget <= 26, "{with_budget} of 300");
    assert!(
        without > 30,
        "the plain rule gave only {without} of 300: the test shows nothing"
    );
}
