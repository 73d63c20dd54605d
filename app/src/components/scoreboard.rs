//! What past forecasts were worth: in words, and every model in a table.

use leptos::prelude::*;

use crate::{
    api::ModelScore,
    chart_state::ChartState,
    erase::{Erase, text},
    format,
    query::ChartQuery,
};

/// Below this many outcomes a share says little: with 30 of them and a true coverage of 80 %, the
/// share still lies between 65 % and 95 % in 19 of 20 cases.
pub const ENOUGH_OUTCOMES: u64 = 30;

/// The yardstick.
pub const NAIVE: &str = "naive";

/// The record of the model shown in words, and of all in a table.
#[component]
pub fn Scoreboard(state: ChartState) -> impl IntoView {
    let scores = Memo::new(move |_| state.data.with(|d| d.record.scores.clone()));
    let query = Memo::new(move |_| state.data.with(|d| d.query.clone()));
    let live = Memo::new(move |_| state.data.with(|d| d.live));
    let words = text(move || {
        if !live.get() {
            return "Imported history: none of its bars is still to close, so there are no live \
                    forecasts to judge."
                .to_owned();
        }
        let query = query.get();
        scores.with(|s| in_words(s.iter().find(|s| s.model == query.model), &query))
    });
    let step = text(move || {
        let step = scores.with(|s| s.first().map_or(1, |s| s.step));
        format!("Judged live, {}", ahead(step))
    });
    let rows = move || {
        let query = query.get();
        scores
            .get()
            .into_iter()
            .map(|score| row(score, &query))
            .collect::<Vec<_>>()
    };
    let some = Memo::new(move |_| scores.with(|s| !s.is_empty()));
    view! {
        <section class="scoreboard" aria-labelledby="scoreboard-heading" data-testid="scoreboard">
            <h2 id="scoreboard-heading" tabindex="-1">"Record of the forecasts"</h2>
            <p data-testid="scoreboard-words">{words}</p>
            {move || some.get().then(|| view! {
                <div class="scroll" role="region" aria-label="Every model's record" tabindex="0">
                    <table>
                        <caption>{step}</caption>
                        <thead>
                            <tr>
                                <th scope="col">"Model"</th>
                                <th scope="col">"Outcomes"</th>
                                <th scope="col">"Mean abs. error"</th>
                                <th scope="col">"Skill against naive"</th>
                                <th scope="col">"80 % held"</th>
                                <th scope="col">"95 % held"</th>
                            </tr>
                        </thead>
                        <tbody>{rows}</tbody>
                    </table>
                </div>
            })}
        </section>
    }
    .erased()
}

fn row(score: ModelScore, query: &ChartQuery) -> AnyView {
    let held = |level: f64| {
        coverage(&score, level).map_or("–".to_owned(), |share| format::percent(share, 0))
    };
    let skill = match score.skill {
        _ if score.model == NAIVE => "yardstick".to_owned(),
        Some(skill) => format::signed_percent(skill, 1),
        None => "–".to_owned(),
    };
    let chosen = score.model == query.model;
    let link = ChartQuery {
        model: score.model.clone(),
        ..query.clone()
    }
    .url();
    view! {
        <tr aria-current=chosen.then_some("true")>
            <th scope="row"><a href=link data-noscroll>{score.model.clone()}</a></th>
            <td>{score.count.to_string()}</td>
            <td>{format::error_size(score.mae)}</td>
            <td>{skill}</td>
            <td>{held(80.0)}</td>
            <td>{held(95.0)}</td>
        </tr>
    }
    .erased()
}

/// A number of outcomes.
pub fn outcomes(count: u64) -> String {
    if count == 1 {
        "1 outcome".to_owned()
    } else {
        format!("{count} outcomes")
    }
}

/// How far ahead.
pub fn ahead(step: u32) -> String {
    if step == 1 {
        "one step ahead".to_owned()
    } else {
        format!("{step} steps ahead")
    }
}

fn coverage(score: &ModelScore, level: f64) -> Option<f64> {
    score
        .coverage
        .iter()
        .find(|(l, _)| (l - level).abs() < 1e-9)
        .map(|(_, share)| *share)
}

/// The record of one model: how often its intervals held, and its skill against naive.
fn in_words(score: Option<&ModelScore>, query: &ChartQuery) -> String {
    let Some(score) = score.filter(|s| s.count > 0) else {
        return format!(
            "No live forecast of {} has been judged here yet. Forecasts are judged when the bars \
             that they are about close.",
            query.model
        );
    };
    let mut text = format!("Of {} {}, ", outcomes(score.count), ahead(score.step));
    for (i, (level, share)) in score.coverage.iter().enumerate() {
        let start = if i == 0 { "the " } else { " and the " };
        text += &format!(
            "{start}{}\u{a0}% interval of {} has held {}",
            format::fixed(*level, 0),
            score.model,
            format::percent(*share, 0),
        );
    }
    text.push_str(". ");
    if score.count < ENOUGH_OUTCOMES {
        text.push_str("That is too few to tell. ");
    }
    match score.skill {
        _ if score.model == NAIVE => {
            text.push_str("Naive is what the other models are measured by.")
        }
        Some(skill) => {
            let size = format::percent(skill.abs(), 1);
            text += &if skill > 0.0 {
                format!("Its mean absolute error is {size} below that of naive.")
            } else if skill < 0.0 {
                format!("Its mean absolute error is {size} above that of naive: naive does better.")
            } else {
                "Its mean absolute error is that of naive.".to_owned()
            };
        }
        None => {}
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn query(model: &str) -> ChartQuery {
        ChartQuery {
            symbol: "A".parse().unwrap(),
            interval: None,
            horizon: 5,
            model: model.to_owned(),
            bars: 120,
        }
    }

    fn score(model: &str, skill: Option<f64>) -> ModelScore {
        ModelScore {
            model: model.to_owned(),
            step: 5,
            count: 412,
            mae: 0.5,
            rmse: 0.7,
            skill,
            coverage: vec![(80.0, 0.781), (95.0, 0.94)],
        }
    }

    #[test]
    fn a_record_tells_coverage_and_who_does_better() {
        assert_eq!(
            in_words(Some(&score("drift", Some(-0.021))), &query("drift")),
            "Of 412 outcomes 5 steps ahead, the 80\u{a0}% interval of drift has held 78\u{a0}% and the \
             95\u{a0}% interval of drift has held 94\u{a0}%. Its mean absolute error is 2.1\u{a0}% above \
             that of naive: naive does better."
        );
    }

    #[test]
    fn few_outcomes_are_called_few() {
        let few = ModelScore {
            count: 1,
            step: 1,
            ..score("naive", None)
        };
        let text = in_words(Some(&few), &query("naive"));
        assert!(text.starts_with("Of 1 outcome one step ahead,"), "{text}");
        assert!(text.contains("too few to tell"), "{text}");
    }

    #[test]
    fn a_model_without_outcomes_claims_nothing() {
        assert!(in_words(None, &query("drift")).starts_with("No live forecast of drift"));
    }
}
