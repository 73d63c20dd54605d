//! The list: a series a row, with what is served and how it does. Paged and searched in the store.

use leptos::prelude::*;
use mlops::training::Round;
use store::{ModelSummary, Verdict, Version};

use super::{action, live, live_of};
use crate::{
    api::ModelScore,
    erase::Erase,
    fragments::parts::{cell, html, model_url, table, time, words},
    ssr::search::url,
};

/// A row.
pub struct Listed {
    /// The name.
    pub summary: ModelSummary,
    /// What is served.
    pub champion: Option<Version>,
    /// What the gate said last.
    pub verdict: Option<(Verdict, Option<Round>)>,
    /// The live records of its series.
    pub scores: Vec<ModelScore>,
}

/// The parts of the page: what can be looked for, and what was found.
pub fn list(rows: &[Listed], find: &str, after: &str, next: Option<&str>) -> Vec<String> {
    let head = view! {
        <h1>"Models"</h1>
        <p class="lead">
            "One name a series. A model is served as its champion only after the gate has found it better than the \
            champion before and than naive; until then, and when none is, naive is served."
        </p>
        <form class="find" method="get" action="/models" role="search">
            <label class="hidden" for="find-models">"Find a series"</label>
            <input
                id="find-models"
                type="search"
                name="find"
                value=find.to_owned()
                placeholder="Find a series: AAPL"
                data-testid="find-models"
            />
            <button type="submit">"Find"</button>
        </form>
    };
    let body = if rows.is_empty() {
        none(!find.is_empty() || !after.is_empty())
    } else {
        let heads = [
            "Series",
            "Serves",
            "Versions",
            "Skill against naive",
            "80 % held",
            "95 % held",
            "Judged on",
            "Last verdict",
        ];
        table(
            "Series and their champions",
            "models",
            &heads,
            rows.iter().map(row).collect(),
        )
    };
    let ways = view! {
        <p class="ways">
            {next.map(|next| view! {
                <a href=url("/models", &[("find", find), ("after", next)]) data-testid="later-models">
                    "Later names"
                </a>
            })}
            {(!after.is_empty()).then(|| view! {
                <a href=url("/models", &[("find", find)])>"From the first"</a>
            })}
        </p>
    };
    vec![
        html(head),
        html(view! { <section class="panel" aria-label="Series">{body} {ways}</section> }),
    ]
}

fn none(narrowed: bool) -> AnyView {
    if narrowed {
        return view! { <p data-testid="no-models">"No series has such a name."</p> }.erased();
    }
    view! {
        <p data-testid="no-models">
            "No round of training has been held yet. "
            <a href="/training">"Train now, or see when it happens by itself."</a>
        </p>
    }
    .erased()
}

fn row(listed: &Listed) -> AnyView {
    let name = &listed.summary.name;
    let served = match &listed.champion {
        Some(version) => format!("{} (version {})", version.reference, version.version),
        None => "naive".to_owned(),
    };
    let round = listed
        .verdict
        .as_ref()
        .and_then(|(_, round)| round.as_ref());
    let gate = round.and_then(Round::served_measures);
    let live = listed
        .champion
        .as_ref()
        .and_then(|v| live_of(v, &listed.scores));
    let standing = live::standing(live, gate);
    let verdict = listed.verdict.as_ref().map(|(verdict, round)| {
        let words = round
            .as_ref()
            .map_or_else(|| "unreadable".to_owned(), action);
        view! { {words} ", " {time(verdict.verdict.at)} }
    });
    view! {
        <tr data-testid=format!("model-{name}")>
            <th scope="row"><a href=model_url(name)>{name.clone()}</a></th>
            {cell(served)}
            {cell(listed.summary.versions.to_string())}
            {cell(standing.skill_text)}
            {cell(standing.held_80)}
            {cell(standing.held_95)}
            {words(standing.source)}
            <td class="text">{verdict}</td>
        </tr>
    }
    .erased()
}
