//! `tickcast serve` with a real MLflow beside it: what happens here is there, roll-backs and failures too.
//! `scripts/services run mlflow -- cargo test -p server --features service-tests --test training_loop`.

use serde_json::{Value, json};

use crate::{
    support::{Server, client, data_dir, run, stderr, until},
    training::{file, finished, get, payload, post, train},
};

fn uri() -> String {
    std::env::var("MLFLOW_TRACKING_URI").unwrap_or_else(|_| {
        panic!("MLFLOW_TRACKING_URI is not set: run through `scripts/services run mlflow -- cargo test …`")
    })
}

/// What MLflow answers; null where it has nothing.
async fn asked(path: &str, query: &[(&str, &str)]) -> Value {
    let url = format!("{}/api/2.0/mlflow/{path}", uri().trim_end_matches('/'));
    let answer = client().get(url).query(query).send().await.unwrap();
    if !answer.status().is_success() {
        return Value::Null;
    }
    answer.json().await.unwrap()
}

async fn champion_there(model: &str) -> Value {
    let query = [("name", model), ("alias", "champion")];
    asked("registered-models/alias", &query).await["model_version"].clone()
}

fn tag<'a>(of: &'a Value, key: &str) -> Option<&'a str> {
    let tags = of["tags"].as_array()?;
    tags.iter().find(|tag| tag["key"] == key)?["value"].as_str()
}

/// The job that made a version there.
fn made_by(version: &Value) -> Option<i64> {
    tag(version, "tickcast.job")?
        .split('-')
        .next()?
        .parse()
        .ok()
}

/// The newest run about a symbol.
async fn run_about(symbol: &str) -> Value {
    let named = [("experiment_name", "tickcast")];
    let experiment = asked("experiments/get-by-name", &named).await;
    let id = experiment["experiment"]["experiment_id"].as_str();
    let body = json!({
        "experiment_ids": [id.unwrap_or_default()],
        "max_results": 1,
        "filter": format!("tags.symbol = '{symbol}'"),
    });
    let url = format!("{}/api/2.0/mlflow/runs/search", uri().trim_end_matches('/'));
    let answer = client().post(url).json(&body).send().await.unwrap();
    let found: Value = answer.json().await.unwrap();
    found["runs"][0].clone()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_champion_a_roll_back_by_hand_and_a_failure_are_in_mlflow_too() {
    let (scratch, data) = data_dir();
    // A model of its own: other tests write to the same MLflow.
    let nanos = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    let symbol = format!("M{}", nanos.unwrap().as_nanos() % 1_000_000_000_000);
    let path = file(scratch.path(), &symbol, 5, 0.6);
    let done = run(&["import", &path, "--data-dir", data.to_str().unwrap()]);
    assert!(done.status.success(), "{}", stderr(&done));
    let server = Server::start(&data, &[]);
    let model = format!("close-1d.{symbol}");
    let first = train(&server, &symbol, 680, "first").await["id"].as_i64();
    let second = train(&server, &symbol, 690, "second").await["id"].as_i64();
    let is_of = |job: Option<i64>| move |version: &Value| made_by(version) == job;
    let there = until(
        "the champion there",
        async || champion_there(&model).await,
        is_of(second),
    )
    .await;
    // The files are those that the version has here.
    let here = get(&server, &format!("/api/models/{model}/versions/2")).await;
    for artefact in here["artefacts"].as_array().unwrap() {
        let key = format!("tickcast.sha256.{}", artefact["path"].as_str().unwrap());
        assert_eq!(tag(&there, &key), artefact["sha256"].as_str(), "{there}");
    }

    let alias = format!("/api/models/{model}/aliases/champion");
    let back =
        json!({ "version": 1, "expected": 2, "why": "the second one was trained on a bad day" });
    assert_eq!(post(&server, &alias, &back, None).await.0, 200);
    until(
        "the roll-back there",
        async || champion_there(&model).await,
        is_of(first),
    )
    .await;
    let nobody = json!({ "version": null, "why": "naive will do" });
    assert_eq!(post(&server, &alias, &nobody, None).await.0, 200);
    until(
        "nobody there",
        async || champion_there(&model).await,
        Value::is_null,
    )
    .await;

    let unknown = format!("NO{symbol}");
    let wrong = json!({ "kind": "train", "payload": payload(&unknown, 690) });
    let (_, job) = post(&server, "/api/jobs", &wrong, None).await;
    let job = finished(&server, job["id"].as_i64().unwrap()).await;
    assert_eq!(job["state"], "failed", "{job}");
    let failed = |run: &Value| run["info"]["status"] == "FAILED";
    let run = until("the failed run", async || run_about(&unknown).await, failed).await;
    assert_eq!(made_by(&run["data"]), job["id"].as_i64());
    let words = tag(&run["data"], "mlflow.note.content").unwrap();
    assert!(words.contains(job["error"].as_str().unwrap()), "{words}");
}
