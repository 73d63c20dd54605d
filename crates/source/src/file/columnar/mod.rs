//! Tables of columns: Parquet, and Arrow's own format as a file (Feather version 2) or as a stream.
//!
//! Model: a [`ColumnarTable`] knows its columns and what their types say, a time's unit and zone among
//! it; a scan decodes the wanted columns alone, batch by batch. Types come from the schema: a number is
//! never taken for a time by its size here. Where the type keeps UTC alone, the zone that pandas' own
//! metadata names is taken.
//!
//! Parquet is read with every compression that its writers use (Snappy, Zstandard, gzip, LZ4 of both
//! kinds, Brotli), Arrow with LZ4 and Zstandard. Memory: of Parquet a page of each wanted column; of
//! Arrow one record batch, whose size the writer chose.
//!
//! What it does not do: nested columns, encrypted Parquet, data sets of several files.

mod decode;
mod pandas;
mod zone;

use std::{
    collections::HashMap,
    fs::File,
    io::{BufReader, Seek as _},
    ops::ControlFlow,
    panic::{AssertUnwindSafe, catch_unwind},
};

use arrow_array::RecordBatch;
use arrow_ipc::reader::{FileReader, StreamReader};
use arrow_schema::{ArrowError, DataType, FieldRef, Schema};
use parquet::arrow::{
    ProjectionMask,
    arrow_reader::{ArrowReaderMetadata, ArrowReaderOptions, ParquetRecordBatchReaderBuilder},
};

use super::{
    input::Input,
    table::{Batch, ColumnInfo, ColumnKind, Table, TakeBatch, two_levels},
};
use crate::Result;

/// What a file is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// Apache Parquet.
    Parquet,
    /// An Arrow file: Feather version 2.
    ArrowFile,
    /// An Arrow stream.
    ArrowStream,
}

impl Format {
    /// By the first bytes of a file, 12 at least where it has as many; `None`: none of these.
    pub fn of_head(head: &[u8]) -> Option<Self> {
        if head.starts_with(b"PAR1") {
            Some(Self::Parquet)
        } else if head.starts_with(b"ARROW1\0\0") {
            Some(Self::ArrowFile)
        } else if is_stream(head) {
            Some(Self::ArrowStream)
        } else {
            None
        }
    }
}

/// A stream begins with a continuation mark, the length of a message, and the offset of its root.
fn is_stream(head: &[u8]) -> bool {
    let word = |at: usize| {
        let bytes = head.get(at..at + 4)?.try_into().ok()?;
        Some(u32::from_le_bytes(bytes))
    };
    word(0) == Some(u32::MAX)
        && word(4).is_some_and(|len| len > 0 && len % 8 == 0 && len < 1 << 24)
        && word(8).is_some_and(|root| root > 0 && root < 1 << 10)
}

/// A file of columns, open.
pub struct ColumnarTable {
    input: Input,
    file: File,
    format: Format,
    parquet: Option<ArrowReaderMetadata>,
    columns: Vec<ColumnInfo>,
    notes: Vec<String>,
}

impl ColumnarTable {
    /// Opens a file whose format is known.
    ///
    /// # Errors
    /// [`crate::SourceError::File`] when it cannot be read or is not what it says it is.
    pub fn open(input: Input, format: Format) -> Result<Self> {
        let mut file = input.seekable()?;
        let opened = guarded(|| match format {
            Format::Parquet => {
                let read = ArrowReaderMetadata::load(&file, ArrowReaderOptions::new())?;
                let schema = Schema::clone(read.schema());
                Ok((schema, Some(read)))
            }
            Format::ArrowFile => {
                let read = FileReader::try_new(BufReader::new(&file), None)?;
                Ok((Schema::clone(&read.schema()), None))
            }
            Format::ArrowStream => {
                let read = StreamReader::try_new(BufReader::new(&file), None)?;
                Ok((Schema::clone(&read.schema()), None))
            }
        });
        let (schema, parquet) = opened.map_err(|e| input.unreadable(e))?;
        file.rewind().map_err(|e| input.failed(&e))?;
        let zones = pandas_metadata(&schema, parquet.as_ref())
            .map(|json| pandas::zones(&json))
            .unwrap_or_default();
        let mut notes = Vec::new();
        let columns = columns(&schema, &zones, &mut notes);
        Ok(Self {
            input,
            file,
            format,
            parquet,
            columns,
            notes,
        })
    }

    /// The batches of the wanted columns from the first row on.
    fn batches(&self, wanted: &[usize], batch_rows: usize) -> std::result::Result<Batches, Fault> {
        let mut file = self.file.try_clone()?;
        file.rewind()?;
        Ok(match (self.format, &self.parquet) {
            (Format::Parquet, Some(metadata)) => {
                let builder =
                    ParquetRecordBatchReaderBuilder::new_with_metadata(file, metadata.clone());
                let mask = ProjectionMask::roots(builder.parquet_schema(), wanted.iter().copied());
                let builder = builder.with_projection(mask).with_batch_size(batch_rows);
                Box::new(builder.build()?)
            }
            (Format::ArrowStream, _) => Box::new(StreamReader::try_new(
                BufReader::with_capacity(BUFFER_BYTES, file),
                Some(wanted.to_vec()),
            )?),
            _ => Box::new(FileReader::try_new(
                BufReader::with_capacity(BUFFER_BYTES, file),
                Some(wanted.to_vec()),
            )?),
        })
    }

    /// Bytes of the file read when `rows` rows are.
    fn bytes_read(&self, rows: u64) -> u64 {
        let total = self.input.total_bytes();
        match self.rows() {
            // Parquet is read column by column: its bytes are reckoned from its rows.
            Some(all) => (total as f64 * (rows as f64 / all.max(1) as f64)) as u64,
            None => (&self.file).stream_position().unwrap_or(0).min(total),
        }
    }
}

const BUFFER_BYTES: usize = 256 << 10;

type Batches = Box<dyn Iterator<Item = std::result::Result<RecordBatch, ArrowError>>>;
/// What a decoder says, before it is known of which file.
type Fault = Box<dyn std::error::Error + Send + Sync>;

impl Table for ColumnarTable {
    fn kind(&self) -> &'static str {
        match self.format {
            Format::Parquet => "parquet",
            Format::ArrowFile | Format::ArrowStream => "arrow",
        }
    }

    fn columns(&self) -> &[ColumnInfo] {
        &self.columns
    }

    fn notes(&self) -> &[String] {
        &self.notes
    }

    fn rows(&self) -> Option<u64> {
        let metadata = self.parquet.as_ref()?.metadata();
        Some(metadata.file_metadata().num_rows().unsigned_abs())
    }

    fn scan(&self, wanted: &[usize], batch_rows: usize, take: &mut TakeBatch<'_>) -> Result<()> {
        let batch_rows = batch_rows.max(1);
        // Columns are decoded in the order of the file.
        let mut order: Vec<usize> = wanted.to_vec();
        order.sort_unstable();
        order.dedup();
        let places: Vec<usize> = wanted
            .iter()
            .map(|at| order.partition_point(|o| o < at))
            .collect();
        let failed = |e: Fault| self.input.unreadable(plain(&*e));
        let mut batches = guarded(|| self.batches(&order, batch_rows)).map_err(failed)?;
        let mut first_row = 0;
        while let Some(read) = guarded(|| Ok(batches.next().transpose()?)).map_err(failed)? {
            // A record batch of Arrow is as large as its writer liked.
            let mut from = 0;
            while from < read.num_rows() {
                let rows = batch_rows.min(read.num_rows() - from);
                let part = read.slice(from, rows);
                from += rows;
                let column = |place: &usize| {
                    let name = &self.columns[order[*place]].name;
                    decode::column(part.column(*place)).map_err(|e| format!("{name}: {e}").into())
                };
                let columns = guarded(|| places.iter().map(column).collect()).map_err(failed)?;
                let batch = Batch {
                    first_row,
                    rows,
                    columns,
                    bytes_read: self.bytes_read(first_row + rows as u64),
                    ..Batch::default()
                };
                first_row += rows as u64;
                if take(&batch)? == ControlFlow::Break(()) {
                    return Ok(());
                }
            }
        }
        Ok(())
    }
}

/// What pandas wrote beside the columns. The Arrow schema that is made of a Parquet file holds it only
/// where the file has an Arrow schema of its own.
fn pandas_metadata(schema: &Schema, parquet: Option<&ArrowReaderMetadata>) -> Option<String> {
    if let Some(json) = schema.metadata().get(pandas::KEY) {
        return Some(json.clone());
    }
    let file = parquet?.metadata().file_metadata();
    let mut pairs = file.key_value_metadata()?.iter();
    pairs.find(|pair| pair.key == pandas::KEY)?.value.clone()
}

fn columns(
    schema: &Schema,
    zones: &HashMap<String, String>,
    notes: &mut Vec<String>,
) -> Vec<ColumnInfo> {
    let fields = schema.fields();
    let tuples: Vec<Option<(String, String)>> = fields
        .iter()
        .map(|field| ColumnInfo::tuple(field.name()))
        .collect();
    let levels = if tuples.iter().any(Option::is_some) {
        let of = |(field, tuple): (&FieldRef, Option<(String, String)>)| {
            tuple.unwrap_or_else(|| (field.name().clone(), String::new()))
        };
        let names: Vec<_> = fields.iter().zip(tuples).map(of).collect();
        two_levels(&names)
    } else {
        None
    };
    let plain = || fields.iter().map(|f| (f.name().clone(), None)).collect();
    let names: Vec<(String, Option<String>)> = levels.unwrap_or_else(plain);
    fields
        .iter()
        .zip(names)
        .map(|(field, (name, symbol))| ColumnInfo {
            kind: kind(field, field.data_type(), zones, notes),
            name,
            symbol,
        })
        .collect()
}

fn kind(
    field: &FieldRef,
    data_type: &DataType,
    zones: &HashMap<String, String>,
    notes: &mut Vec<String>,
) -> ColumnKind {
    match data_type {
        DataType::Timestamp(_, None) => ColumnKind::Civil,
        DataType::Timestamp(_, Some(written)) => {
            let pandas = zones.get(field.name()).filter(|_| zone::is_utc(written));
            let name = pandas.map_or(&**written, String::as_str);
            let zone = zone::named(name);
            if zone.is_none() {
                notes.push(format!(
                    "the time zone {name:?} of the column {:?} is not known: its dates are those of UTC",
                    field.name()
                ));
            }
            ColumnKind::Instant { zone }
        }
        DataType::Date32 | DataType::Date64 => ColumnKind::Date,
        DataType::Time32(_)
        | DataType::Time64(_)
        | DataType::Utf8
        | DataType::LargeUtf8
        | DataType::Utf8View
        | DataType::Binary
        | DataType::LargeBinary
        | DataType::BinaryView => ColumnKind::Text,
        DataType::Null => ColumnKind::Int,
        DataType::Dictionary(_, values) => kind(field, values, zones, notes),
        DataType::Boolean => ColumnKind::Other("booleans"),
        DataType::FixedSizeBinary(_) => ColumnKind::Other("bytes"),
        other if other.is_integer() => ColumnKind::Int,
        other if other.is_numeric() => ColumnKind::Float,
        other if other.is_nested() => ColumnKind::Other("nested values"),
        _ => ColumnKind::Other("values of another kind"),
    }
}

/// The error without the words that tell which layers it came through.
fn plain(error: &dyn std::error::Error) -> String {
    let text = error.to_string();
    let layers = ["Parquet argument error: ", "External: ", "Arrow: "];
    let stripped = layers
        .iter()
        .fold(text.as_str(), |t, layer| t.strip_prefix(layer).unwrap_or(t));
    stripped.to_owned()
}

/// Runs what decodes a file. A damaged file is an error, also where the decoder panics over it.
fn guarded<T>(
    decode: impl FnOnce() -> std::result::Result<T, Fault>,
) -> std::result::Result<T, Fault> {
    catch_unwind(AssertUnwindSafe(decode)).unwrap_or_else(|_| Err("the file is damaged".into()))
}

#[cfg(test)]
mod tests;
