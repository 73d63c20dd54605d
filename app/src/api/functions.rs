//! The server functions: extract, call, map.
//!
//! Model: arguments travel as JSON, since the page needs JSON for its WebSockets anyway and a second
//! encoding would weigh on the first download.

use leptos::{
    prelude::*,
    server_fn::codec::{Json, StreamingText, TextStream},
};
use market::{Fan, Interval, Symbol, Timestamp};
use protocol::Replayed;

use super::{
    ApiError, ImportReport, SystemStatus, Watchlist,
    chart_page::{ChartData, Record},
    written::Written,
};
#[cfg(feature = "ssr")]
use super::{backtest_serve, serve, watchlist};
use crate::query::ChartQuery;
#[cfg(feature = "ssr")]
use crate::ssr::{acts, written};

/// How the server stands, and a page of the symbols that there are prices of: those that hold `find`, from
/// where the page before ended (`after`), with the one that is shown (`current`); any of them may be
/// empty. Where it comes with a page, its address says which part.
///
/// # Errors
/// What the store says.
#[server(input = Json, endpoint = "overview")]
pub async fn overview(
    find: String,
    after: String,
    current: String,
) -> Result<(SystemStatus, Watchlist), ApiError> {
    let backend = serve::backend()?;
    let list = watchlist::ListQuery::new(find, after, &current);
    serve::answer(watchlist::overview(&*backend, list).await)
}

/// Everything that a chart page shows.
///
/// # Errors
/// Not found when there are no prices of the symbol.
#[server(input = Json, endpoint = "chart")]
pub async fn chart(query: ChartQuery) -> Result<ChartData, ApiError> {
    let backend = serve::backend()?;
    serve::answer(serve::chart_data(&*backend, query).await)
}

/// What past forecasts of the query's model were worth at its last step, and the markup of its fit where
/// there is one.
///
/// # Errors
/// What the ledger says.
#[server(input = Json, endpoint = "record")]
pub async fn record_at(
    query: ChartQuery,
    interval: Interval,
) -> Result<(Record, Option<String>), ApiError> {
    let backend = serve::backend()?;
    serve::answer(serve::record_and_fit(&*backend, &query, interval).await)
}

/// A forecast made now, and the markup of its fit.
///
/// # Errors
/// Invalid when the model cannot be fitted to what there is.
#[server(input = Json, endpoint = "forecast")]
pub async fn forecast_now(
    symbol: Symbol,
    interval: Interval,
    model: String,
    horizon: u32,
) -> Result<(Fan, String), ApiError> {
    let backend = serve::backend()?;
    serve::answer(serve::fan_now(&*backend, &symbol, interval, &model, horizon).await)
}

/// Every stored bar before `until`, newest page first: one JSON document of
/// [`super::bars::Bars`] a line.
///
/// # Errors
/// What the store says.
#[server(input = Json, output = StreamingText, endpoint = "backfill")]
pub async fn backfill(
    symbol: Symbol,
    interval: Interval,
    until: Timestamp,
) -> Result<TextStream<ApiError>, ApiError> {
    let pages = serve::backend()?.backfill(symbol, interval, until);
    Ok(TextStream::new(serve::json_lines(pages)))
}

/// Imports the bundled sample data, and shows it. A plain form posts to it, so that it works
/// without wasm.
///
/// # Errors
/// What the import says.
#[server(endpoint = "load_sample_data")]
pub async fn load_sample_data() -> Result<ImportReport, ApiError> {
    let report = serve::answer(serve::backend()?.import_sample().await)?;
    serve::show(report.symbols.first());
    Ok(report)
}

/// The markup of the backtest page's form, of what its choices need and, where `search` says that there
/// are no scripts, of the result.
///
/// # Errors
/// What the store says.
#[server(input = Json, endpoint = "backtest_page")]
pub async fn backtest_page(search: String) -> Result<(String, String, String), ApiError> {
    let backend = serve::backend()?;
    serve::answer(backtest_serve::page(&*backend, &search).await)
}

/// Runs the backtest that `search` asks for: a [`super::backtest_line::Line`] after the other. A
/// stream that is dropped stops it.
///
/// # Errors
/// Invalid, with the field; unavailable when enough are running.
#[server(input = Json, output = StreamingText, endpoint = "backtest")]
pub async fn backtest(search: String) -> Result<TextStream<ApiError>, ApiError> {
    let backend = serve::backend()?;
    let lines = serve::answer(backtest_serve::lines(&*backend, &search).await)?;
    Ok(TextStream::new(lines))
}

/// Stops a backtest; its stream says so. False when it is over.
///
/// # Errors
/// None of its own.
#[server(input = Json, endpoint = "stop_backtest")]
pub async fn stop_backtest(id: u64) -> Result<bool, ApiError> {
    Ok(serve::backend()?.stop_backtest(id))
}

/// A page that the server writes, by its address; times are shown on the clocks of `zone` too, where one is named.
///
/// # Errors
/// Not found: what the address names. Else what the store says.
#[server(input = Json, endpoint = "page")]
pub async fn page(path: String, search: String, zone: String) -> Result<Written, ApiError> {
    serve::answer(written::page(&path, &search, &zone).await)
}

/// Lets the alias `champion` of a model point at a version, at none where `version` is empty, if it points at
/// `expected`; and shows what came of it, as do the following. Plain forms post to them, so that they work without wasm.
///
/// # Errors
/// None of its own: the page says what is wrong.
#[server(endpoint = "move_champion")]
pub async fn move_champion(
    name: String,
    version: String,
    expected: String,
    why: String,
) -> Result<(), ApiError> {
    acts::move_champion(&name, &version, &expected, &why).await
}

/// Puts a version of a model away; takes it back where `back` is given.
///
/// # Errors
/// None of its own.
#[server(endpoint = "archive_version")]
pub async fn archive_version(
    name: String,
    version: String,
    back: Option<String>,
    why: String,
) -> Result<(), ApiError> {
    acts::archive(&name, &version, back.is_some(), &why).await
}

/// Submits a training of each of the symbols, apart by commas or spaces.
///
/// # Errors
/// None of its own.
#[server(endpoint = "train_now")]
pub async fn train_now(symbols: String, interval: String) -> Result<(), ApiError> {
    acts::train(&symbols, &interval).await
}

/// Asks for the end of a job.
///
/// # Errors
/// None of its own.
#[server(endpoint = "cancel_job")]
pub async fn cancel_job(id: i64) -> Result<(), ApiError> {
    acts::cancel(id).await
}

/// Decodes open dead letters again, of the reason named or, without one, all of them, and shows what
/// came of it. A plain form posts to it, so that it works without wasm.
///
/// # Errors
/// Invalid: no such reason. Else what the store says.
#[server(endpoint = "replay_dead_letters")]
pub async fn replay_dead_letters(reason: Option<String>) -> Result<Replayed, ApiError> {
    let done = serve::replay(&*serve::backend()?, reason.as_deref()).await;
    serve::show_replay(&done, reason.as_deref());
    serve::answer(done)
}
