//! Who was champion when.

use leptos::prelude::*;

use super::Model;
use crate::{
    erase::Erase,
    fragments::parts::{self, job, table, time, words},
};

/// The moves of the champion, the newest first, and a question about a time.
pub fn panel(model: &Model) -> AnyView {
    let name = model.summary.name.clone();
    let mut until = None;
    let mut rows = Vec::new();
    for moved in model.moves.iter().rev() {
        let who = match moved.to {
            Some(version) => format!("version {version}"),
            None => "none: naive".to_owned(),
        };
        let end = match until {
            Some(at) => time(at),
            None => view! { "now" }.erased(),
        };
        let by = moved.change.by.clone();
        let link = moved.job.map(|id| view! { " (" {job(id)} ")" });
        rows.push(
            view! {
                <tr>
                    <th scope="row">{who}</th>
                    <td>{time(moved.change.at)}</td>
                    <td>{end}</td>
                    <td class="text">{by} {link}</td>
                    {words(moved.change.why.clone())}
                </tr>
            }
            .erased(),
        );
        until = Some(moved.change.at);
    }
    let body = if rows.is_empty() {
        view! { <p>"There has been none: naive was served all the time."</p> }.erased()
    } else {
        table(
            "Champions",
            "champions",
            &["Champion", "From", "Until", "By", "Why"],
            rows,
        )
    };
    let answer = model.at.as_ref().map(|(typed, found)| {
        let text = match found {
            None => format!("{typed:?} is no time: 2026-11-27 or 2026-11-27T18:20:00Z is one."),
            Some(None) => format!("At {typed} there was no champion: naive was served."),
            Some(Some(version)) => format!("At {typed} version {version} was champion."),
        };
        view! { <p data-testid="champion-at">{text}</p> }
    });
    let typed = model
        .at
        .as_ref()
        .map(|(typed, _)| typed.clone())
        .unwrap_or_default();
    let body = view! {
        {body}
        <form class="fields" method="get" action="/models">
            <input type="hidden" name="name" value=name/>
            <label>
                <span>"Who was champion at (UTC)"</span>
                <input type="text" name="at" value=typed placeholder="2026-11-27T18:20:00Z" data-testid="at"/>
            </label>
            <button type="submit">"Ask"</button>
        </form>
        {answer}
    }
    .erased();
    parts::panel("champions-heading", "Who was champion when", body)
}
