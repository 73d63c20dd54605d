//! The Models page: every series with its champion, and one model with its versions, verdicts and history.

mod compare;
mod forms;
mod history;
mod list;
mod versions;

use forecast::ModelRef;
use leptos::prelude::*;
use mlops::{
    registered::CHALLENGER,
    training::{Role, Round},
};
use store::{AliasChange, ModelSummary, Verdict, Version};

pub use list::{Listed, list};

use super::{
    live::{self, Standing},
    parts::{self, cell, entry, html, job, outcome, panel, paragraphs, table, time, words},
};
use crate::{
    api::{ModelScore, markup::numbers::measure},
    erase::Erase,
    query::{CHAMPION, symbol_url},
    ssr::written::Done,
};

/// The live record of a champion one step ahead, or at the first step that has outcomes: its own, else that of the model
/// that it was fitted as.
pub fn live_of<'a>(version: &Version, scores: &'a [ModelScore]) -> Option<&'a ModelScore> {
    first_step(CHAMPION, scores).or_else(|| first_step(&version.reference, scores))
}

/// The record of a model at its first step with outcomes.
pub fn first_step<'a>(model: &str, scores: &'a [ModelScore]) -> Option<&'a ModelScore> {
    let of_model = scores.iter().filter(|s| s.model == model && s.count > 0);
    of_model.min_by_key(|s| s.step)
}

/// Everything about one model name.
pub struct Model {
    /// The name with its aliases.
    pub summary: ModelSummary,
    /// What this process serves as its champion.
    pub served: Result<Option<Version>, String>,
    /// The champion.
    pub champion: Option<Version>,
    /// A page of versions, the newest first.
    pub versions: Vec<Version>,
    /// Where the next page of them begins.
    pub before: Option<i64>,
    /// A page of verdicts, the newest first, with their numbers where they can be read.
    pub verdicts: Vec<(Verdict, Option<Round>)>,
    /// The live records of the series, by model and step.
    pub scores: Vec<ModelScore>,
    /// The latest moves of the champion, oldest first.
    pub moves: Vec<AliasChange>,
    /// The two versions that are compared.
    pub compared: Option<(Version, Version)>,
    /// The time that was asked about, as it was typed, and who was champion then, where it is a time.
    pub at: Option<(String, Option<Option<u32>>)>,
}

/// The parts of a model's page.
pub fn model(model: &Model, done: &Done) -> Vec<String> {
    vec![
        html(view! { {head(model)} {outcome(done)} }),
        html(standings(model)),
        html(said(model)),
        html(versions::panel(model)),
        html(compare::panel(model)),
        html(forms::panel(model)),
        html(history::panel(model)),
    ]
}

/// The symbol and the interval, from the newest verdict.
fn series(model: &Model) -> Option<&Round> {
    model.verdicts.iter().find_map(|(_, round)| round.as_ref())
}

fn head(model: &Model) -> AnyView {
    let name = model.summary.name.clone();
    let links = series(model).map(|round| {
        let symbol = round.symbol.to_string();
        let interval = round.interval.as_str();
        let chart = format!("{}?interval={interval}", symbol_url(&round.symbol));
        let scores = crate::ssr::search::url(
            "/scoreboard",
            &[("symbol", &symbol), ("interval", interval)],
        );
        view! {
            <a href=chart>"Chart of " {symbol}</a>
            <a href=scores>"Its scoreboard"</a>
        }
    });
    let served = match &model.served {
        Ok(Some(version)) => format!(
            "This process serves version {}, {}: its files were held to their hashes when they were loaded.",
            version.version, version.reference
        ),
        Ok(None) => "There is no champion: naive is served.".to_owned(),
        Err(why) => format!("The champion cannot be served: {why}"),
    };
    let challenger = model.summary.aliases.get(CHALLENGER).map(|version| {
        let text = format!("Version {version} is the challenger: it runs in the shadow, and is not shown as the forecast.");
        view! { <p data-testid="challenger">{text}</p> }
    });
    view! {
        <p class="ways"><a href="/models">"All models"</a> {links}</p>
        <h1>{name}</h1>
        <p data-testid="served">{served}</p>
        {challenger}
    }
    .erased()
}

/// A model in the leaderboard.
struct Row {
    name: String,
    role: &'static str,
    standing: Standing,
    mase: Option<f64>,
}

/// Who did how on this series, the best first.
fn standings(model: &Model) -> AnyView {
    let measures = series(model).map_or(&[][..], |round| &round.measures[..]);
    let served = model.champion.as_ref();
    let mut rows: Vec<Row> = measures
        .iter()
        .map(|one| {
            let is_served = served.is_some_and(|version| version.reference == one.model);
            let live = match served.filter(|_| is_served) {
                Some(version) => live_of(version, &model.scores),
                None => first_step(&one.model, &model.scores),
            };
            Row {
                name: one.model.clone(),
                role: match one.role {
                    Role::Naive => "yardstick",
                    _ if is_served => "champion",
                    Role::Champion => "was champion",
                    Role::Candidate => "candidate",
                },
                standing: live::standing(live, Some(one)),
                mase: one.mase,
            }
        })
        .collect();
    // Of a champion that is a candidate too there are two rows with the same numbers.
    rows.sort_by(|a, b| {
        (a.name.as_str(), a.role != "champion").cmp(&(b.name.as_str(), b.role != "champion"))
    });
    rows.dedup_by(|later, first| later.name == first.name);
    let skill = |row: &Row| match row.role {
        "yardstick" => 0.0,
        _ => row.standing.skill.unwrap_or(f64::NEG_INFINITY),
    };
    rows.sort_by(|a, b| skill(b).total_cmp(&skill(a)));
    let rows: Vec<_> = rows
        .into_iter()
        .enumerate()
        .map(|(at, row)| {
            let Row {
                name,
                role,
                standing,
                mase,
            } = row;
            let current = (role == "champion").then_some("true");
            view! {
                <tr aria-current=current>
                    <th scope="row">{format!("{}. {name}", at + 1)}</th>
                    {cell(role)}
                    {cell(standing.skill_text)}
                    {cell(standing.held_80)}
                    {cell(standing.held_95)}
                    {cell(measure(mase))}
                    {words(standing.source)}
                </tr>
            }
            .erased()
        })
        .collect();
    if rows.is_empty() {
        return ().erased();
    }
    let heads = [
        "Model",
        "Is",
        "Skill against naive",
        "80 % held",
        "95 % held",
        "MASE at the gate",
        "Judged on",
    ];
    panel(
        "leaderboard-heading",
        "Leaderboard",
        table("Models of this series", "leaderboard", &heads, rows),
    )
}

/// What a round did, in a word or two.
pub fn action(round: &Round) -> String {
    parts::action(round.action, round.served.as_ref().map(ModelRef::as_str))
}

/// What the gate said, the newest in full.
fn said(model: &Model) -> AnyView {
    let Some((newest, _)) = model.verdicts.first() else {
        return panel(
            "verdict-heading",
            "Verdict",
            view! { <p>"The gate has said nothing yet."</p> }.erased(),
        );
    };
    let paragraphs = paragraphs(&newest.verdict.words);
    let older: Vec<_> = model
        .verdicts
        .iter()
        .skip(1)
        .map(|(verdict, round)| {
            let head = round.as_ref().map_or_else(|| "verdict".to_owned(), action);
            view! {
                <details>
                    <summary>{time(verdict.verdict.at)} ": " {head}</summary>
                    {paragraphs_of(verdict)}
                </details>
            }
            .erased()
        })
        .collect();
    let budget = model.verdicts[0]
        .1
        .as_ref()
        .and_then(|round| round.budget.as_ref())
        .map(|budget| {
            let text = format!(
                "Tries this year: {}; promotions: {}. The year's budget opens anew on {}.",
                budget.gates,
                budget.promotions,
                crate::format::date(budget.ends)
            );
            view! { <p class="note" data-testid="tries">{text}</p> }
        });
    let body = view! {
        <p>{time(newest.verdict.at)} {newest.job.map(|id| view! { ", " {job(id)} })}</p>
        <div class="prose" data-testid="verdict">{paragraphs}</div>
        {budget}
        {older}
    }
    .erased();
    panel("verdict-heading", "Why: the verdict", body)
}

fn paragraphs_of(verdict: &Verdict) -> AnyView {
    let link = verdict.job.map(|id| view! { <p>{job(id)}</p> });
    view! { <div class="prose">{paragraphs(&verdict.verdict.words)} {link}</div> }.erased()
}

/// A fact of a version.
fn fact(name: &str, value: impl Into<String>) -> AnyView {
    let value: String = value.into();
    entry(name, view! { {value} }.erased())
}
