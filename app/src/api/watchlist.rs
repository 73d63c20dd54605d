//! The watchlist on the server: a page of it, the symbol that a page is about, and which symbol the
//! first page shows.
//!
//! Model: a list is as long as one can see, whatever the store holds; the rest is found by its name or
//! turned to. What comes with a page is asked for by the page's address (`?find=` and `?after=`), so
//! that it works without scripts; later on the browser asks by itself.
//!
//! The first page shows the first symbol of the list whose prices come and that has enough history for a
//! chart; without one, of those with enough history the one whose prices ended last; without one, the one
//! with the most bars.

use leptos::prelude::use_context;
use leptos_router::location::Url;
use market::{Bar, Interval, Symbol};

use super::{ApiError, InstrumentSummary, SystemStatus, Watchlist, backend::Backend};

/// Symbols on a page of the list.
pub const LISTED: usize = 50;

/// Bars that make a chart and a fit: fewer, and another interval or symbol is shown where one has more.
pub const ENOUGH_BARS: usize = 60;

/// Symbols whose bars are looked at in one call.
pub const LOOKED_AT_ONCE: usize = 8;

/// Which part of the list is wanted.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ListQuery {
    find: String,
    after: String,
    /// The symbol that the page shows: it is listed whatever the rest is.
    current: Option<Symbol>,
}

impl ListQuery {
    /// As the browser asks for it.
    pub fn new(find: String, after: String, current: &str) -> Self {
        let current = current.parse().ok();
        Self {
            find,
            after,
            current,
        }
    }
}

/// How the server stands, and the part of the list that the page's address or the browser asks for.
pub async fn overview(
    backend: &dyn Backend,
    list: ListQuery,
) -> Result<(SystemStatus, Watchlist), ApiError> {
    let list = asked_by_page().unwrap_or(list);
    let page = async {
        let (mut rows, next) = backend.symbols(&list.find, &list.after, LISTED).await?;
        let first = if list.find.is_empty() && list.after.is_empty() {
            rows.clone()
        } else {
            backend.symbols("", "", LISTED).await?.0
        };
        let home = home(backend, &first).await?;
        if let Some(current) = &list.current
            && !rows.iter().any(|row| row.symbol == *current)
            && let Some(shown) = backend.instrument(current.clone()).await?
        {
            rows.insert(0, shown);
        }
        Ok(Watchlist {
            rows,
            next: next.unwrap_or_default(),
            home: home.map(|symbol| symbol.to_string()).unwrap_or_default(),
            find: list.find.clone(),
            after: list.after.clone(),
        })
    };
    futures::try_join!(backend.status(), page)
}

/// What the address of the page that is being written asks for; `None` where it is no page but a call.
fn asked_by_page() -> Option<ListQuery> {
    let uri = use_context::<http::request::Parts>()?.uri;
    (!uri.path().starts_with("/api/")).then(|| of_address(uri.path(), uri.query().unwrap_or("")))
}

fn of_address(path: &str, query: &str) -> ListQuery {
    let mut list = ListQuery {
        current: path
            .strip_prefix("/s/")
            .and_then(|name| Url::unescape(name).parse().ok()),
        ..ListQuery::default()
    };
    for pair in query.split('&') {
        let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
        let value = || Url::unescape(&value.replace('+', "%20")).trim().to_owned();
        match key {
            "find" => list.find = value(),
            "after" => list.after = value(),
            _ => {}
        }
    }
    list
}

/// The symbol of the first page.
pub async fn home(
    backend: &dyn Backend,
    rows: &[InstrumentSummary],
) -> Result<Option<Symbol>, ApiError> {
    let mut best: Option<(bool, i64, &InstrumentSummary)> = None;
    // Almost always it is the first one: the others are looked at after it, some at a time.
    let (first, others) = rows.split_at(rows.len().min(1));
    for rows in std::iter::once(first).chain(others.chunks(LOOKED_AT_ONCE)) {
        let looks = first_intervals(backend, rows, ENOUGH_BARS).await?;
        for (row, FirstInterval { bars, enough, .. }) in rows.iter().zip(looks) {
            if enough && !row.bars_only && row.ended.is_none() {
                return Ok(Some(row.symbol.clone()));
            }
            let rank = if enough {
                row.last.as_micros()
            } else {
                bars.len() as i64
            };
            if best.is_none_or(|(other, most, _)| (enough, rank) > (other, most)) {
                best = Some((enough, rank, row));
            }
        }
    }
    Ok(best.map(|(.., row)| row.symbol.clone()))
}

/// The interval that a chart shows where none is asked for.
pub struct FirstInterval {
    /// The interval.
    pub interval: Interval,
    /// Its latest bars.
    pub bars: Vec<Bar>,
    /// Whether they are enough for a chart and a fit.
    pub enough: bool,
}

/// The interval that a chart of each symbol shows where none is asked for, with its latest bars, at most
/// `limit`: of a live symbol the shortest from minutes on, or else seconds, of history the longest, that has
/// enough bars which follow each other; without one, the interval with the most. As many calls to the
/// store as there are intervals at most.
pub async fn first_intervals(
    backend: &dyn Backend,
    instruments: &[InstrumentSummary],
    limit: usize,
) -> Result<Vec<FirstInterval>, ApiError> {
    use Interval::{D1, H1, M1, M5, M15, S1};
    let enough = limit.min(ENOUGH_BARS);
    let mut found: Vec<FirstInterval> = instruments
        .iter()
        .map(|instrument| FirstInterval {
            interval: if instrument.bars_only { D1 } else { S1 },
            bars: Vec::new(),
            enough: false,
        })
        .collect();
    for (of_live, of_history) in [M1, S1, M5, M15, H1, D1]
        .into_iter()
        .zip([D1, H1, M15, M5, M1, S1])
    {
        let mut places = Vec::new();
        let mut series = Vec::new();
        for (place, instrument) in instruments.iter().enumerate() {
            let next = if instrument.bars_only {
                of_history
            } else {
                of_live
            };
            if !found[place].enough && instrument.intervals.contains(&next) {
                places.push(place);
                series.push((instrument.symbol.clone(), next));
            }
        }
        if series.is_empty() {
            continue;
        }
        let bars = backend.latest_bars(series.clone(), limit).await?;
        for ((place, (_, interval)), bars) in places.into_iter().zip(series).zip(bars) {
            let of = &mut found[place];
            let enough = bars.len() >= enough && follow_each_other(&bars, interval);
            if enough || bars.len() > of.bars.len() {
                *of = FirstInterval {
                    interval,
                    bars,
                    enough,
                };
            }
        }
    }
    Ok(found)
}

/// The same of one symbol.
pub async fn first_interval(
    backend: &dyn Backend,
    instrument: &InstrumentSummary,
    limit: usize,
) -> Result<(Interval, Vec<Bar>), ApiError> {
    let found = first_intervals(backend, std::slice::from_ref(instrument), limit).await?;
    let none = || ApiError::not_found(format!("there are no bars of {}", instrument.symbol));
    let first = found.into_iter().next().ok_or_else(none)?;
    Ok((first.interval, first.bars))
}

/// Whether most bars are followed by the next one: a chart of minutes that lie hours apart shows nothing.
fn follow_each_other(bars: &[Bar], interval: Interval) -> bool {
    let starts: Vec<_> = bars.iter().map(|bar| bar.start).collect();
    Interval::of_times(&starts) == Some(interval)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_says_which_part_of_the_list_comes_with_its_page() {
        let list = of_address("/s/BTC%2FUSD", "interval=1m&find=+a%2Fb&after=10AAPL");
        assert_eq!(list.current.unwrap().as_str(), "BTC/USD");
        assert_eq!((list.find.as_str(), list.after.as_str()), ("a/b", "10AAPL"));
        let list = of_address("/backtest", "find_symbol=AAPL&symbol=IBM");
        assert_eq!(list, ListQuery::default());
        assert_eq!(of_address("/pipeline", ""), ListQuery::default());
    }

    #[test]
    fn minutes_that_lie_hours_apart_make_no_chart_of_minutes() {
        let bars = |apart_s: i64| -> Vec<Bar> {
            (0..9)
                .map(|n| {
                    let tick = market::Tick {
                        symbol: "A".parse().unwrap(),
                        ts: market::Timestamp::from_secs(n * apart_s),
                        seq: 1,
                        price: 1.0,
                        size: 1.0,
                    };
                    Bar::from_tick(&tick, Interval::M1)
                })
                .collect()
        };
        assert!(follow_each_other(&bars(60), Interval::M1));
        assert!(!follow_each_other(&bars(3_600), Interval::M1));
        assert!(!follow_each_other(&[], Interval::M1));
    }
}
