//! Where a file's bytes come from, and what wraps them: a path, standard input or memory; gzip or zip.
//!
//! Model: a file is read more than once, so what can be read only once is kept first. Standard input
//! is spooled into a temporary file without a name as it comes. Gzip is unpacked anew at each reading
//! ([`Input::open`]); what needs to jump about in the file gets it unpacked in a temporary file
//! ([`Input::seekable`]). A zip archive is read when it holds one file of prices.
//!
//! What it does not do: other archives, archives in archives, passwords.

use std::{
    fs::File,
    io::{BufReader, Cursor, Read, Seek, SeekFrom, Write},
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
};

use flate2::read::MultiGzDecoder;
use zip::ZipArchive;

use crate::{Result, SourceError};

/// Where the bytes are.
#[derive(Debug)]
enum Place {
    Path(PathBuf),
    /// Standard input, spooled: an open file without a name.
    Spooled(Arc<Mutex<File>>),
    Memory(&'static [u8]),
}

/// How they are wrapped.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Wrapping {
    Plain,
    Gzip,
    /// The file of this number in a zip archive.
    Zip(usize),
}

/// A file's bytes, to be read as often as needed.
#[derive(Debug)]
pub struct Input {
    place: Place,
    wrapping: Wrapping,
    name: String,
    total_bytes: u64,
    read: Arc<AtomicU64>,
    notes: Vec<String>,
}

const BUFFER_BYTES: usize = 256 << 10;

impl Input {
    /// A file, or standard input for `-`.
    ///
    /// # Errors
    /// [`SourceError::File`] when it cannot be read, [`SourceError::Config`] when it is an archive of
    /// several files.
    pub fn open(path: &Path) -> Result<Self> {
        if path == Path::new("-") {
            return Self::spool(std::io::stdin().lock());
        }
        let failed = |e: std::io::Error| file_error(path, &e);
        let file = File::open(path).map_err(failed)?;
        let metadata = file.metadata().map_err(failed)?;
        let name = path
            .file_name()
            .map_or_else(|| "?".into(), |n| n.to_string_lossy().into_owned());
        if !metadata.is_file() && !metadata.is_dir() {
            // A pipe (`<(…)`) can be read but once.
            let mut spooled = Self::spool(file)?;
            spooled.name = name;
            return Ok(spooled);
        }
        Self::new(Place::Path(path.to_owned()), name, metadata.len())
    }

    /// Bytes in memory, under a name that stands for their path.
    ///
    /// # Errors
    /// As [`Self::open`].
    pub fn of_bytes(name: impl Into<String>, bytes: &'static [u8]) -> Result<Self> {
        Self::new(Place::Memory(bytes), name.into(), bytes.len() as u64)
    }

    /// What can be read only once.
    ///
    /// # Errors
    /// As [`Self::open`].
    pub fn spool(mut from: impl Read) -> Result<Self> {
        let failed = |e: std::io::Error| spool_error(&e);
        let mut file = tempfile::tempfile().map_err(failed)?;
        let total = std::io::copy(&mut from, &mut file).map_err(failed)?;
        Self::new(
            Place::Spooled(Arc::new(Mutex::new(file))),
            "standard input".into(),
            total,
        )
    }

    fn new(place: Place, name: String, total_bytes: u64) -> Result<Self> {
        let mut input = Self {
            place,
            wrapping: Wrapping::Plain,
            name,
            total_bytes,
            read: Arc::default(),
            notes: Vec::new(),
        };
        let mut start = [0; 4];
        let got = read_up_to(&mut *input.raw()?, &mut start).map_err(|e| input.failed(&e))?;
        let start = &start[..got];
        if start.starts_with(&[0x1f, 0x8b]) {
            input.wrapping = Wrapping::Gzip;
        } else if start.starts_with(b"PK\x03\x04") {
            let (number, member, others) = input.member()?;
            input.notes.push(match others {
                0 => format!("{member} in the archive is read"),
                _ => format!("{member} in the archive is read, of {} files", others + 1),
            });
            input.wrapping = Wrapping::Zip(number);
        }
        Ok(input)
    }

    /// The file's name, without its folder.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Its path, for errors.
    fn path(&self) -> PathBuf {
        match &self.place {
            Place::Path(path) => path.clone(),
            Place::Spooled(_) | Place::Memory(_) => PathBuf::from(&self.name),
        }
    }

    /// Whether it came from standard input or a pipe, so that its name says nothing.
    pub const fn is_spooled(&self) -> bool {
        matches!(self.place, Place::Spooled(_))
    }

    /// Its size, compressed as it is.
    pub const fn total_bytes(&self) -> u64 {
        self.total_bytes
    }

    /// Bytes read since it was last opened, compressed as it is.
    pub fn bytes_read(&self) -> u64 {
        self.read.load(Ordering::Relaxed)
    }

    /// What a person should know of the wrapping.
    pub fn notes(&self) -> &[String] {
        &self.notes
    }

    /// The first bytes, unpacked: at most `most`.
    ///
    /// # Errors
    /// [`SourceError::File`].
    pub fn head(&self, most: usize) -> Result<Vec<u8>> {
        let mut head = Vec::new();
        self.open_plain()?
            .take(most as u64)
            .read_to_end(&mut head)
            .map_err(|e| self.failed(&e))?;
        Ok(head)
    }

    /// The bytes from the first on, unpacked, buffered.
    ///
    /// # Errors
    /// [`SourceError::File`].
    pub fn open_plain(&self) -> Result<Box<dyn Read + Send>> {
        self.read.store(0, Ordering::Relaxed);
        Ok(match self.wrapping {
            Wrapping::Plain => Box::new(BufReader::with_capacity(BUFFER_BYTES, self.raw()?)),
            Wrapping::Gzip => {
                let raw = BufReader::with_capacity(BUFFER_BYTES, self.raw()?);
                Box::new(MultiGzDecoder::new(raw))
            }
            Wrapping::Zip(number) => Box::new(self.unpacked(number)?),
        })
    }

    /// The bytes, unpacked, to jump about in: the file itself where it is plain.
    ///
    /// # Errors
    /// [`SourceError::File`].
    pub fn seekable(&self) -> Result<File> {
        let failed = |e: std::io::Error| self.failed(&e);
        match (&self.wrapping, &self.place) {
            (Wrapping::Plain, Place::Path(path)) => File::open(path).map_err(failed),
            (Wrapping::Plain, Place::Spooled(file)) => {
                let mut file = locked(file).try_clone().map_err(failed)?;
                file.rewind().map_err(failed)?;
                Ok(file)
            }
            _ => {
                let mut file = tempfile::tempfile().map_err(|e| spool_error(&e))?;
                std::io::copy(&mut self.open_plain()?, &mut file).map_err(failed)?;
                file.rewind().map_err(failed)?;
                Ok(file)
            }
        }
    }

    /// A fault of this file.
    pub fn failed(&self, error: &std::io::Error) -> SourceError {
        file_error(&self.path(), error)
    }

    /// A fault of what the file holds.
    pub fn unreadable(&self, detail: impl std::fmt::Display) -> SourceError {
        SourceError::File {
            path: self.path().display().to_string(),
            detail: detail.to_string(),
            missing: false,
        }
    }

    fn raw(&self) -> Result<Box<dyn ReadSeek>> {
        let inner: Box<dyn ReadSeek> = match &self.place {
            Place::Path(path) => Box::new(File::open(path).map_err(|e| self.failed(&e))?),
            Place::Spooled(file) => Box::new(Shared {
                file: Arc::clone(file),
                at: 0,
            }),
            Place::Memory(bytes) => Box::new(Cursor::new(*bytes)),
        };
        Ok(Box::new(Counting {
            inner,
            count: Arc::clone(&self.read),
        }))
    }

    fn archive(&self) -> Result<ZipArchive<BufReader<Box<dyn ReadSeek>>>> {
        let raw = BufReader::with_capacity(BUFFER_BYTES, self.raw()?);
        ZipArchive::new(raw).map_err(|e| self.unreadable(e))
    }

    /// The file of prices in the archive: its number and name, and how many others there are.
    fn member(&self) -> Result<(usize, String, usize)> {
        let mut archive = self.archive()?;
        let mut names = Vec::new();
        for number in 0..archive.len() {
            let member = archive
                .by_index_raw(number)
                .map_err(|e| self.unreadable(e))?;
            // What macOS puts beside the files is none of the user's.
            let name = member.name().map_err(|e| self.unreadable(e))?.into_owned();
            if !member.is_dir() && !name.starts_with("__MACOSX/") {
                names.push((number, name));
            }
        }
        let ends = |name: &str, ends: &[&str]| {
            let name = name.to_ascii_lowercase();
            ends.iter().any(|end| name.ends_with(end))
        };
        const TABLES: [&str; 7] = [
            ".csv", ".tsv", ".parquet", ".feather", ".arrow", ".json", ".ipc",
        ];
        let tables: Vec<&(usize, String)> =
            names.iter().filter(|(_, n)| ends(n, &TABLES)).collect();
        let one = match (tables.as_slice(), names.as_slice()) {
            ([one], _) => Some((*one).clone()),
            ([], [one]) => Some(one.clone()),
            _ => None,
        };
        match one {
            Some((number, name)) => Ok((number, name, names.len() - 1)),
            None if names.is_empty() => Err(self.unreadable("the archive holds no file")),
            None => {
                let listed: Vec<&str> = names.iter().take(5).map(|(_, n)| n.as_str()).collect();
                Err(SourceError::Config {
                    key: self.name.clone(),
                    expected: format!(
                        "expected an archive of one file, got {} files ({}{}): unpack it and name the \
                         files",
                        names.len(),
                        listed.join(", "),
                        if names.len() > 5 { ", …" } else { "" }
                    ),
                })
            }
        }
    }

    /// Unpacks a member on a thread of its own: the archive's reader lends its members only.
    fn unpacked(&self, number: usize) -> Result<Piped> {
        let mut archive = self.archive()?;
        let (sender, receiver) = std::sync::mpsc::sync_channel(4);
        std::thread::Builder::new()
            .name("tickcast-unzip".into())
            .spawn(move || {
                let copied = archive
                    .by_index(number)
                    .map_err(std::io::Error::from)
                    .and_then(|mut member| {
                        let mut to = PipeWriter(&sender);
                        std::io::copy(&mut member, &mut to).map(|_| ())
                    });
                if let Err(e) = copied {
                    // Nobody hears it when the reading has ended.
                    let _ = sender.send(Err(e));
                }
            })
            .map_err(|e| self.failed(&e))?;
        Ok(Piped {
            receiver,
            chunk: Cursor::default(),
        })
    }
}

trait ReadSeek: Read + Seek + Send {}
impl<T: Read + Seek + Send> ReadSeek for T {}

/// A file of which several places are read at once: each reader keeps its own.
struct Shared {
    file: Arc<Mutex<File>>,
    at: u64,
}

fn locked(file: &Mutex<File>) -> MutexGuard<'_, File> {
    file.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Read for Shared {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let mut file = locked(&self.file);
        file.seek(SeekFrom::Start(self.at))?;
        let n = file.read(buffer)?;
        self.at += n as u64;
        Ok(n)
    }
}

impl Seek for Shared {
    fn seek(&mut self, to: SeekFrom) -> std::io::Result<u64> {
        self.at = match to {
            SeekFrom::Current(by) => self
                .at
                .checked_add_signed(by)
                .ok_or(std::io::ErrorKind::InvalidInput)?,
            other => locked(&self.file).seek(other)?,
        };
        Ok(self.at)
    }
}

/// Counts what is read through it.
struct Counting<R> {
    inner: R,
    count: Arc<AtomicU64>,
}

impl<R: Read> Read for Counting<R> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let n = self.inner.read(buffer)?;
        self.count.fetch_add(n as u64, Ordering::Relaxed);
        Ok(n)
    }
}

impl<R: Seek> Seek for Counting<R> {
    fn seek(&mut self, to: SeekFrom) -> std::io::Result<u64> {
        self.inner.seek(to)
    }
}

/// Bytes from another thread.
struct Piped {
    receiver: std::sync::mpsc::Receiver<std::io::Result<Vec<u8>>>,
    chunk: Cursor<Vec<u8>>,
}

impl Read for Piped {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        loop {
            let n = self.chunk.read(buffer)?;
            if n > 0 || buffer.is_empty() {
                return Ok(n);
            }
            match self.receiver.recv() {
                Ok(chunk) => self.chunk = Cursor::new(chunk?),
                Err(_) => return Ok(0),
            }
        }
    }
}

struct PipeWriter<'a>(&'a std::sync::mpsc::SyncSender<std::io::Result<Vec<u8>>>);

impl Write for PipeWriter<'_> {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0
            .send(Ok(bytes.to_vec()))
            .map_err(|_| std::io::ErrorKind::BrokenPipe)?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

fn read_up_to(from: &mut dyn ReadSeek, buffer: &mut [u8]) -> std::io::Result<usize> {
    let mut got = 0;
    while got < buffer.len() {
        match from.read(&mut buffer[got..])? {
            0 => break,
            n => got += n,
        }
    }
    Ok(got)
}

fn spool_error(error: &std::io::Error) -> SourceError {
    file_error(&std::env::temp_dir(), error)
}

pub(crate) fn file_error(path: &Path, error: &std::io::Error) -> SourceError {
    SourceError::File {
        path: path.display().to_string(),
        detail: error.to_string(),
        missing: error.kind() == std::io::ErrorKind::NotFound,
    }
}
