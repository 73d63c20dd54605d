//! A pool of threads for computations, so that none runs on a thread of the async runtime.

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    sync::Arc,
};

use crate::{Result, ServingError};

/// A pool of threads of its own.
#[derive(Clone, Debug)]
pub(crate) struct Cpu {
    pool: Arc<rayon::ThreadPool>,
}

impl Cpu {
    /// A pool with a thread per core.
    pub(crate) fn new(name: &'static str) -> Result<Self> {
        Self::with_threads(name, 0)
    }

    /// A pool of so many threads; 0 for one per core.
    pub(crate) fn with_threads(name: &'static str, threads: usize) -> Result<Self> {
        let pool = rayon::ThreadPoolBuilder::new()
            .num_threads(threads)
            .thread_name(move |n| format!("{name}-{n}"))
            .build()
            .map_err(|e| ServingError::Internal {
                detail: format!("the threads for computations cannot be started: {e}"),
            })?;
        Ok(Self {
            pool: Arc::new(pool),
        })
    }

    /// How many threads it has.
    pub(crate) fn threads(&self) -> usize {
        self.pool.current_num_threads()
    }

    /// Runs `work` on the pool. It goes on to its end when the caller stops waiting.
    pub(crate) async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T> {
        let (tell, told) = tokio::sync::oneshot::channel();
        self.pool.spawn(move || {
            // A panic that left the closure would end the process.
            let done = catch_unwind(AssertUnwindSafe(work));
            // Nobody may be waiting any more.
            let _ = tell.send(done);
        });
        match told.await {
            Ok(Ok(value)) => Ok(value),
            Ok(Err(_)) => Err(ServingError::Internal {
                detail: "a computation panicked".into(),
            }),
            Err(_) => Err(ServingError::Closed),
        }
    }
}
