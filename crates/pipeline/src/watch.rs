//! Who watches what: series that are forecast only while somebody looks at them.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
};

use market::{Interval, Symbol};
use tokio::sync::Notify;

/// Counts the watchers of each (symbol, interval).
#[derive(Clone, Debug, Default)]
pub(crate) struct Watches {
    inner: Arc<Inner>,
}

#[derive(Debug, Default)]
struct Inner {
    counts: Mutex<HashMap<(Symbol, Interval), usize>>,
    /// Woken when a series gets its first watcher.
    began: Notify,
}

/// Watches a symbol and interval until it is dropped.
#[derive(Debug)]
#[must_use = "dropping it ends the watch"]
pub struct WatchGuard {
    key: (Symbol, Interval),
    inner: Arc<Inner>,
}

impl Watches {
    pub(crate) fn watch(&self, symbol: Symbol, interval: Interval) -> WatchGuard {
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

    pub(crate) fn is_watched(&self, symbol: &Symbol, interval: Interval) -> bool {
        self.inner
            .counts
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .contains_key(&(symbol.clone(), interval))
    }

    pub(crate) fn all(&self) -> Vec<(Symbol, Interval)> {
        self.inner
            .counts
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .keys()
            .cloned()
            .collect()
    }

    pub(crate) async fn begun(&self) {
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
