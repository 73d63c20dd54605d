//! Processes that are killed with SIGKILL while they write.
//!
//! Model: a writer is a program of its own (a `[[bin]]` of the crate under test, so that cargo builds it for its
//! tests and no test of the crate stands for it). It prints `acknowledged N` on a line of its own once batch `N`
//! is safe. It is killed at a moment that a seed decides, and the next one sends the last batches again, as a
//! consumer does that has not committed.
//! Does not: cut the power; what was written stays with the system.

use std::{
    collections::BTreeSet,
    io::{BufRead, BufReader},
    process::{Command, Stdio},
    thread,
    time::Duration,
};

use crate::Lcg;

/// How many of the last batches are sent again.
const SENT_AGAIN: u64 = 5;

/// Starts a writer in each of `rounds` rounds, kills it, and lets `check` look at what is there with all the
/// batches that were acknowledged until then. `writer` makes the command that writes from a batch on.
/// Returns the batches acknowledged.
///
/// # Panics
/// When a writer cannot be started or ends by itself.
pub fn rounds(
    rounds: u64,
    seed: u64,
    mut writer: impl FnMut(u64) -> Command,
    mut check: impl FnMut(u64, &BTreeSet<u64>),
) -> BTreeSet<u64> {
    let mut random = Lcg::new(seed, Lcg::MMIX);
    let mut acknowledged = BTreeSet::new();
    for round in 0..rounds {
        let last = acknowledged.last();
        let first = last.map_or(0, |last: &u64| last.saturating_sub(SENT_AGAIN));
        let enough = 5 + random.below(60) as usize;
        let more = Duration::from_micros(random.below(30_000));
        acknowledged.extend(write_and_kill(&mut writer(first), enough, more));
        check(round, &acknowledged);
    }
    acknowledged
}

/// Runs a writer until it has acknowledged `enough` batches and `more` has passed, kills it, and returns all
/// that it acknowledged.
fn write_and_kill(writer: &mut Command, enough: usize, more: Duration) -> BTreeSet<u64> {
    let mut child = writer
        .stdout(Stdio::piped())
        .spawn()
        .unwrap_or_else(|error| panic!("{writer:?}: {error}"));
    let Some(out) = child.stdout.take() else {
        unreachable!("the output is piped");
    };
    let mut lines = BufReader::new(out).lines();
    let mut acknowledged = BTreeSet::new();
    while acknowledged.len() < enough {
        match lines.next() {
            Some(Ok(line)) => acknowledged.extend(batch_of(&line)),
            Some(Err(error)) => panic!("the output of the writer: {error}"),
            None => panic!("the writer ended by itself: {:?}", child.wait()),
        }
    }
    thread::sleep(more);
    let killed = child.kill().and_then(|()| child.wait());
    assert!(
        killed.as_ref().is_ok_and(|status| status.code().is_none()),
        "the writer was not killed: {killed:?}"
    );
    let mut rest: Vec<String> = lines.map_while(Result::ok).collect();
    // The last line may be cut off within its number: no acknowledgement.
    rest.pop();
    acknowledged.extend(rest.iter().filter_map(|line| batch_of(line)));
    acknowledged
}

/// The batch that a line acknowledges.
fn batch_of(line: &str) -> Option<u64> {
    let number = line.strip_prefix("acknowledged ")?;
    let read = number.parse();
    Some(read.unwrap_or_else(|_| panic!("an acknowledgement of no batch: {line:?}")))
}
