//! What is seen of the rows in the first reading, symbol by symbol.

use std::ops::ControlFlow;

use super::{BATCH_ROWS, RowOrder, config, see_times};
use crate::{
    Result,
    file::{
        FileOptions,
        duplicate_keys::{Key, Keys},
        layout::{Layout, TimeColumns},
        number::{NumberEvidence, Style},
        numbering::Numbering,
        price_levels::PriceLevels,
        spacing::Track,
        table::{Batch, Column, MISSING, Table},
        time::{Evidence, Moment, TimeReader},
    },
};

/// A column with more different values than this is no column of symbols.
const MAX_TRACKS: usize = 1_000_000;

/// At most this many duplicate keys are looked at to find what tells them apart.
const MAX_CONFLICTS: usize = 32;

/// The rows of one symbol, as far as they were read.
pub(super) struct Seen {
    pub(super) name: Box<[u8]>,
    pub(super) track: Option<Track>,
    last: Option<(Moment, u64, u64, u64)>,
    pub(super) forward: u64,
    pub(super) backward: u64,
}

/// The columns of a scan by their place in its batches.
struct Places {
    wanted: Vec<usize>,
}

impl Places {
    fn of<'b>(&self, batch: &'b Batch, column: usize) -> &'b Column {
        let at = self.wanted.iter().position(|w| *w == column).unwrap_or(0);
        &batch.columns[at]
    }
}

pub(super) struct Surveyor<'a> {
    layout: &'a Layout,
    places: Places,
    values: Vec<usize>,
    has_bars: bool,
    pub(super) times: TimeReader,
    pub(super) evidence: Evidence,
    numbers: NumberEvidence,
    joined: Vec<u8>,
    names: Numbering,
    pub(super) seen: Vec<Seen>,
    pub(super) rows: u64,
    pub(super) keys: Option<Keys>,
    pub(super) conflicts: Vec<(u64, u64)>,
    /// Of trades of which no column says whose they are: their prices, read in this style.
    pub(super) levels: Option<PriceLevels>,
    pub(super) levels_in: Style,
}

impl<'a> Surveyor<'a> {
    /// `levels_in`: the style that prices are read in before all of them have been seen.
    pub(super) fn new(layout: &'a Layout, times: TimeReader, levels_in: Style) -> Self {
        let says_whose = layout.has_bars()
            || layout.symbol.is_some()
            || layout.seq.is_some()
            || layout.groups.len() != 1;
        Self {
            layout,
            places: Places {
                wanted: layout.columns(),
            },
            values: layout.value_columns(),
            has_bars: layout.has_bars(),
            times,
            evidence: Evidence::default(),
            numbers: NumberEvidence::default(),
            joined: Vec::new(),
            names: Numbering::new(MAX_TRACKS),
            seen: Vec::new(),
            rows: 0,
            keys: None,
            conflicts: Vec::new(),
            levels: (!says_whose).then(PriceLevels::default),
            levels_in,
        }
    }

    pub(super) fn scan(&mut self, table: &dyn Table) -> Result<()> {
        let wanted = self.places.wanted.clone();
        table.scan(&wanted, BATCH_ROWS, &mut |batch| {
            self.batch(batch)?;
            Ok(ControlFlow::Continue(()))
        })
    }

    fn batch(&mut self, batch: &Batch) -> Result<()> {
        let (time, clock) = match self.layout.time {
            TimeColumns::One(at) => (self.places.of(batch, at), None),
            TimeColumns::Pair { date, clock } => (
                self.places.of(batch, date),
                Some(self.places.of(batch, clock)),
            ),
        };
        // Texts are seen as they are read.
        let sees = !self.times.is_typed();
        if sees && (clock.is_some() || !matches!(time, Column::Text(_))) {
            see_times(batch, time, clock, &mut self.evidence, &mut self.joined);
        }
        for column in &self.values {
            if let Column::Text(texts) = self.places.of(batch, *column) {
                self.numbers.see(texts);
            }
        }
        let symbols = self.layout.symbol.map(|at| self.places.of(batch, at));
        let intervals = self.layout.interval.map(|at| self.places.of(batch, at));
        let seqs = self.layout.seq.map(|at| self.places.of(batch, at));
        let values: Vec<&Column> = self
            .values
            .iter()
            .map(|at| self.places.of(batch, *at))
            .collect();
        let prices = self.levels.is_some().then(|| self.layout.groups[0].close);
        let prices = prices.map(|at| self.places.of(batch, at));
        for row in 0..batch.rows {
            let moment = match (clock, time) {
                (Some(clock), _) => self.times.read_pair(time, clock, row),
                (None, Column::Text(texts)) if sees => {
                    self.times.see_and_read(texts.get(row), &mut self.evidence)
                }
                (None, _) => self.times.read(time, row),
            };
            let Some(moment) = moment else {
                continue;
            };
            self.rows += 1;
            let at = self.track_of(symbols, intervals, row)?;
            let seq = seqs.map_or(0, |seqs| hash_cell(0, seqs, row));
            let values = if let Some(prices) = prices {
                number(prices, row, self.levels_in).to_bits()
            } else if self.has_bars || seqs.is_some() {
                values.iter().fold(0, |hash, v| hash_cell(hash, v, row))
            } else {
                0
            };
            let row = batch.first_row + row as u64;
            match &mut self.keys {
                Some(keys) => keys.push(Key {
                    track: at,
                    instant: moment.instant,
                    civil: moment.civil,
                    seq,
                    row,
                    values,
                })?,
                None => self.take(at, moment, seq, row, values),
            }
        }
        Ok(())
    }

    /// The number of the row's symbol.
    fn track_of(
        &mut self,
        symbols: Option<&Column>,
        intervals: Option<&Column>,
        row: usize,
    ) -> Result<u32> {
        let number = match (symbols, intervals) {
            (Some(Column::Text(texts)), None) => self.names.of(texts.get(row)),
            (None, None) => self.names.of(b""),
            _ => {
                let mut name = std::mem::take(&mut self.joined);
                name.clear();
                if let Some(symbols) = symbols {
                    name.extend_from_slice(&symbols.text(row));
                }
                if let Some(intervals) = intervals {
                    name.push(0);
                    name.extend_from_slice(&intervals.text(row));
                }
                let number = self.names.of(&name);
                self.joined = name;
                number
            }
        };
        let number = number.ok_or_else(|| {
            config(
                "--symbol-column",
                format!("the file has more than {MAX_TRACKS} different symbols"),
            )
        })?;
        if number as usize == self.seen.len() {
            self.seen.push(Seen {
                name: self.names.text(number).into(),
                track: None,
                last: None,
                forward: 0,
                backward: 0,
            });
        }
        Ok(number)
    }

    /// `values`: the hash of the values, or the price's bits where levels are watched.
    fn take(&mut self, at: u32, moment: Moment, seq: u64, row: u64, values: u64) {
        let values = match &mut self.levels {
            Some(levels) => {
                levels.see(moment.instant, f64::from_bits(values), row);
                0
            }
            None => values,
        };
        let seen = &mut self.seen[at as usize];
        if let Some((last, last_seq, last_row, last_values)) = seen.last {
            match moment.instant.cmp(&last.instant) {
                std::cmp::Ordering::Greater => seen.forward += 1,
                std::cmp::Ordering::Less => seen.backward += 1,
                std::cmp::Ordering::Equal if last_seq == seq && last_values != values => {
                    if self.conflicts.len() < MAX_CONFLICTS {
                        self.conflicts.push((last_row, row));
                    }
                }
                std::cmp::Ordering::Equal => {}
            }
        }
        seen.last = Some((moment, seq, row, values));
        if self.has_bars {
            match &mut seen.track {
                Some(track) => track.add(moment),
                None => seen.track = Some(Track::new(moment)),
            }
        }
    }

    /// Takes the rows in anew, in the order of their keys.
    pub(super) fn take_sorted(&mut self) -> Result<()> {
        let Some(keys) = self.keys.take() else {
            return Ok(());
        };
        keys.in_order(|key| {
            let moment = Moment {
                instant: key.instant,
                civil: key.civil,
            };
            self.take(key.track, moment, key.seq, key.row, key.values);
            Ok(())
        })
    }

    pub(super) fn has_symbol(&self, layout: &Layout, symbol: &str) -> bool {
        let of_groups = layout.groups.iter().filter_map(|g| g.symbol.as_deref());
        let mut of_rows = self
            .seen
            .iter()
            .map(|seen| seen.name.split(|b| *b == 0).next().unwrap_or_default());
        of_groups
            .into_iter()
            .any(|name| name.trim().eq_ignore_ascii_case(symbol))
            || of_rows.any(|name| name.eq_ignore_ascii_case(symbol.as_bytes()))
    }

    pub(super) fn order(&self) -> RowOrder {
        let forward = self.seen.iter().any(|seen| seen.forward > 0);
        let backward = self.seen.iter().any(|seen| seen.backward > 0);
        match (forward, backward) {
            (true, true) => RowOrder::Mixed,
            (false, true) => RowOrder::NewestFirst,
            _ => RowOrder::OldestFirst,
        }
    }

    pub(super) fn style(&self, table: &dyn Table, options: &FileOptions) -> Result<Style> {
        if let Some(decimal) = options.decimal {
            return Ok(Style { decimal });
        }
        self.numbers
            .decide(table.separator() == Some(b','))
            .map_err(|why| config("--decimal", format!("{why}: expected . or ,")))
    }
}

/// A cell's number; NaN when it is none.
#[inline]
fn number(column: &Column, row: usize, style: Style) -> f64 {
    match column {
        Column::Text(texts) => style.read(texts.get(row)).unwrap_or(f64::NAN),
        Column::Int(values) if values[row] == MISSING => f64::NAN,
        Column::Int(values) => values[row] as f64,
        Column::Float(values) => values[row],
        Column::Dictionary { .. } => style.read(&column.text(row)).unwrap_or(f64::NAN),
    }
}

/// Mixes a cell into a hash.
fn hash_cell(hash: u64, column: &Column, row: usize) -> u64 {
    const MULTIPLIER: u64 = 0x517c_c1b7_2722_0a95;
    let mix = |hash: u64, word: u64| (hash.rotate_left(5) ^ word).wrapping_mul(MULTIPLIER);
    let bytes = |mut hash: u64, bytes: &[u8]| {
        for chunk in bytes.chunks(8) {
            let mut word = [0; 8];
            word[..chunk.len()].copy_from_slice(chunk);
            hash = mix(hash, u64::from_le_bytes(word));
        }
        mix(hash, bytes.len() as u64)
    };
    match column {
        Column::Text(texts) => bytes(hash, texts.get(row)),
        Column::Int(values) => mix(hash, values[row] as u64),
        // All that is missing is one value, and the two zeros are one.
        Column::Float(values) if values[row].is_nan() => mix(hash, 1),
        Column::Float(values) => mix(hash, (values[row] + 0.0).to_bits()),
        Column::Dictionary { .. } => bytes(hash, &column.text(row)),
    }
}
