//! The chart: the server's SVG until the wasm arrives, then a canvas, drawn by the same code.
//!
//! Model: the canvas is drawn when the data, the bar being read, its size or the theme changes, at
//! most once in an animation frame. The bar being read is chosen with the pointer or with the arrow
//! keys, and told in a line that screen readers follow.

use chart::{Drawing as _, View};
use leptos::{html, prelude::*};
use wasm_bindgen::{JsCast, prelude::Closure};
use web_sys::{KeyboardEvent, PointerEvent, ResizeObserver};

use crate::{
    api::{chart_page::ChartData, picture},
    chart_state::ChartState,
    erase::{Erase, text},
    format,
    query::{called, is_of},
    scene,
    theme::ThemeSwitch,
};

/// Bars that Shift and an arrow key go over.
const STRIDE: isize = 10;

/// The chart with its line of reading and the promise that its fan has kept.
#[component]
pub fn ChartView(state: ChartState) -> impl IntoView {
    let canvas = NodeRef::<html::Canvas>::new();
    let size = RwSignal::new((0, 0));
    let drawn = RwSignal::new(false);
    let theme: ThemeSwitch = expect_context();
    observe_size(canvas, size);
    draw_when_something_changes(state, canvas, size, theme, drawn);

    let (wide, narrow) = state
        .data
        .with_untracked(|d| (picture::svg(d, scene::WIDE), picture::svg(d, scene::NARROW)));
    let origin = text(move || {
        state
            .data
            .with(|d| d.fan.as_ref().map(|f| f.origin.as_micros().to_string()))
            .unwrap_or_default()
    });
    let label = text(move || {
        state.data.with(|d| {
            format!(
                "Chart of {}, bars of {}. Arrow keys read it bar by bar.",
                d.query.symbol, d.interval
            )
        })
    });
    // Screen readers read every change: not every tick of the last bar, but its close.
    let latest = Memo::new(move |_| state.data.with(|d| d.bars.last().map(|b| b.start)));
    let reading = text(move || {
        latest.get();
        reading(state)
    });
    let on_keydown = move |ev: KeyboardEvent| {
        // With these the keys are the browser's: back, forward, to the top of the page.
        if ev.alt_key() || ev.ctrl_key() || ev.meta_key() {
            return;
        }
        let step = if ev.shift_key() { STRIDE } else { 1 };
        match ev.key().as_str() {
            "ArrowLeft" => move_cursor(state, Move::By(-step)),
            "ArrowRight" => move_cursor(state, Move::By(step)),
            "Home" => move_cursor(state, Move::First),
            "End" => move_cursor(state, Move::Last),
            "Escape" => state.cursor.set(None),
            _ => return,
        }
        ev.prevent_default();
    };
    let on_pointer = move |ev: PointerEvent| {
        let at = state.data.with_untracked(|d| {
            let past = scene::past(d);
            let chart = scene::price_chart(d, &past, view_of(size.get_untracked()));
            chart
                .locate(f64::from(ev.offset_x()))
                .and_then(|index| chart.time_at(index))
        });
        if state.cursor.get_untracked() != at {
            state.cursor.set(at);
        }
    };
    let on_leave = move |ev: PointerEvent| {
        // A finger leaves whenever it is lifted: what it tapped is still to be read.
        if ev.pointer_type() != "touch" {
            state.cursor.set(None);
        }
    };
    view! {
        <figure class="chart-figure">
            <div
                class="chart-box"
                class:drawn=drawn
                role="group"
                aria-roledescription="chart"
                aria-label=label
                aria-describedby="chart-reading"
                tabindex="0"
                data-testid="chart"
                data-origin-us=origin
                on:keydown=on_keydown
            >
                <div class="chart-svg" data-testid="chart-svg">
                    <div class="wide" inner_html=wide></div>
                    <div class="narrow" inner_html=narrow></div>
                </div>
                <canvas
                    node_ref=canvas
                    data-testid="chart-canvas"
                    aria-hidden="true"
                    on:pointermove=on_pointer
                    on:pointerdown=on_pointer
                    on:pointerleave=on_leave
                    on:pointercancel=move |_| state.cursor.set(None)
                ></canvas>
            </div>
            <figcaption>
                <output id="chart-reading" class="reading" aria-live="polite" data-testid="chart-reading">
                    {reading}
                </output>
                <p class="promise" data-testid="coverage">{text(move || state.data.with(promise))}</p>
                <p class="promise" data-testid="champion-note">
                    {text(move || state.data.with(|d| d.champion_note.clone()))}
                </p>
            </figcaption>
        </figure>
    }
    .erased()
}

/// Keeps `size` at the canvas's size in CSS pixels. The closure lives as long as the component.
fn observe_size(canvas: NodeRef<html::Canvas>, size: RwSignal<(u32, u32)>) {
    Effect::new(move |_| {
        let Some(element) = canvas.get() else { return };
        let seen = element.clone();
        let measure = move || {
            let now = (
                seen.client_width().unsigned_abs(),
                seen.client_height().unsigned_abs(),
            );
            if size.try_get_untracked().is_some_and(|before| before != now) {
                size.set(now);
            }
        };
        measure();
        let changed = Closure::<dyn FnMut()>::new(measure);
        let Ok(observer) = ResizeObserver::new(changed.as_ref().unchecked_ref()) else {
            return;
        };
        observer.observe(&element);
        let kept = StoredValue::new_local((observer, changed));
        on_cleanup(move || kept.with_value(|(observer, _)| observer.disconnect()));
    });
}

/// What the canvas was last drawn for.
#[derive(Clone, Copy, Default)]
struct Frame {
    /// The frame's time.
    time_ms: f64,
    /// Whether the next frame draws.
    waits: bool,
}

fn draw_when_something_changes(
    state: ChartState,
    canvas: NodeRef<html::Canvas>,
    size: RwSignal<(u32, u32)>,
    theme: ThemeSwitch,
    drawn: RwSignal<bool>,
) {
    let frame = StoredValue::new(Frame::default());
    Effect::new(move |_| {
        state.data.track();
        state.cursor.track();
        size.track();
        theme.changes.track();
        let now_ms = frame_time_ms();
        let last = frame.get_value();
        if last.waits {
            return;
        }
        // Data changes inside an animation frame, and this effect still runs in it: drawing at once
        // shows it one frame sooner than asking for the next.
        if now_ms != last.time_ms {
            frame.set_value(Frame {
                time_ms: now_ms,
                waits: false,
            });
            draw(state, canvas, size, drawn);
            return;
        }
        frame.set_value(Frame {
            waits: true,
            ..last
        });
        request_animation_frame(move || {
            if frame
                .try_set_value(Frame {
                    time_ms: frame_time_ms(),
                    waits: false,
                })
                .is_none()
            {
                draw(state, canvas, size, drawn);
            }
        });
    });
}

fn draw(
    state: ChartState,
    canvas: NodeRef<html::Canvas>,
    size: RwSignal<(u32, u32)>,
    drawn: RwSignal<bool>,
) {
    let Some(canvas) = canvas.get_untracked() else {
        return;
    };
    let (width, height) = size.get_untracked();
    if width == 0 || height == 0 {
        return;
    }
    let cursor = state.cursor.get_untracked();
    let done = state.data.with_untracked(|data| {
        let past = scene::past(data);
        let view = View {
            device_pixel_ratio: window().device_pixel_ratio(),
            theme: ThemeSwitch::shown(),
            ..view_of((width, height))
        };
        let mut chart = scene::price_chart(data, &past, view);
        chart.cursor = cursor.and_then(|ts| scene::index_of(data, ts));
        chart.draw_on_canvas(canvas)
    });
    // A canvas that cannot be drawn on leaves the server's picture in sight.
    if done.is_ok() && !drawn.get_untracked() {
        drawn.set(true);
    }
}

fn view_of((width, height): (u32, u32)) -> View {
    View::sized(width, height)
}

/// The time of the animation frame that is being made; the same all through the frame.
fn frame_time_ms() -> f64 {
    document().timeline().current_time().unwrap_or(0.0)
}

enum Move {
    By(isize),
    First,
    Last,
}

fn move_cursor(state: ChartState, to: Move) {
    let cursor = state.cursor.get_untracked();
    let next = state.data.with_untracked(|data| {
        let past = scene::past(data);
        let chart = scene::price_chart(data, &past, View::default());
        let layout = chart.layout();
        let end = (layout.bars + layout.steps).checked_sub(1)?;
        let at = cursor.and_then(|ts| scene::index_of(data, ts));
        let index = match (to, at) {
            (Move::First, _) => 0,
            (Move::Last, _) => end,
            (Move::By(_), None) => layout.bars.saturating_sub(1),
            (Move::By(step), Some(at)) => at.saturating_add_signed(step).min(end),
        };
        chart.time_at(index)
    });
    state.cursor.set(next);
}

/// The bar being read, in words.
fn reading(state: ChartState) -> String {
    let Some(cursor) = state.cursor.get() else {
        return String::new();
    };
    state.data.with_untracked(|data| {
        let past = scene::past(data);
        let chart = scene::price_chart(data, &past, View::default());
        let Some(reading) = scene::index_of(data, cursor).and_then(|i| chart.read(i)) else {
            return String::new();
        };
        let decimals = chart.price_decimals();
        let price = |price| format::price(price, decimals);
        let mut text = format::bar_time(reading.start, data.interval);
        text.push_str(" UTC");
        if let Some(bar) = reading.bar {
            text += &format!(
                ": open {}, high {}, low {}, close {}, volume {}",
                price(bar.open),
                price(bar.high),
                price(bar.low),
                price(bar.close),
                format::compact(bar.volume),
            );
        }
        if let Some(past) = reading.past.filter(|_| reading.bar.is_some()) {
            text += &format!(
                "; was forecast {}, from {} to {}",
                price(past.mean),
                price(past.lower),
                price(past.upper)
            );
        }
        if let Some(fan) = reading.fan {
            text += &format!("; forecast {}", price(fan.mean));
            for (level, lower, upper) in fan.bands {
                text += &format!(
                    ", {}\u{a0}% from {} to {}",
                    format::fixed(level, 0),
                    price(lower),
                    price(upper)
                );
            }
        }
        text
    })
}

/// How often the intervals of the fan shown have held, next to it; or why there is no fan.
fn promise(data: &ChartData) -> String {
    if let Some(problem) = data.fan_problem.as_ref().filter(|_| data.fan.is_none()) {
        return format!("No forecast: {problem}.");
    }
    let Some(fan) = &data.fan else {
        return String::new();
    };
    let text = format!(
        "Forecast by {}, {}",
        called(&fan.model),
        format::ahead(fan.mean.len() as u32)
    );
    let judged = data.record.promise.as_str();
    let end = if is_of(&fan.model, &data.model) && !judged.is_empty() {
        judged
    } else if !data.live {
        "."
    } else if data.fan_live {
        ": not judged yet."
    } else {
        ": made on demand, not judged live."
    };
    text + end
}
