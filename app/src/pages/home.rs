//! The first page: goes on to a symbol, or says how prices get in.

use std::time::Duration;

use leptos::{prelude::*, task::spawn_local};
use leptos_meta::Title;
use leptos_router::{components::Redirect, hooks::use_navigate};

use crate::{
    Overview,
    api::functions,
    components::{first_steps::FirstSteps, problem::Problem},
    erase::{Erase, later},
    query::name_url,
};

/// How often an empty page looks for prices.
const LOOK_EVERY: Duration = Duration::from_secs(2);

/// Goes on to the symbol that the server has chosen for it (see `api/watchlist.rs`); without one, says how
/// prices get in and waits for them.
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
                Ok((_, list)) if list.home.is_empty() => view! { <Waiting/> }.erased(),
                Ok((_, list)) => view! { <Redirect path=name_url(&list.home)/> }.erased(),
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
                    let none = String::new;
                    if let Ok((_, list)) = functions::overview(none(), none(), none()).await
                        && !list.home.is_empty()
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
