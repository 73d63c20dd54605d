//! What a page says while there are no prices at all.

use leptos::prelude::*;

use crate::{api, erase::Erase};

/// How prices get in.
#[component]
pub fn FirstSteps() -> impl IntoView {
    let curl = format!(
        "curl -d '[{{\"symbol\":\"AAPL\",\"ts\":\"2026-01-02T15:00:00Z\",\"seq\":1,\"price\":187.2,\"size\":100}}]' -H 'content-type: application/json' {}/api/ticks",
        api::own_address()
    );
    view! {
        <article class="first-steps">
            <h1>"No prices yet"</h1>
            <p>"This page goes on by itself when the first ones arrive. Ways to bring them in:"</p>
            <ul>
                <li>
                    "Send ticks: "
                    <code>{curl}</code>
                </li>
                // The running server keeps the data directory for itself.
                <li>
                    "Import a file: stop the server, then "
                    <code>"target/release/tickcast import prices.csv"</code>
                    " and start it again."
                </li>
                <li>"Name a source in " <code>"tickcast.toml"</code> " and start again."</li>
            </ul>
        </article>
    }
    .erased()
}
