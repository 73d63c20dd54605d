//! Experiments and runs: found, made, filled and read back.

use std::{
    cmp::Reverse,
    collections::{BTreeMap, HashSet},
};

use serde_json::json;

use super::{
    client::Client,
    error::{MlflowError, Result},
    limits,
    record::{DELIVERED_TAG, JOB_TAG, NAME_TAG, RECORD_TAG, Record, RunStatus, SHA256_TAG},
    wire::{
        Empty, ExperimentAnswer, ExperimentCreated, History, KeyValue, Number, Point, Run,
        RunAnswer, RunsFound,
    },
};

/// What a run is to hold, in MLflow's names and lengths.
#[derive(Clone, Debug, Default)]
pub(super) struct Content {
    pub params: BTreeMap<String, String>,
    pub tags: BTreeMap<String, String>,
    pub metrics: BTreeMap<String, Vec<Point>>,
}

impl Content {
    /// Of a record: names that MLflow refuses are replaced, and values that it would cut are cut.
    pub(super) fn of(record: &Record) -> Self {
        let mut content = Self::default();
        for (name, text) in &record.params {
            let key = content.key(name);
            let value = limits::value(text, limits::PARAM_CHARS).into_owned();
            content.params.insert(key, value);
        }
        for metric in &record.metrics {
            let key = content.key(&metric.name);
            let points = content.metrics.entry(key.clone()).or_default();
            points.push(Point {
                key,
                value: Number(metric.value),
                timestamp: metric.at.as_millis(),
                step: metric.step,
            });
        }
        for (name, text) in &record.tags {
            let key = content.key(name);
            content.tag(key, text);
        }
        for file in &record.artefacts {
            content.tag(format!("{SHA256_TAG}{}", file.path), &file.sha256);
        }
        content
    }

    fn tag(&mut self, key: String, text: &str) {
        let value = limits::value(text, limits::TAG_CHARS).into_owned();
        self.tags.insert(key, value);
    }

    /// The key for a name; a name that is replaced is kept in a tag.
    fn key(&mut self, name: &str) -> String {
        let key = limits::key(name).into_owned();
        if key != name {
            let tag = limits::key(&format!("{NAME_TAG}{key}")).into_owned();
            self.tag(tag, name);
        }
        key
    }

    /// Something that it holds, to name it.
    fn first(&self) -> Option<String> {
        let param = self
            .params
            .keys()
            .next()
            .map(|key| format!("the parameter {key:?}"));
        let tag = || {
            self.tags
                .keys()
                .next()
                .map(|key| format!("the tag {key:?}"))
        };
        let metric = || {
            let point = self.metrics.values().flatten().next()?;
            Some(format!("the metric {:?} at step {}", point.key, point.step))
        };
        param.or_else(tag).or_else(metric)
    }

    /// Cuts it into requests that MLflow takes.
    pub(super) fn batches(&self) -> Vec<Batch> {
        let pair = |(key, value): (&String, &String)| KeyValue {
            key: key.clone(),
            value: value.clone(),
        };
        let mut params = self.params.iter().map(pair).peekable();
        let mut tags = self.tags.iter().map(pair).peekable();
        let mut points = self.metrics.values().flatten().cloned().peekable();
        let mut batches = Vec::new();
        loop {
            let mut batch = Batch::default();
            while batch.params.len() < limits::BATCH_PARAMS
                && let Some(param) = params.next_if(|p| batch.has_room(length(p)))
            {
                batch.bytes += length(&param);
                batch.params.push(param);
            }
            while batch.tags.len() < limits::BATCH_PARAMS
                && let Some(tag) = tags.next_if(|t| batch.has_room(length(t)))
            {
                batch.bytes += length(&tag);
                batch.tags.push(tag);
            }
            let others = batch.params.len() + batch.tags.len();
            let most = limits::BATCH_METRICS.min(limits::BATCH_TOTAL - others);
            while batch.metrics.len() < most
                && let Some(point) = points.next_if(|p| batch.has_room(length(p)))
            {
                batch.bytes += length(&point);
                batch.metrics.push(point);
            }
            if batch.bytes == 0 {
                return batches;
            }
            batches.push(batch);
        }
    }
}

/// What goes with one request.
#[derive(Debug, Default, serde::Serialize)]
pub(super) struct Batch {
    pub metrics: Vec<Point>,
    pub params: Vec<KeyValue>,
    pub tags: Vec<KeyValue>,
    #[serde(skip)]
    pub bytes: usize,
}

impl Batch {
    const fn has_room(&self, bytes: usize) -> bool {
        self.bytes == 0 || self.bytes + bytes <= limits::BATCH_BYTES
    }
}

/// Bytes of a thing in a request, with the comma behind it.
fn length(thing: &impl serde::Serialize) -> usize {
    serde_json::to_vec(thing).map_or(0, |text| text.len()) + 1
}

impl Client {
    /// Id of the experiment of a name, which is made if there is none, and restored if it was deleted: its name
    /// is not free before it is deleted for good, and it takes no runs.
    ///
    /// # Errors
    /// As every call.
    pub async fn experiment(&self, name: &str) -> Result<String> {
        // Twice: another one may make it in between.
        for _ in 0..2 {
            let query = [("experiment_name", name)];
            match self
                .get::<ExperimentAnswer>("experiments/get-by-name", &query)
                .await
            {
                Ok(ExperimentAnswer { experiment }) => {
                    let id = experiment.experiment_id;
                    if experiment.lifecycle_stage == "deleted" {
                        tracing::warn!(
                            experiment = name,
                            "the experiment was deleted in MLflow: restoring it"
                        );
                        let body = json!({ "experiment_id": id });
                        let _: Empty = self.post("experiments/restore", &body).await?;
                    }
                    return Ok(id);
                }
                Err(MlflowError::NotFound { .. }) => {}
                Err(e) => return Err(e),
            }
            let made = self
                .post("experiments/create", &json!({ "name": name }))
                .await;
            match made {
                Ok(ExperimentCreated { experiment_id }) => return Ok(experiment_id),
                Err(MlflowError::Refused { code, .. }) if code == "RESOURCE_ALREADY_EXISTS" => {}
                Err(e) => return Err(e),
            }
        }
        Err(MlflowError::NotFound {
            what: format!("experiment {name:?}, and it says that it is there already"),
        })
    }

    /// A run as it is.
    pub(super) async fn run(&self, run_id: &str) -> Result<Run> {
        let answer: RunAnswer = self.get("runs/get", &[("run_id", run_id)]).await?;
        Ok(answer.run)
    }

    /// The run of a record: the one that is there, or a new one.
    pub(super) async fn run_of(&self, experiment_id: &str, record: &Record) -> Result<Run> {
        let sha256 = record.sha256()?;
        let found = match self.find_run(experiment_id, &record.job).await? {
            Some(run) => run,
            None => {
                self.create_run(experiment_id, record, &sha256).await?;
                // Looked for, not taken from the answer: the request of an earlier try, whose answer was lost,
                // may have come through in the meantime.
                let run = self.find_run(experiment_id, &record.job).await?;
                run.ok_or_else(|| MlflowError::NotFound {
                    what: format!("run with the job id {:?}, which was just made", record.job),
                })?
            }
        };
        match found.tag(RECORD_TAG) {
            Some(tag) if tag == sha256 => Ok(found),
            _ => Err(MlflowError::Conflict {
                job: record.job.clone(),
                experiment: record.experiment.clone(),
                run: found.info.run_id,
            }),
        }
    }

    async fn create_run(&self, experiment_id: &str, record: &Record, sha256: &str) -> Result<()> {
        let tag = |key: &str, value: &str| KeyValue {
            key: key.to_owned(),
            value: value.to_owned(),
        };
        let body = json!({
            "experiment_id": experiment_id,
            "run_name": limits::value(&record.run_name, limits::RUN_NAME_CHARS),
            "start_time": record.started_at.as_millis(),
            "tags": [
                tag(JOB_TAG, &record.job),
                tag(RECORD_TAG, sha256),
                tag("mlflow.source.type", "JOB"),
                tag("mlflow.source.name", "tickcast"),
            ],
        });
        let _: RunAnswer = self.post("runs/create", &body).await?;
        Ok(())
    }

    /// The run of a job id. MLflow has no unique keys: where there are several of one content, those that
    /// nothing was finished in are deleted.
    async fn find_run(&self, experiment_id: &str, job: &str) -> Result<Option<Run>> {
        let body = json!({
            "experiment_ids": [experiment_id],
            // Job ids have no quotes in them.
            "filter": format!("tags.`{JOB_TAG}` = '{job}'"),
            "run_view_type": "ALL",
            "max_results": 100,
        });
        let RunsFound { runs } = self.post("runs/search", &body).await?;
        let (mut active, deleted): (Vec<_>, Vec<_>) = runs
            .into_iter()
            .partition(|run| run.info.lifecycle_stage != "deleted");
        // The same one at each try, and rather the one that more was sent to.
        active.sort_by_key(|run| {
            let sent = run.data.params.len() + run.data.tags.len();
            (
                run.tag(DELIVERED_TAG).is_none(),
                Reverse(sent),
                run.info.run_id.clone(),
            )
        });
        let mut active = active.into_iter();
        let Some(first) = active.next() else {
            return match deleted.into_iter().next() {
                Some(run) => Err(MlflowError::Deleted {
                    what: format!("run {} of the job {job:?}", run.info.run_id),
                }),
                None => Ok(None),
            };
        };
        for double in active {
            let same = double.tag(RECORD_TAG) == first.tag(RECORD_TAG);
            if same && double.tag(DELIVERED_TAG).is_none() {
                let body = json!({ "run_id": double.info.run_id });
                let _: Empty = self.post("runs/delete", &body).await?;
            }
        }
        Ok(Some(first))
    }

    /// Makes a run hold what it is to hold: sends what is missing, and reads it back.
    pub(super) async fn fill(&self, run: &Run, content: &Content) -> Result<()> {
        let run_id = &run.info.run_id;
        let missing = self.missing(run_id, content).await?;
        let batches = missing.batches();
        if batches.is_empty() {
            return Ok(());
        }
        for batch in batches {
            let mut body = serde_json::to_value(&batch).unwrap_or_default();
            body["run_id"] = json!(run_id);
            let _: Empty = self.post("runs/log-batch", &body).await?;
        }
        match self.missing(run_id, content).await?.first() {
            None => Ok(()),
            Some(what) => Err(MlflowError::NotKept {
                run: run_id.clone(),
                what,
                detail: "it is not there when it is read back".to_owned(),
            }),
        }
    }

    /// What a run does not hold yet.
    async fn missing(&self, run_id: &str, content: &Content) -> Result<Content> {
        let run = self.run(run_id).await?;
        let mut missing = Content::default();
        for (key, value) in &content.params {
            match run.data.params.iter().find(|param| param.key == *key) {
                Some(kept) if kept.value == *value => {}
                // Never changes any more.
                Some(kept) => {
                    return Err(MlflowError::NotKept {
                        run: run_id.to_owned(),
                        what: format!("the parameter {key:?}"),
                        detail: format!("it is {:?}", market::excerpt(&kept.value)),
                    });
                }
                None => {
                    missing.params.insert(key.clone(), value.clone());
                }
            }
        }
        for (key, value) in &content.tags {
            if run.tag(key) != Some(value) {
                missing.tags.insert(key.clone(), value.clone());
            }
        }
        for (key, points) in &content.metrics {
            // What runs/get shows of a metric is the largest value of the last step and time.
            let kept = self.history(run_id, key).await?;
            let missed: Vec<Point> = points
                .iter()
                .filter(|point| !kept.contains(&stored(point)))
                .cloned()
                .collect();
            if !missed.is_empty() {
                missing.metrics.insert(key.clone(), missed);
            }
        }
        Ok(missing)
    }

    async fn history(&self, run_id: &str, key: &str) -> Result<HashSet<(i64, i64, u64)>> {
        let mut kept = HashSet::new();
        let mut token = String::new();
        loop {
            let query = [
                ("run_id", run_id),
                ("metric_key", key),
                ("max_results", "10000"),
                ("page_token", &token),
            ];
            let query = if token.is_empty() {
                &query[..3]
            } else {
                &query[..]
            };
            let page: History = self.get("metrics/get-history", query).await?;
            kept.extend(page.metrics.iter().map(stored));
            match page.next_page_token {
                Some(next) if !next.is_empty() && next != token => token = next,
                _ => return Ok(kept),
            }
        }
    }

    /// Ends a run, and marks it as sent as a whole.
    pub(super) async fn finish(&self, run: &Run, record: &Record) -> Result<()> {
        let run_id = &run.info.run_id;
        let status: RunStatus = record.status;
        let end_time = record.finished_at.as_millis();
        let body = json!({ "run_id": run_id, "status": status.as_str(), "end_time": end_time });
        let _: serde_json::Value = self.post("runs/update", &body).await?;
        let ended = self.run(run_id).await?;
        if ended.info.status != status.as_str() || ended.info.end_time != end_time {
            return Err(MlflowError::NotKept {
                run: run_id.clone(),
                what: "the status".to_owned(),
                detail: format!(
                    "it is {:?}, ended at {}",
                    ended.info.status, ended.info.end_time
                ),
            });
        }
        let mark = BTreeMap::from([(DELIVERED_TAG.to_owned(), "yes".to_owned())]);
        let mark = Content {
            tags: mark,
            ..Content::default()
        };
        self.fill(run, &mark).await
    }
}

/// What tells one point of a metric from another, once MLflow has it.
fn stored(point: &Point) -> (i64, i64, u64) {
    (point.step, point.timestamp, point.value.stored())
}
