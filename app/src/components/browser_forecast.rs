//! Forecasts of the bars on the screen, made in the browser while the server is away.
//!
//! Model: the panel is there from the moment that the connection is stale or offline until the
//! server's own fan is back on the chart. Its fan takes the place of the last one on the chart and is
//! marked as made here. It is the fan that the server would make of the same bars: the same code,
//! season and logarithms. The worker is fetched while the server still answers, but only once the
//! page has been live for a while, so that it is in nobody's first download.
//!
//! What it does not do: keep or judge its forecasts; the ledger is the server's.

use std::time::Duration;

use leptos::prelude::*;
use market::{Band, Bar, Fan, Interval, MAX_CARRIED_BARS, Timestamp, timed_closes};

use crate::{
    api::chart_page::ChartData,
    chart_state::ChartState,
    erase::{Erase, text},
    format,
    live::{Connection, Live},
    worker::{self, Answer, Keep, Question},
};

/// A page that was live for this long is worth the worker's download.
const WORKER_AFTER: Duration = Duration::from_secs(4);

/// The panel above the chart.
#[component]
pub fn BrowserForecast(state: ChartState, models: StoredValue<Vec<String>>) -> impl IntoView {
    let live: Live = expect_context();
    // The fan that this panel put on the chart, and what there is to say of it.
    let own = RwSignal::new(None::<Fan>);
    let said = RwSignal::new(String::new());
    let busy = RwSignal::new(false);
    let chosen = RwSignal::new(None::<String>);

    let connection = live.connection;
    let away =
        Memo::new(move |_| matches!(connection.get(), Connection::Stale | Connection::Offline));
    keep_state(state, connection);
    let ours =
        Memo::new(move |_| own.with(|own| own.is_some() && state.data.with(|d| d.fan == *own)));
    let shown = Memo::new(move |_| away.get() || ours.get());

    let model = Memo::new(move |_| {
        chosen
            .get()
            .unwrap_or_else(|| state.data.with(|d| d.query.model.clone()))
    });
    let ask = move |_| {
        let Some((question, last, interval)) = state
            .data
            .with_untracked(|data| question(data, model.get_untracked()))
        else {
            said.set("There are too few bars to forecast from.".to_owned());
            return;
        };
        busy.set(true);
        said.set("Forecasting…".to_owned());
        let asked = question.clone();
        let then = move |outcome: Result<Answer, String>| {
            if busy.try_set(false).is_some() {
                return;
            }
            match outcome {
                Ok(answer) => {
                    said.set(note(&answer, asked.values.len()));
                    let fan = fan(answer, &asked.model, &last, interval);
                    let same = state.data.with_untracked(|d| {
                        d.query.symbol == fan.symbol && d.interval == fan.interval
                    });
                    if same {
                        own.set(Some(fan.clone()));
                        state.data.update(|d| {
                            (d.fan, d.fan_problem, d.fan_live) = (Some(fan), None, false);
                        });
                    }
                }
                Err(why) => said.set(format!("No forecast: {why}.")),
            }
        };
        worker::ask(&question, then);
    };
    let options = move || {
        let now = model.get();
        let mut all = models.get_value();
        if !all.contains(&now) {
            all.push(now.clone());
        }
        all.into_iter()
            .map(|name| {
                let (value, selected) = (name.clone(), name == now);
                view! { <option value=value selected=selected>{name}</option> }.erased()
            })
            .collect::<Vec<_>>()
    };
    view! {
        <section class="js-only browser-forecast" aria-label="Forecast in this browser" hidden=move || !shown.get()>
            <div class="controls" hidden=move || !away.get()>
                <p>"The server is away. This browser can forecast the bars on the screen itself."</p>
                <div class="forecast-form">
                    <label>
                        <span>"Model"</span>
                        <select
                            data-testid="browser-model"
                            prop:value=text(move || model.get())
                            on:change=move |ev| chosen.set(Some(event_target_value(&ev)))
                        >
                            {options}
                        </select>
                    </label>
                    <button type="button" data-testid="browser-forecast" prop:disabled=move || busy.get() on:click=ask>
                        "Forecast in this browser"
                    </button>
                </div>
            </div>
            <output class="promise" aria-live="polite" data-testid="browser-forecast-note">
                {text(move || said.get())}
            </output>
        </section>
    }
    .erased()
}

/// Lets the worker keep the state of the model shown, once the page has been live for a while and whenever
/// another series or model is shown.
fn keep_state(state: ChartState, connection: RwSignal<Connection>) {
    let shown = Memo::new(move |_| {
        let live = connection.get() == Connection::Live;
        live.then(|| state.data.with(|d| keep_of(d, &d.query.model)))
    });
    Effect::new(move |_| {
        let Some(keep) = shown.get() else { return };
        set_timeout(
            move || {
                if shown.try_get_untracked().flatten().as_ref() == Some(&keep) {
                    worker::keep(&keep);
                }
            },
            WORKER_AFTER,
        );
    });
}

fn keep_of(data: &ChartData, model: &str) -> Keep {
    let (symbol, interval) = (data.query.symbol.as_str(), data.interval);
    let escaped = |text: &str| String::from(js_sys::encode_uri_component(text));
    Keep {
        series: series_name(data),
        model: model.to_owned(),
        url: format!(
            "/state?symbol={}&interval={interval}&model={}",
            escaped(symbol),
            escaped(model)
        ),
    }
}

fn series_name(data: &ChartData) -> String {
    format!("{} {}", data.query.symbol, data.interval)
}

/// What to ask of the bars shown, with the last one that the model sees.
fn question(data: &ChartData, model: String) -> Option<(Question, Bar, Interval)> {
    let bars = data.bars.as_slice();
    // Of a live chart the last bar may have been cut short with the connection.
    let closed = &bars[..bars.len().saturating_sub(usize::from(data.live))];
    let last = closed.last()?.clone();
    let (starts, values) = timed_closes(closed, data.interval, usize::MAX, MAX_CARRIED_BARS);
    let question = Question {
        series: series_name(data),
        starts: starts.iter().map(|start| start.as_micros()).collect(),
        // As the server forecasts stored bars; the logarithm has nothing to say of other prices.
        log: values.iter().all(|close| *close > 0.0),
        values,
        model,
        horizon: data.query.horizon,
        season: data.interval.default_season(),
    };
    Some((question, last, data.interval))
}

fn fan(answer: Answer, model: &str, last: &Bar, interval: Interval) -> Fan {
    let Answer {
        mean,
        mut lower,
        upper,
        ..
    } = answer;
    let mut bands: Vec<Band> = upper
        .into_iter()
        .filter_map(|(name, upper)| {
            // By the browser: Rust's own way of reading a float brings a table of 10 KB.
            let level = js_sys::parse_float(&name);
            Some(Band {
                lower: lower.remove(&name).filter(|_| level.is_finite())?,
                level,
                upper,
            })
        })
        .collect();
    bands.sort_by(|a, b| a.level.total_cmp(&b.level));
    Fan {
        symbol: last.symbol.clone(),
        interval,
        model: model.to_owned(),
        origin: last.start,
        origin_close: last.close,
        made_at: Timestamp::from_micros((js_sys::Date::now() * 1_000.0) as i64),
        targets: (1..=mean.len() as u32)
            .map(|step| interval.step_after(last.start, step))
            .collect(),
        mean,
        bands,
    }
}

fn note(answer: &Answer, bars: usize) -> String {
    format!(
        "Made in this browser by {} from {}, in {}\u{a0}ms; the server has not seen it.",
        answer.model,
        if answer.served {
            "the server's state of it".to_owned()
        } else {
            format!("{bars} bars")
        },
        format::fixed(answer.seconds * 1_000.0, 0),
    )
}
