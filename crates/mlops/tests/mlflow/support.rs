//! The server, plain requests to it, and records to send.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    process::Command,
    sync::{
        Arc,
        atomic::{AtomicI64, AtomicU64, Ordering},
    },
};

use market::Timestamp;
use mlops::mlflow::{Client, Metric, MlflowOptions, Record, Registered, RunStatus};
use serde_json::{Value, json};
use store::{Artefact, Artefacts, SqliteOptions, SqliteStore};
use tempfile::TempDir;

/// 2026-01-02T03:04:05.678Z, in milliseconds.
pub const START_MS: i64 = 1_767_323_045_678;

/// The address of the server that `scripts/services` started.
pub fn uri() -> String {
    std::env::var("MLFLOW_TRACKING_URI").unwrap_or_else(|_| {
        panic!("MLFLOW_TRACKING_URI is not set: run through `scripts/services run mlflow -- cargo test …`")
    })
}

pub fn client() -> Client {
    client_of(&uri())
}

pub fn client_of(uri: &str) -> Client {
    Client::new(&MlflowOptions::new(uri)).unwrap()
}

/// A name that no other test has.
pub fn unique(what: &str) -> String {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    let number = NEXT.fetch_add(1, Ordering::Relaxed);
    format!("{what}-{}-{number}", now.unwrap().as_nanos())
}

pub fn ms(after_start: i64) -> Timestamp {
    Timestamp::from_millis(START_MS + after_start)
}

/// A clock that a test sets.
#[derive(Clone)]
pub struct Clock(Arc<AtomicI64>);

impl Clock {
    pub fn new() -> Self {
        Self(Arc::new(AtomicI64::new(ms(0).as_micros())))
    }

    pub fn now(&self) -> Timestamp {
        Timestamp::from_micros(self.0.load(Ordering::SeqCst))
    }

    pub fn advance(&self, seconds: i64) {
        self.0.fetch_add(seconds * 1_000_000, Ordering::SeqCst);
    }

    pub fn function(&self) -> Arc<dyn Fn() -> Timestamp + Send + Sync> {
        let this = self.clone();
        Arc::new(move || this.now())
    }
}

/// A store in a folder of its own.
pub struct Store {
    pub store: Arc<SqliteStore>,
    _folder: TempDir,
}

impl Store {
    pub async fn open() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let store = SqliteStore::open(SqliteOptions::new(folder.path().to_owned()))
            .await
            .unwrap();
        Self {
            store: Arc::new(store),
            _folder: folder,
        }
    }

    /// Keeps a content and names it.
    pub async fn artefact(&self, path: &str, content: &[u8]) -> Artefact {
        let sha256 = Artefacts::put(&*self.store, content.to_vec())
            .await
            .unwrap();
        Artefact {
            path: path.to_owned(),
            sha256,
            bytes: content.len() as u64,
        }
    }

    pub fn contents(&self) -> &dyn Artefacts {
        &*self.store
    }
}

/// A record with something of everything, and no artefacts.
pub fn record(experiment: &str, job: &str) -> Record {
    let metric = |name: &str, step, value| Metric {
        name: name.to_owned(),
        step,
        at: ms(step * 1_000),
        value,
    };
    Record {
        experiment: experiment.to_owned(),
        run_name: format!("training {job}"),
        job: job.to_owned(),
        status: RunStatus::Finished,
        started_at: ms(0),
        finished_at: ms(60_000),
        params: BTreeMap::from([("order".to_owned(), "(1, 1, 0)".to_owned())]),
        metrics: vec![metric("loss", 1, 0.5), metric("loss", 2, 0.25)],
        tags: BTreeMap::from([("symbol".to_owned(), "EUR/USD=X".to_owned())]),
        artefacts: Vec::new(),
        registered: None,
    }
}

pub fn registered(model: &str, aliases: &[&str]) -> Registered {
    Registered {
        model: model.to_owned(),
        folder: "model".to_owned(),
        note: format!("a version of {model}"),
        aliases: aliases.iter().map(|alias| (*alias).to_owned()).collect(),
    }
}

// --- plain requests ---

fn api(server: &str, call: &str) -> String {
    format!("{server}/api/2.0/mlflow/{call}")
}

async fn answer(request: reqwest::RequestBuilder) -> Value {
    let response = request.send().await.unwrap();
    let status = response.status();
    let text = response.text().await.unwrap();
    assert!(status.is_success(), "{status}: {text}");
    serde_json::from_str(&text).unwrap()
}

pub async fn get_from(server: &str, call: &str, query: &[(&str, &str)]) -> Value {
    answer(http().get(api(server, call)).query(query)).await
}

pub async fn get(call: &str, query: &[(&str, &str)]) -> Value {
    get_from(&uri(), call, query).await
}

pub async fn post(call: &str, body: Value) -> Value {
    answer(http().post(api(&uri(), call)).json(&body)).await
}

pub fn http() -> reqwest::Client {
    // As every client of the project: the provider is chosen once.
    let _ = rustls::crypto::ring::default_provider().install_default();
    reqwest::Client::new()
}

/// Puts bytes where an artefact of a run is.
pub async fn overwrite(run: &Value, path: &str, content: &[u8]) {
    let place = run["info"]["artifact_uri"].as_str().unwrap();
    let place = place.strip_prefix("mlflow-artifacts:/").unwrap();
    let url = format!(
        "{}/api/2.0/mlflow-artifacts/artifacts/{place}/{path}",
        uri()
    );
    let response = http().put(url).body(content.to_vec()).send().await.unwrap();
    assert!(response.status().is_success());
}

/// All runs of an experiment, deleted ones too, in the order in which they were made.
pub async fn runs_of(server: &str, experiment: &str) -> Vec<Value> {
    let found = get_from(
        server,
        "experiments/get-by-name",
        &[("experiment_name", experiment)],
    )
    .await;
    let body = json!({
        "experiment_ids": [found["experiment"]["experiment_id"]],
        "run_view_type": "ALL",
        "max_results": 1_000,
    });
    let found = answer(http().post(api(server, "runs/search")).json(&body)).await;
    found["runs"].as_array().cloned().unwrap_or_default()
}

/// The versions of a model with their tags, by number.
pub async fn versions_of(server: &str, model: &str) -> Vec<Value> {
    let filter = format!("name = '{model}'");
    let found = get_from(server, "model-versions/search", &[("filter", &filter)]).await;
    let mut versions = found["model_versions"]
        .as_array()
        .cloned()
        .unwrap_or_default();
    versions.sort_by_key(|version| version["version"].as_str().unwrap().parse::<u32>().unwrap());
    versions
}

pub fn tag<'a>(of: &'a Value, key: &str) -> Option<&'a str> {
    let tags = of["data"]["tags"].as_array().or(of["tags"].as_array())?;
    tags.iter().find(|tag| tag["key"] == key)?["value"].as_str()
}

pub fn param<'a>(run: &'a Value, key: &str) -> Option<&'a str> {
    let params = run["data"]["params"].as_array()?;
    params.iter().find(|param| param["key"] == key)?["value"].as_str()
}

// --- a server of one's own ---

/// An MLflow that a test may kill.
pub struct Own {
    folder: TempDir,
    pub uri: String,
}

impl Own {
    pub fn start() -> Self {
        let mut own = Self {
            folder: tempfile::tempdir().unwrap(),
            uri: String::new(),
        };
        own.start_again();
        own
    }

    pub fn kill(&self) {
        self.call("kill");
    }

    pub fn start_again(&mut self) {
        let printed = self.call("start");
        let uri = printed
            .lines()
            .find_map(|line| line.strip_prefix("MLFLOW_TRACKING_URI="));
        self.uri = uri.unwrap().to_owned();
    }

    fn call(&self, what: &str) -> String {
        let output = Command::new(script())
            .args([what, "mlflow", "--dir"])
            .arg(self.folder.path())
            .env_remove("MLFLOW_TRACKING_URI")
            .output()
            .unwrap();
        let errors = String::from_utf8_lossy(&output.stderr);
        assert!(
            output.status.success(),
            "scripts/services {what} mlflow: {errors}"
        );
        String::from_utf8_lossy(&output.stdout).into_owned()
    }
}

impl Drop for Own {
    fn drop(&mut self) {
        self.kill();
    }
}

fn script() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../scripts/services")
}
