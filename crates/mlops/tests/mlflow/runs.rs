//! What a run holds after it was sent.

use std::collections::BTreeMap;

use mlops::mlflow::{
    DELIVERED_TAG, JOB_TAG, Metric, MlflowError, NAME_TAG, Record, RunStatus, SHA256_TAG, limits,
};
use serde_json::{Value, json};

use crate::support::{
    START_MS, Store, client, get, ms, param, post, record, runs_of, tag, unique, uri,
};

fn metric(name: &str, step: i64, value: f64) -> Metric {
    Metric {
        name: name.to_owned(),
        step,
        at: ms(step),
        value,
    }
}

/// Sends a record, and reads the one run of its experiment.
async fn sent(record: &Record) -> Value {
    let store = Store::open().await;
    client().publish(record, store.contents()).await.unwrap();
    let runs = runs_of(&uri(), &record.experiment).await;
    assert_eq!(runs.len(), 1);
    runs[0].clone()
}

async fn history(run: &Value, metric: &str) -> Vec<(i64, i64, Value)> {
    let run_id = run["info"]["run_id"].as_str().unwrap();
    let query = [("run_id", run_id), ("metric_key", metric)];
    let found = get("metrics/get-history", &query).await;
    let points = found["metrics"].as_array().cloned().unwrap_or_default();
    let mut points: Vec<_> = points
        .iter()
        .map(|point| {
            let at = point["timestamp"].as_i64().unwrap();
            (
                point["step"].as_i64().unwrap_or(0),
                at,
                point["value"].clone(),
            )
        })
        .collect();
    points.sort_by_key(|(step, ..)| *step);
    points
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_is_there_with_its_times_status_parameters_and_tags() {
    let run = sent(&record(&unique("whole"), "7")).await;
    assert_eq!(run["info"]["status"], "FINISHED");
    assert_eq!(run["info"]["run_name"], "training 7");
    assert_eq!(run["info"]["start_time"], START_MS);
    assert_eq!(run["info"]["end_time"], START_MS + 60_000);
    assert_eq!(param(&run, "order"), Some("(1, 1, 0)"));
    assert_eq!(tag(&run, "symbol"), Some("EUR/USD=X"));
    assert_eq!(tag(&run, JOB_TAG), Some("7"));
    assert_eq!(tag(&run, DELIVERED_TAG), Some("yes"));
    let expected = [
        (1, START_MS + 1_000, json!(0.5)),
        (2, START_MS + 2_000, json!(0.25)),
    ];
    assert_eq!(history(&run, "loss").await, expected);
}

#[tokio::test(flavor = "multi_thread")]
async fn runs_that_failed_or_were_cancelled_say_so() {
    for (status, word) in [(RunStatus::Failed, "FAILED"), (RunStatus::Killed, "KILLED")] {
        let ended = Record {
            status,
            ..record(&unique("ended"), "7")
        };
        assert_eq!(sent(&ended).await["info"]["status"], word);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn metrics_that_are_no_finite_numbers_arrive_with_what_comes_after_them() {
    let values = [
        f64::NAN,
        1.5,
        f64::INFINITY,
        f64::NEG_INFINITY,
        -0.0,
        5e-324,
        0.1 + 0.2,
    ];
    let steps = 1..;
    let metrics = steps
        .zip(values)
        .map(|(step, value)| metric("loss", step, value))
        .collect();
    let odd = Record {
        metrics,
        ..record(&unique("nan"), "7")
    };
    let run = sent(&odd).await;
    let kept: Vec<Value> = history(&run, "loss")
        .await
        .into_iter()
        .map(|(.., value)| value)
        .collect();
    let expected = [
        json!("NaN"),
        json!(1.5),
        json!(f64::MAX),
        json!(f64::MIN),
        json!(0.0),
        json!(5e-324),
        json!(0.1 + 0.2),
    ];
    assert_eq!(kept, expected);
    assert_eq!(param(&run, "order"), Some("(1, 1, 0)"));
}

#[tokio::test(flavor = "multi_thread")]
async fn steps_below_zero_and_beyond_a_doubles_integers_are_exact() {
    let steps = [-3, 0, 9_007_199_254_740_993];
    let at = |step| Metric {
        at: ms(0),
        ..metric("loss", step, 1.0)
    };
    let far = Record {
        metrics: steps.map(at).to_vec(),
        ..record(&unique("steps"), "7")
    };
    let run = sent(&far).await;
    let kept: Vec<i64> = history(&run, "loss")
        .await
        .into_iter()
        .map(|(step, ..)| step)
        .collect();
    assert_eq!(kept, steps);
}

#[tokio::test(flavor = "multi_thread")]
async fn more_than_a_batch_takes_arrives_in_several() {
    let many = |what: &str, n: usize| -> BTreeMap<String, String> {
        (0..n)
            .map(|i| (format!("{what} {i}"), i.to_string()))
            .collect()
    };
    let metrics = (0..2_345)
        .map(|i| metric(["a", "b/c"][i as usize % 2], i, i as f64))
        .collect();
    let large = Record {
        params: many("param", 321),
        tags: many("tag", 234),
        metrics,
        ..record(&unique("large"), "7")
    };
    let run = sent(&large).await;
    assert_eq!(run["data"]["params"].as_array().unwrap().len(), 321);
    assert_eq!(param(&run, "param 320"), Some("320"));
    assert_eq!(tag(&run, "tag 233"), Some("233"));
    let (a, b) = (history(&run, "a").await, history(&run, "b/c").await);
    assert_eq!((a.len(), b.len()), (1_173, 1_172));
    assert!(
        a.iter()
            .chain(&b)
            .all(|(step, at, value)| *at == START_MS + step && *value == *step as f64)
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn more_bytes_than_a_request_should_have_arrive_in_several() {
    let tags: BTreeMap<String, String> = (0..100)
        .map(|i| (format!("tag {i}"), "\u{1F4C8}".repeat(limits::TAG_CHARS)))
        .collect();
    let heavy = Record {
        tags: tags.clone(),
        ..record(&unique("heavy"), "7")
    };
    let run = sent(&heavy).await;
    for (key, value) in &tags {
        assert_eq!(tag(&run, key), Some(value.as_str()));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn values_that_are_too_long_are_cut_and_say_how_long_they_were_and_what_they_began_as() {
    let of = |last: &str| Record {
        params: BTreeMap::from([("p".to_owned(), "x".repeat(limits::PARAM_CHARS) + last)]),
        tags: BTreeMap::from([("t".to_owned(), "é".repeat(limits::TAG_CHARS) + last)]),
        ..record(&unique("long"), "7")
    };
    let (run, other) = (sent(&of("a")).await, sent(&of("b")).await);
    let (p, t) = (param(&run, "p").unwrap(), tag(&run, "t").unwrap());
    assert_eq!(p.chars().count(), limits::PARAM_CHARS);
    assert_eq!(t.chars().count(), limits::TAG_CHARS);
    assert!(
        p.contains(" [cut: 6001 characters, sha256 "),
        "{}",
        &p[5_900..]
    );
    assert!(t.starts_with('é') && t.contains(" [cut: 8001 characters, sha256 "));
    // They differ only behind the cut.
    assert_ne!(param(&other, "p"), Some(p));
    let exact = Record {
        params: BTreeMap::from([("p".to_owned(), "x".repeat(limits::PARAM_CHARS))]),
        ..record(&unique("exact"), "7")
    };
    assert_eq!(
        param(&sent(&exact).await, "p"),
        Some(&*"x".repeat(limits::PARAM_CHARS))
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn names_that_mlflow_refuses_arrive_as_others_and_can_be_found_by_what_they_were() {
    let long = "n".repeat(limits::KEY_CHARS + 1);
    let names = [
        "rmse(^GSPC)",
        "rmse(_GSPC)",
        "a//b",
        "/a",
        "a/../b",
        ".",
        "gain %",
        "é",
        &long,
    ];
    let metrics = names.iter().map(|name| metric(name, 1, 1.0)).collect();
    let params = names
        .iter()
        .map(|name| ((*name).to_owned(), "1".to_owned()))
        .collect();
    let odd = Record {
        metrics,
        params,
        ..record(&unique("names"), "7")
    };
    let run = sent(&odd).await;
    for name in names {
        let key = limits::key(name);
        assert_ne!(key, name);
        assert_eq!(history(&run, &key).await.len(), 1, "{name} as {key}");
        assert_eq!(param(&run, &key), Some("1"));
        let named = limits::key(&format!("{NAME_TAG}{key}")).into_owned();
        assert_eq!(tag(&run, &named), Some(name));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn artefacts_are_there_byte_by_byte_with_their_hashes() {
    let store = Store::open().await;
    let large: Vec<u8> = (0..3_000_000_u32)
        .map(|i| (i.wrapping_mul(i) >> 7) as u8)
        .collect();
    let artefacts = vec![
        store.artefact("model/weights.bin", &large).await,
        store.artefact("model/empty", b"").await,
        store.artefact("notes.txt", "naïve\0\r\n".as_bytes()).await,
    ];
    let with_files = Record {
        artefacts: artefacts.clone(),
        ..record(&unique("files"), "7")
    };
    client()
        .publish(&with_files, store.contents())
        .await
        .unwrap();
    let runs = runs_of(&uri(), &with_files.experiment).await;
    let place = runs[0]["info"]["artifact_uri"].as_str().unwrap();
    let place = place.strip_prefix("mlflow-artifacts:/").unwrap();
    for (file, content) in artefacts
        .iter()
        .zip([&large[..], b"", "naïve\0\r\n".as_bytes()])
    {
        assert_eq!(
            tag(&runs[0], &format!("{SHA256_TAG}{}", file.path)),
            Some(&*file.sha256)
        );
        let url = format!(
            "{}/api/2.0/mlflow-artifacts/artifacts/{place}/{}",
            uri(),
            file.path
        );
        let kept = reqwest::get(url).await.unwrap().bytes().await.unwrap();
        assert!(kept == content, "{}", file.path);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_experiment_that_was_deleted_is_restored() {
    let store = Store::open().await;
    let (first, second) = {
        let experiment = unique("deleted");
        (record(&experiment, "1"), record(&experiment, "2"))
    };
    client().publish(&first, store.contents()).await.unwrap();
    let found = get(
        "experiments/get-by-name",
        &[("experiment_name", &first.experiment)],
    )
    .await;
    let id = found["experiment"]["experiment_id"].clone();
    post("experiments/delete", json!({ "experiment_id": id })).await;

    client().publish(&second, store.contents()).await.unwrap();
    let runs = runs_of(&uri(), &first.experiment).await;
    assert_eq!(runs.len(), 2);
    assert!(
        runs.iter()
            .all(|run| run["info"]["lifecycle_stage"] == "active")
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn the_same_record_twice_is_one_run_and_another_of_its_job_id_is_refused() {
    let store = Store::open().await;
    let one = record(&unique("twice"), "store-1/7");
    let first = client().publish(&one, store.contents()).await.unwrap();
    let again = client().publish(&one, store.contents()).await.unwrap();
    assert!(!first.before && again.before);
    assert_eq!(first.run_id, again.run_id);

    let other = Record {
        run_name: "of another store".to_owned(),
        ..one.clone()
    };
    let error = client()
        .publish(&other, store.contents())
        .await
        .unwrap_err();
    assert!(
        matches!(&error, MlflowError::Conflict { run, .. } if *run == first.run_id),
        "{error}"
    );
    assert_eq!(runs_of(&uri(), &one.experiment).await.len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_that_was_deleted_is_not_made_again_behind_somebodys_back() {
    let store = Store::open().await;
    let one = record(&unique("gone"), "7");
    let sent = client().publish(&one, store.contents()).await.unwrap();
    post("runs/delete", json!({ "run_id": sent.run_id })).await;
    let error = client().publish(&one, store.contents()).await.unwrap_err();
    assert!(matches!(error, MlflowError::Deleted { .. }), "{error}");
    assert!(error.to_string().contains(&sent.run_id));
    assert_eq!(runs_of(&uri(), &one.experiment).await.len(), 1);
}
