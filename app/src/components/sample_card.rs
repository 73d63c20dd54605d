//! The offer to load the bundled sample data.

use leptos::{prelude::*, server_fn::ServerFn};

use crate::{
    api::functions::LoadSampleData,
    erase::{Erase, text},
};

/// A plain form: the server answers with the page of the first symbol, with or without scripts.
#[component]
pub fn SampleCard() -> impl IntoView {
    let sent = RwSignal::new(false);
    view! {
        <form
            class="card"
            method="post"
            action=LoadSampleData::PATH
            on:submit=move |_| sent.set(true)
        >
            <h3>"Real prices to try"</h3>
            <p>"Real daily bars of 2000 to 2013: AAPL, FB, GOOG, IBM and MSFT."</p>
            <button
                type="submit"
                class="primary"
                data-testid="load-sample-data"
                aria-disabled=text(move || sent.get().to_string())
            >
                {text(move || if sent.get() { "Loading…" } else { "Load sample data" }.to_owned())}
            </button>
        </form>
    }
    .erased()
}
