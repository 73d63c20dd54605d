//! The commands, one file each.

pub mod audit;
pub mod backtest;
pub mod backup;
pub mod deadletters;
pub mod devices;
pub mod export;
pub mod export_model;
pub mod forecast;
pub mod import;
pub mod jobs;
mod progress;
mod reading;
mod remote;
pub mod role;
pub mod schedule;
mod season;
mod series_input;
pub mod serve;
pub mod simulate;
pub mod token;
pub mod train;
mod train_round;
pub mod work;

use std::{
    io::{IsTerminal as _, Write as _},
    time::Duration,
};

use pipeline::Role;

use crate::{
    cli::{Cli, Command},
    config::{self, Config, LogConfig},
    error::{CommandError, Result},
    file_size, terminal,
};

/// Runs the command that the command line names.
///
/// # Errors
/// What the process ends with.
pub fn run(cli: Cli) -> Result<()> {
    let layers = || config::read_layers(cli.settings.config.as_deref(), &cli.setting_flags());
    match &cli.command {
        Command::Forecast(args) => forecast::run(args),
        Command::Backtest(args) => backtest::run(args),
        Command::Train(args) => match args.round() {
            None => train::run(args),
            Some(round) => {
                let config = Config::from_layers(layers())?;
                start_logging(&config.log);
                block_on(train_round::run(round, args.candidate()?, &config))
            }
        },
        Command::Schedule(args) => schedule::run(args),
        Command::ExportModel(args) => export_model::run(args),
        Command::Devices => devices::run(),
        Command::Config => {
            let layers = layers();
            let printed = config::print(&layers);
            Config::from_layers(layers)?;
            terminal::stdout().write_all(printed.as_bytes())?;
            Ok(())
        }
        Command::Serve(_) => {
            let config = Config::from_layers(layers())?;
            start_logging(&config.log);
            block_on(serve::run(Role::Serve, config))
        }
        Command::Web(_) => {
            let config = Config::from_layers(layers())?;
            start_logging(&config.log);
            block_on(serve::run(Role::Web, config))
        }
        Command::Ingest(_) => {
            let config = Config::from_layers(layers())?;
            start_logging(&config.log);
            block_on(role::run(Role::Ingest, config))
        }
        Command::Consume(_) => {
            let config = Config::from_layers(layers())?;
            start_logging(&config.log);
            block_on(role::run(Role::Consume, config))
        }
        Command::Work => {
            let config = Config::from_layers(layers())?;
            start_logging(&config.log);
            block_on(work::run(config))
        }
        Command::Jobs(args) => {
            let config = Config::from_layers(layers())?;
            start_logging(&config.log);
            block_on(jobs::run(args, &config))
        }
        Command::Simulate(args) => {
            let config = Config::from_layers(layers())?;
            start_logging(&config.log);
            block_on(simulate::run(args, &config))
        }
        Command::Import(args) => {
            let config = Config::from_layers(layers())?;
            start_logging(&config.log);
            block_on(import::run(args, &config))
        }
        Command::Export(args) => {
            let config = Config::from_layers(layers())?;
            start_logging(&config.log);
            block_on(export::run(args, &config))
        }
        Command::Backup(args) => {
            let config = Config::from_layers(layers())?;
            start_logging(&config.log);
            block_on(backup::backup(args, &config))
        }
        Command::Restore(args) => {
            let config = Config::from_layers(layers())?;
            start_logging(&config.log);
            block_on(backup::restore(args, &config))
        }
        Command::DeadLetters(args) => {
            let config = Config::from_layers(layers())?;
            start_logging(&config.log);
            block_on(deadletters::run(args, &config))
        }
        Command::Token(args) => token::run(args, &Config::from_layers(layers())?),
        Command::Audit(args) => {
            let config = Config::from_layers(layers())?;
            start_logging(&config.log);
            block_on(audit::run(args, &config))
        }
    }
}

/// Work on threads of its own that is still running when a command has ended (a client that waits
/// for a broker that is away) is left behind after so long.
const LEFT_BEHIND_AFTER: Duration = Duration::from_secs(1);

fn block_on(command: impl Future<Output = Result<()>>) -> Result<()> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(|e| CommandError::Internal {
            detail: format!("the async runtime cannot be started: {e}"),
        })?;
    runtime.spawn(file_size::tell());
    let ended = runtime.block_on(command);
    runtime.shutdown_timeout(LEFT_BEHIND_AFTER);
    ended
}

fn start_logging(log: &LogConfig) {
    use tracing_subscriber::{Layer, layer::SubscriberExt, util::SubscriberInitExt};
    // The configuration has checked the filter already.
    let filter = log
        .level
        .parse::<tracing_subscriber::filter::Targets>()
        .unwrap_or_default()
        // It warns of each cookie that is none, and anybody can send those.
        .with_target("tower_sessions", tracing::level_filters::LevelFilter::ERROR);
    let coloured = std::io::stderr().is_terminal();
    let lines = tracing_subscriber::fmt::layer()
        .with_ansi(coloured)
        .with_writer(move || terminal::stderr().coloured(coloured));
    let lines = if log.json {
        lines.json().boxed()
    } else {
        lines.boxed()
    };
    // A second initialisation (tests) leaves the first in place.
    let _ = tracing_subscriber::registry()
        .with(lines.with_filter(filter))
        .try_init();
}
