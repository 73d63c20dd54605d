//! `tickcast ingest` and `tickcast consume`: a part of the pipeline without readers, until SIGTERM
//! or Ctrl-C.

use std::{io::Write as _, sync::Arc};

use pipeline::Role;
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use super::serve::{STOP_TIMEOUT, listen, start};
use crate::{
    config::Config,
    error::{CommandError, Result},
    http::{guard::Gate, ops, serving},
    terminal, wiring,
};

/// Runs the role until it is asked to stop.
///
/// # Errors
/// As [`crate::wiring::start`], and an address that cannot be listened on.
pub async fn run(role: Role, config: Config) -> Result<()> {
    wiring::check(role, &config)?;
    let gate = match config.health {
        Some(address) => Some(Arc::new(Gate::open(&config.web, address)?)),
        None => None,
    };
    let listener = match config.health {
        Some(address) => Some(listen(address).await?),
        None => None,
    };
    let stop = CancellationToken::new();
    let Some(wired) = start(role, &config, &stop).await? else {
        return Ok(());
    };
    let mut place = String::new();
    let mut server = None;
    if let (Some(listener), Some(gate)) = (listener, gate) {
        let address = listener.local_addr().map_err(CommandError::Output)?;
        place = format!(" at http://{address}");
        let router = ops::router(wired.ops_state(), &gate, config.log.access);
        let (limits, stopping) = (config.limits.clone(), stop.clone());
        server = Some(tokio::spawn(async move {
            serving::serve(listener, router, &limits, stopping).await;
        }));
    }
    let what = match role {
        Role::Ingest => format!(" ({})", wired.source),
        _ => String::new(),
    };
    writeln!(
        terminal::stdout(),
        "tickcast {} is running{place}{what}",
        role.as_str()
    )?;
    // The line is what scripts wait for: it must not stay in a buffer.
    std::io::stdout().flush()?;

    stop.cancelled().await;
    info!("stopping");
    let stopped = tokio::time::timeout(STOP_TIMEOUT, async {
        wired.stop().await;
        if let Some(server) = server {
            let _ = server.await;
        }
    });
    if stopped.await.is_err() {
        warn!("not everything stopped within {STOP_TIMEOUT:?}; what was not committed comes again");
    }
    Ok(())
}
