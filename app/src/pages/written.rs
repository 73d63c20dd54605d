//! The pages that the server writes: Pipeline, Models, Training and Scoreboard.
//!
//! Model: the address says what is shown. The server writes it for the first page, and again every two seconds while it
//! is looked at; what of it has changed is put in. Forms are plain ones: without wasm the pages are the same, and
//! stand still. They are asked for and not streamed: a worker says how far it is every few seconds, in the store and
//! from whichever process, so that a stream would have to ask there too, and each open tab would hold one of the six
//! connections that a browser opens to a server.

use std::time::Duration;

use leptos::{html, prelude::*, task::spawn_local};
use leptos_meta::Title;
use leptos_router::hooks::use_location;
use wasm_bindgen::JsCast;

use crate::{
    api::{codec::JsonBytes, functions, written::Written},
    components::problem::Problem,
    erase::{Erase, later, text, word},
};

/// How often the page asks again.
const ASK_EVERY: Duration = Duration::from_secs(2);

/// Waits for the first answer; later ones take its place.
#[component]
pub fn WrittenPage() -> impl IntoView {
    let location = use_location();
    let (path, search) = (location.pathname, location.search);
    let first = functions::page(path.get_untracked(), search.get_untracked(), String::new());
    let first = OnceResource::<_, JsonBytes>::new_with_options(first, false);
    later("Loading…", move || {
        Box::pin(async move {
            match first.await {
                Ok(first) => view! { <Page first path search/> }.erased(),
                Err(error) => view! {
                    <Title text="Tickcast"/>
                    <Problem title="The page cannot be shown" detail=error.detail/>
                }
                .erased(),
            }
        })
    })
}

/// The page, and that it is old when it is.
#[component]
fn Page(first: Written, path: Memo<String>, search: Memo<String>) -> impl IntoView {
    let problem = RwSignal::new(String::new());
    let title = RwSignal::new(first.title.clone());
    let place = NodeRef::new();
    let hidden = word(move || problem.with(String::is_empty).then_some(""));
    let html = first.html();
    keep_fresh(first, (problem, title), (path, search), place);
    view! {
        <Title text=text(move || title.get() + " · Tickcast")/>
        <article class="written" data-testid="written">
            <p class="outcome wrong" role="status" data-testid="page-problem" hidden=hidden>
                {problem}
            </p>
            <div class="boards" node_ref=place inner_html=html></div>
        </article>
    }
    .erased()
}

/// Asks at once, again and again, and when the address has changed. A hidden page rests, and an answer that is slow
/// is waited for.
fn keep_fresh(
    first: Written,
    (problem, title): (RwSignal<String>, RwSignal<String>),
    (path, search): (Memo<String>, Memo<String>),
    place: NodeRef<html::Div>,
) {
    let here = StoredValue::new(path.get_untracked());
    let shown = StoredValue::new(first);
    let waits = StoredValue::new(None::<String>);
    let ask = move || {
        let asked = Some(search.get_untracked());
        if waits.get_value() == asked {
            return;
        }
        waits.set_value(asked.clone());
        spawn_local(async move {
            let search = asked.clone().unwrap_or_default();
            let answer = functions::page(here.get_value(), search, zone()).await;
            // The page may be gone, and an answer to an older question comes too late.
            if waits.try_get_value() != Some(asked) {
                return;
            }
            waits.set_value(None);
            match answer {
                Ok(fresh) => {
                    problem.set(String::new());
                    title.set(fresh.title.clone());
                    put(place, &shown.get_value(), &fresh);
                    shown.set_value(fresh);
                }
                Err(error) => problem.set(format!("Not up to date: {}.", error.detail)),
            }
        });
    };
    Effect::new(move || {
        search.with(|_| ());
        // On the way to another page its address is here before this one is gone.
        if path.get_untracked() == here.get_value() {
            ask();
        }
    });
    Effect::new(move |_| {
        let asking = set_interval_with_handle(
            move || {
                if !document().hidden() {
                    ask();
                }
            },
            ASK_EVERY,
        );
        if let Ok(asking) = asking {
            on_cleanup(move || asking.clear());
        }
    });
}

/// The reader's time zone.
fn zone() -> String {
    let none = js_sys::Array::new();
    let options =
        js_sys::Intl::DateTimeFormat::new(&none, &js_sys::Object::new()).resolved_options();
    let zone = js_sys::Reflect::get(&options, &"timeZone".into()).ok();
    zone.and_then(|zone| zone.as_string()).unwrap_or_default()
}

/// Puts what has changed in its place; the focus stays where it was.
fn put(place: NodeRef<html::Div>, before: &Written, now: &Written) {
    let Some(place) = place.get_untracked() else {
        return;
    };
    let focused = document().active_element().map(|element| element.id());
    if before.parts.len() == now.parts.len() {
        let mut part = place.first_element_child();
        for (before, now) in before.parts.iter().zip(&now.parts) {
            let Some(element) = part else { break };
            if before != now {
                element.set_inner_html(now);
            }
            part = element.next_element_sibling();
        }
    } else {
        place.set_inner_html(&now.html());
    }
    let lost = focused
        .filter(|id| !id.is_empty())
        .and_then(|id| document().get_element_by_id(&id));
    if let Some(element) = lost {
        // No effect where it has not lost the focus.
        let _ = element.unchecked_into::<web_sys::HtmlElement>().focus();
    }
}
