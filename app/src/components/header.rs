//! The head of every page: the name, how the connection stands, the theme, and that prices are made
//! up where they are.

use leptos::prelude::*;
use leptos_router::hooks::use_location;

use super::{connection_state::ConnectionState, theme_toggle::ThemeToggle};
use crate::{
    Overview,
    erase::{Erase, later, word},
};

/// The head of every page.
#[component]
pub fn Header() -> impl IntoView {
    let here = use_location().pathname;
    // Only a symbol's page has a record to go to.
    let no_record = word(move || (!here.read().starts_with("/s/")).then_some(""));
    view! {
        <header>
        <div class="top">
            <a class="brand" href="/" rel="home">
                <svg viewBox="0 0 32 32" width="24" height="24" aria-hidden="true">
                    <path class="brand-fan" d="M15 17 29 6v20z"/>
                    <path class="brand-line" d="M3 21 8 14l4 5 4-4 13 1"/>
                </svg>
                <span>"Tickcast"</span>
            </a>
            <nav aria-label="Main">
                <a href="#watchlist-heading" rel="external">"Watchlist"</a>
                <a href="#scoreboard-heading" rel="external" hidden=no_record>"Record"</a>
                <a href="/backtest" data-testid="nav-backtest">"Backtest"</a>
                <a href="/pipeline">"Pipeline"</a>
            </nav>
            <ConnectionState/>
            <ThemeToggle/>
        </div>
        <SimulatedBanner/>
        </header>
    }
    .erased()
}

/// Says that the prices are made up, where nobody can miss it.
#[component]
fn SimulatedBanner() -> impl IntoView {
    let overview: Overview = expect_context();
    later("", move || {
        Box::pin(async move {
            let simulated = overview.await.is_ok_and(|(status, _)| status.simulated);
            simulated
                .then(|| view! {
                    <p class="simulated" role="note" data-testid="simulated-banner">
                        <strong>"Simulated data."</strong>
                        " The live prices are made up by the built-in exchange. No market is behind them."
                    </p>
                })
                .erased()
        })
    })
}
