//! Dead letters as JSON lines: `dead-letters.jsonl`. A letter's id is the number of its line.

use std::{
    collections::BTreeMap,
    fs::File,
    io::{self, BufRead, BufReader},
    path::{Path, PathBuf},
};

use market::{Reject, RejectReason, Timestamp};
use serde::{Deserialize, Serialize};

use super::files::Appender;
use crate::{DeadLetter, DeadLetterState, ReasonCount};

#[derive(Serialize, Deserialize)]
struct Line {
    at_us: Timestamp,
    #[serde(flatten)]
    reject: Reject,
}

/// The file and what is counted in it.
pub(super) struct Letters {
    path: PathBuf,
    out: Appender,
    counts: BTreeMap<RejectReason, u64>,
}

impl Letters {
    pub(super) fn open(dir: &Path, sync: bool) -> io::Result<Self> {
        let path = dir.join("dead-letters.jsonl");
        let out = Appender::open(&path, "", sync)?;
        let mut letters = Self {
            path,
            out,
            counts: BTreeMap::new(),
        };
        for letter in letters.read(None, 0, usize::MAX)? {
            *letters.counts.entry(letter.reject.reason).or_insert(0) += 1;
        }
        Ok(letters)
    }

    pub(super) fn put_aside(&mut self, rejects: Vec<Reject>, at: Timestamp) -> io::Result<()> {
        let mut bytes = Vec::new();
        let reasons: Vec<_> = rejects.iter().map(|r| r.reason).collect();
        for reject in rejects {
            serde_json::to_writer(&mut bytes, &Line { at_us: at, reject })?;
            bytes.push(b'\n');
        }
        self.out.write(&bytes)?;
        for reason in reasons {
            *self.counts.entry(reason).or_insert(0) += 1;
        }
        Ok(())
    }

    pub(super) fn read(
        &self,
        reason: Option<RejectReason>,
        after: i64,
        limit: usize,
    ) -> io::Result<Vec<DeadLetter>> {
        let mut found = Vec::new();
        // Also when nothing is asked for: that the file can be opened says that the folder is there.
        let file = File::open(&self.path)?;
        if after >= i64::MAX - 1 {
            return Ok(found);
        }
        for (line, id) in BufReader::new(file).lines().zip(1..) {
            if found.len() >= limit {
                break;
            }
            let line = line?;
            let letter: Line = serde_json::from_str(&line)?;
            if id > after && reason.is_none_or(|r| r == letter.reject.reason) {
                found.push(DeadLetter {
                    id,
                    at: letter.at_us,
                    reject: letter.reject,
                    state: DeadLetterState::Open,
                });
            }
        }
        Ok(found)
    }

    pub(super) fn counts(&self) -> Vec<ReasonCount> {
        self.counts
            .iter()
            .map(|(reason, open)| ReasonCount {
                reason: *reason,
                open: *open,
                replayed: 0,
            })
            .collect()
    }
}
