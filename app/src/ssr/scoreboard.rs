//! What the Scoreboard page shows, gathered from the ledger.

use futures::future::try_join_all;
use market::{Interval, Symbol};

use super::{desk::Desk, drift::drift, search::Search};
use crate::{
    api::{ApiError, ModelScore, backend::Backend, written::Written},
    fragments::scoreboard::{Listed, SeriesScores, list, series},
    query::{CHAMPION, FIRST_MODEL},
};

/// Symbols on a page of the list.
const LISTED: usize = 50;
/// Forecasts of a model that are drawn: the latest.
const FORECASTS: usize = 1_000;
/// Bars that are drawn.
const BARS: usize = 120;

/// The list; with a symbol in the address that series.
pub async fn page(
    backend: &dyn Backend,
    desk: &dyn Desk,
    search: &Search,
) -> Result<Written, ApiError> {
    let interval: Option<Interval> = search.parse("interval");
    match search.get("symbol") {
        Some(symbol) => {
            let symbol: Symbol = symbol.parse().map_err(|_| no_prices(symbol))?;
            one(backend, desk, (symbol, interval), search.get("model")).await
        }
        None => all(backend, desk, interval, search).await,
    }
}

fn no_prices(symbol: &str) -> ApiError {
    let symbol = market::excerpt(symbol);
    ApiError::not_found(format!("there are no prices of {symbol}")).field("symbol")
}

/// The intervals whose forecasts are made live, and the one that is shown, which somebody may have looked at.
fn choices(mut live: Vec<Interval>, shown: Interval) -> Vec<Interval> {
    if !live.contains(&shown) {
        live.insert(0, shown);
    }
    live
}

async fn all(
    backend: &dyn Backend,
    desk: &dyn Desk,
    interval: Option<Interval>,
    search: &Search,
) -> Result<Written, ApiError> {
    let status = backend.status().await?;
    let usual = status.live_intervals.first().copied();
    let interval = interval.or(usual).unwrap_or(desk.facts().interval);
    let find = search.get("find").unwrap_or_default();
    let after = search.get("after").unwrap_or_default();
    let (rows, next) = backend.symbols(find, after, LISTED).await?;
    let rows = rows.into_iter().map(|row| async move {
        let scores = backend.scoreboard(row.symbol.clone(), interval).await?;
        Ok::<_, ApiError>(Listed {
            symbol: row.symbol,
            scores,
        })
    });
    let rows = try_join_all(rows).await?;
    Ok(Written {
        title: "Scoreboard".to_owned(),
        parts: list(
            &rows,
            (interval, &choices(status.live_intervals, interval)),
            (find, after),
            next.as_deref(),
            &drift(desk).await?,
        ),
    })
}

async fn one(
    backend: &dyn Backend,
    desk: &dyn Desk,
    (symbol, interval): (Symbol, Option<Interval>),
    model: Option<&str>,
) -> Result<Written, ApiError> {
    let (found, status) = futures::try_join!(backend.instrument(symbol.clone()), backend.status())?;
    let instrument = found.ok_or_else(|| no_prices(symbol.as_str()))?;
    let usual = status.live_intervals.first().copied();
    let interval = interval
        .or(usual)
        .or(instrument.intervals.first().copied())
        .unwrap_or(Interval::D1);
    let scores = backend.scoreboard(symbol.clone(), interval).await?;
    let model = model.map_or_else(|| usual_model(&scores), ToOwned::to_owned);
    let (past, bars) = futures::try_join!(
        backend.past_fans(symbol.clone(), interval, model.clone(), FORECASTS),
        backend.latest_bars(vec![(symbol.clone(), interval)], BARS)
    )?;
    let shown = SeriesScores {
        intervals: choices(status.live_intervals, interval),
        bars: bars.into_iter().next().unwrap_or_default(),
        // Of a source whose prices are all made up the head of the page says it.
        simulated: instrument.simulated && !status.simulated,
        drift: drift(desk).await?,
        symbol,
        interval,
        model,
        scores,
        past,
    };
    Ok(Written {
        title: format!("{} · Scoreboard", shown.symbol),
        parts: series(&shown),
    })
}

/// The champion where it is judged live, else the first model that every page shows, else any.
fn usual_model(scores: &[ModelScore]) -> String {
    let mut names = scores
        .iter()
        .filter(|s| s.count > 0)
        .map(|s| s.model.as_str());
    let champion = names.clone().find(|name| *name == CHAMPION);
    let usual = names.clone().find(|name| *name == FIRST_MODEL);
    let any = names.find(|name| *name != "naive");
    champion.or(usual).or(any).unwrap_or(FIRST_MODEL).to_owned()
}
