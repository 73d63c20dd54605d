//! `tickcast work`: a worker by itself, and the schedule of trainings, until SIGTERM or Ctrl-C.
//!
//! Model: any number of them work on one store, on any number of machines; `tickcast serve` has one built in.

use std::io::Write as _;

use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use super::serve::{STOP_TIMEOUT, cancel_on_signal};
use crate::{
    config::Config,
    error::{CommandError, Result},
    terminal, wiring,
};

/// Runs until it is asked to stop.
///
/// # Errors
/// The store cannot be opened, a schedule that never fires, no jobs at a time.
pub async fn run(config: Config) -> Result<()> {
    if config.training.jobs == 0 {
        return Err(CommandError::input(
            "training.jobs is 0: set how many jobs this worker does at a time",
        ));
    }
    let stop = CancellationToken::new();
    tokio::spawn(cancel_on_signal(stop.clone()));
    let working = wiring::Working::open(&config).await?;
    let training = working.training(&config)?;
    writeln!(
        terminal::stdout(),
        "tickcast work is running ({} jobs at a time)",
        config.training.jobs
    )?;
    // The line is what scripts wait for: it must not stay in a buffer.
    std::io::stdout().flush()?;
    stop.cancelled().await;
    info!("stopping");
    let stopped = tokio::time::timeout(STOP_TIMEOUT * 3, async {
        training.ask_to_stop();
        training.stopped().await;
        working.close().await
    });
    match stopped.await {
        Ok(closed) => closed,
        Err(_) => {
            warn!("a job did not stop in time: its lease will end, and another worker takes it");
            Ok(())
        }
    }
}
