//! Every side of the bus against one suite. A new side adds a module that gives a
//! [`suite::BusUnderTest`].

#[cfg(test)]
mod suite;

#[cfg(test)]
mod memory {
    use std::sync::Arc;

    use async_trait::async_trait;
    use bus::{EventBus, MemoryBus, MemoryBusOptions};

    use crate::suite::{BusUnderTest, contract_tests};

    struct Memory;

    #[async_trait]
    impl BusUnderTest for Memory {
        async fn bus(&self, capacity_rows: usize, partitions: u32) -> Arc<dyn EventBus> {
            Arc::new(MemoryBus::new(MemoryBusOptions {
                capacity_rows,
                partitions,
            }))
        }
    }

    contract_tests!(Memory);
}
