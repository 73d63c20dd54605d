//! A file of prices, open: what is decided of it, and its rows as ticks and bars.

use std::{borrow::Cow, ops::ControlFlow, path::Path};

use market::{Interval, Symbol};

use super::{
    FileOptions, file_name,
    input::Input,
    layout::{ColumnChoice, Layout, Sample},
    open_table,
    rows::{Counts, RowReader},
    spacing::length,
    survey::{RowOrder, Survey, survey},
    table::{Batch, ColumnKind, Table},
};
use crate::{Decoded, Result, SourceError};

/// Rows that the meaning of the columns is inferred from.
const SAMPLE_ROWS: usize = 1_000;

/// How far a reading is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Progress {
    /// Bytes of the file read, compressed as it is.
    pub bytes: u64,
    /// The file's size.
    pub total_bytes: u64,
    /// Rows read, good and bad.
    pub rows: u64,
}

/// A file of prices, open and surveyed. Blocking: for a thread that may block.
///
/// ```
/// use market::{TickRules, Timestamp};
/// use source::file::{FileOptions, PriceFile};
///
/// let csv = b"Date,Open,High,Low,Close,Volume\n2026-06-01,10,12,9,11,500\n2026-06-02,11,13,10,12,600\n";
/// let options = FileOptions::new(Timestamp::from_secs(1_790_000_000));
/// let file = PriceFile::from_bytes("ACME.csv", csv, options)?;
/// assert_eq!(file.interval(), Some(market::Interval::D1));
/// let mut bars = Vec::new();
/// file.for_each(
///     |progress| assert!(progress.bytes <= progress.total_bytes),
///     |decoded| {
///         bars.extend(decoded.bars);
///         Ok(())
///     },
/// )?;
/// assert_eq!((bars.len(), bars[1].close), (2, 12.0));
/// # Ok::<(), source::SourceError>(())
/// ```
pub struct PriceFile {
    name: String,
    table: Box<dyn Table>,
    layout: Layout,
    survey: Survey,
    symbol: Option<Symbol>,
    options: FileOptions,
    total_bytes: u64,
    notes: Vec<String>,
}

impl PriceFile {
    /// Opens a file, or standard input for `-`, and reads it once to decide what it holds.
    ///
    /// # Errors
    /// [`SourceError::File`] when it cannot be read; [`SourceError::Config`] when something is missing (a
    /// time, a price, a symbol), when the rows leave open what an option decides, or when they are those of
    /// two series.
    pub fn open(path: &Path, options: FileOptions) -> Result<Self> {
        Self::of(Input::open(path)?, options)
    }

    /// As [`Self::open`], for a file that is in memory: one that is bundled with a program. `name`
    /// stands for its path.
    ///
    /// # Errors
    /// As [`Self::open`].
    pub fn from_bytes(
        name: impl Into<String>,
        bytes: &'static [u8],
        options: FileOptions,
    ) -> Result<Self> {
        Self::of(Input::of_bytes(name, bytes)?, options)
    }

    /// As [`Self::open`], for bytes from anywhere.
    ///
    /// # Errors
    /// As [`Self::open`].
    pub fn of(input: Input, options: FileOptions) -> Result<Self> {
        let name = input.name().to_owned();
        let is_spooled = input.is_spooled();
        let total_bytes = input.total_bytes();
        let mut notes = input.notes().to_vec();
        let table = open_table(input, &options.text)?;
        notes.extend_from_slice(table.notes());
        let layout = layout_of(&*table, &options)?;
        let by_column =
            layout.symbol.is_some() || layout.groups.iter().any(|group| group.symbol.is_some());
        let mut symbol = match (&options.symbol, by_column) {
            (Some(symbol), _) => Some(symbol.clone()),
            (None, true) => None,
            (None, false) if is_spooled => {
                return Err(config(
                    "--symbol",
                    "the input has no symbol column and no name: name the symbol".into(),
                ));
            }
            (None, false) => Some(file_name::symbol_of(&name).parse().map_err(|_| {
                config(
                    "--symbol",
                    format!(
                        "the file has no symbol column and its name {name:?} is no symbol: name one"
                    ),
                )
            })?),
        };
        let survey = survey(&*table, &layout, &options)?;
        if let (Some(asked), true) = (&options.symbol, by_column) {
            if survey.has_symbol {
                notes.push(format!("only the rows of {asked} are read"));
            } else {
                notes.push(format!(
                    "the file names its own symbols, which are kept: {asked} is none of them"
                ));
                symbol = None;
            }
        }
        Ok(Self {
            name,
            table,
            layout,
            survey,
            symbol,
            options,
            total_bytes,
            notes,
        })
    }

    /// The file's name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// What its rows come from, as rejects and batches say: `csv:prices.csv`.
    pub fn origin(&self) -> String {
        format!("{}:{}", self.table.kind(), self.name)
    }

    /// Its size in bytes, compressed as it is.
    pub const fn total_bytes(&self) -> u64 {
        self.total_bytes
    }

    /// The interval of bars that do not say theirs; `None` for trades.
    pub fn interval(&self) -> Option<Interval> {
        self.survey.found.map(|found| found.interval)
    }

    /// Whether the rows of each symbol stand in the order of time.
    pub const fn is_in_order(&self) -> bool {
        matches!(self.survey.order, RowOrder::OldestFirst)
    }

    /// What its columns mean.
    pub const fn layout(&self) -> &Layout {
        &self.layout
    }

    /// What was decided of it, each a sentence without a full stop, the most important first.
    pub fn facts(&self) -> Vec<String> {
        let mut facts = Vec::new();
        match (self.survey.found, self.layout.has_bars()) {
            (Some(found), _) if found.rows_per_bar() <= 1 => facts.push(format!(
                "bars of {}, by the spacing of the rows{}",
                found.interval,
                if self.options.interval.is_some() {
                    " and as asked"
                } else {
                    ""
                }
            )),
            (Some(found), _) => facts.push(format!(
                "bars of {}, made of rows that are {} apart",
                found.interval,
                length(found.spacing)
            )),
            (None, true) => facts.push("bars of the intervals that the rows say".into()),
            (None, false) => {
                facts.push("trades: there are no columns of open, high and low".into());
            }
        }
        let mut columns = Vec::new();
        for taken in &self.layout.taken {
            let mut one = format!("{} {:?}", taken.meaning, taken.column);
            if !taken.instead_of.is_empty() {
                one.push_str(&format!(" (not {})", quoted(&taken.instead_of)));
            }
            // A table with a group for each symbol takes the same columns for each.
            if !columns.contains(&one) {
                columns.push(one);
            }
        }
        facts.push(format!("columns: {}", columns.join(", ")));
        facts.extend(self.notes.iter().cloned());
        facts.extend(self.survey.notes.iter().cloned());
        facts
    }

    /// Reads the whole file, and hands each batch on.
    ///
    /// # Errors
    /// [`SourceError::File`], or what `take` says.
    pub fn for_each(
        &self,
        mut progress: impl FnMut(Progress),
        mut take: impl FnMut(Decoded) -> Result<()>,
    ) -> Result<Counts> {
        self.read_while(&mut progress, |batch| {
            take(batch).map(ControlFlow::Continue)
        })
    }

    /// As [`Self::for_each`], until `take` breaks off.
    ///
    /// # Errors
    /// As [`Self::for_each`].
    pub fn read_while(
        &self,
        progress: &mut dyn FnMut(Progress),
        mut take: impl FnMut(Decoded) -> Result<ControlFlow<()>>,
    ) -> Result<Counts> {
        let wanted = self.layout.columns();
        let mut rows = RowReader::new(
            &self.layout,
            &wanted,
            &self.survey,
            &self.options.rules,
            self.options.now,
            self.origin(),
            self.symbol.clone(),
        );
        let mut broken_off = false;
        self.table
            .scan(&wanted, self.options.batch_rows, &mut |batch: &Batch| {
                let mut decoded = Decoded::default();
                if self.layout.has_bars() {
                    decoded.bars.reserve(batch.rows);
                } else {
                    decoded.ticks.reserve(batch.rows);
                }
                rows.read(batch, &mut decoded);
                let taken = if decoded.rows() > 0 {
                    take(decoded)?
                } else {
                    ControlFlow::Continue(())
                };
                progress(Progress {
                    bytes: batch.bytes_read.min(self.total_bytes),
                    total_bytes: self.total_bytes,
                    rows: rows.counts.rows,
                });
                broken_off = taken.is_break();
                Ok(taken)
            })?;
        let mut last = Decoded::default();
        rows.finish(&mut last);
        if !broken_off && last.rows() > 0 {
            // The end: nothing follows that could be broken off.
            let _ = take(last)?;
        }
        progress(Progress {
            bytes: self.total_bytes,
            total_bytes: self.total_bytes,
            rows: rows.counts.rows,
        });
        Ok(rows.counts)
    }
}

/// Infers what the columns mean from their names and the first rows.
pub(super) fn layout_of(table: &dyn Table, options: &FileOptions) -> Result<Layout> {
    let (wanted, sample) = sample_of(table)?;
    let wishes = ColumnChoice {
        time: options.time_column.as_deref(),
        symbol: options.symbol_column.as_deref(),
        close: options.close_column.as_deref(),
        volume: options.volume_column.as_deref(),
    };
    Layout::of(
        table.columns(),
        &Sample {
            batch: &sample,
            wanted: &wanted,
        },
        wishes,
    )
}

/// The first rows of every column that can be read.
pub(super) fn sample_of(table: &dyn Table) -> Result<(Vec<usize>, Batch)> {
    let wanted: Vec<usize> = (0..table.columns().len())
        .filter(|at| !matches!(table.columns()[*at].kind, ColumnKind::Other(_)))
        .collect();
    let mut sample = Batch::default();
    table.scan(&wanted, SAMPLE_ROWS, &mut |batch| {
        sample = batch.clone();
        Ok(ControlFlow::Break(()))
    })?;
    if sample.columns.is_empty() {
        // A file without rows has columns all the same.
        sample.columns = wanted
            .iter()
            .map(|_| super::table::Column::Text(super::table::TextColumn::default()))
            .collect();
    }
    Ok((wanted, sample))
}

fn quoted(names: &[String]) -> Cow<'static, str> {
    names
        .iter()
        .map(|name| format!("{name:?}"))
        .collect::<Vec<_>>()
        .join(", ")
        .into()
}

fn config(key: &str, expected: String) -> SourceError {
    SourceError::Config {
        key: key.into(),
        expected,
    }
}
