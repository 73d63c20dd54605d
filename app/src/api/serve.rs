//! What the server functions do on the server, over the [`Backend`] that it gives them.
//!
//! What it does not do: forecasting or storage; that is behind the backend.

use std::sync::Arc;

use futures::{Stream, StreamExt, stream::BoxStream};
use http::StatusCode;
use leptos::prelude::use_context;
use leptos_axum::ResponseOptions;
use market::{Bar, ErrorKind, Fan, Interval, RejectReason, Symbol, Timestamp};
use protocol::{PredictRequest, Replayed};

use super::{
    ApiError, ChampionSummary, InstrumentSummary, ModelScore, ScoredFan, SystemStatus,
    backend::Backend,
    bars::Bars,
    board::{self, BoardQuery, reason_named},
    chart_page::{ChartData, PastPoint, Record, first_steps},
    markup,
    pipeline::LETTERS_SHOWN,
    watchlist,
    written::Written,
};
use crate::{
    query::{BARS_WITH_PAGE, CHAMPION, ChartQuery, FIRST_MODEL, called, is_of, symbol_url},
    ssr::{models, written},
};

/// The most past forecasts that a page draws.
const PAST_FANS: usize = 240;

/// The backend in the context.
pub fn backend() -> Result<Arc<dyn Backend>, ApiError> {
    let none = "the server gave its pages no backend";
    use_context().ok_or_else(|| ApiError::new(ErrorKind::Internal, none.to_owned()))
}

/// Passes the result on, and its kind of error to the HTTP status of the page or of the call.
pub fn answer<T>(result: Result<T, ApiError>) -> Result<T, ApiError> {
    if let (Err(error), Some(response)) = (&result, use_context::<ResponseOptions>()) {
        response.set_status(match error.kind {
            ErrorKind::NotFound => StatusCode::NOT_FOUND,
            ErrorKind::Conflict => StatusCode::CONFLICT,
            ErrorKind::Invalid => StatusCode::UNPROCESSABLE_ENTITY,
            ErrorKind::Timeout => StatusCode::GATEWAY_TIMEOUT,
            ErrorKind::Unavailable => StatusCode::SERVICE_UNAVAILABLE,
            ErrorKind::Internal => StatusCode::INTERNAL_SERVER_ERROR,
        });
    }
    result
}

/// The address that the page is asked at, as far as the request tells: a proxy that speaks TLS says
/// so in a header.
pub fn own_address() -> String {
    let parts = use_context::<http::request::Parts>();
    let header = |name: &str| {
        let value = parts.as_ref()?.headers.get(name)?.to_str().ok()?;
        Some(value.to_owned())
    };
    // HTTP/2 has it in the request's target.
    let target = parts.as_ref().and_then(|p| p.uri.authority());
    let host = target.map(ToString::to_string).or_else(|| header("host"));
    let host = host.unwrap_or_else(|| "127.0.0.1:3000".to_owned());
    let scheme = match header("x-forwarded-proto").as_deref() {
        Some("https") => "https",
        _ => "http",
    };
    format!("{scheme}://{host}")
}

/// Makes the page one that was not found.
pub fn set_not_found() {
    if let Some(response) = use_context::<ResponseOptions>() {
        response.set_status(StatusCode::NOT_FOUND);
    }
}

/// Sends the browser on to a symbol's daily bars.
pub fn show(symbol: Option<&Symbol>) {
    let path = symbol.map_or_else(|| "/".to_owned(), |s| symbol_url(s) + "?interval=1d");
    leptos_axum::redirect(&path);
}

/// Gathers a chart page.
pub async fn chart_data(backend: &dyn Backend, query: ChartQuery) -> Result<ChartData, ApiError> {
    let asked = query.clone();
    let found = backend.instrument(query.symbol.clone());
    let (status, instrument) = futures::try_join!(backend.status(), found)?;
    let instrument = instrument.ok_or_else(|| {
        ApiError::not_found(format!("there are no prices of {}", query.symbol)).field("symbol")
    })?;
    let limit = query.bars.min(BARS_WITH_PAGE);
    let (interval, bars) = bars(backend, &query, &instrument, limit).await?;
    let champion = backend.champion(query.symbol.clone(), interval).await?;
    let (model, champion_note) = choose(&query.model, &status, champion.as_ref());
    let has_champion = champion.is_some_and(|champion| !champion.expired);
    let query = ChartQuery { model, ..query };
    let fan_live = is_live(&status, &instrument, interval, &query.model);
    let made = fan_now(
        backend,
        &query.symbol,
        interval,
        &query.model,
        query.horizon,
    );
    let (live_fan, made) = futures::join!(live_fan(backend, &query, interval, fan_live), made);
    let (record, champions) = futures::join!(
        record(backend, &query, interval, !instrument.bars_only),
        champions(&query.symbol, interval)
    );
    let record = record?;
    let (made, fit, problem) = match made {
        Ok((fan, fit)) => (Some(fan), fit, None),
        Err(error) => (
            None,
            markup::problem("There is no fit", &error.detail),
            Some(error.detail),
        ),
    };
    let fan = live_fan?.or(made);
    let fan_problem = problem.filter(|_| fan.is_none());
    Ok(ChartData {
        interval,
        intervals: if instrument.bars_only {
            instrument.intervals
        } else {
            Interval::ALL.to_vec()
        },
        live: !instrument.bars_only,
        ended: instrument.ended,
        simulated: instrument.simulated,
        previous_close: instrument.previous_close,
        bars: Bars::from(bars),
        closed: None,
        fan,
        fan_live,
        fan_problem,
        fit,
        record,
        champions,
        model: query.model,
        has_champion,
        champion_note,
        query: asked,
    })
}

/// Who was champion of a series when; nobody where that cannot be read, as the chart has its worth without it.
async fn champions(symbol: &Symbol, interval: Interval) -> Vec<(Timestamp, String)> {
    match written::desk() {
        Ok(desk) => models::champions(&*desk, symbol, interval).await,
        Err(_) => Ok(Vec::new()),
    }
    .unwrap_or_default()
}

/// Whether a series has had a champion; no where that cannot be read, for the same reason.
async fn had_champion(symbol: &Symbol, interval: Interval) -> bool {
    match written::desk() {
        Ok(desk) => models::had_champion(&*desk, symbol, interval).await,
        Err(_) => Ok(false),
    }
    .unwrap_or_default()
}

/// The model of a chart: what is named; else the one that is pinned, the champion, or the first one. And what is to be
/// said where a champion is not served.
fn choose(
    named: &str,
    status: &SystemStatus,
    champion: Option<&ChampionSummary>,
) -> (String, String) {
    let served = champion.filter(|champion| !champion.expired);
    let note = match champion {
        Some(champion) if champion.expired => format!(
            "{} was trained on bars up to {} and has expired: it is not served.",
            called(&champion.model),
            champion.trained_to
        ),
        _ => String::new(),
    };
    let model = match (named, &status.default_model, served) {
        ("", Some(pinned), _) => pinned,
        ("" | CHAMPION, _, Some(_)) => CHAMPION,
        ("" | CHAMPION, ..) => FIRST_MODEL,
        (named, ..) => named,
    };
    (model.to_owned(), note)
}

/// The bars of the interval asked for; without one, see [`watchlist::first_interval`].
async fn bars(
    backend: &dyn Backend,
    query: &ChartQuery,
    instrument: &InstrumentSummary,
    limit: usize,
) -> Result<(Interval, Vec<Bar>), ApiError> {
    if let Some(interval) = query.interval {
        let bars = backend.bars(query.symbol.clone(), interval, None, limit);
        return Ok((interval, bars.await?));
    }
    let (interval, bars) = watchlist::first_interval(backend, instrument, limit).await?;
    Ok((interval, bars))
}

fn is_live(
    status: &SystemStatus,
    instrument: &InstrumentSummary,
    interval: Interval,
    model: &str,
) -> bool {
    !instrument.bars_only
        && status.live_intervals.contains(&interval)
        && (model == CHAMPION || status.live_models.iter().any(|m| m == model))
}

/// The live fan where there is one that reaches as far as asked.
async fn live_fan(
    backend: &dyn Backend,
    query: &ChartQuery,
    interval: Interval,
    live: bool,
) -> Result<Option<Fan>, ApiError> {
    if !live {
        return Ok(None);
    }
    let fans = backend.latest_fans(query.symbol.clone(), interval).await?;
    let long_enough =
        |f: &Fan| is_of(&f.model, &query.model) && f.mean.len() >= query.horizon as usize;
    let fan = fans.into_iter().find(long_enough);
    Ok(fan.map(|fan| first_steps(fan, query.horizon)))
}

/// A fan made now from the stored bars, and the markup of its fit.
pub async fn fan_now(
    backend: &dyn Backend,
    symbol: &Symbol,
    interval: Interval,
    model: &str,
    horizon: u32,
) -> Result<(Fan, String), ApiError> {
    let request = PredictRequest {
        id: None,
        symbol: Some(symbol.clone()),
        interval: Some(interval),
        series: None,
        // What is served of the series where none is named.
        model: (model != CHAMPION).then(|| model.to_owned()),
        horizon,
        levels: None,
        season: None,
    };
    let (prediction, fit) = backend.fit(request).await?;
    let first = prediction.targets.first().copied();
    let seen = backend.bars(symbol.clone(), interval, first, 1).await?;
    let none = || ApiError::not_found(format!("there are no closed bars of {symbol} yet"));
    let origin = seen.last().ok_or_else(|| none().field("symbol"))?;
    let panel = markup::fit::panel(symbol, interval, origin.start, &prediction, &fit);
    let fan = Fan {
        symbol: symbol.clone(),
        interval,
        model: prediction.model,
        origin: origin.start,
        origin_close: origin.close,
        made_at: origin.end(),
        targets: prediction.targets,
        mean: prediction.mean,
        bands: prediction.bands,
    };
    Ok((fan, panel))
}

/// The record of the query's model at its last step, and the markup of its fit of now; none where it
/// cannot be fitted at the moment.
pub async fn record_and_fit(
    backend: &dyn Backend,
    query: &ChartQuery,
    interval: Interval,
) -> Result<(Record, Option<String>), ApiError> {
    let ChartQuery {
        symbol,
        model,
        horizon,
        ..
    } = query;
    let fit = fan_now(backend, symbol, interval, model, *horizon);
    // Who asks for it again has a chart that is live.
    let (record, fit) = futures::join!(record(backend, query, interval, true), fit);
    Ok((record?, fit.ok().map(|(_, fit)| fit)))
}

/// The record of the query's model at its last step, beside every other model's there.
pub async fn record(
    backend: &dyn Backend,
    query: &ChartQuery,
    interval: Interval,
    live: bool,
) -> Result<Record, ApiError> {
    let (symbol, model) = (query.symbol.clone(), query.model.clone());
    let had_champion = async { Ok(had_champion(&query.symbol, interval).await) };
    let (fans, scores, champion) = futures::try_join!(
        backend.past_fans(symbol.clone(), interval, model, PAST_FANS),
        backend.scoreboard(symbol, interval),
        had_champion
    )?;
    let step = query.horizon;
    let scores = at_step(scores, step);
    // The links of the record stay at the interval that it is of.
    let query = ChartQuery {
        interval: Some(interval),
        ..query.clone()
    };
    Ok(Record {
        past: fans.iter().filter_map(|f| past_point(f, step)).collect(),
        promise: markup::record::promise(&scores, &query),
        board: markup::record::board(&scores, &query, live, champion),
    })
}

fn past_point(scored: &ScoredFan, step: u32) -> Option<PastPoint> {
    let at = (step as usize).checked_sub(1)?;
    let band = scored.fan.bands.first()?;
    Some(PastPoint {
        target: *scored.fan.targets.get(at)?,
        mean: *scored.fan.mean.get(at)?,
        lower: *band.lower.get(at)?,
        upper: *band.upper.get(at)?,
    })
}

/// The scores at `step`, or at the longest step before it that has outcomes, or the shortest.
fn at_step(scores: Vec<ModelScore>, step: u32) -> Vec<ModelScore> {
    let steps = || scores.iter().filter(|s| s.count > 0).map(|s| s.step);
    let Some(chosen) = steps()
        .filter(|s| *s <= step)
        .max()
        .or_else(|| steps().min())
    else {
        return Vec::new();
    };
    scores.into_iter().filter(|s| s.step == chosen).collect()
}

/// One JSON document a line; ends at the first error.
pub fn json_lines(
    pages: BoxStream<'static, Result<Vec<Bar>, ApiError>>,
) -> impl Stream<Item = Result<String, ApiError>> + Send {
    pages.map(|page| {
        let mut line = serde_json::to_string(&Bars::from(page?))
            .map_err(|e| ApiError::new(ErrorKind::Internal, e.to_string()))?;
        line.push('\n');
        Ok(line)
    })
}

/// Writes the Pipeline page's board. While the store is away it has no letters, and says why.
pub async fn pipeline_board(backend: &dyn Backend, search: &str) -> Result<Written, ApiError> {
    let query = BoardQuery::from_search(search);
    let status = backend.pipeline_status().await?;
    let letters = if status.missing.iter().any(|(what, _)| what == "store") {
        Vec::new()
    } else {
        let BoardQuery { reason, after, .. } = query;
        backend.dead_letters(reason, after, LETTERS_SHOWN).await?
    };
    Ok(board::board(status, letters, query))
}

/// Replays the dead letters of the reason named, or all of them.
pub async fn replay(backend: &dyn Backend, reason: Option<&str>) -> Result<Replayed, ApiError> {
    let reason: Option<RejectReason> = match reason.filter(|text| !text.is_empty()) {
        None => None,
        Some(text) => Some(reason_named(text).ok_or_else(|| {
            ApiError::invalid(format!("{text:?} is no reason of a dead letter")).field("reason")
        })?),
    };
    backend.replay_dead_letters(reason).await
}

/// Sends the browser on to the Pipeline page, which says what a replay did. The address carries
/// numbers and a kind of error only: words in it would be shown to whoever follows a forged link.
pub fn show_replay(done: &Result<Replayed, ApiError>, reason: Option<&str>) {
    let outcome = match done {
        Ok(done) => format!("replayed={}&still_bad={}", done.replayed, done.still_bad),
        Err(error) => format!("problem={}", error.kind.as_str()),
    };
    let reason = reason.and_then(reason_named);
    let reason = reason.map_or(String::new(), |r| format!("&reason={r}"));
    leptos_axum::redirect(&format!("/pipeline?{outcome}{reason}#letters-heading"));
}
