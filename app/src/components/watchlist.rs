//! The side of every page: the watchlist, and the offer of sample data.

use std::time::Duration;

use leptos::{html, prelude::*, task::spawn_local};
use leptos_router::hooks::use_location;
use market::Interval;
use wasm_bindgen::JsCast;

use super::sample_card::SampleCard;
use crate::{
    Overview,
    api::{InstrumentSummary, functions},
    erase::{Erase, later, text, word},
    format,
    live::Live,
    query::{ChartQuery, symbol_url, use_chart_query},
};

/// What is left in sight of the symbol before the one shown.
const STRIP_MARGIN_PX: i32 = 48;

/// When the watchlist is first asked for anew, and how often from then on.
const ASK_FIRST_AFTER: Duration = Duration::from_secs(3);
const ASK_EVERY: Duration = Duration::from_secs(15);

/// The watchlist and what stands below it.
#[component]
pub fn Sidebar() -> impl IntoView {
    let overview: Overview = expect_context();
    view! {
        <aside class="side" aria-labelledby="watchlist-heading">
            <h2 id="watchlist-heading" tabindex="-1">"Watchlist"</h2>
            {later("Loading…", move || Box::pin(async move {
                match overview.await {
                    Ok((status, symbols)) => view! {
                        <Watchlist symbols/>
                        {status.sample_offered.then(|| view! { <SampleCard/> })}
                        <p class="source">
                            "Source: " {status.source} <br/> "Tickcast " {status.version}
                        </p>
                    }
                    .erased(),
                    Err(error) => {
                        view! { <p class="problem" role="alert">{error.detail}</p> }.erased()
                    }
                }
            }))}
        </aside>
    }
    .erased()
}

/// The symbols, in the order given. Asks for them anew now and then: an import brings more of them, a
/// close to measure the day's change against may come only with the history, and prices that come as
/// bars are in no tick.
#[component]
fn Watchlist(symbols: Vec<InstrumentSummary>) -> impl IntoView {
    let live: Live = expect_context();
    let known = RwSignal::new(symbols);
    Effect::new(move |_| {
        let live_ones = |s: &&InstrumentSummary| !s.bars_only;
        let watched = known.with(|k| {
            k.iter()
                .filter(live_ones)
                .map(|s| s.symbol.clone())
                .collect()
        });
        live.watched.set(watched);
    });
    Effect::new(move |_| {
        set_timeout(move || ask_anew(known, live), ASK_FIRST_AFTER);
        if let Ok(asking) = set_interval_with_handle(move || ask_anew(known, live), ASK_EVERY) {
            on_cleanup(move || asking.clear());
        }
    });
    let query = use_chart_query();
    // The interval stays from symbol to symbol, but not from history to a live one.
    let query = Memo::new(move |_| {
        let mut query = query.get()?;
        let is_it = |s: &InstrumentSummary| s.bars_only && s.symbol == query.symbol;
        let from_history = known.with(|k| k.iter().any(is_it));
        Some((std::mem::take(&mut query.interval), from_history, query))
    });
    let list = NodeRef::<html::Ul>::new();
    let here = use_location().pathname;
    // On a narrow page the list is a strip: the symbol shown is brought into sight.
    Effect::new(move |_| {
        here.with(|_| ());
        if let Some(list) = list.get()
            && let Ok(Some(link)) = list.query_selector("[aria-current]")
        {
            let link: web_sys::HtmlElement = link.unchecked_into();
            list.set_scroll_left(link.offset_left() - list.offset_left() - STRIP_MARGIN_PX);
        }
    });
    let rows = move || {
        let known = known.get();
        let none = known
            .is_empty()
            .then(|| view! { <li class="empty">"No prices yet."</li> });
        let rows: Vec<_> = known
            .into_iter()
            .map(|summary| view! { <Row summary query/> })
            .collect();
        (none, rows)
    };
    view! { <ul class="watchlist" data-testid="watchlist" node_ref=list>{rows}</ul> }.erased()
}

/// Asks for the watchlist anew, and shows it when a row has changed.
fn ask_anew(known: RwSignal<Vec<InstrumentSummary>>, live: Live) {
    spawn_local(async move {
        let Ok((_, fresh)) = functions::overview().await else {
            return;
        };
        let unchanged = known.try_with_untracked(|k| {
            let same = |(a, b): (&InstrumentSummary, &InstrumentSummary)| {
                let quoted = live.quotes.with_untracked(|q| q.contains_key(&a.symbol));
                is_same_row(a, b, quoted)
            };
            k.len() == fresh.len() && k.iter().zip(&fresh).all(same)
        });
        if unchanged == Some(false) {
            live.instruments.set(fresh.clone());
            known.set(fresh);
        }
    });
}

/// Whether a row shows the same of both. The price of one that is `quoted` comes by itself.
fn is_same_row(a: &InstrumentSummary, b: &InstrumentSummary, quoted: bool) -> bool {
    a.symbol == b.symbol
        && (quoted || a.last_price == b.last_price)
        && a.previous_close == b.previous_close
        && a.intervals == b.intervals
        && a.bars_only == b.bars_only
        && a.simulated == b.simulated
}

/// A symbol's last price and its change. Flashes when the price changes.
#[component]
fn Row(
    summary: InstrumentSummary,
    query: Memo<Option<(Option<Interval>, bool, ChartQuery)>>,
) -> impl IntoView {
    let live: Live = expect_context();
    let InstrumentSummary {
        symbol,
        last_price,
        previous_close,
        intervals,
        bars_only,
        simulated,
        ..
    } = summary;
    // That prices are made up weighs more than that they are old.
    let tag = match (simulated, bars_only) {
        (true, _) => Some("simulated"),
        (false, true) => Some("history"),
        (false, false) => None,
    };
    let quoted = symbol.clone();
    let price = Memo::new(move |_| {
        live.quotes
            .with(|quotes| quotes.get(&quoted).map_or(last_price, |q| q.price))
    });
    // The animation starts anew only when its name changes: each direction has two of them.
    let flash = Memo::new(move |before: Option<&(f64, u8)>| {
        let now = price.get();
        let (then, number) = before.copied().unwrap_or((now, 0));
        let odd = u8::from(number % 2 == 0);
        (
            now,
            if now > then {
                2 + odd
            } else if now < then {
                4 + odd
            } else {
                number
            },
        )
    });
    let change = move || format::change(price.get(), previous_close);
    let path = symbol_url(&symbol);
    let here = use_location().pathname;
    let current = {
        let path = path.clone();
        Memo::new(move |_| here.read().as_str() == path)
    };
    let target = symbol.clone();
    let longest = intervals.last().copied();
    let href = text(move || {
        query.with(|query| match query {
            Some((interval, from_history, query)) => {
                let interval = if bars_only {
                    interval.filter(|i| intervals.contains(i)).or(longest)
                } else {
                    interval.filter(|_| !from_history)
                };
                ChartQuery {
                    symbol: target.clone(),
                    interval,
                    ..query.clone()
                }
                .url()
            }
            None => path.clone(),
        })
    });
    view! {
        <li>
            <a
                href=href
                data-testid=format!("watch-{symbol}")
                aria-current=word(move || current.get().then_some("page"))
            >
                <span class="name">
                    <span class="symbol">{symbol.to_string()}</span>
                    {tag.map(|tag| view! { <span class="tag">{tag}</span> })}
                </span>
                <span class=text(move || format!("price flash-{}", flash.get().1))>
                    {text(move || format::price(price.get()))}
                </span>
                <span class=text(move || format!("change {}", direction(change())))>
                    {text(move || change().map_or("–".to_owned(), |c| format::signed_percent(c, 2)))}
                </span>
            </a>
        </li>
    }
    .erased()
}

/// The style sheet's word for a change.
pub fn direction(change: Option<f64>) -> &'static str {
    match change {
        Some(c) if c > 0.0 => "up",
        Some(c) if c < 0.0 => "down",
        _ => "flat",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_price_that_no_tick_brings_changes_the_row() {
        let before = InstrumentSummary {
            symbol: "A".parse().unwrap(),
            last_price: 1.0,
            last: market::Timestamp::from_secs(0),
            previous_close: Some(1.0),
            intervals: vec![Interval::M1],
            bars_only: false,
            simulated: false,
        };
        let after = InstrumentSummary {
            last_price: 2.0,
            ..before.clone()
        };
        assert!(is_same_row(&before, &before, false));
        assert!(!is_same_row(&before, &after, false));
        assert!(is_same_row(&before, &after, true));
    }
}
