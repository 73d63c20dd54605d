//! The lanes that fits run in, and what is refused before it starts.

use std::sync::Arc;

use forecast::{CancelToken, Cost};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, TryAcquireError};

use crate::{PipelineError, Result, cpu::Cpu, error::invalid};

/// The estimate may be wrong by so much: what is estimated to take so many times the time-out is refused.
const MARGIN: f64 = 4.0;
/// The largest buffers of one fit, in bytes.
const MAX_FIT_BYTES: f64 = 256.0 * 1024.0 * 1024.0;

/// A pool of threads with a bound on what it has in hand.
pub(super) struct Lane {
    what: &'static str,
    limit: usize,
    slots: Arc<Semaphore>,
    pub(super) cpu: Cpu,
}

impl Lane {
    pub(super) fn new(what: &'static str, limit: usize, cpu: Cpu) -> Self {
        let limit = limit.max(1);
        let slots = Arc::new(Semaphore::new(limit));
        Self {
            what,
            limit,
            slots,
            cpu,
        }
    }

    pub(super) fn enter(&self) -> Result<OwnedSemaphorePermit> {
        let slots = Arc::clone(&self.slots);
        slots.try_acquire_owned().map_err(|error| match error {
            TryAcquireError::Closed => PipelineError::Closed,
            TryAcquireError::NoPermits => PipelineError::Busy {
                what: self.what,
                limit: self.limit,
            },
        })
    }

    pub(super) fn close(&self) {
        self.slots.close();
    }

    pub(super) fn in_hand(&self) -> usize {
        self.limit - self.slots.available_permits().min(self.limit)
    }
}

/// Stops a fit when nobody waits for it any more.
pub(super) struct StopOnDrop(pub(super) CancelToken);

impl Drop for StopOnDrop {
    fn drop(&mut self) {
        self.0.cancel();
    }
}

/// # Errors
/// Invalid, for a fit that cannot end in time or needs too much memory.
pub(super) fn refuse_beyond(
    cost: &Cost,
    model: &str,
    values: usize,
    timeout_ms: u64,
) -> Result<()> {
    let seconds = cost.seconds();
    if seconds > MARGIN * timeout_ms as f64 / 1e3 {
        let detail = format!(
            "{model} on {values} values would take some {seconds:.0} s, and the limit is {timeout_ms} ms: \
             expected smaller orders, a shorter season or fewer values"
        );
        return Err(invalid("model", detail));
    }
    if cost.bytes > MAX_FIT_BYTES {
        let detail = format!(
            "{model} on {values} values needs some {:.0} MiB: expected smaller orders or a shorter season",
            cost.bytes / (1024.0 * 1024.0)
        );
        return Err(invalid("model", detail));
    }
    Ok(())
}
