//! What is stored, and what is removed again.

use metrics::Unit;

use super::{
    Kind::{Counter, Gauge, Histogram},
    Metric,
};

/// Their kinds, names, units and meanings.
pub(super) const METRICS: &[Metric] = &[
    (
        Counter,
        "tickcast_ticks_stored_total",
        Unit::Count,
        "Ticks stored",
    ),
    (
        Counter,
        "tickcast_ticks_duplicate_total",
        Unit::Count,
        "Ticks that were there already",
    ),
    (
        Counter,
        "tickcast_bars_written_total",
        Unit::Count,
        "Bars written that came as bars",
    ),
    (
        Counter,
        "tickcast_store_errors_total",
        Unit::Count,
        "Calls of the store that failed and are tried again",
    ),
    (
        Histogram,
        "tickcast_store_commit_seconds",
        Unit::Seconds,
        "A commit of the embedded database",
    ),
    (
        Counter,
        "tickcast_store_failed_commits_total",
        Unit::Count,
        "Commits of the embedded database that failed",
    ),
    (
        Histogram,
        "tickcast_store_checkpoint_seconds",
        Unit::Seconds,
        "A checkpoint of its write-ahead log",
    ),
    (
        Gauge,
        "tickcast_store_wal_pages",
        Unit::Count,
        "Pages of its write-ahead log",
    ),
    (
        Gauge,
        "tickcast_store_write_queue",
        Unit::Count,
        "Writes that wait for the embedded database",
    ),
    (
        Gauge,
        "tickcast_store_reads_waiting",
        Unit::Count,
        "Reads that wait for the embedded database",
    ),
    (
        Counter,
        "tickcast_store_commands_total",
        Unit::Count,
        "Commands of the embedded database's writer",
    ),
    (
        Counter,
        "tickcast_store_duplicate_ticks_total",
        Unit::Count,
        "Ticks that the server of the store had already",
    ),
    (
        Counter,
        "tickcast_store_bars_folded_anew_total",
        Unit::Count,
        "Bars made anew from their ticks",
    ),
    (
        Counter,
        "tickcast_store_dead_letters_removed_total",
        Unit::Count,
        "Replayed dead letters removed to make room for new ones",
    ),
    (
        Gauge,
        "tickcast_dead_letters_dropped",
        Unit::Count,
        "Dead letters not kept because their source has its quota, by source and reason",
    ),
    (
        Gauge,
        "tickcast_dead_letters",
        Unit::Count,
        "Dead letters, by reason and state",
    ),
    (
        Counter,
        "tickcast_dead_letters_untold_total",
        Unit::Count,
        "Dead letters that are in the store and not in their topic",
    ),
    (
        Gauge,
        "tickcast_sink_waiting_writes",
        Unit::Count,
        "Writes that wait for the one before them",
    ),
    (
        Counter,
        "tickcast_retention_runs_total",
        Unit::Count,
        "Runs of the removal by age",
    ),
    (
        Counter,
        "tickcast_retention_failures_total",
        Unit::Count,
        "Runs of it that failed",
    ),
    (
        Counter,
        "tickcast_retention_removed_rows_total",
        Unit::Count,
        "Rows removed by age",
    ),
];
