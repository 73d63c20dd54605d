//! What a backtest says about a model, in words.
//!
//! What it does not do: a verdict that the numbers do not carry. Better and worse are said only where
//! the difference from naive is significant after Holm's correction.

use forecast::{
    backtest::{ModelReport, Verdict},
    calibration::{Coverage, ENOUGH_OUTCOMES, independent},
};

use super::{
    numbers::p_in_words,
    record::{NAIVE, outcomes, too_early_of, with_verdict},
};
use crate::format;

/// One word for a table: empty where nothing was tested.
pub fn short(row: &ModelReport) -> &'static str {
    match row.verdict {
        _ if row.model == NAIVE => "yardstick",
        _ if row.against_naive.is_none() => "not tested",
        Verdict::Better => "better",
        Verdict::Worse => "worse",
        Verdict::Undecided => "undecided",
    }
}

/// A model against naive, its intervals and its failures; `step` bars lie between origins. The steps from
/// one origin go together, so an origin counts as one outcome, and less where origins overlap.
pub fn in_words(row: &ModelReport, step: usize) -> String {
    let all = row.folds.len();
    let worked = all - row.failures.min(all);
    let why = row.folds.iter().find_map(|fold| fold.error.as_deref());
    if worked == 0 {
        let why = why.unwrap_or("there were none");
        return format!("failed at every origin ({why}), so there is nothing to judge.");
    }
    let mut text = against_naive(row);
    let independent = independent(worked as u64, row.steps.len() as u64, step as u64);
    let count = (worked * row.steps.len()) as u64;
    let coverages = row.measures.levels.iter().filter_map(|level| {
        Some(Coverage {
            nominal: level.level.0 / 100.0,
            count,
            share: level.coverage?,
            independent,
        })
    });
    let held: Vec<String> = coverages
        .map(|coverage| format!("its {}", with_verdict(&coverage)))
        .collect();
    if !held.is_empty() && independent < ENOUGH_OUTCOMES {
        text += &format!(
            " Whether its intervals hold is {} (origins).",
            too_early_of(independent)
        );
    } else if !held.is_empty() {
        text += &format!(" Of {} {}.", outcomes(count), held.join("; "));
    }
    if let (Some(why), true) = (why, row.failures > 0) {
        text += &format!(" It failed at {} of {all} origins: {why}.", row.failures);
    }
    text
}

fn against_naive(row: &ModelReport) -> String {
    if row.model == NAIVE {
        return "the yardstick: the price stays as it is.".to_owned();
    }
    let Some(skill) = row.measures.skill else {
        return "its error cannot be compared with that of naive.".to_owned();
    };
    let mut text = if skill == 0.0 {
        "its mean absolute error is that of naive".to_owned()
    } else {
        let size = format::percent(skill.abs(), 1);
        let side = if skill > 0.0 { "below" } else { "above" };
        format!("its mean absolute error is {size} {side} that of naive")
    };
    let p = row.p_holm.or(row.against_naive.map(|test| test.p_value));
    text += &match (row.verdict, p) {
        (_, None) => {
            ". There are too few origins, or too little difference, to test it.".to_owned()
        }
        (Verdict::Better, Some(p)) => format!(
            ", and that is significant ({}): better than naive here.",
            p_in_words(p)
        ),
        (Verdict::Worse, Some(p)) => format!(
            ", and that is significant ({}): naive does better here.",
            p_in_words(p)
        ),
        (Verdict::Undecided, Some(p)) => format!(
            "; that may be chance ({}): no better and no worse than naive, as far as this can tell.",
            p_in_words(p)
        ),
    };
    text
}

/// A model over several symbols.
pub fn over_symbols(rows: &[&ModelReport]) -> String {
    let count = |holds: &dyn Fn(&ModelReport) -> bool| rows.iter().filter(|r| holds(r)).count();
    let lower = count(&|r| r.measures.skill.is_some_and(|s| s > 0.0));
    let better = count(&|r| r.verdict == Verdict::Better);
    let worse = count(&|r| r.verdict == Verdict::Worse);
    format!(
        "a lower error than naive on {lower} of {} symbols; significantly better on {better}, \
         significantly worse on {worse}.",
        rows.len()
    )
}

#[cfg(test)]
mod tests {
    use forecast::backtest::{Backtest, Control, Report};

    use super::*;

    /// A report of real folds: 60 values, so that every sentence comes from what the core says.
    fn report(values: impl Fn(f64) -> f64, models: &[&str], origins: usize) -> Report {
        let y: Vec<f64> = (0..60).map(|n| values(f64::from(n))).collect();
        let models: Vec<_> = models
            .iter()
            .map(|m| forecast::Providers::classical().parse(m).unwrap())
            .collect();
        let layout = Backtest {
            horizon: 2,
            origins,
            step: 1,
            ..Backtest::default()
        };
        layout.run(&y, &models, Control::default()).unwrap()
    }

    #[test]
    fn a_significant_difference_is_called_better_or_worse() {
        let trend = |n: f64| 100.0 + n + (n * 1.7).sin();
        let report = report(trend, &["drift", "mean"], 30);
        let drift = in_words(report.model("drift").unwrap(), 2);
        assert!(
            drift.contains("below that of naive, and that is significant"),
            "{drift}"
        );
        assert!(drift.contains(": better than naive here."), "{drift}");
        let mean = in_words(report.model("mean").unwrap(), 2);
        assert!(mean.contains("naive does better here."), "{mean}");
        assert!(mean.contains("interval held"), "{mean}");
        assert!(mean.contains("Of 60 outcomes its 80"), "{mean}");
        let overlapping = in_words(report.model("mean").unwrap(), 1);
        assert!(
            overlapping.contains("too early to say: 15 of 30"),
            "{overlapping}"
        );
        assert_eq!(short(report.model("naive").unwrap()), "yardstick");
    }

    #[test]
    fn few_origins_are_no_verdict() {
        let report = report(|n| (n * 0.7).sin(), &["mean"], 2);
        let mean = report.model("mean").unwrap();
        assert_eq!(short(mean), "not tested");
        let words = in_words(mean, 1);
        assert!(words.contains("too few origins"), "{words}");
        assert!(words.contains("too early to say: 1 of 30"), "{words}");
        assert!(!words.contains("interval held"), "{words}");
    }

    #[test]
    fn a_model_that_failed_everywhere_says_why() {
        let mut report = report(|n| (n * 0.7).sin(), &["mean"], 3);
        let row = &mut report.models[0];
        row.failures = 3;
        for fold in &mut row.folds {
            fold.error = Some("mean needs more".into());
        }
        assert_eq!(
            in_words(row, 1),
            "failed at every origin (mean needs more), so there is nothing to judge."
        );
    }

    #[test]
    fn several_symbols_are_counted() {
        let report = report(|n| 100.0 + n, &["drift"], 10);
        let row = report.model("drift").unwrap();
        assert!(
            over_symbols(&[row, row]).starts_with("a lower error than naive on 2 of 2 symbols")
        );
    }
}
