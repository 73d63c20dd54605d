//! The second reading: rows to ticks and bars, by what the survey decided.
//!
//! Sequences of trades that have none: those of one symbol and instant are numbered in the order of the
//! file (of a file that is newest first, in the reverse), with 40 bits of their price and size below the
//! number, so that trades of another source at the same instant keep keys of their own. In a file that is
//! in no order the number is that of the row. Reading the file again gives the same sequences.
//!
//! Bars of a day belong to the date written; all others to the interval that holds their instant. Rows
//! closer together than the interval is long are merged into its bars, symbol by symbol.
//!
//! What it does not do: sort.

mod cells;
mod rejected;
mod sequence;

use std::{borrow::Cow, collections::HashMap};

use market::{Bar, Interval, RejectReason, Symbol, Tick, TickRules, Timestamp};

use self::cells::{Cells, GroupCells, RowCells, group_cells, seq_of, time_text, value};
use super::{
    layout::{Layout, TimeColumns},
    number::Style,
    numbering::Numbering,
    survey::{RowOrder, Survey, interval_named},
    table::{Batch, Column},
    time::{Moment, TimeReader},
};
use crate::{
    Decoded,
    decode::{Fault, adjust, bar_of, reject},
};

/// So many spellings of symbols are remembered at most.
const MAX_SYMBOLS: usize = 1 << 20;

/// What the rows of a file are read by.
pub struct RowReader<'a> {
    layout: &'a Layout,
    wanted: &'a [usize],
    rules: &'a TickRules,
    now: Timestamp,
    times: TimeReader,
    style: Style,
    interval: Option<Interval>,
    merges: bool,
    order: RowOrder,
    origin: String,
    /// The symbol of the file, where no column says it.
    of_file: Option<Symbol>,
    /// The only symbol whose rows are read.
    only: Option<Symbol>,
    of_groups: Vec<Option<Result<Symbol, String>>>,
    spellings: Numbering,
    /// What each spelling means, and the number of its first spelling.
    symbols: Vec<Option<(Symbol, u32)>>,
    by_symbol: HashMap<Symbol, u32>,
    /// The last instant of each spelling, and how many trades of it stand before.
    counted: Vec<(i64, u64)>,
    open_bars: HashMap<(Symbol, Interval), Bar>,
    /// What happened to the rows.
    pub counts: Counts,
}

/// What happened to the rows of a file.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Rows read, good and bad.
    pub rows: u64,
    /// Rows of other symbols than the one asked for.
    pub of_others: u64,
    /// Bars whose start is not that of the interval they are kept under.
    pub moved: u64,
}

/// A tick or a bar.
enum Made {
    Tick(Tick),
    Bar(Bar),
}

impl<'a> RowReader<'a> {
    /// For the columns `wanted` (ascending) of a file called `origin`; `symbol` is the file's own, or the
    /// only one that is read.
    pub fn new(
        layout: &'a Layout,
        wanted: &'a [usize],
        survey: &Survey,
        rules: &'a TickRules,
        now: Timestamp,
        origin: String,
        symbol: Option<Symbol>,
    ) -> Self {
        let by_column = layout.symbol.is_some() || layout.groups.iter().any(|g| g.symbol.is_some());
        let (only, of_file) = if by_column {
            (symbol, None)
        } else {
            (None, symbol)
        };
        let of_groups = layout
            .groups
            .iter()
            .map(|group| {
                let name = group.symbol.as_deref()?;
                Some(name.parse::<Symbol>().map_err(|e| e.to_string()))
            })
            .collect();
        Self {
            layout,
            wanted,
            rules,
            now,
            times: survey.times.clone(),
            style: survey.style,
            interval: survey.found.map(|found| found.interval),
            merges: survey.found.is_some_and(|found| found.rows_per_bar() > 1),
            order: survey.order,
            origin,
            of_file,
            only,
            of_groups,
            spellings: Numbering::new(MAX_SYMBOLS),
            symbols: Vec::new(),
            by_symbol: HashMap::new(),
            counted: Vec::new(),
            open_bars: HashMap::new(),
            counts: Counts::default(),
        }
    }

    /// Reads a batch into `decoded`.
    pub fn read(&mut self, batch: &Batch, decoded: &mut Decoded) {
        let layout = self.layout;
        let cells = Cells {
            batch,
            wanted: self.wanted,
        };
        let (time, clock) = match layout.time {
            TimeColumns::One(at) => (cells.column(at), None),
            TimeColumns::Pair { date, clock } => (cells.column(date), Some(cells.column(clock))),
        };
        let groups: Vec<GroupCells<'_>> = layout
            .groups
            .iter()
            .map(|group| group_cells(group, &cells))
            .collect();
        let mut of_row = RowCells {
            row: 0,
            time,
            clock,
            symbols: layout.symbol.map(|at| cells.column(at)),
            intervals: layout.interval.map(|at| cells.column(at)),
            seqs: layout.seq.map(|at| cells.column(at)),
        };
        for row in 0..batch.rows {
            of_row.row = row;
            self.counts.rows += 1;
            let moment = match clock {
                None => self.times.read(time, row),
                Some(clock) => self.times.read_pair(time, clock, row),
            };
            for (at, group) in groups.iter().enumerate() {
                // In a table of many symbols one that was not traded has an empty group.
                if groups.len() > 1 && group.is_empty(row) {
                    continue;
                }
                match self.make(at, group, &of_row, moment, batch.first_row + row as u64) {
                    Ok(Some(Made::Tick(tick))) => decoded.ticks.push(tick),
                    Ok(Some(Made::Bar(bar))) => self.put(bar, decoded),
                    Ok(None) => self.counts.of_others += 1,
                    Err(fault) => {
                        let place = batch.place(row);
                        let rejected = self.reject(fault, at, group, &of_row, moment, place);
                        decoded.rejects.push(rejected);
                    }
                }
            }
        }
        for broken in &batch.broken {
            self.counts.rows += 1;
            let origin = format!("{}:{}", self.origin, broken.line);
            let fault = (RejectReason::Unparsable, broken.detail.clone());
            decoded.rejects.push(reject(fault, &origin, &broken.text));
        }
    }

    /// Hands on the bars that are still open.
    pub fn finish(&mut self, decoded: &mut Decoded) {
        let mut bars: Vec<Bar> = self.open_bars.drain().map(|(_, bar)| bar).collect();
        bars.sort_by(|a, b| (&a.symbol, a.start).cmp(&(&b.symbol, b.start)));
        decoded.bars.extend(bars);
    }

    fn make(
        &mut self,
        at: usize,
        group: &GroupCells<'_>,
        of_row: &RowCells<'_>,
        moment: Option<Moment>,
        number: u64,
    ) -> Result<Option<Made>, Fault> {
        let row = of_row.row;
        let Some((symbol, of_symbol)) = self.symbol(at, of_row)? else {
            return Ok(None);
        };
        let moment = moment.ok_or_else(|| {
            let text = time_text(of_row);
            if text.is_empty() {
                (
                    RejectReason::BadTimestamp,
                    "timestamp is missing".to_owned(),
                )
            } else {
                (
                    RejectReason::BadTimestamp,
                    format!("timestamp is {text:?}: expected a time as in the other rows"),
                )
            }
        })?;
        let style = self.style;
        let value = |name: &str, column: &Column, reason| value(style, name, column, row, reason);
        let price = |name: &str, column: &Column| {
            value(name, column, RejectReason::BadPrice)?
                .ok_or_else(|| (RejectReason::BadPrice, format!("{name} is null")))
        };
        let volume_of = |name: &str| match group.volume {
            Some(column) => {
                Ok::<_, Fault>(value(name, column, RejectReason::BadSize)?.unwrap_or(0.0))
            }
            None => Ok(0.0),
        };
        let Some([open, high, low]) = group.bar else {
            let price = price("price", group.close)?;
            let size = volume_of("size")?;
            let seq = of_row
                .seqs
                .map(|seqs| seq_of(seqs, row))
                .transpose()?
                .flatten();
            let mut tick = Tick {
                symbol,
                ts: Timestamp::from_micros(moment.instant),
                seq: seq.unwrap_or(0),
                price,
                size,
            };
            self.rules.check(&tick, self.now)?;
            if seq.is_none() {
                tick.seq = self.sequence(&tick, of_symbol, number);
            }
            return Ok(Some(Made::Tick(tick)));
        };
        let interval = self.interval_of(of_row)?;
        let start = if interval == Interval::D1 {
            Timestamp::from_micros(moment.date())
        } else {
            interval.start_of(Timestamp::from_micros(moment.instant))
        };
        let prices = [
            price("open", open)?,
            price("high", high)?,
            price("low", low)?,
            price("close", group.close)?,
        ];
        let mut bar = bar_of(
            symbol,
            interval,
            start,
            prices,
            volume_of("volume")?,
            self.now,
        );
        self.rules.check_origin(&bar.symbol, bar.start, self.now)?;
        bar.check()?;
        if let Some(adjusted) = group.adjusted {
            adjust(&mut bar, price("adjusted close", adjusted)?)?;
        }
        if interval != Interval::D1 && start.as_micros() != moment.instant && !self.merges {
            self.counts.moved += 1;
        }
        Ok(Some(Made::Bar(bar)))
    }

    /// The symbol of a row and a number of it; `None` when it is not the one that is read.
    fn symbol(&mut self, at: usize, of_row: &RowCells<'_>) -> Result<Option<(Symbol, u32)>, Fault> {
        if let Some(symbol) = &self.of_file {
            return Ok(Some((symbol.clone(), 0)));
        }
        let wanted = |symbol: &Symbol, only: &Option<Symbol>| {
            only.as_ref().is_none_or(|only| only == symbol)
        };
        match &self.of_groups[at] {
            Some(Ok(symbol)) => {
                let number = at as u32;
                return Ok(wanted(symbol, &self.only).then(|| (symbol.clone(), number)));
            }
            Some(Err(why)) => return Err((RejectReason::UnknownSymbol, why.clone())),
            None => {}
        }
        let Some(column) = of_row.symbols else {
            return Err((RejectReason::BadField, "symbol is missing".into()));
        };
        let text: Cow<'_, [u8]> = match column {
            Column::Text(texts) => Cow::Borrowed(texts.get(of_row.row)),
            other => other.text(of_row.row),
        };
        let number = self.spellings.of(&text).ok_or_else(|| {
            (
                RejectReason::UnknownSymbol,
                format!("symbol is one of more than {MAX_SYMBOLS} in the file"),
            )
        })?;
        if number as usize == self.symbols.len() {
            let parsed = std::str::from_utf8(&text)
                .ok()
                .and_then(|text| text.parse::<Symbol>().ok());
            let known = parsed.map(|symbol| {
                let first = *self.by_symbol.entry(symbol.clone()).or_insert(number);
                (symbol, first)
            });
            self.symbols.push(known);
        }
        match &self.symbols[number as usize] {
            Some(known) if wanted(&known.0, &self.only) => Ok(Some(known.clone())),
            Some(_) => Ok(None),
            None if text.is_empty() => Err((
                RejectReason::BadField,
                "symbol is null: expected a text".into(),
            )),
            None => {
                let shown: String = String::from_utf8_lossy(&text).chars().take(64).collect();
                Err((
                    RejectReason::UnknownSymbol,
                    format!("symbol {shown:?} is none"),
                ))
            }
        }
    }

    fn interval_of(&self, of_row: &RowCells<'_>) -> Result<Interval, Fault> {
        if let Some(column) = of_row.intervals {
            let text = column.text(of_row.row);
            let text = String::from_utf8_lossy(&text);
            if !text.is_empty() {
                return interval_named(&text).ok_or_else(|| {
                    let shown: String = text.chars().take(64).collect();
                    (
                        RejectReason::BadField,
                        format!("interval {shown:?} is none that is kept"),
                    )
                });
            }
        }
        self.interval
            .ok_or_else(|| (RejectReason::BadField, "interval is missing".to_owned()))
    }

    fn put(&mut self, bar: Bar, decoded: &mut Decoded) {
        if !self.merges {
            decoded.bars.push(bar);
            return;
        }
        let key = (bar.symbol.clone(), bar.interval);
        match self.open_bars.get_mut(&key) {
            Some(open) if open.start == bar.start => {
                if self.order == RowOrder::NewestFirst {
                    open.open = bar.open;
                } else {
                    open.close = bar.close;
                }
                open.high = open.high.max(bar.high);
                open.low = open.low.min(bar.low);
                open.volume += bar.volume;
            }
            _ => decoded.bars.extend(self.open_bars.insert(key, bar)),
        }
    }
}
