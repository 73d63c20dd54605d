//! `tickcast train --symbols`: a round of training as jobs, one for each symbol, waited for. For schedulers of
//! one's own: cron, systemd timers, Airflow's BashOperator.

use clap::Args;
use forecast::ModelRef;
use market::{Interval, Symbol, Timestamp};
use mlops::{
    jobs::TrainPayload,
    training::{JudgedBy, TradingDays},
};
use store::JobKind;

use super::{jobs::submit_and_wait, remote::Remote};
use crate::{
    config::Config,
    error::{CommandError, Result},
    http::jobs::Submission,
    wiring::models,
};

/// Arguments of a round of training; what is not given is as in the settings `training.*`.
#[derive(Debug, Args)]
#[command(next_help_heading = "A round of training of the store's symbols")]
pub struct RoundArgs {
    /// Symbols of the store, separated by commas: each is a job with a verdict of its own. Ends with 0 also where the
    /// gate refuses, with 1 where a job failed
    #[arg(
        long,
        value_name = "SYMBOLS",
        value_delimiter = ',',
        conflicts_with_all = ["input", "out", "horizon", "no_log", "covariates", "validation", "holdout"]
    )]
    pub symbols: Vec<Symbol>,
    /// Bars that are trained on
    #[arg(long, value_name = "INTERVAL", requires = "symbols")]
    bars: Option<Interval>,
    /// When the market trades: always, weekdays, or an exchange such as XNYS
    #[arg(long, value_name = "DAYS", requires = "symbols")]
    days: Option<TradingDays>,
    /// A model that may become champion, such as ets or lstm(small,seeds=3); may be given again
    #[arg(long = "candidate", value_name = "MODEL", requires = "symbols", value_parser = models::candidate)]
    candidates: Vec<ModelRef>,
    /// What the gate compares: points or quantiles
    #[arg(long, value_name = "WHAT", requires = "symbols")]
    judged_by: Option<JudgedBy>,
    /// Steps that are forecast and judged
    #[arg(long, value_name = "H", requires = "symbols")]
    steps: Option<usize>,
    /// What is known: bars that end later do not exist [default: now]
    #[arg(long, value_name = "TIME", requires = "symbols")]
    as_of: Option<Timestamp>,
    /// Idempotency key: given again, it is the same jobs
    #[arg(long, value_name = "KEY", requires = "symbols")]
    key: Option<String>,
    /// Print each job as a JSON object
    #[arg(long, requires = "symbols")]
    json: bool,
    #[command(flatten)]
    remote: Remote,
}

/// Runs the command; `network` is a candidate that was described by flags of its own, `seed` what networks are
/// drawn from.
///
/// # Errors
/// As [`submit_and_wait`].
pub async fn run(
    args: &RoundArgs,
    (network, seed): (Option<ModelRef>, Option<u64>),
    config: &Config,
) -> Result<()> {
    let of_settings = &config.training.payload;
    let mut candidates = args.candidates.clone();
    candidates.extend(network);
    let candidates = (!candidates.is_empty()).then_some(candidates);
    let payload = TrainPayload {
        interval: args.bars.unwrap_or(of_settings.interval),
        days: args.days.clone().or_else(|| of_settings.days.clone()),
        candidates: candidates.or_else(|| of_settings.candidates.clone()),
        horizon: args.steps.or(of_settings.horizon),
        judged_by: args.judged_by.or(of_settings.judged_by),
        as_of: args.as_of,
        seed: seed.unwrap_or(of_settings.seed),
        ..of_settings.clone()
    };
    let payload = payload.trained_on(&args.symbols);
    let submissions: Result<Vec<_>> = args
        .symbols
        .iter()
        .map(|symbol| {
            let payload = TrainPayload {
                symbol: symbol.clone(),
                ..payload.clone()
            };
            let payload = serde_json::to_value(payload).map_err(|e| CommandError::Internal {
                detail: format!("a job cannot be written: {e}"),
            })?;
            let submission = Submission {
                kind: JobKind::Train,
                payload,
                priority: 0,
                run_at_us: None,
                max_attempts: None,
            };
            let key = args.key.as_ref().map(|key| format!("{key}:{symbol}"));
            Ok((submission, key))
        })
        .collect();
    submit_and_wait(&args.remote, config, &submissions?, args.json).await
}
