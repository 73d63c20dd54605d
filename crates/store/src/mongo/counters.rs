//! Numbers that grow over every process that writes to the database: one document for each kind,
//! raised by `$inc`, so that a block of numbers is given out once. A block that is not used up
//! leaves a gap.

use mongodb::{
    bson::{Bson, Document, doc},
    options::ReturnDocument,
};

use super::{Inner, fault, schema::is_duplicate};
use crate::Result;

/// How often a counter is asked for at most, when it is being made.
const TRIES: u32 = 10;

impl Inner {
    /// A number for this process that no other has had. Taken by an insert: of all servers of the
    /// protocol, each has those decide who was first.
    pub(super) async fn new_writer(&self) -> Result<i64> {
        loop {
            let number = self.next_numbers("writer", 1).await?;
            let taken = doc! { "_id": format!("writer|{number}") };
            match self.meta.insert_one(taken).await {
                Ok(_) => return Ok(number),
                Err(error) if is_duplicate(&error) => {}
                Err(error) => return Err(error.into()),
            }
        }
    }

    /// The first of `count` numbers that nobody else has, from 1.
    pub(super) async fn next_numbers(&self, counter: &str, count: usize) -> Result<i64> {
        let count = i64::try_from(count).unwrap_or(i64::MAX);
        let mut raised = None;
        for _ in 0..TRIES {
            let answer = self
                .meta
                .find_one_and_update(doc! { "_id": counter }, doc! { "$inc": { "last": count } })
                .upsert(true)
                .return_document(ReturnDocument::After)
                .await;
            raised = match answer {
                // Another process made the counter at the same moment.
                Ok(None) => continue,
                Err(error) if is_duplicate(&error) => continue,
                answer => answer?,
            };
            break;
        }
        last_of(raised.as_ref())
            .map(|last| last - count + 1)
            .ok_or_else(|| fault::foreign(format!("counter {counter}: {raised:?}")))
    }

    /// The greatest number given out.
    pub(super) async fn last_number(&self, counter: &str) -> Result<i64> {
        let found = self.meta.find_one(doc! { "_id": counter }).await?;
        Ok(last_of(found.as_ref()).unwrap_or(0))
    }
}

fn last_of(counter: Option<&Document>) -> Option<i64> {
    match counter?.get("last")? {
        Bson::Int64(n) => Some(*n),
        Bson::Int32(n) => Some(i64::from(*n)),
        _ => None,
    }
}
