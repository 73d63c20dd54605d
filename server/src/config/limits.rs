//! The settings that keep one client from taking the server from the others: how many, how much, how long,
//! how often.
//!
//! What it does not do: enforce them; `http::serving`, `http::bodies`, `http::rates` and the pipeline do.

use std::{num::NonZeroU32, time::Duration};

use super::{
    Layers, at_least, millis,
    settings::{Setting, setting},
};

/// The settings.
pub const LIMITS: &[Setting] = &[
    setting(
        "limits.connections",
        "4096",
        "a number from 1",
        "Connections at once; one more is answered 503.",
    ),
    setting(
        "limits.connections_per_client",
        "1024",
        "a number from 1",
        "Connections at once of one client (an IPv4 address, an IPv6 /64); behind a proxy all are one.",
    ),
    setting(
        "limits.header_timeout_ms",
        "30000",
        "milliseconds from 100",
        "How long the head of a request may take to come, and a connection may wait for its next request.",
    ),
    setting(
        "limits.idle_timeout_ms",
        "90000",
        "milliseconds from 1000",
        "A connection over which nothing has gone either way for so long is cut.",
    ),
    setting(
        "limits.body_timeout_ms",
        "60000",
        "milliseconds from 100",
        "How long the body of a request may take to come; else 408.",
    ),
    setting(
        "limits.body_bytes",
        "33554432",
        "bytes from 1024",
        "The largest body of a request; else 413.",
    ),
    setting(
        "limits.bodies_bytes",
        "134217728",
        "bytes from 1024",
        "Bodies that are in memory at once, together; one more is answered 503. One client has half of it at most.",
    ),
    setting(
        "limits.pushes_per_s",
        "2000",
        "a number from 1, or 0 for no limit",
        "Pushes of one client in a second; twice as many in one go. Else 429, with Retry-After.",
    ),
    setting(
        "limits.push_rejects",
        "1000",
        "a number from 1",
        "Rows of one push that cannot be used and are kept as dead letters; one letter more tells of the rest.",
    ),
    setting(
        "limits.predictions_per_s",
        "50",
        "a number from 1, or 0 for no limit",
        "Forecasts that one client asks for in a second, over HTTP, WebSocket and on pages; twice as many in one go.",
    ),
    setting(
        "limits.backtests_per_min",
        "30",
        "a number from 1, or 0 for no limit",
        "Backtests that one client starts in a minute.",
    ),
    setting(
        "limits.sockets_per_s",
        "100",
        "a number from 1, or 0 for no limit",
        "WebSockets that one client opens in a second; ten times as many in one go.",
    ),
    setting(
        "limits.messages_per_s",
        "50",
        "a number from 1, or 0 for no limit",
        "Messages that one WebSocket sends in a second; ten times as many in one go. Beyond, it is read no faster.",
    ),
    setting(
        "predict.in_flight",
        "16",
        "a number from 1",
        "Quick forecasts on request in hand at once; one more is answered 503.",
    ),
    setting(
        "predict.long_in_flight",
        "4",
        "a number from 1",
        "The same of those that are estimated to take more than half a second; they have threads of their own.",
    ),
    setting(
        "predict.timeout_ms",
        "30000",
        "milliseconds from 100",
        "A forecast on request that takes longer is stopped. One that is estimated to take four times as long is refused.",
    ),
    setting(
        "backtest.in_flight",
        "2",
        "a number from 1",
        "Backtests at once; they share the cores.",
    ),
    setting(
        "backtest.max_minutes",
        "60",
        "a number from 1",
        "A backtest that is estimated to take longer is refused.",
    ),
];

/// Connections, bodies, rates.
#[derive(Clone, Debug)]
pub struct LimitsConfig {
    /// Connections at once.
    pub connections: usize,
    /// Of one client.
    pub connections_per_client: usize,
    /// For the head of a request.
    pub header_timeout: Duration,
    /// Without a byte either way.
    pub idle_timeout: Duration,
    /// For a body.
    pub body_timeout: Duration,
    /// The largest body.
    pub body_bytes: usize,
    /// Bodies in memory at once, together.
    pub bodies_bytes: usize,
    /// Per client.
    pub pushes_per_s: Option<NonZeroU32>,
    /// Dead letters of one push.
    pub push_rejects: usize,
    /// Per client.
    pub predictions_per_s: Option<NonZeroU32>,
    /// Per client.
    pub backtests_per_min: Option<NonZeroU32>,
    /// Per client.
    pub sockets_per_s: Option<NonZeroU32>,
    /// Per WebSocket.
    pub messages_per_s: Option<NonZeroU32>,
}

/// Forecasts and backtests on request.
#[derive(Clone, Copy, Debug)]
pub struct RequestConfig {
    /// Quick forecasts in hand at once.
    pub in_flight: usize,
    /// Long ones.
    pub long_in_flight: usize,
    /// For a forecast.
    pub timeout: Duration,
    /// Backtests at once.
    pub backtests: usize,
    /// What a backtest may be estimated to take.
    pub max_minutes: u64,
}

pub(super) fn read_limits(l: &mut Layers) -> Option<LimitsConfig> {
    let connections = at_least(l, "limits.connections", 1);
    let connections_per_client = at_least(l, "limits.connections_per_client", 1);
    let header_timeout = millis(l, "limits.header_timeout_ms", 100);
    let idle_timeout = millis(l, "limits.idle_timeout_ms", 1_000);
    let body_timeout = millis(l, "limits.body_timeout_ms", 100);
    let body_bytes = at_least(l, "limits.body_bytes", 1_024);
    let bodies_bytes = at_least(l, "limits.bodies_bytes", 1_024);
    let pushes_per_s = rate(l, "limits.pushes_per_s");
    let push_rejects = at_least(l, "limits.push_rejects", 1);
    let predictions_per_s = rate(l, "limits.predictions_per_s");
    let backtests_per_min = rate(l, "limits.backtests_per_min");
    let sockets_per_s = rate(l, "limits.sockets_per_s");
    let messages_per_s = rate(l, "limits.messages_per_s");
    Some(LimitsConfig {
        connections: connections?,
        connections_per_client: connections_per_client?,
        header_timeout: header_timeout?,
        idle_timeout: idle_timeout?,
        body_timeout: body_timeout?,
        body_bytes: body_bytes?,
        bodies_bytes: bodies_bytes?,
        pushes_per_s: pushes_per_s?,
        push_rejects: push_rejects?,
        predictions_per_s: predictions_per_s?,
        backtests_per_min: backtests_per_min?,
        sockets_per_s: sockets_per_s?,
        messages_per_s: messages_per_s?,
    })
}

pub(super) fn read_requests(l: &mut Layers) -> Option<RequestConfig> {
    let in_flight = at_least(l, "predict.in_flight", 1);
    let long_in_flight = at_least(l, "predict.long_in_flight", 1);
    let timeout = millis(l, "predict.timeout_ms", 100);
    let backtests = at_least(l, "backtest.in_flight", 1);
    let max_minutes = at_least(l, "backtest.max_minutes", 1);
    Some(RequestConfig {
        in_flight: in_flight?,
        long_in_flight: long_in_flight?,
        timeout: timeout?,
        backtests: backtests?,
        max_minutes: max_minutes? as u64,
    })
}

/// A rate; the inner `None` is no limit.
fn rate(l: &mut Layers, key: &str) -> Option<Option<NonZeroU32>> {
    l.one(key, |t| t.parse::<u32>().map(NonZeroU32::new))
}
