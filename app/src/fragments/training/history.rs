//! What came of the jobs that are finished.

use leptos::prelude::*;
use store::{Job, JobKind, JobState};

use super::{History, about, end, lost, model_name};
use crate::{
    erase::Erase,
    fragments::parts::{self, cell, job as link, model_url, table, time, words},
    ssr::search::url,
};

/// A page of them.
pub fn panel(history: &History) -> AnyView {
    let rows: Vec<_> = history.jobs.iter().map(row).collect();
    let none = rows.is_empty();
    let kind = history.kind.map_or("", JobKind::as_str);
    let state = history.state.map_or("", JobState::as_str);
    let kinds = JobKind::ALL.map(JobKind::as_str);
    let states = [JobState::Succeeded, JobState::Failed, JobState::Cancelled].map(JobState::as_str);
    let older = history.before.map(|before| {
        let before = before.to_string();
        let url = url(
            "/training",
            &[("kind", kind), ("state", state), ("before", &before)],
        );
        view! { <a href=url id="earlier-jobs">"Earlier jobs"</a> }
    });
    let newest = history.paged.then(|| {
        let url = url("/training", &[("kind", kind), ("state", state)]);
        view! { <a href=url>"The newest"</a> }
    });
    let body = if none {
        view! { <p data-testid="no-history">"No job is finished."</p> }.erased()
    } else {
        table(
            "Finished jobs",
            "history",
            &["Job", "What", "Ended", "End", "By"],
            rows,
        )
    };
    let body = view! {
        <form class="fields" method="get" action="/training">
            <label><span>"Kind"</span><select name="kind">{options("every kind", &kinds, kind)}</select></label>
            <label><span>"End"</span><select name="state">{options("every end", &states, state)}</select></label>
            <button type="submit">"Filter"</button>
        </form>
        {body}
        <p class="ways">{older} {newest}</p>
    }
    .erased();
    parts::panel("history-heading", "History", body)
}

fn options(all: &'static str, names: &[&'static str], chosen: &str) -> Vec<AnyView> {
    let mut options = vec![view! { <option value="">{all}</option> }.erased()];
    options.extend(names.iter().map(|name| {
        let selected = *name == chosen;
        view! { <option value=*name selected=selected>{*name}</option> }.erased()
    }));
    options
}

fn row(job: &Job) -> AnyView {
    let about = about(job);
    let what = match model_name(job) {
        Some(name) => view! { <a href=model_url(&name)>{format!("train {about}")}</a> }.erased(),
        None => view! { {format!("{} {about}", job.kind)} }.erased(),
    };
    let mut how = end(job);
    if let Some(lost) = lost(job, None) {
        how = format!("{how}. {lost}");
    }
    view! {
        <tr data-testid=format!("finished-{}", job.id)>
            <th scope="row">{link(job.id)}</th>
            <td>{what}</td>
            <td>{job.finished_at.map(time)}</td>
            {words(how)}
            {cell(job.submitted_by.clone())}
        </tr>
    }
    .erased()
}
