//! How many wrong tokens a client may show: each costs an Argon2 hash, so they are what a flood
//! would be made of.
//!
//! Model: a bucket for each address of a client, which holds [`BURST`] failures and gets one back
//! every [`REFILL`]. An empty one is refused without any work. The table is bounded; when it is full
//! the fullest buckets go, which are those of the best behaved.
//!
//! What it does not do: tell clients apart that come through one proxy. A token that has been verified
//! before does not ask here.

use std::{
    collections::HashMap,
    net::IpAddr,
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

use crate::http::serving::Client;

/// Failures that a client may make at once.
const BURST: f64 = 10.0;
/// One is forgiven after so long.
const REFILL: Duration = Duration::from_secs(6);
/// The most clients that are remembered.
const MAX_CLIENTS: usize = 4_096;

#[derive(Clone, Copy, Debug)]
struct Bucket {
    left: f64,
    at: Instant,
}

impl Bucket {
    fn at(self, now: Instant) -> f64 {
        let since = now.saturating_duration_since(self.at);
        (self.left + since.as_secs_f64() / REFILL.as_secs_f64()).min(BURST)
    }
}

/// The failures of every client.
#[derive(Debug, Default)]
pub struct Failures {
    clients: Mutex<HashMap<Client, Bucket>>,
}

impl Failures {
    /// Takes an attempt of a client, before it is known whether it fails.
    ///
    /// # Errors
    /// How long the client has to wait, when it has failed too often.
    pub fn attempt(&self, client: IpAddr, now: Instant) -> Result<(), Duration> {
        let client = Client::of(client);
        let mut clients = self.clients.lock().unwrap_or_else(PoisonError::into_inner);
        let left = clients.get(&client).map_or(BURST, |bucket| bucket.at(now));
        if left < 1.0 {
            return Err(REFILL.mul_f64(1.0 - left));
        }
        if clients.len() >= MAX_CLIENTS && !clients.contains_key(&client) {
            clients.retain(|_, bucket| bucket.at(now) < BURST - 1.0);
            if clients.len() >= MAX_CLIENTS {
                clients.clear();
            }
        }
        let bucket = Bucket {
            left: left - 1.0,
            at: now,
        };
        clients.insert(client, bucket);
        Ok(())
    }

    /// Gives an attempt back that did not fail.
    pub fn succeeded(&self, client: IpAddr) {
        let mut clients = self.clients.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(bucket) = clients.get_mut(&Client::of(client)) {
            bucket.left = (bucket.left + 1.0).min(BURST);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn a_client_that_fails_waits_and_others_do_not() {
        let failures = Failures::default();
        let start = Instant::now();
        for _ in 0..10 {
            failures.attempt(ip("192.0.2.1"), start).unwrap();
        }
        let wait = failures.attempt(ip("192.0.2.1"), start).unwrap_err();
        assert!(wait <= REFILL && wait > REFILL / 2, "{wait:?}");
        failures.attempt(ip("192.0.2.2"), start).unwrap();
        let later = start + REFILL;
        failures.attempt(ip("192.0.2.1"), later).unwrap();
        failures.attempt(ip("192.0.2.1"), later).unwrap_err();
    }

    #[test]
    fn attempts_that_succeed_cost_nothing() {
        let failures = Failures::default();
        let now = Instant::now();
        for _ in 0..100 {
            failures.attempt(ip("192.0.2.1"), now).unwrap();
            failures.succeeded(ip("192.0.2.1"));
        }
    }

    #[test]
    fn the_addresses_of_one_ipv6_network_are_one_client() {
        let failures = Failures::default();
        let now = Instant::now();
        for host in 0..10 {
            failures
                .attempt(ip(&format!("2001:db8::{host:x}")), now)
                .unwrap();
        }
        failures.attempt(ip("2001:db8::ffff"), now).unwrap_err();
        failures.attempt(ip("2001:db8:0:1::1"), now).unwrap();
    }

    #[test]
    fn the_table_stays_small() {
        let failures = Failures::default();
        let now = Instant::now();
        for host in 0..10_000_u32 {
            failures
                .attempt(IpAddr::from(host.to_be_bytes()), now)
                .unwrap();
        }
        assert!(failures.clients.lock().unwrap().len() <= MAX_CLIENTS);
    }
}
