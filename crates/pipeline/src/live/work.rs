//! What a reader has asked for and has not got yet, in pieces.
//!
//! Model: one piece for each symbol. A piece that fails for something that passes (the store or the
//! bus is away) waits and is tried again, after those that others wait for.

use std::{collections::VecDeque, time::Duration};

use market::{Symbol, Timestamp};
use tokio::time::Instant;

/// How long a piece waits that failed for something that passes.
const AGAIN_AFTER: Duration = Duration::from_secs(1);

/// A piece of a request that is still to be done.
#[derive(Clone, Debug)]
pub(super) struct Work {
    pub id: u64,
    pub symbol: Symbol,
    pub task: Task,
    /// When it may be done.
    due: Instant,
}

#[derive(Clone, Debug)]
pub(super) enum Task {
    /// Attach with a snapshot.
    Snapshot { reset: bool },
    /// Send what came after `seen`, then attach.
    Resume {
        seen: u64,
        sent: usize,
        oldest: Option<Timestamp>,
        counted: bool,
        /// Whether the backlog said that it does not reach `seen`.
        beyond: bool,
    },
    /// Send the bars since `from`, but not those that attaching has sent.
    Bars { from: Timestamp },
}

#[derive(Debug, Default)]
pub(super) struct WorkList {
    list: VecDeque<Work>,
    next_id: u64,
}

impl WorkList {
    /// Takes a piece in; an older one of the symbol is withdrawn.
    pub(super) fn push(&mut self, symbol: Symbol, task: Task) {
        self.forget(&symbol);
        let id = self.next_id;
        self.next_id += 1;
        let due = Instant::now();
        self.list.push_back(Work {
            id,
            symbol,
            task,
            due,
        });
    }

    pub(super) fn forget(&mut self, symbol: &Symbol) {
        self.list.retain(|work| work.symbol != *symbol);
    }

    /// The first that may be done.
    pub(super) fn due(&self, now: Instant) -> Option<&Work> {
        self.list.iter().find(|work| work.due <= now)
    }

    /// When the next one may be done.
    pub(super) fn next_due(&self) -> Option<Instant> {
        self.list.iter().map(|work| work.due).min()
    }

    /// Leaves a piece for later, unless it was withdrawn meanwhile.
    pub(super) fn postpone(&mut self, id: u64) {
        if let Some(at) = self.list.iter().position(|work| work.id == id)
            && let Some(mut work) = self.list.remove(at)
        {
            work.due = Instant::now() + AGAIN_AFTER;
            self.list.push_back(work);
        }
    }

    /// Replaces a piece by the one that follows, unless it was withdrawn meanwhile.
    pub(super) fn finish(&mut self, id: u64, next: Option<Task>) {
        if let Some(at) = self.list.iter().position(|work| work.id == id) {
            match next {
                Some(task) => self.list[at].task = task,
                None => {
                    self.list.remove(at);
                }
            }
        }
    }
}
