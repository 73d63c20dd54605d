//! The Pipeline page: how the stages of this process stand, and what was put aside and why.
//!
//! Model: the server writes the board (`api/board.rs`), for the first page and then every two seconds
//! while it is looked at; what of it has changed is put in. What is listed, and what a replay did,
//! stands in the address, and the forms are plain ones: without wasm the page is the same, and stands
//! still.

use std::time::Duration;

use leptos::{html, prelude::*, task::spawn_local};
use leptos_meta::Title;
use leptos_router::hooks::use_location;
use wasm_bindgen::JsCast;

use crate::{
    api::{codec::JsonBytes, functions, pipeline::PipelineBoard},
    components::problem::Problem,
    erase::{Erase, later, word},
};

/// How often the page asks again.
const ASK_EVERY: Duration = Duration::from_secs(2);

/// Waits for the first board; later ones take its place.
#[component]
pub fn PipelinePage() -> impl IntoView {
    let search = use_location().search;
    let first = functions::pipeline(search.get_untracked());
    let first = OnceResource::<_, JsonBytes>::new_with_options(first, false);
    view! {
        <Title text="Pipeline · Tickcast"/>
        {later("Loading the pipeline…", move || Box::pin(async move {
            match first.await {
                Ok(first) => view! { <Board first search/> }.erased(),
                Err(error) => view! {
                    <Problem title="The pipeline cannot be shown" detail=error.detail/>
                }
                .erased(),
            }
        }))}
    }
    .erased()
}

/// The two parts of the board, and that they are old when they are.
#[component]
fn Board(first: PipelineBoard, search: Memo<String>) -> impl IntoView {
    let problem = RwSignal::new(String::new());
    let places = (NodeRef::new(), NodeRef::new());
    let hidden = word(move || problem.with(String::is_empty).then_some(""));
    let shown = StoredValue::new(first.clone());
    keep_fresh(shown, problem, search, places);
    view! {
        <article class="pipeline" data-testid="pipeline">
            <h1>"Pipeline"</h1>
            <p class="outcome wrong" role="status" data-testid="pipeline-problem" hidden=hidden>
                {problem}
            </p>
            <div class="board" node_ref=places.0 inner_html=first.stages></div>
            <div class="board" node_ref=places.1 inner_html=first.letters></div>
        </article>
    }
    .erased()
}

/// Asks again and again, and at once when the address has changed. A hidden page rests, and an
/// answer that is slow is waited for.
fn keep_fresh(
    shown: StoredValue<PipelineBoard>,
    problem: RwSignal<String>,
    search: Memo<String>,
    (stages, letters): (NodeRef<html::Div>, NodeRef<html::Div>),
) {
    let waits = StoredValue::new(None::<String>);
    let ask = move || {
        let asked = Some(search.get_untracked());
        if waits.get_value() == asked {
            return;
        }
        waits.set_value(asked.clone());
        spawn_local(async move {
            let answer = functions::pipeline(asked.clone().unwrap_or_default()).await;
            // The page may be gone, and an answer to an older question comes too late.
            if waits.try_get_value() != Some(asked) {
                return;
            }
            waits.set_value(None);
            match answer {
                Ok(fresh) => {
                    problem.set(String::new());
                    let before = shown.get_value();
                    put(stages, &before.stages, &fresh.stages);
                    put(letters, &before.letters, &fresh.letters);
                    shown.set_value(fresh);
                }
                Err(error) => problem.set(format!("Not up to date: {}.", error.detail)),
            }
        });
    };
    Effect::new(move |before: Option<()>| {
        search.with(|_| ());
        if before.is_some() {
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

/// Puts what has changed in its place; the focus stays where it was.
fn put(place: NodeRef<html::Div>, before: &str, now: &str) {
    let Some(place) = place.get_untracked().filter(|_| before != now) else {
        return;
    };
    let focused = document().active_element().map(|element| element.id());
    place.set_inner_html(now);
    let lost = focused
        .filter(|id| !id.is_empty())
        .and_then(|id| document().get_element_by_id(&id));
    if let Some(element) = lost {
        // No effect where it has not lost the focus.
        let _ = element.unchecked_into::<web_sys::HtmlElement>().focus();
    }
}
