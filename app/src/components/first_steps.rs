//! What a page says while there are no prices at all.

use leptos::prelude::*;

use crate::erase::Erase;

/// How prices get in.
#[component]
pub fn FirstSteps() -> impl IntoView {
    view! {
        <article class="first-steps">
            <h1>"No prices yet"</h1>
            <p>"This page goes on by itself when the first ones arrive. Ways to bring them in:"</p>
            <ul>
                <li>
                    "Send ticks: "
                    <code>"curl -d '[{\"symbol\":\"AAPL\",\"ts\":\"2026-01-02T15:00:00Z\",\"seq\":1,\"price\":187.2,\"size\":100}]' -H 'content-type: application/json' http://127.0.0.1:3000/api/ticks"</code>
                </li>
                <li>"Import a file: " <code>"tickcast import prices.csv"</code></li>
                <li>"Name a source in " <code>"tickcast.toml"</code> " and start again."</li>
            </ul>
        </article>
    }
    .erased()
}
