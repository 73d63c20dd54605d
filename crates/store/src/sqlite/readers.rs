//! The readers: a few connections that run on the runtime's blocking threads.
//!
//! Policy when full: a call waits for a connection; beyond [`MAX_WAITING`] waiting calls it is
//! refused as unavailable. Metric: `tickcast_store_reads_waiting`.

use std::{
    path::Path,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
};

use metrics::gauge;
use rusqlite::Connection;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::{fault::closed, schema};
use crate::{Result, StoreError};

/// Calls that wait for a connection at most.
const MAX_WAITING: usize = 1_024;

/// The pool.
#[derive(Debug)]
pub(super) struct Readers {
    free: Mutex<Vec<Connection>>,
    permits: Arc<Semaphore>,
    count: u32,
    waiting: AtomicUsize,
}

/// A connection that goes back to the pool however its use ends. The permit goes after it.
struct Borrowed {
    conn: Option<Connection>,
    pool: Arc<Readers>,
    _permit: OwnedSemaphorePermit,
}

impl Drop for Borrowed {
    fn drop(&mut self) {
        self.pool.free().extend(self.conn.take());
    }
}

/// Counts a waiting call for as long as it lives, so that a call given up is counted off too.
struct Waiting<'a>(&'a AtomicUsize);

impl<'a> Waiting<'a> {
    fn new(count: &'a AtomicUsize) -> Self {
        let now = count.fetch_add(1, Ordering::Relaxed) + 1;
        gauge!("tickcast_store_reads_waiting").set(now as f64);
        Self(count)
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        let now = self.0.fetch_sub(1, Ordering::Relaxed) - 1;
        gauge!("tickcast_store_reads_waiting").set(now as f64);
    }
}

impl Readers {
    /// Opens `count` connections.
    pub(super) fn open(dir: &Path, count: usize) -> Result<Arc<Self>> {
        let count = u32::try_from(count.clamp(1, 64)).unwrap_or(1);
        let free = (0..count)
            .map(|_| schema::open_reader(dir))
            .collect::<Result<Vec<_>>>()?;
        Ok(Arc::new(Self {
            free: Mutex::new(free),
            permits: Arc::new(Semaphore::new(count as usize)),
            count,
            waiting: AtomicUsize::new(0),
        }))
    }

    /// Runs `op` on a connection.
    pub(super) async fn read<T: Send + 'static>(
        self: &Arc<Self>,
        op: impl FnOnce(&Connection) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        let permit = match self.permits.clone().try_acquire_owned() {
            Ok(permit) => permit,
            Err(_) => {
                if self.waiting.load(Ordering::Relaxed) >= MAX_WAITING {
                    return Err(StoreError::Unavailable {
                        detail: format!("{MAX_WAITING} reads are waiting already"),
                    });
                }
                let _waiting = Waiting::new(&self.waiting);
                let permit = self.permits.clone().acquire_owned().await;
                permit.map_err(|_| closed())?
            }
        };
        let borrowed = Borrowed {
            conn: self.free().pop(),
            pool: self.clone(),
            _permit: permit,
        };
        let task = tokio::task::spawn_blocking(move || match &borrowed.conn {
            Some(conn) => op(conn),
            None => Err(closed()),
        });
        task.await.unwrap_or_else(|error| {
            Err(StoreError::Internal {
                detail: format!("a read was cut off: {error}"),
            })
        })
    }

    /// Waits for the reads that run, refuses further ones and closes the connections.
    pub(super) async fn close(&self) {
        // Fails only when it is closed already.
        let all = self.permits.acquire_many(self.count).await;
        self.permits.close();
        drop(all);
        self.free().clear();
    }

    fn free(&self) -> std::sync::MutexGuard<'_, Vec<Connection>> {
        self.free.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
