//! What the server functions ask of the server: one trait, implemented in `server`, given to them
//! through the Leptos context as `Arc<dyn Backend>`.
//!
//! What it does not do: know HTTP or the pages.

use async_trait::async_trait;
use forecast::FitReport;
use futures::stream::BoxStream;
use market::{Bar, Fan, Interval, RejectReason, Symbol, Timestamp};
use protocol::{PredictRequest, Prediction, Replayed};

use super::{
    ApiError, ChampionSummary, ImportReport, InstrumentSummary, ModelScore, ScoredFan,
    SystemStatus,
    backtest::{BacktestAsk, BacktestRun},
    pipeline::{DeadLetterLine, PipelineStatus},
};

/// The server, as the pages see it.
#[async_trait]
pub trait Backend: Send + Sync + 'static {
    /// Where the prices come from and how the server stands.
    async fn status(&self) -> Result<SystemStatus, ApiError>;

    /// A page of the symbols that there are prices of, those that begin with `find` first, and where
    /// the next one begins. `after` is what came with the page before, or empty; one that cannot be
    /// read begins at the first.
    async fn symbols(
        &self,
        find: &str,
        after: &str,
        limit: usize,
    ) -> Result<(Vec<InstrumentSummary>, Option<String>), ApiError>;

    /// One symbol, where there are prices of it.
    async fn instrument(&self, symbol: Symbol) -> Result<Option<InstrumentSummary>, ApiError>;

    /// Those of the symbols that there are prices of, in the order asked for.
    async fn instruments(&self, symbols: Vec<Symbol>) -> Result<Vec<InstrumentSummary>, ApiError>;

    /// Up to `limit` (at most 5,000) latest bars of each series, oldest first, in the order asked for.
    async fn latest_bars(
        &self,
        series: Vec<(Symbol, Interval)>,
        limit: usize,
    ) -> Result<Vec<Vec<Bar>>, ApiError>;

    /// Up to `limit` (at most 5,000) latest bars that start before `until`, oldest first.
    async fn bars(
        &self,
        symbol: Symbol,
        interval: Interval,
        until: Option<Timestamp>,
        limit: usize,
    ) -> Result<Vec<Bar>, ApiError>;

    /// Every stored bar of the range, newest page first, each page oldest first: a long back-fill.
    fn backfill(
        &self,
        symbol: Symbol,
        interval: Interval,
        until: Timestamp,
    ) -> BoxStream<'static, Result<Vec<Bar>, ApiError>>;

    /// The champion of a series, where it has one.
    async fn champion(
        &self,
        symbol: Symbol,
        interval: Interval,
    ) -> Result<Option<ChampionSummary>, ApiError>;

    /// The latest live fan of each model.
    async fn latest_fans(&self, symbol: Symbol, interval: Interval) -> Result<Vec<Fan>, ApiError>;

    /// Past fans of a model with what happened, oldest origin first, the latest `limit`. `champion` stands for those of
    /// each version while it was champion.
    async fn past_fans(
        &self,
        symbol: Symbol,
        interval: Interval,
        model: String,
        limit: usize,
    ) -> Result<Vec<ScoredFan>, ApiError>;

    /// The live record of every model on a symbol and interval. The versions that have been champion are one, `champion`;
    /// the others of the registry `challenger`.
    async fn scoreboard(
        &self,
        symbol: Symbol,
        interval: Interval,
    ) -> Result<Vec<ModelScore>, ApiError>;

    /// A forecast made now, and what its fit found.
    async fn fit(&self, request: PredictRequest) -> Result<(Prediction, FitReport), ApiError>;

    /// How many closes of a symbol and interval a backtest would see; 0 where there is none.
    async fn closes(&self, symbol: Symbol, interval: Interval) -> Result<usize, ApiError>;

    /// Begins a backtest; its events drive it, and dropping them stops it.
    async fn backtest(&self, ask: BacktestAsk) -> Result<BacktestRun, ApiError>;

    /// Stops a backtest by its number. False when there is none.
    fn stop_backtest(&self, id: u64) -> bool;

    /// How the pipeline stands.
    async fn pipeline_status(&self) -> Result<PipelineStatus, ApiError>;

    /// Open dead letters with a number above `after`, by number, at most `limit` (at most 1,000).
    async fn dead_letters(
        &self,
        reason: Option<RejectReason>,
        after: i64,
        limit: usize,
    ) -> Result<Vec<DeadLetterLine>, ApiError>;

    /// Decodes open dead letters again, of one reason if given, with the rules of now.
    async fn replay_dead_letters(&self, reason: Option<RejectReason>)
    -> Result<Replayed, ApiError>;

    /// Imports the bundled sample data; harmless when done twice.
    async fn import_sample(&self) -> Result<ImportReport, ApiError>;
}
