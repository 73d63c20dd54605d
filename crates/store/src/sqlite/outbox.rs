//! The outbox: messages go in with what they tell of, and out in their order.

use std::time::Duration;

use market::Timestamp;
use metrics::counter;
use rusqlite::{Connection, OptionalExtension, Row, params};

use super::{fault::damaged, job_rows::json, ticks::limit_of};
use crate::{
    MOST_WAITING_MESSAGES, Message, MessageState, NewMessage, OLD_MESSAGES_KEPT, Result, Topic,
    check, publication,
};

const COLUMNS: &str = "id, state, key, queued_at, failures, retry_at, error, payload";

const fn state_code(state: MessageState) -> i64 {
    match state {
        MessageState::Waiting => 0,
        MessageState::Delivered => 1,
        MessageState::GivenUp => 2,
    }
}

fn read(row: &Row<'_>, topic: Topic) -> Result<Message> {
    let state = match row.get(1)? {
        0_i64 => MessageState::Waiting,
        1 => MessageState::Delivered,
        2 => MessageState::GivenUp,
        other => return Err(damaged(&format!("message in state {other}"))),
    };
    Ok(Message {
        id: row.get(0)?,
        state,
        queued_at: Timestamp::from_micros(row.get(3)?),
        failures: row.get(4)?,
        retry_at: row.get::<_, Option<i64>>(5)?.map(Timestamp::from_micros),
        error: row.get(6)?,
        message: NewMessage {
            topic,
            key: row.get(2)?,
            payload: json("a message's payload", &row.get::<_, String>(7)?)?,
        },
    })
}

/// See [`crate::Outbox::enqueue`].
pub(super) fn enqueue(conn: &Connection, messages: &[NewMessage], now: Timestamp) -> Result<()> {
    publication::messages(messages)?;
    let mut insert = conn.prepare_cached(
        "INSERT INTO outbox (topic, state, key, queued_at, failures, payload)
         VALUES (?1, 0, ?2, ?3, 0, ?4) ON CONFLICT DO NOTHING",
    )?;
    for new in messages {
        insert.execute((
            new.topic.as_str(),
            &new.key,
            now.as_micros(),
            new.payload.to_string(),
        ))?;
    }
    for topic in Topic::ALL {
        if messages.iter().any(|new| new.topic == topic) {
            make_room(conn, topic)?;
        }
    }
    Ok(())
}

/// Gives up the oldest of those that wait beyond the bound.
fn make_room(conn: &Connection, topic: Topic) -> Result<()> {
    let waiting: i64 = conn
        .prepare_cached("SELECT count(*) FROM outbox WHERE topic = ?1 AND state = 0")?
        .query_row([topic.as_str()], |row| row.get(0))?;
    let over = waiting - limit_of(MOST_WAITING_MESSAGES);
    if over > 0 {
        conn.prepare_cached(
            "UPDATE outbox SET state = 2, error = ?3, retry_at = NULL WHERE id IN (
                 SELECT id FROM outbox WHERE topic = ?1 AND state = 0 ORDER BY id LIMIT ?2)",
        )?
        .execute((topic.as_str(), over, check::NO_ROOM_IN_OUTBOX))?;
        counter!("tickcast_store_outbox_given_up_total").increment(over.cast_unsigned());
        forget_old(conn, topic.as_str(), 2)?;
    }
    Ok(())
}

/// Removes those that are done with but the newest.
fn forget_old(conn: &Connection, topic: &str, state: i64) -> Result<()> {
    conn.prepare_cached(
        "DELETE FROM outbox WHERE topic = ?1 AND state = ?2 AND id <= (
             SELECT id FROM outbox WHERE topic = ?1 AND state = ?2
             ORDER BY id DESC LIMIT 1 OFFSET ?3)",
    )?
    .execute((topic, state, limit_of(OLD_MESSAGES_KEPT)))?;
    Ok(())
}

/// See [`crate::Outbox::claim`].
pub(super) fn claim(
    conn: &Connection,
    topic: Topic,
    by: &str,
    now: Timestamp,
    lease_for: Duration,
    limit: usize,
) -> Result<Vec<Message>> {
    // A claim that began after now: the clock has gone back, and it ends a lease from now on.
    conn.prepare_cached(
        "UPDATE outbox_claims SET claimed_until = ?2 + (claimed_until - claimed_at), claimed_at = ?2
         WHERE topic = ?1 AND claimed_at > ?2",
    )?
    .execute((topic.as_str(), now.as_micros()))?;
    let claimed = conn
        .prepare_cached(
            "INSERT INTO outbox_claims (topic, claimed_by, claimed_at, claimed_until)
             VALUES (?1, ?2, ?3, ?4)
             ON CONFLICT DO UPDATE SET claimed_by = excluded.claimed_by,
                 claimed_at = excluded.claimed_at, claimed_until = excluded.claimed_until
             WHERE claimed_by = excluded.claimed_by OR claimed_until <= ?3",
        )?
        .execute((
            topic.as_str(),
            by,
            now.as_micros(),
            check::lease_end(now, lease_for).as_micros(),
        ))?;
    if claimed == 0 {
        return Ok(Vec::new());
    }
    conn.prepare_cached(
        "UPDATE outbox SET retry_at = ?2 + (retry_at - failed_at), failed_at = ?2
         WHERE topic = ?1 AND state = 0 AND retry_at IS NOT NULL AND failed_at > ?2",
    )?
    .execute((topic.as_str(), now.as_micros()))?;
    let mut find = conn.prepare_cached(&format!(
        "SELECT {COLUMNS} FROM outbox WHERE topic = ?1 AND state = 0 ORDER BY id LIMIT ?2"
    ))?;
    let mut rows = find.query((topic.as_str(), limit_of(limit)))?;
    let mut messages = Vec::new();
    while let Some(row) = rows.next()? {
        let message = read(row, topic)?;
        if message.retry_at.is_some_and(|at| at > now) {
            break;
        }
        messages.push(message);
    }
    Ok(messages)
}

/// See [`crate::Outbox::delivered`].
pub(super) fn delivered(conn: &Connection, id: i64) -> Result<()> {
    let topic: Option<String> = conn
        .prepare_cached(
            "UPDATE outbox SET state = 1, retry_at = NULL, error = NULL
             WHERE id = ?1 AND state = 0 RETURNING topic",
        )?
        .query_row([id], |row| row.get(0))
        .optional()?;
    topic.map_or(Ok(()), |topic| forget_old(conn, &topic, 1))
}

/// See [`crate::Outbox::failed`].
pub(super) fn failed(
    conn: &Connection,
    id: i64,
    error: &str,
    retry_at: Option<Timestamp>,
    now: Timestamp,
) -> Result<()> {
    let state = if retry_at.is_some() { 0 } else { 2 };
    let topic: Option<String> = conn
        .prepare_cached(
            "UPDATE outbox SET state = ?2, failures = failures + 1, error = ?3, retry_at = ?4,
                 failed_at = ?5
             WHERE id = ?1 AND state = 0 RETURNING topic",
        )?
        .query_row(
            params![
                id,
                state,
                error,
                retry_at.map(Timestamp::as_micros),
                now.as_micros()
            ],
            |row| row.get(0),
        )
        .optional()?;
    let (Some(topic), None) = (topic, retry_at) else {
        return Ok(());
    };
    counter!("tickcast_store_outbox_given_up_total").increment(1);
    forget_old(conn, &topic, 2)
}

/// See [`crate::Outbox::messages`].
pub(super) fn messages(
    conn: &Connection,
    topic: Topic,
    state: MessageState,
    before_id: Option<i64>,
    limit: usize,
) -> Result<Vec<Message>> {
    let mut find = conn.prepare_cached(&format!(
        "SELECT {COLUMNS} FROM outbox WHERE topic = ?1 AND state = ?2 AND id < ?3
         ORDER BY id DESC LIMIT ?4"
    ))?;
    let mut rows = find.query((
        topic.as_str(),
        state_code(state),
        before_id.unwrap_or(i64::MAX),
        limit_of(limit),
    ))?;
    let mut messages = Vec::new();
    while let Some(row) = rows.next()? {
        messages.push(read(row, topic)?);
    }
    Ok(messages)
}
