//! The ports of the MongoDB side.

use async_trait::async_trait;
use market::{Bar, Fan, Interval, Reject, RejectReason, Symbol, Tick, Timestamp};

use super::MongoStore;
use crate::{
    Appended, BarQuery, BarRetention, DeadLetter, DeadLetterLog, DeadLetterStore, DroppedCount,
    ForecastLedger, Instrument, InstrumentQuote, LedgerQuery, LedgerRow, OpenForecast, PriceReader,
    PriceWriter, Readiness, ReasonCount, Recorded, RejectReport, Removed, Result, ScoreRow,
    StepOutcome, StoredTick, SymbolPage, SymbolQuery, TickRetention,
};

#[async_trait]
impl PriceWriter for MongoStore {
    async fn append(&self, ticks: Vec<Tick>) -> Result<Appended> {
        self.inner.noted(self.inner.append(ticks).await)
    }

    async fn put_bars(&self, bars: Vec<Bar>) -> Result<usize> {
        self.inner.noted(self.inner.put_bars(bars).await)
    }
}

#[async_trait]
impl PriceReader for MongoStore {
    async fn ticks_after(
        &self,
        symbol: &Symbol,
        position: u64,
        limit: usize,
    ) -> Result<Vec<StoredTick>> {
        self.inner.ticks_after(symbol, position, limit).await
    }

    async fn ticks(
        &self,
        symbol: &Symbol,
        from: Timestamp,
        until: Timestamp,
        limit: usize,
    ) -> Result<Vec<Tick>> {
        self.inner.ticks(symbol, from, until, limit).await
    }

    async fn latest_tick(&self, symbol: &Symbol) -> Result<Option<StoredTick>> {
        self.inner.latest_tick(symbol).await
    }

    async fn bars_of(&self, queries: &[BarQuery]) -> Result<Vec<Vec<Bar>>> {
        self.inner.read_bars_of(queries).await
    }

    async fn instruments(&self) -> Result<Vec<Instrument>> {
        self.inner.instruments().await
    }

    async fn symbols(&self, query: &SymbolQuery) -> Result<SymbolPage> {
        self.inner.symbol_page(query).await
    }

    async fn quotes(&self, symbols: &[Symbol]) -> Result<Vec<InstrumentQuote>> {
        self.inner.quotes(symbols).await
    }
}

#[async_trait]
impl ForecastLedger for MongoStore {
    async fn record(&self, fans: Vec<Fan>) -> Result<Vec<Recorded>> {
        self.inner.noted(self.inner.record(fans).await)
    }

    async fn due(
        &self,
        symbol: &Symbol,
        interval: Interval,
        now: Timestamp,
        limit: usize,
    ) -> Result<Vec<OpenForecast>> {
        self.inner.due(symbol, interval, now, limit).await
    }

    async fn score(&self, outcomes: Vec<StepOutcome>) -> Result<usize> {
        self.inner.noted(self.inner.score(outcomes).await)
    }

    async fn ledger_of(&self, queries: &[LedgerQuery]) -> Result<Vec<Vec<LedgerRow>>> {
        self.inner.ledger_of(queries).await
    }

    async fn scoreboard(
        &self,
        symbol: Option<&Symbol>,
        interval: Option<Interval>,
    ) -> Result<Vec<ScoreRow>> {
        self.inner.scoreboard(symbol, interval).await
    }
}

#[async_trait]
impl DeadLetterLog for MongoStore {
    async fn reject(&self, rejects: Vec<Reject>, at: Timestamp) -> Result<RejectReport> {
        self.inner.noted(self.inner.reject(rejects, at).await)
    }

    async fn open_dead_letters(
        &self,
        reason: Option<RejectReason>,
        after: i64,
        limit: usize,
    ) -> Result<Vec<DeadLetter>> {
        self.inner.open_dead_letters(reason, after, limit).await
    }

    async fn dead_letter_counts(&self) -> Result<Vec<ReasonCount>> {
        self.inner.dead_letter_counts().await
    }

    async fn dropped_dead_letters(&self) -> Result<Vec<DroppedCount>> {
        self.inner.dropped_dead_letters().await
    }
}

#[async_trait]
impl DeadLetterStore for MongoStore {
    async fn mark_replayed(&self, ids: Vec<i64>) -> Result<usize> {
        self.inner.noted(self.inner.mark_replayed(ids).await)
    }

    async fn discard(&self, reason: Option<RejectReason>, source: Option<&str>) -> Result<u64> {
        self.inner.discard(reason, source).await
    }
}

#[async_trait]
impl TickRetention for MongoStore {
    async fn remove_ticks(&self, before: Timestamp) -> Result<Removed> {
        self.inner.remove_ticks(before).await
    }
}

#[async_trait]
impl BarRetention for MongoStore {
    async fn remove_bars(&self, interval: Interval, before: Timestamp) -> Result<Removed> {
        self.inner.remove_bars(interval, before).await
    }
}

#[async_trait]
impl Readiness for MongoStore {
    async fn ready(&self) -> Result<()> {
        self.inner.ready().await
    }
}
