//! Jobs that are done until the process is killed, each with all that a job can publish.

use std::time::Duration;

use market::Timestamp;
use serde_json::json;
use store::{
    AliasMove, AliasTarget, Artefact, Database, Finished, JobKind, Lineage, NewJob, NewMessage,
    NewVerdict, NewVersion, Outcome, Publication, Topic,
};

use super::job_content::{content, name};

const LEASE: Duration = Duration::from_secs(60);

/// The time of a batch: a lease has ended when the next one comes. A writer that begins some batches before has
/// a clock that went back.
fn time(n: u64) -> Timestamp {
    Timestamp::from_secs(1_700_000_000 + n as i64 * 120)
}

fn publication(n: u64, sha256: String) -> Publication {
    Publication {
        verdict: Some(NewVerdict {
            name: name(n),
            champion: None,
            promoted: true,
            budget_spent: 0.25,
            tries_this_year: 1,
            numbers: json!({ "n": n }),
            words: n.to_string(),
            at: time(n),
        }),
        version: Some(NewVersion {
            name: name(n),
            reference: "naive".into(),
            lineage: Lineage {
                from: time(0),
                until: time(n),
                rows: n,
                sha256: sha256.clone(),
                code_version: "0".into(),
                seed: n,
                parent: None,
            },
            measures: json!({}),
            artefacts: vec![Artefact {
                path: "weights".into(),
                sha256,
                bytes: content(n).len() as u64,
            }],
            created_by: "writer".into(),
            note: n.to_string(),
        }),
        aliases: vec![AliasMove {
            name: name(n),
            alias: "champion".into(),
            to: AliasTarget::New,
            expected: None,
            by: "writer".into(),
            why: n.to_string(),
        }],
        outbox: vec![NewMessage {
            topic: Topic::Mlflow,
            payload: json!({ "n": n }),
            key: n.to_string(),
        }],
    }
}

/// Submits a job per batch and does what is due, from `first` on; prints `acknowledged N` once job N is finished
/// with all that it publishes.
pub async fn work(store: &dyn Database, first: u64) {
    for n in first.. {
        let job = NewJob {
            key: Some(n.to_string()),
            max_attempts: 1_000,
            ..NewJob::new(JobKind::Train, json!({ "n": n }), time(n), "writer")
        };
        store.submit(vec![job], time(n)).await.unwrap();
        while let Some(job) = store
            .take(&[JobKind::Train], "writer", time(n), LEASE)
            .await
            .unwrap()
        {
            let of = job.payload["n"].as_u64().unwrap();
            store
                .renew(job.lease(), None, time(n), LEASE)
                .await
                .unwrap();
            let sha256 = store.put(content(of)).await.unwrap();
            let outcome = Outcome::Succeeded {
                result: json!(of),
                publication: Some(Box::new(publication(of, sha256))),
            };
            let finished = store.finish(job.lease(), outcome, time(n)).await.unwrap();
            if matches!(finished, Finished::Done { .. }) {
                println!("acknowledged {of}");
            }
        }
    }
}
