//! Jobs of the training loop, and messages to others.

use metrics::Unit;

use super::{
    Kind::{Counter, Gauge, Histogram},
    Metric,
};

/// Their kinds, names, units and meanings.
pub(super) const METRICS: &[Metric] = &[
    (
        Counter,
        "tickcast_jobs_total",
        Unit::Count,
        "Attempts of jobs by kind and end: the state after it, lease_lost, or unwritten where the store was away",
    ),
    (
        Histogram,
        "tickcast_job_seconds",
        Unit::Seconds,
        "An attempt of a job, from when it was taken to when its end was written",
    ),
    (
        Counter,
        "tickcast_store_outbox_given_up_total",
        Unit::Count,
        "Messages to others that were given up: too many waited, or they could not be delivered",
    ),
    (
        Counter,
        "tickcast_drift_alarms_total",
        Unit::Count,
        "Champions that were found to have drifted, by what did: errors, inputs",
    ),
    (
        Gauge,
        "tickcast_drift_watched",
        Unit::Count,
        "Champions that the last look of this process was at",
    ),
    (
        Gauge,
        "tickcast_training_overdue",
        Unit::Count,
        "Models whose training has not come within training.overdue_hours of its schedule's time",
    ),
    (
        Counter,
        "tickcast_webhook_messages_total",
        Unit::Count,
        "Messages for webhook.url by outcome: delivered, retried, given_up",
    ),
    (
        Counter,
        "tickcast_mlflow_messages_total",
        Unit::Count,
        "Messages for MLflow by outcome: delivered, retried, given_up",
    ),
];
