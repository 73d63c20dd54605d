//! What a backtest is asked for, and what it tells.

use forecast::backtest::Report;
use market::{Interval, Symbol, Timestamp};

/// What to test.
#[derive(Clone, Debug, PartialEq)]
pub struct BacktestRequest {
    /// The symbols, each tested by itself.
    pub symbols: Vec<Symbol>,
    /// The bars' length.
    pub interval: Interval,
    /// The models' names; the baselines always run beside.
    pub models: Vec<String>,
    /// Steps forecast from each origin.
    pub horizon: usize,
    /// Number of origins.
    pub origins: usize,
    /// Steps between origins; the horizon when absent, so that no outcome counts twice.
    pub step: Option<usize>,
    /// How many closes a model sees at most; all up to the origin when absent.
    pub window: Option<usize>,
    /// Whether logarithms are fitted.
    pub log: bool,
}

/// What was found of one symbol.
#[derive(Clone, Debug, PartialEq)]
pub struct Backtested {
    /// The symbol.
    pub symbol: Symbol,
    /// The start of the last bar that was known at each origin, oldest first.
    pub origins: Vec<Timestamp>,
    /// The report; or why there is none, in words.
    pub outcome: std::result::Result<Report, String>,
}

/// What a run has to tell.
#[derive(Clone, Debug, PartialEq)]
pub enum BacktestEvent {
    /// How far it is.
    Progress {
        /// Fits done.
        done: usize,
        /// Fits in all.
        all: usize,
        /// The symbol being tested.
        symbol: Symbol,
    },
    /// It is done: a result for each symbol, in the order asked.
    Finished(Vec<Backtested>),
    /// It was stopped before its end.
    Stopped,
}
