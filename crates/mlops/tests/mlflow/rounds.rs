//! Rounds of training, as they are seen in MLflow.

use mlops::{
    mlflow::{RoundRun, Update, limits},
    training::{Action, MANIFEST_FILE, Outcome, STATE_FILE, Standing},
};
use serde_json::Value;
use store::Artefact;

use crate::{
    closes::{closes, day, series, small, train},
    support::{Store, client, get, ms, param, runs_of, tag, unique, uri, versions_of},
};

fn outcome(phi: f64) -> Outcome {
    let series = series(closes(3, phi, 700));
    let recipe = small(&["arima(1,1,0)"]);
    train(&recipe, &series, Standing::default(), day(700)).unwrap()
}

/// Sends a round, as the messages that an outbox keeps, and reads its run.
async fn sent(store: &Store, outcome: &Outcome, files: &[Artefact]) -> Value {
    let experiment = unique("round");
    let run = RoundRun {
        experiment: &experiment,
        job: "7",
        started_at: ms(0),
        finished_at: ms(5_000),
        round: &outcome.round,
        files,
        note: "promoted by the gate",
    };
    for message in run.messages().unwrap() {
        let update = Update::read(&message).unwrap();
        client().apply(&update, store.contents()).await.unwrap();
    }
    runs_of(&uri(), &experiment).await[0].clone()
}

fn metric(run: &Value, key: &str) -> Option<f64> {
    let metrics = run["data"]["metrics"].as_array().unwrap();
    metrics.iter().find(|metric| metric["key"] == key)?["value"].as_f64()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_promotion_is_a_run_with_measures_and_a_champion_whose_files_are_the_models() {
    let store = Store::open().await;
    let mut outcome = outcome(0.8);
    assert_eq!(outcome.round.action, Action::Promote);
    outcome.round.model = unique("fx.EUR/USD");
    let trained = outcome.trained.as_ref().unwrap();
    let mut files = Vec::new();
    for file in &trained.files {
        files.push(store.artefact(&file.path, &file.bytes).await);
    }
    let run = sent(&store, &outcome, &files).await;
    let served = outcome.round.served_measures().unwrap();
    assert_eq!(metric(&run, "mase"), served.mase);
    assert_eq!(metric(&run, "coverage_95"), served.coverage_95);
    let naive = &outcome
        .round
        .measures
        .iter()
        .find(|one| one.model == "naive");
    assert_eq!(metric(&run, "mase/naive"), naive.unwrap().mase);
    let candidate = limits::key("mase/arima(1,1,0)");
    assert_eq!(metric(&run, &candidate), served.mase);
    assert_eq!(
        param(&run, "data.sha256"),
        Some(&*outcome.round.lineage.sha256)
    );
    assert_eq!(
        tag(&run, "mlflow.note.content"),
        Some(&*outcome.round.words)
    );
    assert_eq!(tag(&run, "action"), Some("promote"));

    let name = limits::model_name(&outcome.round.model);
    assert_eq!(versions_of(&uri(), &name).await.len(), 1);
    let champion = format!("models:/{name}@champion").parse().unwrap();
    let found = client().find(&champion).await.unwrap();
    let loaded = client().files(&found).await.unwrap();
    assert_eq!(loaded.len(), 2);
    for file in &trained.files {
        assert!([MANIFEST_FILE, STATE_FILE].contains(&&*file.path));
        assert!(loaded[&file.path] == file.bytes, "{}", file.path);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refusal_is_a_run_without_a_version_and_naive_takes_the_alias_away() {
    let store = Store::open().await;
    let mut promoted = outcome(0.8);
    promoted.round.model = unique("M");
    let file = store.artefact("state.bin", b"a state").await;
    sent(&store, &promoted, &[file]).await;

    let mut refused = outcome(0.0);
    assert_eq!(refused.round.action, Action::Keep);
    refused.round.model = promoted.round.model.clone();
    let run = sent(&store, &refused, &[]).await;
    assert_eq!(tag(&run, "action"), Some("keep"));
    assert_eq!(
        tag(&run, "mlflow.note.content"),
        Some(&*refused.round.words)
    );
    let model = &promoted.round.model;
    let query = [("name", model.as_str()), ("alias", "champion")];
    let kept = get("registered-models/alias", &query).await;
    assert_eq!(kept["model_version"]["version"], "1");

    refused.round.action = Action::ServeNaive;
    sent(&store, &refused, &[]).await;
    let champion = format!("models:/{model}@champion").parse().unwrap();
    client().find(&champion).await.unwrap_err();
    assert_eq!(versions_of(&uri(), model).await.len(), 1);
}
