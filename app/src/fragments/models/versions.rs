//! The versions of a name with their lineage.

use leptos::prelude::*;
use store::Version;

use super::{Model, fact};
use crate::{
    api::markup::numbers::{measure, share},
    erase::Erase,
    format,
    fragments::parts::{self, cell, clock, entry, job, table, time, words},
    query::CHAMPION,
    ssr::search::url,
};

/// The table, a page of it.
pub fn panel(model: &Model) -> AnyView {
    let rows: Vec<_> = model.versions.iter().map(row).collect();
    let name = model.summary.name.as_str();
    let body = if rows.is_empty() {
        view! { <p>"None: nothing has been promoted."</p> }.erased()
    } else {
        let heads = [
            "Version",
            "Model",
            "Made",
            "Trained on",
            "Skill",
            "MASE",
            "95 % held",
            "Note",
        ];
        table("Versions", "versions", &heads, rows)
    };
    let details: Vec<_> = model.versions.iter().map(lineage).collect();
    let older = model.before.map(|before| {
        let before = before.to_string();
        view! {
            <p class="ways">
                <a href=url("/models", &[("name", name), ("before", &before)])>"Earlier versions"</a>
            </p>
        }
    });
    let body = view! { {body} {details} {older} }.erased();
    parts::panel("versions-heading", "Versions", body)
}

/// A measure of a version.
fn number(version: &Version, key: &str) -> Option<f64> {
    version.measures.get(key)?.as_f64()
}

fn row(version: &Version) -> AnyView {
    let mut marks = version.aliases.join(", ");
    if version.archived.is_some() {
        marks = "archived".to_owned();
    }
    let tag = (!marks.is_empty()).then(|| view! { <span class="tag">{marks}</span> });
    let is_champion = version.aliases.iter().any(|alias| alias == CHAMPION);
    let skill = number(version, "skill_against_naive");
    let skill = skill.map_or_else(|| "–".to_owned(), |v| format::signed_percent(v, 1));
    let lineage = &version.lineage;
    let span = format!(
        "{} to {}, {} closes",
        format::date(lineage.from),
        format::date(lineage.until),
        lineage.rows
    );
    view! {
        <tr
            data-testid=format!("version-{}", version.version)
            aria-current=is_champion.then_some("true")
        >
            <th scope="row">{version.version.to_string()} " " {tag}</th>
            {cell(version.reference.clone())}
            <td>{time(version.created_at)}</td>
            {cell(span)}
            {cell(skill)}
            {cell(measure(number(version, "mase")))}
            {cell(share(number(version, "coverage_95")))}
            {words(version.note.clone())}
        </tr>
    }
    .erased()
}

/// What a version was made of, and its files.
fn lineage(version: &Version) -> AnyView {
    let lineage = &version.lineage;
    let files: Vec<_> = version
        .artefacts
        .iter()
        .map(|file| {
            let text = format!(
                "{} ({} bytes), SHA-256 {}",
                file.path, file.bytes, file.sha256
            );
            view! { <li><code>{text}</code></li> }
        })
        .collect();
    let parent = match lineage.parent {
        Some(parent) => format!("version {parent} was champion before"),
        None => "none: naive was served before".to_owned(),
    };
    let archived = version.archived.as_ref().map(|change| {
        fact(
            "Archived",
            format!("{} by {}: {}", clock(change.at), change.by, change.why),
        )
    });
    view! {
        <details data-testid=format!("lineage-{}", version.version)>
            <summary>{format!("Lineage of version {}", version.version)}</summary>
            <dl class="facts">
                {version.job.map(|id| entry("Made by", job(id)))}
                {fact("On behalf of", version.created_by.clone())}
                {fact("Closes", format!("{} from {} to {}", lineage.rows, clock(lineage.from), clock(lineage.until)))}
                {fact("SHA-256 of the closes", lineage.sha256.clone())}
                {fact("Parent", parent)}
                {fact("Program", lineage.code_version.clone())}
                {fact("Seed", lineage.seed.to_string())}
                {archived}
            </dl>
            <ul class="files">{files}</ul>
        </details>
    }
    .erased()
}
