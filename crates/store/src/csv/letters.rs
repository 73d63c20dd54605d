//! Dead letters as JSON lines: `dead-letters.jsonl`. A letter's id is the number of its line. Of one
//! message's row there is one among the last [`REMEMBERED`].

use std::{
    collections::{BTreeMap, HashSet, VecDeque},
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
    recent: VecDeque<String>,
    messages: HashSet<String>,
}

/// Messages that are remembered to know a letter that comes again.
const REMEMBERED: usize = 20_000;

impl Letters {
    pub(super) fn open(dir: &Path, sync: bool) -> io::Result<Self> {
        let path = dir.join("dead-letters.jsonl");
        let out = Appender::open(&path, "", sync)?;
        let mut letters = Self {
            path,
            out,
            counts: BTreeMap::new(),
            recent: VecDeque::new(),
            messages: HashSet::new(),
        };
        for letter in letters.read(None, 0, usize::MAX)? {
            *letters.counts.entry(letter.reject.reason).or_insert(0) += 1;
            letters.remember(letter.reject.message);
        }
        Ok(letters)
    }

    pub(super) fn put_aside(&mut self, rejects: Vec<Reject>, at: Timestamp) -> io::Result<()> {
        let mut bytes = Vec::new();
        let rejects: Vec<Reject> = rejects
            .into_iter()
            .filter(|r| {
                !r.message
                    .as_ref()
                    .is_some_and(|m| self.messages.contains(m))
            })
            .collect();
        if rejects.is_empty() {
            return Ok(());
        }
        let written: Vec<_> = rejects
            .iter()
            .map(|r| (r.reason, r.message.clone()))
            .collect();
        for reject in rejects {
            serde_json::to_writer(&mut bytes, &Line { at_us: at, reject })?;
            bytes.push(b'\n');
        }
        self.out.write(&bytes)?;
        for (reason, message) in written {
            *self.counts.entry(reason).or_insert(0) += 1;
            self.remember(message);
        }
        Ok(())
    }

    fn remember(&mut self, message: Option<String>) {
        let Some(message) = message else { return };
        if self.messages.insert(message.clone()) {
            self.recent.push_back(message);
        }
        if self.recent.len() > REMEMBERED
            && let Some(oldest) = self.recent.pop_front()
        {
            self.messages.remove(&oldest);
        }
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
