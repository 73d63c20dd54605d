//! Dead letters: put aside, listed, marked as replayed, counted, and bounded in number.
//!
//! Policy when full: the oldest replayed ones are dropped first, then the oldest. Metric:
//! `tickcast_store_dead_letters_dropped_total` (label `state`).

use std::collections::BTreeMap;

use market::{Reject, RejectReason, Timestamp};
use metrics::counter;
use rusqlite::{Connection, OptionalExtension};

use super::{fault::damaged, symbols::seq_from, ticks::limit_of, writer::Writer};
use crate::{DeadLetter, DeadLetterState, ReasonCount, Result};

const OPEN: i64 = 0;
const REPLAYED: i64 = 1;

fn reason_from(text: &str) -> Result<RejectReason> {
    RejectReason::ALL
        .into_iter()
        .find(|reason| reason.as_str() == text)
        .ok_or_else(|| damaged(&format!("dead letter with reason {text:?}")))
}

/// Changes the counts of a reason.
fn count(conn: &Connection, reason: &str, open: i64, replayed: i64) -> Result<()> {
    conn.prepare_cached(
        "INSERT INTO dead_letter_counts (reason, open, replayed) VALUES (?1, ?2, ?3)
         ON CONFLICT DO UPDATE SET open = open + excluded.open,
             replayed = replayed + excluded.replayed",
    )?
    .execute((reason, open, replayed))?;
    Ok(())
}

/// See [`crate::DeadLetterStore::put_aside`].
pub(super) fn put_aside(writer: &mut Writer, rejects: &[Reject], at: Timestamp) -> Result<()> {
    let conn = &writer.conn;
    let mut insert = conn.prepare_cached(
        "INSERT INTO dead_letters (at, reason, detail, origin, payload, message)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6)
         ON CONFLICT DO NOTHING",
    )?;
    let mut added: BTreeMap<RejectReason, i64> = BTreeMap::new();
    for reject in rejects {
        let rows = insert.execute((
            at.as_micros(),
            reject.reason.as_str(),
            &reject.detail,
            &reject.origin,
            &reject.payload,
            &reject.message,
        ))?;
        *added.entry(reject.reason).or_insert(0) += limit_of(rows);
    }
    for (reason, added) in added {
        count(conn, reason.as_str(), added, 0)?;
    }
    trim(conn, writer.dead_letters_kept)
}

/// Drops what exceeds the number kept.
fn trim(conn: &Connection, kept: u64) -> Result<()> {
    let total: i64 = conn.query_row(
        "SELECT coalesce(sum(open + replayed), 0) FROM dead_letter_counts",
        [],
        |row| row.get(0),
    )?;
    let mut excess = total.saturating_sub(i64::try_from(kept).unwrap_or(i64::MAX));
    for (state, name) in [(REPLAYED, "replayed"), (OPEN, "open")] {
        if excess <= 0 {
            break;
        }
        let mut drop_oldest = conn.prepare_cached(
            "DELETE FROM dead_letters WHERE id IN
                 (SELECT id FROM dead_letters WHERE state = ?1 ORDER BY id LIMIT ?2)
             RETURNING reason",
        )?;
        let reasons = drop_oldest
            .query_map((state, excess), |row| row.get(0))?
            .collect::<rusqlite::Result<Vec<String>>>()?;
        for reason in RejectReason::ALL.map(RejectReason::as_str) {
            let dropped = limit_of(reasons.iter().filter(|r| *r == reason).count());
            match state {
                _ if dropped == 0 => {}
                OPEN => count(conn, reason, -dropped, 0)?,
                _ => count(conn, reason, 0, -dropped)?,
            }
        }
        excess -= limit_of(reasons.len());
        counter!("tickcast_store_dead_letters_dropped_total", "state" => name)
            .increment(reasons.len() as u64);
    }
    Ok(())
}

/// See [`crate::DeadLetterStore::open_dead_letters`].
pub(super) fn open(
    conn: &Connection,
    reason: Option<RejectReason>,
    after: i64,
    limit: usize,
) -> Result<Vec<DeadLetter>> {
    // Two statements, as each is served by an index of its own.
    let of_reason = match reason {
        Some(_) => "reason = ?3 AND state = 0",
        None => "?3 IS NULL AND state = 0",
    };
    let mut statement = conn.prepare_cached(&format!(
        "SELECT id, at, reason, detail, origin, payload, message FROM dead_letters
         WHERE id > ?1 AND {of_reason}
         ORDER BY id
         LIMIT ?2"
    ))?;
    let mut rows = statement.query((after, limit_of(limit), reason.map(RejectReason::as_str)))?;
    let mut letters = Vec::new();
    while let Some(row) = rows.next()? {
        let reason: String = row.get(2)?;
        letters.push(DeadLetter {
            id: row.get(0)?,
            at: Timestamp::from_micros(row.get(1)?),
            reject: Reject {
                reason: reason_from(&reason)?,
                detail: row.get(3)?,
                origin: row.get(4)?,
                payload: row.get(5)?,
                message: row.get(6)?,
            },
            state: DeadLetterState::Open,
        });
    }
    Ok(letters)
}

/// See [`crate::DeadLetterStore::mark_replayed`].
pub(super) fn mark_replayed(writer: &mut Writer, ids: &[i64]) -> Result<usize> {
    let conn = &writer.conn;
    let mut mark = conn.prepare_cached(
        "UPDATE dead_letters SET state = 1 WHERE id = ?1 AND state = 0 RETURNING reason",
    )?;
    let mut marked = 0;
    for id in ids {
        let reason: Option<String> = mark.query_row([id], |row| row.get(0)).optional()?;
        if let Some(reason) = reason {
            count(conn, &reason, -1, 1)?;
            marked += 1;
        }
    }
    Ok(marked)
}

/// See [`crate::DeadLetterStore::dead_letter_counts`].
pub(super) fn counts(conn: &Connection) -> Result<Vec<ReasonCount>> {
    let mut statement = conn.prepare_cached(
        "SELECT reason, open, replayed FROM dead_letter_counts
         WHERE open > 0 OR replayed > 0 ORDER BY reason",
    )?;
    let mut rows = statement.query([])?;
    let mut counts = Vec::new();
    while let Some(row) = rows.next()? {
        let reason: String = row.get(0)?;
        counts.push(ReasonCount {
            reason: reason_from(&reason)?,
            open: seq_from(row.get(1)?)?,
            replayed: seq_from(row.get(2)?)?,
        });
    }
    Ok(counts)
}
