//! Dead letters: taken in, listed, marked as replayed, counted, discarded, and bounded in number.
//!
//! Policy when full: see [`crate::quota`]. Metric: `tickcast_store_dead_letters_removed_total`, the
//! replayed ones that made room.

use std::collections::{BTreeMap, BTreeSet};

use market::{Reject, RejectReason, Timestamp};
use metrics::counter;
use rusqlite::{Connection, OptionalExtension};

use super::{fault::damaged, symbols::seq_from, ticks::limit_of, writer::Writer};
use crate::{
    DeadLetter, DeadLetterQuota, DeadLetterState, DroppedCount, ReasonCount, RejectReport, Result,
    quota,
};

/// Letters that one command discards at most.
pub(super) const DISCARDED_AT_ONCE: usize = 5_000;

fn reason_from(text: &str) -> Result<RejectReason> {
    RejectReason::ALL
        .into_iter()
        .find(|reason| reason.as_str() == text)
        .ok_or_else(|| damaged(&format!("dead letter with reason {text:?}")))
}

/// Changes the counts of a source and reason.
fn count(
    conn: &Connection,
    (source, reason): (&str, &str),
    (open, replayed, dropped): (i64, i64, i64),
) -> Result<()> {
    conn.prepare_cached(
        "INSERT INTO dead_letter_sources (source, reason, open, replayed, dropped)
         VALUES (?1, ?2, ?3, ?4, ?5)
         ON CONFLICT DO UPDATE SET open = open + excluded.open,
             replayed = replayed + excluded.replayed, dropped = dropped + excluded.dropped",
    )?
    .execute((source, reason, open, replayed, dropped))?;
    Ok(())
}

/// How full the table is, while letters go in.
struct Room {
    quota: DeadLetterQuota,
    /// The letters of each source that has a row, open and replayed.
    of_source: BTreeMap<String, u64>,
    total: u64,
}

impl Room {
    fn read(conn: &Connection, quota: DeadLetterQuota) -> Result<Self> {
        let mut of_source = BTreeMap::new();
        // As many rows as there are sources and reasons: once for a batch.
        let mut statement = conn.prepare_cached(
            "SELECT source, sum(open + replayed) FROM dead_letter_sources GROUP BY source",
        )?;
        let mut rows = statement.query([])?;
        while let Some(row) = rows.next()? {
            of_source.insert(row.get(0)?, seq_from(row.get(1)?)?);
        }
        let total = of_source.values().sum();
        Ok(Self {
            quota,
            of_source,
            total,
        })
    }

    fn of(&mut self, source: &str) -> &mut u64 {
        self.of_source.entry(source.to_owned()).or_insert(0)
    }

    /// Whether there is room for one more of the source, or is made by a replayed one.
    fn make(&mut self, conn: &Connection, source: &str) -> Result<bool> {
        let removed = if *self.of(source) >= self.quota.per_source {
            remove_replayed(conn, Some(source))?
        } else if self.total >= self.quota.total {
            remove_replayed(conn, None)?
        } else {
            return Ok(true);
        };
        let Some(of) = removed else {
            return Ok(false);
        };
        *self.of(&of) -= 1;
        self.total -= 1;
        Ok(*self.of(source) < self.quota.per_source && self.total < self.quota.total)
    }
}

/// Removes the oldest replayed letter, of one source if given; whose it was.
fn remove_replayed(conn: &Connection, source: Option<&str>) -> Result<Option<String>> {
    // Two statements, as each is served by an index of its own.
    let oldest = match source {
        Some(_) => "state = 1 AND source = ?1",
        None => "state = 1 AND ?1 IS NULL",
    };
    let removed: Option<(String, String)> = conn
        .prepare_cached(&format!(
            "DELETE FROM dead_letters
             WHERE id = (SELECT id FROM dead_letters WHERE {oldest} ORDER BY id LIMIT 1)
             RETURNING source, reason"
        ))?
        .query_row([source], |row| Ok((row.get(0)?, row.get(1)?)))
        .optional()?;
    let Some((source, reason)) = removed else {
        return Ok(None);
    };
    count(conn, (&source, &reason), (0, -1, 0))?;
    counter!("tickcast_store_dead_letters_removed_total").increment(1);
    Ok(Some(source))
}

/// Whether there is a letter of the message.
fn is_known(conn: &Connection, message: &str) -> Result<bool> {
    let mut known = conn.prepare_cached("SELECT 1 FROM dead_letters WHERE message = ?1")?;
    Ok(known.exists([message])?)
}

/// See [`crate::DeadLetterLog::reject`].
pub(super) fn reject(
    writer: &mut Writer,
    rejects: &[Reject],
    at: Timestamp,
) -> Result<RejectReport> {
    let conn = &writer.conn;
    let mut done = RejectReport::default();
    if rejects.is_empty() {
        return Ok(done);
    }
    let mut room = Room::read(conn, writer.dead_letter_quota)?;
    let mut insert = conn.prepare_cached(
        "INSERT INTO dead_letters (at, reason, detail, origin, payload, message, source)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
    )?;
    let mut added: BTreeMap<(String, RejectReason), i64> = BTreeMap::new();
    // Sources without any room left: not asked again for each of thousands of letters.
    let mut full = BTreeSet::new();
    // Before any is removed to make room: what is there of a message does not come again with it.
    let mut messages = BTreeSet::new();
    for message in rejects
        .iter()
        .filter_map(|reject| reject.message.as_deref())
    {
        if !messages.contains(message) && is_known(conn, message)? {
            messages.insert(message);
        }
    }
    for reject in rejects {
        // Of those of one message the first counts.
        if let Some(message) = &reject.message
            && !messages.insert(message)
        {
            continue;
        }
        let known = |source: &str| room.of_source.contains_key(source);
        let source = quota::source_of(reject, room.of_source.len(), known);
        if full.contains(&source) || !room.make(conn, &source)? {
            done.drop_one(&source, reject.reason);
            full.insert(source);
            continue;
        }
        insert.execute((
            at.as_micros(),
            reject.reason.as_str(),
            &reject.detail,
            &reject.origin,
            &reject.payload,
            &reject.message,
            &source,
        ))?;
        *room.of(&source) += 1;
        room.total += 1;
        done.kept += 1;
        *added.entry((source, reject.reason)).or_insert(0) += 1;
    }
    for ((source, reason), added) in added {
        count(conn, (&source, reason.as_str()), (added, 0, 0))?;
    }
    for dropped in &done.dropped {
        let of = (dropped.source.as_str(), dropped.reason.as_str());
        let dropped = i64::try_from(dropped.dropped).unwrap_or(i64::MAX);
        count(conn, of, (0, 0, dropped))?;
    }
    Ok(done)
}

/// See [`crate::DeadLetterLog::open_dead_letters`].
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
        "UPDATE dead_letters SET state = 1 WHERE id = ?1 AND state = 0 RETURNING source, reason",
    )?;
    let mut marked = 0;
    for id in ids {
        let of: Option<(String, String)> = mark
            .query_row([id], |row| Ok((row.get(0)?, row.get(1)?)))
            .optional()?;
        if let Some((source, reason)) = of {
            count(conn, (&source, &reason), (-1, 1, 0))?;
            marked += 1;
        }
    }
    Ok(marked)
}

/// Discards the oldest letters of a reason and a source, at most [`DISCARDED_AT_ONCE`]; when there are
/// no more, what is counted of them too. Returns how many letters those were.
pub(super) fn discard(
    writer: &mut Writer,
    reason: Option<RejectReason>,
    source: Option<&str>,
) -> Result<usize> {
    let conn = &writer.conn;
    let reason = reason.map(RejectReason::as_str);
    let mut removed: BTreeMap<(String, String, i64), i64> = BTreeMap::new();
    {
        let mut remove = conn.prepare_cached(
            "DELETE FROM dead_letters WHERE id IN (
                 SELECT id FROM dead_letters
                 WHERE (?1 IS NULL OR reason = ?1) AND (?2 IS NULL OR source = ?2)
                 ORDER BY id LIMIT ?3)
             RETURNING source, reason, state",
        )?;
        let mut rows = remove.query((reason, source, limit_of(DISCARDED_AT_ONCE)))?;
        while let Some(row) = rows.next()? {
            let of = (row.get(0)?, row.get(1)?, row.get(2)?);
            *removed.entry(of).or_insert(0) += 1;
        }
    }
    let mut total = 0;
    for ((source, reason, state), removed) in removed {
        let less = if state == 0 {
            (-removed, 0, 0)
        } else {
            (0, -removed, 0)
        };
        count(conn, (&source, &reason), less)?;
        total += usize::try_from(removed).unwrap_or(0);
    }
    if total < DISCARDED_AT_ONCE {
        conn.prepare_cached(
            "DELETE FROM dead_letter_sources
             WHERE (?1 IS NULL OR reason = ?1) AND (?2 IS NULL OR source = ?2)",
        )?
        .execute((reason, source))?;
    }
    Ok(total)
}

/// See [`crate::DeadLetterLog::dead_letter_counts`].
pub(super) fn counts(conn: &Connection) -> Result<Vec<ReasonCount>> {
    let mut statement = conn.prepare_cached(
        "SELECT reason, sum(open), sum(replayed) FROM dead_letter_sources
         WHERE open > 0 OR replayed > 0 GROUP BY reason ORDER BY reason",
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

/// See [`crate::DeadLetterLog::dropped_dead_letters`].
pub(super) fn dropped(conn: &Connection) -> Result<Vec<DroppedCount>> {
    let mut statement = conn.prepare_cached(
        "SELECT source, reason, dropped FROM dead_letter_sources
         WHERE dropped > 0 ORDER BY source, reason",
    )?;
    let mut rows = statement.query([])?;
    let mut counts = Vec::new();
    while let Some(row) = rows.next()? {
        let reason: String = row.get(1)?;
        counts.push(DroppedCount {
            source: row.get(0)?,
            reason: reason_from(&reason)?,
            dropped: seq_from(row.get(2)?)?,
        });
    }
    Ok(counts)
}
