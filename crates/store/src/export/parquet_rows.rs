//! Ticks and bars as Parquet: a row group per segment, flat required columns, times in microseconds
//! UTC, ZSTD. What reads Parquet anywhere reads it, and so does `tickcast import`.
//!
//! Segments are files of one row group each; joining them copies their bytes as they are.

use std::{
    fs::File,
    io::Write,
    path::{Path, PathBuf},
    sync::Arc,
};

use market::{Bar, Tick};
use parquet::{
    basic::{Compression, ZstdLevel},
    column::writer::ColumnCloseResult,
    data_type::{ByteArray, ByteArrayType, DataType, DoubleType, Int64Type},
    errors::Result,
    file::{
        metadata::ParquetMetaDataReader,
        properties::WriterProperties,
        writer::{SerializedFileWriter, SerializedRowGroupWriter},
    },
    schema::{parser::parse_message_type, types::TypePtr},
};

/// A file of ticks.
const TICKS: &str = "message ticks {
    REQUIRED BYTE_ARRAY symbol (STRING);
    REQUIRED INT64 ts (TIMESTAMP(MICROS, true));
    REQUIRED INT64 seq;
    REQUIRED DOUBLE price;
    REQUIRED DOUBLE size;
}";

/// A file of bars; `ts` is the bar's start.
const BARS: &str = "message bars {
    REQUIRED BYTE_ARRAY symbol (STRING);
    REQUIRED BYTE_ARRAY interval (STRING);
    REQUIRED INT64 ts (TIMESTAMP(MICROS, true));
    REQUIRED DOUBLE open;
    REQUIRED DOUBLE high;
    REQUIRED DOUBLE low;
    REQUIRED DOUBLE close;
    REQUIRED DOUBLE volume;
    REQUIRED INT64 trades;
}";

fn schema(bars: bool) -> Result<TypePtr> {
    Ok(Arc::new(parse_message_type(if bars {
        BARS
    } else {
        TICKS
    })?))
}

fn properties() -> Result<Arc<WriterProperties>> {
    let properties = WriterProperties::builder()
        .set_compression(Compression::ZSTD(ZstdLevel::try_new(3)?))
        .set_created_by("tickcast".into());
    Ok(Arc::new(properties.build()))
}

/// The columns of a row group, one after the other.
struct Columns<'a, W: Write + Send>(SerializedRowGroupWriter<'a, W>);

impl<W: Write + Send> Columns<'_, W> {
    fn put<T: DataType>(&mut self, values: &[T::T]) -> Result<()> {
        if let Some(mut column) = self.0.next_column()? {
            column.typed::<T>().write_batch(values, None, None)?;
            column.close()?;
        }
        Ok(())
    }

    fn texts<'t>(&mut self, texts: impl Iterator<Item = &'t str>) -> Result<()> {
        let texts: Vec<ByteArray> = texts.map(ByteArray::from).collect();
        self.put::<ByteArrayType>(&texts)
    }
}

/// One row group of ticks as a file of its own.
pub(super) fn ticks(rows: &[Tick]) -> Result<Vec<u8>> {
    let mut writer = SerializedFileWriter::new(Vec::new(), schema(false)?, properties()?)?;
    tick_columns(Columns(writer.next_row_group()?), rows)?;
    writer.into_inner()
}

fn tick_columns<W: Write + Send>(mut columns: Columns<'_, W>, rows: &[Tick]) -> Result<()> {
    let numbers = |of: fn(&Tick) -> f64| rows.iter().map(of).collect::<Vec<f64>>();
    let integers = |of: fn(&Tick) -> i64| rows.iter().map(of).collect::<Vec<i64>>();
    columns.texts(rows.iter().map(|t| t.symbol.as_str()))?;
    columns.put::<Int64Type>(&integers(|t| t.ts.as_micros()))?;
    columns.put::<Int64Type>(&integers(|t| t.seq.cast_signed()))?;
    columns.put::<DoubleType>(&numbers(|t| t.price))?;
    columns.put::<DoubleType>(&numbers(|t| t.size))?;
    columns.0.close().map(drop)
}

/// One row group of bars as a file of its own.
pub(super) fn bars(rows: &[Bar]) -> Result<Vec<u8>> {
    let mut writer = SerializedFileWriter::new(Vec::new(), schema(true)?, properties()?)?;
    bar_columns(Columns(writer.next_row_group()?), rows)?;
    writer.into_inner()
}

fn bar_columns<W: Write + Send>(mut columns: Columns<'_, W>, rows: &[Bar]) -> Result<()> {
    let numbers = |of: fn(&Bar) -> f64| rows.iter().map(of).collect::<Vec<f64>>();
    let integers = |of: fn(&Bar) -> i64| rows.iter().map(of).collect::<Vec<i64>>();
    columns.texts(rows.iter().map(|b| b.symbol.as_str()))?;
    columns.texts(rows.iter().map(|b| b.interval.as_str()))?;
    columns.put::<Int64Type>(&integers(|b| b.start.as_micros()))?;
    columns.put::<DoubleType>(&numbers(|b| b.open))?;
    columns.put::<DoubleType>(&numbers(|b| b.high))?;
    columns.put::<DoubleType>(&numbers(|b| b.low))?;
    columns.put::<DoubleType>(&numbers(|b| b.close))?;
    columns.put::<DoubleType>(&numbers(|b| b.volume))?;
    columns.put::<Int64Type>(&integers(|b| b.trades.cast_signed()))?;
    columns.0.close().map(drop)
}

/// Writes one file of the row groups of all segments.
pub(super) fn join(out: &Path, segments: &[PathBuf], are_bars: bool) -> Result<()> {
    let file = File::create(out)?;
    let mut writer = SerializedFileWriter::new(file, schema(are_bars)?, properties()?)?;
    for segment in segments {
        let input = File::open(segment)?;
        let metadata = ParquetMetaDataReader::new().parse_and_finish(&input)?;
        for group in metadata.row_groups() {
            let mut copied = writer.next_row_group()?;
            for column in group.columns() {
                let whole = ColumnCloseResult {
                    bytes_written: column.compressed_size().unsigned_abs(),
                    rows_written: group.num_rows().unsigned_abs(),
                    metadata: column.clone(),
                    bloom_filter: None,
                    column_index: None,
                    offset_index: None,
                };
                copied.append_column(&input, whole)?;
            }
            copied.close()?;
        }
    }
    writer.into_inner()?.sync_all()?;
    Ok(())
}
