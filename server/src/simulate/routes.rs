//! The exchange's routes.

use std::{
    sync::{Arc, PoisonError, atomic::Ordering},
    time::Duration,
};

use axum::{
    extract::{Query, Request, State, rejection::QueryRejection},
    http::{HeaderMap, HeaderValue, StatusCode, header},
    middleware::Next,
    response::{IntoResponse, Response},
};
use market::{Bar, Interval, Symbol, Timestamp};
use serde::Deserialize;
use serde_json::json;
use source::{
    decode::hash_text,
    sim::{Feed, LISTINGS, MAX_PAGE, PageQuery, Verdict},
};
use tokio::time::Instant;

use super::{Exchange, problem::Problem};

/// A request is held back at most so long.
const MAX_WAIT: Duration = Duration::from_secs(30);
/// A request that is held back looks for rows this often.
const LOOK_EVERY: Duration = Duration::from_millis(4);
/// Bars of one answer at most.
const MAX_BARS: usize = 5_000;
/// A bar is made of the prices of its seconds: an answer covers at most so many of them (60 days).
const MAX_BAR_SECONDS: i64 = 60 * 86_400;

type Answer = Result<Response, Problem>;

/// Fails, throttles and delays requests as told.
pub async fn misbehave(
    State(exchange): State<Arc<Exchange>>,
    request: Request,
    next: Next,
) -> Response {
    let n = exchange.requests.fetch_add(1, Ordering::Relaxed);
    let (wait, verdict) = exchange
        .options
        .faults
        .request(exchange.options.market.seed, n);
    if !wait.is_zero() {
        tokio::time::sleep(wait).await;
    }
    match verdict {
        Verdict::Answer => next.run(request).await,
        Verdict::Error => Problem::internal("told to fail this request").into_response(),
        Verdict::Throttle { retry_after_s } => (
            [(header::RETRY_AFTER, retry_after_s.to_string())],
            Problem::throttled(),
        )
            .into_response(),
    }
}

#[derive(Deserialize)]
pub struct TradesQuery {
    cursor: Option<String>,
    since: Option<String>,
    limit: Option<String>,
    symbols: Option<String>,
    wait_ms: Option<String>,
}

#[derive(Deserialize)]
pub struct BarsQuery {
    symbol: Option<String>,
    interval: Option<String>,
    from: Option<String>,
    until: Option<String>,
    limit: Option<String>,
}

fn query<T>(query: Result<Query<T>, QueryRejection>) -> Result<T, Problem> {
    query
        .map(|q| q.0)
        .map_err(|e| Problem::bad_parameter("query", e.body_text()))
}

fn parameter<T: std::str::FromStr>(
    field: &'static str,
    text: Option<&str>,
    expected: &str,
) -> Result<Option<T>, Problem> {
    text.filter(|t| !t.is_empty())
        .map(|t| {
            t.parse().map_err(|_| {
                Problem::bad_parameter(field, format!("{field} is {t:?}: expected {expected}"))
            })
        })
        .transpose()
}

const A_TIME: &str = "RFC 3339, a date, or a number since the epoch";

pub async fn trades(
    State(exchange): State<Arc<Exchange>>,
    params: Result<Query<TradesQuery>, QueryRejection>,
) -> Answer {
    let params = query(params)?;
    let limit = parameter("limit", params.limit.as_deref(), "a number from 1 up")?
        .unwrap_or(1_000usize)
        .clamp(1, MAX_PAGE);
    let wait: Option<u64> = parameter("wait_ms", params.wait_ms.as_deref(), "milliseconds")?;
    let since: Option<Timestamp> = parameter("since", params.since.as_deref(), A_TIME)?;
    let cursor: Option<u64> = parameter("cursor", params.cursor.as_deref(), "a cursor")?;
    let mut listings = 0xfffu16;
    if let Some(symbols) = params.symbols.as_deref().filter(|s| !s.is_empty()) {
        listings = 0;
        for name in symbols.split(',') {
            listings |= 1 << listing("symbols", name)?;
        }
    }
    let asked = PageQuery {
        cursor: cursor
            .unwrap_or_else(|| Feed::cursor_at(since.unwrap_or_else(|| exchange.clock.now()))),
        limit,
        listings,
    };
    let wait = Duration::from_millis(wait.unwrap_or(0)).min(MAX_WAIT);
    let deadline = Instant::now() + wait;
    let mut query = asked;
    loop {
        let (shared, wanted) = (exchange.clone(), query.clone());
        let (page, now) = tokio::task::spawn_blocking(move || {
            let now = shared.clock.now();
            let mut feed = shared.feed.lock().unwrap_or_else(PoisonError::into_inner);
            (feed.page(&wanted, now), now)
        })
        .await
        .map_err(|e| Problem::internal(e.to_string()))?;
        let over = Instant::now() >= deadline || exchange.closing.is_cancelled();
        if page.count > 0 || over {
            let mut body = Vec::with_capacity(page.rows.len() + 96);
            body.extend_from_slice(br#"{"trades":["#);
            body.extend_from_slice(&page.rows);
            let tail = format!(
                r#"],"next_cursor":"{}","now_us":{}}}"#,
                page.next,
                now.as_micros()
            );
            body.extend_from_slice(tail.as_bytes());
            return Ok(json_body(body));
        }
        // Rows of other symbols need not be looked at twice.
        query.cursor = page.next;
        tokio::select! {
            () = tokio::time::sleep(LOOK_EVERY) => {}
            () = exchange.closing.cancelled() => {}
        }
    }
}

pub async fn bars(
    State(exchange): State<Arc<Exchange>>,
    headers: HeaderMap,
    params: Result<Query<BarsQuery>, QueryRejection>,
) -> Answer {
    let params = query(params)?;
    let Some(symbol) = params.symbol.as_deref() else {
        return Err(Problem::bad_parameter("symbol", "symbol is missing"));
    };
    let listing = listing("symbol", symbol)?;
    let interval: Interval = parameter(
        "interval",
        params.interval.as_deref(),
        "one of 1s, 1m, 5m, 15m, 1h, 1d",
    )?
    .unwrap_or(Interval::M1);
    let now = exchange.clock.now();
    let from: Timestamp =
        parameter("from", params.from.as_deref(), A_TIME)?.unwrap_or(Timestamp::MIN);
    let until: Timestamp = parameter("until", params.until.as_deref(), A_TIME)?
        .unwrap_or(now)
        .min(now);
    let most = usize::try_from(MAX_BAR_SECONDS * 1_000_000 / interval.micros()).unwrap_or(1);
    let limit = parameter("limit", params.limit.as_deref(), "a number from 1 up")?
        .unwrap_or(1_000usize)
        .clamp(1, MAX_BARS.min(most));
    let bars = tokio::task::spawn_blocking(move || {
        let mut feed = exchange.feed.lock().unwrap_or_else(PoisonError::into_inner);
        feed.market().bars(listing, interval, from, until, limit)
    })
    .await
    .map_err(|e| Problem::internal(e.to_string()))?;
    let rows: Vec<_> = bars.iter().map(bar_row).collect();
    with_etag(&headers, &json!({ "bars": rows }))
}

fn bar_row(bar: &Bar) -> serde_json::Value {
    json!({
        "symbol": bar.symbol,
        "interval": bar.interval,
        "ts_us": bar.start,
        "open": bar.open,
        "high": bar.high,
        "low": bar.low,
        "close": bar.close,
        "volume": bar.volume,
    })
}

pub async fn symbols(headers: HeaderMap) -> Answer {
    let rows: Vec<_> = LISTINGS
        .iter()
        .map(|l| json!({ "symbol": l.symbol, "name": l.name }))
        .collect();
    with_etag(&headers, &json!({ "symbols": rows }))
}

pub async fn status(State(exchange): State<Arc<Exchange>>) -> Answer {
    let body = json!({
        "simulated": true,
        "now_us": exchange.clock.now(),
        "symbols": LISTINGS.len(),
        "requests": exchange.requests.load(Ordering::Relaxed),
        "market": exchange.options.market,
        "faults": exchange.options.faults,
    });
    Ok(json_body(body.to_string().into_bytes()))
}

fn listing(field: &'static str, name: &str) -> Result<usize, Problem> {
    let symbol: Symbol = name
        .parse()
        .map_err(|e: market::MarketError| Problem::bad_parameter(field, e.to_string()))?;
    LISTINGS
        .iter()
        .position(|l| l.symbol == symbol.as_str())
        .ok_or_else(|| Problem::absent(Some(field), format!("{symbol} is not listed here")))
}

fn json_body(body: Vec<u8>) -> Response {
    ([(header::CONTENT_TYPE, "application/json")], body).into_response()
}

/// Answers with an ETag, and with 304 to who has the same already.
fn with_etag(headers: &HeaderMap, body: &serde_json::Value) -> Answer {
    let body = body.to_string();
    let etag = format!("\"{:016x}\"", hash_text(&body));
    let known = headers
        .get_all(header::IF_NONE_MATCH)
        .iter()
        .filter_map(|v| v.to_str().ok())
        .flat_map(|v| v.split(','))
        .any(|v| matches!(v.trim().trim_start_matches("W/"), tag if tag == etag || tag == "*"));
    let mut response = if known {
        StatusCode::NOT_MODIFIED.into_response()
    } else {
        json_body(body.into_bytes())
    };
    if let Ok(value) = HeaderValue::from_str(&etag) {
        response.headers_mut().insert(header::ETAG, value);
    }
    Ok(response)
}
