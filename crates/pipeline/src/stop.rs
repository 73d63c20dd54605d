//! The end of the stages, in the order of the flow.

use std::time::Duration;

use tokio::task::JoinSet;

use crate::Pipeline;

impl Pipeline {
    /// Stops in the order of the flow: the sources, then the bus, then the consumer once it has
    /// stored and committed what the bus holds (what it has polled, where the bus keeps the rest),
    /// then the readers with a `Bye` and status 1001.
    /// What does not end within `timeout` is cut short: what was not committed comes again from a
    /// bus that outlives the process. Returns whether everything was drained. Further calls do
    /// nothing.
    pub async fn shutdown(&self, timeout: Duration) -> bool {
        let deadline = tokio::time::Instant::now() + timeout;
        let mut tasks = std::mem::take(&mut *self.tasks.lock().await);
        self.stop_sources.cancel();
        let mut drained = ends(&mut tasks.sources, deadline).await;
        if self.keeps {
            self.stop_consumer.cancel();
            drained &= ends(&mut tasks.consumer, deadline).await;
        }
        // A bus whose broker is away still has what it could not send, and would wait for it.
        drained &= tokio::time::timeout_at(deadline, self.bus.close())
            .await
            .is_ok();
        if !ends(&mut tasks.consumer, deadline).await {
            drained = false;
            self.stop_consumer.cancel();
            self.abort_consumer.cancel();
            tasks.consumer.shutdown().await;
        }
        // So does a store that is away, with the write that is under way.
        drained &= self.sink.close(deadline).await;
        self.stop_rest.cancel();
        // The hub delivers once more, so that readers get what was stored last before their `Bye`.
        let grace = tokio::time::Instant::now() + Duration::from_secs(1);
        drained &= ends(&mut tasks.rest, deadline.max(grace)).await;
        self.live.close();
        drained
    }
}

impl Drop for Pipeline {
    fn drop(&mut self) {
        self.stop_sources.cancel();
        self.stop_consumer.cancel();
        self.abort_consumer.cancel();
        self.stop_rest.cancel();
    }
}

/// Waits for tasks; aborts those that have not ended by the deadline.
async fn ends(tasks: &mut JoinSet<()>, deadline: tokio::time::Instant) -> bool {
    let all = async { while tasks.join_next().await.is_some() {} };
    let ended = tokio::time::timeout_at(deadline, all).await.is_ok();
    if !ended {
        tasks.shutdown().await;
    }
    ended
}
