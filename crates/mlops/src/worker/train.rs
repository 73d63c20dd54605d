//! A training: a round over stored closes, and its publication.

use std::time::Instant;

use forecast::{ModelRef, backtest::Control};
use market::Timestamp;
use serde_json::{Value, json};
use store::{AliasMove, AliasTarget, Artefact, NewVerdict, NewVersion, Publication};

use super::{
    CHAMPION,
    attempt::{Failure, Made, Task},
    networks, series, tell,
};
use crate::{
    gate::ErrorBudget,
    jobs::{Payload as _, TrainPayload},
    registered::CHALLENGER,
    training::{
        Action, ArtefactFile, Champion, JudgedBy, Outcome, Round, Series, Standing,
        Task as RoundTask, TradingDays, Trainer, TrainingError,
    },
};

impl From<TrainingError> for Failure {
    fn from(e: TrainingError) -> Self {
        match e {
            TrainingError::Cancelled => Self::Stopped,
            other => Self::Refused(other.to_string()),
        }
    }
}

pub(super) async fn train(task: &Task) -> Result<Made, Failure> {
    let payload = TrainPayload::read(&task.job.payload)?;
    let name = payload.name();
    let as_of = payload.as_of.unwrap_or_else(|| task.inner.now());
    task.report.step("reads the closes and the champion");
    let champion = champion(task, &name).await?;
    let (verdict, budget) = match last_round(task, &name).await? {
        Some(last) => {
            last.must_precede(&payload, as_of)?;
            last.must_be_judged_by(payload.judged_by.unwrap_or_default(), as_of)?;
            (Some(last.verdict), last.budget)
        }
        None => (None, None),
    };
    let (symbol, interval) = (payload.symbol.clone(), payload.interval);
    // Of a market that never closes a year has the most bars.
    let rows = payload.recipe(TradingDays::Always)?.rows();
    let (starts, closes) = series::closes(task, &symbol, interval, as_of, rows).await?;
    let recipe = payload.recipe(TradingDays::of(&starts))?;
    let series = Series::new(symbol, interval, starts, closes)?;
    if let (Some(first), Some(last)) = (series.starts().first(), series.starts().last()) {
        let (rows, sha256) = (series.len(), series.sha256());
        task.report.line(format!(
            "{rows} closes from {first} to {last}, SHA-256 {sha256}"
        ));
    }
    let round = RoundTask {
        name: name.clone(),
        series,
        standing: Standing {
            champion: champion.clone(),
            budget,
        },
    };
    let on = networks::On {
        payload: &payload,
        recipe: &recipe,
        champion: champion.as_ref().map(|champion| &champion.reference),
    };
    let networks = on.trained(task, &round, as_of).await?;
    let of_networks = networks.told();
    let providers = task.inner.providers.after(networks.provider());
    task.report
        .step("walks the models through the held-out origins");
    let outcome = task
        .compute(move |task| {
            let began = Instant::now();
            let clock = move || began.elapsed().as_secs_f64();
            let progress = |done, total| task.report.progress(done, total);
            let trainer = Trainer {
                recipe: &recipe,
                providers: &providers,
                calendars: &task.inner.calendars,
                code_version: &task.inner.config.code_version,
            };
            let control = Control {
                progress: Some(&progress),
                cancel: Some(&task.token),
                clock: Some(&clock),
            };
            trainer.train(&round, as_of, control)
        })
        .await??;
    for one in &outcome.round.measures {
        task.report.line(told(one));
    }
    task.report.line(outcome.round.words.clone());
    task.report.step("puts the files and publishes");
    let artefacts = put(task, &outcome).await?;
    still_the_last(task, &name, verdict).await?;
    let champion = champion.map(|champion| champion.version);
    let (publication, mut result) = publication(task, outcome, champion, artefacts)?;
    if let Some(networks) = of_networks {
        result["networks"] = networks;
    }
    Ok(Made {
        result,
        publication: Some(Box::new(publication)),
    })
}

fn told(one: &crate::training::ModelMeasures) -> String {
    let number =
        |value: Option<f64>| value.map_or_else(|| "none".to_owned(), |v| format!("{v:.4}"));
    let failure = one.failure.as_deref().map_or_else(String::new, |why| {
        format!(", {} origins without a forecast: {why}", one.failures)
    });
    format!(
        "{}: MASE {}, skill against naive {}, CRPS {}, pinball {}, coverage 80 % {}, 95 % {}, fit {} ms, forecast {} \
         ms{failure}",
        one.model,
        number(one.mase),
        number(one.skill_against_naive),
        number(one.crps),
        number(one.pinball),
        number(one.coverage_80),
        number(one.coverage_95),
        number(one.fit_ms),
        number(one.forecast_p99_ms),
    )
}

/// The champion of a name, its files checked. A file that is missing or altered is told and does not end the round:
/// models are fitted anew, and the next version has whole files again.
async fn champion(task: &Task, name: &str) -> Result<Option<Champion>, Failure> {
    let Some(version) = task.inner.ports.registry.by_alias(name, CHAMPION).await? else {
        return Ok(None);
    };
    let reference: ModelRef = version.reference.parse().map_err(|e: forecast::Error| {
        Failure::Refused(format!(
            "the champion, version {} of {name}: {e}",
            version.version
        ))
    })?;
    for file in &version.artefacts {
        if let Err(e) = task.inner.ports.artefacts.get(&file.sha256).await {
            if e.kind().is_transient() {
                return Err(e.into());
            }
            task.report.line(format!(
                "the champion's file {} (version {}) cannot be used: {e}",
                file.path, version.version
            ));
        }
    }
    let number = version.version;
    task.report
        .line(format!("champion: version {number}, {reference}"));
    let champion = Champion {
        reference,
        version: number,
    };
    Ok(Some(champion))
}

/// Where the last round of a name left it.
struct LastRound {
    name: String,
    verdict: i64,
    at: Timestamp,
    budget: Option<ErrorBudget>,
    judged_by: JudgedBy,
}

impl LastRound {
    /// The bound of a year holds for one measure: the better of two would be promoted by chance more often.
    fn must_be_judged_by(&self, judged_by: JudgedBy, as_of: Timestamp) -> Result<(), Failure> {
        let open = self
            .budget
            .as_ref()
            .is_some_and(|budget| as_of < budget.ends);
        if !open || self.judged_by == judged_by {
            return Ok(());
        }
        Err(Failure::Refused(format!(
            "judged_by: the rounds of {} are judged by {} until its year ends; another model name may be judged by {}",
            self.name,
            self.judged_by.as_str(),
            judged_by.as_str()
        )))
    }

    /// Rounds go forward: one that knows less than an earlier one would show other losses to the same budget.
    fn must_precede(&self, payload: &TrainPayload, as_of: Timestamp) -> Result<(), Failure> {
        if as_of >= self.at {
            return Ok(());
        }
        let why = format!(
            "as_of: {as_of} lies before the last round of {}, held as of {}",
            self.name, self.at
        );
        // A clock that was set back comes right.
        Err(match payload.as_of {
            Some(_) => Failure::Refused(why),
            None => Failure::Transient(why),
        })
    }
}

async fn last_round(task: &Task, name: &str) -> Result<Option<LastRound>, Failure> {
    let registry = &task.inner.ports.registry;
    let verdicts = registry.verdicts(Some(name), None, 1).await?;
    let Some(last) = verdicts.into_iter().next() else {
        return Ok(None);
    };
    let kept = last.verdict.numbers.get("budget").cloned();
    // Without it the year's bound would not hold: nothing is judged on a guess.
    let budget = serde_json::from_value(kept.unwrap_or(Value::Null)).map_err(|e| {
        Failure::Refused(format!(
            "the error budget in verdict {} of {name} cannot be read: {e}",
            last.id
        ))
    })?;
    let judged_by = last.verdict.numbers.get("judged_by").cloned();
    let judged_by = judged_by.and_then(|text| serde_json::from_value(text).ok());
    Ok(Some(LastRound {
        // A round of before there was a choice.
        judged_by: judged_by.unwrap_or_default(),
        name: name.to_owned(),
        verdict: last.id,
        at: last.verdict.at,
        budget,
    }))
}

/// Two rounds of a name at once would each go on from the same budget: the later one is held again. What comes between
/// this look and the publication is not seen; a moved champion always is.
async fn still_the_last(task: &Task, name: &str, verdict: Option<i64>) -> Result<(), Failure> {
    let last = last_round(task, name).await?;
    if last.map(|last| last.verdict) == verdict {
        return Ok(());
    }
    let why = format!("another round of {name} ended meanwhile");
    Err(Failure::Transient(why))
}

/// Puts the files of what was trained, and reads them back.
async fn put(task: &Task, outcome: &Outcome) -> Result<Vec<Artefact>, Failure> {
    let mut artefacts = Vec::new();
    for file in outcome.trained.iter().flat_map(|trained| &trained.files) {
        let ArtefactFile {
            path,
            sha256,
            bytes,
        } = file;
        let store = &task.inner.ports.artefacts;
        let put = store.put(bytes.clone()).await?;
        if put != *sha256 || store.get(sha256).await? != *bytes {
            return Err(Failure::Transient(format!(
                "the file {path} does not read back as it was written"
            )));
        }
        task.report
            .line(format!("{path}: {} bytes, SHA-256 {sha256}", bytes.len()));
        artefacts.push(Artefact {
            path: path.clone(),
            sha256: sha256.clone(),
            bytes: bytes.len() as u64,
        });
    }
    Ok(artefacts)
}

fn as_json(value: &impl serde::Serialize) -> Result<Value, Failure> {
    serde_json::to_value(value)
        .map_err(|e| Failure::Refused(format!("the round cannot be written as JSON: {e}")))
}

/// What changes with the job's end, and what the job tells of it.
fn publication(
    task: &Task,
    outcome: Outcome,
    champion: Option<u32>,
    artefacts: Vec<Artefact>,
) -> Result<(Publication, Value), Failure> {
    let Outcome { round, trained } = outcome;
    let files = artefacts.clone();
    let by = task.job.submitted_by.clone();
    let version = match trained {
        Some(trained) => Some(NewVersion {
            name: round.model.clone(),
            reference: trained.reference.to_string(),
            lineage: store::Lineage {
                from: round.lineage.from,
                until: round.lineage.until,
                rows: round.lineage.rows as u64,
                sha256: round.lineage.sha256.clone(),
                code_version: round.lineage.code_version.clone(),
                seed: round.lineage.seed,
                parent: round.lineage.parent,
            },
            measures: as_json(&round.served_measures())?,
            artefacts,
            created_by: by.clone(),
            note: note(&round).to_owned(),
        }),
        None => None,
    };
    let to = match round.action {
        Action::Promote | Action::Refresh => Some(AliasTarget::New),
        Action::ServeNaive => Some(AliasTarget::Nobody),
        Action::Keep => None,
    };
    let aliases = to.map(|to| AliasMove {
        name: round.model.clone(),
        alias: CHAMPION.to_owned(),
        to,
        expected: Some(champion),
        by: by.clone(),
        why: note(&round).to_owned(),
    });
    // Who was champion is watched on: what comes shows whether it was right.
    let replaced = matches!(round.action, Action::Promote | Action::ServeNaive);
    let challenger = champion.filter(|_| replaced).map(|before| AliasMove {
        name: round.model.clone(),
        alias: CHALLENGER.to_owned(),
        to: AliasTarget::Version(before),
        expected: None,
        by,
        why: "it was champion before".to_owned(),
    });
    let budget = round.budget.as_ref();
    let verdict = NewVerdict {
        name: round.model.clone(),
        champion,
        promoted: round.action == Action::Promote,
        budget_spent: round.budget_spent,
        tries_this_year: budget.map_or(0, |budget| budget.gates),
        numbers: as_json(&round)?,
        words: round.words.clone(),
        at: round.as_of,
    };
    let result = json!({
        "model": round.model,
        "symbol": round.symbol,
        "interval": round.interval,
        "as_of_us": round.as_of,
        "action": round.action,
        "promoted": verdict.promoted,
        "served": round.served,
        "words": round.words,
        "measures": round.served_measures(),
    });
    let outbox = tell::messages(task, &round, &files, &verdict.numbers, note(&round));
    let publication = Publication {
        verdict: Some(verdict),
        version,
        aliases: aliases.into_iter().chain(challenger).collect(),
        outbox,
    };
    Ok((publication, result))
}

const fn note(round: &Round) -> &'static str {
    match round.action {
        Action::Promote => "promoted by the gate",
        Action::Refresh => "the champion, fitted to the latest closes",
        Action::Keep => "kept by the gate",
        Action::ServeNaive => "naive beats it",
    }
}
