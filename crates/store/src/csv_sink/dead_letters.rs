//! Dead letters as JSON lines: `dead-letters.jsonl`. A letter's id is the number of its line. Of one
//! message's row there is one among the last [`REMEMBERED`]. Lines are never removed: once a source has
//! its quota, or the file its, what comes is counted in `dead-letters-not-kept.json`.

use std::{
    collections::{BTreeMap, HashMap, HashSet, VecDeque},
    fs::{self, File},
    io::{self, BufRead, BufReader, Write as _},
    path::{Path, PathBuf},
};

use market::{Reject, RejectReason, Timestamp};
use serde::{Deserialize, Serialize};

use super::files::Appender;
use crate::{
    DeadLetter, DeadLetterQuota, DeadLetterState, DroppedCount, ReasonCount, RejectReport,
    quota::{self, Held},
};

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
    quota: DeadLetterQuota,
    counts: BTreeMap<RejectReason, u64>,
    of_source: HashMap<String, Held>,
    not_kept: BTreeMap<(String, RejectReason), u64>,
    recent: VecDeque<String>,
    messages: HashSet<String>,
}

/// Messages that are remembered to know a letter that comes again.
const REMEMBERED: usize = 20_000;

impl Letters {
    pub(super) fn open(dir: &Path, sync: bool, quota: DeadLetterQuota) -> io::Result<Self> {
        let path = dir.join("dead-letters.jsonl");
        let out = Appender::open(&path, "", sync)?;
        let mut letters = Self {
            not_kept: read_not_kept(&not_kept_path(&path))?,
            path,
            out,
            quota,
            counts: BTreeMap::new(),
            of_source: HashMap::new(),
            recent: VecDeque::new(),
            messages: HashSet::new(),
        };
        for letter in letters.read(None, 0, usize::MAX)? {
            letters.count(&letter.reject);
            letters.remember(letter.reject.message);
        }
        Ok(letters)
    }

    pub(super) fn reject(
        &mut self,
        rejects: Vec<Reject>,
        at: Timestamp,
    ) -> io::Result<RejectReport> {
        let mut bytes = Vec::new();
        let mut done = RejectReport::default();
        // With what the batch adds: counted only once it is written.
        let mut added: HashMap<String, Held> = HashMap::new();
        let mut kept = Vec::new();
        let mut of_batch: HashSet<String> = HashSet::new();
        let total: u64 = self.counts.values().sum();
        for reject in rejects {
            // Of those of one message the first counts.
            if let Some(message) = &reject.message
                && (self.messages.contains(message) || !of_batch.insert(message.clone()))
            {
                continue;
            }
            let source = self.source_of(&reject);
            let bytes = quota::size_of(&reject);
            let held = added
                .entry(source.clone())
                .or_insert_with(|| self.of_source.get(&source).copied().unwrap_or_default());
            let fits = self.quota.has_room_beside(*held, bytes)
                && total + (kept.len() as u64) < self.quota.total;
            if !fits {
                done.drop_one(&source, reject.reason);
                continue;
            }
            held.add(bytes);
            kept.push(reject);
        }
        for reject in &kept {
            let reject = reject.clone();
            serde_json::to_writer(&mut bytes, &Line { at_us: at, reject })?;
            bytes.push(b'\n');
        }
        if !bytes.is_empty() {
            self.out.write(&bytes)?;
        }
        done.kept = kept.len() as u64;
        for reject in kept {
            self.count(&reject);
            self.remember(reject.message);
        }
        if !done.dropped.is_empty() {
            for d in &done.dropped {
                let of = (d.source.clone(), d.reason);
                *self.not_kept.entry(of).or_insert(0) += d.dropped;
            }
            self.write_not_kept()?;
        }
        Ok(done)
    }

    fn source_of(&self, reject: &Reject) -> String {
        let known = |source: &str| self.of_source.contains_key(source);
        quota::source_of(reject, self.of_source.len(), known)
    }

    fn count(&mut self, reject: &Reject) {
        *self.counts.entry(reject.reason).or_insert(0) += 1;
        let source = self.source_of(reject);
        let held = self.of_source.entry(source).or_default();
        held.add(quota::size_of(reject));
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

    /// Replaces the file of counts: it is small, and whole in one piece or the other.
    fn write_not_kept(&self) -> io::Result<()> {
        let path = not_kept_path(&self.path);
        let new = path.with_extension("json.new");
        let mut file = File::create(&new)?;
        serde_json::to_writer(&mut file, &self.dropped())?;
        file.flush()?;
        fs::rename(new, path)
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
            let letter: Line = serde_json::from_str(&line?)?;
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

    pub(super) fn dropped(&self) -> Vec<DroppedCount> {
        self.not_kept
            .iter()
            .map(|((source, reason), dropped)| DroppedCount {
                source: source.clone(),
                reason: *reason,
                dropped: *dropped,
            })
            .collect()
    }
}

fn not_kept_path(letters: &Path) -> PathBuf {
    letters.with_file_name("dead-letters-not-kept.json")
}

fn read_not_kept(path: &Path) -> io::Result<BTreeMap<(String, RejectReason), u64>> {
    let text = match fs::read(path) {
        Ok(text) => text,
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(BTreeMap::new()),
        Err(e) => return Err(e),
    };
    let counts: Vec<DroppedCount> = serde_json::from_slice(&text)?;
    let counts = counts.into_iter();
    Ok(counts.map(|c| ((c.source, c.reason), c.dropped)).collect())
}
