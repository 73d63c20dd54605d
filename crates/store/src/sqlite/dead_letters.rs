//! Dead letters: taken in, listed, marked as replayed, counted, discarded, and bounded in number and
//! in bytes.
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
    quota::{self, Held},
};

/// Letters that one command discards at most.
pub(super) const DISCARDED_AT_ONCE: usize = 5_000;

fn reason_from(text: &str) -> Result<RejectReason> {
    RejectReason::ALL
        .into_iter()
        .find(|reason| reason.as_str() == text)
        .ok_or_else(|| damaged(&format!("dead letter with reason {text:?}")))
}

/// What changes in the counts of a source and reason.
#[derive(Clone, Copy, Default)]
struct Change {
    open: i64,
    replayed: i64,
    dropped: i64,
    /// Of the letters, open and replayed.
    bytes: i64,
}

/// What a letter counts for, as [`quota::size_of`].
const SIZE: &str = "octet_length(payload) + octet_length(detail) + octet_length(origin)
     + coalesce(octet_length(message), 0)";

/// Changes the counts of a source and reason.
fn count(conn: &Connection, (source, reason): (&str, &str), change: Change) -> Result<()> {
    let Change {
        open,
        replayed,
        dropped,
        bytes,
    } = change;
    conn.prepare_cached(
        "INSERT INTO dead_letter_sources (source, reason, open, replayed, dropped, bytes)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6)
         ON CONFLICT DO UPDATE SET open = open + excluded.open,
             replayed = replayed + excluded.replayed, dropped = dropped + excluded.dropped,
             bytes = bytes + excluded.bytes",
    )?
    .execute((source, reason, open, replayed, dropped, bytes))?;
    Ok(())
}

/// How full the table is, while letters go in.
struct Room {
    quota: DeadLetterQuota,
    /// The letters of each source that has a row, open and replayed.
    of_source: BTreeMap<String, Held>,
    total: u64,
    /// Sources without a replayed letter, and whether nobody has one: not looked for again for each of
    /// thousands of letters.
    spent: BTreeSet<String>,
    all_spent: bool,
}

impl Room {
    fn read(conn: &Connection, quota: DeadLetterQuota) -> Result<Self> {
        let mut of_source = BTreeMap::new();
        // As many rows as there are sources and reasons: once for a batch.
        let mut statement = conn.prepare_cached(
            "SELECT source, sum(open + replayed), sum(bytes) FROM dead_letter_sources
             GROUP BY source",
        )?;
        let mut rows = statement.query([])?;
        while let Some(row) = rows.next()? {
            let held = Held {
                letters: seq_from(row.get(1)?)?,
                bytes: seq_from(row.get(2)?)?,
            };
            of_source.insert(row.get(0)?, held);
        }
        let total = of_source.values().map(|held| held.letters).sum();
        Ok(Self {
            quota,
            of_source,
            total,
            spent: BTreeSet::new(),
            all_spent: false,
        })
    }

    fn of(&mut self, source: &str) -> &mut Held {
        self.of_source.entry(source.to_owned()).or_default()
    }

    /// Whether there is room for one more of the source, of so many bytes, or is made by replayed ones.
    fn make(&mut self, conn: &Connection, source: &str, bytes: u64) -> Result<bool> {
        if !self.quota.may_hold(bytes) {
            return Ok(false);
        }
        loop {
            let held = *self.of(source);
            let of_its_own = !self.quota.has_room_beside(held, bytes);
            if !of_its_own && self.total < self.quota.total {
                return Ok(true);
            }
            if self.all_spent || of_its_own && self.spent.contains(source) {
                return Ok(false);
            }
            match remove_replayed(conn, of_its_own.then_some(source))? {
                Some((of, bytes)) => {
                    self.of(&of).remove(bytes);
                    self.total -= 1;
                }
                None if of_its_own => drop(self.spent.insert(source.to_owned())),
                None => self.all_spent = true,
            }
        }
    }
}

/// Removes the oldest replayed letter, of one source if given; whose it was, and how many bytes it had.
fn remove_replayed(conn: &Connection, source: Option<&str>) -> Result<Option<(String, u64)>> {
    // Two statements, as each is served by an index of its own.
    let oldest = match source {
        Some(_) => "state = 1 AND source = ?1",
        None => "state = 1 AND ?1 IS NULL",
    };
    let removed: Option<(String, String, i64)> = conn
        .prepare_cached(&format!(
            "DELETE FROM dead_letters
             WHERE id = (SELECT id FROM dead_letters WHERE {oldest} ORDER BY id LIMIT 1)
             RETURNING source, reason, {SIZE}"
        ))?
        .query_row([source], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))
        .optional()?;
    let Some((source, reason, bytes)) = removed else {
        return Ok(None);
    };
    let less = Change {
        replayed: -1,
        bytes: -bytes,
        ..Change::default()
    };
    count(conn, (&source, &reason), less)?;
    counter!("tickcast_store_dead_letters_removed_total").increment(1);
    Ok(Some((source, seq_from(bytes)?)))
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
    let mut added: BTreeMap<(String, RejectReason), Change> = BTreeMap::new();
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
        let bytes = quota::size_of(reject);
        if !room.make(conn, &source, bytes)? {
            done.drop_one(&source, reject.reason);
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
        room.of(&source).add(bytes);
        room.total += 1;
        done.kept += 1;
        let added = added.entry((source, reject.reason)).or_default();
        added.open += 1;
        added.bytes = added.bytes.saturating_add_unsigned(bytes);
    }
    for ((source, reason), added) in added {
        count(conn, (&source, reason.as_str()), added)?;
    }
    for dropped in &done.dropped {
        let of = (dropped.source.as_str(), dropped.reason.as_str());
        let more = Change {
            dropped: i64::try_from(dropped.dropped).unwrap_or(i64::MAX),
            ..Change::default()
        };
        count(conn, of, more)?;
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
            let moved = Change {
                open: -1,
                replayed: 1,
                ..Change::default()
            };
            count(conn, (&source, &reason), moved)?;
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
    let mut removed: BTreeMap<(String, String), Change> = BTreeMap::new();
    let mut total = 0;
    {
        let mut remove = conn.prepare_cached(&format!(
            "DELETE FROM dead_letters WHERE id IN (
                 SELECT id FROM dead_letters
                 WHERE (?1 IS NULL OR reason = ?1) AND (?2 IS NULL OR source = ?2)
                 ORDER BY id LIMIT ?3)
             RETURNING source, reason, state, {SIZE}"
        ))?;
        let mut rows = remove.query((reason, source, limit_of(DISCARDED_AT_ONCE)))?;
        while let Some(row) = rows.next()? {
            let (state, bytes): (i64, i64) = (row.get(2)?, row.get(3)?);
            let less = removed.entry((row.get(0)?, row.get(1)?)).or_default();
            match state {
                0 => less.open -= 1,
                _ => less.replayed -= 1,
            }
            less.bytes -= bytes;
            total += 1;
        }
    }
    for ((source, reason), less) in removed {
        count(conn, (&source, &reason), less)?;
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
