//! Forecasts of the bars on the screen, made in the browser.
//!
//! Model: while the server is away the panel forecasts by itself: at once, whenever another model or horizon is
//! chosen, and at each bar of the clock, so that the fan always reaches as far ahead of now. Its fan takes the place
//! of the last one on the chart and is marked as made here. It is the fan that the server would make of the same bars:
//! the same code, season and logarithms, from the server's own state where one was kept. While the server is there,
//! both can be asked for the same forecast, and the panel says how they differ. The worker is fetched while the server
//! still answers, but only once the page has been live for a while, so that it is in nobody's first download.
//!
//! What it does not do: keep or judge its forecasts; the ledger is the server's.

use std::time::Duration;

use leptos::{leptos_dom::helpers::IntervalHandle, prelude::*, task::spawn_local};
use market::{Band, Bar, Fan, Interval, MAX_CARRIED_BARS, Timestamp, timed_closes};

use crate::{
    api::{chart_page::ChartData, functions},
    chart_state::ChartState,
    erase::{Erase, text},
    format,
    live::{Connection, Live},
    query::{CHAMPION, FIRST_MODEL, is_of},
    worker::{self, Answer, Keep, Question},
};

/// A page that was live for this long is worth the worker's download.
const WORKER_AFTER: Duration = Duration::from_secs(4);
/// Between two looks at the clock.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// Bars that the clock may have gone on since the last price; then the fan stays where it is.
const MOST_MISSED: u32 = 240;

/// The panel above the chart.
#[component]
pub fn BrowserForecast(state: ChartState) -> impl IntoView {
    let live: Live = expect_context();
    let panel = Panel {
        state,
        said: RwSignal::new(String::new()),
        busy: RwSignal::new(false),
        away: Memo::new(move |_| {
            matches!(
                live.connection.get(),
                Connection::Stale | Connection::Offline
            )
        }),
        made: StoredValue::new(None),
        heard_until: StoredValue::new(Timestamp::from_micros(0)),
    };
    panel.watch_connection(live.connection);
    keep_state(state, live.connection);
    panel.forecast_while_away();
    Effect::new(move |_| {
        if let Some(bars) = state.caught_up.get() {
            panel.said.set(format!(
                "Back online: caught up, {bars} bars have come since."
            ));
        }
    });
    view! {
        <section class="js-only browser-forecast" aria-label="Forecast in this browser">
            <button
                type="button"
                data-testid="browser-forecast"
                prop:disabled=move || panel.busy.get()
                on:click=move |_| panel.clicked()
            >
                "Forecast here"
            </button>
            <output class="promise" aria-live="polite" data-testid="browser-forecast-note">
                {text(move || panel.said.get())}
            </output>
        </section>
    }
    .erased()
}

/// What a forecast was made of: where nothing of it has changed, none is made anew.
#[derive(Clone, PartialEq)]
struct Made {
    series: String,
    model: String,
    origin: Timestamp,
    horizon: u32,
}

#[derive(Clone, Copy)]
struct Panel {
    state: ChartState,
    said: RwSignal<String>,
    busy: RwSignal<bool>,
    away: Memo<bool>,
    made: StoredValue<Option<Made>>,
    /// Until when the page has heard from its server; the end of time while it does.
    heard_until: StoredValue<Timestamp>,
}

impl Panel {
    fn watch_connection(self, connection: RwSignal<Connection>) {
        let always = Timestamp::from_micros(i64::MAX);
        Effect::new(move |_| {
            let live = connection.get() == Connection::Live;
            if live {
                self.heard_until.set_value(always);
            } else if self.heard_until.get_value() == always {
                self.heard_until.set_value(now());
            }
        });
    }

    /// Looks every second, while the server is away, whether there is anything to forecast anew.
    fn forecast_while_away(self) {
        let looking = StoredValue::new(None::<IntervalHandle>);
        let stop = move || {
            if let Some(looking) = looking.try_update_value(Option::take).flatten() {
                looking.clear();
            }
        };
        Effect::new(move |before: Option<bool>| {
            let away = self.away.get();
            stop();
            if away {
                self.state.left();
                self.made.set_value(None);
                self.look();
                looking.set_value(set_interval_with_handle(move || self.look(), LOOK_EVERY).ok());
            } else if before == Some(true) {
                self.said.set(String::new());
            }
            away
        });
        on_cleanup(stop);
    }

    fn look(self) {
        if self.away.try_get_untracked() != Some(true) || self.busy.get_untracked() {
            return;
        }
        let asked = self.question(true);
        let made = asked.as_ref().map(|(question, last, _)| Made {
            series: question.series.clone(),
            model: question.model.clone(),
            origin: last.start,
            horizon: question.horizon,
        });
        if made.is_some() && self.made.get_value() != made {
            self.made.set_value(made);
            self.ask(asked, |panel, answer, fan| {
                // The server may have come back meanwhile, with a fan of its own.
                if panel.away.get_untracked() {
                    panel.said.set(note(&answer));
                    panel.state.data.update(|d| {
                        (d.fan, d.fan_problem, d.fan_live) = (Some(fan), None, false);
                    });
                }
            });
        }
    }

    fn clicked(self) {
        if self.away.get_untracked() {
            self.made.set_value(None);
            return self.look();
        }
        self.ask(self.question(false), Self::compare);
    }

    /// Asks the server for the same forecast, and says how the two differ.
    fn compare(self, answer: Answer, ours: Fan) {
        let (symbol, interval) = (ours.symbol.clone(), ours.interval);
        let (model, horizon) = (ours.model.clone(), ours.mean.len() as u32);
        let began_ms = js_sys::Date::now();
        spawn_local(async move {
            let theirs = functions::forecast_now(symbol, interval, model, horizon).await;
            let took_ms = js_sys::Date::now() - began_ms;
            let end = match theirs {
                Err(error) => format!("The server: {}.", error.detail),
                Ok((theirs, _)) => format!(
                    "The server took {}\u{a0}ms with the way there and back. {}",
                    format::fixed(took_ms, 0),
                    difference(&ours, &theirs),
                ),
            };
            self.said.try_set(note(&answer) + " " + &end);
        });
    }

    fn question(self, missed_too: bool) -> Option<(Question, Bar, Interval)> {
        let heard_until = self.heard_until.get_value();
        self.state
            .data
            .with_untracked(|data| question(data, missed_too, heard_until))
    }

    /// Asks the worker, unless it is at work.
    fn ask(
        self,
        asked: Option<(Question, Bar, Interval)>,
        then: impl FnOnce(Self, Answer, Fan) + 'static,
    ) {
        let Some((question, last, interval)) = asked else {
            self.said
                .set("There are too few bars to forecast from.".to_owned());
            return;
        };
        self.busy.set(true);
        let model = question.model.clone();
        worker::ask(&question, move |outcome| {
            if self.busy.try_set(false).is_some() {
                return;
            }
            match outcome {
                Ok(answer) => {
                    let fan = fan(&answer, &model, &last, interval);
                    let same = self.state.data.with_untracked(|d| {
                        d.query.symbol == fan.symbol
                            && d.interval == fan.interval
                            && own_model(d) == fan.model
                    });
                    if same {
                        then(self, answer, fan);
                    }
                }
                Err(why) => self.said.set(format!("No forecast: {why}.")),
            }
        });
    }
}

/// Lets the worker keep the chart and the state of the model shown, once the page has been live for a while and
/// whenever another series or model is shown.
fn keep_state(state: ChartState, connection: RwSignal<Connection>) {
    let shown = Memo::new(move |_| {
        let live = connection.get() == Connection::Live;
        live.then(|| state.data.with(keep_of))
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

/// The model of the chart, where this browser can forecast by it; it does not load a registry's versions.
fn own_model(data: &ChartData) -> &str {
    let model = data.model.as_str();
    if model.is_empty() || model == CHAMPION || is_of(model, CHAMPION) {
        FIRST_MODEL
    } else {
        model
    }
}

fn keep_of(data: &ChartData) -> Keep {
    Keep {
        series: series_name(data),
        model: own_model(data).to_owned(),
        query: data.query.clone(),
    }
}

fn series_name(data: &ChartData) -> String {
    format!("{} {}", data.query.symbol, data.interval)
}

/// What to ask of the bars shown, with the last one that the model sees. With `missed_too`, so many steps more as
/// the clock has gone on since.
fn question(
    data: &ChartData,
    missed_too: bool,
    heard_until: Timestamp,
) -> Option<(Question, Bar, Interval)> {
    let mut closed = data.bars.as_slice();
    // Of a live chart the last bar may have been cut short with the connection.
    if let Some((last, before)) = closed.split_last()
        && data.live
        && data.closed < Some(last.start)
        && data.fan.as_ref().is_none_or(|fan| fan.origin < last.start)
        && data.interval.end_of(last.start) > heard_until.min(now())
    {
        closed = before;
    }
    let last = closed.last()?.clone();
    let (starts, values) = timed_closes(closed, data.interval, usize::MAX, MAX_CARRIED_BARS);
    let missed = if data.live && missed_too {
        let over = |step| {
            let start = data.interval.step_after(last.start, step);
            data.interval.end_of(start) <= now()
        };
        (1..=MOST_MISSED).take_while(|step| over(*step)).count() as u32
    } else {
        0
    };
    let question = Question {
        series: series_name(data),
        starts: starts.iter().map(|start| start.as_micros()).collect(),
        // As the server forecasts stored bars; the logarithm has nothing to say of other prices.
        log: values.iter().all(|close| *close > 0.0),
        values,
        model: own_model(data).to_owned(),
        horizon: data.query.horizon + missed,
        season: data.interval.default_season(),
    };
    Some((question, last, data.interval))
}

fn now() -> Timestamp {
    Timestamp::from_micros((js_sys::Date::now() * 1_000.0) as i64)
}

fn fan(answer: &Answer, model: &str, last: &Bar, interval: Interval) -> Fan {
    let mut bands: Vec<Band> = answer
        .upper
        .iter()
        .filter_map(|(name, upper)| {
            // By the browser: Rust's own way of reading a float brings a table of 10 KB.
            let level = js_sys::parse_float(name);
            Some(Band {
                lower: answer
                    .lower
                    .get(name)
                    .filter(|_| level.is_finite())?
                    .clone(),
                level,
                upper: upper.clone(),
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
        made_at: now(),
        targets: (1..=answer.mean.len() as u32)
            .map(|step| interval.step_after(last.start, step))
            .collect(),
        mean: answer.mean.clone(),
        bands,
    }
}

fn note(answer: &Answer) -> String {
    format!(
        "Made in this browser by {} from {}, in {}\u{a0}ms.",
        answer.model,
        if answer.served {
            "the server's state of it"
        } else {
            "the bars on the screen"
        },
        format::fixed(answer.seconds * 1_000.0, 1),
    )
}

/// How two forecasts of one model differ, points and intervals.
fn difference(ours: &Fan, theirs: &Fan) -> String {
    if ours.origin != theirs.origin {
        return "A bar has closed between the two: they do not start from the same one.".to_owned();
    }
    let most = |a: &[f64], b: &[f64]| {
        a.iter()
            .zip(b)
            .fold(0.0f64, |most, (a, b)| most.max((a - b).abs()))
    };
    let bands = ours.bands.iter().zip(&theirs.bands);
    let most = bands.fold(most(&ours.mean, &theirs.mean), |so_far, (a, b)| {
        so_far
            .max(most(&a.lower, &b.lower))
            .max(most(&a.upper, &b.upper))
    });
    if most == 0.0 {
        return "The two are the same to the last bit.".to_owned();
    }
    let most = js_sys::Number::from(most).to_precision(2);
    let most = most.ok().and_then(|text| text.as_string());
    format!(
        "They differ by at most {} in price.",
        most.unwrap_or_default()
    )
}
