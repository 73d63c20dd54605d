//! A backtest as the pages ask for it and the server answers it.

use futures::stream::BoxStream;
use market::{Interval, Symbol, Timestamp};

use super::ApiError;

/// What to test; the server checks it.
#[derive(Clone, Debug, PartialEq)]
pub struct BacktestAsk {
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
    /// Steps between origins; the horizon when absent.
    pub step: Option<usize>,
    /// How many closes a model sees at most; all up to the origin when absent.
    pub window: Option<usize>,
    /// Whether logarithms are fitted.
    pub log: bool,
}

/// A backtest that runs as long as its events are held.
pub struct BacktestRun {
    /// Its number.
    pub id: u64,
    /// What it has to tell, until it has ended.
    pub events: BoxStream<'static, Result<BacktestUpdate, ApiError>>,
}

/// What a backtest has to tell.
#[derive(Clone, Debug, PartialEq)]
pub enum BacktestUpdate {
    /// How far it is.
    Progress {
        /// Fits done.
        done: usize,
        /// Fits in all.
        all: usize,
        /// The symbol being tested.
        symbol: Symbol,
    },
    /// It is done.
    Finished(Vec<SymbolResult>),
    /// It was stopped before its end.
    Stopped,
}

/// What was found of one symbol.
#[derive(Clone, Debug, PartialEq)]
pub struct SymbolResult {
    /// The symbol.
    pub symbol: Symbol,
    /// The start of the last bar that was known at each origin, oldest first.
    pub origins: Vec<Timestamp>,
    /// The report; or why there is none, in words.
    pub outcome: Result<forecast::backtest::Report, String>,
}
