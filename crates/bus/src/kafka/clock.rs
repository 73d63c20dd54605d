//! The host's monotonic clock as a text that another process of the same host can read: so a record
//! keeps the moment of its arrival on its way through the broker.
//!
//! The text is `<boot id>:<microseconds>`. Another host, or this one after a reboot, has another
//! boot id, and there the text means nothing.

use std::time::{Duration, Instant};

use rustix::time::{ClockId, clock_gettime};

/// Reads and writes moments of this host.
#[derive(Clone, Debug)]
pub(super) struct HostClock {
    boot: String,
}

impl HostClock {
    /// Without a boot id (not Linux) it writes and reads nothing.
    pub(super) fn new() -> Self {
        let boot = std::fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default();
        Self {
            boot: boot.trim().chars().take(8).collect(),
        }
    }

    fn now() -> Duration {
        let now = clock_gettime(ClockId::Monotonic);
        Duration::new(
            now.tv_sec.unsigned_abs(),
            u32::try_from(now.tv_nsec).unwrap_or_default(),
        )
    }

    pub(super) fn write(&self, moment: Instant) -> Option<String> {
        if self.boot.is_empty() {
            return None;
        }
        let at = Self::now().saturating_sub(moment.elapsed());
        Some(format!("{}:{}", self.boot, at.as_micros()))
    }

    pub(super) fn read(&self, text: &str) -> Option<Instant> {
        let (boot, micros) = text.split_once(':')?;
        if self.boot.is_empty() || boot != self.boot {
            return None;
        }
        let at = Duration::from_micros(micros.parse().ok()?);
        Instant::now().checked_sub(Self::now().checked_sub(at)?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_moment_survives_the_way_through_text() {
        let clock = HostClock {
            boot: "test".into(),
        };
        let moment = Instant::now() - Duration::from_millis(250);
        let back = clock.read(&clock.write(moment).unwrap()).unwrap();
        let off = back.max(moment) - back.min(moment);
        assert!(off < Duration::from_millis(50), "{off:?}");
    }

    #[test]
    fn a_moment_of_another_boot_is_not_read() {
        let clock = HostClock {
            boot: "test".into(),
        };
        assert!(clock.read("other:123").is_none());
        assert!(clock.read("test:x").is_none());
        assert!(clock.read("").is_none());
    }
}
