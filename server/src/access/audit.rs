//! The log of what was done that cannot be undone: replays, imports, tokens made and revoked, logins.
//!
//! Model: JSON lines in `audit.jsonl`, one an act: when, who, from where, what, and what came of it.
//! A line is appended whole by one write and synced before the answer goes out, so that processes that
//! share the file do not mix theirs up. Nothing here changes or removes a line.
//!
//! What it does not do: keep the owner of the file from changing it; ship it elsewhere for that.

use std::{
    fs::File,
    io::{self, Read as _, Seek as _, SeekFrom, Write as _},
    net::IpAddr,
    path::{Path, PathBuf},
};

use market::{RejectReason, Timestamp};
use pipeline::{PipelineError, ReplayReport};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use tracing::error;
use utoipa::ToSchema;

use super::{
    Who,
    tokens::{private_file, private_folder},
};

/// What was done.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[schema(as = AuditAct)]
#[serde(rename_all = "snake_case")]
pub enum Act {
    /// Dead letters were checked again, and stored where they are good now.
    Replay,
    /// Dead letters were removed for good.
    Discard,
    /// Files, or the bundled sample, were loaded.
    Import,
    /// An alias of a model was moved by hand: promotion, roll-back.
    Promotion,
    /// A version of a model was put away, or taken back.
    Archiving,
    /// A token was made.
    TokenMade,
    /// A token was revoked.
    TokenRevoked,
    /// A browser logged in.
    Login,
}

impl Act {
    /// As it is written.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Replay => "replay",
            Self::Discard => "discard",
            Self::Import => "import",
            Self::Promotion => "promotion",
            Self::Archiving => "archiving",
            Self::TokenMade => "token_made",
            Self::TokenRevoked => "token_revoked",
            Self::Login => "login",
        }
    }
}

/// One line.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[schema(as = AuditEntry)]
pub struct Entry {
    /// When it was over, in UTC.
    pub at: String,
    /// What.
    pub act: Act,
    /// Who.
    pub who: Who,
    /// The client's address, of an act over HTTP.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    pub from: Option<IpAddr>,
    /// Of what, and what came of it; `error` where it failed.
    pub what: Value,
}

/// The log.
#[derive(Clone, Debug)]
pub struct AuditLog {
    path: PathBuf,
}

impl AuditLog {
    /// The log of a folder of access.
    pub fn in_folder(folder: &Path) -> Self {
        Self {
            path: folder.join("audit.jsonl"),
        }
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Appends an act that is over. What cannot be written is an error in the process's own log, with
    /// the line: the act has been done and cannot be taken back.
    pub fn record(&self, at: Timestamp, act: Act, who: &Who, from: Option<IpAddr>, what: Value) {
        let entry = Entry {
            at: at.to_string(),
            act,
            who: who.clone(),
            from,
            what,
        };
        let line = match serde_json::to_string(&entry) {
            Ok(line) => line + "\n",
            Err(e) => return error!("an act could not be logged: {e}"),
        };
        if let Err(e) = self.append(line.as_bytes()) {
            error!(
                "{}: {e}: not logged: {}",
                self.path.display(),
                line.trim_end()
            );
        }
    }

    fn append(&self, line: &[u8]) -> io::Result<()> {
        if let Some(folder) = self.path.parent() {
            private_folder(folder)?;
        }
        let mut file = private_file(&self.path, true)?;
        if self.is_cut_short()? {
            // What a crash left of a line must not take this one with it.
            file.write_all(b"\n")?;
        }
        file.write_all(line)?;
        file.sync_data()
    }

    fn is_cut_short(&self) -> io::Result<bool> {
        let mut file = File::open(&self.path)?;
        if file.seek(SeekFrom::End(0))? == 0 {
            return Ok(false);
        }
        file.seek(SeekFrom::End(-1))?;
        let mut last = [0];
        file.read_exact(&mut last)?;
        Ok(last != *b"\n")
    }

    /// The latest `limit` entries, oldest first. A line that is none, such as one that a crash cut
    /// short, is left out and counted.
    ///
    /// # Errors
    /// The file cannot be read; a file that is not there is empty.
    pub fn latest(&self, limit: usize) -> io::Result<(Vec<Entry>, usize)> {
        let text = match std::fs::read(&self.path) {
            Ok(text) => text,
            Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok((Vec::new(), 0)),
            Err(e) => return Err(e),
        };
        let lines = text.split(|b| *b == b'\n').filter(|line| !line.is_empty());
        let lines: Vec<&[u8]> = lines.collect();
        let from = lines.len().saturating_sub(limit);
        let mut unreadable = 0;
        let mut entries = Vec::with_capacity(lines.len() - from);
        for line in &lines[from..] {
            match serde_json::from_slice(line) {
                Ok(entry) => entries.push(entry),
                Err(_) => unreadable += 1,
            }
        }
        Ok((entries, unreadable))
    }
}

/// What a replay was of and what came of it, for the audit log.
pub fn of_replay(
    reason: Option<RejectReason>,
    done: &Result<ReplayReport, PipelineError>,
) -> Value {
    match done {
        Ok(report) => json!({
            "reason": reason,
            "replayed": report.replayed,
            "still_bad": report.still.values().sum::<u64>(),
        }),
        Err(e) => json!({ "reason": reason, "error": e.to_string() }),
    }
}

/// Which dead letters were discarded and how many those were, for the audit log.
pub fn of_discard(
    reason: Option<RejectReason>,
    source: Option<&str>,
    done: &Result<u64, PipelineError>,
) -> Value {
    match done {
        Ok(discarded) => json!({ "reason": reason, "source": source, "discarded": discarded }),
        Err(e) => json!({ "reason": reason, "source": source, "error": e.to_string() }),
    }
}

/// What an import was of and what came of it, for the audit log.
pub fn of_import<E: std::fmt::Display>(
    file: &str,
    done: &Result<pipeline::ImportReport, E>,
) -> Value {
    match done {
        Ok(report) => json!({
            "file": file,
            "rows": report.rows,
            "bars": report.bars.all(),
            "ticks": report.ticks,
            "rejected": report.rejected,
        }),
        Err(e) => json!({ "file": file, "error": e.to_string() }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::access::Role;

    #[test]
    fn acts_are_appended_and_read_back_in_order() {
        let scratch = tempfile::tempdir().unwrap();
        let log = AuditLog::in_folder(&scratch.path().join("access"));
        assert_eq!(log.latest(9).unwrap(), (vec![], 0));
        let who = Who::Token {
            id: "0a1b2c3d".into(),
            name: "ops".into(),
            role: Role::Admin,
        };
        let at = |seconds: i64| Timestamp::from_micros(seconds * 1_000_000);
        let from = Some("192.0.2.7".parse().unwrap());
        log.record(at(1), Act::Replay, &who, from, json!({"replayed": 3}));
        // A crash in the middle of a line.
        log.append(b"{\"at\": \"half").unwrap();
        log.record(
            at(2),
            Act::Import,
            &Who::Anybody,
            None,
            json!({"files": ["a.csv"]}),
        );
        let (entries, unreadable) = log.latest(9).unwrap();
        assert_eq!(unreadable, 1);
        let seen: Vec<_> = entries.iter().map(|e| (e.at.as_str(), e.act)).collect();
        assert_eq!(
            seen,
            [
                ("1970-01-01T00:00:01Z", Act::Replay),
                ("1970-01-01T00:00:02Z", Act::Import)
            ]
        );
        assert_eq!(entries[0].who, who);
        assert_eq!(entries[0].from, from);
        assert_eq!(log.latest(1).unwrap().0, entries[1..]);
    }
}
