//! What readers are served: requests, connections, live prices and forecasts.

use metrics::Unit;

use super::{
    Kind::{Counter, Gauge, Histogram},
    Metric,
};

/// Their kinds, names, units and meanings.
pub(super) const METRICS: &[Metric] = &[
    (
        Gauge,
        "tickcast_process_info",
        Unit::Count,
        "1, with the role and the version of the process",
    ),
    // HTTP.
    (
        Counter,
        "tickcast_http_requests_total",
        Unit::Count,
        "Requests answered, by method, route and status",
    ),
    (
        Histogram,
        "tickcast_http_request_seconds",
        Unit::Seconds,
        "From a request's head to its answer's head, by method and route",
    ),
    (
        Gauge,
        "tickcast_http_requests_in_flight",
        Unit::Count,
        "Requests being answered",
    ),
    (
        Gauge,
        "tickcast_http_connections",
        Unit::Count,
        "Connections, those of WebSockets too",
    ),
    (
        Counter,
        "tickcast_http_connections_refused_total",
        Unit::Count,
        "Connections refused for want of a place",
    ),
    (
        Gauge,
        "tickcast_http_body_bytes",
        Unit::Bytes,
        "Bodies of requests in memory",
    ),
    (
        Counter,
        "tickcast_http_rate_limited_total",
        Unit::Count,
        "Requests refused because their client asks too often, by what it asked for",
    ),
    (
        Counter,
        "tickcast_ws_closed_for_fault_total",
        Unit::Count,
        "WebSockets closed for a fault of the reader, by close code",
    ),
    // Readers.
    (
        Gauge,
        "tickcast_live_sessions",
        Unit::Count,
        "Readers of /live",
    ),
    (
        Gauge,
        "tickcast_live_symbols",
        Unit::Count,
        "Symbols that /live knows",
    ),
    (
        Gauge,
        "tickcast_live_deepest_queue",
        Unit::Count,
        "Messages in the longest queue of a reader of /live",
    ),
    (
        Counter,
        "tickcast_live_messages_total",
        Unit::Count,
        "Messages put into readers' queues",
    ),
    (
        Counter,
        "tickcast_live_conflations_total",
        Unit::Count,
        "Times that a reader's queue was full and folded into the latest state",
    ),
    (
        Counter,
        "tickcast_live_skipped_ticks_total",
        Unit::Count,
        "Ticks left out that way",
    ),
    (
        Counter,
        "tickcast_live_cut_offs_total",
        Unit::Count,
        "Readers of /live cut off",
    ),
    (
        Counter,
        "tickcast_live_followed_ticks_total",
        Unit::Count,
        "Ticks read from the topic for /live",
    ),
    (
        Counter,
        "tickcast_live_followed_duplicates_total",
        Unit::Count,
        "Messages of the topic that had been shown already",
    ),
    (
        Gauge,
        "tickcast_forecast_sessions",
        Unit::Count,
        "Readers of /forecast",
    ),
    (
        Counter,
        "tickcast_forecast_cut_offs_total",
        Unit::Count,
        "Readers of /forecast cut off",
    ),
    (
        Counter,
        "tickcast_forecast_fans_replaced_total",
        Unit::Count,
        "Fans that a newer one replaced before their reader took them",
    ),
    // Forecasts.
    (
        Counter,
        "tickcast_forecasts_made_total",
        Unit::Count,
        "Fans computed",
    ),
    (
        Counter,
        "tickcast_forecasts_fitted_total",
        Unit::Count,
        "Fans whose model was fitted anew",
    ),
    (
        Counter,
        "tickcast_forecasts_recorded_total",
        Unit::Count,
        "Fans written to the ledger",
    ),
    (
        Counter,
        "tickcast_forecasts_too_late_total",
        Unit::Count,
        "Fans that came after their outcome could be known",
    ),
    (
        Counter,
        "tickcast_forecasts_skipped_total",
        Unit::Count,
        "Closed bars passed over because a newer one had closed",
    ),
    (
        Counter,
        "tickcast_forecasts_failed_total",
        Unit::Count,
        "Fits that were refused or broke down",
    ),
    (
        Counter,
        "tickcast_forecast_steps_scored_total",
        Unit::Count,
        "Forecast steps scored against their outcome",
    ),
    (
        Counter,
        "tickcast_predictions_total",
        Unit::Count,
        "Forecasts on request, answered",
    ),
    (
        Counter,
        "tickcast_predictions_refused_total",
        Unit::Count,
        "Forecasts on request, refused because too many were in hand",
    ),
    (
        Counter,
        "tickcast_backtests_total",
        Unit::Count,
        "Backtests that ended with a report",
    ),
    (
        Counter,
        "tickcast_backtests_refused_total",
        Unit::Count,
        "Backtests refused because too many were running",
    ),
    (
        Counter,
        "tickcast_backtests_stopped_total",
        Unit::Count,
        "Backtests stopped before their end",
    ),
];
