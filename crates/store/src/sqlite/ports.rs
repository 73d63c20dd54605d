//! The ports of the SQLite side: each call is a command of the writer, or one read of a reader connection.

use async_trait::async_trait;
use market::{Bar, Fan, Interval, Reject, RejectReason, Symbol, Tick, Timestamp};

use super::{
    SqliteStore, bars, dead_letters, fault::closed, instruments, ledger, probe, retention, scores,
    ticks, writer::Writer,
};
use crate::{
    Appended, BarQuery, BarRetention, DeadLetter, DeadLetterLog, DeadLetterStore, DroppedCount,
    ForecastLedger, Instrument, InstrumentQuote, LedgerQuery, LedgerRow, OpenForecast, PriceReader,
    PriceWriter, Readiness, ReasonCount, Recorded, RejectReport, Removed, Result, ScoreRow,
    StepOutcome, StoredTick, SymbolPage, SymbolQuery, TickRetention, check,
};

#[async_trait]
impl PriceWriter for SqliteStore {
    async fn append(&self, ticks: Vec<Tick>) -> Result<Appended> {
        if ticks.is_empty() {
            return Ok(Appended::default());
        }
        check::ticks(&ticks)?;
        self.write(ticks.len(), |writer| ticks::append(writer, ticks))
            .await
    }

    async fn put_bars(&self, bars: Vec<Bar>) -> Result<usize> {
        if bars.is_empty() {
            return Ok(0);
        }
        check::bars(&bars)?;
        self.write(bars.len(), move |writer| bars::put(writer, &bars))
            .await
    }
}

#[async_trait]
impl PriceReader for SqliteStore {
    async fn ticks_after(
        &self,
        symbol: &Symbol,
        position: u64,
        limit: usize,
    ) -> Result<Vec<StoredTick>> {
        let symbol = symbol.clone();
        self.read(move |conn| ticks::after(conn, &symbol, position, limit))
            .await
    }

    async fn ticks(
        &self,
        symbol: &Symbol,
        from: Timestamp,
        until: Timestamp,
        limit: usize,
    ) -> Result<Vec<Tick>> {
        let symbol = symbol.clone();
        self.read(move |conn| ticks::between(conn, &symbol, from, until, limit))
            .await
    }

    async fn latest_tick(&self, symbol: &Symbol) -> Result<Option<StoredTick>> {
        let symbol = symbol.clone();
        self.read(move |conn| ticks::latest(conn, &symbol)).await
    }

    async fn bars_of(&self, queries: &[BarQuery]) -> Result<Vec<Vec<Bar>>> {
        let queries = queries.to_vec();
        self.read(move |conn| bars::read_each(conn, &queries)).await
    }

    async fn instruments(&self) -> Result<Vec<Instrument>> {
        self.read(instruments::instruments).await
    }

    async fn symbols(&self, query: &SymbolQuery) -> Result<SymbolPage> {
        let query = query.clone();
        self.read(move |conn| instruments::symbols(conn, &query))
            .await
    }

    async fn quotes(&self, symbols: &[Symbol]) -> Result<Vec<InstrumentQuote>> {
        let symbols = symbols.to_vec();
        self.read(move |conn| instruments::quotes(conn, &symbols))
            .await
    }
}

#[async_trait]
impl ForecastLedger for SqliteStore {
    async fn record(&self, fans: Vec<Fan>) -> Result<Vec<Recorded>> {
        fans.iter().try_for_each(check::fan)?;
        self.write(fans.len(), move |writer| ledger::record(writer, &fans))
            .await
    }

    async fn due(
        &self,
        symbol: &Symbol,
        interval: Interval,
        now: Timestamp,
        limit: usize,
    ) -> Result<Vec<OpenForecast>> {
        let symbol = symbol.clone();
        self.read(move |conn| ledger::due(conn, &symbol, interval, now, limit))
            .await
    }

    async fn score(&self, outcomes: Vec<StepOutcome>) -> Result<usize> {
        check::outcomes(&outcomes)?;
        self.write(outcomes.len(), |writer| ledger::score(writer, outcomes))
            .await
    }

    async fn ledger_of(&self, queries: &[LedgerQuery]) -> Result<Vec<Vec<LedgerRow>>> {
        let queries = queries.to_vec();
        self.read(move |conn| ledger::read_each(conn, &queries))
            .await
    }

    async fn scoreboard(
        &self,
        symbol: Option<&Symbol>,
        interval: Option<Interval>,
    ) -> Result<Vec<ScoreRow>> {
        let symbol = symbol.cloned();
        self.read(move |conn| scores::read(conn, symbol.as_ref(), interval))
            .await
    }
}

#[async_trait]
impl DeadLetterLog for SqliteStore {
    async fn reject(&self, rejects: Vec<Reject>, at: Timestamp) -> Result<RejectReport> {
        self.write(rejects.len(), move |writer| {
            dead_letters::reject(writer, &rejects, at)
        })
        .await
    }

    async fn open_dead_letters(
        &self,
        reason: Option<RejectReason>,
        after: i64,
        limit: usize,
    ) -> Result<Vec<DeadLetter>> {
        self.read(move |conn| dead_letters::open(conn, reason, after, limit))
            .await
    }

    async fn dead_letter_counts(&self) -> Result<Vec<ReasonCount>> {
        self.read(dead_letters::counts).await
    }

    async fn dropped_dead_letters(&self) -> Result<Vec<DroppedCount>> {
        self.read(dead_letters::dropped).await
    }
}

#[async_trait]
impl DeadLetterStore for SqliteStore {
    async fn mark_replayed(&self, ids: Vec<i64>) -> Result<usize> {
        self.write(ids.len(), move |writer| {
            dead_letters::mark_replayed(writer, &ids)
        })
        .await
    }

    async fn discard(&self, reason: Option<RejectReason>, source: Option<&str>) -> Result<u64> {
        let mut discarded = 0;
        loop {
            let source = source.map(str::to_owned);
            let some = move |w: &mut Writer| dead_letters::discard(w, reason, source.as_deref());
            let removed = self.write(dead_letters::DISCARDED_AT_ONCE, some).await?;
            discarded += removed as u64;
            if removed < dead_letters::DISCARDED_AT_ONCE {
                return Ok(discarded);
            }
        }
    }
}

#[async_trait]
impl TickRetention for SqliteStore {
    async fn remove_ticks(&self, before: Timestamp) -> Result<Removed> {
        let mut removed = Removed::default();
        for symbol in self.read(retention::symbols).await? {
            removed.symbols += 1;
            loop {
                let symbol = symbol.clone();
                let take = move |w: &mut Writer| retention::remove_ticks(w, &symbol, before);
                let rows = self.write(retention::ROWS_AT_ONCE, take).await?;
                removed.rows += rows as u64;
                if rows < retention::ROWS_AT_ONCE {
                    break;
                }
            }
        }
        Ok(removed)
    }
}

#[async_trait]
impl BarRetention for SqliteStore {
    async fn remove_bars(&self, interval: Interval, before: Timestamp) -> Result<Removed> {
        let mut removed = Removed::default();
        for symbol in self.read(retention::symbols).await? {
            removed.symbols += 1;
            loop {
                let symbol = symbol.clone();
                let take =
                    move |w: &mut Writer| retention::remove_bars(w, &symbol, interval, before);
                let rows = self.write(retention::ROWS_AT_ONCE, take).await?;
                removed.rows += rows as u64;
                if rows < retention::ROWS_AT_ONCE {
                    break;
                }
            }
        }
        Ok(removed)
    }
}

#[async_trait]
impl Readiness for SqliteStore {
    async fn ready(&self) -> Result<()> {
        self.read(probe::read).await?;
        if self.inner.commands.is_closed() {
            return Err(closed());
        }
        let Some(failing) = self.inner.health.is_failing()? else {
            return Ok(());
        };
        // One probe at a time, and not at every question.
        let Some(_turn) = self.inner.probes.turn() else {
            return Err(failing);
        };
        self.write(probe::ROWS, probe::write).await?;
        self.inner.health.recovered();
        self.write(1, probe::tidy).await
    }
}
