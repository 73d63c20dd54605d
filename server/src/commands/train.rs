//! `tickcast train`: trains a neural model on every series of a table, and writes it to a directory.

use std::{
    io::IsTerminal as _,
    path::{Path, PathBuf},
    sync::atomic::{AtomicBool, Ordering},
    time::Instant,
};

use clap::{Args, ValueEnum};
use forecast::ModelRef;
use kernels::Cpu;
use neural::{
    Config, Covariate, Kind, Model, NetworkSpec, Series, Size, artefact,
    training::{self, Control, Event, Options},
};

use super::{progress, reading::ReadingArgs, series_input, train_round::RoundArgs};
use crate::error::{CommandError, Result};

/// The kind of network.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum KindOf {
    /// Long short-term memory; takes covariates.
    Lstm,
    /// Transformer over patches of each series.
    Patchtst,
    /// One linear layer: what the others have to beat.
    Nlinear,
}

/// The size of a network.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum SizeOf {
    /// Trained in seconds.
    Small,
    /// The one to begin with.
    Base,
    /// Where there is much data.
    Large,
}

/// What the LSTM reads besides the values.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum CovariateOf {
    /// The window's scale against that of the training data.
    Volatility,
    /// The volume; see --volume-column.
    Volume,
    /// Day of the week and time of day.
    Calendar,
}

/// Arguments.
#[derive(Debug, Args)]
pub struct TrainArgs {
    /// What is trained
    #[arg(
        long,
        value_enum,
        value_name = "MODEL",
        required_unless_present = "symbols"
    )]
    model: Option<KindOf>,
    /// A file of any kind that import reads, or a plain list of numbers; - reads standard input
    #[arg(long, value_name = "FILE", required_unless_present = "symbols")]
    input: Option<PathBuf>,
    /// Column of the values [default: close, y, value or price]
    #[arg(long, value_name = "NAME")]
    column: Option<String>,
    /// Column that tells series apart in a long table
    #[arg(long, value_name = "NAME")]
    id: Option<String>,
    /// Steps ahead that the model forecasts
    #[arg(long, value_name = "H", required_unless_present = "symbols")]
    horizon: Option<usize>,
    /// Size of the network [default: base]
    #[arg(long, value_enum, value_name = "SIZE")]
    size: Option<SizeOf>,
    /// Steps that it looks back [default: 32, 64 or 128, by model and size]
    #[arg(long, value_name = "W")]
    window: Option<usize>,
    /// What an LSTM reads besides the values; may be given again [default: volatility]
    #[arg(long = "covariate", value_enum, value_name = "NAME")]
    covariates: Vec<CovariateOf>,
    /// Column of the volume
    #[arg(long, value_name = "NAME", default_value = "volume")]
    volume_column: String,
    /// Train on the values themselves instead of their logarithms; for values that may not be positive
    #[arg(long)]
    no_log: bool,
    /// Networks of different seeds whose quantiles are averaged
    #[arg(long, value_name = "N", default_value_t = 1)]
    ensemble: usize,
    /// Seed: the same one gives the same weights on the same instruction set [default: 1; of a round: 0]
    #[arg(long, value_name = "N")]
    seed: Option<u64>,
    /// Epochs at most [default: 40]
    #[arg(long, value_name = "N")]
    epochs: Option<usize>,
    /// Epochs without a better loss on the newest part after which it ends [default: 15]
    #[arg(long, value_name = "N")]
    patience: Option<usize>,
    /// Search for the size, where none is given, the rate of learning and the batch, by successive halving within so
    /// many epochs in all
    #[arg(long, value_name = "EPOCHS")]
    search: Option<usize>,
    /// Newest part of the data that is kept for validation
    #[arg(long, value_name = "PART", default_value_t = 0.2)]
    validation: f64,
    /// Newest steps of each series that are left out altogether, to backtest on
    #[arg(long, value_name = "N", default_value_t = 0)]
    holdout: usize,
    /// Directory of the trained model; one that is there already is replaced
    #[arg(long, value_name = "DIR", required_unless_present = "symbols")]
    out: Option<PathBuf>,
    #[command(flatten)]
    round: RoundArgs,
    #[command(flatten)]
    reading: ReadingArgs,
}

impl TrainArgs {
    /// The round of training that is asked for, in the place of a network.
    pub fn round(&self) -> Option<&RoundArgs> {
        (!self.round.symbols.is_empty()).then_some(&self.round)
    }

    /// The candidate of a round that the flags describe, if they describe one, and the seed.
    pub fn candidate(&self) -> Result<(Option<ModelRef>, Option<u64>)> {
        if self.model.is_none() {
            let flags = [
                ("--size", self.size.is_some()),
                ("--window", self.window.is_some()),
                ("--ensemble", self.ensemble != 1),
                ("--epochs", self.epochs.is_some()),
                ("--patience", self.patience.is_some()),
                ("--search", self.search.is_some()),
            ];
            return match flags.iter().find(|(_, given)| *given) {
                Some((flag, _)) => Err(CommandError::input(format!(
                    "{flag} is about --model, which is missing"
                ))),
                None => Ok((None, self.seed)),
            };
        }
        Ok((Some(self.spec()?.to_string().parse()?), self.seed))
    }

    fn spec(&self) -> Result<NetworkSpec> {
        let kind = match given(self.model.as_ref(), "--model")? {
            KindOf::Lstm => Kind::Lstm,
            KindOf::Patchtst => Kind::PatchTst,
            KindOf::Nlinear => Kind::NLinear,
        };
        let usual = NetworkSpec::new(kind);
        Ok(NetworkSpec {
            size: self.size.map(|size| match size {
                SizeOf::Small => Size::Small,
                SizeOf::Base => Size::Base,
                SizeOf::Large => Size::Large,
            }),
            window: self.window,
            seeds: self.ensemble,
            epochs: self.epochs.unwrap_or(usual.epochs),
            patience: self.patience.unwrap_or(usual.patience),
            search: self.search,
            ..usual
        })
    }

    /// Steps ahead, where they are given.
    fn horizon(&self) -> Result<usize> {
        Ok(*given(self.horizon.as_ref(), "--horizon")?)
    }

    fn config(&self) -> Result<Config> {
        let mut config = self.spec()?.config(self.horizon()?, !self.no_log)?;
        if !self.covariates.is_empty() {
            config.covariates.clear();
            for covariate in &self.covariates {
                let covariate = match covariate {
                    CovariateOf::Volatility => Covariate::Volatility,
                    CovariateOf::Volume => Covariate::Volume,
                    CovariateOf::Calendar => Covariate::Calendar,
                };
                if !config.covariates.contains(&covariate) {
                    config.covariates.push(covariate);
                }
            }
        }
        Ok(config)
    }
}

/// What clap has asked for already: one that is missing belongs to a round of training.
fn given<'a, T>(value: Option<&'a T>, flag: &str) -> Result<&'a T> {
    value.ok_or_else(|| CommandError::input(format!("{flag} is missing")))
}

/// A series of the table with its times in milliseconds.
struct Row {
    series: series_input::Series,
    times_ms: Option<Vec<i64>>,
    volumes: Option<Vec<f64>>,
}

/// Runs the command.
///
/// # Errors
/// Input that cannot be read or is too short, a configuration that makes no network, a training that
/// diverged or was interrupted, a directory that cannot be written or is something else.
pub fn run(args: &TrainArgs) -> Result<()> {
    let out = given(args.out.as_ref(), "--out")?;
    artefact::check_target(out)?;
    let config = args.config()?;
    config.architecture()?;
    let rows = read(args, &config)?;
    let series: Vec<Series<'_>> = rows
        .iter()
        .map(|row| Series {
            id: &row.series.id,
            values: &row.series.values,
            times_ms: row.times_ms.as_deref(),
            volumes: row.volumes.as_deref(),
        })
        .map(|series| series.until(series.values.len().saturating_sub(args.holdout)))
        .collect();
    let options = Options {
        validation: args.validation,
        // Whoever trains from a file has time.
        steps_per_epoch: Options::default().steps_per_epoch,
        ..args.spec()?.options(args.seed.unwrap_or(1))
    };
    let started = Instant::now();
    let clock = || started.elapsed().as_secs_f64();
    let bar = progress::bar(0, "steps");
    let lines = !std::io::stderr().is_terminal();
    let shown = |event: &Event| show(&bar, event, lines);
    let cancel = cancelled_by_ctrl_c();
    let checkpoint = checkpoint(out);
    if let Some(parent) = checkpoint.parent().filter(|p| *p != Path::new("")) {
        std::fs::create_dir_all(parent).map_err(|source| CommandError::File {
            path: parent.to_owned(),
            source,
        })?;
    }
    let control = Control {
        progress: Some(&shown),
        cancel: Some(cancel),
        clock: &clock,
        checkpoint: Some(&checkpoint),
    };
    let trained = training::train(&config, &series, &options, Cpu::detect(), control);
    bar.finish_and_clear();
    let model = match trained {
        Err(e) if e.kind() == neural::ErrorKind::Cancelled => {
            let detail = "interrupted: the same command goes on after the last whole epoch";
            return Err(CommandError::Partial {
                detail: detail.into(),
            });
        }
        trained => trained?,
    };
    artefact::save(&model, out)?;
    report(&model, out, started.elapsed().as_secs_f64());
    Ok(())
}

/// The table, with the volumes where the configuration asks for them and there are any.
fn read(args: &TrainArgs, config: &Config) -> Result<Vec<Row>> {
    let input = given(args.input.as_ref(), "--input")?;
    let id = args.id.as_deref();
    let series = series_input::read(input, args.column.as_deref(), id, &args.reading)?;
    let asked = config.covariates.contains(&Covariate::Volume);
    let from = (&**input, &*args.volume_column, id);
    let volumes = series_input::volumes(asked, from, &args.reading, &series);
    let rows = series
        .into_iter()
        .zip(volumes)
        .map(|(series, volumes)| Row {
            times_ms: series_input::times_ms(&series),
            series,
            volumes,
        });
    Ok(rows.collect())
}

/// The checkpoint beside the directory.
fn checkpoint(out: &Path) -> PathBuf {
    let mut name = out.file_name().unwrap_or_default().to_owned();
    name.push(".checkpoint");
    out.with_file_name(name)
}

fn show(bar: &indicatif::ProgressBar, event: &Event, lines: bool) {
    let whole = event.steps * event.networks as u64;
    bar.set_length(whole);
    bar.set_position(event.steps * (event.network as u64 - 1) + event.step);
    let (Some(validation), Some(best)) = (event.validation_loss, event.best_loss) else {
        return;
    };
    let of = if let Some((trial, trials)) = event.trial {
        format!("trial {trial} of {trials}, ")
    } else if event.networks > 1 {
        format!("network {} of {}, ", event.network, event.networks)
    } else {
        String::new()
    };
    let line = format!(
        "{of}epoch {} of {}: loss {:.5}, validation {validation:.5} (best {best:.5}), {:.0} windows/s, \
         at most {:.0} s left",
        event.epoch, event.epochs, event.training_loss, event.windows_per_second, event.eta_seconds
    );
    // A series may have any name.
    let line = crate::terminal::line(&line);
    if lines {
        eprintln!("{line}");
    } else {
        bar.println(line);
    }
}

fn report(model: &Model, out: &Path, seconds: f64) {
    let provenance = model.provenance();
    for missing in &provenance.missing_covariates {
        eprintln!(
            "tickcast: trained without the covariate {}: {}",
            missing.covariate.name(),
            missing.reason
        );
    }
    let measures = &provenance.measures;
    let best: Vec<String> = provenance
        .epochs
        .iter()
        .map(|(epochs, best)| format!("{best} of {epochs}"))
        .collect();
    println!(
        "{} with {} weights on {}, {} series, {} training windows, best epoch {}, {seconds:.1} s",
        model.name(),
        model.parameters(),
        provenance.instruction_set,
        provenance.data.series,
        measures.training_windows,
        best.join(", ")
    );
    println!(
        "on {} validation windows: pinball loss {:.5}, naive {:.5} (skill {:+.2} %), inside 80 %: {:.1} %, \
         inside 95 %: {:.1} %",
        measures.validation_windows,
        measures.pinball,
        measures.pinball_naive,
        100.0 * (1.0 - measures.pinball / measures.pinball_naive),
        100.0 * measures.coverage_80,
        100.0 * measures.coverage_95
    );
    if let Some(search) = &provenance.search {
        let found = &search.trials[search.winner].trial;
        println!(
            "found by {} trials in {} of {} epochs: {:?}, rate {:.5}, {} windows a step",
            search.trials.len(),
            search.spent,
            search.budget,
            found.size,
            found.rate,
            found.batch
        );
    }
    println!("written to {}", crate::terminal::Plain(out.display()));
}

/// A flag that the first Ctrl-C sets; the second ends the process as usual.
fn cancelled_by_ctrl_c() -> &'static AtomicBool {
    static CANCEL: AtomicBool = AtomicBool::new(false);
    std::thread::spawn(|| {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build();
        if let Ok(runtime) = runtime
            && runtime.block_on(tokio::signal::ctrl_c()).is_ok()
        {
            CANCEL.store(true, Ordering::Relaxed);
            if runtime.block_on(tokio::signal::ctrl_c()).is_ok() {
                std::process::exit(130);
            }
        }
    });
    &CANCEL
}
