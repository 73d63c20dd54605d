//! A look for drift: every champion's errors and inputs, the alarms among them, and the trainings that these begin.
//!
//! Model: a look goes on from the last one that succeeded, whose result says when each model's last alarm was, and when
//! a training was last begun by one. A champion is watched since its last alarm, else since its model became champion:
//! that a champion stays and is fitted to new closes begins nothing anew. The readings of all champions are corrected
//! together. An alarm is in the job's result, which is the record of it; the training that it begins and the message to
//! others have keys of their own, so that a look that is done twice begins one training and tells of one alarm.
//!
//! What it does not do: deliver messages, or say why something drifted.

use std::{collections::BTreeMap, sync::Arc};

use forecast::ForecastModel;
use market::{Interval, Symbol, Timestamp};
use serde::{Deserialize, Serialize};
use store::{AliasChange, JobKind, JobQuery, JobState, Topic, Version, VersionQuery};

use super::{
    CHAMPION,
    attempt::{Failure, Made, Task},
    series::ended,
};
use crate::{
    champions,
    drift::{self, Alarm, Kind, Reading, WatchOptions, watch as readings},
    jobs::{Payload as _, TrainPayload, WatchPayload, series_name},
    training::{MANIFEST_FILE, Manifest},
    webhook::event,
};

/// Versions that are read at a time.
const PAGE: usize = 500;

/// Forecasts of a champion that are looked at: the latest.
const MOST_FORECASTS: usize = 1_000;

/// What an alarm is called in the messages to others.
const ENTITY: &str = "drift_alarm";

/// What a look found of one champion.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Watched {
    /// The model's name.
    pub name: String,
    /// The champion's version.
    pub version: u32,
    /// Whose bars.
    pub symbol: Symbol,
    /// Their length.
    pub interval: Interval,
    /// Since when it is watched.
    #[serde(rename = "since_us")]
    pub since: Timestamp,
    /// Outcomes since then.
    pub outcomes: usize,
    /// What was read; less than two while there is too little to say.
    pub readings: Vec<Reading>,
    /// Why something could not be read.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub notes: Vec<String>,
}

/// An alarm, as it is told.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct DriftAlarm {
    /// The model's name.
    pub name: String,
    /// The champion's version.
    pub version: u32,
    /// Whose bars.
    pub symbol: Symbol,
    /// Their length.
    pub interval: Interval,
    /// What has drifted.
    pub kind: Kind,
    /// When it was seen.
    #[serde(rename = "at_us")]
    pub at: Timestamp,
    /// Since when it was watched.
    #[serde(rename = "since_us")]
    pub since: Timestamp,
    /// The statistic.
    pub statistic: f64,
    /// False alarms a day at this statistic, corrected over all champions.
    pub corrected_rate: f64,
    /// What that had to be at most: one in so many days.
    pub false_alarm_days: f64,
    /// The job of the training that it has begun.
    pub training: Option<i64>,
    /// In words.
    pub words: String,
}

/// What a look leaves behind: the result of its job.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Look {
    /// What was known.
    #[serde(rename = "as_of_us")]
    pub as_of: Timestamp,
    /// Every champion.
    pub watched: Vec<Watched>,
    /// The alarms among them.
    pub alarms: Vec<DriftAlarm>,
    /// When a model's last alarm was.
    #[serde(rename = "last_alarms_us")]
    pub last_alarms: BTreeMap<String, Timestamp>,
    /// When an alarm last began a training of it.
    #[serde(rename = "last_trainings_us")]
    pub last_trainings: BTreeMap<String, Timestamp>,
}

pub(super) async fn watch(task: &Task) -> Result<Made, Failure> {
    let payload = WatchPayload::read(&task.job.payload)?;
    let as_of = payload.as_of.unwrap_or_else(|| task.inner.now());
    let before = last_look(task).await?;
    let mut look = Look {
        as_of,
        last_alarms: before.last_alarms,
        last_trainings: before.last_trainings,
        ..Look::default()
    };
    task.report.step("reads the champions");
    let champions = champions_of(task).await?;
    let total = champions.len();
    for (done, champion) in champions.into_iter().enumerate() {
        task.go_on()?;
        task.report.progress(done, total);
        let last = look.last_alarms.get(&champion.version.name).copied();
        look.watched
            .push(watched(task, &payload.options, champion, last, as_of).await?);
    }
    let all: Vec<Reading> = look
        .watched
        .iter()
        .flat_map(|one| one.readings.clone())
        .collect();
    // A symbol may be watched at several intervals: a reading is found by its place.
    let owners: Vec<usize> = look
        .watched
        .iter()
        .enumerate()
        .flat_map(|(at, one)| std::iter::repeat_n(at, one.readings.len()))
        .collect();
    for found in drift::alarms(&all, payload.false_alarm_days) {
        let one = look.watched[owners[found.index]].clone();
        let alarm = alarm(task, &payload, &mut look, &one, &found).await?;
        metrics::counter!("tickcast_drift_alarms_total", "kind" => kind(alarm.kind)).increment(1);
        task.report.line(alarm.words.clone());
        look.alarms.push(alarm);
    }
    for alarm in &look.alarms {
        look.last_alarms.insert(alarm.name.clone(), as_of);
    }
    metrics::gauge!("tickcast_drift_watched").set(look.watched.len() as f64);
    tell(task, &look.alarms).await?;
    let result = serde_json::to_value(&look)
        .map_err(|e| Failure::Refused(format!("the look cannot be written: {e}")))?;
    Ok(result.into())
}

const fn kind(kind: Kind) -> &'static str {
    match kind {
        Kind::Errors => "errors",
        Kind::Inputs => "inputs",
    }
}

/// The result of the last look that succeeded.
async fn last_look(task: &Task) -> Result<Look, Failure> {
    let query = JobQuery {
        kind: Some(JobKind::Watch),
        state: Some(JobState::Succeeded),
        limit: 1,
        ..JobQuery::default()
    };
    let jobs = task.inner.ports.jobs.jobs(&query).await?;
    let Some(result) = jobs.into_iter().next().and_then(|job| job.result) else {
        return Ok(Look::default());
    };
    serde_json::from_value(result).map_err(|e| {
        // Without it a cool-down would be forgotten.
        Failure::Refused(format!("the last look cannot be read: {e}"))
    })
}

/// A champion with what it was made from.
struct Champion {
    version: Version,
    manifest: Manifest,
    model: Arc<dyn ForecastModel>,
}

/// Every champion of a series; one that cannot be read is told in the job's log.
async fn champions_of(task: &Task) -> Result<Vec<Champion>, Failure> {
    let ports = &task.inner.ports;
    let mut versions: Vec<Version> = Vec::new();
    let mut query = VersionQuery {
        alias: Some(CHAMPION.to_owned()),
        limit: PAGE,
        ..VersionQuery::default()
    };
    loop {
        let page = ports.registry.versions(&query).await?;
        let Some(last) = page.last() else { break };
        query.before_id = Some(last.id);
        versions.extend(page);
    }
    versions.sort_by(|a, b| a.name.cmp(&b.name));
    let mut champions = Vec::new();
    for version in versions {
        let name = &version.name;
        let files = &version.artefacts;
        let Some(file) = files.iter().find(|file| file.path == MANIFEST_FILE) else {
            continue;
        };
        let bytes = match ports.artefacts.get(&file.sha256).await {
            Ok(bytes) => bytes,
            Err(e) if e.kind().is_transient() => return Err(e.into()),
            Err(e) => {
                task.report
                    .line(format!("{name} is not watched: {MANIFEST_FILE}: {e}"));
                continue;
            }
        };
        let read = serde_json::from_slice::<Manifest>(&bytes).map_err(|e| e.to_string());
        let resolved = read.and_then(|manifest| {
            let model = task.inner.providers.resolve(&manifest.reference);
            Ok((model.map_err(|e| e.to_string())?, manifest))
        });
        match resolved {
            Ok((model, manifest)) if series_name(&manifest.symbol, manifest.interval) == *name => {
                champions.push(Champion {
                    version,
                    manifest,
                    model,
                });
            }
            // What has a name of its own is served to who names it, and not live.
            Ok(_) => {}
            Err(e) => task.report.line(format!("{name} is not watched: {e}")),
        }
    }
    Ok(champions)
}

/// When the model that is champion now became it: a champion that stays has the same reference in each version.
async fn champion_since(
    task: &Task,
    version: &Version,
    moves: &[AliasChange],
) -> Result<Timestamp, Failure> {
    let query = VersionQuery {
        name: Some(version.name.clone()),
        limit: 1_000,
        ..VersionQuery::default()
    };
    let versions = task.inner.ports.registry.versions(&query).await?;
    let same: Vec<u32> = versions
        .iter()
        .filter(|one| one.reference == version.reference)
        .map(|one| one.version)
        .collect();
    let run = moves
        .iter()
        .rev()
        .take_while(|one| one.to.is_some_and(|to| same.contains(&to)));
    Ok(run
        .last()
        .map_or(version.created_at, |first| first.change.at))
}

async fn watched(
    task: &Task,
    options: &WatchOptions,
    champion: Champion,
    last_alarm: Option<Timestamp>,
    as_of: Timestamp,
) -> Result<Watched, Failure> {
    let ports = &task.inner.ports;
    let Champion {
        version, manifest, ..
    } = &champion;
    let (symbol, interval) = (manifest.symbol.clone(), manifest.interval);
    let moves = champions::moves(&*ports.registry, &symbol, interval).await?;
    let since = champion_since(task, version, &moves)
        .await?
        .max(last_alarm.unwrap_or(Timestamp::MIN));
    let of = (&symbol, interval);
    let rows = champions::forecasts(&*ports.ledger, of, &moves, since, MOST_FORECASTS).await?;
    let known = rows
        .iter()
        .filter(|row| row.fan.origin >= interval.start_of(since));
    let live: Vec<f64> = known
        .filter_map(|row| {
            let (outcome, said) = (row.actuals.first()?, row.fan.mean.first()?);
            Some(readings::error_of(*outcome, *said))
        })
        .collect();
    let until_then = ended(of, Timestamp::MIN, since, options.reference_closes());
    let past = ports.prices.bars(&until_then).await?;
    // Of what has come since alone: what an alarm was about is in its reference from then on.
    let from = interval.start_of(since).plus_micros(-interval.micros());
    let since_then = ended(of, from, as_of, options.inputs + 1);
    let now = ports.prices.bars(&since_then).await?;
    let mut watched = Watched {
        name: version.name.clone(),
        version: version.version,
        symbol,
        interval,
        since,
        outcomes: live.len(),
        readings: Vec::new(),
        notes: Vec::new(),
    };
    let options = *options;
    let per_day = (Interval::D1.micros() as f64 / interval.micros() as f64).max(1.0);
    let (symbol, manifest, model) = (
        watched.symbol.to_string(),
        champion.manifest,
        champion.model,
    );
    let found = task
        .compute(move |_| {
            let times: Vec<i64> = past.iter().map(|bar| bar.start.as_millis()).collect();
            let closes: Vec<f64> = past.iter().map(|bar| bar.close).collect();
            let window = options.window.min(closes.len() / 3);
            let fit = &manifest.options;
            let errors =
                readings::walked(&*model, fit, (&times, &closes), window).and_then(|reference| {
                    readings::errors(&symbol, &reference, &live, per_day, &options)
                });
            let latest: Vec<f64> = now.iter().map(|bar| bar.close).collect();
            let (reference, latest) = (readings::changes(&closes), readings::changes(&latest));
            let inputs = readings::inputs(&symbol, &reference, &latest, per_day, &options);
            [errors, inputs]
        })
        .await?;
    for one in found {
        match one {
            Ok(reading) => watched.readings.extend(reading),
            Err(e) => watched.notes.push(e.to_string()),
        }
    }
    Ok(watched)
}

/// An alarm, with the training that it begins unless another alarm has begun one a while ago.
async fn alarm(
    task: &Task,
    payload: &WatchPayload,
    look: &mut Look,
    one: &Watched,
    found: &Alarm,
) -> Result<DriftAlarm, Failure> {
    let Alarm {
        reading,
        corrected_rate,
        ..
    } = found;
    let as_of = look.as_of;
    let cool_down_us = i64::from(payload.cool_down_hours) * 3_600_000_000;
    let last = look.last_trainings.get(&one.name).copied();
    let is_cool = last.is_none_or(|last| as_of.micros_since(last) >= cool_down_us);
    // Both kinds of one look begin one training: its key is that of the model and the look.
    let began_now = last == Some(as_of);
    let mut training = None;
    if let Some(template) = payload.train.as_ref().filter(|_| is_cool || began_now) {
        let same = template.interval == one.interval;
        let train = TrainPayload {
            symbol: one.symbol.clone(),
            interval: one.interval,
            model: None,
            as_of: Some(as_of),
            ..if same {
                TrainPayload::clone(template)
            } else {
                TrainPayload::new(one.symbol.clone(), one.interval)
            }
        };
        let by = format!("drift of the {} of {}", kind(reading.kind), one.name);
        let mut job = train.job(task.inner.now(), &by)?;
        job.key = Some(format!("drift:{}:{as_of}", one.name));
        let submitted = task
            .inner
            .ports
            .jobs
            .submit(vec![job], task.inner.now())
            .await?;
        training = submitted.first().map(|one| one.id());
        look.last_trainings.insert(one.name.clone(), as_of);
    }
    let what = match reading.kind {
        Kind::Errors => "errors of the champion have grown",
        Kind::Inputs => "price changes are not those that the champion was trained on",
    };
    let then = what_follows(training, last.filter(|_| payload.train.is_some()));
    let words = format!(
        "{}: the {what} since {} (statistic {:.3}); by chance this comes once in {:.0} days of all that is watched; {then}",
        one.name,
        one.since,
        reading.statistic,
        1.0 / corrected_rate.max(1e-9),
    );
    Ok(DriftAlarm {
        name: one.name.clone(),
        version: one.version,
        symbol: one.symbol.clone(),
        interval: one.interval,
        kind: reading.kind,
        at: as_of,
        since: one.since,
        statistic: reading.statistic,
        corrected_rate: *corrected_rate,
        false_alarm_days: payload.false_alarm_days,
        training,
        words,
    })
}

/// What an alarm leads to: a training that it has begun, else what hinders one, which is the training that was last begun
/// where alarms begin any.
fn what_follows(training: Option<i64>, last: Option<Timestamp>) -> String {
    match (training, last) {
        (Some(job), _) => format!("training {job} has begun"),
        (None, Some(last)) => format!("no training: one began at {last}, and the cool-down lasts"),
        (None, None) => "no training: alarms begin none here".to_owned(),
    }
}

/// Keeps a message for each alarm, where there is somebody to tell.
async fn tell(task: &Task, alarms: &[DriftAlarm]) -> Result<(), Failure> {
    if alarms.is_empty() || !task.inner.config.tell.contains(&Topic::Webhook) {
        return Ok(());
    }
    let message = |alarm: &DriftAlarm| {
        let key = format!(
            "{ENTITY}:{}:{}:{}",
            alarm.name,
            kind(alarm.kind),
            alarm.at.as_micros()
        );
        event(key, ENTITY, "created", alarm.at, alarm)
    };
    let messages = alarms.iter().map(message).collect();
    let outbox = &task.inner.ports.outbox;
    Ok(outbox.enqueue(messages, task.inner.now()).await?)
}
