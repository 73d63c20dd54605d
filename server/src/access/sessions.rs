//! The sessions of browsers: who logged in with which token, until when.
//!
//! Model: `axum-login` over `tower-sessions`, with one small file for each session, so that a login
//! outlives a restart and processes that share the folder share it. The file's name is the SHA-256 of
//! the session's id, and a session is bound to its token's hash: who reads the folder can make no
//! cookie of it, and a revoked token ends its sessions. Sessions that are over go when others are
//! made; at the cap the oldest goes.
//!
//! What it does not do: set cookies (`crate::http::login`).

use std::{
    convert::Infallible,
    fs, io,
    path::{Path, PathBuf},
    sync::Arc,
};

use async_trait::async_trait;
use axum_login::{
    AuthUser, AuthnBackend,
    tower_sessions::{
        SessionStore,
        cookie::time::OffsetDateTime,
        session::{Id, Record},
        session_store::{Error, Result},
    },
};
use sha2::{Digest as _, Sha256};

use super::{
    tokens::{Token, hex, private_folder, replace},
    verifier::Verifier,
};

/// The most sessions at a time.
const MAX_SESSIONS: usize = 10_000;

/// Sessions in a folder.
#[derive(Clone, Debug)]
pub struct SessionFolder {
    folder: PathBuf,
}

impl SessionFolder {
    /// Those of a folder of access.
    pub fn in_folder(folder: &Path) -> Self {
        Self {
            folder: folder.join("sessions"),
        }
    }

    fn path(&self, id: &Id) -> PathBuf {
        let name = hex(&Sha256::digest(id.0.to_le_bytes()));
        self.folder.join(name + ".json")
    }

    fn write(&self, record: &Record) -> io::Result<()> {
        private_folder(&self.folder)?;
        let mut record = record.clone();
        let path = self.path(&record.id);
        // The id is the key to the session: whoever has it is in.
        record.id = Id(0);
        replace(&path, &serde_json::to_vec(&record)?)
    }

    fn read(&self, id: &Id) -> io::Result<Option<Record>> {
        let text = match fs::read(self.path(id)) {
            Ok(text) => text,
            Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(e) => return Err(e),
        };
        let mut record: Record = serde_json::from_slice(&text)?;
        record.id = *id;
        Ok(Some(record).filter(is_open))
    }

    /// Removes what is over, and the oldest while there are too many.
    fn make_room(&self) -> io::Result<()> {
        let mut open = Vec::new();
        for entry in fs::read_dir(&self.folder)? {
            let path = entry?.path();
            let record = fs::read(&path)
                .ok()
                .and_then(|text| serde_json::from_slice::<Record>(&text).ok());
            match record.filter(is_open) {
                Some(record) => open.push((record.expiry_date, path)),
                None => fs::remove_file(&path)?,
            }
        }
        open.sort();
        let too_many = (open.len() + 1).saturating_sub(MAX_SESSIONS);
        for (_, path) in open.into_iter().take(too_many) {
            fs::remove_file(path)?;
        }
        Ok(())
    }
}

fn is_open(record: &Record) -> bool {
    record.expiry_date > OffsetDateTime::now_utc()
}

fn failed(error: io::Error) -> Error {
    Error::Backend(format!("a session could not be kept or read: {error}"))
}

#[async_trait]
impl SessionStore for SessionFolder {
    async fn create(&self, record: &mut Record) -> Result<()> {
        private_folder(&self.folder).map_err(failed)?;
        self.make_room().map_err(failed)?;
        while self.path(&record.id).exists() {
            record.id = Id::default();
        }
        self.write(record).map_err(failed)
    }

    async fn save(&self, record: &Record) -> Result<()> {
        self.write(record).map_err(failed)
    }

    async fn load(&self, id: &Id) -> Result<Option<Record>> {
        self.read(id).map_err(failed)
    }

    async fn delete(&self, id: &Id) -> Result<()> {
        match fs::remove_file(self.path(id)) {
            Err(e) if e.kind() != io::ErrorKind::NotFound => Err(failed(e)),
            _ => Ok(()),
        }
    }
}

/// The holder of a token, as a session knows them.
#[derive(Clone, Debug)]
pub struct Holder(pub Arc<Token>);

impl AuthUser for Holder {
    type Id = String;

    fn id(&self) -> String {
        self.0.id.clone()
    }

    fn session_auth_hash(&self) -> &[u8] {
        self.0.hash().as_bytes()
    }
}

/// What `axum-login` asks for users.
#[derive(Clone, Debug)]
pub struct Holders(pub Arc<Verifier>);

impl AuthnBackend for Holders {
    type User = Holder;
    /// A token that has been verified: the login page says why one is refused, which a `None` here
    /// could not.
    type Credentials = Arc<Token>;
    type Error = Infallible;

    async fn authenticate(
        &self,
        token: Self::Credentials,
    ) -> std::result::Result<Option<Self::User>, Self::Error> {
        Ok(self.0.by_id(&token.id).map(Holder))
    }

    async fn get_user(&self, id: &String) -> std::result::Result<Option<Self::User>, Self::Error> {
        Ok(self.0.by_id(id).map(Holder))
    }
}

#[cfg(test)]
mod tests {
    use axum_login::tower_sessions::cookie::time::Duration;

    use super::*;

    fn record(seconds: i64) -> Record {
        Record {
            id: Id::default(),
            data: Default::default(),
            expiry_date: OffsetDateTime::now_utc() + Duration::seconds(seconds),
        }
    }

    #[tokio::test]
    async fn a_session_is_found_by_its_id_which_the_folder_does_not_have() {
        let scratch = tempfile::tempdir().unwrap();
        let sessions = SessionFolder::in_folder(scratch.path());
        let mut made = record(60);
        made.data.insert("who".into(), "somebody".into());
        sessions.create(&mut made).await.unwrap();
        assert_eq!(sessions.load(&made.id).await.unwrap(), Some(made.clone()));
        assert_eq!(sessions.load(&Id::default()).await.unwrap(), None);
        for entry in fs::read_dir(scratch.path().join("sessions")).unwrap() {
            let path = entry.unwrap().path();
            let all = format!("{} {}", path.display(), fs::read_to_string(&path).unwrap());
            assert!(!all.contains(&made.id.to_string()), "{all}");
            assert!(!all.contains(&made.id.0.to_string()), "{all}");
        }
        // Another process that has the folder.
        let other = SessionFolder::in_folder(scratch.path());
        assert_eq!(other.load(&made.id).await.unwrap(), Some(made.clone()));
        other.delete(&made.id).await.unwrap();
        assert_eq!(sessions.load(&made.id).await.unwrap(), None);
        sessions.delete(&made.id).await.unwrap();
    }

    #[tokio::test]
    async fn a_session_that_is_over_is_not_found_and_goes_with_the_next() {
        let scratch = tempfile::tempdir().unwrap();
        let sessions = SessionFolder::in_folder(scratch.path());
        let mut over = record(-1);
        sessions.create(&mut over).await.unwrap();
        assert_eq!(sessions.load(&over.id).await.unwrap(), None);
        sessions.create(&mut record(60)).await.unwrap();
        let left = fs::read_dir(scratch.path().join("sessions")).unwrap();
        assert_eq!(left.count(), 1);
    }
}
