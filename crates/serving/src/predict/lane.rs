//! The lanes that fits run in, and what is refused before it starts.

use std::{
    collections::HashMap,
    net::IpAddr,
    sync::{Arc, Mutex, PoisonError},
};

use forecast::{CancelToken, Cost};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, TryAcquireError};

use crate::{Result, ServingError, cpu::Cpu, error::invalid};

/// The estimate may be wrong by so much: what is estimated to take so many times the time-out is refused.
const MARGIN: f64 = 4.0;
/// The largest buffers of one fit, in bytes.
const MAX_FIT_BYTES: f64 = 256.0 * 1024.0 * 1024.0;

/// A pool of threads with a bound on what it has in hand.
pub(super) struct Lane {
    what: &'static str,
    limit: usize,
    slots: Arc<Semaphore>,
    /// What one client may have in hand; none where anybody may have all.
    shares: Option<Shares>,
    pub(super) cpu: Cpu,
}

/// A place in a lane; dropping it gives it back.
#[derive(Debug)]
pub(super) struct Slot {
    _of_all: OwnedSemaphorePermit,
    _of_client: Option<Share>,
}

impl Lane {
    pub(super) fn new(what: &'static str, limit: usize, cpu: Cpu) -> Self {
        let limit = limit.max(1);
        let slots = Arc::new(Semaphore::new(limit));
        Self {
            what,
            limit,
            slots,
            shares: None,
            cpu,
        }
    }

    /// Of which one client has at most half, so that another finds a slot wherever there are two; of one
    /// slot, one.
    pub(super) fn shared(self) -> Self {
        let shares = Shares {
            most: (self.limit / 2).max(1),
            held: Arc::default(),
        };
        Self {
            shares: Some(shares),
            ..self
        }
    }

    /// A place for a fit of this client.
    ///
    /// # Errors
    /// Busy, when all places are taken; share, when the client has all that it may have; closed.
    pub(super) fn enter(&self, client: Option<IpAddr>) -> Result<Slot> {
        let slots = Arc::clone(&self.slots);
        let of_all = slots.try_acquire_owned().map_err(|error| match error {
            TryAcquireError::Closed => ServingError::Closed,
            TryAcquireError::NoPermits => ServingError::Busy {
                what: self.what,
                limit: self.limit,
            },
        })?;
        let of_client = match &self.shares {
            None => None,
            Some(shares) => Some(shares.take(client).ok_or(ServingError::Share {
                what: self.what,
                limit: shares.most,
            })?),
        };
        Ok(Slot {
            _of_all: of_all,
            _of_client: of_client,
        })
    }

    pub(super) fn close(&self) {
        self.slots.close();
    }

    pub(super) fn in_hand(&self) -> usize {
        self.limit - self.slots.available_permits().min(self.limit)
    }
}

/// Slots in hand by client; those of whom no address is known share one.
type Held = Arc<Mutex<HashMap<Option<IpAddr>, usize>>>;

struct Shares {
    most: usize,
    held: Held,
}

impl Shares {
    fn take(&self, client: Option<IpAddr>) -> Option<Share> {
        let mut held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        let own = held.entry(client).or_default();
        if *own >= self.most {
            return None;
        }
        *own += 1;
        Some(Share {
            client,
            held: Arc::clone(&self.held),
        })
    }
}

/// One of a client's slots.
#[derive(Debug)]
struct Share {
    client: Option<IpAddr>,
    held: Held,
}

impl Drop for Share {
    fn drop(&mut self) {
        let mut held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(own) = held.get_mut(&self.client) {
            *own -= 1;
            if *own == 0 {
                held.remove(&self.client);
            }
        }
    }
}

/// Stops a fit when nobody waits for it any more.
pub(super) struct StopOnDrop(pub(super) CancelToken);

impl Drop for StopOnDrop {
    fn drop(&mut self) {
        self.0.cancel();
    }
}

/// # Errors
/// Invalid, for a fit that cannot end in time or needs too much memory.
pub(super) fn refuse_beyond(
    cost: &Cost,
    model: &str,
    values: usize,
    timeout_ms: u64,
) -> Result<()> {
    let seconds = cost.seconds();
    if seconds > MARGIN * timeout_ms as f64 / 1e3 {
        let detail = format!(
            "{model} on {values} values would take some {seconds:.0} s, and the limit is {timeout_ms} ms: \
             expected smaller orders, a shorter season or fewer values"
        );
        return Err(invalid("model", detail));
    }
    if cost.bytes > MAX_FIT_BYTES {
        let detail = format!(
            "{model} on {values} values needs some {:.0} MiB: expected smaller orders or a shorter season",
            cost.bytes / (1024.0 * 1024.0)
        );
        return Err(invalid("model", detail));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use super::*;

    fn lane(limit: usize) -> Lane {
        Lane::new(
            "long forecasts",
            limit,
            Cpu::with_threads("test", 1).unwrap(),
        )
        .shared()
    }

    fn client(last: u8) -> Option<IpAddr> {
        Some(Ipv4Addr::new(192, 0, 2, last).into())
    }

    fn refused(lane: &Lane, client: Option<IpAddr>) -> String {
        lane.enter(client).unwrap_err().to_string()
    }

    #[test]
    fn one_client_has_half_of_a_shared_lane_and_gets_it_back_slot_by_slot() {
        let lane = lane(5);
        let first = lane.enter(client(1)).unwrap();
        let _second = lane.enter(client(1)).unwrap();
        let own = "2 long forecasts of this client are being computed already, try again later";
        assert_eq!(refused(&lane, client(1)), own);
        // What was refused holds nothing.
        assert_eq!(lane.in_hand(), 2);
        // Those of whom nothing is known are one client.
        let _others = [client(2), client(2), None].map(|other| lane.enter(other).unwrap());
        let all = "5 long forecasts are being computed already, try again later";
        assert_eq!(refused(&lane, client(3)), all);
        drop(first);
        let _again = lane.enter(client(1)).unwrap();
        assert_eq!(refused(&lane, client(3)), all);
    }

    #[test]
    fn the_one_slot_of_a_shared_lane_is_for_whoever_comes_first() {
        let lane = lane(1);
        let slot = lane.enter(client(1)).unwrap();
        assert!(lane.enter(client(2)).is_err());
        drop(slot);
        drop(lane.enter(client(2)).unwrap());
        let shares = lane.shares.unwrap();
        assert!(shares.held.lock().unwrap().is_empty(), "nobody is kept");
    }
}
