//! The head of every page: the name, how the connection stands, the theme, and that prices are made
//! up where they are.

use leptos::prelude::*;
use leptos_router::hooks::use_location;

use super::{connection_state::ConnectionState, theme_toggle::ThemeToggle};
use crate::{
    Overview,
    erase::{Erase, later, word},
};

/// What a page without scripts does not do.
const WITHOUT_SCRIPTS: &str = "<p class=\"notice\" role=\"note\">Scripts are off. Charts, forecasts, records \
    and backtests of up to 20 seconds work; prices stand still until the page is loaded again, the chart \
    cannot be read bar by bar, and nothing is forecast while the server is away.</p>";

/// The ways to the pages: nothing in them changes.
const PAGES: &str = "<a href=\"/backtest\" data-testid=\"nav-backtest\">Backtest</a>\
    <a href=\"/models\">Models</a><a href=\"/training\">Training</a>\
    <a href=\"/scoreboard\">Scoreboard</a><a href=\"/pipeline\">Pipeline</a>";

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
                <span class="pages" inner_html=PAGES></span>
                <LoginLink/>
            </nav>
            <ConnectionState/>
            <ThemeToggle/>
        </div>
        <p class="tagline">
            "Tickcast forecasts prices as they come, writes every forecast down before its outcome is known, and \
            says how often it held."
        </p>
        // Its content is text to a browser that runs scripts: nothing in it is hydrated.
        <noscript inner_html=WITHOUT_SCRIPTS></noscript>
        <SimulatedBanner/>
        </header>
    }
    .erased()
}

/// The way to the login page, which is none of the app's, where there is something to log in with.
#[component]
fn LoginLink() -> impl IntoView {
    let overview: Overview = expect_context();
    later("", move || {
        Box::pin(async move {
            let has_login = overview.await.is_ok_and(|(status, _)| status.has_login);
            has_login
                .then(|| {
                    view! {
                        <a href="/login" rel="external" data-testid="login-link">"Log in or out"</a>
                    }
                })
                .erased()
        })
    })
}

/// Says that the source's prices are made up, where nobody can miss it. A symbol's page says it of its own
/// prices, and a backtest of those that it tests: real prices carry no such banner.
#[component]
fn SimulatedBanner() -> impl IntoView {
    let overview: Overview = expect_context();
    let here = use_location().pathname;
    let elsewhere = word(move || {
        let here = here.read();
        (here.starts_with("/s/") || *here == "/backtest").then_some("")
    });
    later("", move || {
        Box::pin(async move {
            let simulated = overview.await.is_ok_and(|(status, _)| status.simulated);
            simulated
                .then(|| view! {
                    <p class="simulated" role="note" hidden=elsewhere data-testid="simulated-source">
                        <strong>"Simulated data."</strong>
                        " The live prices are made up by the built-in exchange. No market is behind them."
                    </p>
                })
                .erased()
        })
    })
}
