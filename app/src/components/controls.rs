//! The choices of a chart: interval, number of bars, horizon, model. All of them are in the URL:
//! links and a GET form, so that they work without scripts.

use leptos::{html, prelude::*};
use leptos_router::{NavigateOptions, hooks::use_navigate};
use web_sys::SubmitEvent;

use crate::{
    chart_state::ChartState,
    erase::{Erase, text, word},
    query::{ARIMA, BARS_WITH_PAGE, CHAMPION, ChartQuery, HORIZONS, SPANS, arima, symbol_url},
};

/// The choices.
#[component]
pub fn Controls(
    state: ChartState,
    query: Memo<Option<ChartQuery>>,
    models: StoredValue<Vec<String>>,
) -> impl IntoView {
    // The address's, since the chart's own lags behind while another one is on its way; with the
    // interval that the server chose where the address has none.
    let shown = Memo::new(move |_| {
        let (chart, interval) = state.data.with(|d| (d.query.clone(), d.interval));
        let mut shown = query.get().unwrap_or(chart);
        shown.interval.get_or_insert(interval);
        shown
    });
    // A model that nobody chose stays out of the links: another series may have a champion.
    let model = Memo::new(move |_| {
        let named = shown.with(|q| q.model.clone());
        if named.is_empty() {
            state.data.with(|d| d.model.clone())
        } else {
            named
        }
    });
    let has_champion = Memo::new(move |_| state.data.with(|d| d.has_champion));
    let intervals = Memo::new(move |_| state.data.with(|d| d.intervals.clone()));
    let interval_links = move || {
        intervals
            .get()
            .into_iter()
            .map(|interval| {
                let link = text(move || {
                    ChartQuery {
                        interval: Some(interval),
                        ..shown.get()
                    }
                    .url()
                });
                let current =
                    word(move || (shown.read().interval == Some(interval)).then_some("true"));
                view! {
                    <a
                        href=link
                        data-noscroll
                        aria-current=current
                        data-testid=format!("interval-{interval}")
                    >
                        {interval.as_str()}
                    </a>
                }
            })
            .collect::<Vec<_>>()
    };
    let span_links = SPANS.map(|bars| {
        let link = text(move || ChartQuery { bars, ..shown.get() }.url());
        let current = word(move || (shown.read().bars == bars).then_some("true"));
        // More bars than come with the page are streamed in by a script.
        let class = if bars > BARS_WITH_PAGE { "js-only" } else { "" };
        view! {
            <a href=link data-noscroll class=class aria-current=current data-testid=format!("bars-{bars}")>
                {bars.to_string()}
            </a>
        }
    });
    view! {
        <div class="controls">
            <nav class="choices" aria-label="Length of a bar">{interval_links}</nav>
            <nav class="choices" aria-label="Number of bars">
                <span class="label" aria-hidden="true">"Bars"</span>
                {span_links}
            </nav>
            <ForecastForm shown model models has_champion/>
        </div>
    }
    .erased()
}

/// Horizon and model.
#[component]
fn ForecastForm(
    shown: Memo<ChartQuery>,
    model: Memo<String>,
    models: StoredValue<Vec<String>>,
    has_champion: Memo<bool>,
) -> impl IntoView {
    let go = use_navigate();
    let go = move |query: ChartQuery| {
        go(
            &query.url(),
            NavigateOptions {
                scroll: false,
                ..Default::default()
            },
        );
    };
    let go_horizon = {
        let go = go.clone();
        move |ev| {
            if let Ok(horizon) = event_target_value(&ev).parse() {
                go(ChartQuery {
                    horizon,
                    ..shown.get_untracked()
                });
            }
        }
    };
    let go_model = {
        let go = go.clone();
        move |ev| {
            let model = event_target_value(&ev);
            go(ChartQuery {
                model: if model == ARIMA { arima("") } else { model },
                ..shown.get_untracked()
            });
        }
    };
    // Enter in the orders sends the form, and leaving them changes them: both apply what is typed.
    let orders = NodeRef::<html::Input>::new();
    let apply = move || {
        let typed = orders.get_untracked().map(|orders| arima(&orders.value()));
        let now = shown.get_untracked();
        if let Some(typed) = typed.filter(|typed| *typed != model.get_untracked()) {
            go(ChartQuery {
                model: typed,
                ..now
            });
        }
    };
    let on_orders = {
        let apply = apply.clone();
        move |_| apply()
    };
    let on_submit = move |ev: SubmitEvent| {
        ev.prevent_default();
        apply();
    };
    let horizon = Memo::new(move |_| shown.with(|q| q.horizon));
    let horizon_options = move || {
        let chosen = horizon.get();
        let mut all = HORIZONS.to_vec();
        if !all.contains(&chosen) {
            all.push(chosen);
        }
        all.into_iter()
            .map(|h| option(h.to_string(), h == chosen))
            .collect::<Vec<_>>()
    };
    // A model with orders is chosen by its family; the orders stand in a field of their own.
    let typed = Memo::new(move |_| model.with(|m| m.starts_with("arima(")));
    let choice = Memo::new(move |_| {
        if typed.get() {
            ARIMA.to_owned()
        } else {
            model.get()
        }
    });
    let model_options = move || {
        let chosen = choice.get();
        let mut all = models.get_value();
        if has_champion.get() {
            all.insert(0, CHAMPION.to_owned());
        }
        all.push(ARIMA.to_owned());
        if !all.contains(&chosen) {
            all.push(chosen.clone());
        }
        all.into_iter()
            .map(|m| {
                let selected = m == chosen;
                option(m, selected)
            })
            .collect::<Vec<_>>()
    };
    view! {
        <form
            class="forecast-form"
            method="get"
            action=text(move || shown.with(|q| symbol_url(&q.symbol)))
            on:submit=on_submit
        >
            <input type="hidden" name="interval" value=word(move || shown.with(|q| q.interval.map(|i| i.as_str())))/>
            <input type="hidden" name="bars" value=text(move || shown.with(|q| q.bars.to_string()))/>
            <label>
                <span>"Steps"</span>
                <select name="horizon" data-testid="horizon" prop:value=text(move || horizon.get().to_string()) on:change=go_horizon>
                    {horizon_options}
                </select>
            </label>
            <label>
                <span>"Model"</span>
                <select name="model" data-testid="model" prop:value=text(move || choice.get()) on:change=go_model>
                    {model_options}
                </select>
            </label>
            <input
                class=word(move || Some(if typed.get() { "orders" } else { "orders no-js" }))
                type="text"
                name="orders"
                aria-label="Orders of the ARIMA model"
                placeholder="arima(1,1,1)+drift"
                autocomplete="off"
                spellcheck="false"
                data-testid="orders"
                value=text(move || if typed.get() { model.get() } else { String::new() })
                node_ref=orders
                on:change=on_orders
            />
            <button type="submit" class="no-js">"Show"</button>
        </form>
    }
    .erased()
}

fn option(value: String, selected: bool) -> AnyView {
    let text = value.clone();
    view! { <option value=value selected=selected>{text}</option> }.erased()
}
