//! `tickcast export`: writes bars or ticks of the store into CSV or Parquet files, which `tickcast
//! import` and others read.

use std::{
    collections::BTreeSet,
    io::Write as _,
    path::{Path, PathBuf},
};

use clap::{Args, ValueEnum};
use market::{Interval, Symbol, Timestamp};
use store::{
    BarQuery, Instrument, PriceReader,
    export::{self, ExportOptions, Format, Kind},
};

use super::progress;
use crate::{
    config::Config,
    error::{CommandError, Result},
    terminal, wiring,
};

/// Rows that an export that is cut off reads again at most, about.
const SEGMENT_ROWS: usize = 100_000;

/// Arguments.
#[derive(Debug, Args)]
pub struct ExportArgs {
    /// File to write, or a directory, which gets a file per symbol. Its name tells the format. Given
    /// again after it was cut off, the export goes on where it stopped
    #[arg(long, short, value_name = "FILE|DIR")]
    output: PathBuf,
    /// Symbol; may be given again, or with commas [default: every one]
    #[arg(long = "symbol", value_delimiter = ',')]
    symbols: Vec<Symbol>,
    /// Interval of the bars: 1s, 1m, 5m, 15m, 1h, 1d [default: 1m]
    #[arg(long, conflicts_with = "ticks")]
    interval: Option<Interval>,
    /// Ticks instead of bars
    #[arg(long)]
    ticks: bool,
    /// First time: RFC 3339 or a date [default: the oldest]
    #[arg(long, value_name = "TIME")]
    from: Option<Timestamp>,
    /// Time to stop before: RFC 3339 or a date [default: the newest]
    #[arg(long, value_name = "TIME")]
    until: Option<Timestamp>,
    /// Format [default: by the output's extension, else csv]
    #[arg(long)]
    format: Option<FileFormat>,
    /// Replace files that are there already
    #[arg(long)]
    overwrite: bool,
}

/// A format by its name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum FileFormat {
    Csv,
    Parquet,
}

impl From<FileFormat> for Format {
    fn from(format: FileFormat) -> Self {
        match format {
            FileFormat::Csv => Self::Csv,
            FileFormat::Parquet => Self::Parquet,
        }
    }
}

impl ExportArgs {
    fn kind(&self) -> Kind {
        if self.ticks {
            Kind::Ticks
        } else {
            Kind::Bars(self.interval.unwrap_or(Interval::M1))
        }
    }

    fn format(&self) -> Format {
        let by_name = || match self.output.extension() {
            Some(extension) if extension.eq_ignore_ascii_case("parquet") => FileFormat::Parquet,
            _ => FileFormat::Csv,
        };
        self.format.unwrap_or_else(by_name).into()
    }

    /// A directory that is there, or a name that ends as one.
    fn is_directory(&self) -> bool {
        self.output.is_dir() || self.output.as_os_str().to_string_lossy().ends_with('/')
    }
}

/// Runs the command.
///
/// # Errors
/// Nothing to write, a symbol that there is nothing of, a file that is there, the store's.
pub async fn run(args: &ExportArgs, config: &Config) -> Result<()> {
    let opened = wiring::open_for_reading(config).await?;
    let done = match opened.prices() {
        Ok(prices) => write(args, prices).await,
        Err(error) => Err(error),
    };
    opened.close().await?;
    done
}

async fn write(args: &ExportArgs, store: &dyn PriceReader) -> Result<()> {
    let instruments = store.instruments().await?;
    let symbols = chosen(args, &instruments)?;
    refuse_nothing(args, store, &symbols, &instruments).await?;
    let one = |symbols, every_symbol, output| ExportOptions {
        symbols,
        every_symbol,
        kind: args.kind(),
        from: args.from.unwrap_or(Timestamp::MIN),
        until: args.until.unwrap_or(Timestamp::MAX),
        format: args.format(),
        output,
        segment_rows: SEGMENT_ROWS,
    };
    if !args.is_directory() {
        let every_symbol = args.symbols.is_empty();
        let options = one(symbols, every_symbol, args.output.clone());
        return write_file(args, store, options).await;
    }
    std::fs::create_dir_all(&args.output).map_err(|source| CommandError::File {
        path: args.output.clone(),
        source,
    })?;
    for symbol in symbols {
        let output = args.output.join(file_name(&symbol, args));
        if output.exists() && !args.overwrite {
            writeln!(terminal::stdout(), "{}: there already", output.display())?;
            continue;
        }
        write_file(args, store, one(vec![symbol], false, output)).await?;
    }
    Ok(())
}

async fn write_file(
    args: &ExportArgs,
    store: &dyn PriceReader,
    options: ExportOptions,
) -> Result<()> {
    let output = &options.output;
    if args.overwrite && output.is_file() {
        std::fs::remove_file(output).map_err(|source| CommandError::File {
            path: output.clone(),
            source,
        })?;
    }
    let bar = progress::share(terminal::line(&shown(output)));
    let done = export::export(store, &options, |at| {
        bar.set_position((at.share * 1_000.0) as u64);
        bar.set_message(at.rows.to_string());
    })
    .await;
    bar.finish_and_clear();
    let done = done?;
    let resumed = match done.resumed_rows {
        0 => String::new(),
        n => format!(", {n} of them by an earlier run"),
    };
    writeln!(
        terminal::stdout(),
        "{}: {} rows{resumed}",
        output.display(),
        done.rows
    )?;
    Ok(())
}

/// An export that would write no row is a mistake in what was asked for: it says what there is.
async fn refuse_nothing(
    args: &ExportArgs,
    store: &dyn PriceReader,
    symbols: &[Symbol],
    instruments: &[Instrument],
) -> Result<()> {
    let from = args.from.unwrap_or(Timestamp::MIN);
    let until = args.until.unwrap_or(Timestamp::MAX);
    for symbol in symbols {
        let is_there = match args.kind() {
            Kind::Ticks => !store.ticks(symbol, from, until, 1).await?.is_empty(),
            Kind::Bars(interval) => {
                let query = BarQuery {
                    symbol: symbol.clone(),
                    interval,
                    from,
                    until,
                    limit: 1,
                };
                !store.bars(&query).await?.is_empty()
            }
        };
        if is_there {
            return Ok(());
        }
    }
    if symbols.is_empty() {
        return Err(CommandError::input(
            "there is nothing to export: the store has no prices",
        ));
    }
    let what = match args.kind() {
        Kind::Ticks => "ticks".to_owned(),
        Kind::Bars(interval) => format!("bars of {interval}"),
    };
    let between = match (args.from, args.until) {
        (None, None) => String::new(),
        (Some(from), None) => format!(" from {from} on"),
        (None, Some(until)) => format!(" before {until}"),
        (Some(from), Some(until)) => format!(" from {from} to {until}"),
    };
    let intervals: BTreeSet<Interval> = instruments
        .iter()
        .filter(|instrument| symbols.contains(&instrument.symbol))
        .flat_map(|instrument| instrument.intervals.iter().copied())
        .collect();
    let there: Vec<&str> = intervals.into_iter().map(Interval::as_str).collect();
    Err(CommandError::input(format!(
        "there are no {what}{between} to export: there are bars of {}",
        there.join(", ")
    )))
}

fn shown(output: &Path) -> String {
    let name = output.file_name().unwrap_or(output.as_os_str());
    name.to_string_lossy().into_owned()
}

/// The symbols asked for, each once; every one when none is.
fn chosen(args: &ExportArgs, there: &[Instrument]) -> Result<Vec<Symbol>> {
    let there: Vec<Symbol> = there.iter().map(|i| i.symbol.clone()).collect();
    if args.symbols.is_empty() {
        return Ok(there);
    }
    // A symbol that is named twice would have its rows twice.
    let mut named: Vec<Symbol> = Vec::new();
    for symbol in &args.symbols {
        if !named.contains(symbol) {
            named.push(symbol.clone());
        }
    }
    let missing: Vec<&str> = named
        .iter()
        .filter(|symbol| !there.contains(symbol))
        .map(Symbol::as_str)
        .collect();
    if missing.is_empty() {
        return Ok(named);
    }
    Err(CommandError::input(format!(
        "there are no prices of {}",
        missing.join(", ")
    )))
}

/// A file's name for a symbol; what no file name may hold becomes an underscore.
fn file_name(symbol: &Symbol, args: &ExportArgs) -> String {
    let stem: String = symbol
        .as_str()
        .chars()
        .map(|c| {
            if matches!(c, '/' | ':' | '^' | '=') {
                '_'
            } else {
                c
            }
        })
        .collect();
    let extension = match args.format() {
        Format::Csv => "csv",
        Format::Parquet => "parquet",
    };
    match args.kind() {
        Kind::Ticks => format!("{stem}.ticks.{extension}"),
        Kind::Bars(interval) => format!("{stem}.{interval}.{extension}"),
    }
}
