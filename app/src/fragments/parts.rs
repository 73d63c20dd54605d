//! What the pages share: panels, tables, times, and what came of an act.

use leptos::prelude::*;
use market::{ErrorKind, Timestamp};
use mlops::training::Action;

use crate::{erase::Erase, format, ssr::written::Done};

/// Writes a view out.
pub fn html(view: impl IntoView) -> String {
    view.into_view().to_html()
}

/// `2026-11-27 18:20:00 UTC`.
pub fn clock(at: Timestamp) -> String {
    let text = format::iso(at);
    text.replace('T', " ").replace('Z', " UTC")
}

/// A time.
pub fn time(at: Timestamp) -> AnyView {
    view! { <time datetime=format::iso(at)>{clock(at)}</time> }.erased()
}

/// A part of a page under a heading. `id` is that of the heading.
pub fn panel(id: &'static str, heading: &str, body: AnyView) -> AnyView {
    view! {
        <section class="panel" aria-labelledby=id>
            <h2 id=id tabindex="-1">{heading.to_owned()}</h2>
            {body}
        </section>
    }
    .erased()
}

/// A table that scrolls in its place where it is wider or higher.
pub fn table(label: &str, id: &'static str, heads: &[&str], rows: Vec<AnyView>) -> AnyView {
    let heads: Vec<_> = heads
        .iter()
        .map(|head| view! { <th scope="col">{(*head).to_owned()}</th> })
        .collect();
    view! {
        <div class="scroll" role="region" aria-label=label.to_owned() tabindex="0">
            <table data-testid=id>
                <thead><tr>{heads}</tr></thead>
                <tbody>{rows}</tbody>
            </table>
        </div>
    }
    .erased()
}

/// A cell.
pub fn cell(text: impl Into<String>) -> AnyView {
    let text: String = text.into();
    view! { <td>{text}</td> }.erased()
}

/// A cell of words, which may have several lines.
pub fn words(text: impl Into<String>) -> AnyView {
    let text: String = text.into();
    view! { <td class="text">{text}</td> }.erased()
}

/// A name and what it stands for, in a list of them.
pub fn entry(name: &str, value: AnyView) -> AnyView {
    view! { <div><dt>{name.to_owned()}</dt><dd>{value}</dd></div> }.erased()
}

/// The link to a job.
pub fn job(id: i64) -> AnyView {
    view! { <a href=format!("/training?job={id}")>{format!("job {id}")}</a> }.erased()
}

/// The page of a model.
pub fn model_url(name: &str) -> String {
    crate::ssr::search::url("/models", &[("name", name)])
}

/// What a round did, in a word or two; `served` is the champion after it, none while naive is served.
pub fn action(action: Action, served: Option<&str>) -> String {
    match (action, served) {
        (Action::Promote, served) => format!("promoted {}", served.unwrap_or("naive")),
        (Action::Refresh, served) => format!("kept {}, fitted anew", served.unwrap_or("naive")),
        (Action::Keep, None) => "refused: naive is served".to_owned(),
        (Action::Keep, Some(served)) => format!("kept {served}"),
        (Action::ServeNaive, _) => "champion dropped: naive is served".to_owned(),
    }
}

/// The lines of a text as paragraphs, without those that are empty.
pub fn paragraphs(words: &str) -> Vec<AnyView> {
    let lines = words.lines().filter(|line| !line.trim().is_empty());
    lines
        .map(|line| view! { <p>{line.to_owned()}</p> }.erased())
        .collect()
}

/// What came of an act; nothing where none was done.
pub fn outcome(done: &Done) -> AnyView {
    let (words, wrong) = match (&done.problem, done.done.as_deref()) {
        (Some(kind), _) => (why(*kind, done.field.as_deref()), true),
        (None, Some("moved")) => ("The champion was changed, and is served.".to_owned(), false),
        (None, Some("archived")) => ("The version is archived.".to_owned(), false),
        (None, Some("taken-back")) => ("The version is no longer archived.".to_owned(), false),
        (None, Some("cancelled")) => (
            "The job was asked to end: a running one does within a few seconds.".to_owned(),
            false,
        ),
        (None, Some("submitted")) => (format!("{} trainings were submitted.", done.count), false),
        _ => return ().erased(),
    };
    let class = if wrong { "outcome wrong" } else { "outcome" };
    view! { <p class=class id="outcome" role="status" tabindex="-1" data-testid="outcome">{words}</p> }
        .erased()
}

fn why(kind: ErrorKind, field: Option<&str>) -> String {
    let why = match (kind, field) {
        (ErrorKind::Conflict, Some("version")) => {
            "the version cannot be loaded: a file of it is missing or altered"
        }
        (ErrorKind::Conflict, _) => {
            "the champion has moved meanwhile, or the version is archived or is the champion: look again"
        }
        (ErrorKind::NotFound, Some("symbols")) => "there are no prices of one of the symbols",
        (ErrorKind::NotFound, _) => "there is no such version or job",
        (ErrorKind::Invalid, Some("why")) => "say why, in 1 to 500 characters",
        (ErrorKind::Invalid, Some("symbols")) => "name one or more symbols, apart by commas",
        (ErrorKind::Invalid, _) => "it cannot be done so",
        (ErrorKind::Unavailable | ErrorKind::Timeout, _) => {
            "the store does not answer, or the queue is full: try again"
        }
        (ErrorKind::Internal, _) => "a fault of the server: its log says more",
    };
    format!("Nothing was changed: {why}.")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_came_of_an_act_is_told_in_words_of_ours() {
        let told = |search: &str| {
            html(outcome(&Done::read(&crate::ssr::search::Search::read(
                search,
            ))))
        };
        assert!(told("?done=moved&count=1").contains("is served"));
        assert!(told("?problem=conflict&field=version").contains("missing or altered"));
        assert!(told("?done=submitted&count=3").contains("3 trainings"));
        for forged in ["?done=<b>you+won</b>", "?problem=<b>", ""] {
            assert!(!told(forged).contains("role=\"status\""), "{forged}");
        }
    }
}
