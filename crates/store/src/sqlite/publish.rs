//! Publications: a verdict, a version, moves of aliases and messages, written in the savepoint of the command
//! that they come with. An error undoes all of it.

use std::collections::BTreeMap;

use market::Timestamp;
use rusqlite::{Connection, OptionalExtension, params};

use super::{job_rows::text, outbox};
use crate::{
    Change, NewVerdict, NewVersion, Publication, Published, Result, StoreError,
    publication::{self, PlannedMove, Present},
};

/// Writes a publication; see [`crate::ModelRegistry::publish`].
pub(super) fn write(
    conn: &Connection,
    new: &Publication,
    job: Option<i64>,
    now: Timestamp,
) -> Result<Published> {
    let mut published = Published::default();
    if let Some(name) = publication::check(new)? {
        let present = present(conn, &name)?;
        let plan = publication::plan(new, &present, |version| is_archived(conn, &name, version))?;
        conn.prepare_cached(
            "INSERT INTO models (name, versions) VALUES (?1, ?2)
             ON CONFLICT DO UPDATE SET versions = excluded.versions",
        )?
        .execute((&name, plan.version.unwrap_or(present.versions)))?;
        if let (Some(version), Some(number)) = (&new.version, plan.version) {
            write_version(conn, version, number, job, now)?;
        }
        for one in &plan.moves {
            write_move(conn, &name, one, job, now)?;
        }
        if let Some(verdict) = &new.verdict {
            published.verdict = Some(write_verdict(conn, verdict, plan.version, job)?);
        }
        published.version = plan.version;
    }
    outbox::enqueue(conn, &new.outbox, now)?;
    Ok(published)
}

/// What there is of a name.
fn present(conn: &Connection, name: &str) -> Result<Present> {
    let versions: Option<u32> = conn
        .prepare_cached("SELECT versions FROM models WHERE name = ?1")?
        .query_row([name], |row| row.get(0))
        .optional()?;
    let aliases = conn
        .prepare_cached("SELECT alias, version FROM aliases WHERE name = ?1")?
        .query_map([name], |row| Ok((row.get(0)?, row.get(1)?)))?
        .collect::<rusqlite::Result<BTreeMap<String, u32>>>()?;
    Ok(Present {
        versions: versions.unwrap_or(0),
        aliases,
    })
}

fn is_archived(conn: &Connection, name: &str, version: u32) -> Result<bool> {
    Ok(conn
        .prepare_cached(
            "SELECT 1 FROM model_versions
             WHERE name = ?1 AND version = ?2 AND archived_at IS NOT NULL",
        )?
        .exists((name, version))?)
}

fn write_version(
    conn: &Connection,
    new: &NewVersion,
    number: u32,
    job: Option<i64>,
    now: Timestamp,
) -> Result<()> {
    let search = publication::search_text(new);
    conn.prepare_cached("INSERT INTO model_versions (name, version, search) VALUES (?1, ?2, ?3)")?
        .execute((&new.name, number, search))?;
    conn.prepare_cached(
        "INSERT INTO model_version_details
             (id, reference, created_by, created_at, note, job, lineage, measures, artefacts)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)",
    )?
    .execute(params![
        conn.last_insert_rowid(),
        new.reference,
        new.created_by,
        now.as_micros(),
        new.note,
        job,
        text(&new.lineage)?,
        text(&new.measures)?,
        text(&new.artefacts)?,
    ])?;
    Ok(())
}

fn write_move(
    conn: &Connection,
    name: &str,
    one: &PlannedMove,
    job: Option<i64>,
    now: Timestamp,
) -> Result<()> {
    match one.to {
        Some(version) => conn
            .prepare_cached(
                "INSERT INTO aliases (name, alias, version) VALUES (?1, ?2, ?3)
                 ON CONFLICT DO UPDATE SET version = excluded.version",
            )?
            .execute((name, &one.alias, version))?,
        None => conn
            .prepare_cached("DELETE FROM aliases WHERE name = ?1 AND alias = ?2")?
            .execute((name, &one.alias))?,
    };
    // Never before the move before, whatever the clock says: so time tells who was champion when.
    conn.prepare_cached(
        "INSERT INTO alias_moves (name, alias, from_version, to_version, at, moved_by, why, job)
         SELECT ?1, ?2, ?3, ?4,
             max(?5, ifnull((SELECT max(at) FROM alias_moves WHERE name = ?1 AND alias = ?2), ?5)),
             ?6, ?7, ?8",
    )?
    .execute(params![
        name,
        one.alias,
        one.from,
        one.to,
        now.as_micros(),
        one.by,
        one.why,
        job
    ])?;
    Ok(())
}

fn write_verdict(
    conn: &Connection,
    new: &NewVerdict,
    version: Option<u32>,
    job: Option<i64>,
) -> Result<i64> {
    conn.prepare_cached(
        "INSERT INTO verdicts
             (name, champion, promoted, budget_spent, tries, at, version, job, words, numbers)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)",
    )?
    .execute(params![
        new.name,
        new.champion,
        new.promoted,
        new.budget_spent,
        new.tries_this_year,
        new.at.as_micros(),
        version,
        job,
        new.words,
        text(&new.numbers)?,
    ])?;
    Ok(conn.last_insert_rowid())
}

/// See [`crate::ModelRegistry::archive`].
pub(super) fn archive(
    conn: &Connection,
    name: &str,
    version: u32,
    change: Option<&Change>,
) -> Result<()> {
    let alias: Option<String> = conn
        .prepare_cached(
            "SELECT alias FROM aliases WHERE name = ?1 AND version = ?2 ORDER BY alias",
        )?
        .query_row((name, version), |row| row.get(0))
        .optional()?;
    if let (Some(alias), Some(_)) = (alias, change) {
        return Err(publication::still_named(name, version, &alias));
    }
    let id: Option<i64> = conn
        .prepare_cached(
            "UPDATE model_versions SET archived_at = ?3 WHERE name = ?1 AND version = ?2
             RETURNING id",
        )?
        .query_row((name, version, change.map(|c| c.at.as_micros())), |row| {
            row.get(0)
        })
        .optional()?;
    let id = id.ok_or_else(|| StoreError::NotFound {
        what: format!("version {version} of {name}"),
    })?;
    conn.prepare_cached(
        "UPDATE model_version_details SET archived_by = ?2, archived_why = ?3 WHERE id = ?1",
    )?
    .execute((id, change.map(|c| &c.by), change.map(|c| &c.why)))?;
    Ok(())
}
