//! The server as the pages see it: the app's `Backend` over the store, the pipeline and its forecasts.

use std::{collections::BTreeSet, sync::Arc};

use app::api::{
    ApiError, ChampionSummary, ImportReport, InstrumentSummary, ModelScore, ScoredFan,
    SystemStatus,
    backend::Backend,
    backtest::{BacktestAsk, BacktestRun, BacktestUpdate, SymbolResult},
    pipeline::{DeadLetterLine, PipelineStatus, StageRate},
};
use async_trait::async_trait;
use forecast::FitReport;
use futures::{StreamExt as _, stream, stream::BoxStream};
use market::{Bar, Fan, Interval, RejectReason, Symbol, Timestamp};
use mlops::worker::CHAMPION;
use pipeline::{Clock as _, Pipeline, PipelineError, ReplayReport, SystemClock};
use protocol::{PredictRequest, Prediction, Replayed};
use serde_json::Value;
use serving::{BacktestEvent, BacktestRequest, Serving, ServingError};
use source::sim::LISTINGS;
use store::{BarQuery, DatabasePorts, InstrumentQuote, LedgerQuery, SymbolPlace, SymbolQuery};

use crate::{
    access::{
        Role, Who,
        audit::{Act, AuditLog, of_discard, of_import, of_replay},
        verifier::Verifier,
    },
    champion_record,
    http::{
        dead_letters::replayed,
        guard::{Gate, Grant},
        serving::Client,
    },
    sample,
};

/// The most bars of one answer, and the size of a page of a back-fill.
const MAX_BARS: usize = 5_000;

/// The most dead letters of one answer, and how much of a row is shown, in characters.
const MAX_LETTERS: usize = 1_000;
const ROW_SHOWN: usize = 500;

/// The most symbols of one page of the list.
const MAX_SYMBOLS: usize = 200;

/// Prices that have not come for a week have ended: longer than any weekend with its holidays.
const ENDED_AFTER_US: i64 = 7 * 86_400_000_000;

/// The most past fans of one answer.
const MAX_FANS: usize = 1_000;

/// What does not change while the server runs.
#[derive(Clone, Debug)]
pub struct Facts {
    /// The source's name, for people.
    pub source: String,
    /// Whether the prices are made up.
    pub simulated: bool,
    /// The models whose fans are made live.
    pub live_models: Vec<String>,
    /// Every model that can be asked for.
    pub models: Vec<String>,
    /// The model that answers where none is named, in the place of every champion.
    pub default_model: Option<String>,
    /// The intervals whose fans are made live.
    pub live_intervals: Vec<Interval>,
    /// Symbols whose ticks are on their way. One of them that has only bars so far is not imported
    /// history: its page follows it from the first tick.
    pub awaited: BTreeSet<Symbol>,
}

/// What runs.
#[derive(Clone, Debug)]
pub struct Stages {
    /// From the sources to the store and the readers.
    pub pipeline: Arc<Pipeline>,
    /// Forecasts.
    pub serving: Arc<Serving>,
}

/// The app's `Backend`.
#[derive(Clone)]
pub struct ServerBackend {
    database: DatabasePorts,
    pipeline: Arc<Pipeline>,
    serving: Arc<Serving>,
    facts: Arc<Facts>,
    verifier: Arc<Verifier>,
    audit: AuditLog,
    /// On whose behalf; what is asked by nobody may only read.
    grant: Option<Grant>,
}

impl ServerBackend {
    /// Over a store and what runs over it, behind a gate.
    pub fn new(database: DatabasePorts, stages: Stages, facts: Facts, gate: &Gate) -> Self {
        let Stages { pipeline, serving } = stages;
        Self {
            database,
            pipeline,
            serving,
            facts: Arc::new(facts),
            verifier: Arc::clone(gate.verifier()),
            audit: gate.audit.clone(),
            grant: None,
        }
    }

    /// Whether every symbol of the sample data is there.
    async fn has_sample(&self) -> Result<bool, ApiError> {
        let names = sample::SYMBOLS.iter();
        let symbols: Vec<Symbol> = names.filter_map(|name| name.parse().ok()).collect();
        let found = self.database.prices.quotes(&symbols).await;
        Ok(found.map_err(ApiError::from)?.len() == symbols.len())
    }

    /// A line of the watchlist.
    fn summary(&self, quote: InstrumentQuote) -> InstrumentSummary {
        let InstrumentQuote {
            instrument,
            previous_close,
        } = quote;
        let bar = instrument.intervals.first().map_or(0, |i| i.micros());
        // A replay's time is far in the past before its first price.
        let since = self.pipeline.live.now().micros_since(instrument.last);
        let quiet_us = since.saturating_sub(bar);
        InstrumentSummary {
            simulated: LISTINGS
                .iter()
                .any(|listing| listing.symbol == instrument.symbol.as_str()),
            bars_only: instrument.bars_only
                && !self.facts.awaited.contains(&instrument.symbol)
                && !self.pipeline.live.comes_as_bars(&instrument.symbol),
            ended: (quiet_us > ENDED_AFTER_US).then_some(instrument.last),
            symbol: instrument.symbol,
            last_price: instrument.last_price,
            last: instrument.last,
            previous_close,
            intervals: instrument.intervals,
        }
    }

    /// The same for whoever asks.
    pub fn on_behalf_of(&self, grant: Option<Grant>) -> Self {
        Self {
            grant,
            ..self.clone()
        }
    }

    /// Replays dead letters, and writes down who did.
    ///
    /// # Errors
    /// The pipeline's.
    pub async fn replay(
        &self,
        reason: Option<RejectReason>,
    ) -> Result<ReplayReport, PipelineError> {
        let done = self.pipeline.replay_dead_letters(reason).await;
        self.record(Act::Replay, of_replay(reason, &done));
        done
    }

    /// Discards dead letters, and writes down who did.
    ///
    /// # Errors
    /// The pipeline's.
    pub async fn discard(
        &self,
        reason: Option<RejectReason>,
        source: Option<&str>,
    ) -> Result<u64, PipelineError> {
        let done = self.pipeline.discard_dead_letters(reason, source).await;
        self.record(Act::Discard, of_discard(reason, source, &done));
        done
    }

    /// The routes have asked for the role already; a page that is rendered has none of its own.
    fn needs(&self, role: Role) -> Result<(), ApiError> {
        Grant::needed(self.grant.as_ref(), role).map(drop)
    }

    fn record(&self, act: Act, what: Value) {
        let (who, from) = match &self.grant {
            Some(grant) => (grant.who.clone(), Some(grant.from)),
            None => (Who::Anybody, None),
        };
        self.audit.record(SystemClock.now(), act, &who, from, what);
    }
}

#[async_trait]
impl Backend for ServerBackend {
    async fn status(&self) -> Result<SystemStatus, ApiError> {
        let counts = self
            .database
            .dead_letters
            .dead_letter_counts()
            .await
            .map_err(ApiError::from)?;
        let has_sample = self.has_sample().await?;
        Ok(SystemStatus {
            version: env!("CARGO_PKG_VERSION").into(),
            source: self.facts.source.clone(),
            simulated: self.facts.simulated,
            sample_offered: !has_sample,
            dead_letters: counts.iter().map(|c| c.open).sum(),
            has_login: self.verifier.has_tokens(),
            live_models: self.facts.live_models.clone(),
            models: self.facts.models.clone(),
            default_model: self.facts.default_model.clone(),
            live_intervals: self.facts.live_intervals.clone(),
        })
    }

    async fn symbols(
        &self,
        find: &str,
        after: &str,
        limit: usize,
    ) -> Result<(Vec<InstrumentSummary>, Option<String>), ApiError> {
        let query = SymbolQuery {
            // Names are upper case; a text that no name can hold finds none.
            text: find.trim().to_ascii_uppercase(),
            after: read_place(after),
            limit: limit.clamp(1, MAX_SYMBOLS),
        };
        let page = self
            .database
            .prices
            .symbols(&query)
            .await
            .map_err(ApiError::from)?;
        let quotes = page.quotes.into_iter();
        let lines = quotes.map(|quote| self.summary(quote)).collect();
        Ok((lines, page.next.as_ref().map(write_place)))
    }

    async fn instrument(&self, symbol: Symbol) -> Result<Option<InstrumentSummary>, ApiError> {
        let found = self.database.prices.quote(&symbol).await;
        Ok(found
            .map_err(ApiError::from)?
            .map(|quote| self.summary(quote)))
    }

    async fn instruments(&self, symbols: Vec<Symbol>) -> Result<Vec<InstrumentSummary>, ApiError> {
        let found = self.database.prices.quotes(&symbols).await;
        let quotes = found.map_err(ApiError::from)?.into_iter();
        Ok(quotes.map(|quote| self.summary(quote)).collect())
    }

    async fn latest_bars(
        &self,
        series: Vec<(Symbol, Interval)>,
        limit: usize,
    ) -> Result<Vec<Vec<Bar>>, ApiError> {
        let latest = |(symbol, interval)| BarQuery {
            symbol,
            interval,
            from: Timestamp::MIN,
            until: Timestamp::MAX,
            limit: limit.min(MAX_BARS),
        };
        let queries: Vec<BarQuery> = series.into_iter().map(latest).collect();
        let found = self.database.prices.bars_of(&queries).await;
        found.map_err(ApiError::from)
    }

    async fn bars(
        &self,
        symbol: Symbol,
        interval: Interval,
        until: Option<Timestamp>,
        limit: usize,
    ) -> Result<Vec<Bar>, ApiError> {
        let query = BarQuery {
            symbol,
            interval,
            from: Timestamp::MIN,
            until: until.unwrap_or(Timestamp::MAX),
            limit: limit.min(MAX_BARS),
        };
        self.database
            .prices
            .bars(&query)
            .await
            .map_err(ApiError::from)
    }

    fn backfill(
        &self,
        symbol: Symbol,
        interval: Interval,
        until: Timestamp,
    ) -> BoxStream<'static, Result<Vec<Bar>, ApiError>> {
        let store = Arc::clone(&self.database.prices);
        stream::try_unfold(until, move |until| {
            let store = Arc::clone(&store);
            let query = BarQuery {
                symbol: symbol.clone(),
                interval,
                from: Timestamp::MIN,
                until,
                limit: MAX_BARS,
            };
            async move {
                let page = store.bars(&query).await.map_err(ApiError::from)?;
                Ok(page
                    .first()
                    .map(|bar| bar.start)
                    .map(|oldest| (page, oldest)))
            }
        })
        .boxed()
    }

    async fn champion(
        &self,
        symbol: Symbol,
        interval: Interval,
    ) -> Result<Option<ChampionSummary>, ApiError> {
        let found = self.serving.champion(&symbol, interval).await;
        let found = found.map_err(from_serving)?;
        Ok(found.map(|standing| ChampionSummary {
            model: standing.model,
            trained_to: standing.trained_to,
            expired: standing.expired,
        }))
    }

    async fn latest_fans(&self, symbol: Symbol, interval: Interval) -> Result<Vec<Fan>, ApiError> {
        let fans = self.serving.latest_fans(&symbol, interval).await;
        fans.map_err(from_serving)
    }

    async fn past_fans(
        &self,
        symbol: Symbol,
        interval: Interval,
        model: String,
        limit: usize,
    ) -> Result<Vec<ScoredFan>, ApiError> {
        let limit = limit.min(MAX_FANS);
        let rows = if model == CHAMPION {
            champion_record::past(&self.database, &symbol, interval, limit).await
        } else {
            let query = LedgerQuery {
                symbol,
                interval,
                model: Some(model),
                from: Timestamp::MIN,
                until: Timestamp::MAX,
                limit,
            };
            self.database.ledger.ledger(&query).await
        };
        Ok(rows
            .map_err(ApiError::from)?
            .into_iter()
            .map(|row| ScoredFan {
                fan: row.fan,
                actuals: row.actuals,
            })
            .collect())
    }

    async fn scoreboard(
        &self,
        symbol: Symbol,
        interval: Interval,
    ) -> Result<Vec<ModelScore>, ApiError> {
        let found = champion_record::scores(&self.database, &symbol, interval).await;
        found.map_err(ApiError::from)
    }

    async fn fit(&self, request: PredictRequest) -> Result<(Prediction, FitReport), ApiError> {
        let client = self.grant.as_ref().map(|grant| Client::of(grant.from));
        let predictor = &self.serving.predictor;
        let predictor = predictor.on_behalf_of(client.map(Client::address));
        let made = predictor.fit(request).await;
        made.map_err(|error| match &error {
            // The page has one symbol and one model: its words need not name the field.
            ServingError::Invalid { field, detail } => {
                ApiError::new(error.kind(), detail.clone()).field(field)
            }
            _ => from_serving(error),
        })
    }

    async fn closes(&self, symbol: Symbol, interval: Interval) -> Result<usize, ApiError> {
        let found = self.serving.backtests.closes(&symbol, interval).await;
        found.map_err(from_serving)
    }

    async fn backtest(&self, ask: BacktestAsk) -> Result<BacktestRun, ApiError> {
        self.needs(Role::Write)?;
        let request = BacktestRequest {
            symbols: ask.symbols,
            interval: ask.interval,
            models: ask.models,
            horizon: ask.horizon,
            origins: ask.origins,
            step: ask.step,
            window: ask.window,
            log: ask.log,
        };
        let run = self.serving.backtests.start(request).await;
        let run = run.map_err(from_serving)?;
        let id = run.id();
        let events = stream::unfold(run, |mut run| async {
            let event = run.next().await?;
            Some((event.map(update).map_err(from_serving), run))
        });
        Ok(BacktestRun {
            id,
            events: events.boxed(),
        })
    }

    fn stop_backtest(&self, id: u64) -> bool {
        self.serving.backtests.stop(id)
    }

    async fn pipeline_status(&self) -> Result<PipelineStatus, ApiError> {
        let pipeline = &self.pipeline;
        let missing = pipeline.missing().await;
        let (counts, dropped) = if missing.iter().any(|(what, _)| *what == "store") {
            (Vec::new(), Vec::new())
        } else {
            (
                pipeline.dead_letter_counts().await.map_err(from_pipeline)?,
                pipeline
                    .dropped_dead_letters()
                    .await
                    .map_err(from_pipeline)?,
            )
        };
        let stats = pipeline.stats().await;
        let forecasts = self.serving.stats().forecasts;
        let role = pipeline.role();
        // Only what this process does: a web process that others store for stores nothing, and a 0
        // would look like a fault.
        let stages = [
            ("received", stats.received, true),
            ("published", stats.published, true),
            ("stored", stats.stored, role.consumes()),
            ("duplicates", stats.duplicates, role.consumes()),
            ("rejected", stats.rejected, true),
            ("followed", stats.followed, role.has_readers()),
            ("live messages", stats.live.messages, role.has_readers()),
            ("forecasts", forecasts.recorded, role.consumes()),
        ];
        Ok(PipelineStatus {
            role: role.as_str().into(),
            topic: pipeline.config().topic.clone(),
            group: pipeline.config().group.clone(),
            sources: stats.sources,
            stages: stages
                .into_iter()
                .filter(|(_, _, does)| *does)
                .map(|(name, rate, _)| StageRate {
                    name: name.into(),
                    total: rate.total,
                    per_second: rate.per_second,
                })
                .collect(),
            lag_records: stats.bus_lag_records,
            flow: stats.topic_flow,
            live_readers: stats.live.sessions,
            missing: missing
                .into_iter()
                .map(|(what, why)| (what.into(), why))
                .collect(),
            dead_letters: counts,
            dropped,
        })
    }

    async fn dead_letters(
        &self,
        reason: Option<RejectReason>,
        after: i64,
        limit: usize,
    ) -> Result<Vec<DeadLetterLine>, ApiError> {
        let limit = limit.clamp(1, MAX_LETTERS);
        let letters = self
            .database
            .dead_letters
            .open_dead_letters(reason, after, limit)
            .await;
        let letters = letters.map_err(ApiError::from)?.into_iter();
        Ok(letters
            .map(|letter| DeadLetterLine {
                id: letter.id,
                at: letter.at,
                reason: letter.reject.reason,
                detail: letter.reject.detail,
                origin: letter.reject.origin,
                row: letter.reject.payload.chars().take(ROW_SHOWN).collect(),
            })
            .collect())
    }

    async fn replay_dead_letters(
        &self,
        reason: Option<RejectReason>,
    ) -> Result<Replayed, ApiError> {
        self.needs(Role::Admin)?;
        let report = self.replay(reason).await.map_err(from_pipeline)?;
        Ok(replayed(&report))
    }

    async fn import_sample(&self) -> Result<ImportReport, ApiError> {
        self.needs(Role::Admin)?;
        let imported = sample::import(self.pipeline.import()).await;
        self.record(Act::Import, of_import("the bundled sample", &imported));
        let report = imported.map_err(|e| ApiError::new(e.kind(), e.to_string()))?;
        Ok(ImportReport {
            rows: report.bars.all(),
            rejected: report.rejected,
            symbols: report.symbols.into_iter().collect(),
        })
    }
}

/// Where a page of the list ended, as it stands in an address: `10AAPL`.
fn write_place(place: &SymbolPlace) -> String {
    let flag = |is: bool| if is { '1' } else { '0' };
    let (begins, bars_only) = (flag(place.begins), flag(place.bars_only));
    format!("{begins}{bars_only}{}", place.symbol)
}

fn read_place(text: &str) -> Option<SymbolPlace> {
    let flag = |at: usize| Some(text.as_bytes().get(at)? == &b'1');
    Some(SymbolPlace {
        begins: flag(0)?,
        bars_only: flag(1)?,
        symbol: text.get(2..)?.parse().ok()?,
    })
}

fn update(event: BacktestEvent) -> BacktestUpdate {
    match event {
        BacktestEvent::Progress { done, all, symbol } => {
            BacktestUpdate::Progress { done, all, symbol }
        }
        BacktestEvent::Stopped => BacktestUpdate::Stopped,
        BacktestEvent::Finished(found) => BacktestUpdate::Finished(
            found
                .into_iter()
                .map(|one| SymbolResult {
                    symbol: one.symbol,
                    origins: one.origins,
                    outcome: one.outcome,
                })
                .collect(),
        ),
    }
}

fn from_pipeline(error: PipelineError) -> ApiError {
    let answer = ApiError::new(error.kind(), error.to_string());
    match error.field() {
        Some(field) => answer.field(field),
        None => answer,
    }
}

fn from_serving(error: ServingError) -> ApiError {
    let answer = ApiError::new(error.kind(), error.to_string());
    match error.field() {
        Some(field) => answer.field(field),
        None => answer,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_reads_back_and_what_is_none_begins_at_the_first() {
        let place = SymbolPlace {
            begins: false,
            bars_only: true,
            symbol: "BTC/USD".parse().unwrap(),
        };
        assert_eq!(write_place(&place), "01BTC/USD");
        assert_eq!(read_place("01BTC/USD"), Some(place));
        for text in ["", "1", "10", "10<b>", "\u{e9}\u{e9}"] {
            assert_eq!(read_place(text), None, "{text}");
        }
    }
}
