//! The source itself: asks, reads, hands on, waits.

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use market::{Symbol, Tick, TickRules, Timestamp};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use super::{
    fetch::{Client, Fetched, Validator},
    mapping::{Answer, Received},
    offset::{Checkpoint, SourceOffset, StreamPosition},
    pace::Backoff,
    provider::{Ask, Paging, Provider, shown},
    repeats::{Repeats, latest},
};
use crate::{Result, SourceBatch, SourceError, SourceSink, TickSource, WallClock, system_clock};

/// Answers up to this size (about 400 rows, well below a millisecond) are read where they arrive.
const INLINE_BYTES: usize = 32 << 10;

/// How much later than others a row may come to a provider: so far back a stream asks by time that went
/// by a cursor before.
const LATE: Duration = Duration::from_secs(10);

/// Failures of one stream in a row after which the others get their turn.
const PATIENCE: u32 = 5;

/// What to poll, and how hard.
#[derive(Clone)]
pub struct RestOptions {
    /// The source's name in batches, `rest:tickcast`.
    pub name: Arc<str>,
    /// The provider.
    pub provider: Provider,
    /// The symbols to ask for. Needed by providers that are asked for one at a time; empty asks the
    /// others for all.
    pub symbols: Vec<Symbol>,
    /// Where to start when the checkpoint says nothing.
    pub since: Timestamp,
    /// Where to go on.
    pub checkpoint: Checkpoint,
    /// Rows at the checkpoint and after it that were handed over already: left out when they come.
    pub taken: Vec<Tick>,
    /// The wait between two polls of a stream that has no more pages.
    pub poll_interval: Duration,
    /// The limit of a request, first byte to last.
    pub timeout: Duration,
    /// Requests per second; `None`: as many as it takes.
    pub requests_per_second: Option<f64>,
    /// The first back-off after a failure.
    pub backoff_base: Duration,
    /// The longest back-off.
    pub backoff_cap: Duration,
    /// Decides the jitter.
    pub seed: u64,
    /// The rules for rows.
    pub rules: TickRules,
    /// The wall clock.
    pub clock: WallClock,
}

impl RestOptions {
    /// The defaults for a provider: poll every 5 ms if it holds the request until there are rows
    /// (`wait_ms`), else every second; 10 s for a request; back-off from 100 ms to 30 s; rows at
    /// most 10 s ahead of the clock.
    pub fn new(name: impl Into<Arc<str>>, provider: Provider, since: Timestamp) -> Self {
        let holds = provider.query.contains_key("wait_ms");
        Self {
            name: name.into(),
            provider,
            symbols: Vec::new(),
            since,
            checkpoint: Checkpoint::new(),
            taken: Vec::new(),
            poll_interval: Duration::from_millis(if holds { 5 } else { 1_000 }),
            timeout: Duration::from_secs(10),
            requests_per_second: None,
            backoff_base: Duration::from_millis(100),
            backoff_cap: Duration::from_secs(30),
            seed: 0,
            rules: TickRules {
                max_ahead_us: 10_000_000,
                ..TickRules::default()
            },
            clock: system_clock(),
        }
    }
}

/// Whether a provider says that there is no such page, and not that it does not know us.
const fn names_no_page(error: &SourceError) -> bool {
    matches!(
        error,
        SourceError::Refused {
            status: 400 | 404 | 410 | 422,
            ..
        }
    )
}

struct Stream {
    name: String,
    symbol: Option<Symbol>,
    position: StreamPosition,
    /// The token or address of the next page of the request that asked for rows since `since`.
    page: Option<String>,
    /// The latest row of the pages so far.
    latest: Option<Timestamp>,
    validator: Option<Validator>,
    /// Of a provider that is asked for rows since a time, and what was taken before the start.
    repeats: Repeats,
}

/// Polls a provider.
pub struct RestSource {
    options: RestOptions,
    client: Client,
    streams: Vec<Stream>,
    checkpoints: watch::Sender<Checkpoint>,
    backoff: Backoff,
}

impl RestSource {
    /// # Errors
    /// [`SourceError::Config`] for an address that is none, a provider that needs symbols and has
    /// none, or a rate that is not above zero.
    pub fn new(options: RestOptions) -> Result<Self> {
        let config = |key: &str, expected: String| SourceError::Config {
            key: key.into(),
            expected,
        };
        let per_symbol = options.provider.is_per_symbol();
        if per_symbol && options.symbols.is_empty() {
            return Err(config(
                "symbols",
                "this provider is asked for one symbol at a time: name at least one".into(),
            ));
        }
        if let Some(rate) = options.requests_per_second
            && !(rate.is_finite() && rate > 0.0)
        {
            return Err(config(
                "requests_per_second",
                format!("expected a number above zero, got {rate}"),
            ));
        }
        let client = Client::new(&options)?;
        let names: Vec<(String, Option<Symbol>)> = if per_symbol {
            options
                .symbols
                .iter()
                .map(|s| (s.to_string(), Some(s.clone())))
                .collect()
        } else {
            vec![(String::new(), None)]
        };
        let streams: Vec<Stream> = names
            .into_iter()
            .map(|(name, symbol)| {
                let own = |tick: &&Tick| symbol.as_ref().is_none_or(|s| *s == tick.symbol);
                Stream {
                    position: options.checkpoint.get(&name).cloned().unwrap_or_default(),
                    repeats: Repeats::after(options.taken.iter().filter(own)),
                    name,
                    symbol,
                    page: None,
                    latest: None,
                    validator: None,
                }
            })
            .collect();
        if let Some(first) = streams.first() {
            options.provider.address(&Ask {
                symbol: first.symbol.as_ref(),
                symbols: &options.symbols,
                since: Some(options.since),
                until: Some(options.since),
                next: None,
            })?;
        }
        Ok(Self {
            client,
            streams,
            checkpoints: watch::channel(options.checkpoint.clone()).0,
            backoff: Backoff::new(options.backoff_base, options.backoff_cap, options.seed),
            options,
        })
    }

    /// The latest checkpoint, each after the pipeline has taken what lies before it.
    pub fn checkpoints(&self) -> watch::Receiver<Checkpoint> {
        self.checkpoints.subscribe()
    }

    /// Asks for one page of a stream and hands it on. True when there is more to ask for at once.
    async fn turn(&mut self, at: usize, out: &SourceSink) -> Result<bool> {
        let now = (self.options.clock)();
        let stream = &self.streams[at];
        let cursor = matches!(self.options.provider.paging, Paging::Cursor(_));
        let url = self.options.provider.address(&Ask {
            symbol: stream.symbol.as_ref(),
            symbols: &self.options.symbols,
            since: Some(stream.position.since.unwrap_or(self.options.since)),
            until: Some(now),
            next: if cursor {
                stream.position.cursor.as_deref()
            } else {
                stream.page.as_deref()
            },
        })?;
        let validator = self.streams[at].validator.as_ref();
        let fetched = match self.client.get(&url, validator).await {
            Err(error) if cursor && names_no_page(&error) => {
                self.forget_cursor(at);
                return Err(error);
            }
            fetched => fetched?,
        };
        let Fetched::Body { bytes, validator } = fetched else {
            return Ok(false);
        };
        let received = std::time::Instant::now();
        let answer = self.read(bytes, at).await.map_err(|detail| {
            // A token may have expired: the next try begins with the first page again.
            self.streams[at].page = None;
            SourceError::Answer {
                url: shown(&url),
                detail,
            }
        })?;
        let decoded = answer.decoded;
        let (rows, latest) = (decoded.rows(), latest(&decoded));
        // A provider with a cursor sends nothing twice, once it goes on.
        let seen = (!cursor).then(|| decoded.clone());
        let fresh = self.streams[at].repeats.leave_out(decoded);
        if fresh.rows() > 0 {
            let batch = SourceBatch {
                source: self.options.name.clone(),
                source_offset: self.offset(at).text(),
                received,
                ticks: fresh.ticks,
                bars: fresh.bars,
                rejects: fresh.rejects,
            };
            // Not taken: the same page is asked for again.
            out.send(batch).await?;
            self.streams[at].position.batches += 1;
        }
        if let Some(seen) = seen {
            self.streams[at].repeats.remember(&seen);
        }
        let full = rows >= self.options.provider.page_limit;
        let more = self.advance(at, answer.next, latest, full, validator);
        if !more {
            let stream = &mut self.streams[at];
            stream.repeats.end_round(stream.position.since);
        }
        Ok(more)
    }

    /// A provider may forget a cursor: whoever goes on from here asks by time.
    fn forget_cursor(&mut self, at: usize) {
        let stream = &mut self.streams[at];
        if stream.position.cursor.take().is_some() {
            let late = i64::try_from(LATE.as_micros()).unwrap_or(i64::MAX);
            stream.position.since = stream.position.since.map(|since| since.plus_micros(-late));
            let (name, position) = (stream.name.clone(), stream.position.clone());
            self.checkpoints.send_modify(|checkpoint| {
                checkpoint.insert(name, position);
            });
        }
    }

    /// Where a stream stands; before its first row, where it was started.
    fn offset(&self, at: usize) -> SourceOffset {
        let stream = &self.streams[at];
        let mut position = stream.position.clone();
        position.since = position.since.or(Some(self.options.since));
        SourceOffset {
            stream: stream.name.clone(),
            position,
        }
    }

    /// Decodes on the thread pool for blocking work when it is worth the way there.
    async fn read(&self, bytes: Vec<u8>, at: usize) -> std::result::Result<Answer, String> {
        let mapping = self.options.provider.mapping.clone();
        let symbol = self.streams[at].symbol.clone();
        let (origin, rules) = (self.options.name.clone(), self.options.rules.clone());
        let now = (self.options.clock)();
        let few = bytes.len() <= INLINE_BYTES;
        let read = move || {
            mapping.read(Received {
                body: &bytes,
                symbol: symbol.as_ref().map(Symbol::as_str),
                origin: &origin,
                now,
                rules: &rules,
            })
        };
        if few {
            return read();
        }
        tokio::task::spawn_blocking(read)
            .await
            .map_err(|e| e.to_string())?
    }

    fn advance(
        &mut self,
        at: usize,
        next: Option<String>,
        latest: Option<Timestamp>,
        full: bool,
        validator: Option<Validator>,
    ) -> bool {
        let stream = &mut self.streams[at];
        let before = stream.position.clone();
        stream.latest = stream.latest.max(latest);
        let more = match self.options.provider.paging {
            Paging::Cursor(_) => {
                // The time goes along so that a cursor the provider has forgotten can be replaced.
                stream.position.since = stream.position.since.max(stream.latest);
                if next.is_some() {
                    stream.position.cursor = next;
                }
                full
            }
            Paging::Token(_) | Paging::Url if next.is_some() => {
                stream.page = next;
                true
            }
            Paging::Token(_) | Paging::Url | Paging::None => {
                stream.page = None;
                let moved = stream.latest > stream.position.since;
                stream.position.since = stream.position.since.max(stream.latest);
                // Where nothing says whether there is more, a full page does, if it brought the
                // time on.
                self.options.provider.paging == Paging::None && full && moved
            }
        };
        stream.validator = validator;
        if stream.position != before {
            let (name, position) = (stream.name.clone(), stream.position.clone());
            self.checkpoints.send_modify(|checkpoint| {
                checkpoint.insert(name, position);
            });
        }
        more
    }

    /// Polls every stream until it has no more pages, or has failed too often for the others to wait.
    async fn round(&mut self, out: &SourceSink) -> Result<()> {
        for at in 0..self.streams.len() {
            let mut failures = 0;
            while failures < PATIENCE {
                match self.turn(at, out).await {
                    Ok(more) => {
                        failures = 0;
                        self.backoff.reset();
                        out.is_well();
                        if !more {
                            break;
                        }
                    }
                    Err(SourceError::Closed) => return Err(SourceError::Closed),
                    Err(error) if !error.kind().is_transient() => return Err(error),
                    Err(error) => {
                        let mut wait = self.backoff.wait();
                        if let SourceError::Unavailable {
                            retry_after: Some(asked),
                            ..
                        } = &error
                        {
                            wait = wait.max(*asked);
                        }
                        out.waits(&error, wait);
                        metrics::counter!(
                            "tickcast_source_retries_total",
                            "source" => self.options.name.to_string()
                        )
                        .increment(1);
                        tracing::warn!(
                            source = %self.options.name,
                            wait_ms = wait.as_millis() as u64,
                            "{error}; trying again"
                        );
                        tokio::time::sleep(wait).await;
                        failures += 1;
                    }
                }
            }
        }
        Ok(())
    }
}

#[async_trait]
impl TickSource for RestSource {
    fn name(&self) -> Arc<str> {
        self.options.name.clone()
    }

    async fn run(mut self: Box<Self>, out: SourceSink, cancel: CancellationToken) -> Result<()> {
        loop {
            let interval = self.options.poll_interval;
            let poll = async {
                self.round(&out).await?;
                tokio::time::sleep(interval).await;
                Ok(())
            };
            tokio::select! {
                biased;
                () = cancel.cancelled() => return Ok(()),
                done = poll => done?,
            }
        }
    }
}
