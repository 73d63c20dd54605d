//! What is refused, by whom, and what is said of it.

use std::collections::BTreeMap;

use mlops::mlflow::{
    Again, Client, Login, Metric, MlflowError, MlflowOptions, Record, Registered, Update, alias,
};
use serde_json::json;
use store::Artefact;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpListener,
};

use crate::{
    proxy::{Fault, Proxy},
    support::{Store, client, client_of, ms, post, record, registered, runs_of, unique, uri},
};

#[tokio::test(flavor = "multi_thread")]
async fn a_host_that_mlflow_does_not_answer_to_is_told_as_such() {
    // MLflow takes its own addresses alone; its /health and /version take any.
    let proxy = Proxy::start_at("127.0.0.2:0", &uri()).await;
    let error = client_of(&proxy.uri()).probe().await.unwrap_err();
    assert!(matches!(error, MlflowError::Denied { .. }), "{error}");
    let text = error.to_string();
    assert!(
        text.contains("--allowed-hosts") && text.contains(&proxy.address.to_string()),
        "{text}"
    );
    assert_eq!(error.again(), Again::Always);
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_there_and_somebody_else_there_are_told_apart() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let free = format!("http://{}", listener.local_addr().unwrap());
    drop(listener);
    let error = client_of(&free).probe().await.unwrap_err();
    assert!(matches!(error, MlflowError::Unreachable { .. }), "{error}");

    // MLflow itself, and not under this prefix.
    let error = client_of(&format!("{}/ml/", uri()))
        .probe()
        .await
        .unwrap_err();
    assert!(matches!(error, MlflowError::Denied { .. }), "{error}");
    assert!(error.to_string().contains("with its prefix"), "{error}");

    let proxy = Proxy::start(&uri()).await;
    let moved = "HTTP/1.1 308 Permanent Redirect\r\nLocation: https://ml.example/\r\nContent-Length: 0\r\n\r\n";
    proxy.set(Some(Fault::Answer("", moved)));
    let error = client_of(&proxy.uri()).probe().await.unwrap_err();
    assert!(
        error
            .to_string()
            .contains("redirects to https://ml.example/"),
        "{error}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_login_is_sent_and_never_shown() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let heads = tokio::spawn(async move {
        let mut heads = Vec::new();
        for _ in 0..3 {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut head = vec![0; 4_096];
            let n = stream.read(&mut head).await.unwrap();
            heads.push(String::from_utf8_lossy(&head[..n]).to_lowercase());
            let answer =
                "HTTP/1.1 401 Unauthorized\r\nContent-Length: 4\r\nConnection: close\r\n\r\nWho?";
            stream.write_all(answer.as_bytes()).await.unwrap();
        }
        heads
    });
    let basic = Login::Basic {
        user: "ann".to_owned(),
        password: "s3cr3t".to_owned(),
    };
    let plain = MlflowOptions::new(format!("http://{address}"));
    let logins = [
        MlflowOptions {
            login: Some(basic),
            ..plain.clone()
        },
        MlflowOptions {
            login: Some(Login::Token("s3cr3t".to_owned())),
            ..plain
        },
        MlflowOptions::new(format!("http://ann:s3cr3t@{address}")),
    ];
    for options in &logins {
        let client = Client::new(options).unwrap();
        let error = client.probe().await.unwrap_err();
        assert!(matches!(error, MlflowError::Denied { .. }), "{error}");
        let shown = format!(
            "{error} {error:?} {client:?} {options:?} {:?}",
            options.login
        );
        assert!(!shown.contains("s3cr3t"), "{shown}");
    }
    let heads = heads.await.unwrap();
    let expected = [
        "basic yw5uonmzy3izda==",
        "bearer s3cr3t",
        "basic yw5uonmzy3izda==",
    ];
    for (head, value) in heads.iter().zip(expected) {
        assert!(head.contains(&format!("authorization: {value}")), "{head}");
    }
}

#[test]
fn the_variables_of_mlflows_own_clients_are_read() {
    let read = |variables: &[(&str, &str)]| {
        let variables: BTreeMap<String, String> = variables
            .iter()
            .map(|(key, value)| ((*key).to_owned(), (*value).to_owned()))
            .collect();
        MlflowOptions::from_variables(|name| variables.get(name).cloned())
    };
    assert!(read(&[]).is_none());
    assert!(read(&[("MLFLOW_TRACKING_URI", " ")]).is_none());
    let basic = read(&[
        ("MLFLOW_TRACKING_URI", "https://ml.example/mlflow"),
        ("MLFLOW_TRACKING_USERNAME", "ann"),
        ("MLFLOW_TRACKING_PASSWORD", "b"),
    ]);
    let basic = basic.unwrap();
    assert!(
        matches!(&basic.login, Some(Login::Basic { user, password }) if user == "ann" && password == "b")
    );
    assert_eq!(
        Client::new(&basic).unwrap().url(),
        "https://ml.example/mlflow/"
    );
    for wrong in [
        "sqlite:///mlflow.db",
        "./mlruns",
        "databricks",
        "file:///mlruns",
        "http:",
    ] {
        let error = Client::new(&MlflowOptions::new(wrong)).unwrap_err();
        assert!(
            error
                .to_string()
                .starts_with("MLFLOW_TRACKING_URI: expected http://"),
            "{error}"
        );
    }
}

#[test]
fn a_record_that_cannot_be_sent_is_refused_before_it_is_kept() {
    let fine = || {
        let file = |path: &str| Artefact {
            path: path.to_owned(),
            sha256: "0".repeat(64),
            bytes: 1,
        };
        Record {
            artefacts: vec![file("model/a.bin"), file("model/b.bin")],
            registered: Some(registered("M", &["champion"])),
            ..record("experiment", "7")
        }
    };
    fine().check().unwrap();
    type Change = fn(&mut Record);
    let wrong: [(&str, Change); 14] = [
        ("no experiment", |r| r.experiment.clear()),
        ("a long experiment", |r| r.experiment = "e".repeat(257)),
        ("no job", |r| r.job.clear()),
        ("a job with a quote", |r| {
            r.job = "7' or '1' = '1".to_owned()
        }),
        ("a time before 1970", |r| {
            r.started_at = market::Timestamp::from_secs(-1)
        }),
        ("a tag of ours", |r| {
            drop(r.tags.insert("tickcast.job".to_owned(), "8".to_owned()))
        }),
        ("the run's name as a tag", |r| {
            drop(r.tags.insert("mlflow.runName".to_owned(), "x".to_owned()));
        }),
        ("a path upwards", |r| {
            r.artefacts[0].path = "model/../../a".to_owned()
        }),
        ("an absolute path", |r| {
            r.artefacts[0].path = "/a".to_owned()
        }),
        ("a path of another system", |r| {
            r.artefacts[0].path = "model\\a".to_owned()
        }),
        ("a path twice", |r| {
            r.artefacts[0].path = "model/b.bin".to_owned()
        }),
        ("no hash", |r| r.artefacts[0].sha256 = "0".repeat(63)),
        ("a model without files", |r| {
            let registered = r.registered.take();
            r.registered = registered.map(|registered| Registered {
                folder: "mod".to_owned(),
                ..registered
            });
        }),
        ("an alias of MLflow's", |r| {
            r.registered = Some(registered("M", &["v1"]));
        }),
    ];
    for (what, change) in wrong {
        let mut record = fine();
        change(&mut record);
        let error = Update::from(record).message("7").unwrap_err();
        assert!(
            matches!(error, MlflowError::Record { .. }),
            "{what}: {error}"
        );
        assert_eq!(error.again(), Again::Never);
    }
    for no_alias in [
        "",
        "latest",
        "LATEST",
        "v1",
        "V20",
        "a b",
        "ä",
        "a/b",
        &"a".repeat(65),
    ] {
        assert!(alias(no_alias).is_err(), "{no_alias}");
    }
    for an_alias in ["champion", "v", "v1a", "latest-1", "1"] {
        assert_eq!(alias(an_alias).unwrap(), an_alias);
    }
}

#[test]
fn a_message_says_the_same_when_it_is_read_again() {
    let odd = [
        f64::NAN,
        f64::INFINITY,
        f64::NEG_INFINITY,
        0.1 + 0.2,
        5e-324,
    ];
    let metrics: Vec<Metric> = odd
        .map(|value| Metric {
            name: "m".to_owned(),
            step: 1,
            at: ms(0),
            value,
        })
        .to_vec();
    let sent = Update::from(Record {
        metrics,
        ..record("e", "7")
    });
    let message = sent.message("7").unwrap();
    // Through the text that the store keeps.
    let kept = serde_json::from_str(&message.payload.to_string()).unwrap();
    let message = store::NewMessage {
        payload: kept,
        ..message
    };
    let Update::Run(read) = Update::read(&message).unwrap() else {
        panic!("another kind");
    };
    let bits = |value: f64| {
        if value.is_nan() {
            f64::NAN.to_bits()
        } else {
            value.to_bits()
        }
    };
    let read: Vec<u64> = read
        .metrics
        .iter()
        .map(|metric| bits(metric.value))
        .collect();
    assert_eq!(read, odd.map(bits));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_parameter_that_somebody_else_has_set_is_told_and_final() {
    let store = Store::open().await;
    let one = record(&unique("conflict"), "7");
    let proxy = Proxy::start(&uri()).await;
    // It ends after the run was made, and before anything was sent to it.
    proxy.set(Some(Fault::Answer("log-batch", "")));
    let error = client_of(&proxy.uri())
        .publish(&one, store.contents())
        .await
        .unwrap_err();
    assert!(matches!(error, MlflowError::Unreachable { .. }), "{error}");
    let runs = runs_of(&uri(), &one.experiment).await;
    let body = json!({ "run_id": runs[0]["info"]["run_id"], "key": "order", "value": "(2, 0, 0)" });
    post("runs/log-parameter", body).await;

    let error = client().publish(&one, store.contents()).await.unwrap_err();
    assert!(matches!(error, MlflowError::NotKept { .. }), "{error}");
    assert!(
        error.to_string().contains("\"order\"") && error.to_string().contains("(2, 0, 0)"),
        "{error}"
    );
    assert_eq!(error.again(), Again::Never);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_artefact_that_the_store_does_not_have_is_final() {
    let store = Store::open().await;
    let mut file = store.artefact("model/a.bin", b"a").await;
    file.sha256 = "1".repeat(64);
    let one = Record {
        artefacts: vec![file],
        ..record(&unique("missing"), "7")
    };
    let error = client().publish(&one, store.contents()).await.unwrap_err();
    assert!(matches!(error, MlflowError::Store(_)), "{error}");
    assert_eq!(error.again(), Again::Never);
}
