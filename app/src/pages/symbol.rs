//! A symbol's page: prices, the forecast and its record.

use leptos::prelude::*;

use crate::{
    Overview,
    api::{ApiError, SystemStatus, chart_page::ChartData, codec::JsonBytes, functions},
    chart_state::ChartState,
    components::{
        browser_forecast::BrowserForecast, chart_table::ChartTable, chart_view::ChartView,
        controls::Controls, explanation::Explanation, fit_panel::FitPanel, problem::UnknownSymbol,
        scoreboard::Scoreboard, symbol_heading::SymbolHeading,
    },
    erase::{Erase, later, text},
    live::Live,
    query::{ChartQuery, use_chart_query},
};

/// The page of the symbol in the address.
#[component]
pub fn SymbolPage() -> impl IntoView {
    let query = use_chart_query();
    let readable = Memo::new(move |_| query.with(Option::is_some));
    move || {
        if !readable.get() {
            crate::api::page_not_found();
            let error = ApiError::not_found("the address names no symbol".to_owned());
            return view! { <UnknownSymbol error/> }.erased();
        }
        view! { <Chart query/> }.erased()
    }
}

/// Waits for the first answer; later ones come through [`ChartState`].
#[component]
fn Chart(query: Memo<Option<ChartQuery>>) -> impl IntoView {
    let overview: Overview = expect_context();
    let asked = query.get_untracked();
    let first = async move {
        let query = asked?;
        Some(
            functions::chart(query.clone())
                .await
                .map_err(|error| (query, error)),
        )
    };
    let first = OnceResource::<_, JsonBytes>::new_with_options(first, false);
    later("Loading the chart…", move || {
        Box::pin(async move {
            let status = overview.await.ok().map(|(status, _)| status);
            first
                .await
                .map(|first| view! { <Workspace query status first/> })
                .erased()
        })
    })
}

/// Everything about one symbol, or why there is nothing.
#[component]
fn Workspace(
    query: Memo<Option<ChartQuery>>,
    status: Option<SystemStatus>,
    first: Result<ChartData, (ChartQuery, ApiError)>,
) -> impl IntoView {
    let live: Live = expect_context();
    let state = ChartState::new(first);
    state.run(query, live);
    let models = StoredValue::new(status.map(|s| s.models).unwrap_or_default());
    let made_up = Memo::new(move |_| state.data.with(|d| d.simulated));
    let failed = Memo::new(move |_| state.problem.with(Option::is_some));
    move || {
        if failed.get() {
            let error = state.problem.get_untracked();
            return error.map(|error| view! { <UnknownSymbol error/> }).erased();
        }
        view! {
            {move || made_up.get().then(|| view! {
                <p class="simulated" role="note" data-testid="simulated-banner">
                    <strong>"Simulated data."</strong>
                    " These prices are made up. No market is behind them."
                </p>
            })}
            <article class="workspace" aria-busy=text(move || state.loading.get().to_string())>
                <SymbolHeading state/>
                <Controls state query models/>
                <BrowserForecast state/>
                <ChartView state/>
                <FitPanel state/>
                <Scoreboard state/>
                <ChartTable state/>
                <Explanation/>
            </article>
        }
        .erased()
    }
}
