//! The metrics of the process: what each is called and means, and the recorder behind `GET /metrics`.
//!
//! Model: the stages count under names of their own; here each name has its unit and its words, which are the
//! HELP lines. Durations are histograms with buckets, which can be added up over processes; summaries cannot.
//! CPU time, memory, file descriptors and threads are read when they are asked for.
//!
//! What it does not do: count.

use std::time::Duration;

use metrics::{Unit, describe_counter, describe_gauge, describe_histogram};
use metrics_exporter_prometheus::{BuildError, PrometheusBuilder, PrometheusHandle};

/// Upper bounds of the buckets of durations, in seconds: from a cached answer to a long fit.
const SECONDS: [f64; 13] = [
    0.000_5, 0.001, 0.002_5, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 5.0, 30.0,
];

/// How often what histograms have collected is put into their buckets, when nobody asks.
const UPKEEP: Duration = Duration::from_secs(5);

enum Kind {
    Counter,
    Gauge,
    Histogram,
}
use Kind::{Counter, Gauge, Histogram};

/// Every metric: its kind, name, unit and meaning.
const METRICS: &[(Kind, &str, Unit, &str)] = &[
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
    // Store.
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

/// Installs the recorder of the process. Must be called inside a runtime.
///
/// # Errors
/// There is one already.
pub fn install() -> Result<PrometheusHandle, BuildError> {
    let handle = PrometheusBuilder::new()
        .set_buckets(&SECONDS)?
        .install_recorder()?;
    for (kind, name, unit, meaning) in METRICS {
        match kind {
            Counter => describe_counter!(*name, *unit, *meaning),
            Gauge => describe_gauge!(*name, *unit, *meaning),
            Histogram => describe_histogram!(*name, *unit, *meaning),
        }
    }
    metrics_process::Collector::default().describe();
    let kept = handle.clone();
    tokio::spawn(async move {
        loop {
            tokio::time::sleep(UPKEEP).await;
            kept.run_upkeep();
        }
    });
    Ok(handle)
}

/// The metrics as Prometheus text.
pub fn render(handle: &PrometheusHandle) -> String {
    metrics_process::Collector::default().collect();
    handle.render()
}

#[cfg(test)]
mod tests {
    use std::{collections::BTreeSet, path::Path};

    use super::*;

    /// How code counts under a name.
    const COUNTING: [&str; 4] = ["counter!(", "gauge!(", "histogram!(", "Counter::new("];

    /// The names that the sources below a folder count under.
    fn names_in(folder: &Path, found: &mut BTreeSet<String>) {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                names_in(&path, found);
            } else if path.extension().is_some_and(|e| e == "rs") {
                let text = std::fs::read_to_string(&path).unwrap();
                let parts: Vec<&str> = text.split("\"tickcast_").collect();
                for pair in parts.windows(2) {
                    let before = pair[0].trim_end();
                    let name = pair[1].split('"').next().unwrap();
                    if COUNTING.iter().any(|call| before.ends_with(call)) {
                        found.insert(format!("tickcast_{name}"));
                    }
                }
            }
        }
    }

    #[test]
    fn every_metric_that_is_counted_anywhere_has_its_words_here_and_no_other_has() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
        let mut counted = BTreeSet::new();
        for name in ["market", "source", "bus", "store", "pipeline"] {
            names_in(&root.join("crates").join(name).join("src"), &mut counted);
        }
        names_in(&root.join("server/src"), &mut counted);
        let described: BTreeSet<String> = METRICS.iter().map(|m| m.1.to_owned()).collect();
        assert_eq!(described.len(), METRICS.len(), "one is there twice");
        let missing: Vec<_> = counted.difference(&described).collect();
        assert!(missing.is_empty(), "{missing:?} want words in METRICS");
        let unknown: Vec<_> = described.difference(&counted).collect();
        assert!(unknown.is_empty(), "nobody counts {unknown:?}");
    }
}
