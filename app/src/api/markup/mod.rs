//! Parts of pages that the server writes out and the browser only puts in place: their code and
//! their drawings are then no part of the wasm download.
//!
//! Model: an ordinary view, rendered to a string, ASCII alone, so that it can be streamed.
//!
//! What it does not do: react to anything; what a visitor can do in them is plain HTML, or heard by
//! the component around it.

pub mod backtest_form;
pub mod backtest_report;
pub mod fit;
mod model_name;
pub mod numbers;
pub mod record;
mod verdict;

use leptos::prelude::*;

/// Writes a view out.
fn markup(view: impl IntoView) -> String {
    ascii(&view.into_view().to_html())
}

/// A problem in words, where a part of a page should be.
pub fn problem(what: &str, why: &str) -> String {
    let text = format!("{what}: {why}.");
    markup(view! { <p class="warning" role="alert">{text}</p> })
}

/// Writes what is not ASCII as character references, which text and attributes both take.
fn ascii(html: &str) -> String {
    let mut text = String::with_capacity(html.len());
    for c in html.chars() {
        if c.is_ascii() {
            text.push(c);
        } else {
            text += &format!("&#{};", u32::from(c));
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn markup_is_ascii_and_escaped() {
        let text = "a<b – c";
        assert_eq!(markup(view! { <p>{text}</p> }), "<p>a&lt;b &#8211; c</p>");
    }
}
