//! What past forecasts were worth: written out by the server, put in place here.

use leptos::prelude::*;

use crate::{chart_state::ChartState, erase::Erase};

/// The record of the model shown in words, and of all in a table.
#[component]
pub fn Scoreboard(state: ChartState) -> impl IntoView {
    let board = Memo::new(move |_| state.data.with(|d| d.record.board.clone()));
    view! {
        <section class="scoreboard" aria-labelledby="scoreboard-heading" data-testid="scoreboard">
            <h2 id="scoreboard-heading" tabindex="-1">"Record of the forecasts"</h2>
            <div class="scoreboard-body" inner_html=move || board.get()></div>
        </section>
    }
    .erased()
}
