//! When trainings begin by themselves, and a place to try a schedule before it is kept.

use leptos::prelude::*;
use mlops::schedule::Upcoming;

use super::{Fires, Training};
use crate::{
    erase::Erase,
    fragments::parts::{self, cell, table},
};

/// The schedule that is configured, with its next fires.
pub fn panel(training: &Training) -> AnyView {
    let facts = &training.facts;
    let of = match facts.symbols.as_slice() {
        [] => format!("every symbol that has bars of {}", facts.interval),
        some => {
            let names: Vec<&str> = some.iter().take(12).map(market::Symbol::as_str).collect();
            let more = if some.len() > 12 {
                format!(" and {} more", some.len() - 12)
            } else {
                String::new()
            };
            format!("{}{more}, bars of {}", names.join(", "), facts.interval)
        }
    };
    let works = if facts.works {
        "This process does jobs itself."
    } else {
        "This process does no jobs: tickcast serve or tickcast work does them."
    };
    let body = match &training.schedule {
        None => view! {
            <p data-testid="schedule">
                "None: trainings begin by hand, or by another scheduler. A schedule is kept in tickcast.toml: "
                <code>"[training] schedule = \"XNYS close +20m\""</code>
            </p>
        }
        .erased(),
        Some(fires) => {
            let spec = facts.schedule.as_ref().map(|s| s.spec().to_string());
            view! {
                <p data-testid="schedule"><strong>{spec}</strong> ", of " {of} "."</p>
                {next(fires, "fires")}
            }
            .erased()
        }
    };
    let body = view! { {body} <p class="note">{works}</p> }.erased();
    parts::panel("schedule-heading", "Schedule", body)
}

/// Any schedule with its next fires, before it is kept.
pub fn trial(training: &Training) -> AnyView {
    let (text, fires) = match &training.tried {
        Some((text, fires)) => (text.clone(), Some(next(fires, "tried"))),
        None => (String::new(), None),
    };
    let kept = training.tried.as_ref().filter(|(_, fires)| fires.is_ok()).map(|(text, _)| {
        let line = format!("schedule = {text:?}");
        view! {
            <p>"To keep it, write this below [training] in tickcast.toml and start anew: " <code>{line}</code></p>
        }
    });
    let body = view! {
        <form class="fields" method="get" action="/training">
            <label class="long">
                <span>"Cron, or minutes around the sessions of an exchange"</span>
                <input
                    type="text"
                    name="schedule"
                    value=text
                    placeholder="XNYS close +20m"
                    required=true
                    data-testid="try-schedule"
                />
            </label>
            <label>
                <span>"Your time zone"</span>
                <input type="text" name="zone" value=training.zone.clone().unwrap_or_default() placeholder="Europe/London"/>
            </label>
            <button type="submit">"Show when it fires"</button>
        </form>
        {fires}
        {kept}
    }
    .erased();
    parts::panel("try-heading", "Try a schedule", body)
}

/// The next fires on the reader's clock and on that of the exchange.
fn next(fires: &Fires, id: &'static str) -> AnyView {
    let upcoming = match fires {
        Ok(upcoming) => upcoming,
        Err(why) => {
            let text = format!("There is no fire to come: {why}.");
            return view! { <p class="warning" role="alert" data-testid=id>{text}</p> }.erased();
        }
    };
    let Upcoming {
        local_zone,
        schedule_zone,
        ..
    } = upcoming;
    // A clock that another column shows already is left out.
    let own = local_zone != schedule_zone;
    let some_early = upcoming
        .fires
        .iter()
        .any(|fire| fire.closes_early == Some(true));
    let rows: Vec<_> = upcoming
        .fires
        .iter()
        .map(|fire| {
            let early = match fire.closes_early {
                Some(true) => "closes early",
                _ => "",
            };
            let early = some_early.then(|| cell(early));
            let there = own.then(|| cell(fire.schedule.clone()));
            view! { <tr><th scope="row">{fire.local.clone()}</th> {there} {early}</tr> }.erased()
        })
        .collect();
    let mut heads = vec![local_zone.as_str()];
    if own {
        heads.push(schedule_zone);
    }
    if some_early {
        heads.push("Session");
    }
    let stopped = upcoming.stopped.as_ref().map(|why| {
        let text = format!("No more of them are known: {why}.");
        view! { <p class="note">{text}</p> }
    });
    view! { {table("The next fires", id, &heads, rows)} {stopped} }.erased()
}
