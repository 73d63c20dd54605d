//! Whether what is served has drifted.

use leptos::prelude::*;
use mlops::worker::DriftAlarm;

use crate::{
    erase::Erase,
    fragments::parts::{clock, job, model_url, panel, time},
    ssr::drift::Drift,
};

/// The alarms; only those of one model where it is named.
pub fn view(drift: &Drift, of: Option<&str>) -> AnyView {
    let alarms = drift
        .alarms
        .iter()
        .filter(|one| of.is_none_or(|name| one.name == name));
    let alarms: Vec<_> = alarms.take(20).map(alarm).collect();
    let last = match drift.last {
        Some((at, 1)) => format!("Last looked at {}, at one champion.", clock(at)),
        Some((at, n)) => format!("Last looked at {}, at {n} champions.", clock(at)),
        None => "Nobody has looked for drift yet.".to_owned(),
    };
    let none = (alarms.is_empty() && drift.last.is_some())
        .then(|| view! { <p>"Nothing has drifted, as far as this can tell."</p> });
    let body = view! {
        <p class="note" data-testid="drift-looked">{last}</p>
        {none}
        <ol class="letters" data-testid="drift-alarms">{alarms}</ol>
    }
    .erased();
    panel("drift-heading", "Drift", body)
}

fn alarm(alarm: &DriftAlarm) -> AnyView {
    let name = format!("{}, version {}", alarm.name, alarm.version);
    let training = alarm
        .training
        .map(|id| view! { <span>"training begun: " {job(id)}</span> });
    view! {
        <li>
            <p class="letter-head">
                <a href=model_url(&alarm.name)>{name}</a>
                {time(alarm.at)}
                {training}
            </p>
            <p>{alarm.words.clone()}</p>
        </li>
    }
    .erased()
}
