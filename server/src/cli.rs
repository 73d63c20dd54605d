//! The command line.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};

use crate::commands;

/// Takes stock prices in, keeps them, forecasts them, and shows on live data whether the forecasts
/// are any good.
///
/// Settings come from tickcast.toml in the working directory (or --config), then from the
/// environment (TICKCAST_WEB_PORT for web.port), then from flags; the later win. `tickcast config`
/// prints the effective ones with their origin and meaning.
#[derive(Debug, Parser)]
#[command(name = "tickcast", version, max_term_width = 100)]
pub struct Cli {
    /// Settings
    #[command(flatten)]
    pub settings: SettingFlags,
    /// What to do
    #[command(subcommand)]
    pub command: Command,
}

/// Flags that every command takes.
#[derive(Debug, Args)]
pub struct SettingFlags {
    /// Configuration file [default: tickcast.toml, where it is there]
    #[arg(long, global = true, value_name = "FILE", env = "TICKCAST_CONFIG")]
    pub config: Option<PathBuf>,
    /// Any setting, by its key; may be given again
    #[arg(long = "set", global = true, value_name = "KEY=VALUE")]
    pub set: Vec<String>,
    /// Directory of the database (store.data_dir) [default: tickcast-data]
    #[arg(long, global = true, value_name = "DIR")]
    pub data_dir: Option<String>,
}

/// The commands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Run everything in one process: source, bus, store, forecasts and the web app
    Serve(ServeFlags),
    /// Run source to Kafka alone
    Ingest(IngestFlags),
    /// Run Kafka to MongoDB alone, and the forecasts of what it stores; any number share the work
    Consume(ConsumeFlags),
    /// Run the web app alone; any number stand behind a load balancer
    Web(WebFlags),
    /// Run the simulated exchange alone: a REST server with made-up trades and bars
    Simulate(Box<commands::simulate::SimulateArgs>),
    /// Load CSV or Parquet files of bars or ticks into the store
    Import(commands::import::ImportArgs),
    /// Write bars or ticks of the store into a CSV or Parquet file; goes on where it was cut off
    Export(commands::export::ExportArgs),
    /// Forecast a series, or every series of a long table
    Forecast(commands::forecast::ForecastArgs),
    /// Measure how models would have done from rolling origins, against naive
    Backtest(commands::backtest::BacktestArgs),
    /// Train a neural model on the series of a table; forecast and backtest take it by its directory. Or hold a
    /// round of training for --symbols of the store, as a job: the gate decides who is champion
    Train(Box<commands::train::TrainArgs>),
    /// Write a trained model as an ONNX file, which other programs run
    ExportModel(commands::export_model::ExportModelArgs),
    /// List where trained models can run: the CPU, and the backends of burn that are in this build
    Devices,
    /// Run a worker alone, with the schedule of trainings; any number work on one store
    Work,
    /// List jobs, show one with its log, ask for its end
    Jobs(commands::jobs::JobsArgs),
    /// Show when a schedule of trainings fires
    Schedule(commands::schedule::ScheduleArgs),
    /// List the rows that could not be used, or replay them after a fix
    #[command(name = "deadletters")]
    DeadLetters(commands::deadletters::DeadLetterArgs),
    /// Copy the embedded database into one file, which is checked; a server may run meanwhile
    Backup(commands::backup::BackupArgs),
    /// Put a backup in the place of the embedded database; the old one is kept under another name
    Restore(commands::backup::RestoreArgs),
    /// Make, list and revoke the tokens that a server asks for
    Token(commands::token::TokenArgs),
    /// List what was done that cannot be undone: replays, imports, tokens
    Audit(commands::audit::AuditArgs),
    /// Print the effective configuration with the origin of each value, secrets masked
    Config,
}

/// Flags of `serve`: the settings that are changed most.
#[derive(Debug, Default, Args)]
pub struct ServeFlags {
    /// Address to listen on (web.host) [default: 127.0.0.1]
    #[arg(long)]
    pub host: Option<String>,
    /// Port to listen on; 0 takes any free one (web.port) [default: 3000]
    #[arg(long)]
    pub port: Option<String>,
    /// Directory of the built front end (web.site_root) [default: dist]
    #[arg(long, value_name = "DIR")]
    pub site_root: Option<String>,
    /// Where prices come from: simulated, rest, replay, none (source.kind) [default: simulated]
    #[arg(long, value_name = "KIND")]
    pub source: Option<String>,
    /// Trades per second of the simulated exchange (simulate.rate) [default: 60]
    #[arg(long, value_name = "N")]
    pub rate: Option<String>,
}

/// Flags of `ingest`.
#[derive(Debug, Default, Args)]
pub struct IngestFlags {
    /// Port for health and metrics; 0 takes any free one (health.port) [default: none]
    #[arg(long)]
    pub port: Option<String>,
    /// Where prices come from: simulated, rest, replay, none (source.kind) [default: simulated]
    #[arg(long, value_name = "KIND")]
    pub source: Option<String>,
    /// Trades per second of the simulated exchange (simulate.rate) [default: 60]
    #[arg(long, value_name = "N")]
    pub rate: Option<String>,
}

/// Flags of `consume`.
#[derive(Debug, Default, Args)]
pub struct ConsumeFlags {
    /// Port for health and metrics; 0 takes any free one (health.port) [default: none]
    #[arg(long)]
    pub port: Option<String>,
}

/// Flags of `web`.
#[derive(Debug, Default, Args)]
pub struct WebFlags {
    /// Address to listen on (web.host) [default: 127.0.0.1]
    #[arg(long)]
    pub host: Option<String>,
    /// Port to listen on; 0 takes any free one (web.port) [default: 3000]
    #[arg(long)]
    pub port: Option<String>,
    /// Directory of the built front end (web.site_root) [default: dist]
    #[arg(long, value_name = "DIR")]
    pub site_root: Option<String>,
}

impl Cli {
    /// The flags that stand for settings, as (key, text, flag). A `--set` without `=` keeps its
    /// text as the key, and is reported as an unknown setting with the other faults.
    pub fn setting_flags(&self) -> Vec<(String, String, String)> {
        let mut flags: Vec<(String, String, String)> = Vec::new();
        for pair in &self.settings.set {
            let (key, text) = pair.split_once('=').unwrap_or((pair, ""));
            flags.push((key.trim().into(), text.trim().into(), "--set".into()));
        }
        let mut add = |key: &str, text: &Option<String>, flag: &str| {
            if let Some(text) = text {
                flags.push((key.into(), text.clone(), flag.into()));
            }
        };
        add("store.data_dir", &self.settings.data_dir, "--data-dir");
        match &self.command {
            Command::Serve(serve) => {
                add("web.host", &serve.host, "--host");
                add("web.port", &serve.port, "--port");
                add("web.site_root", &serve.site_root, "--site-root");
                add("source.kind", &serve.source, "--source");
                add("simulate.rate", &serve.rate, "--rate");
            }
            Command::Ingest(ingest) => {
                add("health.port", &ingest.port, "--port");
                add("source.kind", &ingest.source, "--source");
                add("simulate.rate", &ingest.rate, "--rate");
            }
            Command::Consume(consume) => add("health.port", &consume.port, "--port"),
            Command::Web(web) => {
                add("web.host", &web.host, "--host");
                add("web.port", &web.port, "--port");
                add("web.site_root", &web.site_root, "--site-root");
            }
            Command::Simulate(simulate) => {
                add("simulate.seed", &simulate.seed, "--seed");
                add("simulate.rate", &simulate.rate, "--rate");
            }
            _ => {}
        }
        flags
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;
    use crate::config::settings;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn the_help_shows_the_default_of_each_setting_that_has_a_flag() {
        let commands = Cli::command();
        let arguments = commands
            .get_subcommands()
            .chain([&commands])
            .flat_map(|command| command.get_arguments());
        let mut seen = 0;
        for argument in arguments {
            let help = argument.get_help().map_or(String::new(), |h| h.to_string());
            for setting in settings::all() {
                if help.contains(&format!("({})", setting.key)) {
                    let default = if setting.default.is_empty() {
                        "none"
                    } else {
                        setting.default
                    };
                    let shown = format!("[default: {default}]");
                    assert!(help.ends_with(&shown), "{shown} is missing in {help:?}");
                    seen += 1;
                }
            }
        }
        assert!(seen > 10, "only {seen} flags of settings");
    }

    #[test]
    fn flags_become_settings() {
        let line = [
            "tickcast",
            "serve",
            "--port",
            "8",
            "--set",
            "log.level=debug",
            "--data-dir",
            "d",
        ];
        let cli = Cli::try_parse_from(line).unwrap();
        let keys: Vec<String> = cli
            .setting_flags()
            .into_iter()
            .map(|(k, v, _)| k + "=" + &v)
            .collect();
        assert_eq!(keys, ["log.level=debug", "store.data_dir=d", "web.port=8"]);
    }
}
