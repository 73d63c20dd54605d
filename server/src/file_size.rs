//! A limit on the size of files (`ulimit -f`) that is met with a message.
//!
//! Model: a process that writes beyond the limit gets the signal SIGXFSZ, which ends it without a word.
//! Once it is caught, the write fails with an error that says what happened, in the way that a full disk
//! does, and whoever writes deals with it. Some layers between (SQLite) only pass on that the disk failed;
//! [`was_reached`] tells the cause.
//!
//! What it does not do: raise the limit.

use std::sync::{
    Arc, OnceLock,
    atomic::{AtomicBool, Ordering},
};

static REACHED: OnceLock<Arc<AtomicBool>> = OnceLock::new();

/// From now on the signal ends nothing. Where it cannot be caught, it stays as it was.
pub fn catch() {
    let reached = Arc::<AtomicBool>::default();
    #[cfg(unix)]
    if let Err(error) =
        signal_hook::flag::register(signal_hook::consts::SIGXFSZ, Arc::clone(&reached))
    {
        tracing::warn!(%error, "a file that reaches its size limit will end the process");
    }
    // A second call leaves the first in place.
    let _ = REACHED.set(reached);
}

/// Says in the log each time that a file reaches the limit. For the processes that go on then, and try
/// again.
pub async fn tell() {
    #[cfg(unix)]
    {
        use tokio::signal::unix::{SignalKind, signal};
        let kind = SignalKind::from_raw(signal_hook::consts::SIGXFSZ);
        let Ok(mut signals) = signal(kind) else {
            return;
        };
        while signals.recv().await.is_some() {
            tracing::error!("{HINT}");
        }
    }
}

/// Whether a file has reached the limit.
pub fn was_reached() -> bool {
    REACHED.get().is_some_and(|r| r.load(Ordering::Relaxed))
}

/// What to add to an error once it was.
pub const HINT: &str = "a file has reached the size that this process may write (ulimit -f)";
