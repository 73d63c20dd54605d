//! The first reading of a file: what is decided once, from all rows.
//!
//! Model: every row is read once for its time, its symbol and the looks of its numbers, and nothing is
//! kept but counts. Rows that stand in the order of time, symbol by symbol, are enough by themselves;
//! bars in any other order are sorted by their keys first ([`super::repeats`]). A key that comes again with
//! other values is an error that names the column which would tell the series apart.
//!
//! What it does not do: check prices. Rows that cannot be used are the second reading's.

use std::{collections::HashMap, ops::ControlFlow};

use market::Interval;

use super::{
    FileOptions,
    layout::{Layout, TimeColumns},
    names::{Meaning, meaning_of},
    number::{NumberEvidence, Style},
    numbering::Numbering,
    repeats::{Key, Keys},
    spacing::{self, Found, Track, length},
    table::{Batch, Column, ColumnKind, Table},
    time::{Evidence, Format, Moment, TimeReader, zone_named},
};
use crate::{Result, SourceError};

/// Rows of a batch in this reading.
const BATCH_ROWS: usize = 8_192;
/// More symbols than this are none.
const MAX_TRACKS: usize = 1_000_000;
/// So many repeats are looked at to find what tells them apart.
const MAX_CONFLICTS: usize = 32;

/// The order of the rows of each symbol.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RowOrder {
    /// The order of time.
    OldestFirst,
    /// The other way round.
    NewestFirst,
    /// Neither.
    Mixed,
}

/// What is decided of a file.
#[derive(Clone, Debug)]
pub struct Survey {
    /// How times are read.
    pub times: TimeReader,
    /// How numbers are read.
    pub style: Style,
    /// The interval of bars that do not say theirs.
    pub found: Option<Found>,
    /// The order of the rows.
    pub order: RowOrder,
    /// Rows whose time can be read.
    pub rows: u64,
    /// How many symbols there are.
    pub symbols: usize,
    /// Whether the symbol that was asked for is among those of the file.
    pub has_symbol: bool,
    /// What a person should know of what was decided.
    pub notes: Vec<String>,
}

/// The rows of one symbol, as far as they were read.
struct Seen {
    name: Box<[u8]>,
    track: Option<Track>,
    last: Option<(Moment, u64, u64, u64)>,
    forward: u64,
    backward: u64,
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

struct Surveyor<'a> {
    layout: &'a Layout,
    places: Places,
    values: Vec<usize>,
    has_bars: bool,
    times: TimeReader,
    evidence: Evidence,
    numbers: NumberEvidence,
    joined: Vec<u8>,
    names: Numbering,
    seen: Vec<Seen>,
    rows: u64,
    keys: Option<Keys>,
    conflicts: Vec<(u64, u64)>,
}

/// Reads a file for the first time.
///
/// # Errors
/// [`SourceError::Config`] that names the option which decides what the rows leave open, or the column
/// that tells two series apart; [`SourceError::File`].
pub fn survey(table: &dyn Table, layout: &Layout, options: &FileOptions) -> Result<Survey> {
    let zone = match options.time_zone.as_deref().or(table.zone()) {
        Some(name) => Some(zone_named(name)?),
        None => None,
    };
    let (kind, name) = time_column(table, layout);
    let decide = |evidence: &Evidence| evidence.decide(options.date_order, layout.time_unit, &name);
    let reader = |format: Format| TimeReader::new(kind.clone(), format, zone.clone());
    let first = first_evidence(table, layout)?;
    // What the first rows leave open may be decided by later ones.
    let provisional = match decide(&first) {
        Ok((format, _)) => format,
        Err(_) => {
            first
                .decide(
                    Some(super::time::text::Order::DayMonth),
                    layout.time_unit,
                    &name,
                )?
                .0
        }
    };
    let mut surveyor = Surveyor::new(layout, reader(provisional.clone()));
    surveyor.scan(table)?;
    let (format, order_note) = decide(&surveyor.evidence)?;
    if format != provisional {
        surveyor = Surveyor::new(layout, reader(format.clone()));
        surveyor.scan(table)?;
    }
    let mut notes: Vec<String> = order_note.into_iter().collect();
    let has_bars = layout.has_bars();
    let mut order = surveyor.order();
    if order == RowOrder::Mixed && (has_bars || layout.seq.is_some()) {
        let mut sorted = Surveyor::new(layout, reader(format.clone()));
        sorted.keys = Some(Keys::default());
        sorted.scan(table)?;
        sorted.take_sorted()?;
        surveyor.seen = sorted.seen;
        surveyor.conflicts = sorted.conflicts;
    }
    let style = surveyor.style(table, options)?;
    if !surveyor.conflicts.is_empty() {
        let time = match layout.time {
            TimeColumns::One(at) | TimeColumns::Pair { date: at, .. } => at,
        };
        let values = layout.value_columns();
        let pairs = &surveyor.conflicts;
        if let Some(conflict) =
            telling_column(table, &values, &layout.columns(), time, style, pairs)?
        {
            return Err(mixed_series(&conflict, has_bars));
        }
    }
    // A file of which no time can be read has no interval either: its rows are all put aside.
    let found =
        if has_bars && surveyor.rows > 0 && !surveyor.all_say_their_interval(table, layout)? {
            Some(surveyor.interval(options, &mut notes)?)
        } else {
            None
        };
    if let Some(found) = found.filter(|found| found.rows_per_bar() > 1)
        && order == RowOrder::Mixed
    {
        return Err(config(
            "--interval",
            format!(
                "bars of {} are to be made of rows that are {} apart, and the rows are in no order: sort \
                 them by time first",
                found.interval,
                length(found.spacing)
            ),
        ));
    }
    let without_zone = surveyor.evidence.needs_zone() || kind == ColumnKind::Civil;
    if without_zone && found.is_none_or(|f| f.interval != Interval::D1) {
        notes.push(match (&options.time_zone, table.zone()) {
            (Some(zone), _) => format!("times without a zone are those of {zone}"),
            (None, Some(zone)) => {
                format!("times without a zone are those of {zone}, as this tool writes")
            }
            (None, None) => {
                "times without a zone are taken as UTC (--time-zone names another)".into()
            }
        });
    }
    if surveyor
        .seen
        .iter()
        .all(|seen| seen.forward + seen.backward == 0)
    {
        order = RowOrder::OldestFirst;
    }
    if style.decimal == b',' {
        notes.push("numbers have a decimal comma".into());
    }
    match order {
        RowOrder::OldestFirst => {}
        RowOrder::NewestFirst => notes.push("the rows are newest first".into()),
        RowOrder::Mixed => notes.push("the rows are not in the order of time".into()),
    }
    Ok(Survey {
        times: reader(format),
        style,
        found,
        order,
        rows: surveyor.rows,
        symbols: surveyor.seen.len(),
        has_symbol: options
            .symbol
            .as_ref()
            .is_some_and(|symbol| surveyor.has_symbol(layout, symbol.as_str())),
        notes,
    })
}

/// The kind of the column of times, and what it is called.
fn time_column(table: &dyn Table, layout: &Layout) -> (ColumnKind, String) {
    let columns = table.columns();
    match layout.time {
        TimeColumns::One(at) => (columns[at].kind.clone(), format!("{:?}", columns[at].name)),
        TimeColumns::Pair { date, clock } => (
            columns[date].kind.clone(),
            format!("{:?} and {:?}", columns[date].name, columns[clock].name),
        ),
    }
}

fn first_evidence(table: &dyn Table, layout: &Layout) -> Result<Evidence> {
    let wanted = match layout.time {
        TimeColumns::One(at) => vec![at],
        TimeColumns::Pair { date, clock } => vec![date, clock],
    };
    let mut evidence = Evidence::default();
    let mut joined = Vec::new();
    table.scan(&wanted, BATCH_ROWS, &mut |batch| {
        see_times(
            batch,
            &batch.columns[0],
            batch.columns.get(1),
            &mut evidence,
            &mut joined,
        );
        Ok(ControlFlow::Break(()))
    })?;
    Ok(evidence)
}

fn see_times(
    batch: &Batch,
    time: &Column,
    clock: Option<&Column>,
    evidence: &mut Evidence,
    joined: &mut Vec<u8>,
) {
    for row in 0..batch.rows {
        match (time, clock) {
            (_, Some(clock)) => evidence.see_pair(&time.text(row), &clock.text(row), joined),
            (Column::Text(texts), None) => evidence.see(texts.get(row)),
            (Column::Int(values), None) => evidence.see_int(values[row]),
            (_, None) => evidence.see(&time.text(row)),
        }
    }
}

impl<'a> Surveyor<'a> {
    fn new(layout: &'a Layout, times: TimeReader) -> Self {
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
        }
    }

    fn scan(&mut self, table: &dyn Table) -> Result<()> {
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
            let values = if self.has_bars || seqs.is_some() {
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

    fn take(&mut self, at: u32, moment: Moment, seq: u64, row: u64, values: u64) {
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
    fn take_sorted(&mut self) -> Result<()> {
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

    fn has_symbol(&self, layout: &Layout, symbol: &str) -> bool {
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

    fn order(&self) -> RowOrder {
        let forward = self.seen.iter().any(|seen| seen.forward > 0);
        let backward = self.seen.iter().any(|seen| seen.backward > 0);
        match (forward, backward) {
            (true, true) => RowOrder::Mixed,
            (false, true) => RowOrder::NewestFirst,
            _ => RowOrder::OldestFirst,
        }
    }

    fn style(&self, table: &dyn Table, options: &FileOptions) -> Result<Style> {
        if let Some(decimal) = options.decimal {
            return Ok(Style { decimal });
        }
        self.numbers
            .decide(table.separator() == Some(b','))
            .map_err(|why| config("--decimal", format!("{why}: expected . or ,")))
    }

    /// Whether there is a column of intervals, and every one in it is known.
    fn all_say_their_interval(&self, table: &dyn Table, layout: &Layout) -> Result<bool> {
        let Some(column) = layout.interval else {
            return Ok(false);
        };
        let mut said = 0;
        for seen in &self.seen {
            let Some(at) = seen.name.iter().rposition(|b| *b == 0) else {
                continue;
            };
            let text = String::from_utf8_lossy(&seen.name[at + 1..]);
            if text.is_empty() {
                continue;
            }
            if interval_named(&text).is_none() {
                return Err(config(
                    "--interval",
                    format!(
                        "{:?} says {text:?}, which is none of the intervals that are kept (1s, 1m, 5m, \
                         15m, 1h, 1d)",
                        table.columns()[column].name
                    ),
                ));
            }
            said += 1;
        }
        Ok(said == self.seen.len())
    }

    fn interval(&self, options: &FileOptions, notes: &mut Vec<String>) -> Result<Found> {
        let tracks = self.seen.iter().filter_map(|seen| {
            let name: Vec<u8> = seen.name.iter().copied().take_while(|b| *b != 0).collect();
            Some((
                String::from_utf8_lossy(&name).into_owned(),
                seen.track.as_ref()?,
            ))
        });
        let has_clocks = self.times.is_clocked() || self.evidence.has_clocks();
        let found = spacing::of_file(tracks, has_clocks);
        let Some(asked) = options.interval else {
            let found = found.map_err(|open| config(open.option, open.why))?;
            if found.rows_per_bar() > 1 {
                notes.push(format!(
                    "the rows are {} apart, which is no interval that is kept: {} of them make a bar of {}",
                    length(found.spacing),
                    found.rows_per_bar(),
                    found.interval
                ));
            }
            return Ok(found);
        };
        let kept = Found {
            spacing: asked.micros(),
            interval: asked,
        };
        match found {
            Ok(found) if found.spacing < asked.micros() => {
                if asked.micros() % found.spacing != 0 {
                    return Err(config(
                        "--interval",
                        format!(
                            "the rows are {} apart, and {asked} is no multiple of it",
                            length(found.spacing)
                        ),
                    ));
                }
                notes.push(format!(
                    "the rows are {} apart: up to {} of them make a bar of {asked}, as asked",
                    length(found.spacing),
                    asked.micros() / found.spacing
                ));
                Ok(Found {
                    spacing: found.spacing,
                    interval: asked,
                })
            }
            Ok(found) if found.spacing > asked.micros() => {
                notes.push(format!(
                    "the rows are {} apart, and kept as bars of {asked}, as asked",
                    length(found.spacing)
                ));
                Ok(kept)
            }
            _ => Ok(kept),
        }
    }
}

/// An interval as tools write it: `1m`, `D` (Stooq), `5` (minutes), `1min`, `60min`, `1Day`.
pub fn interval_named(text: &str) -> Option<Interval> {
    if let Ok(interval) = text.parse() {
        return Some(interval);
    }
    let text = text.trim().to_ascii_lowercase();
    let minutes = |n: &str| match n {
        "1" => Some(Interval::M1),
        "5" => Some(Interval::M5),
        "15" => Some(Interval::M15),
        "60" => Some(Interval::H1),
        "1440" => Some(Interval::D1),
        _ => None,
    };
    match text.as_str() {
        "d" | "day" | "daily" | "1day" | "day_1" | "d1" => Some(Interval::D1),
        "h1" | "1hour" | "hour" | "hourly" => Some(Interval::H1),
        _ => minutes(
            text.trim_end_matches("minute")
                .trim_end_matches("min")
                .trim_start_matches('m'),
        ),
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

/// A row for a person: what it is called, and its cells.
type Shown = (u64, Vec<String>);

/// The error of a file that has two series in one.
fn mixed_series(conflict: &Conflict, has_bars: bool) -> SourceError {
    let what = if has_bars { "bar" } else { "trade" };
    let Conflict {
        when,
        rows: (a, b),
        column,
    } = conflict;
    let twice =
        format!("the {what} of {when} stands there twice with different values (rows {a} and {b})");
    config(
        "--symbol-column",
        match column {
            Some(name) => format!(
                "{twice}: the column {name:?} tells two series apart; name it, or keep the rows of one"
            ),
            None => format!(
                "{twice}, and no column tells two series apart: keep the rows of one, or the right rows"
            ),
        },
    )
}

/// Two rows of one key with different values.
pub struct Conflict {
    /// The key's time, as it is written.
    pub when: String,
    /// What the rows are called.
    pub rows: (u64, u64),
    /// The column that tells them apart.
    pub column: Option<String>,
}

/// Looks at pairs of rows of one key again: the first whose `values` differ as numbers, and the column, not
/// one of the `used`, that tells all such pairs apart. Nothing when none differ.
///
/// # Errors
/// [`SourceError::File`].
pub fn telling_column(
    table: &dyn Table,
    values: &[usize],
    used: &[usize],
    time: usize,
    style: Style,
    pairs: &[(u64, u64)],
) -> Result<Option<Conflict>> {
    let columns = table.columns();
    let readable: Vec<usize> = (0..columns.len())
        .filter(|at| !matches!(columns[*at].kind, ColumnKind::Other(_)))
        .collect();
    let wanted: std::collections::BTreeSet<u64> =
        pairs.iter().flat_map(|(a, b)| [*a, *b]).collect();
    let mut rows: HashMap<u64, Shown> = HashMap::new();
    table.scan(&readable, BATCH_ROWS, &mut |batch| {
        let end = batch.first_row + batch.rows as u64;
        for row in wanted.range(batch.first_row..end) {
            let at = (*row - batch.first_row) as usize;
            let cells = batch
                .columns
                .iter()
                .map(|column| String::from_utf8_lossy(&column.text(at)).into_owned());
            rows.insert(*row, (batch.place(at), cells.collect()));
        }
        Ok(if rows.len() == wanted.len() {
            ControlFlow::Break(())
        } else {
            ControlFlow::Continue(())
        })
    })?;
    let mut real: Vec<(&Shown, &Shown)> = Vec::new();
    for (a, b) in pairs {
        let (Some(a), Some(b)) = (rows.get(a), rows.get(b)) else {
            continue;
        };
        let differ = readable.iter().enumerate().any(|(place, column)| {
            let number = |row: &Shown| style.read(row.1[place].as_bytes());
            values.contains(column) && a.1[place] != b.1[place] && number(a) != number(b)
        });
        if differ {
            real.push((a, b));
        }
    }
    let Some((a, b)) = real.first() else {
        return Ok(None);
    };
    // A column that differs in each pair, and holds words rather than numbers, tells them apart.
    let apart = |place: &usize| {
        real.iter().all(|(a, b)| {
            let (a, b) = (&a.1[*place], &b.1[*place]);
            a != b && !a.is_empty() && !b.is_empty()
        })
    };
    let words = |place: usize| {
        real.iter()
            .flat_map(|(a, b)| [&a.1[place], &b.1[place]])
            .all(|cell| style.read(cell.as_bytes()).is_none())
    };
    let mut telling: Vec<usize> = (0..readable.len())
        .filter(|place| !used.contains(&readable[*place]))
        .filter(apart)
        .collect();
    telling.sort_by_key(|place| {
        let name = &columns[readable[*place]].name;
        let is_symbol = matches!(meaning_of(name), Some((Meaning::Symbol, _)));
        (!is_symbol, !words(*place))
    });
    let when = readable
        .iter()
        .position(|at| *at == time)
        .map_or_else(String::new, |place| a.1[place].clone());
    let telling = telling.first().filter(|place| words(**place));
    Ok(Some(Conflict {
        when,
        rows: (a.0.min(b.0), a.0.max(b.0)),
        column: telling.map(|place| columns[readable[*place]].name.clone()),
    }))
}

fn config(key: &str, expected: String) -> SourceError {
    SourceError::Config {
        key: key.into(),
        expected,
    }
}
