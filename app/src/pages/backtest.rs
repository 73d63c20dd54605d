//! The backtest page: what to test, how far it is, what was found.
//!
//! Model: everything chosen is in the address. The forms, the check of what is chosen and the result are markup that the server
//! writes; what runs here sends the form's choice as it is, follows the server's lines, and stops the
//! run when it is asked to, or when the page is left. An address with `run` in it starts at once.
//!
//! What it does not do: keep results; an address makes them again.

use futures::StreamExt;
use leptos::{prelude::*, task::spawn_local};
use leptos_meta::Title;
use leptos_router::{
    NavigateOptions,
    hooks::{use_location, use_navigate},
};
use wasm_bindgen::JsCast;
use web_sys::{Event, FormData, HtmlFormElement, HtmlInputElement, SubmitEvent, UrlSearchParams};

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
                Ok((form, check, result)) => view! { <Bench form check result/> }.erased(),
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
    /// What the choices need and what there is.
    check: RwSignal<String>,
    result: RwSignal<String>,
    /// Fits done, in all, and that in words with how long is left, while it runs.
    progress: RwSignal<Option<(u64, u64, String)>>,
    /// What screen readers are told: not every step.
    status: RwSignal<String>,
    /// The choices that were asked about last.
    asked: StoredValue<String>,
    /// The search that the page shows.
    shown: StoredValue<String>,
    /// The server's number of the run.
    id: StoredValue<Option<u64>>,
    /// Counts runs: one that is not the latest is let go at its next line, its connection closes, and
    /// the server stops it. When the page is left there is no latest one.
    latest: StoredValue<u32>,
}

#[component]
fn Bench(form: String, check: String, result: String) -> impl IntoView {
    let location = use_location();
    let (search, path) = (location.search, location.pathname);
    let run = Run {
        form: RwSignal::new(form),
        check: RwSignal::new(check),
        result: RwSignal::new(result),
        progress: RwSignal::new(None),
        status: RwSignal::new(String::new()),
        asked: StoredValue::new(String::new()),
        shown: StoredValue::new(search.get_untracked()),
        id: StoredValue::new(None),
        latest: StoredValue::new(0),
    };
    Effect::new(move |before: Option<()>| {
        let search = search.get();
        // On the way to another page its address is here before this one is gone.
        let here = path.get_untracked() == "/backtest";
        if here && (before.is_none() || run.shown.get_value() != search) {
            run.show(search, before.is_some());
        }
    });
    let go = use_navigate();
    let on_submit = move |ev: SubmitEvent| {
        let Some((search, find)) = ev.target().and_then(|form| chosen(form.unchecked_ref())) else {
            return;
        };
        ev.prevent_default();
        if !find {
            run.shown.set_value(search.clone());
        }
        let options = NavigateOptions {
            scroll: false,
            ..Default::default()
        };
        go(&format!("/backtest?{search}"), options);
        if !find {
            run.start(search);
        }
    };
    let on_change = move |ev: Event| {
        let field: Option<HtmlInputElement> = ev.target().map(JsCast::unchecked_into);
        if let Some((search, false)) = field
            .and_then(|field| field.form())
            .and_then(|form| chosen(&form))
        {
            run.ask(search, false);
        }
    };
    let running = Memo::new(move |_| run.progress.with(Option::is_some));
    view! {
        <article class="workspace backtest">
            <h1>"Backtest"</h1>
            <p class="lead">
                "How the models would have done: each is fitted to what was known at a moment of the past, \
                forecasts from there, and is judged by what came, again and again. Naive is the yardstick."
            </p>
            <div class="backtest-forms" on:submit=on_submit on:change=on_change inner_html=move || run.form.get()></div>
            <div role="status" inner_html=move || run.check.get()></div>
            <div class="run" role="group" aria-label="Run">
                <p role="status" data-testid="backtest-status">{text(move || run.status.get())}</p>
                {move || running.get().then(|| view! {
                    <progress
                        aria-label="Fits done"
                        max=text(move || run.of_progress(|p| p.1.max(1).to_string()))
                        value=text(move || run.of_progress(|p| p.0.to_string()))
                    ></progress>
                    <span data-testid="backtest-progress">{text(move || run.of_progress(|p| p.2.clone()))}</span>
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

/// What a form would send, and whether it looks for symbols. Such a form sends what the other one has
/// chosen by now, and what to look for.
fn chosen(form: &HtmlFormElement) -> Option<(String, bool)> {
    if !form.has_attribute("data-find") {
        return Some((format!("{}&{RUN}", pairs(form)?), false));
    }
    let other = document().query_selector("[data-testid=backtest-form]");
    let other = other.ok().flatten();
    let chosen = other.and_then(|form| pairs(form.unchecked_ref()));
    let sought = FormData::new_with_form(form)
        .ok()?
        .get("find_symbol")
        .as_string()?;
    let sought = js_sys::encode_uri_component(&sought);
    Some((
        format!("{}&find_symbol={}", chosen?, String::from(sought)),
        true,
    ))
}

fn pairs(form: &HtmlFormElement) -> Option<String> {
    let data = FormData::new_with_form(form).ok()?;
    let pairs = UrlSearchParams::new_with_str_sequence_sequence(&data).ok()?;
    Some(String::from(pairs.to_string()))
}

impl Run {
    /// Shows an address that was gone to: its form, and its run where it asks for one.
    fn show(self, search: String, form_too: bool) {
        self.shown.set_value(search.clone());
        if form_too {
            self.let_go();
            self.result.set(String::new());
            self.status.set(String::new());
            self.ask(search.clone(), true);
        }
        if search.contains(RUN) {
            self.start(search);
        }
    }

    /// Asks for the page of these choices: for their form and what comes with it, or only whether they can
    /// be tested. An answer to older ones comes too late.
    fn ask(self, search: String, form_too: bool) {
        self.asked.set_value(search.clone());
        spawn_local(async move {
            if let Ok((form, check, result)) = functions::backtest_page(search.clone()).await
                && self.asked.try_get_value() == Some(search)
            {
                self.check.set(check);
                if form_too {
                    self.form.set(form);
                    if !result.is_empty() {
                        self.result.set(result);
                    }
                }
            }
        });
    }

    /// Starts a run and follows it.
    fn start(self, search: String) {
        let number = self.let_go();
        self.result.set(String::new());
        self.status.set("Running…".to_owned());
        self.progress.set(Some((0, 1, String::new())));
        spawn_local(async move {
            let end = match functions::backtest(search).await {
                Ok(stream) => self.follow(stream.into_inner(), number).await,
                Err(error) => Some(Line::Failed(error.detail)),
            };
            if self.is_latest(number) {
                self.end(end);
            }
        });
    }

    /// Reads lines up to the last one; `None` when the stream breaks off before it, or the run was
    /// let go.
    async fn follow(
        self,
        stream: impl futures::Stream<Item = Result<String, crate::api::ApiError>>,
        number: Option<u32>,
    ) -> Option<Line> {
        let mut stream = std::pin::pin!(stream);
        let mut read = String::new();
        while let Some(Ok(chunk)) = stream.next().await {
            if !self.is_latest(number) {
                return None;
            }
            read.push_str(&chunk);
            while let Some(end) = read.find('\n') {
                let line: String = read.drain(..=end).collect();
                match Line::read(line.trim_end()) {
                    Some(Line::Begun(id)) => self.id.set_value(Some(id)),
                    Some(Line::Progress(done, all, words)) => {
                        self.progress.set(Some((done, all, words)));
                    }
                    Some(line) => return Some(line),
                    None => {}
                }
            }
        }
        None
    }

    fn of_progress(self, read: impl Fn(&(u64, u64, String)) -> String) -> String {
        self.progress
            .with(|p| p.as_ref().map(read))
            .unwrap_or_default()
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
                    let asked = self.latest.try_get_value();
                    let stopping = functions::stop_backtest(id).await == Ok(true);
                    // Behind a load balancer another process may have answered: that nobody follows it any
                    // more stops a run wherever it is.
                    if !stopping && self.is_latest(asked) {
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

    /// Lets go of a run that is followed; returns the number of the next one.
    fn let_go(self) -> Option<u32> {
        self.id.try_set_value(None);
        self.progress.try_set(None);
        self.latest.try_update_value(|n| {
            *n += 1;
            *n
        })
    }

    fn is_latest(self, number: Option<u32>) -> bool {
        number.is_some() && self.latest.try_get_value() == number
    }
}
