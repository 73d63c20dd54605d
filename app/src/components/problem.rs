//! What a page says when it has nothing to show.

use leptos::prelude::*;
use leptos_meta::Title;
use market::ErrorKind;

use crate::{
    Overview,
    api::ApiError,
    erase::{Erase, later},
    query::symbol_url,
};

/// What is wrong, with a way on.
#[component]
pub fn Problem(title: &'static str, #[prop(into)] detail: String) -> impl IntoView {
    view! {
        <article class="problem">
            <h1>{title}</h1>
            <p role="alert">{detail}</p>
            <p><a href="/">"Go to the first chart"</a></p>
        </article>
    }
    .erased()
}

/// A chart that cannot be shown, with links to those that can.
#[component]
pub fn UnknownSymbol(error: ApiError) -> impl IntoView {
    let overview: Overview = expect_context();
    let title = match error.kind {
        ErrorKind::NotFound => "No such symbol",
        ErrorKind::Unavailable | ErrorKind::Timeout => "The server does not answer",
        _ => "The chart cannot be shown",
    };
    view! {
        <Title text=format!("{title} · Tickcast")/>
        <article class="problem" data-testid="problem">
            <h1>{title}</h1>
            <p role="alert">{error.detail}</p>
            {later("", move || Box::pin(async move {
                let symbols = overview.await.map(|(_, list)| list.rows).unwrap_or_default();
                let links: Vec<_> = symbols
                    .into_iter()
                    .map(|s| view! {
                        <li><a href=symbol_url(&s.symbol)>{s.symbol.to_string()}</a></li>
                    })
                    .collect();
                view! { <p>"Go on to:"</p> <ul class="links">{links}</ul> }.erased()
            }))}
        </article>
    }
    .erased()
}
