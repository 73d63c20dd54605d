//! The forecast ledger as the forecaster uses it: write before the outcome, score after.

use std::sync::Arc;

use market::{Bar, ErrorKind, Fan, Interval, Symbol, Timestamp};
use store::{
    BarQuery, DatabasePorts, ForecastLedger, LedgerQuery, OpenForecast, PriceReader, Recorded,
    StepOutcome,
};

use crate::{Result, stats::Counters};

/// Forecasts that are scored in one go.
const DUE_AT_ONCE: usize = 256;
/// Bars that are read in one go to score them.
const BARS_AT_ONCE: usize = 5_000;

pub(crate) struct Ledger {
    prices: Arc<dyn PriceReader>,
    store: Arc<dyn ForecastLedger>,
    counters: Arc<Counters>,
}

impl Ledger {
    pub(crate) fn new(database: &DatabasePorts, counters: Arc<Counters>) -> Self {
        Self {
            prices: Arc::clone(&database.prices),
            store: Arc::clone(&database.ledger),
            counters,
        }
    }

    /// The fans of the latest origins, at most `models` of them.
    pub(crate) async fn latest(
        &self,
        symbol: &Symbol,
        interval: Interval,
        models: usize,
    ) -> Result<Vec<Fan>> {
        let rows = self
            .store
            .ledger(&LedgerQuery {
                symbol: symbol.clone(),
                interval,
                model: None,
                from: Timestamp::MIN,
                until: Timestamp::MAX,
                limit: models,
            })
            .await?;
        Ok(rows.into_iter().map(|row| row.fan).collect())
    }

    /// The fan of a model from an origin, if it was made.
    pub(crate) async fn made(
        &self,
        symbol: &Symbol,
        interval: Interval,
        model: &str,
        origin: Timestamp,
    ) -> Result<Option<Fan>> {
        let query = LedgerQuery {
            symbol: symbol.clone(),
            interval,
            model: Some(model.to_owned()),
            from: origin,
            until: origin.plus_micros(1),
            limit: 1,
        };
        let rows = self.store.ledger(&query).await?;
        Ok(rows.into_iter().next().map(|row| row.fan))
    }

    /// Writes fans and returns those that now stand in the ledger: an entry that was there already
    /// in the place of the new one; none of those that came too late.
    pub(crate) async fn record(&self, mut fans: Vec<Fan>, made_at: Timestamp) -> Result<Vec<Fan>> {
        if fans.is_empty() {
            return Ok(fans);
        }
        for fan in &mut fans {
            fan.made_at = made_at;
        }
        let recorded = match self.store.record(fans.clone()).await {
            Ok(recorded) => recorded,
            // One fan that cannot be right must not keep the others out.
            Err(e) if e.kind() == ErrorKind::Invalid && fans.len() > 1 => {
                let mut standing = Vec::new();
                for fan in fans {
                    standing.extend(Box::pin(self.record(vec![fan], made_at)).await?);
                }
                return Ok(standing);
            }
            Err(e) if e.kind() == ErrorKind::Invalid => {
                tracing::error!(error = %e, "the ledger refuses a forecast");
                self.counters.fans_failed.add(1);
                return Ok(Vec::new());
            }
            Err(e) => return Err(e.into()),
        };
        let mut standing = Vec::with_capacity(fans.len());
        for (fan, recorded) in fans.into_iter().zip(recorded) {
            match recorded {
                Recorded::New(_) => {
                    self.counters.fans_recorded.add(1);
                    standing.push(fan);
                }
                Recorded::AlreadyThere(_) => {
                    let (symbol, interval) = (&fan.symbol, fan.interval);
                    let made = self.made(symbol, interval, &fan.model, fan.origin).await?;
                    standing.extend(made);
                }
                Recorded::TooLate => self.counters.fans_too_late.add(1),
            }
        }
        Ok(standing)
    }

    /// Scores every step of a series whose bar is closed; returns how many.
    pub(crate) async fn score(
        &self,
        symbol: &Symbol,
        interval: Interval,
        now: Timestamp,
    ) -> Result<usize> {
        let mut scored = 0;
        loop {
            let due = self.store.due(symbol, interval, now, DUE_AT_ONCE).await?;
            let outcomes = self.outcomes(symbol, interval, now, &due).await?;
            if outcomes.is_empty() {
                return Ok(scored);
            }
            let wrote = self.store.score(outcomes).await?;
            scored += wrote;
            if due.len() < DUE_AT_ONCE || wrote == 0 {
                return Ok(scored);
            }
        }
    }

    async fn outcomes(
        &self,
        symbol: &Symbol,
        interval: Interval,
        now: Timestamp,
        due: &[OpenForecast],
    ) -> Result<Vec<StepOutcome>> {
        let span = |list: &[OpenForecast]| {
            let from = list.iter().map(|o| o.fan.origin).min();
            let until = list
                .iter()
                .flat_map(|o| o.fan.targets.iter())
                .filter(|t| interval.end_of(**t) <= now)
                .max();
            from.zip(until.copied())
        };
        let mut outcomes = Vec::new();
        let mut rest = due;
        while !rest.is_empty() {
            // As many forecasts at once as one read of bars covers: after a long pause the origins
            // may lie far apart. One alone always goes.
            let mut count = rest.len();
            let fits = |count: usize| {
                span(&rest[..count]).is_none_or(|(from, until)| {
                    let bars = until.micros_since(from) / interval.micros() + 1;
                    usize::try_from(bars).is_ok_and(|bars| bars <= BARS_AT_ONCE)
                })
            };
            while count > 1 && !fits(count) {
                count = count.div_ceil(2);
            }
            let (part, after) = rest.split_at(count);
            rest = after;
            let Some((from, until)) = span(part) else {
                continue;
            };
            let bars = self
                .prices
                .bars(&BarQuery {
                    symbol: symbol.clone(),
                    interval,
                    from,
                    until: interval.end_of(until),
                    limit: BARS_AT_ONCE.max(1_001),
                })
                .await?;
            for open in part {
                outcomes.extend(steps(open, interval, now, &bars));
            }
        }
        Ok(outcomes)
    }
}

/// The outcomes of the closed steps of a forecast that are not scored yet. `bars` holds every bar
/// from its origin to its last closed target.
fn steps(
    open: &OpenForecast,
    interval: Interval,
    now: Timestamp,
    bars: &[Bar],
) -> Vec<StepOutcome> {
    let fan = &open.fan;
    (open.scored_steps + 1..)
        .zip(fan.targets.iter().skip(open.scored_steps as usize))
        .take_while(|(_, target)| interval.end_of(**target) <= now)
        .map(|(step, target)| {
            // Without a trade in the target bar the last close before stands; without any since the
            // origin, the origin's.
            let upto = bars.partition_point(|bar| bar.start <= *target);
            let actual = bars[..upto]
                .last()
                .filter(|bar| bar.start >= fan.origin)
                .map_or(fan.origin_close, |bar| bar.close);
            StepOutcome {
                forecast_id: open.id,
                step,
                actual,
                naive: fan.origin_close,
            }
        })
        .collect()
}
