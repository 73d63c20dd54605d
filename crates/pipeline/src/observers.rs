//! Who is told of what was stored, and of which partitions a consumer has: other rooms of the program, which
//! the pipeline does not know.
//!
//! Model: an observer is subscribed once, between [`crate::Pipeline::prepare`] and [`crate::Prepared::run`] as a
//! rule, so that it misses nothing. The sink tells it under its gate: in order of storage, one append at a time,
//! after the market clock and the readers. So an observer only takes note and never waits; what it has to do
//! takes place in a task of its own. Nothing queues up here.
//!
//! What it does not do: tell again what was stored before the subscription; the store has it.

use std::sync::{Arc, PoisonError, RwLock};

use market::{Bar, Symbol};

/// Whether prices are news.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Origin {
    /// They came as they happened, and move the market clock.
    Live,
    /// They were imported.
    Historical,
}

/// What one append stored.
#[derive(Clone, Copy, Debug)]
pub struct StoredRows<'a> {
    /// The bars that have changed: those that the ticks fall into, as they are now; or those that came as bars,
    /// as they came.
    pub bars: &'a [Bar],
    /// Whether they are news.
    pub origin: Origin,
}

/// Is told of what was stored.
pub trait StoredObserver: Send + Sync + 'static {
    /// Rows are in the store. Takes note only: the next append waits for it.
    fn stored(&self, rows: StoredRows<'_>);
}

/// What has changed about the partitions of this process's consumer.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PartitionChange {
    /// It has these since it was last looked, in ascending order.
    pub assigned: Vec<u32>,
    /// It no longer has these, in ascending order.
    pub revoked: Vec<u32>,
    /// The symbols that were last seen in a partition that is another's now, by name.
    pub revoked_symbols: Vec<Symbol>,
}

/// Is told which partitions a consumer has, on a bus that shares them out.
pub trait PartitionObserver: Send + Sync + 'static {
    /// Partitions came or went. Takes note only: consuming waits for it.
    fn partitions_changed(&self, change: &PartitionChange);
}

/// The observers of a process. Cheap to clone.
///
/// ```
/// use std::sync::{Arc, atomic::{AtomicUsize, Ordering}};
/// use pipeline::{Observers, StoredObserver, StoredRows};
///
/// #[derive(Default)]
/// struct Count(AtomicUsize);
///
/// impl StoredObserver for Count {
///     fn stored(&self, rows: StoredRows<'_>) {
///         self.0.fetch_add(rows.bars.len(), Ordering::Relaxed);
///     }
/// }
///
/// Observers::default().subscribe_stored(Arc::new(Count::default()));
/// ```
#[derive(Clone, Default)]
pub struct Observers {
    inner: Arc<Inner>,
}

#[derive(Default)]
struct Inner {
    stored: RwLock<Vec<Arc<dyn StoredObserver>>>,
    partitions: RwLock<Vec<Arc<dyn PartitionObserver>>>,
}

impl std::fmt::Debug for Observers {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let (stored, partitions) = (&self.inner.stored, &self.inner.partitions);
        f.debug_struct("Observers")
            .field("stored", &read(stored).len())
            .field("partitions", &read(partitions).len())
            .finish()
    }
}

fn read<T>(list: &RwLock<Vec<T>>) -> std::sync::RwLockReadGuard<'_, Vec<T>> {
    list.read().unwrap_or_else(PoisonError::into_inner)
}

fn push<T>(list: &RwLock<Vec<T>>, one: T) {
    list.write()
        .unwrap_or_else(PoisonError::into_inner)
        .push(one);
}

impl Observers {
    /// Tells `observer` of everything that is stored from now on.
    pub fn subscribe_stored(&self, observer: Arc<dyn StoredObserver>) {
        push(&self.inner.stored, observer);
    }

    /// Tells `observer` of every change of the partitions from now on.
    pub fn subscribe_partitions(&self, observer: Arc<dyn PartitionObserver>) {
        push(&self.inner.partitions, observer);
    }

    pub(crate) fn stored(&self, rows: StoredRows<'_>) {
        for observer in read(&self.inner.stored).iter() {
            observer.stored(rows);
        }
    }

    pub(crate) fn partitions_changed(&self, change: &PartitionChange) {
        for observer in read(&self.inner.partitions).iter() {
            observer.partitions_changed(change);
        }
    }

    /// Whether anybody wants to hear of partitions.
    pub(crate) fn follow_partitions(&self) -> bool {
        !read(&self.inner.partitions).is_empty()
    }
}
