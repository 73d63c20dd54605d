//! The state of a chart page: what the server sent, kept up to date by the live feed.
//!
//! Model: one signal holds everything shown. On the server it has its first value and that is the
//! page; in the browser [`ChartState::run`] starts the effects that change it: a new URL, bars and
//! fans from the live feed, and, where a model's fans do not come by themselves, a forecast asked
//! for when a bar closes.
//!
//! What it does not do: draw, or keep more than [`MAX_BARS`] bars.

use std::time::Duration;

use futures::StreamExt;
use leptos::{prelude::*, task::spawn_local};
use market::{Fan, Timestamp};

use crate::{
    api::{
        ApiError,
        bars::{Bars, MAX_BARS},
        chart_page::{ChartData, first_steps},
        functions,
    },
    live::{BarUpdate, Connection, Focus, Live},
    query::{BARS_WITH_PAGE, ChartQuery, is_of},
};

/// Between two questions for the same thing, however often there is a reason to ask.
const ASK_AGAIN_AFTER: Duration = Duration::from_secs(2);
const RECORD_AGAIN_AFTER: Duration = Duration::from_secs(10);

/// What a chart page shows, and how far it is.
#[derive(Clone, Copy)]
pub struct ChartState {
    /// Bars, fan and record.
    pub data: RwSignal<ChartData>,
    /// The markup of the fit, apart from the rest, which changes with every tick.
    pub fit: RwSignal<String>,
    /// Why there is nothing to show.
    pub problem: RwSignal<Option<ApiError>>,
    /// Whether another chart is on its way.
    pub loading: RwSignal<bool>,
    /// The start of the bar or of the forecast step that is being read.
    pub cursor: RwSignal<Option<Timestamp>>,
    /// Bars streamed in so far by a back-fill that is running.
    pub filling: RwSignal<Option<usize>>,
    /// How many bars the first answer after a time without the server has brought.
    pub caught_up: RwSignal<Option<usize>>,
    asked: StoredValue<Asked>,
}

/// What has been asked for and not been answered.
#[derive(Default)]
struct Asked {
    /// Counts charts: an answer to an older question is left out.
    chart: u32,
    chart_waits: bool,
    fan_waits: bool,
    record_waits: bool,
    /// The last bar when the server went away.
    left_at: Option<Timestamp>,
}

impl ChartState {
    /// From the server's first answer.
    pub fn new(first: Result<ChartData, (ChartQuery, ApiError)>) -> Self {
        let (mut data, problem) = match first {
            Ok(data) => (data, None),
            Err((query, error)) => (ChartData::empty(query), Some(error)),
        };
        Self {
            fit: RwSignal::new(std::mem::take(&mut data.fit)),
            data: RwSignal::new(data),
            problem: RwSignal::new(problem),
            loading: RwSignal::new(false),
            cursor: RwSignal::new(None),
            filling: RwSignal::new(None),
            caught_up: RwSignal::new(None),
            asked: StoredValue::new(Asked::default()),
        }
    }

    /// Starts the effects. They run in the browser only.
    pub fn run(self, query: Memo<Option<ChartQuery>>, live: Live) {
        Effect::new(move |before: Option<Option<ChartQuery>>| {
            let wanted = query.get();
            match (before, &wanted) {
                (None, _) => self.fill_back(),
                (Some(before), Some(query)) if before != wanted => self.load(query.clone(), live),
                _ => {}
            }
            wanted
        });
        let focus = Memo::new(move |_| {
            let found = self.problem.with(Option::is_none);
            self.data.with(|d| {
                (found && d.live).then(|| Focus {
                    symbol: d.query.symbol.clone(),
                    interval: d.interval,
                })
            })
        });
        Effect::new(move |_| live.focus.set(focus.get()));
        Effect::new(move |before: Option<()>| {
            let update = live.bars.get();
            if before.is_some() {
                self.take_bars(&update, live);
            }
        });
        Effect::new(move |_| {
            if let Some(fan) = live.fan.get() {
                self.take_fan(fan);
            }
        });
        Effect::new(move |_| {
            let connected = live.connection.get() == Connection::Live;
            let waits = self
                .problem
                .with_untracked(|p| p.as_ref().is_some_and(|p| p.kind.is_transient()));
            if let (true, true, Some(query)) = (connected, waits, query.get_untracked()) {
                self.load(query, live);
            }
        });
        on_cleanup(move || live.focus.set(None));
    }

    /// Asks for another chart.
    fn load(self, query: ChartQuery, live: Live) {
        let Some(number) = self.asked.try_update_value(|a| {
            a.chart += 1;
            a.chart
        }) else {
            return;
        };
        self.loading.set(true);
        spawn_local(async move {
            let asked = query.clone();
            let answer = functions::chart(query).await;
            if self.asked.try_with_value(|a| a.chart) != Some(number) {
                return;
            }
            self.loading.set(false);
            match answer {
                Ok(data) => {
                    self.show(data);
                    if live.connection.get_untracked() == Connection::Live {
                        self.tell_caught_up();
                    }
                    self.fill_back();
                    // A chart that was missing may be there now: tell the feed.
                    live.focus.update(|_| ());
                }
                // The chart shown stays when only its refill failed, the next one may succeed, or when another
                // model of it cannot be had: this browser has some.
                Err(error) if error.kind.is_transient() && self.shows(&asked) => {
                    self.data.update(|d| {
                        if d.query != asked {
                            d.model.clone_from(&asked.model);
                            (d.query, d.fan, d.fan_live) = (asked, None, false);
                            d.fan_problem = Some(error.detail);
                        }
                    });
                }
                Err(error) => self.problem.set(Some(error)),
            }
        });
    }

    /// Whether the bars of `query` are on the screen.
    fn shows(self, query: &ChartQuery) -> bool {
        self.problem.with_untracked(Option::is_none)
            && self.data.with_untracked(|d| {
                d.query.symbol == query.symbol && query.interval.is_none_or(|i| i == d.interval)
            })
    }

    /// Notes how far the chart is when its server goes away.
    pub fn left(self) {
        let last = self.data.with_untracked(|d| d.bars.last().map(|b| b.start));
        self.asked.update_value(|a| a.left_at = a.left_at.or(last));
    }

    fn tell_caught_up(self) {
        let left = self.asked.try_update_value(|a| a.left_at.take()).flatten();
        if let Some(left) = left {
            let newer = self.data.with_untracked(|d| {
                let bars = d.bars.as_slice();
                bars.len() - bars.partition_point(|b| b.start <= left)
            });
            self.caught_up.set(Some(newer));
        }
    }

    /// Shows an answer; bars that came live while it was on its way are kept.
    fn show(self, mut data: ChartData) {
        self.fit.set(std::mem::take(&mut data.fit));
        self.data.update(|shown| {
            let same = shown.query.symbol == data.query.symbol && shown.interval == data.interval;
            if same {
                data.bars
                    .catch_up(&shown.bars, data.query.bars.min(MAX_BARS));
            } else {
                self.cursor.set(None);
            }
            *shown = data;
        });
        self.problem.set(None);
    }

    fn take_bars(self, update: &BarUpdate, live: Live) {
        let mut missing = update.gap;
        let mut ask_fan = false;
        self.data.update(|data| {
            if let (true, Some(bar), Some(last)) =
                (update.snapshot, update.bars.first(), data.bars.last())
            {
                missing |= bar.start > data.interval.end_of(last.start);
            }
            let limit = data.query.bars.min(MAX_BARS);
            for bar in &update.bars {
                if bar.symbol == data.query.symbol && bar.interval == data.interval {
                    data.bars.put(bar.clone(), limit);
                    if !update.snapshot {
                        data.ended = None;
                    }
                }
            }
            ask_fan = update.closed && !data.fan_live;
        });
        if missing {
            self.load_again_soon(live);
        }
        if ask_fan {
            self.ask_fan();
        }
    }

    /// Asks for the shown chart anew, once however many gaps there are. A chart that is on its way
    /// has no gap.
    fn load_again_soon(self, live: Live) {
        if self.loading.get_untracked() {
            return;
        }
        if self
            .asked
            .try_update_value(|a| std::mem::replace(&mut a.chart_waits, true))
            != Some(false)
        {
            return;
        }
        let query = self.data.with_untracked(|d| d.query.clone());
        self.load(query, live);
        set_timeout(
            move || {
                self.asked.try_update_value(|a| a.chart_waits = false);
            },
            ASK_AGAIN_AFTER,
        );
    }

    fn take_fan(self, fan: Fan) {
        let (ours, long_enough) = self.data.with_untracked(|d| {
            let ours = fan.symbol == d.query.symbol
                && fan.interval == d.interval
                && is_of(&fan.model, &d.model);
            (ours, fan.mean.len() >= d.query.horizon as usize)
        });
        if !ours {
            return;
        }
        if long_enough {
            self.data.update(|d| {
                d.fan = Some(first_steps(fan, d.query.horizon));
                d.fan_problem = None;
                // Where one came by itself, more will.
                d.fan_live = true;
            });
        } else {
            self.ask_fan();
        }
        self.ask_record_soon();
    }

    /// Asks for a forecast now, one at a time.
    fn ask_fan(self) {
        if self
            .asked
            .try_update_value(|a| std::mem::replace(&mut a.fan_waits, true))
            != Some(false)
        {
            return;
        }
        let (query, interval) = self.data.with_untracked(|d| (d.asked(), d.interval));
        spawn_local(async move {
            let ChartQuery {
                symbol,
                model,
                horizon,
                ..
            } = query.clone();
            let answer = functions::forecast_now(symbol, interval, model, horizon).await;
            set_timeout(
                move || {
                    self.asked.try_update_value(|a| a.fan_waits = false);
                },
                ASK_AGAIN_AFTER,
            );
            self.data.try_update(|d| {
                if d.asked() == query && d.interval == interval {
                    match answer {
                        Ok((fan, fit)) => {
                            (d.fan, d.fan_problem) = (Some(fan), None);
                            self.fit.set(fit);
                        }
                        Err(error) => d.fan_problem = Some(error.detail),
                    }
                }
            });
        });
    }

    fn ask_record_soon(self) {
        if self
            .asked
            .try_update_value(|a| std::mem::replace(&mut a.record_waits, true))
            != Some(false)
        {
            return;
        }
        set_timeout(
            move || {
                self.asked.try_update_value(|a| a.record_waits = false);
                let Some((query, interval)) =
                    self.data.try_with_untracked(|d| (d.asked(), d.interval))
                else {
                    return;
                };
                spawn_local(async move {
                    let answer = functions::record_at(query.clone(), interval).await;
                    self.data.try_update(|d| {
                        if let (Ok((record, fit)), true) =
                            (answer, d.asked() == query && d.interval == interval)
                        {
                            d.record = record;
                            if let Some(fit) = fit {
                                self.fit.set(fit);
                            }
                        }
                    });
                });
            },
            RECORD_AGAIN_AFTER,
        );
    }

    /// Streams the bars that did not come with the page, newest first.
    fn fill_back(self) {
        let Some((query, interval, until)) = self
            .data
            .try_with_untracked(|d| {
                let more = d.query.bars > BARS_WITH_PAGE && d.bars.len() >= BARS_WITH_PAGE;
                let first = d.bars.first().map(|b| b.start).filter(|_| more)?;
                Some((d.query.clone(), d.interval, first))
            })
            .flatten()
        else {
            return;
        };
        self.filling.set(Some(0));
        spawn_local(async move {
            if let Ok(stream) = functions::backfill(query.symbol.clone(), interval, until).await {
                let mut stream = stream.into_inner();
                let mut text = String::new();
                while let Some(Ok(chunk)) = stream.next().await {
                    text.push_str(&chunk);
                    let full = self.take_lines(&mut text, &query);
                    if full != Some(false) {
                        break;
                    }
                }
            }
            self.filling.try_set(None);
        });
    }

    /// Takes the whole lines out of `text`. True when the page has all the bars that it wants,
    /// `None` when it shows something else by now.
    fn take_lines(self, text: &mut String, query: &ChartQuery) -> Option<bool> {
        let Some(end) = text.rfind('\n').map(|at| at + 1) else {
            return Some(false);
        };
        let lines: String = text.drain(..end).collect();
        self.data
            .try_update(|data| {
                if data.query != *query {
                    return None;
                }
                for page in lines
                    .lines()
                    .filter_map(|l| serde_json::from_slice::<Bars>(l.as_bytes()).ok())
                {
                    data.bars.put_in_front(page, query.bars.min(MAX_BARS));
                }
                self.filling.set(Some(data.bars.len()));
                Some(data.bars.len() >= query.bars.min(MAX_BARS))
            })
            .flatten()
    }
}
