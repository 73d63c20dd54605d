//! What no store can hold, whatever it is made of: SQLite has no NaN and no integer above 2^63 - 1, and
//! a ledger whose numbers cannot be scored is of no use anywhere.

use market::{Bar, Tick, wire::Fan};

use crate::{Result, StepOutcome, StoreError};

/// The error for a call that cannot be right.
pub(crate) fn invalid(detail: impl Into<String>) -> StoreError {
    StoreError::Invalid {
        detail: detail.into(),
    }
}

/// Refuses ticks that cannot be stored.
pub(crate) fn ticks(ticks: &[Tick]) -> Result<()> {
    for tick in ticks {
        if !(tick.price.is_finite() && tick.size.is_finite()) || i64::try_from(tick.seq).is_err() {
            return Err(invalid(format!(
                "tick {} {} seq {} price {} size {} cannot be stored: expected finite numbers and a sequence below 2^63",
                tick.symbol, tick.ts, tick.seq, tick.price, tick.size
            )));
        }
    }
    Ok(())
}

/// Refuses bars that cannot be stored.
pub(crate) fn bars(bars: &[Bar]) -> Result<()> {
    for bar in bars {
        let numbers = [bar.open, bar.high, bar.low, bar.close, bar.volume];
        let sequences = [bar.first.seq, bar.last.seq];
        if numbers.iter().any(|n| !n.is_finite())
            || sequences.iter().any(|s| i64::try_from(*s).is_err())
        {
            return Err(invalid(format!(
                "bar {} {} {} cannot be stored: expected finite numbers and sequences below 2^63",
                bar.symbol, bar.interval, bar.start
            )));
        }
    }
    Ok(())
}

/// Refuses a fan whose lengths disagree or whose numbers cannot be scored.
pub(crate) fn fan(fan: &Fan) -> Result<()> {
    let steps = fan.targets.len();
    let refuse = |what: String| {
        Err(invalid(format!(
            "the forecast of {} {} by {} {what}",
            fan.symbol, fan.interval, fan.model
        )))
    };
    if steps == 0 {
        return refuse("has no steps".into());
    }
    if fan.mean.len() != steps {
        return refuse(format!("has {steps} targets and {} means", fan.mean.len()));
    }
    if !fan.targets.is_sorted_by(|a, b| a < b) {
        return refuse("has targets that do not follow each other in time".into());
    }
    let finite = |numbers: &[f64]| numbers.iter().all(|n| n.is_finite());
    if !fan.origin_close.is_finite() || !finite(&fan.mean) {
        return refuse("has a number that is not finite".into());
    }
    for band in &fan.bands {
        if band.lower.len() != steps || band.upper.len() != steps {
            return refuse(format!(
                "has {steps} steps and a band of {} % with {} lower and {} upper bounds",
                band.level,
                band.lower.len(),
                band.upper.len()
            ));
        }
        if !band.level.is_finite() || !finite(&band.lower) || !finite(&band.upper) {
            return refuse("has a bound that is not finite".into());
        }
    }
    Ok(())
}

/// Refuses outcomes that cannot be right whatever the ledger holds.
pub(crate) fn outcomes(outcomes: &[StepOutcome]) -> Result<()> {
    for outcome in outcomes {
        if outcome.step == 0 || !(outcome.actual.is_finite() && outcome.naive.is_finite()) {
            return Err(invalid(format!(
                "the outcome of step {} of forecast {} cannot be right: expected a step from 1 and finite numbers",
                outcome.step, outcome.forecast_id
            )));
        }
    }
    Ok(())
}
