//! A source that hands the world's batches over, goes on where it stood when it is started again, fails
//! between them, and repeats itself.

use std::{
    sync::{Arc, PoisonError},
    time::{Duration, Instant},
};

use async_trait::async_trait;
use pipeline::SourceSpec;
use source::{SourceBatch, SourceError, SourceSink, TickSource};
use tokio_util::sync::CancellationToken;

use crate::world::World;

struct Feed(Arc<World>);

/// The source of one process.
pub fn of(world: &Arc<World>) -> SourceSpec {
    let world = Arc::clone(world);
    SourceSpec::new("sim", move || Ok(Box::new(Feed(Arc::clone(&world)))))
}

impl Feed {
    fn taken(&self) -> usize {
        *self.0.taken.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn batch(&self, number: usize) -> SourceBatch {
        let batch = &self.0.batches[number];
        SourceBatch {
            source: "sim".into(),
            // Names the batch, and so its bad rows, whenever it comes.
            source_offset: Some(number.to_string().into()),
            received: Instant::now(),
            ticks: batch.ticks.clone(),
            bars: Vec::new(),
            rejects: batch.rejects.clone(),
        }
    }
}

#[async_trait]
impl TickSource for Feed {
    fn name(&self) -> Arc<str> {
        "sim".into()
    }

    async fn run(
        self: Box<Self>,
        out: SourceSink,
        cancel: CancellationToken,
    ) -> source::Result<()> {
        while self.taken() < self.0.batches.len() {
            tokio::time::sleep(Duration::from_millis(self.0.below(400))).await;
            if cancel.is_cancelled() {
                return Ok(());
            }
            if self.0.once_in(5) {
                self.0.story().source_failures += 1;
                return Err(SourceError::Unavailable {
                    url: "sim".into(),
                    detail: "the simulated source is away".into(),
                    retry_after: None,
                });
            }
            let number = self.taken();
            if number > 0 && self.0.once_in(4) {
                self.0.story().repeated_batches += 1;
                let earlier = self.0.below(number as u64) as usize;
                out.send(self.batch(earlier)).await?;
            }
            out.send(self.batch(number)).await?;
            let mut taken = self.0.taken.lock().unwrap_or_else(PoisonError::into_inner);
            *taken = number + 1;
        }
        Ok(())
    }
}
