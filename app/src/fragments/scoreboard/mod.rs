//! The Scoreboard page: forecasts that were written down before their outcome, and what came.

mod drawings;
mod drift;
mod rolling;

use leptos::prelude::*;
use market::{Bar, Interval, Symbol};
use mlops::jobs::series_name;

use super::{
    live::standing,
    models::first_step,
    parts::{cell, html, panel, table, words},
};
use crate::{
    api::{
        ModelScore, ScoredFan,
        markup::{numbers, record::says_something},
    },
    erase::Erase,
    format::ahead,
    query::symbol_url,
    ssr::{drift::Drift, search::url},
};

/// A row of the list.
pub struct Listed {
    /// The symbol.
    pub symbol: Symbol,
    /// The records of its models.
    pub scores: Vec<ModelScore>,
}

/// Everything about one series.
pub struct SeriesScores {
    /// The symbol.
    pub symbol: Symbol,
    /// The bars' length.
    pub interval: Interval,
    /// The intervals whose forecasts are made live.
    pub intervals: Vec<Interval>,
    /// Whether its prices are made up.
    pub simulated: bool,
    /// The model that is drawn.
    pub model: String,
    /// Every model's record, by step.
    pub scores: Vec<ModelScore>,
    /// The model's forecasts with what came, oldest first.
    pub past: Vec<ScoredFan>,
    /// The latest bars.
    pub bars: Vec<Bar>,
    /// Whether champions have drifted.
    pub drift: Drift,
}

/// The parts of the list: of each symbol the model that does best of those of which enough is known.
pub fn list(
    rows: &[Listed],
    (interval, intervals): (Interval, &[Interval]),
    (find, after): (&str, &str),
    next: Option<&str>,
    drifted: &Drift,
) -> Vec<String> {
    let chosen = interval.as_str();
    let choices: Vec<_> = intervals
        .iter()
        .map(|one| {
            let current = (*one == interval).then_some("true");
            let url = url("/scoreboard", &[("interval", one.as_str()), ("find", find)]);
            view! { <a href=url aria-current=current>{one.as_str()}</a> }
        })
        .collect();
    let head = view! {
        <h1>"Scoreboard"</h1>
        <p class="lead">
            "Every live forecast is written down before its outcome can be known, and judged against naive when it \
            is. Nothing is said of a model before there are 30 outcomes that do not depend on each other."
        </p>
        <form class="find" method="get" action="/scoreboard" role="search">
            <input type="hidden" name="interval" value=chosen/>
            <label class="hidden" for="find-scores">"Find a symbol"</label>
            <input id="find-scores" type="search" name="find" value=find.to_owned() placeholder="Find a symbol"/>
            <button type="submit">"Find"</button>
        </form>
        <nav class="choices" aria-label="Interval">{choices}</nav>
    };
    let body = if rows.is_empty() {
        view! { <p data-testid="no-scores">"There are no prices of such a symbol."</p> }.erased()
    } else {
        let heads = [
            "Symbol",
            "Best of those judged",
            "Skill against naive",
            "80 % held",
            "95 % held",
            "Judged on",
        ];
        let rows = rows.iter().map(|one| row(one, interval)).collect();
        table("Live records by symbol", "scores", &heads, rows)
    };
    let ways = view! {
        <p class="ways">
            {next.map(|next| {
                let url = url("/scoreboard", &[("interval", chosen), ("find", find), ("after", next)]);
                view! { <a href=url>"Later symbols"</a> }
            })}
            {(!after.is_empty()).then(|| {
                let url = url("/scoreboard", &[("interval", chosen), ("find", find)]);
                view! { <a href=url>"From the first"</a> }
            })}
        </p>
    };
    vec![
        html(head),
        html(view! { <section class="panel" aria-label="Symbols">{body} {ways}</section> }),
        html(drift::view(drifted, None)),
    ]
}

/// The records at the first step, one a model.
fn first_steps(scores: &[ModelScore]) -> Vec<&ModelScore> {
    let mut names: Vec<&str> = scores.iter().map(|s| s.model.as_str()).collect();
    names.sort_unstable();
    names.dedup();
    names
        .into_iter()
        .filter_map(|name| first_step(name, scores))
        .collect()
}

fn row(listed: &Listed, interval: Interval) -> AnyView {
    let first = first_steps(&listed.scores);
    let judged = first.iter().filter(|score| says_something(score));
    let skill = |score: &ModelScore| match score.model.as_str() {
        "naive" => 0.0,
        _ => score.skill.unwrap_or(f64::NEG_INFINITY),
    };
    let best = judged.max_by(|a, b| skill(a).total_cmp(&skill(b))).copied();
    let early = first.iter().max_by_key(|score| score.count).copied();
    let standing = standing(best.or(early), None);
    let symbol = listed.symbol.as_str();
    let url = url(
        "/scoreboard",
        &[("symbol", symbol), ("interval", interval.as_str())],
    );
    view! {
        <tr data-testid=format!("scores-{symbol}")>
            <th scope="row"><a href=url>{symbol.to_owned()}</a></th>
            {cell(best.map_or("–", |score| score.model.as_str()))}
            {cell(standing.skill_text)}
            {cell(standing.held_80)}
            {cell(standing.held_95)}
            {words(standing.source)}
        </tr>
    }
    .erased()
}

/// The parts of a series' page.
pub fn series(shown: &SeriesScores) -> Vec<String> {
    let drawn = drawings::panels(shown);
    let name = series_name(&shown.symbol, shown.interval);
    let drifted = html(drift::view(&shown.drift, Some(&name)));
    let mut parts = vec![html(head(shown)), html(records(shown)), drifted];
    parts.extend(drawn);
    parts
}

fn head(shown: &SeriesScores) -> AnyView {
    let (symbol, interval) = (shown.symbol.as_str(), shown.interval.as_str());
    let choices: Vec<_> = shown
        .intervals
        .iter()
        .map(|one| {
            let current = (*one == shown.interval).then_some("true");
            let url = url(
                "/scoreboard",
                &[("symbol", symbol), ("interval", one.as_str())],
            );
            view! { <a href=url aria-current=current>{one.as_str()}</a> }
        })
        .collect();
    let chart = format!("{}?interval={interval}", symbol_url(&shown.symbol));
    let made_up = shown.simulated.then(|| view! {
        <p class="simulated" role="note">
            <strong>"Simulated data."</strong> " These prices are made up. No market is behind them."
        </p>
    });
    view! {
        {made_up}
        <p class="ways"><a href="/scoreboard">"All symbols"</a> <a href=chart>"Chart of " {symbol.to_owned()}</a></p>
        <h1>{format!("{symbol} {interval}: forecasts and outcomes")}</h1>
        <nav class="choices" aria-label="Interval">{choices}</nav>
    }
    .erased()
}

/// The steps that are shown: the first, some between, and the last that has outcomes.
fn steps(scores: &[ModelScore]) -> Vec<u32> {
    let last = scores.iter().filter(|s| s.count > 0).map(|s| s.step).max();
    let mut steps: Vec<u32> = [1, 5, 10, 20, 30]
        .into_iter()
        .filter(|s| last.is_some_and(|l| *s <= l))
        .collect();
    steps.extend(last);
    steps.dedup();
    steps
}

/// Every model's record at some steps.
fn records(shown: &SeriesScores) -> AnyView {
    let steps = steps(&shown.scores);
    let mut rows = Vec::new();
    for step in steps {
        let mut at: Vec<&ModelScore> = shown
            .scores
            .iter()
            .filter(|s| s.step == step && s.count > 0)
            .collect();
        at.sort_by(|a, b| {
            b.skill
                .unwrap_or(f64::NEG_INFINITY)
                .total_cmp(&a.skill.unwrap_or(f64::NEG_INFINITY))
        });
        for score in at {
            let standing = standing(Some(score), None);
            let current = (score.model == shown.model).then_some("true");
            let url = url(
                "/scoreboard",
                &[
                    ("symbol", shown.symbol.as_str()),
                    ("interval", shown.interval.as_str()),
                    ("model", &score.model),
                ],
            );
            rows.push(
                view! {
                    <tr aria-current=current>
                        <th scope="row"><a href=url data-noscroll>{score.model.clone()}</a></th>
                        {cell(ahead(step))}
                        {cell(numbers::error_size(score.mae))}
                        {cell(standing.skill_text)}
                        {cell(standing.held_80)}
                        {cell(standing.held_95)}
                        {words(standing.source)}
                    </tr>
                }
                .erased(),
            );
        }
    }
    let body = if rows.is_empty() {
        view! {
            <p data-testid="no-records">
                "No live forecast of this series has been judged yet. Forecasts are judged when the bars that they \
                are about close."
            </p>
        }
        .erased()
    } else {
        let heads = [
            "Model",
            "How far",
            "Mean abs. error",
            "Skill against naive",
            "80 % held",
            "95 % held",
            "Judged on",
        ];
        table("Live records by model and step", "records", &heads, rows)
    };
    panel("records-heading", "Records", body)
}
