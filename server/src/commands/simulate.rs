//! `tickcast simulate`: the simulated exchange alone, for a pipeline on another machine, or to see
//! what a provider in trouble does to one.

use std::{io::Write as _, net::SocketAddr};

use clap::Args;
use source::sim::{FaultOptions, MarketOptions};
use tokio_util::sync::CancellationToken;

use crate::{
    config::Config,
    error::{CommandError, Result},
    simulate::{self, SimulateOptions},
    terminal, wiring,
};

/// Arguments.
#[derive(Debug, Args)]
pub struct SimulateArgs {
    /// Address to listen on
    #[arg(long, default_value = "127.0.0.1")]
    host: std::net::IpAddr,
    /// Port to listen on; 0 takes any free one
    #[arg(long, default_value_t = 3100)]
    port: u16,
    /// The same seed gives the same prices (simulate.seed) [default: 42]
    #[arg(long)]
    pub seed: Option<String>,
    /// Trades per second, 1 to 100000 (simulate.rate) [default: 60]
    #[arg(long, value_name = "N")]
    pub rate: Option<String>,
    /// How many times faster than the clock its time passes
    #[arg(long, default_value_t = 1.0)]
    speed: f64,
    /// Time when its clock starts (RFC 3339) [default: now]
    #[arg(long, value_name = "TIME")]
    start: Option<market::Timestamp>,
    /// Every answer comes this much later
    #[arg(long, value_name = "MS", default_value_t = 0, help_heading = "Faults")]
    latency_ms: u64,
    /// And up to this much later still
    #[arg(long, value_name = "MS", default_value_t = 0, help_heading = "Faults")]
    latency_jitter_ms: u64,
    /// Share of requests answered with 500, 0 to 1
    #[arg(
        long,
        value_name = "SHARE",
        default_value_t = 0.0,
        help_heading = "Faults"
    )]
    errors: f64,
    /// Share of requests answered with 429 and Retry-After, 0 to 1
    #[arg(
        long,
        value_name = "SHARE",
        default_value_t = 0.0,
        help_heading = "Faults"
    )]
    throttled: f64,
    /// Seconds that Retry-After asks for
    #[arg(long, value_name = "S", default_value_t = 1, help_heading = "Faults")]
    retry_after_s: u64,
    /// Share of rows that are malformed, 0 to 1
    #[arg(
        long,
        value_name = "SHARE",
        default_value_t = 0.0,
        help_heading = "Faults"
    )]
    malformed: f64,
    /// Share of rows that come twice, 0 to 1
    #[arg(
        long,
        value_name = "SHARE",
        default_value_t = 0.0,
        help_heading = "Faults"
    )]
    duplicates: f64,
    /// Share of rows that come seconds late, 0 to 1
    #[arg(
        long,
        value_name = "SHARE",
        default_value_t = 0.0,
        help_heading = "Faults"
    )]
    late: f64,
    /// Share of rows that change places with a neighbour, 0 to 1
    #[arg(
        long,
        value_name = "SHARE",
        default_value_t = 0.0,
        help_heading = "Faults"
    )]
    out_of_order: f64,
}

impl SimulateArgs {
    /// What is simulated: as the settings say where they have a word, whose flags are among them.
    fn options(&self, config: &Config) -> SimulateOptions {
        SimulateOptions {
            market: MarketOptions {
                speed: self.speed,
                ..wiring::market_options(config)
            },
            faults: FaultOptions {
                latency_ms: self.latency_ms,
                latency_jitter_ms: self.latency_jitter_ms,
                error_share: self.errors,
                throttle_share: self.throttled,
                retry_after_s: self.retry_after_s,
                malformed_share: self.malformed,
                duplicate_share: self.duplicates,
                late_share: self.late,
                out_of_order_share: self.out_of_order,
            },
            start: self.start,
            ..SimulateOptions::default()
        }
    }
}

/// Runs the exchange until it is asked to stop.
///
/// # Errors
/// The address cannot be listened on, or a setting is out of its range.
pub async fn run(args: &SimulateArgs, config: &Config) -> Result<()> {
    let options = args.options(config);
    let faults = options.check();
    if !faults.is_empty() {
        let lines: Vec<String> = faults.iter().map(ToString::to_string).collect();
        return Err(CommandError::input(lines.join("; ")));
    }
    let address = SocketAddr::new(args.host, args.port);
    let listener = super::serve::listen(address).await?;
    let address = listener
        .local_addr()
        .map_err(|source| CommandError::Listen { address, source })?;
    writeln!(
        terminal::stdout(),
        "simulated exchange at http://{address}/v1/status"
    )?;
    std::io::stdout().flush()?;
    let stop = CancellationToken::new();
    tokio::spawn(super::serve::cancel_on_signal(stop.clone()));
    simulate::serve(listener, options, stop).await?;
    Ok(())
}
