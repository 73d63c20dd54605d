//! What a job says of itself while it runs: how far it is, and lines for its log.
//!
//! Model: computations write here from any thread and never wait; the attempt carries it to the store with each
//! heartbeat. Lines beyond a bound are counted and left out.

use std::sync::{Mutex, MutexGuard, PoisonError};

use store::Progress;

/// Lines that wait for the next heartbeat at most.
const MOST_LINES: usize = 500;

#[derive(Debug, Default)]
pub(crate) struct Report(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    progress: Option<Progress>,
    /// Whether it was told since the last heartbeat.
    changed: bool,
    lines: Vec<String>,
    left_out: usize,
}

impl Report {
    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What is being done from now on.
    pub(crate) fn step(&self, message: &str) {
        let mut state = self.state();
        state.progress = Some(Progress {
            done: 0,
            total: 0,
            message: message.to_owned(),
        });
        state.changed = true;
    }

    /// What is being done, in other words, and how far that is.
    pub(crate) fn at(&self, message: String, done: u64, total: u64) {
        let mut state = self.state();
        state.progress = Some(Progress {
            done,
            total,
            message,
        });
        state.changed = true;
    }

    /// How far that is.
    pub(crate) fn progress(&self, done: usize, total: usize) {
        let mut state = self.state();
        if let Some(progress) = &mut state.progress {
            // Told from several threads: an earlier number may come later.
            progress.done = progress.done.max(done as u64);
            progress.total = total as u64;
            state.changed = true;
        }
    }

    /// A line for the log.
    pub(crate) fn line(&self, text: impl Into<String>) {
        let mut state = self.state();
        if state.lines.len() < MOST_LINES {
            state.lines.push(text.into());
        } else {
            state.left_out += 1;
        }
    }

    /// The progress, if it has changed since the last time.
    pub(super) fn take_progress(&self) -> Option<Progress> {
        let mut state = self.state();
        let changed = std::mem::take(&mut state.changed);
        state.progress.clone().filter(|_| changed)
    }

    /// The lines since the last time.
    pub(super) fn take_lines(&self) -> Vec<String> {
        let mut state = self.state();
        let mut lines = std::mem::take(&mut state.lines);
        let left_out = std::mem::take(&mut state.left_out);
        if left_out > 0 {
            lines.push(format!("{left_out} lines are left out"));
        }
        lines
    }
}
