//! Whether a token is one of ours, and whose.
//!
//! Model: Argon2 is meant to be slow, so it is asked once: what it has verified is remembered by its
//! SHA-256, and what it has refused is too, for a while. What is unknown is tried one at a time, away
//! from the async threads; an id that does not exist costs as much as one that does. The file is
//! looked at again when it has changed, so that a token works, and no longer works, without a restart.
//!
//! What it does not do: sessions, which ask [`Verifier::by_id`] at each request, so that they end with
//! their token.

use std::{
    collections::HashMap,
    net::IpAddr,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant, SystemTime},
};

use market::Timestamp;
use sha2::{Digest as _, Sha256};
use tokio::sync::Semaphore;
use tracing::{error, info};

use super::{
    Role,
    failures::Failures,
    tokens::{Token, TokenError, TokenFile, id_in},
};

/// How many wait for Argon2, beside the one that has it, before others are turned away.
const MAX_WAITING: usize = 8;
/// How many refused tokens are remembered.
const MAX_REFUSED: usize = 1_024;

type Sha = [u8; 32];

/// What became of a token that was shown.
#[derive(Clone, Debug)]
pub enum Verdict {
    /// It is one of ours.
    Good(Arc<Token>),
    /// It is not.
    Wrong,
    /// Too many wrong ones; nothing was looked at.
    Later(Duration),
}

#[derive(Default)]
struct Known {
    stamp: Option<(SystemTime, u64)>,
    tokens: HashMap<String, Arc<Token>>,
    /// Verified, by the SHA-256 of the token, to its id.
    good: HashMap<Sha, String>,
    refused: HashMap<Sha, ()>,
}

/// Answers for tokens.
pub struct Verifier {
    file: TokenFile,
    known: Mutex<Known>,
    failures: Failures,
    one_at_a_time: Arc<Semaphore>,
    waiting: Arc<Semaphore>,
    /// What an unknown id is compared with.
    nobody: Token,
}

impl std::fmt::Debug for Verifier {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Verifier")
            .field("file", &self.file)
            .finish_non_exhaustive()
    }
}

impl Verifier {
    /// Over a file, which is read.
    ///
    /// # Errors
    /// The file cannot be read, or holds something else.
    pub fn open(file: TokenFile) -> Result<Self, TokenError> {
        let tokens = file.read()?;
        let (nobody, _) = Token::make("nobody", Role::Read, Timestamp::from_micros(0))?;
        let verifier = Self {
            known: Mutex::default(),
            failures: Failures::default(),
            one_at_a_time: Arc::new(Semaphore::new(1)),
            waiting: Arc::new(Semaphore::new(MAX_WAITING)),
            nobody,
            file,
        };
        let stamp = verifier.stamp();
        take_over(&mut verifier.known(), tokens, stamp);
        Ok(verifier)
    }

    /// Where the tokens are.
    pub fn file(&self) -> &TokenFile {
        &self.file
    }

    /// Whether any token has been made.
    pub fn has_tokens(&self) -> bool {
        !self.fresh().tokens.is_empty()
    }

    /// The token with an id.
    pub fn by_id(&self, id: &str) -> Option<Arc<Token>> {
        self.fresh().tokens.get(id).cloned()
    }

    /// Verifies what a client shows.
    pub async fn verify(&self, text: &str, client: IpAddr) -> Verdict {
        // What cannot be a token is no guess at one: it costs nothing and tells nothing.
        let Some(id) = id_in(text) else {
            return Verdict::Wrong;
        };
        let sha: Sha = Sha256::digest(text.as_bytes()).into();
        let token = {
            let known = self.fresh();
            if let Some(token) = known.good.get(&sha).and_then(|id| known.tokens.get(id)) {
                return Verdict::Good(Arc::clone(token));
            }
            if known.refused.contains_key(&sha) {
                return Verdict::Wrong;
            }
            known.tokens.get(id).cloned()
        };
        if let Err(wait) = self.failures.attempt(client, Instant::now()) {
            return Verdict::Later(wait);
        }
        let Ok(_place) = self.waiting.try_acquire() else {
            return Verdict::Later(Duration::from_secs(1));
        };
        let Ok(turn) = Arc::clone(&self.one_at_a_time).acquire_owned().await else {
            return Verdict::Later(Duration::from_secs(1));
        };
        let against = token.as_deref().unwrap_or(&self.nobody).clone();
        let shown = text.to_owned();
        let is_it = tokio::task::spawn_blocking(move || {
            // Held until the work is done, also when the client has gone.
            let _turn = turn;
            against.is(&shown)
        });
        let is_it = is_it.await.unwrap_or(false);
        match token.filter(|_| is_it) {
            Some(token) => {
                self.failures.succeeded(client);
                let mut known = self.known();
                known.good.insert(sha, token.id.clone());
                Verdict::Good(token)
            }
            None => {
                let mut known = self.known();
                if known.refused.len() >= MAX_REFUSED {
                    known.refused.clear();
                }
                known.refused.insert(sha, ());
                Verdict::Wrong
            }
        }
    }

    /// What is known, of the file as it is now.
    fn fresh(&self) -> std::sync::MutexGuard<'_, Known> {
        let stamp = self.stamp();
        let mut known = self.known();
        if known.stamp != stamp {
            match self.file.read() {
                Ok(tokens) => {
                    take_over(&mut known, tokens, stamp);
                    info!("{} tokens are valid now", known.tokens.len());
                }
                Err(e) => {
                    // Neither opened nor locked by a file that somebody is mending.
                    error!("the tokens stay as they were: {e}");
                    known.stamp = stamp;
                }
            }
        }
        known
    }

    fn known(&self) -> std::sync::MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn stamp(&self) -> Option<(SystemTime, u64)> {
        let metadata = std::fs::metadata(self.file.path()).ok()?;
        Some((metadata.modified().ok()?, inode(&metadata)))
    }
}

/// Each write of the file makes a new one.
fn inode(metadata: &std::fs::Metadata) -> u64 {
    use std::os::unix::fs::MetadataExt as _;
    metadata.ino()
}

fn take_over(known: &mut Known, tokens: Vec<Token>, stamp: Option<(SystemTime, u64)>) {
    let tokens: HashMap<_, _> = tokens
        .into_iter()
        .map(|token| (token.id.clone(), Arc::new(token)))
        .collect();
    // A digest is good for the hash that it was compared with, not for its id alone.
    let before = std::mem::replace(&mut known.tokens, tokens);
    let unchanged = |id: &String| {
        let (was, is) = (before.get(id), known.tokens.get(id));
        matches!((was, is), (Some(was), Some(is)) if was.hash() == is.hash())
    };
    known.good.retain(|_, id| unchanged(id));
    known.refused.clear();
    known.stamp = stamp;
}

#[cfg(test)]
mod tests {
    use super::*;

    const CLIENT: IpAddr = IpAddr::V4(std::net::Ipv4Addr::LOCALHOST);

    fn verifier() -> (tempfile::TempDir, Verifier) {
        let scratch = tempfile::tempdir().unwrap();
        let verifier = Verifier::open(TokenFile::in_folder(scratch.path())).unwrap();
        (scratch, verifier)
    }

    fn add(verifier: &Verifier, role: Role) -> (Token, String) {
        let (token, text) = Token::make("t", role, Timestamp::from_micros(0)).unwrap();
        verifier.file().add(token.clone()).unwrap();
        (token, text)
    }

    fn another_secret(text: &str) -> String {
        let flipped = if text.ends_with('0') { "1" } else { "0" };
        format!("{}{flipped}", &text[..text.len() - 1])
    }

    #[tokio::test]
    async fn a_token_works_from_when_it_is_made_until_it_is_revoked() {
        let (_scratch, verifier) = verifier();
        assert!(!verifier.has_tokens());
        let (token, text) = add(&verifier, Role::Write);
        assert!(verifier.has_tokens());
        // The second time from memory.
        for _ in 0..2 {
            let verdict = verifier.verify(&text, CLIENT).await;
            assert!(
                matches!(&verdict, Verdict::Good(t) if t.role == Role::Write),
                "{verdict:?}"
            );
        }
        verifier.file().remove(&token.id).unwrap();
        let verdict = verifier.verify(&text, CLIENT).await;
        assert!(matches!(verdict, Verdict::Wrong), "{verdict:?}");
        assert!(verifier.by_id(&token.id).is_none());
    }

    #[tokio::test]
    async fn what_was_verified_passes_while_wrong_ones_are_turned_away() {
        let (_scratch, verifier) = verifier();
        let (_, good) = add(&verifier, Role::Read);
        assert!(matches!(
            verifier.verify(&good, CLIENT).await,
            Verdict::Good(_)
        ));
        let wrong = another_secret(&good);
        // One that is repeated is remembered, and costs nothing.
        for _ in 0..50 {
            let verdict = verifier.verify(&wrong, CLIENT).await;
            assert!(matches!(verdict, Verdict::Wrong), "{verdict:?}");
        }
        let mut verdicts = Vec::new();
        for number in 0..12 {
            let other = format!("tickcast_{number:08x}_{}", "ab".repeat(24));
            verdicts.push(verifier.verify(&other, CLIENT).await);
        }
        let later = verdicts.iter().filter(|v| matches!(v, Verdict::Later(_)));
        assert!(later.count() >= 2, "{verdicts:?}");
        assert!(matches!(
            verifier.verify(&good, CLIENT).await,
            Verdict::Good(_)
        ));
    }

    #[tokio::test]
    async fn a_file_that_is_broken_leaves_the_tokens_as_they_were() {
        let (_scratch, verifier) = verifier();
        let (_, text) = add(&verifier, Role::Admin);
        assert!(matches!(
            verifier.verify(&text, CLIENT).await,
            Verdict::Good(_)
        ));
        std::fs::write(verifier.file().path(), "half a fi").unwrap();
        assert!(matches!(
            verifier.verify(&text, CLIENT).await,
            Verdict::Good(_)
        ));
        assert!(verifier.has_tokens());
    }

    #[tokio::test]
    async fn what_is_no_token_is_wrong_without_any_work() {
        let (_scratch, verifier) = verifier();
        for _ in 0..1_000 {
            let verdict = verifier.verify("hunter2", CLIENT).await;
            assert!(matches!(verdict, Verdict::Wrong), "{verdict:?}");
        }
    }
}
