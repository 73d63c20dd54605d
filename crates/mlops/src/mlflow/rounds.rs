//! What a round of training has to say to MLflow.

use std::collections::BTreeMap;

use market::Timestamp;
use store::{Artefact, NewMessage};

use super::{
    error::Result,
    record::{AliasMoved, Metric, Record, Registered, RunStatus, Update},
};
use crate::{
    training::{Action, ModelMeasures, Round},
    worker::CHAMPION,
};

/// The folder among a run's artefacts that a version is made of.
const FOLDER: &str = "model";

/// A round, and what MLflow is to know of it besides.
///
/// Its run has the measures of what is champion after it under their own names (`mase`, `coverage_95`), and those of
/// each model under `mase/MODEL`; the closes and the program that it was made of are parameters, the verdict in words is
/// the run's description.
#[derive(Clone, Copy, Debug)]
pub struct RoundRun<'a> {
    /// Name of the experiment.
    pub experiment: &'a str,
    /// The job's id, unique within the experiment.
    pub job: &'a str,
    /// When the job began.
    pub started_at: Timestamp,
    /// When it ended.
    pub finished_at: Timestamp,
    /// The round.
    pub round: &'a Round,
    /// The files of the version that came of it, as they are in the store; empty where none did.
    pub files: &'a [Artefact],
    /// What to know of the version.
    pub note: &'a str,
}

impl RoundRun<'_> {
    /// The messages for the outbox, to be published with the round: its run, with its version as champion if one was
    /// made, and that nobody is champion where naive is served from now on.
    ///
    /// # Errors
    /// Record: it could not be sent whatever the server says.
    pub fn messages(&self) -> Result<Vec<NewMessage>> {
        let mut messages = vec![Update::from(self.record()).message(self.job)?];
        if self.round.action == Action::ServeNaive {
            let nobody = AliasMoved {
                model: self.round.model.clone(),
                alias: CHAMPION.to_owned(),
                to: None,
            };
            messages.push(Update::from(nobody).message(format!("{}-{CHAMPION}", self.job))?);
        }
        Ok(messages)
    }

    fn record(&self) -> Record {
        let Self { round, .. } = self;
        let in_folder = |file: &Artefact| Artefact {
            path: format!("{FOLDER}/{}", file.path),
            ..file.clone()
        };
        let artefacts: Vec<Artefact> = self.files.iter().map(in_folder).collect();
        let champion = matches!(round.action, Action::Promote | Action::Refresh);
        let registered = (!artefacts.is_empty()).then(|| Registered {
            model: round.model.clone(),
            folder: FOLDER.to_owned(),
            note: self.note.to_owned(),
            aliases: champion.then(|| CHAMPION.to_owned()).into_iter().collect(),
        });
        Record {
            experiment: self.experiment.to_owned(),
            run_name: format!("{} {}", round.model, round.as_of),
            job: self.job.to_owned(),
            status: RunStatus::Finished,
            started_at: self.started_at,
            finished_at: self.finished_at,
            params: self.params(),
            metrics: self.metrics(),
            tags: self.tags(),
            artefacts,
            registered,
        }
    }

    fn params(&self) -> BTreeMap<String, String> {
        let Self { round, .. } = self;
        let lineage = &round.lineage;
        let parent = lineage.parent.map(|version| version.to_string());
        let candidates = round.verdicts.iter().map(|verdict| &*verdict.candidate);
        let candidates: Vec<&str> = candidates.collect();
        let pairs = [
            ("model", Some(round.model.clone())),
            ("symbol", Some(round.symbol.to_string())),
            ("interval", Some(round.interval.to_string())),
            ("as_of", Some(round.as_of.to_string())),
            ("candidates", Some(candidates.join(" "))),
            (
                "champion_before",
                round.champion.as_ref().map(ToString::to_string),
            ),
            ("parent_version", parent),
            ("data.from", Some(lineage.from.to_string())),
            ("data.until", Some(lineage.until.to_string())),
            ("data.rows", Some(lineage.rows.to_string())),
            ("data.sha256", Some(lineage.sha256.clone())),
            ("code_version", Some(lineage.code_version.clone())),
            ("seed", Some(lineage.seed.to_string())),
        ];
        let known = pairs.into_iter();
        known
            .filter_map(|(key, value)| Some((key.to_owned(), value?)))
            .collect()
    }

    fn tags(&self) -> BTreeMap<String, String> {
        let Self { round, .. } = self;
        let action = match round.action {
            Action::Promote => "promote",
            Action::Refresh => "refresh",
            Action::Keep => "keep",
            Action::ServeNaive => "serve_naive",
        };
        let served = round
            .served
            .as_ref()
            .map_or_else(|| "naive".to_owned(), ToString::to_string);
        let left_out = round
            .left_out
            .iter()
            .map(|one| format!("{}: {}", one.model, one.reason));
        let left_out: Vec<String> = left_out.collect();
        let mut tags = BTreeMap::from([
            ("symbol".to_owned(), round.symbol.to_string()),
            ("action".to_owned(), action.to_owned()),
            ("served".to_owned(), served),
            ("mlflow.note.content".to_owned(), round.words.clone()),
        ]);
        if !left_out.is_empty() {
            tags.insert("left_out".to_owned(), left_out.join("\n"));
        }
        tags
    }

    fn metrics(&self) -> Vec<Metric> {
        let Self { round, .. } = self;
        let mut metrics = Vec::new();
        let mut add = |name: String, value: Option<f64>| {
            let at = self.finished_at;
            metrics.extend(value.map(|value| Metric {
                name,
                step: 0,
                at,
                value,
            }));
        };
        for (measure, value) in round.served_measures().into_iter().flat_map(measures) {
            add(measure.to_owned(), value);
        }
        for one in &round.measures {
            for (measure, value) in measures(one) {
                add(format!("{measure}/{}", one.model), value);
            }
        }
        for verdict in &round.verdicts {
            let p_value = verdict.against_naive.p_value;
            add(format!("p_against_naive/{}", verdict.candidate), p_value);
            let against = verdict.against_champion.as_ref();
            let p_value = against.and_then(|comparison| comparison.p_value);
            add(format!("p_against_champion/{}", verdict.candidate), p_value);
        }
        add("budget_spent".to_owned(), Some(round.budget_spent));
        metrics
    }
}

fn measures(one: &ModelMeasures) -> [(&'static str, Option<f64>); 9] {
    [
        ("loss", one.loss),
        ("mase", one.mase),
        ("skill_against_naive", one.skill_against_naive),
        ("crps", one.crps),
        ("pinball", one.pinball),
        ("coverage_80", one.coverage_80),
        ("coverage_95", one.coverage_95),
        ("fit_ms", one.fit_ms),
        ("forecast_p99_ms", one.forecast_p99_ms),
    ]
}
