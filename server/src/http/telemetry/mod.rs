//! The metrics of the process: what each is called and means, and the recorder behind `GET /metrics`.
//!
//! Model: the stages count under names of their own; here, in a file for each topic, the names have their units
//! and their words, which are the HELP lines. Durations are histograms with buckets, which can be added up over processes; summaries cannot.
//! CPU time, memory, file descriptors and threads are read when they are asked for.
//!
//! What it does not do: count.

mod ingest;
mod serving;
mod storing;
mod training;

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

/// A metric: its kind, name, unit and meaning.
type Metric = (Kind, &'static str, Unit, &'static str);

/// Every metric.
const METRICS: [&[Metric]; 4] = [
    serving::METRICS,
    ingest::METRICS,
    storing::METRICS,
    training::METRICS,
];

/// Installs the recorder of the process. Must be called inside a runtime.
///
/// # Errors
/// There is one already.
pub fn install() -> Result<PrometheusHandle, BuildError> {
    let handle = PrometheusBuilder::new()
        .set_buckets(&SECONDS)?
        .install_recorder()?;
    for (kind, name, unit, meaning) in METRICS.into_iter().flatten() {
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
        for entry in std::fs::read_dir(root.join("crates")).unwrap() {
            let sources = entry.unwrap().path().join("src");
            if sources.is_dir() {
                names_in(&sources, &mut counted);
            }
        }
        names_in(&root.join("server/src"), &mut counted);
        let all = || METRICS.into_iter().flatten();
        let described: BTreeSet<String> = all().map(|m| m.1.to_owned()).collect();
        assert_eq!(described.len(), all().count(), "one is there twice");
        let missing: Vec<_> = counted.difference(&described).collect();
        assert!(missing.is_empty(), "{missing:?} want words in METRICS");
        let unknown: Vec<_> = described.difference(&counted).collect();
        assert!(unknown.is_empty(), "nobody counts {unknown:?}");
    }

    #[test]
    fn the_dashboard_and_the_alert_rules_ask_for_metrics_that_there_are() {
        let all = || METRICS.into_iter().flatten();
        for text in [
            include_str!("../../../../deploy/grafana/dashboard.json"),
            include_str!("../../../../deploy/grafana/rules.yaml"),
            include_str!("../../../../deploy/grafana/rules.test.yaml"),
        ] {
            let mut asked = 0;
            for rest in text.split("tickcast_").skip(1) {
                let end = rest.find(|c: char| !(c.is_ascii_alphanumeric() || c == '_'));
                let name = format!("tickcast_{}", &rest[..end.unwrap_or(rest.len())]);
                let there = all().any(|(kind, known, ..)| match kind {
                    Histogram => name.strip_prefix(known) == Some("_bucket"),
                    Counter | Gauge => name == *known,
                });
                assert!(there, "{name} is no metric of ours");
                asked += 1;
            }
            assert!(asked > 4, "{asked} metrics in {text}");
        }
    }
}
