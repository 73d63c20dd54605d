//! The head of a chart: symbol, last price, change.

use leptos::prelude::*;
use leptos_meta::Title;

use super::watchlist::direction;
use crate::{
    api::InstrumentSummary,
    chart_state::ChartState,
    erase::{Erase, text},
    format,
    live::Live,
    scene,
};

/// Symbol, last price and change; the price is in the page's title too.
#[component]
pub fn SymbolHeading(state: ChartState) -> impl IntoView {
    let live: Live = expect_context();
    let symbol = Memo::new(move |_| state.data.with(|d| d.query.symbol.clone()));
    let price = Memo::new(move |_| {
        let quoted = symbol.with(|s| live.quotes.with(|q| q.get(s).map(|q| q.price)));
        quoted.or_else(|| state.data.with(|d| d.bars.last().map(|b| b.close)))
    });
    let step = Memo::new(move |_| state.data.with(scene::price_decimals));
    let price_text = text(move || {
        let shown = |price| format::price(price, step.get().max(format::price_decimals([price])));
        price.get().map_or("–".to_owned(), shown)
    });
    let change = move || {
        let told = symbol.with(|s| {
            let is_it = |i: &&InstrumentSummary| i.symbol == *s;
            live.instruments
                .with(|all| all.iter().find(is_it)?.previous_close)
        });
        let before = told.or_else(|| state.data.with(|d| d.previous_close));
        price.get().and_then(|p| format::change(p, before))
    };
    let tag = text(move || {
        state.data.with(|d| match d.ended {
            Some(ended) => format!("ended {}", format::date(ended)),
            None if !d.live => "history".to_owned(),
            None => String::new(),
        })
    });
    view! {
        <Title text=move || format!("{} {} · Tickcast", symbol.get(), price_text.get())/>
        <div class="heading">
            <h1>{text(move || symbol.get().to_string())}</h1>
            <span class="last-price" data-testid="last-price">{price_text}</span>
            <span class=text(move || format!("change {}", direction(change())))>
                {text(move || change().map(|c| format::signed_percent(c, 2)).unwrap_or_default())}
            </span>
            <span class="tag" data-testid="standing" hidden=move || tag.with(String::is_empty)>{tag}</span>
            <span class="loading-note" role="status">
                {text(move || {
                    if state.loading.get() {
                        "Loading…".to_owned()
                    } else if let Some(bars) = state.filling.get() {
                        format!("Filling back, {bars} bars…")
                    } else {
                        String::new()
                    }
                })}
            </span>
        </div>
    }
    .erased()
}
