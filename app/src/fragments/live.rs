//! The live record of a model beside what the gate measured.
//!
//! Model: nothing is said of shares before there are enough outcomes that do not depend on each other; until then the
//! numbers are those of the gate's held-out origins, and say so.

use mlops::training::ModelMeasures;

use crate::api::{
    ModelScore,
    markup::{
        numbers::{share, skill},
        record::{held_at, outcomes, says_something, too_early},
    },
};

/// How a model did, for a table.
#[derive(Clone, Debug, PartialEq)]
pub struct Standing {
    /// Skill against naive.
    pub skill: Option<f64>,
    /// The same as text.
    pub skill_text: String,
    /// What the 80 % interval held.
    pub held_80: String,
    /// What the 95 % interval held.
    pub held_95: String,
    /// On what that stands.
    pub source: String,
}

/// The live record where it says something, else what the gate measured.
pub fn standing(live: Option<&ModelScore>, gate: Option<&ModelMeasures>) -> Standing {
    let live = live.filter(|score| score.count > 0);
    if let Some(score) = live.filter(|score| says_something(score)) {
        return of_live(score);
    }
    let early = live.map(|score| format!("live: {}", too_early(score)));
    let Some(gate) = gate else {
        let dash = || "–".to_owned();
        return Standing {
            skill: None,
            skill_text: dash(),
            held_80: dash(),
            held_95: dash(),
            source: early.unwrap_or_else(|| "nothing yet".to_owned()),
        };
    };
    let origins = format!("the gate's {} origins", gate.origins);
    Standing {
        skill: gate.skill_against_naive,
        skill_text: skill(&gate.model, gate.skill_against_naive),
        held_80: share(gate.coverage_80),
        held_95: share(gate.coverage_95),
        source: match early {
            Some(early) => format!("{origins}; {early}"),
            None => origins,
        },
    }
}

fn of_live(score: &ModelScore) -> Standing {
    Standing {
        skill: score.skill,
        skill_text: skill(&score.model, score.skill),
        held_80: held_at(score, 80.0),
        held_95: held_at(score, 95.0),
        source: format!("live, {}", outcomes(score.count)),
    }
}

#[cfg(test)]
mod tests {
    use mlops::training::Role;

    use super::*;

    fn gate() -> ModelMeasures {
        ModelMeasures {
            model: "theta".into(),
            role: Role::Candidate,
            origins: 500,
            failures: 0,
            failure: None,
            loss: Some(0.01),
            mase: Some(0.9),
            skill_against_naive: Some(0.05),
            crps: None,
            pinball: None,
            coverage_80: Some(0.81),
            coverage_95: None,
            fits: 20,
            fit_ms: None,
            forecast_p99_ms: None,
        }
    }

    fn live(count: u64) -> ModelScore {
        ModelScore {
            model: "theta".into(),
            step: 1,
            count,
            mae: 0.9,
            rmse: 1.0,
            skill: Some(0.1),
            coverage: vec![(80.0, 0.8), (95.0, 0.95)],
        }
    }

    #[test]
    fn live_outcomes_count_once_there_are_enough() {
        let early = standing(Some(&live(7)), Some(&gate()));
        assert_eq!(early.skill_text, "+5.0\u{a0}%");
        assert_eq!(
            early.source,
            "the gate's 500 origins; live: too early to say: 7 of 30 outcomes"
        );
        let judged = standing(Some(&live(100)), Some(&gate()));
        assert_eq!(judged.skill_text, "+10.0\u{a0}%");
        assert_eq!(judged.source, "live, 100 outcomes");
        assert!(judged.held_80.ends_with(", holds"), "{}", judged.held_80);
        assert_eq!(standing(None, None).source, "nothing yet");
    }
}
