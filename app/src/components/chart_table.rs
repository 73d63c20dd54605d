//! The numbers of the chart as tables, for screen readers and for copying.

use leptos::{prelude::*, task::spawn_local};
use market::Fan;

use crate::{
    api::chart_page::ChartData,
    chart_state::ChartState,
    erase::{Erase, text},
    format, scene,
};

/// The most rows of bars on the page; copying takes them all.
const MAX_ROWS: usize = 480;

/// Bars and forecast, folded.
#[component]
pub fn ChartTable(state: ChartState) -> impl IntoView {
    let copied = RwSignal::new("");
    // The tables follow closed bars and new fans, not every tick. A memo that is only tracked never
    // runs, and so never changes: it must be read.
    let version = Memo::new(move |_| {
        state.data.with(|d| {
            let bars = (
                d.bars.len(),
                d.bars.last().map(|b| b.start),
                d.bars.first().map(|b| b.start),
            );
            (
                bars,
                d.query.clone(),
                d.interval,
                d.fan.as_ref().map(|f| (f.origin, f.made_at)),
            )
        })
    });
    let bars = move || {
        version.with(|_| ());
        state.data.with_untracked(bar_rows)
    };
    let steps = move || {
        version.with(|_| ());
        state
            .data
            .with_untracked(|d| d.fan.as_ref().map(|fan| fan_table(d, fan)))
    };
    let caption = text(move || {
        version.with(|_| ());
        state.data.with_untracked(|d| {
            format!(
                "{} bars of {} in UTC, latest first",
                d.query.symbol, d.interval
            )
        })
    });
    let copy = move |_| {
        if !window().is_secure_context() {
            copied.set("This browser allows copying on secure pages only.");
            return;
        }
        let text = state.data.with_untracked(tsv);
        // The browser asks its user where it must.
        let written = window().navigator().clipboard().write_text(&text);
        spawn_local(async move {
            copied.try_set(if written.await.is_ok() {
                "Copied as tab-separated values."
            } else {
                "The browser refused to copy: mark the table instead."
            });
        });
    };
    view! {
        <details class="numbers" data-testid="chart-numbers">
            <summary>"The numbers"</summary>
            <p class="js-only">
                <button type="button" data-testid="copy-numbers" on:click=copy>"Copy"</button>
                <span role="status">{text(move || copied.get().to_owned())}</span>
            </p>
            {steps}
            <div class="scroll" role="region" aria-label="Bars" tabindex="0">
                <table data-testid="chart-table">
                    <caption>{caption}</caption>
                    <thead>
                        <tr>
                            <th scope="col">"Start"</th>
                            <th scope="col">"Open"</th>
                            <th scope="col">"High"</th>
                            <th scope="col">"Low"</th>
                            <th scope="col">"Close"</th>
                            <th scope="col">"Volume"</th>
                        </tr>
                    </thead>
                    <tbody>{bars}</tbody>
                </table>
            </div>
        </details>
    }
    .erased()
}

fn cell(price: f64, decimals: u32) -> impl IntoView {
    view! { <td>{format::price(price, decimals)}</td> }
}

fn bar_rows(data: &ChartData) -> Vec<impl IntoView + use<>> {
    let decimals = scene::price_decimals(data);
    let bars = data.bars.as_slice().iter().rev().take(MAX_ROWS);
    bars.map(|bar| {
        let prices = [bar.open, bar.high, bar.low, bar.close].map(|price| cell(price, decimals));
        view! {
            <tr>
                <th scope="row">{format::bar_time(bar.start, data.interval)}</th>
                {prices}
                <td>{format::compact(bar.volume)}</td>
            </tr>
        }
    })
    .collect()
}

fn fan_table(data: &ChartData, fan: &Fan) -> AnyView {
    let decimals = scene::price_decimals(data);
    let caption = format!(
        "Forecast by {} from {} UTC",
        fan.model,
        format::bar_time(fan.origin, data.interval)
    );
    let heads: Vec<_> = fan
        .bands
        .iter()
        .map(|band| {
            let level = format::fixed(band.level, 0);
            view! { <th scope="col">{level.clone()}" % low"</th> <th scope="col">{level}" % high"</th> }
        })
        .collect();
    let rows: Vec<_> = fan
        .targets
        .iter()
        .zip(&fan.mean)
        .enumerate()
        .map(|(i, (target, mean))| {
            let bounds: Vec<_> = fan
                .bands
                .iter()
                .flat_map(|band| [band.lower.get(i), band.upper.get(i)])
                .map(|bound| cell(bound.copied().unwrap_or(f64::NAN), decimals))
                .collect();
            view! {
                <tr>
                    <th scope="row">{format::bar_time(*target, data.interval)}</th>
                    {cell(*mean, decimals)}
                    {bounds}
                </tr>
            }
        })
        .collect();
    view! {
        <div class="scroll" role="region" aria-label="Forecast" tabindex="0">
            <table data-testid="forecast-table">
                <caption>{caption}</caption>
                <thead>
                    <tr><th scope="col">"Bar"</th> <th scope="col">"Forecast"</th> {heads}</tr>
                </thead>
                <tbody>{rows}</tbody>
            </table>
        </div>
    }
    .erased()
}

/// Bars and forecast as tab-separated values, oldest first, with every digit.
fn tsv(data: &ChartData) -> String {
    let mut text = "start\topen\thigh\tlow\tclose\tvolume\tforecast".to_owned();
    let levels: Vec<_> = data
        .fan
        .iter()
        .flat_map(|f| &f.bands)
        .map(|b| format::fixed(b.level, 0))
        .collect();
    for level in &levels {
        text += &format!("\tlow_{level}\thigh_{level}");
    }
    let number = |text: &mut String, value: f64| {
        text.push('\t');
        // The shortest digits that read back as the same number.
        text.push_str(&serde_json::to_string(&value).unwrap_or_default());
    };
    for bar in data.bars.as_slice() {
        text.push('\n');
        text += &format::iso(bar.start);
        for value in [bar.open, bar.high, bar.low, bar.close, bar.volume] {
            number(&mut text, value);
        }
    }
    let last = data.bars.last().map(|b| b.start);
    if let Some(fan) = &data.fan {
        for (i, (target, mean)) in fan.targets.iter().zip(&fan.mean).enumerate() {
            if last.is_some_and(|last| *target <= last) {
                continue;
            }
            text.push('\n');
            text += &format::iso(*target);
            text.push_str("\t\t\t\t\t");
            number(&mut text, *mean);
            for bound in fan
                .bands
                .iter()
                .flat_map(|b| [b.lower.get(i), b.upper.get(i)])
                .flatten()
            {
                number(&mut text, *bound);
            }
        }
    }
    text.push('\n');
    text
}
