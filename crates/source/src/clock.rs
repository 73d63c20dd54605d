//! The wall clock, as an argument: tests and replays bring their own.

use std::{
    sync::Arc,
    time::{SystemTime, UNIX_EPOCH},
};

use market::Timestamp;

/// The time of day. It may step back; nothing here measures durations with it.
pub type WallClock = Arc<dyn Fn() -> Timestamp + Send + Sync>;

/// The system's wall clock.
pub fn system_clock() -> WallClock {
    Arc::new(|| {
        let us = match SystemTime::now().duration_since(UNIX_EPOCH) {
            Ok(after) => i64::try_from(after.as_micros()).unwrap_or(i64::MAX),
            Err(before) => -i64::try_from(before.duration().as_micros()).unwrap_or(i64::MAX),
        };
        Timestamp::from_micros(us)
    })
}
