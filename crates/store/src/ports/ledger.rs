//! The forecast ledger: what was forecast before it could be known, and what came.

use async_trait::async_trait;
use market::{Fan, Interval, Symbol, Timestamp};
use serde::{Deserialize, Serialize};

use crate::Result;

/// Whether an entry went into the ledger.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Recorded {
    /// It is in, under this id.
    New(i64),
    /// One of the same (symbol, interval, origin, model) was there; it stays as it is.
    AlreadyThere(i64),
    /// Refused: `made_at` lies after the end of the first target bar, so that its outcome could be
    /// known.
    TooLate,
}

/// A forecast with steps that are not scored yet.
#[derive(Clone, Debug, PartialEq)]
pub struct OpenForecast {
    /// The ledger's id.
    pub id: i64,
    /// The forecast.
    pub fan: Fan,
    /// How many of its steps are scored; they are scored in order.
    pub scored_steps: u32,
}

/// The outcome of one step.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct StepOutcome {
    /// The forecast's id.
    pub forecast_id: i64,
    /// The step, from 1.
    pub step: u32,
    /// The close that came.
    pub actual: f64,
    /// The forecast of the naive model from the same origin: what it is measured against.
    pub naive: f64,
}

/// A ledger entry with what is known of its outcome.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct LedgerRow {
    /// The ledger's id.
    pub id: i64,
    /// The forecast.
    pub fan: Fan,
    /// The closes that came, by step from 1; shorter than the fan while steps are open.
    pub actuals: Vec<f64>,
}

/// Which ledger entries to read.
#[derive(Clone, Debug, PartialEq)]
pub struct LedgerQuery {
    /// The symbol.
    pub symbol: Symbol,
    /// The interval.
    pub interval: Interval,
    /// Only of this model.
    pub model: Option<String>,
    /// Origins at or after.
    pub from: Timestamp,
    /// Origins before.
    pub until: Timestamp,
    /// At most so many: the latest.
    pub limit: usize,
}

/// The live record of a model at one step: what became of its scored forecasts.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ScoreRow {
    /// The symbol.
    pub symbol: Symbol,
    /// The interval.
    pub interval: Interval,
    /// The model.
    pub model: String,
    /// The step, from 1.
    pub step: u32,
    /// How many outcomes are in.
    pub count: u64,
    /// Mean absolute error.
    pub mae: f64,
    /// Root mean squared error.
    pub rmse: f64,
    /// Mean absolute error of naive over the same outcomes.
    pub naive_mae: f64,
    /// Share of outcomes inside each level's interval: (level in percent, share 0 to 1).
    pub coverage: Vec<(f64, f64)>,
}

/// The forecast ledger: append-only.
#[async_trait]
pub trait ForecastLedger: Send + Sync {
    /// Writes forecasts; one answer each, in order.
    ///
    /// # Errors
    /// Unavailable or internal: then none or all are written. Invalid: a fan whose lengths disagree,
    /// without steps, with targets out of order or a number that is not finite; then none is written.
    async fn record(&self, fans: Vec<Fan>) -> Result<Vec<Recorded>>;

    /// Forecasts of a symbol and interval with an unscored step whose target bar ends at or before
    /// `now` (market time), oldest origin first, at most `limit`.
    ///
    /// # Errors
    /// Unavailable or internal.
    async fn due(
        &self,
        symbol: &Symbol,
        interval: Interval,
        now: Timestamp,
        limit: usize,
    ) -> Result<Vec<OpenForecast>>;

    /// Writes outcomes, in any order within the call; one that is there already is left as it is.
    /// Returns how many were new.
    ///
    /// # Errors
    /// Unavailable or internal: then none or all are written. NotFound: no such forecast. Invalid: a
    /// step that is not the forecast's next one, or a number that is not finite. Then none is
    /// written.
    async fn score(&self, outcomes: Vec<StepOutcome>) -> Result<usize>;

    /// Reads the entries of each query with their outcomes, oldest origin first; as many answers as there are
    /// queries, in their order.
    ///
    /// # Errors
    /// Unavailable or internal: then of none.
    async fn ledger_of(&self, queries: &[LedgerQuery]) -> Result<Vec<Vec<LedgerRow>>>;

    /// Reads the entries of one query with their outcomes, oldest origin first.
    ///
    /// # Errors
    /// Unavailable or internal.
    async fn ledger(&self, query: &LedgerQuery) -> Result<Vec<LedgerRow>> {
        let found = self.ledger_of(std::slice::from_ref(query)).await?;
        Ok(found.into_iter().next().unwrap_or_default())
    }

    /// The live record by model and step; all symbols' when `symbol` is `None`.
    ///
    /// # Errors
    /// Unavailable or internal.
    async fn scoreboard(
        &self,
        symbol: Option<&Symbol>,
        interval: Option<Interval>,
    ) -> Result<Vec<ScoreRow>>;
}
