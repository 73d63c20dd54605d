//! The button that goes from the system's theme to light to dark.

use leptos::prelude::*;

use crate::{
    erase::{Erase, text},
    theme::ThemeSwitch,
};

/// The button; of no use without scripts, and so not shown.
#[component]
pub fn ThemeToggle() -> impl IntoView {
    let theme: ThemeSwitch = expect_context();
    view! {
        <button
            type="button"
            class="quiet js-only"
            data-testid="theme-toggle"
            on:click=move |_| theme.next()
        >
            <span class="theme-icon" aria-hidden="true"></span>
            <span class="hidden">"Theme: "</span>
            {text(move || theme.choice.get().to_owned())}
        </button>
    }
    .erased()
}
