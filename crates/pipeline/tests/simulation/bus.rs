//! The in-process bus with faults in front of it: publishing that is refused, or done in part and not
//! answered; polls that fail, after which the consumer begins anew and gets its records again; commits
//! that fail.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use async_trait::async_trait;
use bus::{BusError, Consumer, Delivery, EventBus, GroupLag, MemoryBus, Record, Result};
use tokio::time::sleep;

use crate::world::{Fate, World};

/// The bus as one process sees it.
pub struct FaultyBus {
    pub real: MemoryBus,
    pub world: Arc<World>,
    /// Whether the process holds records that it has not committed.
    pub holds: Arc<AtomicBool>,
}

struct FaultyConsumer {
    real: Box<dyn Consumer>,
    world: Arc<World>,
    holds: Arc<AtomicBool>,
}

fn away() -> BusError {
    BusError::Unavailable {
        detail: "the simulated bus is away".into(),
    }
}

#[async_trait]
impl EventBus for FaultyBus {
    async fn publish(&self, topic: &str, mut records: Vec<Record>) -> Result<()> {
        match self.world.fate() {
            Fate::Refused(after) => {
                self.world.story().bus_faults += 1;
                sleep(after).await;
                Err(away())
            }
            Fate::Unheard(after) => {
                self.world.story().bus_faults += 1;
                let some = self.world.below(records.len() as u64 + 1);
                records.truncate(some as usize);
                self.real.publish(topic, records).await?;
                sleep(after).await;
                Err(away())
            }
            Fate::Done(before, after) => {
                sleep(before).await;
                self.real.publish(topic, records).await?;
                sleep(after).await;
                Ok(())
            }
        }
    }

    async fn subscribe(&self, topic: &str, group: &str) -> Result<Box<dyn Consumer>> {
        if self.world.once_in(4) {
            self.world.story().bus_faults += 1;
            sleep(Duration::from_millis(20)).await;
            return Err(away());
        }
        Ok(Box::new(FaultyConsumer {
            real: self.real.subscribe(topic, group).await?,
            world: Arc::clone(&self.world),
            holds: Arc::clone(&self.holds),
        }))
    }

    async fn lag(&self, topic: &str) -> Result<Vec<GroupLag>> {
        self.real.lag(topic).await
    }

    async fn close(&self) {
        self.real.close().await;
    }
}

#[async_trait]
impl Consumer for FaultyConsumer {
    async fn poll(&mut self, max_rows: usize, timeout: Duration) -> Result<Vec<Delivery>> {
        // Often while something is held that was not committed: then it comes again.
        let often = if self.holds.load(Ordering::SeqCst) {
            3
        } else {
            30
        };
        if self.world.once_in(often) {
            self.world.story().bus_faults += 1;
            return Err(away());
        }
        let polled = self.real.poll(max_rows, timeout).await?;
        if !polled.is_empty() {
            self.holds.store(true, Ordering::SeqCst);
        }
        Ok(polled)
    }

    async fn commit(&mut self) -> Result<()> {
        if self.world.once_in(8) {
            self.world.story().bus_faults += 1;
            sleep(Duration::from_millis(self.world.below(200))).await;
            return Err(away());
        }
        self.real.commit().await?;
        self.holds.store(false, Ordering::SeqCst);
        Ok(())
    }
}
