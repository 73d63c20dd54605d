//! Which stages a process runs, and what they stand on.

use std::sync::Arc;

use bus::{EventBus, TopicLog};
use store::StorePorts;

use crate::{Clock, DeadLetterOutlet, SourceSpec};

/// What the stages stand on.
pub struct Parts {
    /// The bus.
    pub bus: Arc<dyn EventBus>,
    /// The store.
    pub store: StorePorts,
    /// The wall clock.
    pub clock: Arc<dyn Clock>,
    /// The sources; none where prices come in another way.
    pub sources: Vec<SourceSpec>,
    /// The bus again, where it keeps its records: they survive the process, so that a stop need not
    /// drain it.
    pub log: Option<Arc<dyn TopicLog>>,
    /// Whether other processes write to the store as well. Then readers follow the topic, which
    /// must be kept, and observers are told which partitions are this process's.
    pub shared_store: bool,
    /// Where dead letters are told of besides the store.
    pub dead_letters: Option<Arc<dyn DeadLetterOutlet>>,
}

impl Parts {
    /// All that one process needs that does everything, over a bus that lives as long as it does.
    pub fn in_process(
        bus: Arc<dyn EventBus>,
        store: impl Into<StorePorts>,
        sources: Vec<SourceSpec>,
        clock: Arc<dyn Clock>,
    ) -> Self {
        Self {
            bus,
            store: store.into(),
            clock,
            sources,
            log: None,
            shared_store: false,
            dead_letters: None,
        }
    }
}

impl std::fmt::Debug for Parts {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Parts")
            .field("sources", &self.sources)
            .field("shared_store", &self.shared_store)
            .finish_non_exhaustive()
    }
}
