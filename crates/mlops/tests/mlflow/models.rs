//! Versions, aliases, and loading by them.

use std::{collections::BTreeMap, process::Command};

use mlops::mlflow::{
    AliasMoved, JOB_TAG, MODEL_TAG, MlflowError, ModelUri, Record, SHA256_TAG, Update, limits,
};
use serde_json::json;

use crate::support::{
    Store, client, get, overwrite, post, record, registered, runs_of, tag, unique, uri, versions_of,
};

/// A record of a version of `model` with two files.
async fn version(
    store: &Store,
    experiment: &str,
    job: &str,
    model: &str,
    aliases: &[&str],
) -> Record {
    Record {
        artefacts: vec![
            store
                .artefact("model/weights.bin", format!("weights of {job}").as_bytes())
                .await,
            store
                .artefact("model/config/model.toml", b"kind = \"arima\"")
                .await,
            store.artefact("verdict.txt", b"it wins").await,
        ],
        registered: Some(registered(model, aliases)),
        ..record(experiment, job)
    }
}

async fn pointed(model: &str, alias: &str) -> String {
    let found = get(
        "registered-models/alias",
        &[("name", model), ("alias", alias)],
    )
    .await;
    found["model_version"]["version"]
        .as_str()
        .unwrap()
        .to_owned()
}

fn expected(job: &str) -> BTreeMap<String, Vec<u8>> {
    BTreeMap::from([
        ("config/model.toml".to_owned(), b"kind = \"arima\"".to_vec()),
        (
            "weights.bin".to_owned(),
            format!("weights of {job}").into_bytes(),
        ),
    ])
}

async fn load(uri: &str) -> Result<BTreeMap<String, Vec<u8>>, MlflowError> {
    let found = client().find(&uri.parse::<ModelUri>()?).await?;
    client().files(&found).await
}

#[tokio::test(flavor = "multi_thread")]
async fn versions_and_aliases_follow_each_other_and_a_roll_back() {
    let (store, model, experiment) = (Store::open().await, unique("M"), unique("versions"));
    let first = version(&store, &experiment, "1", &model, &["champion"]).await;
    let second = version(
        &store,
        &experiment,
        "2",
        &model,
        &["Champion", "challenger"],
    )
    .await;
    client().publish(&first, store.contents()).await.unwrap();
    assert_eq!(pointed(&model, "champion").await, "1");
    client().publish(&second, store.contents()).await.unwrap();
    assert_eq!(pointed(&model, "champion").await, "2");

    let versions = versions_of(&uri(), &model).await;
    let jobs: Vec<_> = versions
        .iter()
        .map(|version| tag(version, JOB_TAG).unwrap())
        .collect();
    assert_eq!(jobs, ["1", "2"]);
    let runs = runs_of(&uri(), &experiment).await;
    for version in &versions {
        assert_eq!(version["status"], "READY");
        assert_eq!(version["description"], format!("a version of {model}"));
        let run = runs
            .iter()
            .find(|run| run["info"]["run_id"] == version["run_id"])
            .unwrap();
        assert_eq!(tag(run, JOB_TAG), tag(version, JOB_TAG));
    }

    // Sent again, the first moves nothing back.
    client().publish(&first, store.contents()).await.unwrap();
    assert_eq!(pointed(&model, "champion").await, "2");
    assert_eq!(versions_of(&uri(), &model).await.len(), 2);

    let roll_back = |to: Option<&str>| {
        Update::from(AliasMoved {
            model: model.clone(),
            alias: "champion".to_owned(),
            to: to.map(str::to_owned),
        })
    };
    for _ in 0..2 {
        client()
            .apply(&roll_back(Some("1")), store.contents())
            .await
            .unwrap();
        assert_eq!(pointed(&model, "champion").await, "1");
    }
    for _ in 0..2 {
        client()
            .apply(&roll_back(None), store.contents())
            .await
            .unwrap();
        let gone = load(&format!("models:/{model}@champion"))
            .await
            .unwrap_err();
        assert!(matches!(gone, MlflowError::NotFound { .. }), "{gone}");
    }
    let never = client()
        .apply(&roll_back(Some("3")), store.contents())
        .await
        .unwrap_err();
    assert!(matches!(never, MlflowError::Record { .. }), "{never}");
    assert_eq!(pointed(&model, "challenger").await, "2");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_model_is_loaded_by_alias_and_by_number() {
    let (store, model, experiment) = (Store::open().await, unique("M"), unique("load"));
    for (job, aliases) in [("1", ["challenger"]), ("2", ["champion"])] {
        let version = version(&store, &experiment, job, &model, &aliases).await;
        client().publish(&version, store.contents()).await.unwrap();
    }
    assert_eq!(
        load(&format!("models:/{model}@champion")).await.unwrap(),
        expected("2")
    );
    assert_eq!(
        load(&format!("models:/{model}@Challenger")).await.unwrap(),
        expected("1")
    );
    assert_eq!(
        load(&format!("models:/{model}/1")).await.unwrap(),
        expected("1")
    );
    let found = client()
        .find(&format!("models:/{model}/2").parse().unwrap())
        .await
        .unwrap();
    assert_eq!((found.version, found.job.as_deref()), (2, Some("2")));
    for nothing in [
        format!("models:/{model}@nobody"),
        format!("models:/{model}/3"),
        "models:/No/1".into(),
    ] {
        let error = load(&nothing).await.unwrap_err();
        assert!(
            matches!(error, MlflowError::NotFound { .. }),
            "{nothing}: {error}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn mlflows_own_client_finds_the_same_files_under_the_alias() {
    let (store, model, experiment) = (Store::open().await, unique("M"), unique("own"));
    let version = version(&store, &experiment, "1", &model, &["champion"]).await;
    client().publish(&version, store.contents()).await.unwrap();
    let python = std::env::var("MLFLOW_PYTHON").expect("run through scripts/services run mlflow");
    let folder = tempfile::tempdir().unwrap();
    let program = "import sys, mlflow; mlflow.artifacts.download_artifacts(sys.argv[1], dst_path=sys.argv[2])";
    let output = Command::new(python)
        .args(["-c", program, &format!("models:/{model}@champion")])
        .arg(folder.path())
        .output()
        .unwrap();
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    for (path, content) in expected("1") {
        assert_eq!(
            std::fs::read(folder.path().join(&path)).unwrap(),
            content,
            "{path}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_version_whose_source_is_named_by_its_run_is_loaded_too() {
    let (store, model, experiment) = (Store::open().await, unique("M"), unique("source"));
    let version = version(&store, &experiment, "1", &model, &[]).await;
    let sent = client().publish(&version, store.contents()).await.unwrap();
    let tags = version.artefacts[..2].iter().map(|file| {
        let path = file.path.strip_prefix("model/").unwrap();
        json!({ "key": format!("{SHA256_TAG}{path}"), "value": file.sha256 })
    });
    let body = json!({
        "name": model,
        "source": format!("runs:/{}/model", sent.run_id),
        "run_id": sent.run_id,
        "tags": tags.collect::<Vec<_>>(),
    });
    post("model-versions/create", body).await;
    assert_eq!(
        load(&format!("models:/{model}/2")).await.unwrap(),
        expected("1")
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn artefacts_that_mlflow_does_not_hand_out_itself_are_told_as_such() {
    let store = Store::open().await;
    let version = version(&store, &unique("elsewhere"), "1", &unique("M"), &[]).await;
    let location = "s3://bucket/of-somebody";
    let body = json!({ "name": version.experiment, "artifact_location": location });
    post("experiments/create", body).await;
    let error = client()
        .publish(&version, store.contents())
        .await
        .unwrap_err();
    assert!(matches!(error, MlflowError::Elsewhere { .. }), "{error}");
    assert!(error.to_string().contains(location), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_altered_artefact_is_refused() {
    let (store, model, experiment) = (Store::open().await, unique("M"), unique("altered"));
    let version = version(&store, &experiment, "1", &model, &["champion"]).await;
    client().publish(&version, store.contents()).await.unwrap();
    let runs = runs_of(&uri(), &experiment).await;
    // As long as before.
    overwrite(&runs[0], "model/weights.bin", b"Weights of 1").await;
    let error = load(&format!("models:/{model}@champion"))
        .await
        .unwrap_err();
    assert!(
        matches!(&error, MlflowError::Altered { path, .. } if path == "weights.bin"),
        "{error}"
    );
    overwrite(&runs[0], "model/weights.bin", b"weights of 1").await;
    assert_eq!(
        load(&format!("models:/{model}@champion")).await.unwrap(),
        expected("1")
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_version_that_others_made_is_not_loaded() {
    let (store, model, experiment) = (Store::open().await, unique("M"), unique("others"));
    let run = record(&experiment, "1");
    let sent = client().publish(&run, store.contents()).await.unwrap();
    post("registered-models/create", json!({ "name": model })).await;
    let source = format!("runs:/{}/model", sent.run_id);
    let body = json!({ "name": model, "source": source, "run_id": sent.run_id });
    post("model-versions/create", body).await;
    let error = load(&format!("models:/{model}/1")).await.unwrap_err();
    assert!(
        error.to_string().contains("Tickcast did not make it"),
        "{error}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn names_of_models_that_mlflow_refuses_are_registered_as_others() {
    let (store, experiment) = (Store::open().await, unique("names"));
    for (job, model) in [
        ("1", unique("EUR/USD=X")),
        ("2", unique("a:b")),
        ("3", unique("^GSPC (1,1,0)~")),
    ] {
        let version = version(&store, &experiment, job, &model, &["champion"]).await;
        client().publish(&version, store.contents()).await.unwrap();
        let name = limits::model_name(&model);
        let found = get("registered-models/get", &[("name", &name)]).await;
        assert_eq!(tag(&found["registered_model"], MODEL_TAG), Some(&*model));
        assert_eq!(
            load(&format!("models:/{name}@champion")).await.unwrap(),
            expected(job)
        );
    }
}
