//! The Kafka side against a real broker: the suite that every side must pass, and what only a broker
//! can show. Run it through `scripts/services run kafka -- cargo test -p bus --features kafka-tls --test
//! kafka`; without a broker the tests fail.
//!
//! Three tests of the suite are about a bound in rows that the broker does not have: it keeps what
//! its retention says, and publishers do not wait for groups.

#[cfg(test)]
mod broker;
#[cfg(test)]
mod connecting;
#[cfg(test)]
#[path = "../contract/suite.rs"]
#[expect(
    dead_code,
    reason = "three tests of the suite are about the in-process bus's bound"
)]
mod suite;
