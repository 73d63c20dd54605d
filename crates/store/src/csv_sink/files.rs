//! The files of one symbol: the open day, finished days, what came late, bars.
//!
//! Names, in a folder per symbol: `2026-11-25.csv.part` is the day that is being written,
//! `2026-11-24.csv` a finished one, `2026-11-24.late.csv` what came for it afterwards,
//! `bars-1m.csv` bars that came as bars. A finished day never changes.

use std::{
    collections::{HashSet, VecDeque},
    fs::{self, File},
    io::{self, BufRead, BufReader, Read, Seek, SeekFrom, Write},
    path::{Path, PathBuf},
};

use market::{Bar, Interval, Symbol, Tick, TickKey, Timestamp};

use crate::csv_rows::{BAR_HEADER, TICK_HEADER, write_bar, write_tick};

/// Rows at the end of a file that duplicates are looked for among: as many as a consumer stores at most
/// between two commits, 10,000 and a batch. A single message of more rows than that goes beyond it.
const RECENT_ROWS: usize = 20_000;
/// More bytes than that many rows have.
const RECENT_BYTES: u64 = RECENT_ROWS as u64 * 128;

/// The folder of a symbol; what no file name may hold is percent-encoded.
pub(super) fn folder(dir: &Path, symbol: &Symbol) -> PathBuf {
    let mut name = String::new();
    for c in symbol.as_str().chars() {
        match c {
            '/' | ':' | '^' | '=' => name.push_str(&format!("%{:02X}", u32::from(c))),
            // Neither `.` nor `..` may come out.
            '.' if name.is_empty() => name.push_str("%2E"),
            c => name.push(c),
        }
    }
    dir.join(name)
}

/// The UTC day of a time, as the files are named: `2026-11-25`.
pub(super) fn day_of(ts: Timestamp) -> String {
    let start = Interval::D1.start_of(ts).to_string();
    start.split('T').next().unwrap_or(&start).to_owned()
}

/// Keys of the last rows, of which a duplicate is not written again.
#[derive(Default)]
struct Recent {
    keys: HashSet<TickKey>,
    order: VecDeque<TickKey>,
}

impl Recent {
    fn add(&mut self, key: TickKey) -> bool {
        if !self.keys.insert(key) {
            return false;
        }
        self.order.push_back(key);
        if self.order.len() > RECENT_ROWS
            && let Some(oldest) = self.order.pop_front()
        {
            self.keys.remove(&oldest);
        }
        true
    }

    fn forget(&mut self, keys: &[TickKey]) {
        for key in keys {
            self.keys.remove(key);
        }
        self.order.retain(|key| !keys.contains(key));
    }

    /// The keys at the end of a file that may not be there.
    fn load(&mut self, path: &Path) -> io::Result<()> {
        let mut file = match File::open(path) {
            Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(()),
            file => file?,
        };
        let start = file.metadata()?.len().saturating_sub(RECENT_BYTES);
        file.seek(SeekFrom::Start(start))?;
        let mut lines = BufReader::new(file).lines();
        // The header, or a line that begins before.
        lines.next();
        for line in lines {
            let line = line?;
            let mut cells = line.split(',').skip(1);
            if let (Some(Ok(ts)), Some(Ok(seq))) = (
                cells.next().map(str::parse::<i64>),
                cells.next().map(str::parse::<u64>),
            ) {
                self.add(TickKey {
                    ts: Timestamp::from_micros(ts),
                    seq,
                });
            }
        }
        Ok(())
    }
}

/// A file that is only ever appended to.
pub(super) struct Appender {
    file: File,
    len: u64,
    sync: bool,
}

impl Appender {
    /// Opens a file, without the line that a dead process did not finish; `header` begins a new one.
    pub(super) fn open(path: &Path, header: &str, sync: bool) -> io::Result<Self> {
        let mut file = File::options()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .open(path)?;
        let found = file.metadata()?.len();
        let len = end_of_last_line(&mut file, found)?;
        if len < found {
            tracing::warn!(path = %path.display(), bytes = found - len, "an unfinished line was cut off");
            file.set_len(len)?;
        }
        file.seek(SeekFrom::Start(len))?;
        let mut appender = Self { file, len, sync };
        if len == 0 {
            appender.write(header.as_bytes())?;
        }
        Ok(appender)
    }

    /// Appends, or leaves the file as it was.
    pub(super) fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        let written = self.file.write_all(bytes).and_then(|()| {
            if self.sync {
                self.file.sync_data()
            } else {
                Ok(())
            }
        });
        if let Err(error) = written {
            self.file.set_len(self.len)?;
            self.file.seek(SeekFrom::Start(self.len))?;
            return Err(error);
        }
        self.len += bytes.len() as u64;
        Ok(())
    }
}

/// Where the last whole line ends.
fn end_of_last_line(file: &mut File, len: u64) -> io::Result<u64> {
    let mut end = len;
    let mut block = vec![0; 64 << 10];
    while end > 0 {
        let start = end.saturating_sub(block.len() as u64);
        let part = &mut block[..(end - start) as usize];
        file.seek(SeekFrom::Start(start))?;
        file.read_exact(part)?;
        if let Some(at) = part.iter().rposition(|b| *b == b'\n') {
            return Ok(start + at as u64 + 1);
        }
        end = start;
    }
    Ok(0)
}

/// A file of ticks, and the keys at its end.
struct TickFile {
    day: String,
    out: Appender,
    recent: Recent,
}

impl TickFile {
    /// Appends those that are not there; returns which of them were new.
    fn append(&mut self, ticks: &[Tick]) -> io::Result<Vec<bool>> {
        let mut bytes = Vec::with_capacity(ticks.len() * 48);
        let mut keys = Vec::new();
        let mut new = Vec::with_capacity(ticks.len());
        for tick in ticks {
            let is_new = self.recent.add(tick.key());
            if is_new {
                keys.push(tick.key());
                write_tick(&mut bytes, tick)?;
            }
            new.push(is_new);
        }
        if !bytes.is_empty()
            && let Err(error) = self.out.write(&bytes)
        {
            self.recent.forget(&keys);
            return Err(error);
        }
        Ok(new)
    }
}

/// The files of one symbol.
pub(super) struct SymbolFiles {
    dir: PathBuf,
    sync: bool,
    /// The newest day that was ever written: earlier ones are finished.
    newest: Option<String>,
    /// The day being written, while it is open.
    open: Option<TickFile>,
}

impl SymbolFiles {
    /// Finds what there is; of several unfinished days all but the newest are finished.
    pub(super) fn open(dir: PathBuf, sync: bool) -> io::Result<Self> {
        fs::create_dir_all(&dir)?;
        let mut files = Self {
            dir,
            sync,
            newest: None,
            open: None,
        };
        let (mut parts, mut days) = (Vec::new(), Vec::new());
        for entry in fs::read_dir(&files.dir)? {
            let name = entry?.file_name().to_string_lossy().into_owned();
            if let Some(day) = name.strip_suffix(".csv.part") {
                parts.push(day.to_owned());
            } else if let Some(day) = name.strip_suffix(".csv").filter(|d| d.len() == 10) {
                days.push(day.to_owned());
            }
        }
        parts.sort();
        days.extend(parts.last().cloned());
        files.newest = days.into_iter().max();
        let newest = files.newest.clone().unwrap_or_default();
        for day in parts {
            let out = Appender::open(&files.part(&day), TICK_HEADER, sync)?;
            if day < newest {
                files.finish(&day, out)?;
            }
        }
        Ok(files)
    }

    fn part(&self, day: &str) -> PathBuf {
        self.dir.join(format!("{day}.csv.part"))
    }

    fn whole(&self, day: &str) -> PathBuf {
        self.dir.join(format!("{day}.csv"))
    }

    fn late(&self, day: &str) -> PathBuf {
        self.dir.join(format!("{day}.late.csv"))
    }

    /// A day is over: its file is on the disk before it has its last name.
    fn finish(&self, day: &str, out: Appender) -> io::Result<()> {
        out.file.sync_all()?;
        drop(out);
        fs::rename(self.part(day), self.whole(day))?;
        File::open(&self.dir)?.sync_all()
    }

    /// Appends ticks of this symbol; returns which of them were new.
    pub(super) fn append(&mut self, ticks: &[Tick]) -> io::Result<Vec<bool>> {
        let mut new = Vec::with_capacity(ticks.len());
        for run in ticks.chunk_by(|a, b| day_of(a.ts) == day_of(b.ts)) {
            let Some(first) = run.first() else { continue };
            let day = day_of(first.ts);
            new.extend(self.file_of(&day)?.append(run)?);
        }
        Ok(new)
    }

    fn file_of(&mut self, day: &str) -> io::Result<&mut TickFile> {
        if self.open.as_ref().is_none_or(|open| open.day != day) {
            self.open = None;
            let mut recent = Recent::default();
            let finished = self.whole(day).exists();
            let is_newest = self.newest.as_deref().is_none_or(|newest| newest <= day);
            let path = if finished || !is_newest {
                recent.load(&self.whole(day))?;
                self.late(day)
            } else {
                if let Some(over) = self.newest.clone().filter(|newest| newest.as_str() < day) {
                    let path = self.part(&over);
                    if path.exists() {
                        self.finish(&over, Appender::open(&path, TICK_HEADER, self.sync)?)?;
                    }
                }
                self.newest = Some(day.to_owned());
                self.part(day)
            };
            let out = Appender::open(&path, TICK_HEADER, self.sync)?;
            recent.load(&path)?;
            self.open = Some(TickFile {
                day: day.to_owned(),
                out,
                recent,
            });
        }
        self.open
            .as_mut()
            .ok_or_else(|| io::Error::other("no file is open"))
    }

    /// Appends bars of this symbol.
    pub(super) fn append_bars(&mut self, bars: &[Bar]) -> io::Result<()> {
        for run in bars.chunk_by(|a, b| a.interval == b.interval) {
            let Some(first) = run.first() else { continue };
            let path = self.dir.join(format!("bars-{}.csv", first.interval));
            let mut out = Appender::open(&path, BAR_HEADER, self.sync)?;
            let mut bytes = Vec::with_capacity(run.len() * 80);
            for bar in run {
                write_bar(&mut bytes, bar)?;
            }
            out.write(&bytes)?;
        }
        Ok(())
    }

    /// Removes finished days that ended at or before `before`; returns how many rows they had.
    pub(super) fn remove(&mut self, before: Timestamp) -> io::Result<u64> {
        let first_kept = day_of(before);
        let mut rows = 0;
        for entry in fs::read_dir(&self.dir)? {
            let path = entry?.path();
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            let day = name
                .strip_suffix(".late.csv")
                .or_else(|| name.strip_suffix(".csv"))
                .filter(|day| day.len() == 10);
            let Some(day) = day else { continue };
            if day >= first_kept.as_str() || Some(day) == self.newest.as_deref() {
                continue;
            }
            if self.open.as_ref().is_some_and(|open| open.day == day) {
                self.open = None;
            }
            rows += (BufReader::new(File::open(&path)?).lines().count() as u64).saturating_sub(1);
            fs::remove_file(&path)?;
        }
        Ok(rows)
    }

    /// Closes the file that is open; the next append opens it again.
    pub(super) fn rest(&mut self) {
        self.open = None;
    }
}
