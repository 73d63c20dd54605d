//! A backtest: a report for each symbol.

use std::time::Instant;

use forecast::{
    ForecastModel, History,
    backtest::{Control, Report, overall},
};
use market::Symbol;
use serde_json::{Value, json};
use std::sync::Arc;

use super::{
    attempt::{Failure, Made, Task},
    series,
};
use crate::jobs::{BacktestPayload, Payload as _};

/// Bytes of a result: the store takes a few more.
const MOST_BYTES: usize = store::MOST_JOB_BYTES - 4_096;

pub(super) async fn backtest(task: &Task) -> Result<Made, Failure> {
    let payload = BacktestPayload::read(&task.job.payload)?;
    let as_of = payload.as_of.unwrap_or_else(|| task.inner.now());
    let layout = payload.layout();
    let resolve = |reference| {
        let resolved = task.inner.providers.resolve(reference);
        resolved.map_err(|e| Failure::Refused(format!("models: {e}")))
    };
    let models: Vec<Arc<dyn ForecastModel>> = payload
        .models
        .iter()
        .map(resolve)
        .collect::<Result<_, _>>()?;
    let mut reports: Vec<(Symbol, Report)> = Vec::new();
    let mut failed: Vec<(Symbol, String)> = Vec::new();
    let all = payload.symbols.len();
    for (number, symbol) in payload.symbols.iter().enumerate() {
        task.go_on()?;
        task.report
            .step(&format!("{symbol}, {} of {all}", number + 1));
        let closes = series::closes(task, symbol, payload.interval, as_of, payload.rows).await;
        let (starts, closes) = match closes {
            Ok(closes) => closes,
            Err(Failure::Refused(why)) => {
                failed.push((symbol.clone(), why));
                continue;
            }
            Err(e) => return Err(e),
        };
        let (layout, models) = (layout.clone(), models.clone());
        let report = task
            .compute(move |task| {
                let began = Instant::now();
                let clock = move || began.elapsed().as_secs_f64();
                let progress = |done, total| task.report.progress(done, total);
                let control = Control {
                    progress: Some(&progress),
                    cancel: Some(&task.token),
                    clock: Some(&clock),
                };
                let times: Vec<i64> = starts.iter().map(|at| at.as_millis()).collect();
                let history = History::from(&closes).with_times(Some(&times));
                layout.run(history, &models, control)
            })
            .await?;
        match report {
            Ok(report) => reports.push((symbol.clone(), report)),
            Err(forecast::Error::Cancelled) => return Err(Failure::Stopped),
            Err(e) => failed.push((symbol.clone(), e.to_string())),
        }
    }
    for (symbol, why) in &failed {
        task.report.line(format!("{symbol}: {why}"));
    }
    if reports.is_empty() {
        let why: Vec<String> = failed
            .iter()
            .map(|(symbol, why)| format!("{symbol}: {why}"))
            .collect();
        return Err(Failure::Refused(why.join("; ")));
    }
    let result = result(&reports, &failed);
    if result.to_string().len() <= MOST_BYTES {
        return Ok(result.into());
    }
    // The scores by origin are what is long.
    for model in reports
        .iter_mut()
        .flat_map(|(_, report)| &mut report.models)
    {
        model.folds.clear();
    }
    task.report
        .line("the scores by origin are left out: the result would be too long");
    let result = self::result(&reports, &failed);
    if result.to_string().len() > MOST_BYTES {
        let why = "symbols: the result is too long: ask for fewer symbols, models or steps";
        return Err(Failure::Refused(why.to_owned()));
    }
    Ok(result.into())
}

fn result(reports: &[(Symbol, Report)], failed: &[(Symbol, String)]) -> Value {
    let all: Vec<&Report> = reports.iter().map(|(_, report)| report).collect();
    let each: Vec<Value> = reports
        .iter()
        .map(|(symbol, report)| json!({ "symbol": symbol, "report": report }))
        .collect();
    let failed: Vec<Value> = failed
        .iter()
        .map(|(symbol, why)| json!({ "symbol": symbol, "error": why }))
        .collect();
    json!({ "reports": each, "overall": overall(&all), "failed": failed })
}
