//! `tickcast import`: loads CSV and Parquet files of bars or ticks into the data directory.

use std::path::PathBuf;

use clap::Args;
use market::{Interval, Symbol};
use pipeline::{Clock as _, SystemClock};
use source::csv::CsvOptions;

use super::progress;
use crate::{
    access::{
        Who,
        audit::{Act, AuditLog, of_import},
    },
    config::Config,
    error::Result,
    file_batches::{self, PriceFile},
    wiring,
};

/// Arguments.
#[derive(Debug, Args)]
pub struct ImportArgs {
    /// CSV files with a header line, plain or .gz, and Parquet files. Columns are found by their usual names: Symbol or
    /// Ticker, Date, Time or Timestamp, Open, High, Low, Close, Volume for bars; Price, Size, Seq
    /// for trades
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
    /// Symbol of files without a column for it [default: the file's name up to its first dot]
    #[arg(long)]
    symbol: Option<Symbol>,
    /// Interval of bars: 1s, 1m, 5m, 15m, 1h, 1d [default: 1d when they start at midnight, else 1m]
    #[arg(long)]
    interval: Option<Interval>,
    /// Column of the close of CSV files; with "Adj Close" open, high and low are adjusted too
    #[arg(long, value_name = "NAME")]
    column: Option<String>,
}

/// Runs the command.
///
/// # Errors
/// A file that cannot be read, the store's.
pub async fn run(args: &ImportArgs, config: &Config) -> Result<()> {
    // Every file is opened before the first is imported: a wrong name should cost nothing.
    let mut files = Vec::with_capacity(args.files.len());
    for path in &args.files {
        let mut options = CsvOptions::new(SystemClock.now());
        options.symbol.clone_from(&args.symbol);
        options.interval = args.interval;
        options.column.clone_from(&args.column);
        options.rules = wiring::pipeline_config(config).rules();
        files.push(PriceFile::open(path, options).map_err(wiring::from_source)?);
    }
    let offline = wiring::Offline::open(config).await?;
    let (audit, who) = (
        AuditLog::in_folder(&config.web.access_dir),
        Who::of_this_process(),
    );
    for file in files {
        let name = file.name().to_owned();
        let bar = progress::bytes(file.progress().total_bytes);
        let shown = bar.clone();
        let batches = file_batches::stream(file, move |at| {
            shown.set_position(at.bytes);
            shown.set_message(at.rows.to_string());
        });
        let imported = offline.pipeline.import().run(batches, |_| {}).await;
        bar.finish_and_clear();
        let what = of_import(&name, &imported);
        audit.record(SystemClock.now(), Act::Import, &who, None, what);
        let report = imported.map_err(wiring::from_pipeline)?;
        println!(
            "{name}: {} rows of {} symbols: {} bars, {} ticks ({} were there), {} put aside",
            report.rows,
            report.symbols.len(),
            report.bars,
            report.ticks,
            report.duplicates,
            report.rejected
        );
        if report.rejected > 0 {
            println!("`tickcast deadletters` lists the rows that were put aside, and why");
        }
    }
    offline.close().await
}
