//! The backtest page: what to test, how far it is, what was found.
//!
//! Model: everything chosen is in the address. The form and the result are markup that the server
//! writes; what runs here sends the form's choice as it is, follows the server's lines, and stops the
//! run when it is asked to, or when the page is left. An address with `run` in it starts at once.
//!
//! What it does not do: keep results; an address makes them again.

use futures::{
    StreamExt,
    future::{AbortHandle, abortable},
};
use leptos::{prelude::*, task::spawn_local};
use leptos_meta::Title;
use leptos_router::{
    NavigateOptions,
    hooks::{use_location, use_navigate},
};
use wasm_bindgen::JsCast;
use web_sys::{FormData, HtmlFormElement, SubmitEvent, UrlSearchParams};

use crate::{
    api::{backtest_line::Line, codec::JsonBytes, functions},
    components::problem::Problem,
    erase::{Erase, later, text},
};

/// Starts the run when the page opens.
const RUN: &str = "run=1";

/// The page.
#[component]
pub fn BacktestPage() -> impl IntoView {
    let search = use_location().search.get_untracked();
    let first = functions::backtest_page(search);
    let first = OnceResource::<_, JsonBytes>::new_with_options(first, false);
    view! {
        <Title text="Backtest · Tickcast"/>
        {later("Loading…", move || Box::pin(async move {
            match first.await {
                Ok((form, result)) => view! { <Bench form result/> }.erased(),
                Err(error) => view! {
                    <Problem title="The backtest cannot be set up" detail=error.detail/>
                }
                .erased(),
            }
        }))}
    }
    .erased()
}

/// A run as the page shows it.
#[derive(Clone, Copy)]
struct Run {
    form: RwSignal<String>,
    result: RwSignal<String>,
    /// Fits done and in all, while it runs.
    progress: RwSignal<Option<(u64, u64)>>,
    status: RwSignal<String>,
    /// The search that the page shows.
    shown: StoredValue<String>,
    /// The server's number of the run.
    id: StoredValue<Option<u64>>,
    following: StoredValue<Option<AbortHandle>>,
}

#[component]
fn Bench(form: String, result: String) -> impl IntoView {
    let search = use_location().search;
    let run = Run {
        form: RwSignal::new(form),
        result: RwSignal::new(result),
        progress: RwSignal::new(None),
        status: RwSignal::new(String::new()),
        shown: StoredValue::new(search.get_untracked()),
        id: StoredValue::new(None),
        following: StoredValue::new(None),
    };
    Effect::new(move |before: Option<()>| {
        let search = search.get();
        if before.is_none() || run.shown.get_value() != search {
            run.show(search, before.is_some());
        }
    });
    on_cleanup(move || run.let_go());
    let go = use_navigate();
    let on_submit = move |ev: SubmitEvent| {
        let Some(search) = ev.target().and_then(|form| chosen(form.unchecked_ref())) else {
            return;
        };
        ev.prevent_default();
        run.shown.set_value(search.clone());
        let options = NavigateOptions {
            scroll: false,
            ..Default::default()
        };
        go(&format!("/backtest?{search}"), options);
        run.start(search);
    };
    let running = Memo::new(move |_| run.progress.with(Option::is_some));
    view! {
        <article class="workspace backtest">
            <h1>"Backtest"</h1>
            <p class="lead">
                "How the models would have done: each is fitted to what was known at a moment of the past, \
                forecasts from there, and is judged by what came, again and again. Naive is the yardstick."
            </p>
            <div on:submit=on_submit inner_html=move || run.form.get()></div>
            <div class="run" role="group" aria-label="Run">
                <p role="status" data-testid="backtest-status">{text(move || run.status.get())}</p>
                {move || running.get().then(|| view! {
                    <progress
                        aria-label="Fits done"
                        max=text(move || run.progress.get().map_or(1, |p| p.1.max(1)).to_string())
                        value=text(move || run.progress.get().map_or(0, |p| p.0).to_string())
                    ></progress>
                    <button type="button" data-testid="backtest-cancel" on:click=move |_| run.stop()>
                        "Cancel"
                    </button>
                })}
            </div>
            <section
                class="backtest-result"
                aria-labelledby="backtest-result-heading"
                data-testid="backtest-result"
                inner_html=move || run.result.get()
            ></section>
        </article>
    }
    .erased()
}

/// What a form would send.
fn chosen(form: &HtmlFormElement) -> Option<String> {
    let data = FormData::new_with_form(form).ok()?;
    let pairs = UrlSearchParams::new_with_str_sequence_sequence(&data).ok()?;
    Some(format!("{}&{RUN}", String::from(pairs.to_string())))
}

impl Run {
    /// Shows an address that was gone to: its form, and its run where it asks for one.
    fn show(self, search: String, form_too: bool) {
        self.shown.set_value(search.clone());
        if form_too {
            self.let_go();
            self.result.set(String::new());
            let asked = search.clone();
            spawn_local(async move {
                if let Ok((form, result)) = functions::backtest_page(asked.clone()).await
                    && self.shown.try_get_value() == Some(asked)
                {
                    self.form.set(form);
                    if !result.is_empty() {
                        self.result.set(result);
                    }
                }
            });
        }
        if search.contains(RUN) {
            self.start(search);
        }
    }

    /// Starts a run and follows it.
    fn start(self, search: String) {
        self.let_go();
        self.result.set(String::new());
        self.status.set("Starting…".to_owned());
        self.progress.set(Some((0, 1)));
        let (follow, handle) = abortable(async move {
            let end = match functions::backtest(search).await {
                Ok(stream) => self.follow(stream.into_inner()).await,
                Err(error) => Some(Line::Failed(error.detail)),
            };
            self.end(end);
        });
        self.following.set_value(Some(handle));
        spawn_local(async move {
            // A run that was let go has nothing more to show.
            let _ = follow.await;
        });
    }

    /// Reads lines up to the last one; `None` when the stream breaks off before it.
    async fn follow(
        self,
        stream: impl futures::Stream<Item = Result<String, crate::api::ApiError>>,
    ) -> Option<Line> {
        let mut stream = std::pin::pin!(stream);
        let mut read = String::new();
        while let Some(Ok(chunk)) = stream.next().await {
            read.push_str(&chunk);
            while let Some(end) = read.find('\n') {
                let line: String = read.drain(..=end).collect();
                match Line::read(line.trim_end()) {
                    Some(Line::Begun(id)) => self.id.set_value(Some(id)),
                    Some(Line::Progress(done, all, symbol)) => {
                        self.progress.set(Some((done, all)));
                        self.status
                            .set(format!("{symbol}: {done} of {all} fits done"));
                    }
                    Some(line) => return Some(line),
                    None => {}
                }
            }
        }
        None
    }

    fn end(self, line: Option<Line>) {
        self.progress.set(None);
        self.id.set_value(None);
        let status = match line {
            Some(Line::Finished(markup)) => {
                self.result.set(markup);
                "Done.".to_owned()
            }
            Some(Line::Failed(why)) => format!("There is no result: {why}."),
            Some(_) => "Cancelled.".to_owned(),
            None => "There is no result: the connection to the server broke.".to_owned(),
        };
        self.status.set(status);
    }

    /// Asks the server to stop; the last line says when it has.
    fn stop(self) {
        match self.id.get_value() {
            Some(id) => {
                self.status.set("Cancelling…".to_owned());
                spawn_local(async move {
                    if functions::stop_backtest(id).await.is_err() {
                        self.let_go();
                        self.end(Some(Line::Stopped));
                    }
                });
            }
            None => {
                self.let_go();
                self.end(Some(Line::Stopped));
            }
        }
    }

    /// Stops following: the connection closes, and the server stops a run that nobody follows.
    fn let_go(self) {
        let handle = self.following.try_update_value(Option::take).flatten();
        if let Some(handle) = handle {
            handle.abort();
        }
        self.id.try_set_value(None);
    }
}
