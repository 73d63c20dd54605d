//! What the fit of the model chosen found: written out by the server, put in place here.

use leptos::prelude::*;

use crate::{chart_state::ChartState, erase::Erase};

/// The panel below the chart.
#[component]
pub fn FitPanel(state: ChartState) -> impl IntoView {
    view! {
        <section
            class="fit"
            aria-labelledby="fit-heading"
            data-testid="fit"
            hidden=move || state.fit.with(String::is_empty)
        >
            <h2 id="fit-heading">"Fit"</h2>
            <div class="fit-body" inner_html=move || state.fit.get()></div>
        </section>
    }
    .erased()
}
