//! Jobs of the training loop, and messages to others.

use metrics::Unit;

use super::{
    Kind::{Counter, Histogram},
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
        "tickcast_mlflow_messages_total",
        Unit::Count,
        "Messages for MLflow by outcome: delivered, retried, given_up",
    ),
];
