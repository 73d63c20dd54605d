//! A scoring: what became of a symbol's live forecasts, by model and step.

use std::collections::BTreeMap;

use forecast::metrics::naive_scale;
use market::{Fan, Timestamp};
use serde_json::{Value, json};
use store::{LedgerQuery, LedgerRow};

use super::{
    attempt::{Failure, Made, Task},
    series,
};
use crate::{
    jobs::{Payload as _, ScorePayload},
    scores::{RollingScores, ScoredStep},
};

/// Closes before an origin whose steps give the scale of MASE: the window of a fit.
const SCALE_ROWS: usize = 500;

pub(super) async fn score(task: &Task) -> Result<Made, Failure> {
    let payload = ScorePayload::read(&task.job.payload)?;
    let as_of = payload.as_of.unwrap_or_else(|| task.inner.now());
    task.report.step("reads the ledger");
    let query = LedgerQuery {
        symbol: payload.symbol.clone(),
        interval: payload.interval,
        model: payload.model.clone(),
        from: Timestamp::MIN,
        until: as_of,
        limit: payload.forecasts,
    };
    let rows = task.inner.ports.ledger.ledger(&query).await?;
    if rows.is_empty() {
        let (symbol, interval) = (&payload.symbol, payload.interval);
        return Err(Failure::Refused(format!(
            "symbol: no forecast of {symbol} at {interval} before {as_of} is in the ledger"
        )));
    }
    // Forecasts of one origin are as many as models; the closes reach back from the first.
    let reach = rows.len().saturating_add(SCALE_ROWS);
    let closes = series::closes(task, &payload.symbol, payload.interval, as_of, reach).await?;
    let scores = task
        .compute(move |_| scores(&rows, &closes.0, &closes.1))
        .await?;
    Ok(json!({
        "symbol": payload.symbol,
        "interval": payload.interval,
        "as_of_us": as_of,
        "scores": scores,
    })
    .into())
}

/// The scores by model and step.
fn scores(rows: &[LedgerRow], starts: &[Timestamp], closes: &[f64]) -> Vec<Value> {
    let mut all: BTreeMap<(&str, usize), RollingScores> = BTreeMap::new();
    for row in rows {
        let known = starts.partition_point(|start| *start <= row.fan.origin);
        let past = &closes[known.saturating_sub(SCALE_ROWS)..known];
        let scale = naive_scale(past, 1);
        for (step, actual) in row.actuals.iter().enumerate().take(row.fan.mean.len()) {
            let scores = all
                .entry((&row.fan.model, step + 1))
                .or_insert_with(|| RollingScores::new(rows.len()));
            scores.push(ScoredStep {
                outcome: *actual,
                point: row.fan.mean[step],
                naive: row.fan.origin_close,
                scale,
                interval_80: bounds(&row.fan, 80.0, step),
                interval_95: bounds(&row.fan, 95.0, step),
            });
        }
    }
    all.iter()
        .map(|((model, step), scores)| {
            json!({ "model": model, "step": step, "scores": scores.scores() })
        })
        .collect()
}

/// The bounds at a level; NaN where the forecast has none.
fn bounds(fan: &Fan, level: f64, step: usize) -> [f64; 2] {
    let band = fan
        .bands
        .iter()
        .find(|band| (band.level - level).abs() < 1e-9);
    let bounds = band.and_then(|band| Some([*band.lower.get(step)?, *band.upper.get(step)?]));
    bounds.unwrap_or([f64::NAN; 2])
}
