//! How the connection stands, and how long a tick takes to the screen.

use leptos::prelude::*;
use leptos_router::hooks::use_location;

use crate::{
    erase::{Erase, text},
    format,
    live::{Connection, Live},
};

/// The state in a word and the latency; nothing without scripts.
#[component]
pub fn ConnectionState() -> impl IntoView {
    let live: Live = expect_context();
    let state = live.connection;
    let latency = text(move || match (state.get(), live.latency_ms.get()) {
        (Connection::Live, Some(ms)) => format::fixed(ms, u32::from(ms < 9.95)) + "\u{a0}ms",
        _ => "–".to_owned(),
    });
    // On a symbol's page prices come where that symbol's do: history has none to come.
    let here = use_location().pathname;
    let word = Memo::new(move |_| {
        let history = here.read().starts_with("/s/") && live.focus.with(Option::is_none);
        state.get().as_str(live.priced.get() && !history)
    });
    let class = text(move || format!("state state-{}", word.get()));
    view! {
        <div class="link-state js-only">
            <span
                class=class
                role="status"
                id="connection-state"
                data-testid="connection-state"
            >
                {text(move || word.get().to_owned())}
            </span>
            <span
                class="latency"
                data-testid="latency"
                title="Median time from a tick's arrival at the server to the screen"
            >
                <span class="hidden">"Tick to screen: "</span>
                {latency}
            </span>
        </div>
    }
    .erased()
}
