//! The registry as it is read: versions, aliases and their history, verdicts.

use std::collections::BTreeMap;

use market::Timestamp;
use rusqlite::{Connection, OptionalExtension, Row, params};

use super::{job_rows::json, ticks::limit_of};
use crate::{
    AliasChange, Budget, Change, ModelSummary, NewVerdict, Result, Verdict, Version, VersionQuery,
};

/// What [`read_version`] reads, in its order.
const VERSION: &str =
    "SELECT v.id, v.name, v.version, d.reference, d.lineage, d.measures, d.artefacts,
     d.created_by, d.created_at, d.note, d.job, v.archived_at, d.archived_by, d.archived_why
     FROM model_versions v JOIN model_version_details d ON d.id = v.id";

fn read_version(conn: &Connection, row: &Row<'_>) -> Result<Version> {
    let archived = match (row.get(11)?, row.get(12)?, row.get(13)?) {
        (Some(at), Some(by), Some(why)) => Some(Change {
            by,
            at: Timestamp::from_micros(at),
            why,
        }),
        _ => None,
    };
    let (name, version): (String, u32) = (row.get(1)?, row.get(2)?);
    let aliases = conn
        .prepare_cached(
            "SELECT alias FROM aliases WHERE name = ?1 AND version = ?2 ORDER BY alias",
        )?
        .query_map((&name, version), |row| row.get(0))?
        .collect::<rusqlite::Result<Vec<String>>>()?;
    Ok(Version {
        id: row.get(0)?,
        reference: row.get(3)?,
        lineage: json("a version's lineage", &row.get::<_, String>(4)?)?,
        measures: json("a version's measures", &row.get::<_, String>(5)?)?,
        artefacts: json("a version's artefacts", &row.get::<_, String>(6)?)?,
        created_by: row.get(7)?,
        created_at: Timestamp::from_micros(row.get(8)?),
        note: row.get(9)?,
        job: row.get(10)?,
        archived,
        aliases,
        name,
        version,
    })
}

/// See [`crate::ModelRegistry::version`].
pub(super) fn version(conn: &Connection, name: &str, version: u32) -> Result<Option<Version>> {
    let mut find =
        conn.prepare_cached(&format!("{VERSION} WHERE v.name = ?1 AND v.version = ?2"))?;
    let found = find
        .query_row((name, version), |row| Ok(read_version(conn, row)))
        .optional()?;
    found.transpose()
}

/// See [`crate::ModelRegistry::by_alias`]. The reads are of one snapshot.
pub(super) fn by_alias(conn: &Connection, name: &str, alias: &str) -> Result<Option<Version>> {
    let snapshot = conn.unchecked_transaction()?;
    let points_at: Option<u32> = snapshot
        .prepare_cached("SELECT version FROM aliases WHERE name = ?1 AND alias = ?2")?
        .query_row((name, alias), |row| row.get(0))
        .optional()?;
    points_at.map_or(Ok(None), |number| version(&snapshot, name, number))
}

/// See [`crate::ModelRegistry::versions`]. The reads are of one snapshot.
pub(super) fn versions(conn: &Connection, query: &VersionQuery) -> Result<Vec<Version>> {
    let snapshot = conn.unchecked_transaction()?;
    // As much as the question asks, so that each is served by an index of its own.
    let mut only = vec!["v.id < ?1"];
    only.push(query.name.as_ref().map_or("?2 IS NULL", |_| "v.name = ?2"));
    only.push(match &query.contains {
        Some(_) => "instr(v.search, ?3) > 0",
        None => "?3 IS NULL",
    });
    only.push(match &query.alias {
        Some(_) => {
            "EXISTS (SELECT 1 FROM aliases a
                 WHERE a.name = v.name AND a.alias = ?4 AND a.version = v.version)"
        }
        None => "?4 IS NULL",
    });
    only.push(match query.archived {
        Some(true) => "v.archived_at IS NOT NULL",
        Some(false) => "v.archived_at IS NULL",
        None => "1",
    });
    // The names by the compact table alone; the details of the page only.
    let sql = format!(
        "SELECT v.id FROM model_versions v WHERE {} ORDER BY v.id DESC LIMIT ?5",
        only.join(" AND ")
    );
    let ids = snapshot
        .prepare_cached(&sql)?
        .query_map(
            params![
                query.before_id.unwrap_or(i64::MAX),
                query.name,
                query.contains.as_ref().map(|text| text.to_lowercase()),
                query.alias,
                limit_of(query.limit),
            ],
            |row| row.get(0),
        )?
        .collect::<rusqlite::Result<Vec<i64>>>()?;
    let mut find = snapshot.prepare_cached(&format!("{VERSION} WHERE v.id = ?1"))?;
    ids.into_iter()
        .map(|id| find.query_row([id], |row| Ok(read_version(conn, row)))?)
        .collect()
}

/// See [`crate::ModelRegistry::models`]. The reads are of one snapshot.
pub(super) fn models(
    conn: &Connection,
    contains: Option<&str>,
    after: Option<&str>,
    limit: usize,
) -> Result<Vec<ModelSummary>> {
    let snapshot = conn.unchecked_transaction()?;
    let mut find = snapshot.prepare_cached(
        "SELECT name, versions FROM models
         WHERE name > ?1 AND (?2 IS NULL OR instr(lower(name), ?2) > 0)
         ORDER BY name LIMIT ?3",
    )?;
    let mut aliases =
        snapshot.prepare_cached("SELECT alias, version FROM aliases WHERE name = ?1")?;
    let contains = contains.map(str::to_lowercase);
    let mut rows = find.query((after.unwrap_or(""), contains, limit_of(limit)))?;
    let mut models = Vec::new();
    while let Some(row) = rows.next()? {
        let name: String = row.get(0)?;
        let aliases = aliases
            .query_map([&name], |row| Ok((row.get(0)?, row.get(1)?)))?
            .collect::<rusqlite::Result<BTreeMap<String, u32>>>()?;
        models.push(ModelSummary {
            name,
            versions: row.get(1)?,
            aliases,
        });
    }
    Ok(models)
}

/// See [`crate::ModelRegistry::alias_at`].
pub(super) fn alias_at(
    conn: &Connection,
    name: &str,
    alias: &str,
    at: Timestamp,
) -> Result<Option<u32>> {
    let to: Option<Option<u32>> = conn
        .prepare_cached(
            "SELECT to_version FROM alias_moves WHERE name = ?1 AND alias = ?2 AND at <= ?3
             ORDER BY at DESC, id DESC LIMIT 1",
        )?
        .query_row((name, alias, at.as_micros()), |row| row.get(0))
        .optional()?;
    Ok(to.flatten())
}

/// See [`crate::ModelRegistry::alias_history`].
pub(super) fn alias_history(
    conn: &Connection,
    name: &str,
    alias: &str,
    (from, until): (Timestamp, Timestamp),
    limit: usize,
) -> Result<Vec<AliasChange>> {
    let mut find = conn.prepare_cached(
        "SELECT id, from_version, to_version, moved_by, at, why, job FROM alias_moves
         WHERE name = ?1 AND alias = ?2 AND at >= ?3 AND at < ?4
         ORDER BY at DESC, id DESC LIMIT ?5",
    )?;
    let range = (from.as_micros(), until.as_micros());
    let moves = find.query_map((name, alias, range.0, range.1, limit_of(limit)), |row| {
        Ok(AliasChange {
            id: row.get(0)?,
            name: name.to_owned(),
            alias: alias.to_owned(),
            from: row.get(1)?,
            to: row.get(2)?,
            change: Change {
                by: row.get(3)?,
                at: Timestamp::from_micros(row.get(4)?),
                why: row.get(5)?,
            },
            job: row.get(6)?,
        })
    })?;
    let mut moves = moves.collect::<rusqlite::Result<Vec<_>>>()?;
    moves.reverse();
    Ok(moves)
}

/// See [`crate::ModelRegistry::verdicts`].
pub(super) fn verdicts(
    conn: &Connection,
    name: Option<&str>,
    before_id: Option<i64>,
    limit: usize,
) -> Result<Vec<Verdict>> {
    let of_name = name.map_or("?1 IS NULL", |_| "name = ?1");
    let mut find = conn.prepare_cached(&format!(
        "SELECT id, name, champion, promoted, budget_spent, tries, numbers, words, at, version, job
         FROM verdicts WHERE {of_name} AND id < ?2 ORDER BY id DESC LIMIT ?3"
    ))?;
    let mut rows = find.query((name, before_id.unwrap_or(i64::MAX), limit_of(limit)))?;
    let mut verdicts = Vec::new();
    while let Some(row) = rows.next()? {
        verdicts.push(Verdict {
            id: row.get(0)?,
            verdict: NewVerdict {
                name: row.get(1)?,
                champion: row.get(2)?,
                promoted: row.get(3)?,
                budget_spent: row.get(4)?,
                tries_this_year: row.get(5)?,
                numbers: json("a verdict's numbers", &row.get::<_, String>(6)?)?,
                words: row.get(7)?,
                at: Timestamp::from_micros(row.get(8)?),
            },
            version: row.get(9)?,
            job: row.get(10)?,
        });
    }
    Ok(verdicts)
}

/// See [`crate::ModelRegistry::budget`].
pub(super) fn budget(conn: &Connection, name: &str, since: Timestamp) -> Result<Budget> {
    let mut sum = conn.prepare_cached(
        "SELECT ifnull(sum(budget_spent), 0.0), count(*) FROM verdicts WHERE name = ?1 AND at >= ?2",
    )?;
    Ok(sum.query_row((name, since.as_micros()), |row| {
        Ok(Budget {
            spent: row.get(0)?,
            tries: row.get::<_, i64>(1)?.cast_unsigned(),
        })
    })?)
}
