//! The wasm entry: makes the page that the server sent live.
//!
//! What it does not do: anything of its own; the app is in `app`.

// The layout of a page's view is computed through the types of everything in it.
#![recursion_limit = "256"]

use wasm_bindgen::prelude::wasm_bindgen;

/// Called by the page's script when the wasm is loaded.
#[wasm_bindgen]
pub fn hydrate() {
    console_error_panic_hook::set_once();
    leptos::mount::hydrate_body(app::App);
}

/// The same for a page that no server has written: the app draws itself into its empty body.
#[wasm_bindgen]
pub fn mount() {
    console_error_panic_hook::set_once();
    leptos::mount::mount_to_body(app::App);
}
