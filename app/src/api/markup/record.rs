//! What past forecasts were worth: in words, and every model in a table.
//!
//! Model: nothing is said of shares before there are enough outcomes that do not depend on each other;
//! then each share stands with its bounds and a word, see [`forecast::calibration`]. Live forecasts are
//! made at every closed bar, so those of `h` steps ahead overlap, and `h` of them count as one.

use forecast::calibration::{Coverage, ENOUGH_OUTCOMES, Holds, independent};
use leptos::prelude::*;
use market::Interval;
use mlops::{jobs::series_name, registered::CHALLENGER};

use super::{markup, numbers};
use crate::{
    api::ModelScore,
    erase::Erase,
    format::{self, ahead},
    query::ChartQuery,
    ssr::search::url,
};

/// The yardstick.
pub const NAIVE: &str = "naive";

/// The record of the model shown in words, and of all in a table; `champion` says whether the series has a model of
/// the registry.
pub fn board(scores: &[ModelScore], query: &ChartQuery, live: bool, champion: bool) -> String {
    let words = if live {
        in_words(of_model(scores, &query.model), query)
    } else {
        "Imported history: none of its bars is still to close, so there are no live forecasts to judge."
            .to_owned()
    };
    let table = (!scores.is_empty()).then(|| table(scores, query));
    let interval = query.interval.map_or("", Interval::as_str);
    let scoreboard = url(
        "/scoreboard",
        &[("symbol", query.symbol.as_str()), ("interval", interval)],
    );
    let models = query.interval.map(|interval| {
        let name = series_name(&query.symbol, interval);
        let url = url("/models", &[("name", &name)]);
        view! { <a href=url>"Its champion and versions"</a> }
    });
    let models = models.filter(|_| champion);
    markup(view! {
        <p data-testid="scoreboard-words">{words}</p>
        {table}
        <p class="ways"><a href=scoreboard>"Scoreboard of this series"</a> {models}</p>
    })
}

fn table(scores: &[ModelScore], query: &ChartQuery) -> AnyView {
    let caption = format!("Judged live, {}", ahead(scores[0].step));
    let rows: Vec<_> = scores.iter().map(|score| row(score, query)).collect();
    view! {
        <div class="scroll" role="region" aria-label="Every model's record" tabindex="0">
            <table>
                <caption>{caption}</caption>
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
    }
    .erased()
}

fn row(score: &ModelScore, query: &ChartQuery) -> AnyView {
    let skill = score.skill.filter(|_| says_something(score));
    let chosen = score.model == query.model;
    let link = ChartQuery {
        model: score.model.clone(),
        ..query.clone()
    }
    .url();
    // Challengers are judged, and never shown as the forecast.
    let name = if score.model == CHALLENGER {
        view! { {score.model.clone()} }.erased()
    } else {
        view! { <a href=link data-noscroll>{score.model.clone()}</a> }.erased()
    };
    view! {
        <tr aria-current=chosen.then_some("true")>
            <th scope="row">{name}</th>
            <td>{score.count.to_string()}</td>
            <td>{numbers::error_size(score.mae)}</td>
            <td>{numbers::skill(&score.model, skill)}</td>
            <td>{held_at(score, 80.0)}</td>
            <td>{held_at(score, 95.0)}</td>
        </tr>
    }
    .erased()
}

/// The end of the sentence below the chart; empty where nothing has been judged.
pub fn promise(scores: &[ModelScore], query: &ChartQuery) -> String {
    let Some(score) = of_model(scores, &query.model) else {
        return String::new();
    };
    let mut text = if !says_something(score) {
        format!(". Whether its intervals hold is {}", too_early(score))
    } else {
        let of = outcomes(score.count);
        let ahead = if score.step == query.horizon {
            String::new()
        } else {
            format!(" {}", ahead(score.step))
        };
        format!(". Of {of}{ahead} {}", held(score))
    };
    text.push('.');
    text
}

/// The record of one model: how often its intervals held, and its skill against naive.
fn in_words(score: Option<&ModelScore>, query: &ChartQuery) -> String {
    let Some(score) = score else {
        return format!(
            "No live forecast of {} has been judged here yet. Forecasts are judged when the bars \
             that they are about close.",
            query.model
        );
    };
    let overlap = if score.step > 1 {
        format!(
            " Forecasts {} are made at every bar, so {} that follow each other share their bars and \
             count as one.",
            ahead(score.step),
            score.step
        )
    } else {
        String::new()
    };
    if !says_something(score) {
        return format!("Of {}: {}.{overlap}", score.model, too_early(score),);
    }
    let mut text = format!(
        "Of {} of {} {}, {}. The bounds hold the true share in 95 of 100 cases.{overlap} ",
        outcomes(score.count),
        score.model,
        ahead(score.step),
        held(score),
    );
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

/// A number of outcomes.
pub fn outcomes(count: u64) -> String {
    if count == 1 {
        "1 outcome".to_owned()
    } else {
        format!("{count} outcomes")
    }
}

/// `80 % interval held 78 % (71 to 84 %)`, and what that says.
pub fn with_verdict(coverage: &Coverage) -> String {
    let level = format::percent(coverage.nominal, 0);
    let word = match coverage.holds() {
        Holds::TooWide => "too wide: more lay inside than it promises",
        Holds::TooNarrow => "too narrow: fewer lay inside than it promises",
        other => other.as_str(),
    };
    format!("{level} interval held {}: {word}", with_bounds(coverage))
}

/// `too early to say: 7 of 30 independent outcomes`.
pub fn too_early_of(independent: u64) -> String {
    format!("too early to say: {independent} of {ENOUGH_OUTCOMES} independent outcomes")
}

pub fn too_early(score: &ModelScore) -> String {
    let seen = outcomes_of(score);
    if score.step > 1 {
        format!("{} ({} that overlap)", too_early_of(seen), score.count)
    } else {
        format!("too early to say: {seen} of {ENOUGH_OUTCOMES} outcomes")
    }
}

fn held(score: &ModelScore) -> String {
    let parts: Vec<String> = coverages(score)
        .map(|coverage| format!("the {}", with_verdict(&coverage)))
        .collect();
    parts.join("; ")
}

/// `78 % (71 to 84 %)`.
fn with_bounds(coverage: &Coverage) -> String {
    let (lower, upper) = coverage.bounds();
    format!(
        "{} ({} to {})",
        format::percent(coverage.share, 0),
        format::fixed(lower * 100.0, 0),
        format::percent(upper, 0)
    )
}

fn coverages(score: &ModelScore) -> impl Iterator<Item = Coverage> {
    score.coverage.iter().map(|(level, share)| Coverage {
        nominal: level / 100.0,
        count: score.count,
        share: *share,
        independent: outcomes_of(score),
    })
}

/// Whether there are enough outcomes to say something.
pub fn says_something(score: &ModelScore) -> bool {
    outcomes_of(score) >= ENOUGH_OUTCOMES
}

/// What the interval of `level` per cent held: `78 % (71 to 84 %), holds`; `–` while there is too little to say.
pub fn held_at(score: &ModelScore, level: f64) -> String {
    let found = coverages(score).find(|c| (c.nominal - level / 100.0).abs() < 1e-9);
    match found.filter(|_| says_something(score)) {
        Some(coverage) => format!("{}, {}", with_bounds(&coverage), coverage.holds().as_str()),
        None => "–".to_owned(),
    }
}

/// The independent outcomes: live forecasts are made a step apart.
pub fn outcomes_of(score: &ModelScore) -> u64 {
    independent(score.count, score.step.into(), 1)
}

fn of_model<'a>(scores: &'a [ModelScore], model: &str) -> Option<&'a ModelScore> {
    scores.iter().find(|s| s.model == model && s.count > 0)
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
    fn a_record_tells_coverage_with_its_bounds_and_a_word_and_who_does_better() {
        // Wilson's bounds of 78.1 % and 94 % of 82 independent outcomes, in Python.
        assert_eq!(
            in_words(Some(&score("drift", Some(-0.021))), &query("drift")),
            "Of 412 outcomes of drift 5 steps ahead, the 80\u{a0}% interval held 78\u{a0}% (68 to \
             86\u{a0}%): holds; the 95\u{a0}% interval held 94\u{a0}% (87 to 97\u{a0}%): holds. The \
             bounds hold the true share in 95 of 100 cases. Forecasts 5 steps ahead are made at every \
             bar, so 5 that follow each other share their bars and count as one. Its mean absolute \
             error is 2.1\u{a0}% above that of naive: naive does better."
        );
    }

    #[test]
    fn intervals_that_held_all_of_297_outcomes_are_called_too_wide() {
        let mut all = ModelScore {
            count: 297,
            step: 1,
            coverage: vec![(80.0, 1.0), (95.0, 0.85)],
            ..score("naive", None)
        };
        let text = promise(std::slice::from_ref(&all), &query("naive"));
        assert!(
            text.contains("80\u{a0}% interval held 100\u{a0}% (99 to 100\u{a0}%): too wide"),
            "{text}"
        );
        assert!(text.contains("(80 to 89\u{a0}%): too narrow"), "{text}");
        assert!(
            text.starts_with(". Of 297 outcomes one step ahead the 80"),
            "{text}"
        );
        all.step = 10;
        let text = promise(&[all], &query("naive"));
        assert!(text.contains("29 of 30 independent outcomes"), "{text}");
    }

    #[test]
    fn before_there_are_enough_outcomes_there_is_no_percentage() {
        let few = ModelScore {
            count: 7,
            step: 1,
            ..score("drift", Some(0.3))
        };
        let all = [few];
        let text = in_words(all.first(), &query("drift"));
        assert_eq!(text, "Of drift: too early to say: 7 of 30 outcomes.");
        for text in [
            promise(&all, &query("drift")),
            board(&all, &query("drift"), true, false),
        ] {
            assert!(text.contains("7 of 30 outcomes"), "{text}");
            let percentages = text.replace("<th scope=\"col\">80 % held", "");
            let percentages = percentages.replace("<th scope=\"col\">95 % held", "");
            assert!(!percentages.contains('%'), "{text}");
        }
        assert_eq!(promise(&[], &query("drift")), "");
    }

    #[test]
    fn a_model_without_outcomes_claims_nothing() {
        assert!(in_words(None, &query("drift")).starts_with("No live forecast of drift"));
        let history = board(&[], &query("drift"), false, false);
        assert!(history.contains("Imported history") && !history.contains("<table"));
    }
}
