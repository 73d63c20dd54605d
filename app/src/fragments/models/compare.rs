//! Two versions, by their differences alone.

use std::collections::BTreeMap;

use leptos::prelude::*;
use serde_json::Value;
use store::Version;

use super::Model;
use crate::{
    erase::Erase,
    fragments::parts::{self, clock, table, words},
};

/// The form, and the differences where two are chosen.
pub fn panel(model: &Model) -> AnyView {
    if model.versions.len() < 2 && model.compared.is_none() {
        return ().erased();
    }
    let (a, b) = match &model.compared {
        Some((a, b)) => (a.version, b.version),
        None => (model.versions[1].version, model.versions[0].version),
    };
    let found = model.compared.as_ref().map(|(a, b)| difference(a, b));
    let body = view! {
        <form class="fields" method="get" action="/models">
            <input type="hidden" name="name" value=model.summary.name.clone()/>
            <label><span>"Version"</span><input type="number" min="1" name="a" value=a.to_string()/></label>
            <label><span>"with version"</span><input type="number" min="1" name="b" value=b.to_string()/></label>
            <button type="submit" data-testid="compare">"Compare"</button>
        </form>
        {found}
    }
    .erased();
    parts::panel("compare-heading", "Compare two versions", body)
}

fn difference(a: &Version, b: &Version) -> AnyView {
    let (differ, same) = differences(a, b);
    let rows: Vec<_> = differ
        .into_iter()
        .map(|(field, left, right)| {
            view! { <tr><th scope="row">{field}</th>{words(left)}{words(right)}</tr> }.erased()
        })
        .collect();
    let heads = [
        String::new(),
        format!("Version {}", a.version),
        format!("Version {}", b.version),
    ];
    let heads: Vec<&str> = heads.iter().map(String::as_str).collect();
    let rest = format!("{same} other facts are the same.");
    view! {
        {table("Differences", "differences", &heads, rows)}
        <p class="note">{rest}</p>
    }
    .erased()
}

/// What differs: the field and both values; and how many fields do not.
fn differences(a: &Version, b: &Version) -> (Vec<(String, String, String)>, usize) {
    let (mut left, mut right) = (facts(a), facts(b));
    let mut names: Vec<String> = left.keys().chain(right.keys()).cloned().collect();
    names.sort_unstable();
    names.dedup();
    let all = names.len();
    let none = || "–".to_owned();
    let differ: Vec<_> = names
        .into_iter()
        .filter_map(|name| {
            let (l, r) = (left.remove(&name), right.remove(&name));
            (l != r).then(|| (name, l.unwrap_or_else(none), r.unwrap_or_else(none)))
        })
        .collect();
    let same = all - differ.len();
    (differ, same)
}

fn facts(version: &Version) -> BTreeMap<String, String> {
    let lineage = &version.lineage;
    let mut facts: BTreeMap<String, String> = [
        ("model", version.reference.clone()),
        ("made", clock(version.created_at)),
        ("made on behalf of", version.created_by.clone()),
        (
            "job",
            version
                .job
                .map_or_else(|| "–".to_owned(), |id| id.to_string()),
        ),
        ("note", version.note.clone()),
        ("aliases", version.aliases.join(", ")),
        ("archived", version.archived.is_some().to_string()),
        ("closes from", clock(lineage.from)),
        ("closes until", clock(lineage.until)),
        ("closes", lineage.rows.to_string()),
        ("SHA-256 of the closes", lineage.sha256.clone()),
        ("program", lineage.code_version.clone()),
        ("seed", lineage.seed.to_string()),
        (
            "parent",
            lineage
                .parent
                .map_or_else(|| "–".to_owned(), |v| v.to_string()),
        ),
    ]
    .into_iter()
    .map(|(name, value)| (name.to_owned(), value))
    .collect();
    flatten("measured: ", &version.measures, &mut facts);
    for file in &version.artefacts {
        facts.insert(
            format!("file {}", file.path),
            format!("{} bytes, {}", file.bytes, file.sha256),
        );
    }
    facts
}

fn flatten(name: &str, value: &Value, facts: &mut BTreeMap<String, String>) {
    match value {
        Value::Object(fields) => {
            for (key, value) in fields {
                flatten(&format!("{name}{} ", key.replace('_', " ")), value, facts);
            }
        }
        Value::Null => {}
        Value::String(text) => {
            facts.insert(name.trim().to_owned(), text.clone());
        }
        Value::Number(number) => {
            let text = number.as_f64().filter(|v| v.fract() != 0.0);
            let text = text.map_or_else(|| number.to_string(), |v| format!("{v:.6}"));
            facts.insert(name.trim().to_owned(), text);
        }
        other => {
            facts.insert(name.trim().to_owned(), other.to_string());
        }
    }
}

#[cfg(test)]
mod tests {
    use market::Timestamp;
    use serde_json::json;
    use store::{Artefact, Lineage};

    use super::*;

    fn version(number: u32, rows: u64, skill: f64) -> Version {
        Version {
            id: i64::from(number),
            name: "close-1d.A".into(),
            version: number,
            reference: "theta".into(),
            lineage: Lineage {
                from: Timestamp::from_secs(0),
                until: Timestamp::from_secs(86_400),
                rows,
                sha256: "ab".into(),
                code_version: "1".into(),
                seed: 0,
                parent: None,
            },
            measures: json!({"skill_against_naive": skill, "model": "theta", "failure": null}),
            artefacts: vec![Artefact {
                path: "state.bin".into(),
                sha256: "cd".into(),
                bytes: 3,
            }],
            created_by: "a schedule".into(),
            created_at: Timestamp::from_secs(9),
            note: String::new(),
            job: Some(1),
            archived: None,
            aliases: Vec::new(),
        }
    }

    #[test]
    fn of_two_versions_only_what_differs_is_told() {
        let (differ, same) = differences(&version(1, 500, 0.1), &version(2, 501, 0.2));
        let names: Vec<&str> = differ.iter().map(|(name, ..)| name.as_str()).collect();
        assert_eq!(names, ["closes", "measured: skill against naive"]);
        assert_eq!(differ[0], ("closes".into(), "500".into(), "501".into()));
        assert_eq!(same, 15, "aliases, hashes, the model and so on");
    }
}
