//! The side of every page: a page of the watchlist, a search for the rest, and the offer of sample data.

use std::time::Duration;

use leptos::{html, prelude::*, task::spawn_local};
use leptos_router::hooks::use_location;
use market::Interval;
use wasm_bindgen::JsCast;
use web_sys::SubmitEvent;

use super::sample_card::SampleCard;
use crate::{
    Overview,
    api::{InstrumentSummary, Watchlist, functions},
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
                    Ok((status, list)) => view! {
                        <List list/>
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

/// A page of the symbols, in the order given, and a way to the others where there are more. Asks for it
/// anew now and then: an import brings more of them, a close to measure the day's change against may come
/// only with the history, and prices that come as bars are in no tick.
#[component]
fn List(list: Watchlist) -> impl IntoView {
    let live: Live = expect_context();
    // What to find, and where the page before ended.
    let asked = RwSignal::new((list.find.clone(), list.after));
    let next = RwSignal::new(list.next.clone());
    let known = RwSignal::new(list.rows);
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
    let shown = use_chart_query();
    // Asks for the page, to list it or to open the first symbol of it.
    let ask = move |open: bool| {
        let (find, after) = asked.get_untracked();
        let shown = shown.with_untracked(|query| Some(query.as_ref()?.symbol.to_string()));
        let shown = shown.filter(|_| !open).unwrap_or_default();
        spawn_local(async move {
            if let Ok((_, fresh)) = functions::overview(find, after, shown).await {
                if open {
                    if let Some(first) = fresh.rows.first() {
                        let _ = window().location().set_href(&symbol_url(&first.symbol));
                    }
                } else {
                    put(fresh, asked, next, known, live);
                }
            }
        });
    };
    Effect::new(move |_| {
        set_timeout(move || ask(false), ASK_FIRST_AFTER);
        if let Ok(asking) = set_interval_with_handle(move || ask(false), ASK_EVERY) {
            on_cleanup(move || asking.clear());
        }
    });
    // What the page shows is listed, whatever else is.
    Effect::new(move |before: Option<()>| {
        let listed = shown.with(|query| {
            let is_it = |s: &InstrumentSummary| query.as_ref().is_none_or(|q| q.symbol == s.symbol);
            known.with_untracked(|k| k.iter().any(is_it))
        });
        if before.is_some() && !listed {
            ask(false);
        }
    });
    let turn = move |find: String, after: String| {
        asked.set((find, after));
        ask(false);
    };
    let on_find = move |ev| turn(event_target_value(&ev), String::new());
    // Enter opens the first one that is found; what is listed may be of what was typed before.
    let on_submit = move |ev: SubmitEvent| {
        ev.prevent_default();
        ask(true);
    };
    let on_next = move |_| turn(asked.get_untracked().0, next.get_untracked());
    let last = Memo::new(move |_| next.with(String::is_empty));
    let whole = Memo::new(move |_| last.get() && asked.with(|(_, after)| after.is_empty()));
    let no_more = word(move || whole.get().then_some(""));
    let no_find =
        word(move || (whole.get() && asked.with(|(find, _)| find.is_empty())).then_some(""));
    // After the last page comes the first.
    let more = text(move || if last.get() { "First" } else { "Next" }.to_owned());
    // The interval stays from symbol to symbol, but not from history to a live one.
    let query = Memo::new(move |_| {
        let mut query = shown.get()?;
        let is_it = |s: &InstrumentSummary| s.bars_only && s.symbol == query.symbol;
        let from_history = known.with(|k| k.iter().any(is_it));
        Some((std::mem::take(&mut query.interval), from_history, query))
    });
    let list_ref = NodeRef::<html::Ul>::new();
    let here = use_location().pathname;
    // On a narrow page the list is a strip: the symbol shown is brought into sight.
    Effect::new(move |_| {
        here.with(|_| ());
        if let Some(list) = list_ref.get()
            && let Ok(Some(link)) = list.query_selector("[aria-current]")
        {
            let link: web_sys::HtmlElement = link.unchecked_into();
            list.set_scroll_left(link.offset_left() - list.offset_left() - STRIP_MARGIN_PX);
        }
    });
    let rows = move || {
        let known = known.get();
        let find = asked.with_untracked(|(find, _)| find.trim().to_ascii_uppercase());
        // What the page shows stands there though it was not found.
        let found = known.len() > 1 || known.iter().any(|s| s.symbol.as_str().contains(&find));
        let none = (!found).then(|| {
            let words = if find.is_empty() {
                "No prices yet."
            } else {
                "None found."
            };
            view! { <li class="empty">{words}</li> }
        });
        let rows: Vec<_> = known
            .into_iter()
            .map(|summary| view! { <Row summary query/> })
            .collect();
        (none, rows)
    };
    view! {
        <form class="find" method="get" role="search" hidden=no_find on:submit=on_submit>
            <input
                type="search"
                name="find"
                aria-label="Find a symbol"
                placeholder="Find a symbol"
                autocomplete="off"
                autocapitalize="characters"
                spellcheck="false"
                maxlength="32"
                data-testid="find-symbol"
                value=list.find
                on:input=on_find
            />
            <button type="submit" class="no-js">"Find"</button>
            <button type="submit" class="no-js" name="after" value=list.next hidden=no_more>
                {more}
            </button>
            <button type="button" class="js-only" data-testid="more-symbols" hidden=no_more on:click=on_next>
                {more}
            </button>
        </form>
        <ul class="watchlist" data-testid="watchlist" node_ref=list_ref>{rows}</ul>
    }
    .erased()
}

/// Shows an answer unless another part has been asked for since; rows only where one has changed.
fn put(
    fresh: Watchlist,
    asked: RwSignal<(String, String)>,
    next: RwSignal<String>,
    known: RwSignal<Vec<InstrumentSummary>>,
    live: Live,
) {
    let part = (fresh.find, fresh.after);
    if asked.try_with_untracked(|asked| *asked == part) != Some(true) {
        return;
    }
    if next.with_untracked(|n| *n != fresh.next) {
        next.set(fresh.next);
    }
    let unchanged = known.with_untracked(|k| {
        let same = |(a, b): (&InstrumentSummary, &InstrumentSummary)| {
            let quoted = live.quotes.with_untracked(|q| q.contains_key(&a.symbol));
            is_same_row(a, b, quoted)
        };
        k.len() == fresh.rows.len() && k.iter().zip(&fresh.rows).all(same)
    });
    if !unchanged {
        live.instruments.set(fresh.rows.clone());
        known.set(fresh.rows);
    }
}

/// Whether a row shows the same of both. The price of one that is `quoted` comes by itself.
fn is_same_row(a: &InstrumentSummary, b: &InstrumentSummary, quoted: bool) -> bool {
    a.symbol == b.symbol
        && (quoted || a.last_price == b.last_price)
        && a.previous_close == b.previous_close
        && a.intervals == b.intervals
        && a.bars_only == b.bars_only
        && a.simulated == b.simulated
        && a.ended == b.ended
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
        ended,
        ..
    } = summary;
    // That prices are made up weighs more than that they are old.
    let tag = match (simulated, ended, bars_only) {
        (true, ..) => Some("simulated".to_owned()),
        (_, Some(ended), _) => Some(format!("ended {}", format::date(ended))),
        (.., true) => Some("history".to_owned()),
        _ => None,
    };
    let quoted = symbol.clone();
    let price = Memo::new(move |_| {
        live.quotes
            .with(|quotes| quotes.get(&quoted).map_or(last_price, |q| q.price))
    });
    // Of the prices seen so far: one that ends in a zero does not take a decimal away.
    let decimals = Memo::new(move |before: Option<&u32>| {
        let known = [price.get()].into_iter().chain(previous_close);
        format::price_decimals(known).max(before.copied().unwrap_or(0))
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
                    {text(move || format::price(price.get(), decimals.get()))}
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
            ended: None,
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
