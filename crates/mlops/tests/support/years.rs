//! Years of gates on made-up markets, as they really run: models of the forecasting core refitted week by week on
//! the last 500 bars and updated day by day, losses of one-step forecasts of log prices at every origin, a gate at
//! every closed bar (or more seldom) on all origins so far, and a champion that changes with each promotion.

#![allow(dead_code, reason = "the test and the bench each use a part")]

use forecast::{FitOptions, FittedModel, Level, ModelSpec, backtest::diebold_mariano};
use market::Timestamp;
use mlops::gate::{CoverageCount, Decision, ErrorBudget, Evidence, Policy, judge_round};
use rand_chacha::{
    ChaCha8Rng,
    rand_core::{Rng, SeedableRng},
};

/// Bars that a model is fitted to.
pub const TRAINING: usize = 500;
/// Days of a year.
pub const DAYS: usize = 250;
/// Days between refits.
const REFIT: usize = 5;

/// Random numbers from a seed.
pub struct Noise(ChaCha8Rng);

impl Noise {
    pub fn new(seed: u64) -> Self {
        Self(ChaCha8Rng::seed_from_u64(seed))
    }

    fn uniform(&mut self) -> f64 {
        (self.0.next_u64() >> 11) as f64 / 9_007_199_254_740_992.0
    }

    pub fn normal(&mut self) -> f64 {
        let radius = (-2.0 * (1.0 - self.uniform()).ln()).sqrt();
        radius * (std::f64::consts::TAU * self.uniform()).cos()
    }

    /// Student's t with 5 degrees of freedom, scaled to variance 1: returns have heavy tails.
    pub fn heavy(&mut self) -> f64 {
        let chi: f64 = (0..5).map(|_| self.normal().powi(2)).sum();
        self.normal() / (chi / 5.0).sqrt() * 0.6_f64.sqrt()
    }
}

/// Log prices whose returns have the autocorrelation `phi`; 0 is a random walk.
pub fn log_prices(seed: u64, phi: f64, bars: usize) -> Vec<f64> {
    let mut noise = Noise::new(seed);
    let (mut level, mut last) = (100.0_f64.ln(), 0.0);
    (0..bars)
        .map(|_| {
            last = phi * last + 0.01 * noise.heavy();
            level += last;
            level
        })
        .collect()
}

/// A candidate with its loss at every origin of the year.
pub struct Candidate {
    pub name: String,
    pub loss: Vec<f64>,
    pub inside: Vec<bool>,
}

/// One-step losses of a model at the last `origins` bars.
pub fn candidate(name: &str, y: &[f64], origins: usize) -> Candidate {
    let spec: ModelSpec = name.parse().unwrap();
    let first = y.len() - origins;
    let mut fitted: Option<Box<dyn FittedModel>> = None;
    let (mut loss, mut inside) = (Vec::new(), Vec::new());
    for origin in first..y.len() {
        match &mut fitted {
            Some(model) if !(origin - first).is_multiple_of(REFIT) => {
                model.update(y[origin - 1]).unwrap()
            }
            _ => {
                fitted = Some(
                    spec.fit(&y[origin - TRAINING..origin], &FitOptions::default())
                        .unwrap(),
                )
            }
        }
        let forecast = fitted
            .as_ref()
            .unwrap()
            .forecast(1, &[Level(95.0)])
            .unwrap();
        let band = &forecast.intervals[0];
        loss.push((y[origin] - forecast.mean[0]).abs());
        inside.push(y[origin] >= band.lower[0] && y[origin] <= band.upper[0]);
    }
    Candidate {
        name: name.to_owned(),
        loss,
        inside,
    }
}

/// Naive's losses at the last `origins` bars.
pub fn naive(y: &[f64], origins: usize) -> Vec<f64> {
    let first = y.len() - origins;
    (first..y.len()).map(|i| (y[i] - y[i - 1]).abs()).collect()
}

/// What a year of gates ended with.
#[derive(Default)]
pub struct Year {
    pub promotions: u32,
    /// The day of the first one.
    pub first_promotion: Option<usize>,
    /// The verdict on the first promotion in words; without one, the last on the first candidate.
    pub words: String,
}

/// A year that begins with `champion` (or naive) and judges every candidate each `every` days.
pub fn year(
    candidates: &[Candidate],
    naive: &[f64],
    champion: Option<usize>,
    policy: &Policy,
    every: usize,
) -> Year {
    let bar = |i: usize| Timestamp::from_secs(1_700_000_000 + 86_400 * i as i64);
    let opened = bar(policy.held_out_origins);
    let known = candidates.len() - usize::from(champion.is_some());
    let mut budget = ErrorBudget::open("SIM", policy, known, opened).unwrap();
    let (mut champion, mut year) = (champion, Year::default());
    for day in (0..DAYS).step_by(every) {
        let n = policy.held_out_origins + day;
        let shown = |place: usize| {
            let one = &candidates[place];
            let inside = one.inside[..n].iter().filter(|inside| **inside).count() as u64;
            Evidence {
                model: "SIM".into(),
                candidate: one.name.clone(),
                champion: champion.map(|place| candidates[place].name.clone()),
                origins: (0..n).map(bar).collect(),
                candidate_loss: one.loss[..n].to_vec(),
                champion_loss: champion
                    .map_or_else(Vec::new, |place| candidates[place].loss[..n].to_vec()),
                naive_loss: naive[..n].to_vec(),
                overlap: 1,
                coverage_95: CoverageCount {
                    inside,
                    outcomes: n as u64,
                },
                latency_p99_ms: 1.0,
            }
        };
        let places: Vec<usize> = (0..candidates.len())
            .filter(|place| Some(*place) != champion)
            .collect();
        let round: Vec<Evidence> = places.iter().map(|place| shown(*place)).collect();
        let (judged, after) = judge_round(&round, policy, &budget, bar(n)).unwrap();
        budget = after;
        let promoted = judged
            .iter()
            .position(|verdict| verdict.decision == Decision::Promote);
        if year.promotions == 0 {
            let told = &judged[promoted.unwrap_or(0)];
            year.words.clone_from(&told.words);
        }
        if let Some(at) = promoted {
            champion = Some(places[at]);
            year.promotions += 1;
            year.first_promotion.get_or_insert(day);
        }
    }
    year
}

/// The day of the first promotion by the rule that has no budget: p < `level`, two-sided, at each gate on the last
/// 250 origins, corrected over the candidates of that day and nothing else.
pub fn plain_year(
    candidates: &[Candidate],
    naive: &[f64],
    policy: &Policy,
    level: f64,
    every: usize,
) -> Option<usize> {
    (0..DAYS).step_by(every).find(|day| {
        let n = policy.held_out_origins + day;
        candidates.iter().any(|one| {
            diebold_mariano(&one.loss[n - 250..n], &naive[n - 250..n], 1).is_some_and(|test| {
                test.statistic < 0.0 && test.p_value < level / candidates.len() as f64
            })
        })
    })
}

/// Two equal models on a market that both forecast well: what is between them is noise. The first is the champion.
pub fn equals(seed: u64, origins: usize) -> (Vec<Candidate>, Vec<f64>) {
    let mut noise = Noise::new(seed);
    let mut losses = [Vec::new(), Vec::new(), Vec::new()];
    let mut last = 0.0;
    for _ in 0..origins {
        let told = 0.8 * last;
        last = told + 0.01 * noise.heavy();
        for loss in losses.iter_mut().take(2) {
            loss.push((last - told - 0.004 * noise.normal()).abs());
        }
        losses[2].push(last.abs());
    }
    let [champion, challenger, naive] = losses;
    let one = |name: &str, loss: Vec<f64>| Candidate {
        name: name.to_owned(),
        inside: (0..origins).map(|i| i % 20 != 0).collect(),
        loss,
    };
    (
        vec![one("champion", champion), one("challenger", challenger)],
        naive,
    )
}
