//! Sorts the rows of a file that may be larger than memory by the time at which they were known.
//!
//! Model: an external merge sort. Rows are gathered into runs of one size, each sorted and
//! written to a temporary file; [`FAN_IN`] runs of one level are merged into one of the next, so the
//! files open at once stay few however long the file is. The sort is stable: rows of one instant
//! keep the order in which they were pushed. Memory: one run, and one read buffer and one row per
//! open file.
//!
//! The temporary files have no name (they are unlinked as soon as they are open), so a process that
//! is killed leaves none behind. They lie where the system says (`TMPDIR`) and take about as much
//! room as the file does without compression; where that directory is in memory, so are they.

use std::{
    cmp::Reverse,
    collections::BinaryHeap,
    fs::File,
    io::{BufRead, BufReader, BufWriter, Seek, Write},
};

use market::{Bar, Tick, TickKey, Timestamp};
use serde::{Deserialize, Serialize};

use crate::{Result, SourceError};

/// Rows that are sorted in memory; about 10 MB.
pub(super) const RUN_ROWS: usize = 65_536;
/// Runs that are merged at once.
const FAN_IN: usize = 64;
const BUFFER_BYTES: usize = 32 << 10;

/// A row of either kind.
#[derive(Debug, Serialize, Deserialize)]
pub(super) enum Row {
    #[serde(rename = "t")]
    Tick(Tick),
    #[serde(rename = "b")]
    Bar(Bar),
}

impl Row {
    /// When it was known: a trade's time, a bar's end.
    pub(super) fn known_at(&self) -> Timestamp {
        match self {
            Self::Tick(tick) => tick.ts,
            Self::Bar(bar) => bar.end(),
        }
    }
}

/// Moves a tick by so many microseconds.
pub(super) fn shift_tick(tick: &mut Tick, us: i64) {
    tick.ts = tick.ts.plus_micros(us);
}

/// Moves a bar, and the keys of its trades with it.
pub(super) fn shift_bar(bar: &mut Bar, us: i64) {
    let moved = |key: TickKey| TickKey {
        ts: key.ts.plus_micros(us),
        seq: key.seq,
    };
    bar.start = bar.start.plus_micros(us);
    bar.first = moved(bar.first);
    bar.last = moved(bar.last);
}

type Rows = Box<dyn Iterator<Item = Result<Row>>>;

/// Takes rows in any order and gives them back in order.
pub(super) struct Sorter {
    run_rows: usize,
    rows: Vec<Row>,
    /// Runs by level; within a level, and from the highest level down, in the order of the rows.
    levels: Vec<Vec<File>>,
}

impl Sorter {
    /// One that holds `run_rows` rows in memory at most.
    pub(super) const fn new(run_rows: usize) -> Self {
        Self {
            run_rows,
            rows: Vec::new(),
            levels: Vec::new(),
        }
    }

    /// Takes a row.
    ///
    /// # Errors
    /// [`SourceError::File`] when a temporary file cannot be written.
    pub(super) fn push(&mut self, row: Row) -> Result<()> {
        self.rows.push(row);
        if self.rows.len() >= self.run_rows {
            self.rows.sort_by_key(Row::known_at);
            let run = written(self.rows.drain(..).map(Ok))?;
            self.put(0, run)?;
        }
        Ok(())
    }

    fn put(&mut self, level: usize, run: File) -> Result<()> {
        if self.levels.len() == level {
            self.levels.push(Vec::new());
        }
        self.levels[level].push(run);
        if self.levels[level].len() < FAN_IN {
            return Ok(());
        }
        let runs = std::mem::take(&mut self.levels[level]);
        let merged = Merge::new(runs.into_iter().map(read_back).collect())?;
        let run = written(merged)?;
        self.put(level + 1, run)
    }

    /// All rows, in order.
    ///
    /// # Errors
    /// [`SourceError::File`] when a temporary file cannot be read.
    pub(super) fn finish(mut self) -> Result<Merge> {
        self.rows.sort_by_key(Row::known_at);
        let levels = self.levels.into_iter().rev().flatten();
        let mut sources: Vec<Rows> = levels.map(read_back).collect();
        sources.push(Box::new(self.rows.into_iter().map(Ok)));
        Merge::new(sources)
    }
}

/// Sorted sources as one. Of rows of one instant, those of the earlier source come first.
pub(super) struct Merge {
    sources: Vec<Rows>,
    heads: Vec<Option<Row>>,
    order: BinaryHeap<Reverse<(Timestamp, usize)>>,
}

impl Merge {
    fn new(sources: Vec<Rows>) -> Result<Self> {
        let mut merge = Self {
            heads: sources.iter().map(|_| None).collect(),
            order: BinaryHeap::with_capacity(sources.len()),
            sources,
        };
        for index in 0..merge.sources.len() {
            merge.fill(index)?;
        }
        Ok(merge)
    }

    fn fill(&mut self, index: usize) -> Result<()> {
        if let Some(row) = self.sources[index].next().transpose()? {
            self.order.push(Reverse((row.known_at(), index)));
            self.heads[index] = Some(row);
        }
        Ok(())
    }
}

impl Iterator for Merge {
    type Item = Result<Row>;

    fn next(&mut self) -> Option<Self::Item> {
        let Reverse((_, index)) = self.order.pop()?;
        let row = self.heads[index].take()?;
        Some(self.fill(index).map(|()| row))
    }
}

fn written(rows: impl Iterator<Item = Result<Row>>) -> Result<File> {
    let file = tempfile::tempfile().map_err(|e| failed(&e))?;
    let mut out = BufWriter::with_capacity(BUFFER_BYTES, file);
    for row in rows {
        serde_json::to_writer(&mut out, &row?).map_err(|e| failed(&e))?;
        out.write_all(b"\n").map_err(|e| failed(&e))?;
    }
    let mut file = out.into_inner().map_err(|e| failed(&e))?;
    file.rewind().map_err(|e| failed(&e))?;
    Ok(file)
}

fn read_back(run: File) -> Rows {
    let mut lines = BufReader::with_capacity(BUFFER_BYTES, run);
    let mut line = String::new();
    Box::new(std::iter::from_fn(move || {
        line.clear();
        match lines.read_line(&mut line) {
            Ok(0) => None,
            Ok(_) => Some(serde_json::from_str(&line).map_err(|e| failed(&e))),
            Err(e) => Some(Err(failed(&e))),
        }
    }))
}

fn failed(error: &dyn std::fmt::Display) -> SourceError {
    SourceError::File {
        path: std::env::temp_dir().display().to_string(),
        detail: format!("sorting in a temporary file: {error}"),
        missing: false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn more_rows_than_fit_in_memory_come_back_sorted_and_rows_of_one_instant_in_their_order() {
        let mut sorter = Sorter::new(1_000);
        let count = 3_017;
        let mut random = testing::Lcg::new(1, 1);
        for seq in 0..count {
            let tick = Tick {
                symbol: "A".parse().unwrap(),
                ts: Timestamp::from_secs((random.bits() >> 54) as i64),
                seq,
                price: 0.1 + seq as f64 / 3.0,
                size: 1.0,
            };
            sorter.push(Row::Tick(tick)).unwrap();
        }
        assert_eq!(sorter.levels[0].len(), 3);
        let mut last = (Timestamp::MIN, 0);
        let mut seen = 0;
        for row in sorter.finish().unwrap() {
            let Row::Tick(tick) = row.unwrap() else {
                panic!("a tick became a bar");
            };
            assert!(seen == 0 || last < (tick.ts, tick.seq));
            assert_eq!(tick.price, 0.1 + tick.seq as f64 / 3.0);
            last = (tick.ts, tick.seq);
            seen += 1;
        }
        assert_eq!(seen, count);
    }

    #[test]
    fn many_runs_are_merged_level_by_level_and_stay_few() {
        let mut sorter = Sorter::new(RUN_ROWS);
        let tick = |seq: u64| {
            Row::Tick(Tick {
                symbol: "A".parse().unwrap(),
                ts: Timestamp::from_secs(1_000 - (seq as i64) % 1_000),
                seq,
                price: 1.0,
                size: 0.0,
            })
        };
        for seq in 0..200 {
            sorter
                .put(0, written([Ok(tick(seq))].into_iter()).unwrap())
                .unwrap();
        }
        let sizes: Vec<usize> = sorter.levels.iter().map(Vec::len).collect();
        assert_eq!(sizes, [8, 3]);
        let order: Vec<Timestamp> = sorter
            .finish()
            .unwrap()
            .map(|row| row.unwrap().known_at())
            .collect();
        assert_eq!(order.len(), 200);
        assert!(order.is_sorted());
    }
}
