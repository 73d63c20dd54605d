//! Artefacts: contents in parts, each a document of `stock_data_artefacts`, and a head that comes last.
//!
//! Model: the `_id`s are made of the SHA-256, so that putting a content again, or at the same time, does no harm.
//! A content is there once its head is, which says how many parts it has. Parts of their own, and not GridFS:
//! that numbers its files, wants a unique index, and has them twice when they are put twice.
//!
//! Does not: remove contents that no version names any more.

use mongodb::bson::{Binary, Bson, Document, doc, spec::BinarySubtype};

use super::{Inner, fault, schema::is_duplicate};
use crate::{
    MOST_ARTEFACT_BYTES, Result, StoreError,
    check::invalid,
    content::{self, sha256_of},
};

/// Bytes of a part: a document of MongoDB holds 16 MiB.
const PART: usize = 1 << 20;

fn part_id(sha256: &str, number: i64) -> String {
    format!("{sha256}|{number}")
}

impl Inner {
    async fn head(&self, sha256: &str) -> Result<Option<Document>> {
        let all = &self.training.artefacts;
        Ok(all.find_one(doc! { "_id": sha256 }).await?)
    }

    /// The length of a content that is there.
    pub(super) async fn artefact_length(&self, sha256: &str) -> Result<Option<u64>> {
        let head = self.head(sha256).await?;
        let bytes = head.map(|head| head.get_i64("bytes").map_err(fault::foreign));
        Ok(bytes.transpose()?.map(i64::cast_unsigned))
    }

    /// See [`crate::Artefacts::put`].
    pub(super) async fn put_artefact(&self, content: &[u8]) -> Result<String> {
        if content.len() > MOST_ARTEFACT_BYTES {
            return Err(invalid(format!(
                "an artefact of {} bytes: expected at most {MOST_ARTEFACT_BYTES}",
                content.len()
            )));
        }
        let sha256 = sha256_of(content);
        match self.artefact(&sha256).await {
            Ok(_) => return Ok(sha256),
            // One that was altered is put anew.
            Err(StoreError::NotFound { .. } | StoreError::Altered { .. }) => {}
            Err(error) => return Err(error),
        }
        let all = &self.training.artefacts;
        let mut parts = 0_i64;
        for bytes in content.chunks(PART) {
            let id = part_id(&sha256, parts);
            let data = Binary {
                subtype: BinarySubtype::Generic,
                bytes: bytes.to_vec(),
            };
            all.replace_one(doc! { "_id": &id }, doc! { "_id": &id, "data": data })
                .upsert(true)
                .await
                .map(drop)
                .or_else(ignore_duplicate)?;
            parts += 1;
        }
        let bytes = i64::try_from(content.len()).unwrap_or(i64::MAX);
        let head = doc! { "_id": &sha256, "bytes": bytes, "parts": parts };
        all.replace_one(doc! { "_id": &sha256 }, head)
            .upsert(true)
            .await
            .map(drop)
            .or_else(ignore_duplicate)?;
        Ok(sha256)
    }

    /// See [`crate::Artefacts::get`].
    pub(super) async fn artefact(&self, sha256: &str) -> Result<Vec<u8>> {
        let all = &self.training.artefacts;
        let place = format!("in the collection {}", all.name());
        let Some(head) = self.head(sha256).await? else {
            return Err(content::not_found(sha256, &place));
        };
        let parts = head.get_i64("parts").map_err(fault::foreign)?;
        let mut found = Vec::new();
        for number in 0..parts {
            let id = part_id(sha256, number);
            let part = all.find_one(doc! { "_id": id }).await?;
            if let Some(Bson::Binary(part)) = part.as_ref().and_then(|part| part.get("data")) {
                found.extend_from_slice(&part.bytes);
            }
        }
        content::checked(found, sha256, &format!("the artefact {sha256} {place}"))
    }
}

/// Another one has put the same content at the same moment.
fn ignore_duplicate(error: mongodb::error::Error) -> Result<()> {
    if is_duplicate(&error) {
        return Ok(());
    }
    Err(error.into())
}
