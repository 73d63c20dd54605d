//! A retention: finished jobs are removed, old versions archived.

use market::ErrorKind;
use serde_json::json;
use store::{Change, JobKind, VersionQuery};

use super::attempt::{Failure, Made, Task};
use crate::jobs::{Payload as _, RetentionPayload};

/// Names and versions that are read at a time.
const PAGE: usize = 500;

pub(super) async fn retain(task: &Task) -> Result<Made, Failure> {
    let payload = RetentionPayload::read(&task.job.payload)?;
    let mut removed = 0;
    for kind in JobKind::ALL {
        task.go_on()?;
        task.report.step(&format!("removes finished {kind} jobs"));
        removed += task.inner.ports.jobs.prune(kind, payload.keep_jobs).await?;
    }
    let archived = match payload.keep_versions {
        Some(keep) => archive(task, keep).await?,
        None => 0,
    };
    task.report.line(format!(
        "{removed} jobs removed, {archived} versions archived"
    ));
    Ok(json!({ "jobs_removed": removed, "versions_archived": archived }).into())
}

async fn archive(task: &Task, keep: usize) -> Result<u64, Failure> {
    let registry = &task.inner.ports.registry;
    let (mut archived, mut after): (u64, Option<String>) = (0, None);
    loop {
        let models = registry.models(None, after.as_deref(), PAGE).await?;
        for model in &models {
            task.report
                .step(&format!("archives old versions of {}", model.name));
            archived += archive_of(task, &model.name, keep).await?;
        }
        match models.into_iter().next_back() {
            Some(last) => after = Some(last.name),
            None => return Ok(archived),
        }
    }
}

async fn archive_of(task: &Task, name: &str, keep: usize) -> Result<u64, Failure> {
    let registry = &task.inner.ports.registry;
    let (mut archived, mut seen) = (0, 0);
    let mut query = VersionQuery {
        name: Some(name.to_owned()),
        archived: Some(false),
        limit: PAGE,
        ..VersionQuery::default()
    };
    loop {
        task.go_on()?;
        let page = registry.versions(&query).await?;
        let Some(last) = page.last() else {
            return Ok(archived);
        };
        query.before_id = Some(last.id);
        for version in page {
            seen += 1;
            if seen <= keep || !version.aliases.is_empty() {
                continue;
            }
            let change = Change {
                by: task.job.submitted_by.clone(),
                at: task.inner.now(),
                why: format!("{keep} newer versions are kept"),
            };
            match registry.archive(name, version.version, Some(change)).await {
                Ok(()) => archived += 1,
                // An alias was moved there meanwhile.
                Err(e) if e.kind() == ErrorKind::Conflict => {}
                Err(e) => return Err(e.into()),
            }
        }
    }
}
