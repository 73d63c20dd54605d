//! One job: how it stands, what it said, what came of it.

use leptos::prelude::*;
use serde_json::Value;
use store::{Job, JobLine, JobState};

use super::{OneJob, about, curves, end, lost, model_name, queue};
use crate::{
    erase::Erase,
    format,
    fragments::parts::{clock, entry, html, model_url, outcome, panel, paragraphs, time},
    ssr::{search::url, written::Done},
};

/// The parts of its page.
pub fn job(shown: &OneJob, done: &Done) -> Vec<String> {
    let job = &shown.job;
    let model = model_name(job).map(|name| {
        view! { <a href=model_url(&name) data-testid="job-model">{name.clone()}</a> }
    });
    let head = view! {
        <p class="ways"><a href="/training">"All jobs"</a> {model}</p>
        <h1>{format!("Job {}: {} {}", job.id, job.kind, about(job))}</h1>
        {outcome(done)}
    };
    vec![
        html(head),
        html(standing(shown)),
        html(came_of(job)),
        html(curves::view(&shown.curves)),
        html(log(shown)),
        html(asked(job)),
    ]
}

fn standing(shown: &OneJob) -> AnyView {
    let job = &shown.job;
    let lost = lost(job, Some(&shown.facts)).map(|text| {
        view! { <p class="warning" data-testid="lost-leases">{text}</p> }
    });
    let times = [
        ("Submitted", Some(job.submitted_at)),
        ("Last taken", job.started_at),
        ("Ended", job.finished_at),
    ];
    let times: Vec<_> = times
        .into_iter()
        .filter_map(|(name, at)| Some(entry(name, time(at?))))
        .collect();
    let open =
        (!job.state.is_finished()).then(|| view! { {queue::standing(job)} {queue::cancel(job)} });
    let worker = job.worker.clone().map(|worker| {
        let text = format!("{worker}, attempt {} of {}", job.attempt, job.max_attempts);
        entry("Last worker", view! { {text} }.erased())
    });
    let body = view! {
        <p data-testid="job-state">{super::state(job.state)} {job.state.is_finished().then(|| format!(" {}", end(job)))}</p>
        {open}
        {lost}
        <dl class="facts">
            {entry("By", view! { {job.submitted_by.clone()} }.erased())}
            {times}
            {worker}
        </dl>
    }
    .erased();
    panel("standing-heading", "How it stands", body)
}

/// The verdict in words, where there is one.
fn came_of(job: &Job) -> AnyView {
    if job.state != JobState::Succeeded {
        return ().erased();
    }
    let words = job
        .result
        .as_ref()
        .and_then(|result| result.get("words")?.as_str());
    let Some(words) = words else {
        return job.result.as_ref().map_or_else(|| ().erased(), |result| {
            let text = serde_json::to_string_pretty(result).unwrap_or_default();
            let text: String = text.chars().take(20_000).collect();
            let body = view! {
                <div class="scroll" role="region" aria-label="Result" tabindex="0"><pre>{text}</pre></div>
            };
            panel("result-heading", "Result", body.erased())
        });
    };
    let body =
        view! { <div class="prose" data-testid="job-verdict">{paragraphs(words)}</div> }.erased();
    panel("result-heading", "Why: the verdict", body)
}

fn log(shown: &OneJob) -> AnyView {
    let lines: Vec<_> = shown.lines.iter().map(line).collect();
    let left_out = shown.all_lines - shown.lines.len();
    let all = (left_out > 0).then(|| {
        let id = shown.job.id.to_string();
        let url = url("/training", &[("job", &id), ("log", "all")]);
        view! { <p><a href=url>{format!("{left_out} earlier lines")}</a></p> }
    });
    let body = if lines.is_empty() {
        view! { <p data-testid="log">"It has said nothing yet."</p> }.erased()
    } else {
        view! {
            {all}
            <div class="scroll" role="region" aria-label="Log" tabindex="0">
                <ol class="log" data-testid="log">{lines}</ol>
            </div>
        }
        .erased()
    };
    panel("log-heading", "Log", body)
}

fn line(line: &JobLine) -> AnyView {
    let at = format::iso(line.at);
    let clock = at.get(11..19).unwrap_or_default().to_owned();
    view! {
        <li value=line.number.to_string()>
            <time datetime=at title=format!("attempt {}", line.attempt)>{clock}</time> " " {line.text.clone()}
        </li>
    }
    .erased()
}

/// What it was given.
fn asked(job: &Job) -> AnyView {
    let fields = job.payload.as_object().into_iter().flatten();
    let fields: Vec<_> = fields
        .map(|(name, value)| {
            let text = match value {
                Value::String(text) => text.clone(),
                Value::Number(us) if name.ends_with("_us") => {
                    let at = us.as_i64().map(market::Timestamp::from_micros);
                    at.map_or_else(|| us.to_string(), clock)
                }
                other => other.to_string(),
            };
            entry(name.as_str(), view! { {text} }.erased())
        })
        .collect();
    let key = job
        .key
        .clone()
        .map(|key| entry("idempotency key", view! { {key} }.erased()));
    panel(
        "given-heading",
        "What it was given",
        view! { <dl class="facts">{fields} {key}</dl> }.erased(),
    )
}
