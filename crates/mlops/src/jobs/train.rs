//! What a training is given.

use forecast::ModelRef;
use market::{Interval, Symbol, Timestamp};
use neural::NetworkSpec;
use serde::{Deserialize, Serialize};
use store::{JobKind, NewJob};

use super::{Payload, PayloadError, current_version};
use crate::{
    calendar::Calendars,
    training::{CheckRules, JudgedBy, Recipe, TradingDays, TrainingError},
};

/// A round of training of one symbol. What is absent is as [`Recipe::new`] has it for the interval and the market.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TrainPayload {
    /// The version of this format.
    #[serde(default = "current_version")]
    pub version: u32,
    /// Whose closes.
    pub symbol: Symbol,
    /// The length of the bars.
    pub interval: Interval,
    /// The first part of the model's name, `close-1d` for daily bars when absent; the symbol is the other.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub model: Option<String>,
    /// When the market trades: `always`, `weekdays`, or the code of an exchange. When absent, `always` where there is a
    /// bar on a Saturday, else `weekdays`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub days: Option<TradingDays>,
    /// What is known: bars that end later do not exist. The time of the attempt when absent.
    #[serde(default, rename = "as_of_us", skip_serializing_if = "Option::is_none")]
    pub as_of: Option<Timestamp>,
    /// The models that may become champion.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub candidates: Option<Vec<ModelRef>>,
    /// What the gate compares: `points`, errors of the point forecast, or `quantiles`; points when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub judged_by: Option<JudgedBy>,
    /// The symbols whose closes the networks among the candidates are trained on, of bars of the same length; the
    /// symbol's own alone when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub together: Option<Vec<Symbol>>,
    /// Steps that are forecast and judged.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub horizon: Option<usize>,
    /// Closes that a model is fitted to at most.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub window: Option<usize>,
    /// Closes that the first fit needs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub least_window: Option<usize>,
    /// Held-out origins from one fit to the next.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub refit_every: Option<usize>,
    /// Closes between held-out origins.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub step: Option<usize>,
    /// Held-out origins when a year opens.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub held_out_origins: Option<usize>,
    /// Origins that a year adds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub origins_a_year: Option<usize>,
    /// The share of years that may see a promotion of a candidate that is no better.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub false_promotions_a_year: Option<f64>,
    /// Milliseconds that a forecast may take, 99th percentile.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub latency_budget_ms: Option<f64>,
    /// The season in bars; none when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub season: Option<usize>,
    /// Whether models are fitted to logarithms; true when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub log: Option<bool>,
    /// What the closes must be like.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub checks: Option<CheckRules>,
    /// Whether a champion that stays is fitted to the new closes; true when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub refresh_champion: Option<bool>,
    /// Where anything is drawn, it follows from this.
    #[serde(default)]
    pub seed: u64,
}

impl TrainPayload {
    /// The usual round of a symbol.
    #[must_use]
    pub fn new(symbol: Symbol, interval: Interval) -> Self {
        Self {
            version: current_version(),
            symbol,
            interval,
            model: None,
            days: None,
            as_of: None,
            candidates: None,
            judged_by: None,
            together: None,
            horizon: None,
            window: None,
            least_window: None,
            refit_every: None,
            step: None,
            held_out_origins: None,
            origins_a_year: None,
            false_promotions_a_year: None,
            latency_budget_ms: None,
            season: None,
            log: None,
            checks: None,
            refresh_champion: None,
            seed: 0,
        }
    }

    /// The name in the registry: the model and the symbol.
    #[must_use]
    pub fn name(&self) -> String {
        match &self.model {
            Some(model) => format!("{model}.{}", self.symbol),
            None => series_name(&self.symbol, self.interval),
        }
    }

    /// The recipe, for a market that trades on `days` where the payload does not say when it does.
    ///
    /// # Errors
    /// None of the usual candidates can be read: never.
    pub fn recipe(&self, days: TradingDays) -> Result<Recipe, PayloadError> {
        let days = self.days.clone().unwrap_or(days);
        let candidates = match &self.candidates {
            Some(candidates) => candidates.clone(),
            None => Recipe::usual_candidates()
                .map_err(|e| PayloadError::new("candidates", e.to_string()))?,
        };
        let mut recipe = Recipe::new(candidates, self.interval, days.clone());
        if let Some(step) = self.step.filter(|step| *step > 0) {
            recipe.layout.step = step;
            recipe.policy.origins_a_year = days.bars_a_year(self.interval).div_ceil(step);
        }
        let layout = &mut recipe.layout;
        // A short window is short for the first fit, too.
        if let Some(window) = self.window {
            layout.window = window;
            layout.least_window = layout.least_window.min(window);
        }
        let set = |target: &mut usize, value: Option<usize>| *target = value.unwrap_or(*target);
        set(&mut layout.least_window, self.least_window);
        set(&mut layout.refit_every, self.refit_every);
        set(&mut layout.step, self.step);
        set(&mut layout.horizon, self.horizon);
        let policy = &mut recipe.policy;
        set(&mut policy.held_out_origins, self.held_out_origins);
        set(&mut policy.origins_a_year, self.origins_a_year);
        set(&mut recipe.options.season, self.season);
        let share = self.false_promotions_a_year;
        policy.false_promotions_a_year = share.unwrap_or(policy.false_promotions_a_year);
        let latency = self.latency_budget_ms;
        policy.latency_budget_ms = latency.unwrap_or(policy.latency_budget_ms);
        recipe.options.log = self.log.unwrap_or(recipe.options.log);
        recipe.refresh_champion = self.refresh_champion.unwrap_or(recipe.refresh_champion);
        recipe.checks = self.checks.clone().unwrap_or(recipe.checks);
        recipe.judged_by = self.judged_by.unwrap_or_default();
        recipe.seed = self.seed;
        Ok(recipe)
    }

    /// Whether a network is among the candidates.
    #[must_use]
    pub fn trains_networks(&self) -> bool {
        let candidates = self.candidates.iter().flatten();
        candidates
            .into_iter()
            .any(|one| NetworkSpec::is_meant(one.as_str()))
    }

    /// Has networks trained on all of these symbols, where nothing else is said and there are any: the same ones for
    /// each symbol's job, so that they are trained once. Of more than 256 symbols it is so many of them, evenly spread.
    #[must_use]
    pub fn trained_on(mut self, symbols: &[Symbol]) -> Self {
        if self.together.is_none() && self.trains_networks() {
            let mut all = symbols.to_vec();
            all.sort_unstable();
            all.dedup();
            let count = all.len().min(MOST_TOGETHER);
            let spread = (0..count).map(|n| all[n * all.len() / count].clone());
            self.together = Some(spread.collect());
        }
        self
    }
}

/// Symbols that a network is trained on at most.
const MOST_TOGETHER: usize = 256;

/// The name in the registry of what is trained on a series, where no other is given: the champion of this name is
/// served where nobody names a model.
#[must_use]
pub fn series_name(symbol: &Symbol, interval: Interval) -> String {
    format!("close-{interval}.{symbol}")
}

/// Characters that a model's name may have beside letters and digits: those of symbols, and few others.
const IN_NAMES: &str = "._-=^/:()+,~";

impl Payload for TrainPayload {
    const KIND: JobKind = JobKind::Train;

    fn check(&self) -> Result<(), PayloadError> {
        let allowed = |c: char| c.is_ascii_alphanumeric() || IN_NAMES.contains(c);
        if let Some(model) = &self.model
            && !(1..=64).contains(&model.len()) | !model.chars().all(allowed)
        {
            let reason = format!(
                "expected 1 to 64 letters, digits and {IN_NAMES}, got {:?}",
                market::excerpt(model)
            );
            return Err(PayloadError::new("model", reason));
        }
        if let Some(together) = &self.together {
            super::within("together", together.len(), 1, MOST_TOGETHER)?;
        }
        let recipe = self.recipe(TradingDays::Always)?;
        for one in &recipe.candidates {
            if NetworkSpec::is_meant(one.as_str()) {
                let network = one.as_str().parse::<NetworkSpec>();
                let checked = network.and_then(|network| {
                    network.config(recipe.calibration.horizon, recipe.options.log)
                });
                checked.map_err(|e| PayloadError::new("candidates", format!("{one}: {e}")))?;
            }
        }
        recipe.check(&Calendars::builtin()).map_err(|e| match e {
            TrainingError::Recipe { field, reason } => {
                // The payload has them without their groups.
                let field = field.rsplit('.').next().unwrap_or(field);
                PayloadError::new(field, reason)
            }
            other => PayloadError::new("payload", other.to_string()),
        })
    }
}

/// A training job for each of the symbols, like `payload` but for its symbol. Networks are trained on all of them
/// ([`TrainPayload::trained_on`]). With a key each has its own: the key, a colon and the symbol.
///
/// # Errors
/// A field that cannot be; no symbol.
pub fn train_jobs(
    payload: &TrainPayload,
    symbols: &[Symbol],
    key: Option<&str>,
    now: Timestamp,
    submitted_by: &str,
) -> Result<Vec<NewJob>, PayloadError> {
    super::within("symbols", symbols.len(), 1, 10_000)?;
    let payload = payload.clone().trained_on(symbols);
    let one = |symbol: &Symbol| {
        let payload = TrainPayload {
            symbol: symbol.clone(),
            ..payload.clone()
        };
        let mut job = payload.job(now, submitted_by)?;
        job.key = key.map(|key| format!("{key}:{symbol}"));
        Ok(job)
    };
    symbols.iter().map(one).collect()
}
