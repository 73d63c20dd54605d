//! Plays a file as a live source.
//!
//! Checkpoint semantics: none. A replay always starts with the first row, so a process that dies, or
//! a source that is started again, loses nothing: the store drops what it has already. A batch that
//! was not taken is sent again. At a speed in times it waits until a batch was taken before it sends
//! the next; at `max` up to [`AHEAD`] batches are on their way at once, so one that has to be sent
//! again may come after its successors. The source ends only when all of them were taken.
//!
//! Model: a thread of its own reads the rows in the order of the time at which they were known (a
//! trade's time, a bar's end; see [`ordered`]), a few batches ahead, and they are handed on when that
//! time comes, at a chosen speed. Memory does not grow with the file: one that is in the order of
//! time is read twice, any other is sorted in temporary files first.

use std::{collections::VecDeque, path::PathBuf, sync::Arc, time::Duration};

use async_trait::async_trait;
use market::{Bar, Timestamp};
use serde::{Deserialize, Serialize};
use tokio::{
    sync::{mpsc, oneshot},
    time::Instant,
};
use tokio_util::sync::CancellationToken;

use super::ordered;
use crate::{
    Decoded, InFlight, Result, SourceBatch, SourceError, SourceSink, TickSource, WallClock,
    decode::hash_text, file::FileOptions, system_clock,
};

/// How fast a file is played. Text: `1x`, `60x`, `max`.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum Speed {
    /// So many seconds of the file in one second.
    Times(f64),
    /// As fast as the pipeline takes it.
    Max,
}

impl std::str::FromStr for Speed {
    type Err = SourceError;

    fn from_str(text: &str) -> Result<Self> {
        let text = text.trim();
        if text.eq_ignore_ascii_case("max") {
            return Ok(Self::Max);
        }
        match text.trim_end_matches(['x', 'X']).parse::<f64>() {
            Ok(times) if times.is_finite() && times > 0.0 => Ok(Self::Times(times)),
            _ => Err(SourceError::Config {
                key: "speed".into(),
                expected: format!("expected 1x, 60x or the like, or max, got {text:?}"),
            }),
        }
    }
}

impl TryFrom<String> for Speed {
    type Error = SourceError;

    fn try_from(text: String) -> Result<Self> {
        text.parse()
    }
}

impl From<Speed> for String {
    fn from(speed: Speed) -> Self {
        match speed {
            Speed::Times(times) => format!("{times}x"),
            Speed::Max => "max".into(),
        }
    }
}

/// Which times the rows get.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ReplayTimes {
    /// Those of the file.
    #[default]
    Event,
    /// Those of the file, all moved by the same whole number of bars, so that the last row falls on
    /// the moment (rounded down to a bar) at which it is played; below 1x, the first one does, so
    /// that no row lies ahead of the clock.
    ShiftedToNow,
}

/// What to play.
#[derive(Clone)]
pub struct ReplayOptions {
    /// The file.
    pub path: PathBuf,
    /// How to read it.
    pub reading: FileOptions,
    /// How fast.
    pub speed: Speed,
    /// Which times.
    pub times: ReplayTimes,
    /// The wall clock.
    pub clock: WallClock,
}

impl ReplayOptions {
    /// The defaults: once, at 1x, with the times of the file.
    pub fn new(path: impl Into<PathBuf>) -> Self {
        let clock = system_clock();
        Self {
            path: path.into(),
            reading: FileOptions::new(clock()),
            speed: Speed::Times(1.0),
            times: ReplayTimes::Event,
            clock,
        }
    }
}

/// Rows that come within so much of the wall clock's time go into one batch.
const GATHER: Duration = Duration::from_millis(5);
/// Batches that are read ahead.
const READ_AHEAD: usize = 2;
/// Batches that are on their way at once at the speed `max`.
const AHEAD: usize = 4;

/// A file played as a live source.
///
/// ```
/// use source::replay::{FileReplay, ReplayOptions, Speed};
///
/// let source = FileReplay::new(ReplayOptions {
///     speed: Speed::Times(60.0),
///     ..ReplayOptions::new("day.csv")
/// });
/// // Run by a pipeline: source::TickSource::run(Box::new(source), sink, cancel).
/// # drop(source);
/// ```
pub struct FileReplay {
    name: Arc<str>,
    options: ReplayOptions,
}

impl FileReplay {
    /// A replay that is named after its file: `replay:prices.csv`.
    pub fn new(options: ReplayOptions) -> Self {
        let file = options.path.file_name().unwrap_or_default();
        Self {
            name: format!("replay:{}", file.to_string_lossy()).into(),
            options,
        }
    }

    fn file_error(&self, detail: impl Into<String>) -> SourceError {
        SourceError::File {
            path: self.options.path.display().to_string(),
            detail: detail.into(),
            missing: false,
        }
    }
}

#[async_trait]
impl TickSource for FileReplay {
    fn name(&self) -> Arc<str> {
        self.name.clone()
    }

    async fn run(self: Box<Self>, out: SourceSink, cancel: CancellationToken) -> Result<()> {
        let (batches, mut read) = mpsc::channel(READ_AHEAD);
        let (tell, ended) = oneshot::channel();
        let options = self.options.clone();
        // A thread of its own and not of the runtime's pool: it lives as long as the play does, and
        // ends by itself when nobody takes its batches any more.
        std::thread::Builder::new()
            .name("tickcast-replay".into())
            .spawn(move || {
                // Nobody hears it when the play was cancelled.
                let _ = tell.send(ordered::read(&options, &batches));
            })
            .map_err(|e| self.file_error(format!("no thread to read it: {e}")))?;
        let play = async {
            self.play(&mut read, &out).await?;
            ended
                .await
                .unwrap_or_else(|_| Err(self.file_error("reading it panicked")))
        };
        tokio::select! {
            biased;
            () = cancel.cancelled() => Ok(()),
            done = play => done,
        }
    }
}

impl FileReplay {
    async fn play(&self, read: &mut mpsc::Receiver<Decoded>, out: &SourceSink) -> Result<()> {
        let mut sending = Sending {
            source: self.name.clone(),
            out,
            ahead: VecDeque::with_capacity(AHEAD),
        };
        // When the first row was played, and its time.
        let mut begun: Option<(Instant, Timestamp)> = None;
        while let Some(rows) = read.recv().await {
            let Speed::Times(times) = self.options.speed else {
                sending.send(rows, AHEAD).await?;
                continue;
            };
            let mut rejects = rows.rejects;
            let mut ticks = rows.ticks.into_iter().peekable();
            let mut bars = rows.bars.into_iter().peekable();
            loop {
                let heads = [ticks.peek().map(|t| t.ts), bars.peek().map(Bar::end)];
                let Some(known_at) = heads.into_iter().flatten().min() else {
                    break;
                };
                let (started, origin) = *begun.get_or_insert_with(|| (Instant::now(), known_at));
                let due = |at: Timestamp| {
                    let us = at.micros_since(origin) as f64 / times;
                    started + Duration::from_micros(us as u64)
                };
                let until = due(known_at);
                tokio::time::sleep_until(until).await;
                let until = until + GATHER;
                let mut batch = Decoded {
                    rejects: std::mem::take(&mut rejects),
                    ..Decoded::default()
                };
                while let Some(tick) = ticks.next_if(|t| due(t.ts) <= until) {
                    batch.ticks.push(tick);
                }
                while let Some(bar) = bars.next_if(|b| due(b.end()) <= until) {
                    batch.bars.push(bar);
                }
                sending.send(batch, 1).await?;
            }
            sending
                .send(
                    Decoded {
                        rejects,
                        ..Decoded::default()
                    },
                    1,
                )
                .await?;
        }
        sending.settle(0).await
    }
}

/// Batches on their way, each kept until it was taken.
struct Sending<'a> {
    source: Arc<str>,
    out: &'a SourceSink,
    ahead: VecDeque<(SourceBatch, InFlight)>,
}

impl Sending<'_> {
    /// Sends rows, then waits until fewer than `most` batches are on their way.
    async fn send(&mut self, rows: Decoded, most: usize) -> Result<()> {
        if rows.rows() == 0 {
            return Ok(());
        }
        let mut rejects = rows.rejects;
        for reject in &mut rejects {
            // The line and its text: played again, the file leaves no duplicate dead letter.
            let row = format!("{}/{:016x}", reject.origin, hash_text(&reject.payload));
            reject.message = Some(row);
        }
        let batch = SourceBatch {
            source: self.source.clone(),
            source_offset: None,
            received: std::time::Instant::now(),
            ticks: rows.ticks,
            bars: rows.bars,
            rejects,
        };
        let sent = self.out.send_ahead(batch.clone()).await?;
        self.ahead.push_back((batch, sent));
        self.settle(most - 1).await
    }

    /// Waits until at most `most` batches are on their way.
    async fn settle(&mut self, most: usize) -> Result<()> {
        while self.ahead.len() > most
            && let Some((batch, sent)) = self.ahead.pop_front()
        {
            let mut taken = sent.taken().await;
            while matches!(taken, Err(SourceError::NotTaken)) {
                tokio::time::sleep(Duration::from_millis(100)).await;
                taken = self.out.send(batch.clone()).await;
            }
            taken?;
        }
        Ok(())
    }
}
