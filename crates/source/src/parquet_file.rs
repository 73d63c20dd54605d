//! Prices out of a Parquet file: what `tickcast export` writes, and what others write with columns of
//! the usual names.
//!
//! Columns are found by their names as those of CSV files are (see [`crate::file`]); a file with open,
//! high and low holds bars, any other trades. Times may be timestamps, dates, numbers or texts.
//!
//! What it does not do: nested columns, compressions other than Snappy and Zstandard, adjusted closes.

use std::{borrow::Cow, fs::File, io::Read, path::PathBuf};

use ::parquet::{
    errors::ParquetError,
    file::reader::{FileReader, SerializedFileReader},
    record::Field as Value,
};
use market::Symbol;

use crate::{
    Decoded, Result, SourceError,
    decode::{Field, RawRow, RowBuilder, Scalar, TimeUnit, letter, reject},
    file::{FileOptions, Progress, input::file_error},
};

/// The first bytes of every Parquet file.
const MAGIC: &[u8] = b"PAR1";

/// Whether a file is one, by its first bytes.
///
/// # Errors
/// [`SourceError::File`] when it cannot be read.
pub fn is_parquet(path: &std::path::Path) -> Result<bool> {
    let mut start = Vec::new();
    File::open(path)
        .and_then(|file| file.take(MAGIC.len() as u64).read_to_end(&mut start))
        .map_err(|e| file_error(path, &e))?;
    Ok(start == MAGIC)
}

/// A file being read, batch by batch. Blocking: for a thread that may block.
pub struct ParquetImport {
    path: PathBuf,
    name: String,
    reader: SerializedFileReader<File>,
    fields: Vec<Field>,
    symbol: Option<Symbol>,
    options: FileOptions,
    total_bytes: u64,
    total_rows: u64,
    rows: u64,
    on_progress: Option<Box<dyn FnMut(Progress) + Send>>,
}

impl ParquetImport {
    /// Opens a file and reads what columns it has. Of the options `column` is for CSV files.
    ///
    /// # Errors
    /// [`SourceError::File`] when it cannot be read; [`SourceError::Config`] when its columns do not
    /// do: no time, no price, no symbol anywhere.
    pub fn open(path: impl Into<PathBuf>, options: FileOptions) -> Result<Self> {
        let path = path.into();
        let file = File::open(&path).map_err(|e| file_error(&path, &e))?;
        let total_bytes = file.metadata().map_err(|e| file_error(&path, &e))?.len();
        let reader = SerializedFileReader::new(file).map_err(|e| failed(&path, &e))?;
        let metadata = reader.metadata().file_metadata();
        let names: Vec<String> = metadata
            .schema()
            .get_fields()
            .iter()
            .map(|field| field.name().to_owned())
            .collect();
        let total_rows = metadata.num_rows().unsigned_abs();
        let fields: Vec<Field> = names.iter().map(|name| Field::of_key(name)).collect();
        let name = path
            .file_name()
            .map_or(Cow::Borrowed("?"), |n| n.to_string_lossy())
            .into_owned();
        check(&fields, &names, &options)?;
        let symbol = match (fields.contains(&Field::Symbol), &options.symbol) {
            (true, _) => None,
            (false, Some(symbol)) => Some(symbol.clone()),
            (false, None) => {
                let stem = name.split('.').next().unwrap_or(&name);
                Some(stem.parse().map_err(|_| config(
                    "symbol",
                    format!("the file has no symbol column and its name {name:?} is no symbol: name one"),
                ))?)
            }
        };
        Ok(Self {
            path,
            name,
            reader,
            fields,
            symbol,
            options,
            total_bytes,
            total_rows,
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

    /// How far it is; the bytes are reckoned from the rows.
    pub fn progress(&self) -> Progress {
        let share = self.rows as f64 / self.total_rows.max(1) as f64;
        Progress {
            bytes: (self.total_bytes as f64 * share) as u64,
            total_bytes: self.total_bytes,
            rows: self.rows,
        }
    }

    /// Reads the whole file, and hands each batch on.
    ///
    /// # Errors
    /// [`SourceError::File`], or what `take` says.
    pub fn for_each(mut self, mut take: impl FnMut(Decoded) -> Result<()>) -> Result<Progress> {
        let rules = self.options.rules.clone();
        // One for the file: equal trades are counted over all of it.
        let mut builder =
            RowBuilder::new(&rules, self.options.now).with_interval(self.options.interval);
        let mut batch = Decoded::default();
        let most = self.options.batch_rows.max(1);
        for group in 0..self.reader.num_row_groups() {
            let failed = |e: ParquetError| failed(&self.path, &e);
            let group = self.reader.get_row_group(group).map_err(failed)?;
            for record in group.get_row_iter(None).map_err(failed)? {
                let record = record.map_err(failed)?;
                self.rows += 1;
                let mut row = RawRow::default();
                for (field, (_, value)) in self.fields.iter().zip(record.get_column_iter()) {
                    put(&mut row, *field, value);
                }
                if let Some(symbol) = &self.symbol {
                    row.symbol = Scalar::Text(Cow::Borrowed(symbol.as_str()));
                }
                match builder.build(&row) {
                    Ok(built) => batch.push(built),
                    Err(fault) => {
                        let origin = format!("parquet:{}:{}", self.name, self.rows);
                        let json = letter::of_row(row, false, self.options.interval);
                        batch.rejects.push(reject(fault, &origin, json.as_bytes()));
                    }
                }
                if batch.rows() >= most {
                    take(std::mem::take(&mut batch))?;
                    let progress = self.progress();
                    if let Some(on_progress) = &mut self.on_progress {
                        on_progress(progress);
                    }
                }
            }
        }
        if batch.rows() > 0 {
            take(batch)?;
        }
        let progress = self.progress();
        if let Some(on_progress) = &mut self.on_progress {
            on_progress(progress);
        }
        Ok(progress)
    }
}

/// Puts a value where its column says. Times with a unit become microseconds.
fn put<'a>(row: &mut RawRow<'a>, field: Field, value: &'a Value) {
    let micros = match value {
        Value::TimestampMicros(us) => Some(*us),
        Value::TimestampMillis(ms) => Some(ms.saturating_mul(1_000)),
        Value::Date(days) => Some(i64::from(*days) * 86_400_000_000),
        _ => None,
    };
    match (field, micros) {
        (Field::Unknown, _) => {}
        (Field::Time(_), Some(us)) => row.set(Field::Time(TimeUnit::Micros), Scalar::Int(us)),
        _ => row.set(field, scalar(value)),
    }
}

fn scalar(value: &Value) -> Scalar<'_> {
    match value {
        Value::Null => Scalar::Null,
        Value::Byte(n) => Scalar::Int((*n).into()),
        Value::Short(n) => Scalar::Int((*n).into()),
        Value::Int(n) => Scalar::Int((*n).into()),
        Value::Long(n) => Scalar::Int(*n),
        Value::UByte(n) => Scalar::Int((*n).into()),
        Value::UShort(n) => Scalar::Int((*n).into()),
        Value::UInt(n) => Scalar::Int((*n).into()),
        Value::ULong(n) => i64::try_from(*n).map_or(Scalar::UInt(*n), Scalar::Int),
        Value::Float(x) => Scalar::Float((*x).into()),
        Value::Double(x) => Scalar::Float(*x),
        Value::Str(text) => Scalar::Text(Cow::Borrowed(text)),
        Value::Bytes(bytes) => bytes.as_utf8().map_or(Scalar::Other("bytes"), |text| {
            Scalar::Text(Cow::Borrowed(text))
        }),
        Value::Bool(_) => Scalar::Other("a boolean"),
        _ => Scalar::Other("a value of another kind"),
    }
}

fn check(fields: &[Field], names: &[String], options: &FileOptions) -> Result<()> {
    if options.close_column.is_some() {
        return Err(config(
            "column",
            "the column of the close can be chosen for CSV files only".into(),
        ));
    }
    let has = |field: Field| fields.contains(&field);
    let bars = [Field::Open, Field::High, Field::Low, Field::Close];
    let priced = bars.into_iter().all(has) || has(Field::Price) || has(Field::Close);
    let timed = fields.iter().any(|f| matches!(f, Field::Time(_)));
    if priced && timed {
        return Ok(());
    }
    let missing = if timed {
        "a price (close, or price)"
    } else {
        "a time (ts, time or timestamp)"
    };
    Err(config(
        "columns",
        format!("expected a column with {missing}, got {}", names.join(", ")),
    ))
}

fn config(key: &str, expected: String) -> SourceError {
    SourceError::Config {
        key: key.into(),
        expected,
    }
}

fn failed(path: &std::path::Path, error: &ParquetError) -> SourceError {
    SourceError::File {
        path: path.display().to_string(),
        detail: error.to_string(),
        missing: false,
    }
}
