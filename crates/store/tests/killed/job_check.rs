//! What must be there after a writer of jobs was killed at any step.

use std::collections::BTreeSet;

use market::Timestamp;
use store::{Database, JobQuery, JobState, MessageState, Topic, VersionQuery};

use super::job_content::{NAMES, content, name};

/// No job is lost, none has two versions, and what one publishes is there as a whole or not at all.
pub async fn check(store: &dyn Database, acknowledged: &BTreeSet<u64>, round: u64) {
    let all = JobQuery {
        limit: usize::MAX,
        ..JobQuery::default()
    };
    let jobs = store.jobs(&all).await.unwrap();
    let there: BTreeSet<u64> = jobs
        .iter()
        .map(|j| j.payload["n"].as_u64().unwrap())
        .collect();
    assert_eq!(
        there.len(),
        jobs.len(),
        "a job is there twice in round {round}"
    );
    assert_eq!(
        there,
        (0..there.len() as u64).collect(),
        "a job was lost in round {round}"
    );
    let succeeded: BTreeSet<(u64, i64)> = jobs
        .iter()
        .filter(|job| job.state == JobState::Succeeded)
        .map(|job| (job.payload["n"].as_u64().unwrap(), job.id))
        .collect();
    let done: BTreeSet<u64> = succeeded.iter().map(|(n, _)| *n).collect();
    let lost: Vec<_> = acknowledged.difference(&done).collect();
    assert!(lost.is_empty(), "round {round} lost {lost:?}");
    let all = VersionQuery {
        limit: usize::MAX,
        ..VersionQuery::default()
    };
    let versions = store.versions(&all).await.unwrap();
    let of: BTreeSet<(u64, i64)> = versions
        .iter()
        .map(|version| (version.note.parse().unwrap(), version.job.unwrap()))
        .collect();
    assert_eq!(
        of.len(),
        versions.len(),
        "two versions of a job in round {round}"
    );
    assert_eq!(of, succeeded, "versions in round {round}");
    for version in &versions {
        let n = version.note.parse().unwrap();
        let found = store.get(&version.artefacts[0].sha256).await.unwrap();
        assert_eq!(found, content(n), "the artefact of {n} in round {round}");
    }
    let verdicts = store.verdicts(None, None, usize::MAX).await.unwrap();
    let of: BTreeSet<(u64, i64)> = verdicts
        .iter()
        .map(|verdict| (verdict.verdict.words.parse().unwrap(), verdict.job.unwrap()))
        .collect();
    assert_eq!(
        (of.len(), of),
        (verdicts.len(), succeeded),
        "verdicts in round {round}"
    );
    let messages = store.messages(Topic::Mlflow, MessageState::Waiting, None, usize::MAX);
    let messages = messages.await.unwrap();
    let of: BTreeSet<u64> = messages
        .iter()
        .map(|m| m.message.key.parse().unwrap())
        .collect();
    assert_eq!(
        (of.len(), &of),
        (messages.len(), &done),
        "messages in round {round}"
    );
    for n in 0..NAMES {
        let name = name(n);
        let newest = versions
            .iter()
            .filter(|v| v.name == name)
            .map(|v| v.version)
            .max();
        let champion = store.by_alias(&name, "champion").await.unwrap();
        assert_eq!(
            champion.map(|v| v.version),
            newest,
            "{name} in round {round}"
        );
        let moves = store
            .alias_history(
                &name,
                "champion",
                Timestamp::MIN,
                Timestamp::MAX,
                usize::MAX,
            )
            .await
            .unwrap();
        let moved: Vec<u32> = moves.iter().filter_map(|m| m.to).collect();
        assert_eq!(
            moved,
            (1..=newest.unwrap_or(0)).collect::<Vec<_>>(),
            "{name}"
        );
    }
}
