//! The board's first part: whether all is well, the sources, the stages.

use leptos::prelude::*;

use protocol::{SourceState, SourceStatus, TopicFlow};

use super::super::pipeline::{PipelineStatus, StageRate};
use crate::{erase::Erase, format};

/// Writes it.
pub fn markup(status: PipelineStatus) -> String {
    view! {
        {missing(&status)}
        {standing(&status)}
        {topic(&status)}
        {sources(status.sources)}
        {stages(status.stages)}
    }
    .to_html()
}

/// Whether all is well, in one line: what is missing, and which source brings nothing and why.
fn missing(status: &PipelineStatus) -> AnyView {
    let mut parts: Vec<_> = status
        .missing
        .iter()
        .map(|(what, why)| format!("Missing: {what}: {why}."))
        .collect();
    let mut class = if parts.is_empty() {
        "state state-live"
    } else {
        "state state-offline"
    };
    for source in &status.sources {
        let name = &source.name;
        match &source.state {
            SourceState::Failed { error } => {
                class = "state state-offline";
                parts.push(format!("The source {name} has failed: {error}."));
            }
            SourceState::Waiting { error, retry_ms } => {
                if parts.is_empty() {
                    class = "state state-stale";
                }
                let seconds = retry_ms.div_ceil(1_000);
                parts.push(format!(
                    "The source {name} is tried again after {seconds} s: {error}."
                ));
            }
            _ => {}
        }
    }
    let words = if parts.is_empty() {
        "Everything that this process needs is there.".to_owned()
    } else {
        parts.join(" ")
    };
    view! { <p class=class data-testid="pipeline-missing">{words}</p> }.erased()
}

fn standing(status: &PipelineStatus) -> AnyView {
    view! {
        <dl class="standing">
            <div><dt>"Role"</dt><dd data-testid="pipeline-role">{status.role.clone()}</dd></div>
            <div><dt>"Topic"</dt><dd>{status.topic.clone()}</dd></div>
            <div>
                <dt>"Live readers"</dt>
                <dd data-testid="pipeline-readers">{status.live_readers.to_string()}</dd>
            </div>
        </dl>
    }
    .erased()
}

/// What goes over the topic, of all processes: the stages of the others are on no page of this one.
fn topic(status: &PipelineStatus) -> AnyView {
    let not_known = || "not known".to_owned();
    let rate = |of: fn(&TopicFlow) -> f64| {
        status.flow.as_ref().map_or_else(not_known, |flow| {
            format!("{}/s", format::fixed(of(flow), 1))
        })
    };
    let rows = [
        (
            "Published to it".to_owned(),
            "pipeline-published",
            rate(|flow| flow.published_per_second),
            "By all processes; a message holds one row or more",
        ),
        (
            format!("Taken by {}", status.group),
            "pipeline-taken",
            rate(|flow| flow.taken_per_second),
            "Committed by the consumers that store, of all processes",
        ),
        (
            "Lag".to_owned(),
            "pipeline-lag",
            status
                .lag_records
                .map_or_else(not_known, |lag| lag.to_string()),
            "On the topic and not stored yet",
        ),
    ];
    let rows = rows.map(|(name, id, number, counted)| {
        view! {
            <tr>
                <th scope="row">{name}</th>
                <td data-testid=id>{number}</td>
                <td class="words">{counted}</td>
            </tr>
        }
    });
    // The stages count rows; a message holds as many as were published together.
    let columns = ["What", "Messages", "What is counted"];
    table("topic", "The topic", &columns, Vec::from(rows))
}

/// Where prices come from; nothing where they are only pushed or imported.
fn sources(sources: Vec<SourceStatus>) -> AnyView {
    if sources.is_empty() {
        return ().erased();
    }
    let warnings: Vec<_> = sources.iter().filter_map(warning).collect();
    let rows: Vec<_> = sources
        .into_iter()
        .map(|source| {
            let state = match source.state {
                SourceState::Starting => "starting",
                SourceState::Running => "running",
                SourceState::Waiting { .. } => "waiting",
                SourceState::Finished => "finished",
                SourceState::Failed { .. } => "failed",
                SourceState::Stopped => "stopped",
            };
            view! {
                <tr>
                    <th scope="row">{source.name}</th>
                    <td data-testid="source-state">{state}</td>
                    <td>{source.rows.to_string()}</td>
                    <td>{source.rejected.to_string()}</td>
                    <td class="words">{source.newest.map(format::iso).unwrap_or_default()}</td>
                </tr>
            }
        })
        .collect();
    let columns = ["Source", "State", "Rows", "Put aside", "Newest"];
    let table = table("sources", "Sources", &columns, rows);
    view! {
        {table}
        {warnings}
    }
    .erased()
}

/// What a source went on past: its rows come, and some may be missing.
fn warning(source: &SourceStatus) -> Option<AnyView> {
    let last = source.warning.as_ref()?;
    let times = match source.warnings {
        1 => "once".to_owned(),
        count => format!("{count} times, the last time"),
    };
    let words = format!("Rows of {} may be missing ({times}): {last}.", source.name);
    Some(view! { <p class="note" data-testid="source-warning">{words}</p> }.erased())
}

/// A table in a panel of its own; words, not numbers, in its last column.
fn table(
    name: &'static str,
    heading: &'static str,
    columns: &[&'static str],
    rows: Vec<impl IntoView + 'static>,
) -> AnyView {
    let heading_id = format!("{name}-heading");
    let labelled_by = heading_id.clone();
    let last = columns.len().saturating_sub(1);
    let columns: Vec<_> = columns
        .iter()
        .enumerate()
        .map(|(at, column)| {
            let class = (at == last).then_some("words");
            view! { <th scope="col" class=class>{*column}</th> }
        })
        .collect();
    view! {
        <section class="panel" aria-labelledby=labelled_by>
            <h2 id=heading_id>{heading}</h2>
            <div class="scroll">
                <table data-testid=format!("pipeline-{name}")>
                    <thead>
                        <tr>{columns}</tr>
                    </thead>
                    <tbody>{rows}</tbody>
                </table>
            </div>
        </section>
    }
    .erased()
}

fn stages(stages: Vec<StageRate>) -> AnyView {
    let rows: Vec<_> = stages
        .into_iter()
        .map(|stage| {
            let id = format!("stage-{}", stage.name.replace(' ', "-"));
            let counted = counted(&stage.name);
            view! {
                <tr data-testid=id>
                    <th scope="row">{stage.name}</th>
                    <td>{format::fixed(stage.per_second, 1)}</td>
                    <td>{stage.total.to_string()}</td>
                    <td class="words">{counted}</td>
                </tr>
            }
        })
        .collect();
    let columns = ["Stage", "Per second", "Since the start", "What is counted"];
    table("stages", "Stages of this process", &columns, rows)
}

fn counted(stage: &str) -> &'static str {
    match stage {
        "received" => "Rows from the source and from pushes",
        "published" => "Rows that the bus has taken",
        "stored" => "Ticks that were new to the store",
        "duplicates" => "Ticks that the store had already",
        "rejected" => "Rows put aside as dead letters",
        "followed" => "Ticks read from the topic for the live feed",
        "live messages" => "Messages sent to live readers",
        "forecasts" => "Forecasts written to the ledger",
        _ => "",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn status() -> PipelineStatus {
        PipelineStatus {
            role: "serve".into(),
            topic: "stock-data".into(),
            group: "tickcast".into(),
            sources: Vec::new(),
            stages: Vec::new(),
            lag_records: None,
            flow: None,
            live_readers: 0,
            missing: Vec::new(),
            dead_letters: Vec::new(),
            dropped: Vec::new(),
        }
    }

    /// What the element of that name shows.
    fn shown<'a>(html: &'a str, id: &str) -> &'a str {
        let cell = format!("data-testid=\"{id}\"");
        let (_, after) = html.split_once(&cell).unwrap();
        let (_, after) = after.split_once('>').unwrap();
        after.split('<').next().unwrap()
    }

    #[test]
    fn the_topic_shows_how_much_is_published_taken_and_waiting_in_messages() {
        let html = markup(PipelineStatus {
            role: "web".into(),
            lag_records: Some(7),
            flow: Some(TopicFlow {
                published_per_second: 12.26,
                taken_per_second: 0.0,
            }),
            ..status()
        });
        assert_eq!(shown(&html, "pipeline-published"), "12.3/s");
        assert_eq!(shown(&html, "pipeline-taken"), "0.0/s");
        assert_eq!(shown(&html, "pipeline-lag"), "7");
        assert!(html.contains("Taken by tickcast"), "{html}");
        assert!(html.contains("holds one row or more"), "{html}");
    }

    #[test]
    fn a_topic_that_nobody_tells_of_is_not_known_and_a_lag_is_known_before_its_rates() {
        let html = markup(status());
        for id in ["pipeline-published", "pipeline-taken", "pipeline-lag"] {
            assert_eq!(shown(&html, id), "not known");
        }
        let html = markup(PipelineStatus {
            lag_records: Some(0),
            ..status()
        });
        assert_eq!(shown(&html, "pipeline-lag"), "0");
        assert_eq!(shown(&html, "pipeline-published"), "not known");
    }

    #[test]
    fn a_source_in_trouble_is_told_of_where_all_would_be_well() {
        let told = |state: SourceState, missing: &[(&str, &str)]| {
            markup(PipelineStatus {
                sources: vec![SourceStatus {
                    name: "rest:x".into(),
                    state,
                    rows: 3,
                    rejected: 1,
                    newest: None,
                    warnings: 0,
                    warning: None,
                }],
                missing: missing
                    .iter()
                    .map(|(what, why)| ((*what).into(), (*why).into()))
                    .collect(),
                ..status()
            })
        };
        let error = "401: <b>no such key</b>".to_owned();
        let well = told(SourceState::Running, &[]);
        assert!(
            well.contains("state-live") && well.contains("running"),
            "{well}"
        );
        let failed = told(
            SourceState::Failed {
                error: error.clone(),
            },
            &[],
        );
        assert!(
            failed.contains("state-offline") && failed.contains("401"),
            "{failed}"
        );
        assert!(
            !failed.contains("Everything") && !failed.contains("<b>"),
            "{failed}"
        );
        let waiting = SourceState::Waiting {
            error,
            retry_ms: 1_500,
        };
        let waits = told(waiting.clone(), &[]);
        assert!(
            waits.contains("state-stale") && waits.contains("after 2 s"),
            "{waits}"
        );
        let both = told(waiting, &[("store", "away")]);
        assert!(
            both.contains("state-offline") && both.contains("store: away"),
            "{both}"
        );
    }

    #[test]
    fn a_source_that_went_on_past_something_says_that_rows_may_be_missing() {
        let told = |warnings, warning: Option<&str>| {
            markup(PipelineStatus {
                sources: vec![SourceStatus {
                    name: "rest:x".into(),
                    state: SourceState::Running,
                    rows: 3,
                    rejected: 0,
                    newest: None,
                    warnings,
                    warning: warning.map(str::to_owned),
                }],
                ..status()
            })
        };
        assert!(!told(0, None).contains("source-warning"));
        let once = told(1, Some("a full page of one instant"));
        assert_eq!(
            shown(&once, "source-warning"),
            "Rows of rest:x may be missing (once): a full page of one instant."
        );
        // Its rows come all the same.
        assert!(once.contains("state-live"), "{once}");
        let often = shown(&told(7, Some("b")), "source-warning").to_owned();
        assert!(often.contains("(7 times, the last time): b"), "{often}");
    }
}
