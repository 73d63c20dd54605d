//! The first page: goes on to a symbol, or says how prices get in.

use std::time::Duration;

use leptos::{prelude::*, task::spawn_local};
use leptos_meta::Title;
use leptos_router::{components::Redirect, hooks::use_navigate};

use crate::{
    Overview,
    api::{InstrumentSummary, functions},
    components::{first_steps::FirstSteps, problem::Problem},
    erase::{Erase, later},
    query::symbol_url,
};

/// How often an empty page looks for prices.
const LOOK_EVERY: Duration = Duration::from_secs(2);

/// Goes on to the first symbol; without one, says how prices get in and waits for them.
#[component]
pub fn HomePage() -> impl IntoView {
    let overview: Overview = expect_context();
    view! {
        <Title text="Tickcast"/>
        {later("Loading…", move || Box::pin(async move {
            match overview.await {
                Err(error) => view! {
                    <Problem title="The server has a problem" detail=error.detail/>
                }
                .erased(),
                Ok((_, watchlist)) => match first_url(&watchlist) {
                    Some(path) => view! { <Redirect path/> }.erased(),
                    None => view! { <Waiting/> }.erased(),
                },
            }
        }))}
    }
    .erased()
}

/// Says how prices get in, and goes on when there are some.
#[component]
fn Waiting() -> impl IntoView {
    let navigate = use_navigate();
    Effect::new(move |_| {
        let navigate = navigate.clone();
        let looking = set_interval_with_handle(
            move || {
                let navigate = navigate.clone();
                spawn_local(async move {
                    if let Ok((_, watchlist)) = functions::overview().await
                        && first_url(&watchlist).is_some()
                    {
                        // The whole page anew: the watchlist came with it.
                        navigate("/", Default::default());
                        let _ = window().location().reload();
                    }
                });
            },
            LOOK_EVERY,
        );
        if let Ok(looking) = looking {
            on_cleanup(move || looking.clear());
        }
    });
    view! { <FirstSteps/> }
}

/// The page of the first live symbol, else of the first one.
fn first_url(watchlist: &[InstrumentSummary]) -> Option<String> {
    let first = watchlist
        .iter()
        .find(|i| !i.bars_only)
        .or(watchlist.first())?;
    Some(symbol_url(&first.symbol))
}
