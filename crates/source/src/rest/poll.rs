//! The source itself: asks, reads, hands on, waits.
//!
//! Model: each stream is due at a time of its own. One that has been read to its end is due again after the
//! poll interval; one whose request failed, after a back-off of its own, so that a symbol that cannot be had
//! does not hold up the others. When streams fail one after the other, it is the provider that is in trouble,
//! and all of them wait; so they do for as long as a Retry-After asks, whatever the status that it came with.
//! A fault is reported until the last stream has recovered.
//!
//! A refusal (401, 404) ends the source only where no stream has ever been answered: then it is the key or the
//! address that is wrong.

use std::{collections::HashMap, sync::Arc, time::Duration};

use async_trait::async_trait;
use market::{Symbol, Tick, Timestamp};
use tokio::{sync::watch, time::Instant};
use tokio_util::sync::CancellationToken;

use super::{
    duplicates::Duplicates,
    fetch::{Client, Fetched},
    mapping::{Answer, Received, Unusable},
    offset::{Checkpoint, SourceOffset},
    options::RestOptions,
    pace::Backoff,
    provider::{Ask, Paging, shown},
    stream::{Page, Stream},
};
use crate::{Decoded, Result, SourceBatch, SourceError, SourceSink, TickSource};

/// Answers up to this size (about 400 rows, well below a millisecond) are read where they arrive.
const INLINE_BYTES: usize = 32 << 10;

/// How much later than others a row may come to a provider: so far back a stream asks by time that went
/// by a cursor before.
const LATE: Duration = Duration::from_secs(10);

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

/// Polls a provider.
///
/// ```
/// use source::rest::{Provider, RestOptions, RestSource};
/// use source::system_clock;
///
/// let provider = Provider::preset("tickcast", Some("http://localhost:4000"))?;
/// let since = system_clock()();
/// let source = RestSource::new(RestOptions::new("rest:docs", provider, since))?;
/// let checkpoints = source.checkpoints();
/// assert!(checkpoints.borrow().is_empty());
/// # Ok::<(), source::SourceError>(())
/// ```
pub struct RestSource {
    options: RestOptions,
    client: Client,
    streams: Vec<Stream>,
    checkpoints: watch::Sender<Checkpoint>,
    /// For a provider whose streams fail one after the other.
    backoff: Backoff,
    /// The stream that failed last, while none has been answered since.
    failed_last: Option<usize>,
    /// Nothing is asked before.
    not_before: Instant,
    /// Whether any stream was ever answered.
    answered: bool,
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
        let backoff = |salt: u64| {
            Backoff::new(
                options.backoff_base,
                options.backoff_cap,
                options.seed ^ salt,
            )
        };
        let streams: Vec<Stream> = names
            .into_iter()
            .zip(1..)
            .map(|((name, symbol), salt)| {
                let own = |tick: &&Tick| symbol.as_ref().is_none_or(|s| *s == tick.symbol);
                let duplicates = Duplicates::after(options.taken.iter().filter(own));
                let position = options.checkpoint.get(&name).cloned().unwrap_or_default();
                Stream::new(name, symbol, position, duplicates, backoff(salt))
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
            backoff: backoff(0),
            failed_last: None,
            not_before: Instant::now(),
            answered: false,
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
        let start = self.options.since;
        let provider = &self.options.provider;
        let cursor = matches!(provider.paging, Paging::Cursor(_));
        let ask = self.streams[at].ask(provider, &self.options.symbols, start, now);
        let since = ask.since.unwrap_or(start);
        let url = provider.address(&ask)?;
        let validator = self.streams[at].validator.as_ref();
        let fetched = match self.client.get(&url, validator).await {
            Err(error) if cursor && names_no_page(&error) => {
                self.forget_cursor(at);
                return Err(error);
            }
            fetched => fetched?,
        };
        let (bytes, validator, retry_after) = match fetched {
            Fetched::Nothing { retry_after } => {
                self.wait_for(retry_after);
                return Ok(false);
            }
            Fetched::Body {
                bytes,
                validator,
                retry_after,
            } => (bytes, validator, retry_after),
        };
        let received = std::time::Instant::now();
        let answer = self.read(bytes, at).await.map_err(|unusable| {
            let (url, provider) = (shown(&url), &self.options.provider);
            match unusable {
                Unusable::NotAsMapped(detail) => SourceError::Answer { url, detail },
                Unusable::Reported(words) => SourceError::ErrorBody {
                    url,
                    detail: provider.without_credentials(words),
                    retry_after,
                },
            }
        })?;
        self.wait_for(retry_after);
        let decoded = answer.decoded;
        let stream = &self.streams[at];
        let mut page = page_of(&decoded, &self.options, stream.symbol.is_some(), since);
        page.next = answer.next;
        // A provider of trades with a cursor sends nothing twice, once it goes on.
        let bars_only = decoded.ticks.is_empty();
        let seen = (!cursor || bars_only).then(|| decoded.clone());
        let bad = Duplicates::names(&decoded);
        let fresh = stream.duplicates.leave_out(decoded);
        page.fresh = fresh.rows();
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
        let stream = &mut self.streams[at];
        stream.duplicates.remember_bad(bad);
        if let Some(seen) = seen {
            stream.duplicates.remember(&seen);
        }
        let before = stream.position.clone();
        let advance = stream.advance(&self.options.provider, page, start, now);
        stream.validator = validator;
        if let Some(warning) = advance.warning {
            metrics::counter!(
                "tickcast_source_warnings_total",
                "source" => self.options.name.to_string()
            )
            .increment(1);
            tracing::warn!(source = %self.options.name, stream = %stream.name, "{warning}");
            out.report_warning(warning);
        }
        if !advance.more {
            stream.duplicates.end_round(stream.position.since);
        }
        if stream.position != before {
            let (name, position) = (stream.name.clone(), stream.position.clone());
            self.checkpoints.send_modify(|checkpoint| {
                checkpoint.insert(name, position);
            });
        }
        Ok(advance.more)
    }

    /// A provider may forget a cursor: whoever goes on from here asks by time.
    fn forget_cursor(&mut self, at: usize) {
        let stream = &mut self.streams[at];
        stream.ahead = None;
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
    async fn read(&self, bytes: Vec<u8>, at: usize) -> std::result::Result<Answer, Unusable> {
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
            .map_err(|e| Unusable::NotAsMapped(e.to_string()))?
    }

    /// The provider asks to wait.
    fn wait_for(&mut self, asked: Option<Duration>) {
        if let Some(asked) = asked {
            self.not_before = self.not_before.max(Instant::now() + asked);
        }
    }

    /// A stream was answered.
    fn well(&mut self, at: usize, out: &SourceSink) {
        self.answered = true;
        self.failed_last = None;
        self.backoff.reset();
        let stream = &mut self.streams[at];
        stream.backoff.reset();
        (stream.troubled, stream.refused) = (false, false);
        if !self.streams.iter().any(|stream| stream.troubled) {
            out.report_recovered();
        }
    }

    /// A request of a stream failed.
    ///
    /// # Errors
    /// The failure itself, when trying again will not help.
    fn failed(&mut self, at: usize, error: SourceError, out: &SourceSink) -> Result<()> {
        let now = Instant::now();
        let refused = matches!(error, SourceError::Refused { .. });
        let stream = &mut self.streams[at];
        stream.refused = refused;
        if !error.kind().is_transient() && !refused {
            return Err(error);
        }
        if refused && !self.answered && self.streams.iter().all(|s| s.refused) {
            return Err(error);
        }
        let stream = &mut self.streams[at];
        if refused
            || matches!(
                error,
                SourceError::Answer { .. } | SourceError::ErrorBody { .. }
            )
        {
            // A token may have expired: the next try begins with the first page again.
            stream.begin_again();
        }
        stream.troubled = true;
        let mut wait = stream.backoff.wait();
        if let SourceError::Unavailable { retry_after, .. }
        | SourceError::ErrorBody { retry_after, .. } = &error
            && let Some(asked) = *retry_after
        {
            wait = wait.max(asked);
            self.not_before = self.not_before.max(now + asked);
        }
        if self.failed_last.is_some_and(|last| last != at) {
            self.not_before = self.not_before.max(now + self.backoff.wait());
        }
        self.failed_last = Some(at);
        self.streams[at].due = now + wait;
        out.report_retry(&error, wait);
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
        Ok(())
    }

    /// Polls every stream that is due until it has no more pages, or fails.
    async fn round(&mut self, out: &SourceSink) -> Result<()> {
        let interval = self.interval();
        for at in 0..self.streams.len() {
            if self.streams[at].due > Instant::now() {
                continue;
            }
            loop {
                tokio::time::sleep_until(self.not_before).await;
                match self.turn(at, out).await {
                    Ok(more) => {
                        self.well(at, out);
                        if !more {
                            self.streams[at].due = Instant::now() + interval;
                            break;
                        }
                    }
                    Err(SourceError::Closed) => return Err(SourceError::Closed),
                    Err(error) => {
                        self.failed(at, error, out)?;
                        break;
                    }
                }
            }
        }
        Ok(())
    }

    fn interval(&self) -> Duration {
        let least = self.options.provider.poll_every_s.unwrap_or(0);
        self.options.poll_interval.max(Duration::from_secs(least))
    }
}

/// What a page's rows say of where they lie.
fn page_of(decoded: &Decoded, options: &RestOptions, one_symbol: bool, since: Timestamp) -> Page {
    let ticks = decoded.ticks.iter().map(|t| (&t.symbol, t.ts));
    let rows = ticks.chain(decoded.bars.iter().map(|b| (&b.symbol, b.start)));
    let mut page = Page {
        rows: decoded.rows(),
        ..Page::default()
    };
    // Of each symbol: the first, the last and the latest time.
    let mut spans: HashMap<&Symbol, (Timestamp, Timestamp, Timestamp)> = HashMap::new();
    let (mut in_order, mut before) = (true, Timestamp::MIN);
    for (symbol, ts) in rows {
        page.earliest = Some(page.earliest.map_or(ts, |earliest| earliest.min(ts)));
        page.latest = page.latest.max(Some(ts));
        in_order &= before <= ts;
        before = ts;
        let span = spans.entry(symbol).or_insert((ts, ts, ts));
        (span.1, span.2) = (ts, span.2.max(ts));
    }
    page.newest_first = spans.values().any(|(first, last, _)| last < first)
        && spans.values().all(|(first, last, _)| last <= first);
    if !one_symbol && !in_order && !page.newest_first {
        // One symbol after the other: where the page ends, only some of them have been shown.
        let all = options
            .symbols
            .iter()
            .all(|symbol| spans.contains_key(symbol));
        let common = spans.values().map(|(_, _, latest)| *latest).min();
        page.common = if all { common } else { Some(since) };
    }
    page
}

#[async_trait]
impl TickSource for RestSource {
    fn name(&self) -> Arc<str> {
        self.options.name.clone()
    }

    async fn run(mut self: Box<Self>, out: SourceSink, cancel: CancellationToken) -> Result<()> {
        loop {
            let poll = async {
                self.round(&out).await?;
                let due = self.streams.iter().map(|stream| stream.due).min();
                tokio::time::sleep_until(due.unwrap_or_else(Instant::now)).await;
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
