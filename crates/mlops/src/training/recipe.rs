//! How a round is held: what is configured, and what follows from the market.

use forecast::{CalibrationOptions, FitOptions, ModelRef};
use market::Interval;
use serde::{Deserialize, Serialize};

use super::{check::CheckRules, days::TradingDays, error::TrainingError};
use crate::{calendar::Calendars, gate::Policy};

/// How models are walked through the held-out origins.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Layout {
    /// Steps that are forecast and judged.
    pub horizon: usize,
    /// Closes that a model is fitted to at most.
    pub window: usize,
    /// Closes that the first fit needs.
    pub least_window: usize,
    /// Held-out origins from one fit to the next.
    pub refit_every: usize,
    /// Closes between held-out origins.
    pub step: usize,
}

impl Default for Layout {
    fn default() -> Self {
        Self {
            horizon: 1,
            window: 500,
            least_window: 250,
            refit_every: 25,
            step: 1,
        }
    }
}

/// Origins that a year adds at most where [`Recipe::new`] chooses their distance.
const ORIGINS_A_YEAR: usize = 2_200;
/// Candidates of a round at most: each of them makes every test stricter.
const MOST_CANDIDATES: usize = 16;
/// The longest horizon that is judged.
const MOST_STEPS: usize = 250;

/// What a model's loss at an origin is, in the mean over the steps ahead. Whatever it is, the measures of a round
/// have all others beside it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum JudgedBy {
    /// The absolute error of the point forecast.
    #[default]
    Points,
    /// The pinball loss of the median and of the bounds at 80 and 95 %: how good the interval is.
    Quantiles,
}

impl JudgedBy {
    /// Its name in settings and messages.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Points => "points",
            Self::Quantiles => "quantiles",
        }
    }
}

impl std::str::FromStr for JudgedBy {
    type Err = TrainingError;

    fn from_str(text: &str) -> Result<Self, TrainingError> {
        let all = [Self::Points, Self::Quantiles];
        all.into_iter()
            .find(|one| one.as_str() == text)
            .ok_or_else(|| {
                let got = market::excerpt(text);
                TrainingError::recipe(
                    "judged_by",
                    format!("expected points or quantiles, got {got:?}"),
                )
            })
    }
}

/// A recipe for rounds of one interval and market.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Recipe {
    /// The models that may become champion.
    pub candidates: Vec<ModelRef>,
    /// The held-out origins.
    pub layout: Layout,
    /// How models are fitted: by default to logarithms, without a season.
    pub options: FitOptions,
    /// How intervals are calibrated: by default as those that are served.
    pub calibration: CalibrationOptions,
    /// What the gate compares.
    #[serde(default)]
    pub judged_by: JudgedBy,
    /// What the gate asks for.
    pub policy: Policy,
    /// What the closes must be like.
    pub checks: CheckRules,
    /// When the market trades.
    pub days: TradingDays,
    /// A champion that stays is fitted to the new closes.
    pub refresh_champion: bool,
    /// Where anything is drawn, it follows from this.
    pub seed: u64,
}

impl Recipe {
    /// The usual recipe for bars of this length on this market. Where a year has more bars than 2,200, origins lie
    /// several bars apart.
    #[must_use]
    pub fn new(candidates: Vec<ModelRef>, interval: Interval, days: TradingDays) -> Self {
        let bars = days.bars_a_year(interval);
        let layout = Layout {
            step: bars.div_ceil(ORIGINS_A_YEAR).max(1),
            ..Layout::default()
        };
        Self {
            candidates,
            policy: Policy {
                origins_a_year: bars.div_ceil(layout.step),
                ..Policy::default()
            },
            calibration: CalibrationOptions::new(
                forecast::Calibration::default(),
                layout.horizon.max(10),
            ),
            layout,
            judged_by: JudgedBy::default(),
            options: FitOptions {
                log: true,
                ..FitOptions::default()
            },
            checks: CheckRules::default(),
            days,
            refresh_champion: true,
            seed: 0,
        }
    }

    /// The candidates where nothing else is configured: an autoregression of returns, exponential smoothing, theta.
    ///
    /// # Errors
    /// None: these are names of the forecasting core.
    pub fn usual_candidates() -> forecast::Result<Vec<ModelRef>> {
        ["arima(1,1,0)", "ets", "theta"]
            .iter()
            .map(|name| name.parse())
            .collect()
    }

    /// Closes that a round reads at most: the window of the first fit, and all origins of a year, with room for a market
    /// that trades on more days than were planned.
    #[must_use]
    pub fn rows(&self) -> usize {
        let (layout, policy) = (&self.layout, &self.policy);
        let origins = policy
            .planned_origins()
            .saturating_add(policy.origins_a_year / 2);
        origins
            .saturating_mul(layout.step)
            .saturating_add(layout.window)
            .saturating_add(layout.horizon)
    }

    /// Closes that a round needs.
    #[must_use]
    pub fn least_rows(&self) -> usize {
        let layout = &self.layout;
        let behind = self
            .policy
            .least_origins
            .saturating_sub(1)
            .saturating_mul(layout.step);
        layout
            .least_window
            .saturating_add(behind)
            .saturating_add(layout.horizon)
    }

    /// Checks every number.
    ///
    /// # Errors
    /// The first that cannot be, with its field.
    pub fn check(&self, calendars: &Calendars) -> Result<(), TrainingError> {
        let layout = &self.layout;
        let within = |field, value: usize, least: usize, most: usize| {
            if (least..=most).contains(&value) {
                return Ok(());
            }
            let reason = format!("expected {least} to {most}, got {value}");
            Err(TrainingError::recipe(field, reason))
        };
        within("candidates", self.candidates.len(), 1, MOST_CANDIDATES)?;
        if let Some(twice) = self
            .candidates
            .iter()
            .enumerate()
            .find_map(|(place, one)| self.candidates[..place].contains(one).then_some(one))
        {
            return Err(TrainingError::recipe(
                "candidates",
                format!("{twice} stands twice"),
            ));
        }
        within("layout.horizon", layout.horizon, 1, MOST_STEPS)?;
        within("layout.least_window", layout.least_window, 30, 1_000_000)?;
        within(
            "layout.window",
            layout.window,
            layout.least_window,
            1_000_000,
        )?;
        within("layout.refit_every", layout.refit_every, 1, 1_000_000)?;
        within("layout.step", layout.step, 1, 1_000_000)?;
        within("policy.origins_a_year", self.rows(), 1, 10_000_000)?;
        let share = self.checks.max_missing_share;
        if !(0.0..1.0).contains(&share) {
            let reason = format!("expected 0 or more, below 1, got {share}");
            return Err(TrainingError::recipe("checks.max_missing_share", reason));
        }
        self.policy
            .check()
            .map_err(|e| TrainingError::recipe("policy", e.to_string()))?;
        self.days
            .check(calendars)
            .map_err(|e| TrainingError::recipe("days", e.to_string()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn recipe(interval: Interval, days: TradingDays) -> Recipe {
        Recipe::new(Recipe::usual_candidates().unwrap(), interval, days)
    }

    #[test]
    fn a_year_has_the_origins_of_its_market() {
        let year = |interval, days| {
            let recipe = recipe(interval, days);
            (recipe.layout.step, recipe.policy.origins_a_year)
        };
        assert_eq!(year(Interval::D1, TradingDays::Weekdays), (1, 252));
        assert_eq!(year(Interval::D1, TradingDays::Always), (1, 365));
        assert_eq!(
            year(Interval::H1, TradingDays::Exchange("XNYS".into())),
            (1, 1_512)
        );
        assert_eq!(year(Interval::H1, TradingDays::Always), (4, 2_190));
    }

    #[test]
    fn a_number_that_cannot_be_is_refused_with_its_field() {
        let calendars = Calendars::builtin();
        let refused = |spoil: &dyn Fn(&mut Recipe)| {
            let mut recipe = recipe(Interval::D1, TradingDays::Always);
            recipe.check(&calendars).unwrap();
            spoil(&mut recipe);
            recipe.check(&calendars).unwrap_err().to_string()
        };
        for (spoil, field) in [
            (
                &(|r: &mut Recipe| r.candidates.clear()) as &dyn Fn(&mut Recipe),
                "candidates: ",
            ),
            (
                &|r| r.candidates.push("ets".parse().unwrap()),
                "candidates: ets",
            ),
            (&|r| r.layout.horizon = 0, "layout.horizon: expected 1"),
            (&|r| r.layout.horizon = 10_000, "layout.horizon: expected 1"),
            (&|r| r.layout.window = 100, "layout.window: expected 250"),
            (&|r| r.layout.step = 0, "layout.step"),
            (&|r| r.layout.refit_every = 0, "layout.refit_every"),
            (&|r| r.policy.reserve = 2.0, "policy: "),
            (
                &|r| r.policy.origins_a_year = usize::MAX,
                "policy.origins_a_year",
            ),
            (
                &|r| r.checks.max_missing_share = f64::NAN,
                "checks.max_missing_share",
            ),
            (&|r| r.days = TradingDays::Exchange("NONE".into()), "days: "),
        ] {
            let words = refused(spoil);
            assert!(words.starts_with(field), "{words}");
        }
    }
}
