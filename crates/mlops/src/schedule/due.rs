//! What to do about the time since the last run.
//!
//! Model: of all fires since the last run only the latest is run, once: what a missed one would have trained on, the
//! latest has as well. It is late when it runs more than [`GRACE_SECONDS`] after its time. A clock that was set
//! back makes nothing due until it has passed the last run again.
//! What it does not do: retry a run that failed.

use market::Timestamp;
use serde::{Deserialize, Serialize};

use super::Schedule;
use crate::Result;

/// A fire that runs within so many seconds of its time is not late.
pub const GRACE_SECONDS: i64 = 60;

/// Missed fires are counted up to here: a schedule of seconds may have missed millions.
const COUNTED: u64 = 1_000;

/// What is due.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "state", rename_all = "snake_case")]
pub enum Due {
    /// Nothing until then.
    Waiting {
        /// The next fire, UTC.
        next: Timestamp,
    },
    /// A fire is to be run now.
    Run {
        /// The time it was due.
        fire: Timestamp,
        /// Seconds since that time.
        late_by_seconds: i64,
        /// Earlier fires that are not made up for; 1,000 stands for that many or more.
        skipped: u64,
        /// Whether it is late.
        late: bool,
    },
}

impl Due {
    /// What is said in the log and on the page about a run that is late; none where it is on time.
    pub fn notice(&self) -> Option<String> {
        let Self::Run {
            fire,
            late_by_seconds,
            skipped,
            late: true,
        } = self
        else {
            return None;
        };
        let mut words = format!("late: was due at {fire}, {} ago", span(*late_by_seconds));
        let count = match *skipped {
            0 => return Some(words),
            1 => "one earlier fire was".to_owned(),
            n if n >= COUNTED => format!("{COUNTED} earlier fires or more were"),
            n => format!("{n} earlier fires were"),
        };
        words += &format!("; {count} missed too and will not be made up for");
        Some(words)
    }
}

/// A time span in words: its two largest units.
fn span(seconds: i64) -> String {
    let (days, hours, minutes) = (seconds / 86_400, seconds / 3_600 % 24, seconds / 60 % 60);
    match (days, hours, minutes) {
        (0, 0, 0) => format!("{seconds} s"),
        (0, 0, minutes) => format!("{minutes} min"),
        (0, hours, minutes) => format!("{hours} h {minutes} min"),
        (days, hours, _) => format!("{days} d {hours} h"),
    }
}

impl Schedule {
    /// What is due now. `last_run` is the fire that ran last (its time, not when it ran), or, before the first run,
    /// when the schedule was made.
    ///
    /// # Errors
    /// As [`Schedule::next_after`], where nothing is due.
    pub fn due(&self, last_run: Timestamp, now: Timestamp) -> Result<Due> {
        let latest = self.last_until(now)?.filter(|fire| fire.at > last_run);
        let Some(latest) = latest else {
            // With a clock set back, what was run already does not come again.
            let next = self.next_after(now.max(last_run))?;
            return Ok(Due::Waiting { next: next.at });
        };
        let mut skipped = 0;
        let mut from = last_run;
        while skipped < COUNTED {
            // What cannot be counted (the calendar begins later) was no fire.
            match self.next_after(from) {
                Ok(fire) if fire.at < latest.at => {
                    skipped += 1;
                    from = fire.at;
                }
                _ => break,
            }
        }
        let late_by_seconds = now.as_secs() - latest.at.as_secs();
        Ok(Due::Run {
            fire: latest.at,
            late_by_seconds,
            skipped,
            late: late_by_seconds > GRACE_SECONDS || skipped > 0,
        })
    }
}
