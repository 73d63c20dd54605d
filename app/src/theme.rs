//! Light, dark, or as the system has it: chosen by a button, remembered in the browser.
//!
//! Model: the choice is `data-theme` on `<html>`, absent for the system's. [`FIRST_SCRIPT`] sets it
//! before anything is painted; the style sheet does the rest, for the server's SVG too. Only the
//! canvas needs to be told ([`ThemeSwitch::changes`]).

use chart::Theme;
use leptos::prelude::*;
use wasm_bindgen::{JsCast, prelude::Closure};

const KEY: &str = "tickcast-theme";
const DARK_SYSTEM: &str = "(prefers-color-scheme: dark)";

/// Runs in the head: marks that scripts run, and sets the theme that was chosen before.
pub const FIRST_SCRIPT: &str = "(function(d){d.classList.add('js');try{var t=localStorage.getItem('tickcast-theme');if(t==='light'||t==='dark')d.dataset.theme=t}catch(e){}})(document.documentElement)";

/// The choices, in the order of the button.
const CHOICES: [&str; 3] = ["auto", "light", "dark"];

/// The choice of theme.
#[derive(Clone, Copy)]
pub struct ThemeSwitch {
    /// `auto`, `light` or `dark`; `auto` until the page is hydrated.
    pub choice: RwSignal<&'static str>,
    /// Counts changes of the colours shown.
    pub changes: RwSignal<u32>,
}

impl ThemeSwitch {
    /// As the system has it.
    pub fn new() -> Self {
        Self {
            choice: RwSignal::new(CHOICES[0]),
            changes: RwSignal::new(0),
        }
    }

    /// Reads what was chosen before and follows the system. To be called once, in an effect.
    pub fn follow(self) {
        let stored = window()
            .local_storage()
            .ok()
            .flatten()
            .and_then(|s| s.get_item(KEY).ok()?);
        if let Some(choice) = CHOICES.into_iter().find(|c| stored.as_deref() == Some(*c)) {
            self.choice.set(choice);
        }
        if let Ok(Some(system)) = window().match_media(DARK_SYSTEM) {
            let changed = Closure::<dyn FnMut()>::new(move || self.changes.update(|n| *n += 1));
            system.set_onchange(Some(changed.as_ref().unchecked_ref()));
            // For as long as the page is open.
            changed.forget();
            std::mem::forget(system);
        }
    }

    /// Goes on to the next choice.
    pub fn next(self) {
        let at = CHOICES
            .iter()
            .position(|c| *c == self.choice.get_untracked())
            .unwrap_or(0);
        let choice = CHOICES[(at + 1) % CHOICES.len()];
        self.choice.set(choice);
        if let Some(root) = document().document_element() {
            // An attribute of a fixed name and text is never refused.
            let _ = match choice {
                "auto" => root.remove_attribute("data-theme"),
                _ => root.set_attribute("data-theme", choice),
            };
        }
        if let Ok(Some(storage)) = window().local_storage() {
            // A browser that forbids storage forgets the choice with the page.
            let _ = storage.set_item(KEY, choice);
        }
        self.changes.update(|n| *n += 1);
    }

    /// The colours that the page shows now. In the browser only.
    pub fn shown() -> Theme {
        let chosen = document()
            .document_element()
            .and_then(|e| e.get_attribute("data-theme"));
        let dark = match chosen.as_deref() {
            Some(choice) => choice == "dark",
            None => window()
                .match_media(DARK_SYSTEM)
                .ok()
                .flatten()
                .is_some_and(|m| m.matches()),
        };
        if dark { Theme::Dark } else { Theme::Light }
    }
}

impl Default for ThemeSwitch {
    fn default() -> Self {
        Self::new()
    }
}
