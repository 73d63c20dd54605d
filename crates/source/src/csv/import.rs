//! Reads a file in batches.

use std::{
    borrow::Cow,
    fs::File,
    io::{BufRead, BufReader, Read},
    ops::ControlFlow,
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use csv::ByteRecord;
use flate2::read::MultiGzDecoder;
use market::{Interval, Symbol, TickRules, Timestamp};

use super::columns::Columns;
use crate::{
    Decoded, Result, SourceError,
    decode::{Field, RowBuilder, Scalar, letter, reject},
};

/// How to read a file.
#[derive(Clone, Debug)]
pub struct CsvOptions {
    /// The symbol of a file that has no symbol column; absent: the file's name up to its first dot.
    pub symbol: Option<Symbol>,
    /// The interval of bars; absent: `1d` for those that start at midnight, else `1m`.
    pub interval: Option<Interval>,
    /// The column that closes are taken from: `Close` (as if absent) or `Adj Close`; with the latter
    /// open, high and low are scaled by adjusted close over close.
    pub column: Option<String>,
    /// The rules for rows.
    pub rules: TickRules,
    /// The wall clock's time, for the rules.
    pub now: Timestamp,
    /// Rows of a batch.
    pub batch_rows: usize,
}

impl CsvOptions {
    /// The defaults: everything from the file, batches of 10,000 rows.
    pub fn new(now: Timestamp) -> Self {
        Self {
            symbol: None,
            interval: None,
            column: None,
            rules: TickRules::default(),
            now,
            batch_rows: 10_000,
        }
    }
}

/// How far an import is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Progress {
    /// Bytes of the file read, compressed as it is.
    pub bytes: u64,
    /// The file's size.
    pub total_bytes: u64,
    /// Rows read, good and bad.
    pub rows: u64,
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

/// A file being read, batch by batch. Blocking: for a thread that may block.
pub struct CsvImport {
    path: PathBuf,
    name: String,
    reader: csv::Reader<Box<dyn Read + Send>>,
    columns: Columns,
    symbol: Option<Symbol>,
    adjusted: bool,
    options: CsvOptions,
    bytes: Arc<AtomicU64>,
    total_bytes: u64,
    rows: u64,
    on_progress: Option<Box<dyn FnMut(Progress) + Send>>,
}

impl CsvImport {
    /// Opens a file and reads its header line.
    ///
    /// # Errors
    /// [`SourceError::File`] when it cannot be read; [`SourceError::Config`] when its columns do not
    /// do: no time, no price, no symbol anywhere, or not the column asked for.
    pub fn open(path: impl Into<PathBuf>, options: CsvOptions) -> Result<Self> {
        let path = path.into();
        let failed = |e: std::io::Error| file_error(&path, &e);
        let file = File::open(&path).map_err(failed)?;
        let total_bytes = file.metadata().map_err(failed)?.len();
        Self::read(path, Box::new(file), total_bytes, options)
    }

    /// As [`Self::open`], for a file that is in memory: one that is bundled with a program. `name`
    /// stands for its path.
    ///
    /// # Errors
    /// As [`Self::open`].
    pub fn from_bytes(
        name: impl Into<PathBuf>,
        bytes: &'static [u8],
        options: CsvOptions,
    ) -> Result<Self> {
        Self::read(name.into(), Box::new(bytes), bytes.len() as u64, options)
    }

    fn read(
        path: PathBuf,
        file: Box<dyn Read + Send>,
        total_bytes: u64,
        options: CsvOptions,
    ) -> Result<Self> {
        let failed = |e: std::io::Error| file_error(&path, &e);
        let bytes = Arc::new(AtomicU64::new(0));
        let counting = Counting {
            inner: file,
            count: bytes.clone(),
        };
        let mut raw = BufReader::with_capacity(128 << 10, counting);
        let gzip = raw.fill_buf().map_err(failed)?.starts_with(&[0x1f, 0x8b]);
        let plain: Box<dyn Read + Send> = if gzip {
            Box::new(MultiGzDecoder::new(raw))
        } else {
            Box::new(raw)
        };
        let mut plain = BufReader::with_capacity(128 << 10, plain);
        let separator = separator_of(plain.fill_buf().map_err(failed)?);
        let mut reader = csv::ReaderBuilder::new()
            .delimiter(separator)
            .flexible(true)
            .from_reader(Box::new(plain) as Box<dyn Read + Send>);
        let header = reader
            .byte_headers()
            .map_err(|e| csv_error(&path, &e))?
            .clone();
        let columns = Columns::of_header(&header);
        let name = path
            .file_name()
            .map_or(Cow::Borrowed("?"), |n| n.to_string_lossy())
            .into_owned();
        let adjusted = wants_adjusted(&columns, options.column.as_deref())?;
        let symbol = symbol_of(&columns, &options, &name)?;
        check(&columns, &header)?;
        Ok(Self {
            path,
            name,
            reader,
            columns,
            symbol,
            adjusted,
            options,
            bytes,
            total_bytes,
            rows: 0,
            on_progress: None,
        })
    }

    /// Calls back after each batch.
    #[must_use]
    pub fn with_progress(mut self, on_progress: impl FnMut(Progress) + Send + 'static) -> Self {
        self.on_progress = Some(Box::new(on_progress));
        self
    }

    /// The file's name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// How far it is.
    pub fn progress(&self) -> Progress {
        Progress {
            bytes: self.bytes.load(Ordering::Relaxed),
            total_bytes: self.total_bytes,
            rows: self.rows,
        }
    }

    /// Reads the whole file, and hands each batch on.
    ///
    /// # Errors
    /// [`SourceError::File`], or what `take` says.
    pub fn for_each(self, mut take: impl FnMut(Decoded) -> Result<()>) -> Result<Progress> {
        self.read_while(|batch| take(batch).map(ControlFlow::Continue))
    }

    /// As [`Self::for_each`], until `take` breaks off.
    pub(super) fn read_while(
        mut self,
        mut take: impl FnMut(Decoded) -> Result<ControlFlow<()>>,
    ) -> Result<Progress> {
        // One for the file: equal trades are counted over all of it.
        let rules = self.options.rules.clone();
        let mut builder = RowBuilder::new(&rules, self.options.now)
            .with_interval(self.options.interval)
            .with_adjusted(self.adjusted);
        let mut record = ByteRecord::new();
        loop {
            let mut batch = Decoded::default();
            let mut rows = 0;
            let mut more = true;
            while rows < self.options.batch_rows.max(1) {
                more = self
                    .reader
                    .read_byte_record(&mut record)
                    .map_err(|e| csv_error(&self.path, &e))?;
                if !more {
                    break;
                }
                rows += 1;
                self.row(&mut builder, &record, &mut batch);
            }
            self.rows += rows as u64;
            if rows > 0 && take(batch)?.is_break() {
                more = false;
            }
            let progress = self.progress();
            if let Some(on_progress) = &mut self.on_progress {
                on_progress(progress);
            }
            if !more {
                return Ok(progress);
            }
        }
    }

    fn row(&self, builder: &mut RowBuilder<'_>, record: &ByteRecord, batch: &mut Decoded) {
        let read = self.columns.row(record).map(|mut row| {
            if let Some(symbol) = &self.symbol {
                row.symbol = Scalar::Text(Cow::Borrowed(symbol.as_str()));
            }
            row
        });
        let (fault, payload) = match read {
            Ok(row) => match builder.build(&row) {
                Ok(built) => return batch.push(built),
                Err(fault) => (
                    fault,
                    letter::of_row(row, self.adjusted, self.options.interval).into_bytes(),
                ),
            },
            Err(fault) => (fault, record.iter().collect::<Vec<_>>().join(&b',')),
        };
        let line = record.position().map_or(0, csv::Position::line);
        let origin = format!("csv:{}:{line}", self.name);
        batch.rejects.push(reject(fault, &origin, &payload));
    }
}

pub(crate) fn file_error(path: &Path, error: &std::io::Error) -> SourceError {
    SourceError::File {
        path: path.display().to_string(),
        detail: error.to_string(),
        missing: error.kind() == std::io::ErrorKind::NotFound,
    }
}

fn csv_error(path: &Path, error: &csv::Error) -> SourceError {
    SourceError::File {
        path: path.display().to_string(),
        detail: error.to_string(),
        missing: false,
    }
}

/// The separator that the first line has most of.
fn separator_of(start: &[u8]) -> u8 {
    let line = start.split(|b| *b == b'\n').next().unwrap_or_default();
    let count = |separator: u8| line.iter().filter(|b| **b == separator).count();
    let mut best = b',';
    for separator in [b';', b'\t'] {
        if count(separator) > count(best) {
            best = separator;
        }
    }
    best
}

fn config(key: &str, expected: String) -> SourceError {
    SourceError::Config {
        key: key.into(),
        expected,
    }
}

fn wants_adjusted(columns: &Columns, column: Option<&str>) -> Result<bool> {
    match column.map(|c| (c, Field::of_key(c))) {
        None | Some((_, Field::Close)) => Ok(false),
        Some((_, Field::Adjusted)) if columns.has(Field::Adjusted) => Ok(true),
        Some((_, Field::Adjusted)) => {
            Err(config("column", "the file has no column Adj Close".into()))
        }
        Some((other, _)) => Err(config(
            "column",
            format!("expected Close or \"Adj Close\", got {other:?}"),
        )),
    }
}

fn symbol_of(columns: &Columns, options: &CsvOptions, name: &str) -> Result<Option<Symbol>> {
    if columns.has(Field::Symbol) {
        return Ok(None);
    }
    if let Some(symbol) = &options.symbol {
        return Ok(Some(symbol.clone()));
    }
    let stem = name.split('.').next().unwrap_or(name);
    stem.parse().map(Some).map_err(|_| {
        config(
            "symbol",
            format!("the file has no symbol column and its name {name:?} is no symbol: name one"),
        )
    })
}

fn check(columns: &Columns, header: &ByteRecord) -> Result<()> {
    let bars = [Field::Open, Field::High, Field::Low, Field::Close]
        .iter()
        .all(|f| columns.has(*f));
    let priced = bars || columns.has(Field::Price) || columns.has(Field::Close);
    let timed = columns.has(Field::Time(crate::decode::TimeUnit::Auto));
    if priced && timed {
        return Ok(());
    }
    let names: Vec<Cow<'_, str>> = header.iter().map(String::from_utf8_lossy).collect();
    let missing = if timed {
        "a price (Close, or Price)"
    } else {
        "a time (Date, Time or Timestamp)"
    };
    Err(config(
        "columns",
        format!(
            "expected a header line with {missing}, got {}",
            names.join(",")
        ),
    ))
}
