//! The tokens that were made: one JSON file, with a hash of each and never the token itself.
//!
//! Model: a token reads `tickcast_ID_SECRET`. The id is public and finds the entry; the secret is 192
//! random bits, of which the file has the Argon2id hash. The file is written whole beside itself and
//! renamed, under a lock, so that a reader sees all of it or what was there before, and two commands
//! at a time lose nothing. It is readable by its owner alone.
//!
//! What it does not do: verify (`super::verifier`), or let a running server know: that one looks at
//! the file again when it has changed.

use std::{
    fs::{self, File},
    io::{self, Write as _},
    path::{Path, PathBuf},
};

use argon2::{Argon2, PasswordHasher as _, PasswordVerifier as _};
use market::{ErrorKind, Timestamp};
use serde::{Deserialize, Serialize};

use super::{Role, Who};

/// What every token begins with: a secret scanner finds it.
const PREFIX: &str = "tickcast_";
/// Bytes of an id and of a secret; each is written with two hexadecimal digits.
const ID_BYTES: usize = 4;
const SECRET_BYTES: usize = 24;
/// The layout of the file.
const VERSION: u32 = 1;
/// The longest name, in characters.
const MAX_NAME: usize = 64;

/// Why tokens cannot be had.
#[derive(Debug, thiserror::Error)]
pub enum TokenError {
    /// The file, or the folder that it is in.
    #[error("{path}: {source}", path = path.display())]
    File {
        /// Which.
        path: PathBuf,
        /// What the operating system said.
        source: io::Error,
    },
    /// The file holds something else.
    #[error("{path} is no file of tokens: {detail}", path = path.display())]
    Malformed {
        /// Which.
        path: PathBuf,
        /// What is wrong with it.
        detail: String,
    },
    /// No such token.
    #[error("there is no token {0:?}: tickcast token list shows what there is")]
    NotFound(String),
    /// A name that cannot be used.
    #[error(
        "{0:?} is no name of a token: expected 1 to {MAX_NAME} letters, digits, spaces or . _ - @"
    )]
    Name(String),
    /// The hash could not be computed.
    #[error("the token could not be hashed: {0}")]
    Hash(String),
}

impl TokenError {
    /// The kind.
    pub const fn kind(&self) -> ErrorKind {
        match self {
            Self::File { .. } => ErrorKind::Unavailable,
            Self::Malformed { .. } | Self::Name(_) => ErrorKind::Invalid,
            Self::NotFound(_) => ErrorKind::NotFound,
            Self::Hash(_) => ErrorKind::Internal,
        }
    }
}

/// One token, without its secret.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Token {
    /// Finds it.
    pub id: String,
    /// What it is called in lists and in the audit log.
    pub name: String,
    /// What it allows.
    pub role: Role,
    /// When it was made.
    pub made: String,
    /// Argon2id, as a PHC string.
    hash: String,
}

impl std::fmt::Debug for Token {
    /// Without the hash: it is of no use in a log.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Token")
            .field("id", &self.id)
            .field("name", &self.name)
            .field("role", &self.role)
            .finish_non_exhaustive()
    }
}

impl Token {
    /// Makes one; the text is what its holder shows, and is nowhere else.
    ///
    /// # Errors
    /// The name cannot be used; the hash cannot be computed.
    pub fn make(name: &str, role: Role, now: Timestamp) -> Result<(Self, String), TokenError> {
        let name = name.trim();
        let usable = |c: char| c.is_alphanumeric() || " ._-@".contains(c);
        if name.is_empty() || name.chars().count() > MAX_NAME || !name.chars().all(usable) {
            return Err(TokenError::Name(name.chars().take(MAX_NAME).collect()));
        }
        let id = hex(&rand::random::<[u8; ID_BYTES]>());
        let text = format!(
            "{PREFIX}{id}_{}",
            hex(&rand::random::<[u8; SECRET_BYTES]>())
        );
        let hash = Argon2::default()
            .hash_password(text.as_bytes())
            .map_err(|e| TokenError::Hash(e.to_string()))?
            .to_string();
        let token = Self {
            id,
            name: name.to_owned(),
            role,
            made: now.to_string(),
            hash,
        };
        Ok((token, text))
    }

    /// Whether a text is this token. It costs what Argon2 costs: some 20 ms and 19 MiB.
    pub fn is(&self, text: &str) -> bool {
        Argon2::default()
            .verify_password(text.as_bytes(), self.hash.as_str())
            .is_ok()
    }

    /// The hash, which a session is bound to.
    pub fn hash(&self) -> &str {
        &self.hash
    }

    /// Its holder.
    pub fn who(&self) -> Who {
        Who::Token {
            id: self.id.clone(),
            name: self.name.clone(),
            role: self.role,
        }
    }
}

/// The id in a text that has the form of a token.
pub fn id_in(text: &str) -> Option<&str> {
    let (id, secret) = text.strip_prefix(PREFIX)?.split_once('_')?;
    let is_hex = |part: &str, bytes: usize| {
        part.len() == 2 * bytes && part.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'))
    };
    (is_hex(id, ID_BYTES) && is_hex(secret, SECRET_BYTES)).then_some(id)
}

/// Lower-case hexadecimal digits.
pub(super) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[derive(Serialize, Deserialize)]
struct Contents {
    version: u32,
    tokens: Vec<Token>,
}

/// The file.
#[derive(Clone, Debug)]
pub struct TokenFile {
    path: PathBuf,
}

impl TokenFile {
    /// The file of a folder of access.
    pub fn in_folder(folder: &Path) -> Self {
        Self {
            path: folder.join("tokens.json"),
        }
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The tokens; none where there is no file.
    ///
    /// # Errors
    /// The file cannot be read, or holds something else.
    pub fn read(&self) -> Result<Vec<Token>, TokenError> {
        let text = match fs::read(&self.path) {
            Ok(text) => text,
            Err(e)
                if matches!(
                    e.kind(),
                    io::ErrorKind::NotFound | io::ErrorKind::NotADirectory
                ) =>
            {
                return Ok(Vec::new());
            }
            Err(e) => return Err(self.failed(e)),
        };
        let contents: Contents = serde_json::from_slice(&text).map_err(|e| {
            // By line and column: the message alone could show what stands there.
            self.malformed(format!("see line {}, column {}", e.line(), e.column()))
        })?;
        if contents.version != VERSION {
            return Err(self.malformed(format!("its version is {}", contents.version)));
        }
        Ok(contents.tokens)
    }

    /// Adds a token.
    ///
    /// # Errors
    /// As [`Self::read`]; the file cannot be written.
    pub fn add(&self, token: Token) -> Result<(), TokenError> {
        let _lock = self.lock()?;
        let mut tokens = self.read()?;
        tokens.push(token);
        self.write(tokens)
    }

    /// Removes the token with an id, or the only one with a name.
    ///
    /// # Errors
    /// As [`Self::read`]; there is none; the file cannot be written.
    pub fn remove(&self, id_or_name: &str) -> Result<Token, TokenError> {
        let _lock = self.lock()?;
        let mut tokens = self.read()?;
        let by_id = tokens.iter().position(|token| token.id == id_or_name);
        let mut named = (0..tokens.len()).filter(|at| tokens[*at].name == id_or_name);
        let at = by_id.or(match (named.next(), named.next()) {
            (Some(at), None) => Some(at),
            _ => None,
        });
        let at = at.ok_or_else(|| TokenError::NotFound(id_or_name.to_owned()))?;
        let removed = tokens.remove(at);
        self.write(tokens)?;
        Ok(removed)
    }

    fn lock(&self) -> Result<File, TokenError> {
        if let Some(folder) = self.path.parent() {
            private_folder(folder).map_err(|e| self.failed(e))?;
        }
        let lock = private_file(&self.path.with_extension("lock"), false);
        let lock = lock.map_err(|e| self.failed(e))?;
        lock.lock().map_err(|e| self.failed(e))?;
        Ok(lock)
    }

    fn write(&self, tokens: Vec<Token>) -> Result<(), TokenError> {
        let contents = Contents {
            version: VERSION,
            tokens,
        };
        let mut text =
            serde_json::to_vec_pretty(&contents).map_err(|e| self.failed(io::Error::other(e)))?;
        text.push(b'\n');
        replace(&self.path, &text).map_err(|e| self.failed(e))
    }

    fn failed(&self, source: io::Error) -> TokenError {
        TokenError::File {
            path: self.path.clone(),
            source,
        }
    }

    fn malformed(&self, detail: String) -> TokenError {
        TokenError::Malformed {
            path: self.path.clone(),
            detail,
        }
    }
}

/// Makes a folder that only its owner can look into.
pub(super) fn private_folder(folder: &Path) -> io::Result<()> {
    use std::os::unix::fs::DirBuilderExt as _;
    if folder.is_dir() {
        return Ok(());
    }
    fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(folder)
}

/// Opens a file for writing, made for its owner alone.
pub(super) fn private_file(path: &Path, append: bool) -> io::Result<File> {
    use std::os::unix::fs::OpenOptionsExt as _;
    File::options()
        .create(true)
        .append(append)
        .write(!append)
        .truncate(false)
        .mode(0o600)
        .open(path)
}

/// Puts a file in the place of another, whole or not at all, also when the power goes.
pub(super) fn replace(path: &Path, contents: &[u8]) -> io::Result<()> {
    let beside = path.with_extension(format!("{}.part", std::process::id()));
    let written = (|| {
        let mut file = private_file(&beside, false)?;
        file.set_len(0)?;
        file.write_all(contents)?;
        file.sync_all()?;
        fs::rename(&beside, path)?;
        match path.parent() {
            Some(folder) => File::open(folder)?.sync_all(),
            None => Ok(()),
        }
    })();
    if written.is_err() {
        // Nobody reads it; the error that matters is the one above.
        let _ = fs::remove_file(&beside);
    }
    written
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file() -> (tempfile::TempDir, TokenFile) {
        let scratch = tempfile::tempdir().unwrap();
        let file = TokenFile::in_folder(&scratch.path().join("access"));
        (scratch, file)
    }

    #[test]
    fn a_token_is_kept_as_a_hash_that_its_owner_alone_can_read() {
        use std::os::unix::fs::PermissionsExt as _;
        let (_scratch, file) = file();
        let (token, text) = Token::make("ci", Role::Write, Timestamp::from_micros(0)).unwrap();
        file.add(token.clone()).unwrap();
        let kept = fs::read_to_string(file.path()).unwrap();
        let secret = text.rsplit('_').next().unwrap();
        assert!(!kept.contains(secret), "{kept}");
        assert!(kept.contains("$argon2id$v=19$m=19456,t=2,p=1$"), "{kept}");
        let mode = fs::metadata(file.path()).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        let read = file.read().unwrap();
        assert_eq!(read, [token]);
        assert!(read[0].is(&text));
        assert_eq!(id_in(&text), Some(read[0].id.as_str()));
        let mut other = text.clone();
        other.replace_range(
            text.len() - 1..,
            if text.ends_with('0') { "1" } else { "0" },
        );
        assert!(!read[0].is(&other));
        assert!(!format!("{read:?}").contains("argon2"));
    }

    #[test]
    fn a_token_is_revoked_by_id_or_by_a_name_that_only_one_has() {
        let (_scratch, file) = file();
        let make = |name| {
            let (token, _) = Token::make(name, Role::Read, Timestamp::from_micros(0)).unwrap();
            file.add(token.clone()).unwrap();
            token
        };
        let (first, second, third) = (make("twin"), make("twin"), make("other"));
        let ambiguous = file.remove("twin");
        assert!(
            matches!(ambiguous, Err(TokenError::NotFound(_))),
            "{ambiguous:?}"
        );
        assert_eq!(file.remove("other").unwrap(), third);
        assert_eq!(file.remove(&first.id).unwrap(), first);
        assert_eq!(file.remove("twin").unwrap(), second);
        assert_eq!(file.read().unwrap(), []);
    }

    #[test]
    fn commands_that_add_at_the_same_time_lose_nothing() {
        let (_scratch, file) = file();
        std::thread::scope(|scope| {
            for number in 0..4 {
                let file = &file;
                scope.spawn(move || {
                    let name = format!("token {number}");
                    let made = Token::make(&name, Role::Read, Timestamp::from_micros(0));
                    file.add(made.unwrap().0).unwrap();
                });
            }
        });
        let mut names: Vec<_> = file.read().unwrap().into_iter().map(|t| t.name).collect();
        names.sort();
        assert_eq!(names, ["token 0", "token 1", "token 2", "token 3"]);
    }

    #[test]
    fn a_file_of_something_else_is_told_by_its_place_and_not_by_what_stands_there() {
        let (_scratch, file) = file();
        fs::create_dir_all(file.path().parent().unwrap()).unwrap();
        fs::write(file.path(), "{\"version\": 1, \"tokens\": [\"hunter2\"]}").unwrap();
        let error = file.read().unwrap_err().to_string();
        assert!(error.contains("line 1"), "{error}");
        assert!(!error.contains("hunter2"), "{error}");
        fs::write(file.path(), "{\"version\": 2, \"tokens\": []}").unwrap();
        assert!(
            file.read()
                .unwrap_err()
                .to_string()
                .contains("version is 2")
        );
    }

    #[test]
    fn names_that_could_forge_a_line_of_a_list_are_refused() {
        for name in ["", "  ", "a\nb", "\u{1b}[2J", &"x".repeat(65)] {
            let made = Token::make(name, Role::Read, Timestamp::from_micros(0));
            assert!(matches!(made, Err(TokenError::Name(_))), "{name:?}");
        }
    }

    #[test]
    fn only_what_has_the_form_of_a_token_is_looked_up() {
        let secret = "ab".repeat(SECRET_BYTES);
        assert_eq!(
            id_in(&format!("tickcast_0a1b2c3d_{secret}")),
            Some("0a1b2c3d")
        );
        for text in [
            "",
            "tickcast_",
            "hunter2",
            &format!("tickcast_0a1b2c3_{secret}"),
            &format!("tickcast_0A1B2C3D_{secret}"),
            &format!("tickcast_0a1b2c3d_{secret}0"),
        ] {
            assert_eq!(id_in(text), None, "{text}");
        }
    }
}
