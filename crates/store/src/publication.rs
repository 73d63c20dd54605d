//! What a publication must be, and what it comes to: the same on every side.
//!
//! Model: [`check`] looks at a publication alone, before anything is asked of the store. [`plan`] looks at it
//! beside what the store has of its name, while nobody else changes that, and says what is to be written.
//!
//! Does not: read or write anything.

use std::collections::{BTreeMap, BTreeSet};

use crate::{
    AliasMove, AliasTarget, Artefact, NewMessage, NewVersion, Publication, Result, StoreError,
    check::invalid,
};

/// Characters of a model's name at most.
const NAME_CHARS: usize = 128;
/// Characters of an alias at most.
const ALIAS_CHARS: usize = 64;
/// Characters of an idempotency key at most.
const KEY_CHARS: usize = 200;
/// Files of a version, moves and messages of a publication at most.
const MOST_PARTS: usize = 1_000;

/// Bytes of all the JSON of a publication: a document of MongoDB holds it.
const MOST_BYTES: usize = 4 << 20;

/// What a store has of a model name.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Present {
    /// The number of the newest version; 0 when there is none.
    pub versions: u32,
    /// Where the aliases point.
    pub aliases: BTreeMap<String, u32>,
}

/// A move that is to be written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct PlannedMove {
    pub alias: String,
    pub from: Option<u32>,
    pub to: Option<u32>,
    pub by: String,
    pub why: String,
}

/// What a publication comes to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Plan {
    /// The number of the new version.
    pub version: Option<u32>,
    /// Moves to a place where the alias is not already.
    pub moves: Vec<PlannedMove>,
}

/// Refuses what cannot be a model's name.
fn model_name(name: &str) -> Result<()> {
    let allowed = |c: char| c.is_ascii_alphanumeric() || "._-=^/:()+,~".contains(c);
    if name.is_empty() || name.chars().count() > NAME_CHARS || !name.chars().all(allowed) {
        return Err(invalid(format!(
            "{:?} is not a model name: expected 1 to {NAME_CHARS} of letters, digits and . _ - = ^ / : ( ) + , ~",
            market::excerpt(name)
        )));
    }
    Ok(())
}

/// Whether it can be an alias.
pub(crate) fn is_alias(alias: &str) -> bool {
    let allowed = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_' || c == '-';
    let is_number = alias
        .strip_prefix('v')
        .is_some_and(|rest| !rest.is_empty() && rest.chars().all(|c| c.is_ascii_digit()));
    (1..=ALIAS_CHARS).contains(&alias.len())
        && alias.chars().all(allowed)
        && alias != "latest"
        && !is_number
}

/// Refuses what cannot be an alias.
fn alias_name(alias: &str) -> Result<()> {
    if !is_alias(alias) {
        return Err(invalid(format!(
            "{:?} is not an alias: expected 1 to {ALIAS_CHARS} of a-z, 0-9, _ and -, and not latest or v and a number",
            market::excerpt(alias)
        )));
    }
    Ok(())
}

/// Refuses what cannot be an idempotency key.
pub(crate) fn key(key: &str) -> Result<()> {
    if key.is_empty() || key.chars().count() > KEY_CHARS {
        return Err(invalid(format!(
            "{:?} is not a key: expected 1 to {KEY_CHARS} characters",
            market::excerpt(key)
        )));
    }
    Ok(())
}

/// Refuses messages whose keys cannot be.
pub(crate) fn messages(messages: &[NewMessage]) -> Result<()> {
    messages.iter().try_for_each(|message| key(&message.key))
}

/// Whether it is a SHA-256 in lower-case hexadecimal digits.
pub(crate) fn is_sha256(text: &str) -> bool {
    let digit = |b: u8| b.is_ascii_digit() || (b'a'..=b'f').contains(&b);
    text.len() == 64 && text.bytes().all(digit)
}

/// Refuses what is no SHA-256: it becomes a file's name.
pub(crate) fn sha256(text: &str) -> Result<()> {
    if !is_sha256(text) {
        return Err(invalid(format!(
            "{:?} is not a SHA-256: expected 64 of 0-9 and a-f",
            market::excerpt(text)
        )));
    }
    Ok(())
}

fn artefact(artefact: &Artefact) -> Result<()> {
    sha256(&artefact.sha256)?;
    let path = artefact.path.as_str();
    let part = |part: &str| !part.is_empty() && part != "." && part != "..";
    let forbidden = |c: char| c.is_control() || c == '\\';
    if path.len() > 255 || path.contains(forbidden) || !path.split('/').all(part) {
        return Err(invalid(format!(
            "{:?} is not the path of an artefact: expected a relative path without . and .. of at most 255 bytes",
            market::excerpt(path)
        )));
    }
    Ok(())
}

fn version(version: &NewVersion) -> Result<()> {
    let mut paths = BTreeSet::new();
    for one in &version.artefacts {
        artefact(one)?;
        if !paths.insert(one.path.as_str()) {
            return Err(invalid(format!("the artefact {:?} comes twice", one.path)));
        }
    }
    if version.reference.is_empty() {
        return Err(invalid("a version without a model reference"));
    }
    if version.lineage.from > version.lineage.until {
        return Err(invalid("a version whose data end before they begin"));
    }
    Ok(())
}

/// Refuses a publication that cannot be right whatever the store has; its model name.
pub(crate) fn check(publication: &Publication) -> Result<Option<String>> {
    let names: BTreeSet<&str> = publication
        .verdict
        .iter()
        .map(|verdict| verdict.name.as_str())
        .chain(publication.version.iter().map(|v| v.name.as_str()))
        .chain(publication.aliases.iter().map(|to| to.name.as_str()))
        .collect();
    names.iter().try_for_each(|name| model_name(name))?;
    if names.len() > 1 {
        return Err(invalid(format!(
            "a publication is of one model name, not of {names:?}"
        )));
    }
    let files = publication
        .version
        .as_ref()
        .map_or(0, |v| v.artefacts.len());
    if files
        .max(publication.aliases.len())
        .max(publication.outbox.len())
        > MOST_PARTS
    {
        return Err(invalid(format!(
            "a publication of more than {MOST_PARTS} files, moves or messages"
        )));
    }
    if let Some(verdict) = &publication.verdict
        && !(verdict.budget_spent.is_finite() && verdict.budget_spent >= 0.0)
    {
        return Err(invalid(format!(
            "a verdict cannot spend {} of its budget: expected a number from 0",
            verdict.budget_spent
        )));
    }
    let values = publication
        .outbox
        .iter()
        .map(|message| &message.payload)
        .chain(publication.verdict.iter().map(|verdict| &verdict.numbers))
        .chain(publication.version.iter().map(|new| &new.measures));
    let bytes: usize = values.map(|value| value.to_string().len()).sum();
    if bytes > MOST_BYTES {
        return Err(invalid(format!(
            "a publication of {bytes} bytes of JSON: expected at most {MOST_BYTES}"
        )));
    }
    publication.version.iter().try_for_each(version)?;
    let mut moved = BTreeSet::new();
    for to in &publication.aliases {
        alias_name(&to.alias)?;
        if !moved.insert(to.alias.as_str()) {
            return Err(invalid(format!("the alias {} is moved twice", to.alias)));
        }
        if to.to == AliasTarget::New && publication.version.is_none() {
            return Err(invalid(format!(
                "the alias {} shall point at a new version, and there is none",
                to.alias
            )));
        }
    }
    messages(&publication.outbox)?;
    Ok(names.first().map(|name| (*name).to_owned()))
}

fn words(version: Option<u32>) -> String {
    version.map_or_else(|| "none".into(), |version| format!("version {version}"))
}

/// What a checked publication comes to beside what is there. `archived` says whether a version is put away.
pub(crate) fn plan(
    publication: &Publication,
    present: &Present,
    mut archived: impl FnMut(u32) -> Result<bool>,
) -> Result<Plan> {
    let not_there = |name: &str, version: u32| StoreError::NotFound {
        what: format!("version {version} of {name}"),
    };
    let new = publication.version.as_ref().map(|_| present.versions + 1);
    if let Some(version) = &publication.version
        && let Some(parent) = version.lineage.parent
        && !(1..=present.versions).contains(&parent)
    {
        return Err(not_there(&version.name, parent));
    }
    let mut moves = Vec::with_capacity(publication.aliases.len());
    for AliasMove {
        name,
        alias,
        to,
        expected,
        by,
        why,
    } in &publication.aliases
    {
        let from = present.aliases.get(alias).copied();
        if let Some(expected) = expected
            && *expected != from
        {
            return Err(StoreError::Conflict {
                detail: format!(
                    "{name}@{alias} points at {}, expected {}",
                    words(from),
                    words(*expected)
                ),
            });
        }
        let to = match to {
            AliasTarget::New => new,
            AliasTarget::Nobody => None,
            AliasTarget::Version(version) if !(1..=present.versions).contains(version) => {
                return Err(not_there(name, *version));
            }
            AliasTarget::Version(version) if archived(*version)? => {
                return Err(StoreError::Conflict {
                    detail: format!("version {version} of {name} is archived: take it back first"),
                });
            }
            AliasTarget::Version(version) => Some(*version),
        };
        if to != from {
            moves.push(PlannedMove {
                alias: alias.clone(),
                from,
                to,
                by: by.clone(),
                why: why.clone(),
            });
        }
    }
    Ok(Plan {
        version: new,
        moves,
    })
}

/// The error for a version that shall be put away while an alias points at it.
pub(crate) fn still_named(name: &str, version: u32, alias: &str) -> StoreError {
    StoreError::Conflict {
        detail: format!(
            "version {version} of {name} is its {alias}: move the alias before it is archived"
        ),
    }
}

/// The text that [`crate::VersionQuery::contains`] is looked for in.
pub(crate) fn search_text(version: &NewVersion) -> String {
    format!("{}\n{}\n{}", version.name, version.reference, version.note).to_lowercase()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_others_would_misread_are_refused() {
        for good in ["AAPL/1d", "EUR/USD=X", "^GSPC", "arima(1,1,1)"] {
            model_name(good).unwrap();
        }
        for bad in ["", "a b", "a@champion", "a|b", "ä", &"x".repeat(129)] {
            assert!(model_name(bad).is_err(), "{bad}");
        }
        for good in ["champion", "v", "v1a", "a_b-c"] {
            alias_name(good).unwrap();
        }
        for bad in [
            "",
            "Champion",
            "latest",
            "v1",
            "v20",
            "a.b",
            &"x".repeat(65),
        ] {
            assert!(alias_name(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_path_that_leaves_its_version_is_refused() {
        let of = |path: &str| {
            artefact(&Artefact {
                path: path.into(),
                sha256: "0".repeat(64),
                bytes: 1,
            })
        };
        of("weights/lstm.safetensors").unwrap();
        for bad in [
            "",
            "/etc/passwd",
            "../x",
            "a/../b",
            "a//b",
            "a/.",
            "a\\b",
            "a\nb",
        ] {
            assert!(of(bad).is_err(), "{bad:?}");
        }
    }
}
