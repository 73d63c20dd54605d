//! The web app: pages, components and server functions, rendered on the server and hydrated in the
//! browser.
//!
//! Model: everything that a page shows is in its URL ([`query`]); the server renders it whole, chart
//! included, and hydration makes it live ([`live`], [`chart_state`]). Pages lay out, components
//! draw; the `chart` and `forecast` crates do the maths. Only this file and [`api`] know
//! `cfg(feature = "ssr")`; what needs a browser happens in effects, which never run on the server. What the
//! server alone needs is in `ssr`, and the HTML that it writes out for the browser in `fragments`.
//!
//! What it does not do: listen on a port or store anything; the server gives its side as
//! [`api::backend::Backend`] and `ssr::desk::Desk`.

#![recursion_limit = "256"]

pub mod api;
pub mod chart_state;
mod components;
mod erase;
mod format;
#[cfg(feature = "ssr")]
mod fragments;
pub mod live;
mod pages;
pub mod query;
mod scene;
#[cfg(feature = "ssr")]
pub mod ssr;
pub mod theme;
mod worker;

use leptos::prelude::*;
use leptos_meta::{Title, provide_meta_context};
use leptos_router::{
    SsrMode,
    components::{FlatRoutes, Route, Router},
    path,
};

use crate::{
    api::codec::JsonBytes,
    components::{header::Header, watchlist::Sidebar},
    erase::Erase,
    live::Live,
    pages::{
        backtest::BacktestPage, home::HomePage, not_found::NotFoundPage, symbol::SymbolPage,
        written::WrittenPage,
    },
    theme::ThemeSwitch,
};

/// What every page needs first: how the server stands, and a page of the symbols.
pub type Overview =
    OnceResource<Result<(api::SystemStatus, api::Watchlist), api::ApiError>, JsonBytes>;

/// The document around the app, as the server sends it. `build` names the files that belong together, and each
/// is asked for by that name: what a browser keeps of another build is of no use to this page.
#[cfg(feature = "ssr")]
pub fn shell(build: &str) -> impl IntoView + use<> {
    use leptos_meta::MetaTags;

    let of = |path: &str| format!("{path}?b={build}");
    let nonce = leptos::nonce::use_nonce();
    let (script, wasm) = (of("/pkg/frontend.js"), of("/pkg/frontend_bg.wasm"));
    let start = format!(
        "import('{script}').then(m=>m.default({{module_or_path:'{wasm}'}}).then(()=>m.hydrate()))"
    );
    view! {
        <!DOCTYPE html>
        <html lang="en" data-build=build.to_owned()>
            <head>
                <meta charset="utf-8"/>
                <meta name="viewport" content="width=device-width, initial-scale=1, viewport-fit=cover"/>
                <meta name="color-scheme" content="light dark"/>
                <meta name="description" content="Live prices with calibrated forecasts."/>
                <script nonce=nonce.clone() inner_html=theme::FIRST_SCRIPT></script>
                <script nonce=nonce.clone() inner_html=LATER_SCRIPT></script>
                // In this order: of two rules the later one wins.
                <link rel="stylesheet" href=of("/main.css")/>
                <link rel="stylesheet" href=of("/chart.css")/>
                <link rel="stylesheet" href=of("/screens.css")/>
                <link rel="stylesheet" href=of("/evaluation.css")/>
                <link rel="stylesheet" href=of("/pipeline.css")/>
                <link rel="icon" href="/icon.svg" type="image/svg+xml"/>
                <link rel="apple-touch-icon" href="/icon-192.png"/>
                <link rel="manifest" href="/manifest.webmanifest"/>
                <meta name="theme-color" content="#ffffff" media="(prefers-color-scheme: light)"/>
                <meta name="theme-color" content="#10151b" media="(prefers-color-scheme: dark)"/>
                <link rel="modulepreload" href=script crossorigin=nonce.clone()/>
                <link rel="preload" href=wasm r#as="fetch" r#type="application/wasm" crossorigin=""/>
                <script type="module" nonce=nonce inner_html=start></script>
                <MetaTags/>
            </head>
            <body>
                <App/>
            </body>
        </html>
    }
    .erased()
}

/// Fetches what makes the app one that opens offline (frontend/offline/page.ts), once the page is at work, again
/// where the server is away just then; and keeps the browser's offer to install it, which comes before that.
#[cfg(feature = "ssr")]
const LATER_SCRIPT: &str = "addEventListener('beforeinstallprompt',e=>{e.preventDefault();window.installEvent=e});\
    const later=()=>import('/offline/page.js?b='+document.documentElement.dataset.build)\
    .catch(e=>{console.warn(String(e));setTimeout(later,10000)});\
    addEventListener('load',()=>setTimeout(later,2000))";

/// The app: what stands in the body.
#[component]
pub fn App() -> impl IntoView {
    provide_meta_context();
    let live = Live::new();
    provide_context(live);
    let theme = ThemeSwitch::new();
    provide_context(theme);
    // On the server the page's address says which part of the list comes with it.
    let list = api::functions::overview(String::new(), String::new(), String::new());
    let overview: Overview = OnceResource::new_with_options(list, false);
    provide_context(overview);
    Effect::new(move |_| {
        theme.follow();
        live::start(live);
    });
    // The router would scroll to a place on the page, and leave the focus where it is; the browser,
    // which `external` leaves it to, moves both.
    view! {
        <Title text="Tickcast"/>
        <a class="skip" href="#main" rel="external">"Skip to the chart"</a>
        <Router>
            <Header/>
            <div class="page">
                <Sidebar/>
                <main id="main" tabindex="-1">
                    <FlatRoutes fallback=NotFoundPage>
                        <Route path=path!("/") view=HomePage ssr=SsrMode::Async/>
                        <Route path=path!("/s/:symbol") view=SymbolPage ssr=SsrMode::Async/>
                        <Route path=path!("/backtest") view=BacktestPage ssr=SsrMode::Async/>
                        <Route path=path!("/pipeline") view=WrittenPage ssr=SsrMode::Async/>
                        <Route path=path!("/models") view=WrittenPage ssr=SsrMode::Async/>
                        <Route path=path!("/training") view=WrittenPage ssr=SsrMode::Async/>
                        <Route path=path!("/scoreboard") view=WrittenPage ssr=SsrMode::Async/>
                    </FlatRoutes>
                </main>
            </div>
        </Router>
    }
    .erased()
}
