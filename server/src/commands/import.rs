//! `tickcast import`: loads files of bars or trades into the data directory.

use std::{
    io::{self, Write as _},
    path::PathBuf,
    sync::Arc,
};

use clap::Args;
use market::Interval;
use pipeline::{Clock as _, ImportReport, SystemClock};
use source::file::PriceFile;

use super::{progress, reading::ReadingArgs};
use crate::{
    access::{
        Who,
        audit::{Act, AuditLog, of_import},
    },
    config::Config,
    error::{CommandError, Result},
    file_batches::{self, Tally},
    terminal, wiring,
};

/// Arguments.
#[derive(Debug, Args)]
pub struct ImportArgs {
    /// Files of bars or trades: CSV and other text, Parquet, Arrow and Feather, JSON; plain, .gz or .zip; -
    /// reads standard input. docs/files.md lists the layouts that are known without options
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
    /// Interval of bars: 1s, 1m, 5m, 15m, 1h, 1d [default: told from the spacing of all rows]
    #[arg(long)]
    interval: Option<Interval>,
    /// Column of the close, or of the price of trades; with an adjusted close open, high and low are
    /// adjusted too
    #[arg(long, visible_alias = "column", value_name = "NAME")]
    close_column: Option<String>,
    /// Column of the volume, or of the size of trades
    #[arg(long, value_name = "NAME")]
    volume_column: Option<String>,
    /// Column of the symbol
    #[arg(long, value_name = "NAME")]
    symbol_column: Option<String>,
    #[command(flatten)]
    reading: ReadingArgs,
}

/// Runs the command.
///
/// # Errors
/// A file that cannot be read, what its rows leave open, the store's; and a file of which nothing could
/// be used.
pub async fn run(args: &ImportArgs, config: &Config) -> Result<()> {
    // Every file is opened, and read once, before the first is imported: what has to be asked for should
    // leave nothing behind.
    let mut files = Vec::with_capacity(args.files.len());
    for path in &args.files {
        let mut options = args.reading.options(SystemClock.now());
        options.interval = args.interval;
        options.close_column.clone_from(&args.close_column);
        options.volume_column.clone_from(&args.volume_column);
        options.symbol_column.clone_from(&args.symbol_column);
        options.rules = wiring::pipeline_config(config).rules();
        let path = path.clone();
        let shown = path.display().to_string();
        let opened = tokio::task::spawn_blocking(move || PriceFile::open(&path, options))
            .await
            .map_err(|e| CommandError::Internal {
                detail: format!("{shown}: {e}"),
            })?;
        files.push(opened.map_err(|e| of_file(&shown, e))?);
    }
    let offline = wiring::Offline::open(config).await?;
    let mut useless = Vec::new();
    let (audit, who) = (
        AuditLog::in_folder(&config.web.access_dir),
        Who::of_this_process(),
    );
    for file in files {
        let name = file.name().to_owned();
        let facts = file.facts();
        let bar = progress::bytes(file.total_bytes());
        let shown = bar.clone();
        let tally = Arc::new(Tally::default());
        let batches = file_batches::stream(file, Arc::clone(&tally), move |at| {
            shown.set_position(at.bytes);
            shown.set_message(at.rows.to_string());
        });
        let imported = offline.pipeline.import().run(batches, |_| {}).await;
        bar.finish_and_clear();
        let what = of_import(&name, &imported);
        audit.record(SystemClock.now(), Act::Import, &who, None, what);
        let report = imported.map_err(wiring::from_pipeline)?;
        summarise(&name, &facts, &report, &tally)?;
        if report.ticks + report.duplicates + report.bars.all() == 0 {
            useless.push(name);
        }
    }
    offline.close().await?;
    if useless.is_empty() {
        return Ok(());
    }
    Err(CommandError::Partial {
        detail: format!("no row of {} could be used", useless.join(", ")),
    })
}

/// An error with the file's name, where it has none.
fn of_file(path: &str, error: source::SourceError) -> CommandError {
    match &error {
        source::SourceError::Config { .. } => CommandError::input(format!("{path}: {error}")),
        _ => wiring::from_source(error),
    }
}

/// What was done with a file: its rows, what was decided of it, and why rows were put aside.
fn summarise(name: &str, facts: &[String], report: &ImportReport, tally: &Tally) -> io::Result<()> {
    let mut out = terminal::stdout();
    let many = |n: u64, one: &str| format!("{n} {one}{}", if n == 1 { "" } else { "s" });
    writeln!(
        out,
        "{name}: {} of {}",
        many(tally.rows(), "row"),
        many(report.symbols.len() as u64, "symbol")
    )?;
    for fact in facts {
        writeln!(out, "  {fact}")?;
    }
    if tally.moved() > 0 {
        writeln!(
            out,
            "  {} within their interval, and are kept under its start",
            if tally.moved() == 1 {
                "1 bar begins".to_owned()
            } else {
                format!("{} bars begin", tally.moved())
            }
        )?;
    }
    let bars = &report.bars;
    if bars.all() > 0 {
        writeln!(
            out,
            "  bars: {} new, {} replaced, {} equal to those that were there",
            bars.new, bars.replaced, bars.equal
        )?;
        if bars.kept > 0 {
            writeln!(
                out,
                "  {} there, made of trades, and stayed",
                if bars.kept == 1 {
                    "1 bar was".to_owned()
                } else {
                    format!("{} bars were", bars.kept)
                }
            )?;
        }
    }
    if report.ticks + report.duplicates > 0 {
        writeln!(
            out,
            "  ticks: {} new, {} were there",
            report.ticks, report.duplicates
        )?;
    }
    if tally.of_others() > 0 {
        writeln!(
            out,
            "  {} of other symbols passed over",
            many(tally.of_others(), "row")
        )?;
    }
    let reasons: Vec<String> = report
        .reasons
        .iter()
        .map(|(reason, count)| format!("{count} {reason}"))
        .collect();
    match report.rejected {
        0 => writeln!(out, "  rejected: 0 put aside")?,
        rejected => {
            writeln!(
                out,
                "  rejected: {rejected} put aside ({})",
                reasons.join(", ")
            )?;
            writeln!(
                out,
                "  `tickcast deadletters` lists the rows that were put aside, and why"
            )?;
        }
    }
    Ok(())
}
