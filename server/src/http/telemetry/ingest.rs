//! What comes in: sources, and the bus.

use metrics::Unit;

use super::{
    Kind::{Counter, Gauge},
    Metric,
};

/// Their kinds, names, units and meanings.
pub(super) const METRICS: &[Metric] = &[
    // Sources.
    (
        Counter,
        "tickcast_source_rows_total",
        Unit::Count,
        "Rows that a source handed over",
    ),
    (
        Counter,
        "tickcast_source_rejects_total",
        Unit::Count,
        "Rows of a source that could not be used",
    ),
    (
        Gauge,
        "tickcast_source_queue_batches",
        Unit::Count,
        "Batches between a source and the bus",
    ),
    (
        Counter,
        "tickcast_source_requests_total",
        Unit::Count,
        "Requests to a REST provider, by outcome",
    ),
    (
        Counter,
        "tickcast_source_retries_total",
        Unit::Count,
        "Requests to a REST provider that were tried again",
    ),
    (
        Counter,
        "tickcast_source_warnings_total",
        Unit::Count,
        "Answers of a REST provider that were taken with a warning",
    ),
    (
        Counter,
        "tickcast_source_restarts_total",
        Unit::Count,
        "Starts of a source after it had failed",
    ),
    (
        Counter,
        "tickcast_rows_received_total",
        Unit::Count,
        "Rows that sources handed over, good and bad",
    ),
    (
        Counter,
        "tickcast_rows_published_total",
        Unit::Count,
        "Rows that the bus took",
    ),
    (
        Counter,
        "tickcast_rows_rejected_total",
        Unit::Count,
        "Rows that could not be used",
    ),
    // Bus.
    (
        Gauge,
        "tickcast_bus_depth_rows",
        Unit::Count,
        "Rows that wait on the in-process bus",
    ),
    (
        Counter,
        "tickcast_bus_published_rows_total",
        Unit::Count,
        "Rows published, by topic",
    ),
    (
        Counter,
        "tickcast_bus_publish_waits_total",
        Unit::Count,
        "Times that a publisher waited for room, by topic",
    ),
    (
        Counter,
        "tickcast_bus_redelivered_records_total",
        Unit::Count,
        "Records handed out again because they were not committed",
    ),
    (
        Gauge,
        "tickcast_bus_lag_records",
        Unit::Count,
        "Records on the bus that are not stored yet, by topic and group",
    ),
    (
        Gauge,
        "tickcast_bus_read_ahead_rows",
        Unit::Count,
        "Rows read from the topic and not yet stored",
    ),
    (
        Counter,
        "tickcast_bus_pauses_total",
        Unit::Count,
        "Times that reading the topic paused because the store was behind",
    ),
    (
        Counter,
        "tickcast_bus_dead_letters_total",
        Unit::Count,
        "Dead letters published to their topic",
    ),
    (
        Counter,
        "tickcast_bus_errors_total",
        Unit::Count,
        "Calls of the bus that failed and are tried again",
    ),
];
