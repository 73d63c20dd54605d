//! What readers are interested in: some work is done only while somebody looks at a series.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
};

use market::{Interval, Symbol};
use tokio::sync::Notify;

/// Counts the watchers of each (symbol, interval). Cheap to clone.
#[derive(Clone, Debug, Default)]
pub struct Interest {
    inner: Arc<Inner>,
}

#[derive(Debug, Default)]
struct Inner {
    counts: Mutex<HashMap<(Symbol, Interval), usize>>,
    /// Woken when a series gets its first watcher.
    began: Notify,
}

/// Interest a symbol and interval until it is dropped.
#[derive(Debug)]
#[must_use = "dropping it ends the watch"]
pub struct WatchGuard {
    key: (Symbol, Interval),
    inner: Arc<Inner>,
}

impl Interest {
    /// Watches a series until the guard is dropped.
    pub fn watch(&self, symbol: Symbol, interval: Interval) -> WatchGuard {
        let key = (symbol, interval);
        let mut counts = self
            .inner
            .counts
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let count = counts.entry(key.clone()).or_insert(0);
        *count += 1;
        if *count == 1 {
            self.inner.began.notify_one();
        }
        drop(counts);
        WatchGuard {
            key,
            inner: Arc::clone(&self.inner),
        }
    }

    /// Whether anybody watches a series.
    pub fn is_watched(&self, symbol: &Symbol, interval: Interval) -> bool {
        self.inner
            .counts
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .contains_key(&(symbol.clone(), interval))
    }

    /// The series that somebody watches, in no order.
    pub fn all(&self) -> Vec<(Symbol, Interval)> {
        self.inner
            .counts
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .keys()
            .cloned()
            .collect()
    }

    /// Returns once a series has got its first watcher since the last call; for one caller at a time.
    pub async fn begun(&self) {
        self.inner.began.notified().await;
    }
}

impl Drop for WatchGuard {
    fn drop(&mut self) {
        let mut counts = self
            .inner
            .counts
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = counts.get_mut(&self.key) {
            *count -= 1;
            if *count == 0 {
                counts.remove(&self.key);
            }
        }
    }
}
