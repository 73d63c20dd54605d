//! What the Training page shows, gathered from the jobs and the schedule.

use market::Timestamp;
use mlops::schedule::{Schedule, ScheduleSpec, Upcoming};
use store::{Job, JobKind, JobQuery, JobState};

use super::{
    desk::{Desk, LoopFacts},
    search::Search,
    written::Done,
};
use crate::{
    api::{ApiError, written::Written},
    fragments::training::{Fires, History, OneJob, Training, curves, job, training},
};

/// Jobs on a page of the history.
const HISTORY: usize = 30;
/// Waiting and running jobs that are shown.
const QUEUE: usize = 50;
/// Fires of a schedule that are shown.
const FIRES: usize = 10;
/// Lines of a log that are shown where not all are asked for.
const LINES: usize = 200;

/// The page; with a job in the address that job.
pub async fn page(desk: &dyn Desk, search: &Search, zone: &str) -> Result<Written, ApiError> {
    match search.get("job") {
        Some(id) => one(desk, id, search).await,
        None => all(desk, search, zone).await,
    }
}

async fn all(desk: &dyn Desk, search: &Search, zone: &str) -> Result<Written, ApiError> {
    let facts = desk.facts();
    let zone = search.get("zone").unwrap_or(zone);
    let tried = search.get("schedule").map(|text| {
        let text = market::excerpt(text).into_owned();
        let fires = tried(&facts, &text, zone, desk.now());
        (text, fires)
    });
    let kind: Option<JobKind> = search.parse("kind");
    let state: Option<JobState> = search.parse("state");
    let (running, queued, (jobs, more)) = futures::try_join!(
        desk.jobs(in_state(JobState::Running)),
        desk.jobs(in_state(JobState::Queued)),
        history(desk, kind, state, search.parse("before"))
    )?;
    let schedule = facts
        .schedule
        .as_ref()
        .map(|schedule| fires(schedule, zone, desk.now()));
    let shown = Training {
        facts,
        schedule,
        tried,
        zone: search.get("zone").map(ToOwned::to_owned),
        running,
        queued,
        most: QUEUE,
        history: History {
            before: jobs.last().filter(|_| more).map(|job| job.id),
            paged: search.get("before").is_some(),
            jobs,
            kind,
            state,
        },
    };
    Ok(Written {
        title: "Training".to_owned(),
        parts: training(&shown, &Done::read(search)),
    })
}

const fn in_state(state: JobState) -> JobQuery {
    JobQuery {
        kind: None,
        state: Some(state),
        before_id: None,
        limit: QUEUE,
    }
}

/// Finished jobs, the newest first, and whether there are more.
async fn history(
    desk: &dyn Desk,
    kind: Option<JobKind>,
    state: Option<JobState>,
    before: Option<i64>,
) -> Result<(Vec<Job>, bool), ApiError> {
    let ends = [JobState::Succeeded, JobState::Failed, JobState::Cancelled];
    let of = ends
        .into_iter()
        .filter(|end| state.is_none_or(|state| state == *end));
    let found = of.map(|end| {
        desk.jobs(JobQuery {
            kind,
            state: Some(end),
            before_id: before,
            limit: HISTORY + 1,
        })
    });
    let found = futures::future::try_join_all(found).await?;
    let mut jobs: Vec<Job> = found.into_iter().flatten().collect();
    jobs.sort_by_key(|job| std::cmp::Reverse(job.id));
    let more = jobs.len() > HISTORY;
    jobs.truncate(HISTORY);
    Ok((jobs, more))
}

/// The next fires on the clocks of a zone, of UTC where nobody knows it.
fn fires(schedule: &Schedule, zone: &str, now: Timestamp) -> Fires {
    let shown = |zone: &str| schedule.upcoming(now, FIRES, zone);
    let found = shown(if zone.is_empty() { "UTC" } else { zone });
    found.or_else(|_| shown("UTC")).map_err(|e| e.to_string())
}

/// The same of a schedule as somebody has typed it.
fn tried(facts: &LoopFacts, text: &str, zone: &str, now: Timestamp) -> Result<Upcoming, String> {
    let zone = if zone.is_empty() { "UTC" } else { zone };
    let spec = ScheduleSpec::read(text, zone).map_err(|e| e.to_string())?;
    let schedule = Schedule::new(spec, &facts.calendars).map_err(|e| e.to_string())?;
    fires(&schedule, zone, now)
}

async fn one(desk: &dyn Desk, id: &str, search: &Search) -> Result<Written, ApiError> {
    let missing = || {
        let id = market::excerpt(id);
        ApiError::not_found(format!("there is no job {id}")).field("job")
    };
    let number: i64 = id.parse().map_err(|_| missing())?;
    let found = desk.job(number).await?.ok_or_else(missing)?;
    // After the job: of one that has ended the log is whole.
    let mut lines = desk.job_log(number, 0, store::JOB_LINES_KEPT).await?;
    let (all_lines, curves) = (lines.len(), curves(&lines));
    if search.get("log") != Some("all") {
        lines.drain(..all_lines.saturating_sub(LINES));
    }
    let shown = OneJob {
        facts: desk.facts(),
        job: found,
        lines,
        all_lines,
        curves,
    };
    Ok(Written {
        title: format!("Job {number} · Training"),
        parts: job(&shown, &Done::read(search)),
    })
}
