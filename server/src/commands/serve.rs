//! `tickcast serve`: everything in one process; `tickcast web`: readers alone; until SIGTERM or
//! Ctrl-C.

use std::{io::Write as _, net::SocketAddr, sync::Arc, time::Duration};

use pipeline::Role;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use crate::{
    config::Config,
    error::{CommandError, Result},
    http::{self, guard::Gate, serving},
    terminal, wiring,
};

/// How long a stop may take before what is left is dropped; the store has it already.
pub const STOP_TIMEOUT: Duration = Duration::from_secs(10);

/// Runs a role with readers until it is asked to stop.
///
/// # Errors
/// As [`wiring::start`], and an address that cannot be listened on.
pub async fn run(role: Role, config: Config) -> Result<()> {
    // What is configured first: it is wrong whatever else listens here. Then the address: the
    // commonest fault is found before anything is opened.
    wiring::check(role, &config)?;
    let address = config.web.address;
    let gate = Arc::new(Gate::open(&config.web, address)?);
    let listener = listen(address).await?;
    let address = listener
        .local_addr()
        .map_err(|source| CommandError::Listen { address, source })?;
    let stop = CancellationToken::new();
    let Some(wired) = start(role, &config, &stop).await? else {
        return Ok(());
    };
    if !config.web.site_root.join("pkg").is_dir() {
        warn!(
            "there is no built front end in {}: pages come without it (make run builds it)",
            config.web.site_root.display()
        );
    }
    let state = wired.app_state(&config, address, gate)?;
    tokio::spawn(state.rates.clone().forget());
    let router = http::router(state, &config);

    writeln!(
        terminal::stdout(),
        "tickcast is at http://{address} ({})",
        wired.source
    )?;
    // The line is what scripts wait for: it must not stay in a buffer.
    std::io::stdout().flush()?;

    let (mut limits, stopping) = (config.limits.clone(), stop.clone());
    // While a forecast is computed, and between two heartbeats, nothing goes over a connection.
    limits.idle_timeout = limits
        .idle_timeout
        .max(config.requests.timeout.saturating_mul(2))
        .max(config.live.heartbeat.saturating_mul(3));
    let server =
        tokio::spawn(async move { serving::serve(listener, router, &limits, stopping).await });
    stop.cancelled().await;

    info!("stopping");
    let drained = tokio::time::timeout(STOP_TIMEOUT, async {
        // The pipeline says goodbye to WebSocket readers, so the sockets end before the server does.
        wired.stop().await;
        let _ = server.await;
    });
    if drained.await.is_err() {
        warn!(
            "not everything stopped within {STOP_TIMEOUT:?}; the store has all that was acknowledged"
        );
    }
    Ok(())
}

/// Listens.
///
/// # Errors
/// The address is in use or cannot be had; the error says what to do.
pub async fn listen(address: SocketAddr) -> Result<TcpListener> {
    TcpListener::bind(address)
        .await
        .map_err(|e| match e.kind() {
            std::io::ErrorKind::AddrInUse => CommandError::AddressInUse { address },
            _ => CommandError::Listen { address, source: e },
        })
}

/// Starts a role; `None` when it is asked to stop meanwhile. Signals are listened to before the start,
/// which may wait for a broker: process 1 of a container has no handlers of its own.
///
/// # Errors
/// As [`wiring::start`].
pub async fn start(
    role: Role,
    config: &Config,
    stop: &CancellationToken,
) -> Result<Option<wiring::Wired>> {
    tokio::spawn(cancel_on_signal(stop.clone()));
    tokio::select! {
        wired = wiring::start(role, config) => wired.map(Some),
        () = stop.cancelled() => Ok(None),
    }
}

/// Cancels on SIGTERM or Ctrl-C; a second signal ends the process at once.
pub async fn cancel_on_signal(stop: CancellationToken) {
    use tokio::signal::unix::{SignalKind, signal};
    let (Ok(mut term), Ok(mut interrupt)) = (
        signal(SignalKind::terminate()),
        signal(SignalKind::interrupt()),
    ) else {
        warn!("signals cannot be listened to: only kill -9 stops the server");
        return;
    };
    tokio::select! { _ = term.recv() => {}, _ = interrupt.recv() => {} }
    stop.cancel();
    tokio::select! { _ = term.recv() => {}, _ = interrupt.recv() => {} }
    std::process::exit(130);
}
