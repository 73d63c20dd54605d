//! The Pipeline page's board, written on the server: the browser gets it as HTML.
//!
//! Model: tables of numbers that change every two seconds, with links and plain forms. Nothing in
//! them reacts to anything, so the browser needs no code for them: it puts in what the server wrote,
//! and the first download is 20 KiB smaller for it.

mod stages;

use leptos::{prelude::*, server_fn::ServerFn};
use market::{DroppedCount, ReasonCount, RejectReason};

use super::{
    functions::ReplayDeadLetters,
    pipeline::{DeadLetterLine, LETTERS_SHOWN, PipelineStatus},
    written::Written,
};
use crate::{erase::Erase, format};

/// What the page's address asks for: `?reason=bad_price&after=50&replayed=3&still_bad=1`. What
/// cannot be read of it is left out.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct BoardQuery {
    /// Only letters of this reason.
    pub reason: Option<RejectReason>,
    /// Only letters with a number above this one.
    pub after: i64,
    /// What the last replay did: (replayed, still bad).
    pub replayed: Option<(u64, u64)>,
    /// The last replay failed.
    pub problem: bool,
}

impl BoardQuery {
    /// Reads the part of an address after the path. Nothing of it is shown as it stands: a forged
    /// link must not put words into the page.
    pub fn from_search(search: &str) -> Self {
        let mut query = Self::default();
        let (mut replayed, mut still_bad) = (None, None);
        for pair in search.trim_start_matches('?').split('&') {
            let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
            match key {
                "reason" => query.reason = reason_named(value),
                "after" => query.after = value.parse().unwrap_or(0).max(0),
                "replayed" => replayed = value.parse().ok(),
                "still_bad" => still_bad = value.parse().ok(),
                "problem" => query.problem = true,
                _ => {}
            }
        }
        query.replayed = replayed.zip(still_bad);
        query
    }
}

/// The reason of that name.
pub fn reason_named(text: &str) -> Option<RejectReason> {
    RejectReason::ALL.into_iter().find(|r| r.as_str() == text)
}

/// Writes the board.
pub fn board(status: PipelineStatus, letters: Vec<DeadLetterLine>, query: BoardQuery) -> Written {
    let counts = status.dead_letters.clone();
    let not_kept = status.dropped.clone();
    let letters = view! {
        {outcome(query)}
        {reasons(counts, query)}
        {dropped(not_kept)}
        {rows(letters, query)}
    }
    .to_html();
    let heading = "<h1 data-testid=\"pipeline\">Pipeline</h1>".to_owned();
    Written {
        title: "Pipeline".to_owned(),
        parts: vec![heading, stages::markup(status), letters],
    }
}

/// What the last replay did, in words.
fn outcome(query: BoardQuery) -> AnyView {
    let words = if query.problem {
        "The replay did not go through; the rows are as they were, and it can be asked for again."
            .to_owned()
    } else if let Some((done, bad)) = query.replayed {
        in_words(done, bad)
    } else {
        return ().erased();
    };
    view! { <p class="outcome" role="status" data-testid="replay-outcome">{words}</p> }.erased()
}

fn in_words(done: u64, bad: u64) -> String {
    let mut text = match done {
        0 => "Nothing could be replayed.".to_owned(),
        1 => "1 dead letter was replayed: its rows are in the store.".to_owned(),
        n => format!("{n} dead letters were replayed: their rows are in the store."),
    };
    if bad > 0 {
        text += &format!(" {bad} still cannot be used.");
    }
    text
}

/// How many wait of each reason, each with a form that replays them.
fn reasons(counts: Vec<ReasonCount>, query: BoardQuery) -> AnyView {
    let open: u64 = counts.iter().map(|c| c.open).sum();
    let words = match open {
        0 => "No row waits.".to_owned(),
        1 => "1 row could not be used and waits.".to_owned(),
        n => format!("{n} rows could not be used and wait."),
    };
    let some = !counts.is_empty();
    let rows: Vec<_> = counts.into_iter().map(|c| reason_row(&c, query)).collect();
    view! {
        <section class="panel" aria-labelledby="letters-heading">
            <h2 id="letters-heading" tabindex="-1">"Dead letters"</h2>
            <div class="with-form">
                <p data-testid="letters-open">{words}</p>
                {(open > 0).then(|| replay_form(None))}
            </div>
            {some.then(|| view! {
                <table data-testid="letter-reasons">
                    <thead>
                        <tr>
                            <th scope="col">"Reason"</th>
                            <th scope="col">"Waiting"</th>
                            <th scope="col">"Replayed"</th>
                            <th scope="col"><span class="hidden">"Replay"</span></th>
                        </tr>
                    </thead>
                    <tbody>{rows}</tbody>
                </table>
            })}
        </section>
    }
    .erased()
}

fn reason_row(count: &ReasonCount, query: BoardQuery) -> AnyView {
    let reason = count.reason;
    let current = (query.reason == Some(reason)).then_some("true");
    view! {
        <tr data-testid=format!("reason-{reason}") aria-current=current>
            <th scope="row">
                <a href=url(Some(reason), 0) id=format!("letters-{reason}") title=meaning(reason)>
                    {reason.as_str()}
                </a>
            </th>
            <td>{count.open.to_string()}</td>
            <td>{count.replayed.to_string()}</td>
            <td>{(count.open > 0).then(|| replay_form(Some(reason)))}</td>
        </tr>
    }
    .erased()
}

/// What was counted and not kept; nothing where all was.
fn dropped(dropped: Vec<DroppedCount>) -> AnyView {
    if dropped.is_empty() {
        return ().erased();
    }
    let rows: Vec<_> = dropped
        .into_iter()
        .map(|line| {
            view! {
                <tr>
                    <th scope="row">{line.source}</th>
                    <td class="words">{line.reason.as_str()}</td>
                    <td>{line.dropped.to_string()}</td>
                </tr>
            }
        })
        .collect();
    view! {
        <section class="panel" aria-labelledby="dropped-heading">
            <h2 id="dropped-heading">"Dead letters that were not kept"</h2>
            <p class="why">
                "Their source has its quota: replay or discard some of it (tickcast deadletters)."
            </p>
            <table data-testid="letters-dropped">
                <thead>
                    <tr>
                        <th scope="col">"Source"</th>
                        <th scope="col" class="words">"Reason"</th>
                        <th scope="col">"Not kept"</th>
                    </tr>
                </thead>
                <tbody>{rows}</tbody>
            </table>
        </section>
    }
    .erased()
}

/// A plain form: the server answers with this page, which says what came of it.
fn replay_form(reason: Option<RejectReason>) -> AnyView {
    let name = reason.map_or("all", RejectReason::as_str);
    let id = format!("replay-{name}");
    view! {
        <form method="post" action=ReplayDeadLetters::PATH>
            <input type="hidden" name="reason" value=reason.map_or("", RejectReason::as_str)/>
            <button type="submit" id=id.clone() data-testid=id aria-label=format!("Replay {name}")>
                {if reason.is_some() { "Replay" } else { "Replay all" }}
            </button>
        </form>
    }
    .erased()
}

/// The rows themselves.
fn rows(letters: Vec<DeadLetterLine>, query: BoardQuery) -> AnyView {
    let narrowed = query.reason.is_some() || query.after > 0;
    if letters.is_empty() && !narrowed {
        return ().erased();
    }
    let heading = match query.reason {
        Some(reason) => format!("Rows put aside: {reason}"),
        None => "Rows put aside".to_owned(),
    };
    let why = query
        .reason
        .map(|reason| view! { <p class="why">{meaning(reason)} "."</p> });
    let later = letters
        .last()
        .filter(|_| letters.len() >= LETTERS_SHOWN)
        .map(|last| view! { <a href=url(query.reason, last.id) id="later-rows">"Later rows"</a> });
    // A heading with nothing below it would look like a fault.
    let none = letters
        .is_empty()
        .then(|| view! { <p data-testid="no-letters">"None waits here."</p> });
    let items: Vec<_> = letters.into_iter().map(letter).collect();
    view! {
        <section class="panel" aria-labelledby="rows-heading">
            <h2 id="rows-heading">{heading}</h2>
            {why}
            {none}
            <ol class="letters" data-testid="letters">{items}</ol>
            <p class="ways">
                {later}
                {narrowed.then(|| view! {
                    <a href="/pipeline" id="all-letters" data-testid="all-letters">
                        "All rows from the first"
                    </a>
                })}
            </p>
        </section>
    }
    .erased()
}

fn letter(line: DeadLetterLine) -> AnyView {
    view! {
        <li data-testid="letter">
            <p class="letter-head">
                <strong>{line.reason.as_str()}</strong>
                <span>{line.origin}</span>
                <time datetime=format::iso(line.at)>{format::iso(line.at)}</time>
            </p>
            <p>{line.detail}</p>
            <code>{line.row}</code>
        </li>
    }
    .erased()
}

/// The page's address for some letters.
fn url(reason: Option<RejectReason>, after: i64) -> String {
    let mut url = "/pipeline".to_owned();
    let mut separator = '?';
    if let Some(reason) = reason {
        url += &format!("{separator}reason={reason}");
        separator = '&';
    }
    if after > 0 {
        url += &format!("{separator}after={after}");
    }
    url
}

fn meaning(reason: RejectReason) -> &'static str {
    match reason {
        RejectReason::Unparsable => "Not JSON, not CSV, or cut off",
        RejectReason::BadField => "A field is missing or has the wrong type",
        RejectReason::UnknownSymbol => "Not a symbol, or not one of those configured",
        RejectReason::BadPrice => "A price that is not a number above zero",
        RejectReason::BadSize => "A size that is not a number from zero up",
        RejectReason::BadTimestamp => "A time that cannot be read or lies before 1900",
        RejectReason::FutureTimestamp => "A time further ahead of the clock than allowed",
        RejectReason::BadBar => "A bar whose prices contradict each other",
        RejectReason::UnknownVersion => "A schema version that this build does not know",
        RejectReason::TooLarge => "Larger than a message may be",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_cannot_be_read_of_the_address_lists_everything() {
        let query = BoardQuery::from_search("?reason=bad_mood&after=-4&replayed=x");
        assert_eq!(query, BoardQuery::default());
    }

    #[test]
    fn an_address_reads_back_as_what_it_was_written_from() {
        let url = url(Some(RejectReason::BadPrice), 50);
        assert_eq!(url, "/pipeline?reason=bad_price&after=50");
        let query = BoardQuery::from_search(url.trim_start_matches("/pipeline"));
        assert_eq!(
            (query.reason, query.after),
            (Some(RejectReason::BadPrice), 50)
        );
    }

    #[test]
    fn a_replay_is_told_in_words() {
        assert_eq!(
            in_words(1, 2),
            "1 dead letter was replayed: its rows are in the store. 2 still cannot be used."
        );
    }

    #[test]
    fn letters_that_were_not_kept_are_listed_by_source_and_reason_and_only_then() {
        assert!(!dropped(Vec::new()).to_html().contains("letters-dropped"));
        let line = DroppedCount {
            source: "push <b>".into(),
            reason: RejectReason::Unparsable,
            dropped: 41,
        };
        let html = dropped(vec![line]).to_html();
        for part in ["push &lt;b", "unparsable", ">41<"] {
            assert!(html.contains(part), "{part:?} is missing in {html}");
        }
    }

    #[test]
    fn rows_and_origins_are_text_whatever_is_in_them() {
        let line = DeadLetterLine {
            id: 1,
            at: market::Timestamp::from_secs(0),
            reason: RejectReason::Unparsable,
            detail: "<b>".into(),
            origin: "<i>".into(),
            row: "</code><script>alert(1)</script>".into(),
        };
        let html = letter(line).to_html();
        for tag in ["<script", "<b>", "<i>"] {
            assert!(!html.contains(tag), "{html}");
        }
    }
}
