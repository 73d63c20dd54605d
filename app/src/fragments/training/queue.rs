//! What runs and what waits, and a form that submits a training.

use leptos::{prelude::*, server_fn::ServerFn};
use market::Interval;
use store::{Job, Progress};

use super::{Training, about, lost};
use crate::{
    api::functions::{CancelJob, TrainNow},
    erase::Erase,
    fragments::parts::{self, clock, job as link},
};

/// The form.
pub fn submit(training: &Training) -> AnyView {
    let usual = training.facts.interval;
    let intervals: Vec<_> = Interval::ALL
        .into_iter()
        .map(|interval| {
            let name = interval.as_str();
            view! { <option value=name selected=interval == usual>{name}</option> }
        })
        .collect();
    let symbols: Vec<&str> = training
        .facts
        .symbols
        .iter()
        .take(12)
        .map(market::Symbol::as_str)
        .collect();
    let body = view! {
        <form class="fields" method="post" action=TrainNow::PATH>
            <label class="long">
                <span>"Symbols, apart by commas"</span>
                <input
                    type="text"
                    name="symbols"
                    value=symbols.join(", ")
                    placeholder="AAPL, MSFT"
                    required=true
                    data-testid="train-symbols"
                />
            </label>
            <label><span>"Bars"</span><select name="interval">{intervals}</select></label>
            <button type="submit" class="primary" data-testid="train-now">"Train now"</button>
        </form>
    }
    .erased();
    parts::panel("train-heading", "Train now", body)
}

/// Running and waiting jobs.
pub fn panel(training: &Training) -> AnyView {
    let running: Vec<_> = training
        .running
        .iter()
        .map(|job| item(job, training))
        .collect();
    let queued: Vec<_> = training
        .queued
        .iter()
        .map(|job| item(job, training))
        .collect();
    let words = match (running.len(), queued.len()) {
        (0, 0) => "Nothing runs, and nothing waits.".to_owned(),
        (r, q) => {
            let or_more = |n: usize| {
                if n >= training.most {
                    format!("{n} or more")
                } else {
                    n.to_string()
                }
            };
            format!("{} running, {} waiting.", or_more(r), or_more(q))
        }
    };
    let body = view! {
        <p data-testid="queue-words">{words}</p>
        <ol class="letters" data-testid="queue">{running} {queued}</ol>
    }
    .erased();
    parts::panel("queue-heading", "Queue", body)
}

fn item(job: &Job, training: &Training) -> AnyView {
    let lost = lost(job, Some(&training.facts)).map(|text| view! { <p class="why">{text}</p> });
    let asked = job.submitted_by.clone();
    view! {
        <li data-testid=format!("queued-{}", job.id)>
            <p class="letter-head">
                <strong>{link(job.id)}</strong>
                {super::state(job.state)}
                <span>{format!("{} {}", job.kind, about(job))}</span>
                <span>"by " {asked}</span>
            </p>
            {standing(job)}
            {lost}
            {cancel(job)}
        </li>
    }
    .erased()
}

/// How far it is, or what it waits for.
pub fn standing(job: &Job) -> AnyView {
    let attempt = format!("attempt {} of {}", job.attempt.max(1), job.max_attempts);
    if job.state == store::JobState::Queued {
        let again = if job.attempt > 0 {
            let why = job
                .error
                .as_deref()
                .unwrap_or("its worker has handed it back");
            format!("Tried again after {} ({why}).", clock(job.run_at))
        } else {
            format!("Waits for a worker since {}.", clock(job.run_at))
        };
        return view! { <p>{again}</p> }.erased();
    }
    let worker = job.worker.clone().unwrap_or_default();
    let progress = job.progress.as_ref().map(bar);
    view! {
        <p>{format!("On {worker}, {attempt}.")}</p>
        {progress}
    }
    .erased()
}

fn bar(progress: &Progress) -> AnyView {
    let Progress {
        done,
        total,
        message,
    } = progress;
    let steps = (*total > 0).then(|| {
        let text = format!("{done} of {total}");
        view! {
            <progress aria-label="Steps done" max=total.to_string() value=done.to_string()></progress>
            <span>{text}</span>
        }
    });
    view! { <p class="run" data-testid="progress"><span>{message.clone()}</span> {steps}</p> }
        .erased()
}

/// A button that asks for its end.
pub fn cancel(job: &Job) -> AnyView {
    if job.cancel_requested {
        return view! { <p>"Its end was asked for."</p> }.erased();
    }
    let id = format!("cancel-{}", job.id);
    view! {
        <form method="post" action=CancelJob::PATH>
            <input type="hidden" name="id" value=job.id.to_string()/>
            <button type="submit" id=id.clone() data-testid=id aria-label=format!("Cancel job {}", job.id)>
                "Cancel"
            </button>
        </form>
    }
    .erased()
}
