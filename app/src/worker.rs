//! The page's side of the forecasting worker (its messages: `frontend/worker/main.ts`).
//!
//! Model: a page that may have to do without its server calls [`keep`] while it has one; that starts
//! the page's one worker, whose download is no part of the page's, and lets it fetch the chart and the states that
//! the server forecasts by. From then on it is told what the sockets bring ([`heard`]). One question is under way at a
//! time: a second one is refused until the first is answered. A worker that failed is let go of, and
//! the next question starts another.
//!
//! What it does not do: choose a model, or draw.

use std::{
    cell::{Cell, RefCell},
    collections::BTreeMap,
    rc::Rc,
};

use serde::{Deserialize, Serialize};
use wasm_bindgen::{JsCast, JsValue, prelude::Closure};
use web_sys::{MessageEvent, Worker, WorkerOptions, WorkerType};

use crate::query::{ChartQuery, root_attribute};

const SCRIPT: &str = "/worker/main.js";

/// What is asked of the worker.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Question {
    /// The series, oldest first.
    pub values: Vec<f64>,
    /// The model by name.
    pub model: String,
    /// Steps to forecast.
    pub horizon: u32,
    /// Steps in a season.
    pub season: usize,
    /// Whether logarithms are fitted.
    pub log: bool,
    /// The series by name: a state that is kept of it forecasts.
    pub series: String,
    /// The start of each value, in microseconds.
    pub starts: Vec<i64>,
}

/// A chart with the states of its models to keep, for the time without a server.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Keep {
    /// The series by name.
    pub series: String,
    /// The model by name.
    pub model: String,
    /// The chart.
    pub query: ChartQuery,
}

#[derive(Serialize)]
struct KeepMessage<'a> {
    keep: &'a Keep,
}

/// What the page shows of the worker's answer, which is the command line's JSON.
#[derive(Clone, Debug, PartialEq, Deserialize)]
pub struct Answer {
    /// The model fitted, with the orders chosen.
    pub model: String,
    /// Point forecasts; one per step.
    pub mean: Vec<f64>,
    /// Lower bounds by level in percent.
    pub lower: BTreeMap<String, Vec<f64>>,
    /// Upper bounds by level in percent.
    pub upper: BTreeMap<String, Vec<f64>>,
    /// Seconds of fit and forecast.
    pub seconds: f64,
    /// Whether a state of the server made it.
    #[serde(skip)]
    pub served: bool,
}

#[derive(Deserialize)]
struct Reply {
    #[serde(default)]
    served: bool,
    answer: Option<Answer>,
    error: Option<Refusal>,
}

#[derive(Deserialize)]
struct Refusal {
    kind: String,
    message: String,
}

type Then = Box<dyn FnOnce(Result<Answer, String>)>;

#[derive(Default)]
struct Inner {
    running: RefCell<Option<Running>>,
    asked: Cell<Option<Then>>,
}

/// A worker with the closures that the browser calls.
struct Running {
    worker: Worker,
    _message: Closure<dyn FnMut(MessageEvent)>,
    _failure: Closure<dyn FnMut()>,
}

impl Drop for Running {
    fn drop(&mut self) {
        self.worker.terminate();
    }
}

thread_local! {
    /// The page's, whichever chart it shows. On the server nothing asks.
    static FORECASTER: Forecaster = Forecaster::default();
}

/// Lets the worker fetch a state and keep it. Where it cannot, it forecasts by a fit of its own.
pub fn keep(keep: &Keep) {
    FORECASTER.with(|forecaster| {
        let _ = forecaster.send(&KeepMessage { keep });
    });
}

/// Passes on what a socket has brought, to the chart that is kept.
pub fn heard(text: &str) {
    FORECASTER.with(|forecaster| {
        if let Some(running) = forecaster.0.running.borrow().as_ref() {
            let _ = running.worker.post_message(&text.into());
        }
    });
}

/// Asks; `then` is called once, with the answer or with why there is none.
pub fn ask(question: &Question, then: impl FnOnce(Result<Answer, String>) + 'static) {
    FORECASTER.with(|forecaster| forecaster.ask(question, Box::new(then)));
}

#[derive(Clone, Default)]
struct Forecaster(Rc<Inner>);

impl Forecaster {
    fn load(&self) -> Result<(), JsValue> {
        if self.0.running.borrow().is_some() {
            return Ok(());
        }
        let options = WorkerOptions::new();
        options.set_type(WorkerType::Module);
        let script = SCRIPT.to_owned() + "?b=" + &root_attribute("data-build").unwrap_or_default();
        let worker = Worker::new_with_options(&script, &options)?;
        let this = self.clone();
        let message = Closure::<dyn FnMut(MessageEvent)>::new(move |event: MessageEvent| {
            this.replied(&event.data());
        });
        let this = self.clone();
        let failure = Closure::<dyn FnMut()>::new(move || {
            this.failed("the forecasting worker could not be loaded".to_owned());
        });
        worker.set_onmessage(Some(message.as_ref().unchecked_ref()));
        worker.set_onerror(Some(failure.as_ref().unchecked_ref()));
        *self.0.running.borrow_mut() = Some(Running {
            worker,
            _message: message,
            _failure: failure,
        });
        Ok(())
    }

    fn ask(&self, question: &Question, then: Then) {
        if let Some(before) = self.0.asked.take() {
            self.0.asked.set(Some(before));
            return then(Err("a forecast is being made".to_owned()));
        }
        self.0.asked.set(Some(then));
        if self.send(question).is_err() {
            self.failed("this browser runs no such worker".to_owned());
        }
    }

    fn send(&self, message: &impl Serialize) -> Result<(), JsValue> {
        self.load()?;
        let text = serde_json::to_string(message).map_err(|e| e.to_string())?;
        let message = js_sys::JSON::parse(&text)?;
        match self.0.running.borrow().as_ref() {
            Some(running) => running.worker.post_message(&message),
            None => Err(JsValue::NULL),
        }
    }

    fn replied(&self, data: &JsValue) {
        let text = js_sys::JSON::stringify(data)
            .ok()
            .and_then(|text| text.as_string())
            .unwrap_or_default();
        // From bytes, as everything else: another way of reading is another copy of the code.
        match serde_json::from_slice(text.as_bytes()) {
            Ok(Reply {
                served,
                answer: Some(answer),
                ..
            }) => self.tell(Ok(Answer { served, ..answer })),
            Ok(Reply {
                error: Some(Refusal { kind, message }),
                ..
            }) if kind != "internal" && kind != "unavailable" => self.tell(Err(message)),
            Ok(Reply {
                error: Some(Refusal { message, .. }),
                ..
            }) => self.failed(message),
            _ => self.failed("the forecasting worker's answer cannot be read".to_owned()),
        }
    }

    /// Lets go of a worker that is of no more use.
    fn failed(&self, why: String) {
        // Not before the browser has left the closure that says so: it belongs to what goes.
        if let Some(gone) = self.0.running.borrow_mut().take() {
            leptos::prelude::queue_microtask(move || drop(gone));
        }
        self.tell(Err(why));
    }

    fn tell(&self, outcome: Result<Answer, String>) {
        if let Some(then) = self.0.asked.take() {
            then(outcome);
        }
    }
}
