//! The outbox, sent in order and once, whatever happens in between.

use std::{sync::Arc, time::Duration};

use mlops::mlflow::{AliasMoved, Delivery, DeliveryOptions, JOB_TAG, MlflowError, Record, Update};
use serde_json::json;
use store::{MessageState, NewMessage, Outbox, Topic};
use tokio_util::sync::CancellationToken;

use crate::{
    proxy::{Fault, Proxy},
    support::{
        Clock, Own, Store, client_of, get_from, ms, record, registered, runs_of, tag, unique, uri,
        versions_of,
    },
};

fn delivery(store: &Store, server: &str, by: &str, clock: &Clock) -> Delivery {
    let options = DeliveryOptions {
        tries: 3,
        ..DeliveryOptions::new(by)
    };
    let outbox = Arc::clone(&store.store) as Arc<dyn Outbox>;
    let artefacts = Arc::clone(&store.store) as Arc<dyn store::Artefacts>;
    Delivery::new(
        client_of(server),
        outbox,
        artefacts,
        options,
        clock.function(),
    )
}

/// A version of `model` that becomes its champion.
async fn champion(store: &Store, experiment: &str, model: &str, job: &str) -> NewMessage {
    let file = store
        .artefact("model/weights.bin", format!("weights of {job}").as_bytes())
        .await;
    let record = Record {
        artefacts: vec![file],
        registered: Some(registered(model, &["champion"])),
        ..record(experiment, job)
    };
    Update::from(record).message(job).unwrap()
}

async fn enqueue(store: &Store, messages: Vec<NewMessage>) {
    store.store.enqueue(messages, ms(0)).await.unwrap();
}

async fn count(store: &Store, state: MessageState) -> usize {
    store
        .store
        .messages(Topic::Mlflow, state, None, 1_000)
        .await
        .unwrap()
        .len()
}

/// The jobs of a model's versions, in the order of their numbers, and the champion's.
async fn jobs(server: &str, model: &str) -> (Vec<String>, String) {
    let versions = versions_of(server, model).await;
    let query = [("name", model), ("alias", "champion")];
    let champion = get_from(server, "registered-models/alias", &query).await;
    let job = |version| tag(version, JOB_TAG).unwrap().to_owned();
    (
        versions.iter().map(job).collect(),
        job(&champion["model_version"]),
    )
}

#[tokio::test(flavor = "multi_thread")]
async fn messages_arrive_in_order_and_once() {
    let (store, clock) = (Store::open().await, Clock::new());
    let (experiment, model) = (unique("order"), unique("M"));
    let mut messages = Vec::new();
    for job in ["1", "2", "3"] {
        messages.push(champion(&store, &experiment, &model, job).await);
    }
    let back = AliasMoved {
        model: model.clone(),
        alias: "champion".to_owned(),
        to: Some("2".to_owned()),
    };
    messages.push(Update::from(back).message("roll-back 1").unwrap());
    enqueue(&store, messages).await;
    let delivery = delivery(&store, &uri(), "one", &clock);
    let passed = delivery.pass().await.unwrap();
    assert_eq!((passed.delivered, passed.given_up), (4, 0));
    assert!(passed.waiting.is_none());
    assert_eq!(delivery.pass().await.unwrap().delivered, 0);
    let (jobs, champion) = jobs(&uri(), &model).await;
    assert_eq!(jobs, ["1", "2", "3"]);
    assert_eq!(champion, "2");
    assert_eq!(runs_of(&uri(), &experiment).await.len(), 3);
}

/// Every request of a delivery in turn: its answer is lost, or half of it is.
#[tokio::test(flavor = "multi_thread")]
async fn an_answer_that_is_lost_or_halved_makes_no_second_run_or_version() {
    let proxy = Proxy::start(&uri()).await;
    let (store, clock) = (Store::open().await, Clock::new());
    let delivery = delivery(&store, &proxy.uri(), "one", &clock);
    for number in 0.. {
        let (experiment, model, job) = (unique("half"), unique("M"), unique("job"));
        let message = champion(&store, &experiment, &model, &job).await;
        enqueue(&store, vec![message]).await;
        proxy.set(Some(if number % 2 == 0 {
            Fault::LoseAnswer(number)
        } else {
            Fault::HalveAnswer(number)
        }));
        let passed = delivery.pass().await.unwrap();
        if proxy.requests() <= number {
            // All have had their turn.
            assert_eq!(passed.delivered, 1);
            assert!(number > 20, "{number} requests cannot be all");
            break;
        }
        let Some((error, _)) = passed.waiting else {
            panic!("nobody missed the answer to request {number}");
        };
        let cut = matches!(
            error,
            MlflowError::Unreachable { .. } | MlflowError::Answer { .. }
        );
        assert!(cut, "request {number}: {error}");
        proxy.set(None);
        assert_eq!(
            delivery.pass().await.unwrap().delivered,
            0,
            "before its time"
        );
        clock.advance(2);
        assert_eq!(
            delivery.pass().await.unwrap().delivered,
            1,
            "request {number}"
        );
        let (found, champion) = jobs(&uri(), &model).await;
        assert_eq!(
            (found, champion),
            (vec![job.clone()], job),
            "request {number}"
        );
        assert_eq!(
            runs_of(&uri(), &experiment).await.len(),
            1,
            "request {number}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_comes_while_mlflow_is_down_arrives_when_it_is_back_in_order_and_once() {
    let server = tokio::task::spawn_blocking(Own::start).await.unwrap();
    let (store, clock) = (Store::open().await, Clock::new());
    let (experiment, model) = (unique("down"), unique("M"));
    let first = delivery(&store, &server.uri, "one", &clock);
    for job in ["1", "2"] {
        enqueue(
            &store,
            vec![champion(&store, &experiment, &model, job).await],
        )
        .await;
    }
    assert_eq!(first.pass().await.unwrap().delivered, 2);

    let server = tokio::task::spawn_blocking(move || {
        server.kill();
        server
    });
    let mut server = server.await.unwrap();
    for job in ["3", "4", "5"] {
        enqueue(
            &store,
            vec![champion(&store, &experiment, &model, job).await],
        )
        .await;
        let passed = first.pass().await.unwrap();
        assert_eq!((passed.delivered, passed.given_up), (0, 0));
        let (error, until) = passed.waiting.unwrap();
        assert!(matches!(error, MlflowError::Unreachable { .. }), "{error}");
        assert!(until > clock.now());
        clock.advance(60);
    }
    // However long it takes.
    for _ in 0..20 {
        clock.advance(60);
        assert!(first.pass().await.unwrap().waiting.is_some());
    }
    assert_eq!(count(&store, MessageState::Waiting).await, 3);
    clock.advance(60);

    let server = tokio::task::spawn_blocking(move || {
        server.start_again();
        server
    });
    let server = server.await.unwrap();
    // By another process, as after a restart of this one.
    clock.advance(60);
    let second = delivery(&store, &server.uri, "two", &clock);
    assert_eq!(second.pass().await.unwrap().delivered, 3);
    let (jobs, champion) = jobs(&server.uri, &model).await;
    assert_eq!(jobs, ["1", "2", "3", "4", "5"]);
    assert_eq!(champion, "5");
    assert_eq!(runs_of(&server.uri, &experiment).await.len(), 5);
    tokio::task::spawn_blocking(move || drop(server))
        .await
        .unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_that_can_never_be_sent_is_kept_with_the_reason_and_holds_up_nobody() {
    let (store, clock) = (Store::open().await, Clock::new());
    let (experiment, model) = (unique("never"), unique("M"));
    let garbage = NewMessage {
        topic: Topic::Mlflow,
        payload: json!({ "kind": "run", "experiment": 7 }),
        key: "garbage".to_owned(),
    };
    let unsent = AliasMoved {
        model: model.clone(),
        alias: "champion".to_owned(),
        to: Some("unsent".to_owned()),
    };
    let unsent = Update::from(unsent).message("unsent").unwrap();
    let fine = champion(&store, &experiment, &model, "1").await;
    enqueue(&store, vec![garbage, unsent, fine]).await;
    let passed = delivery(&store, &uri(), "one", &clock)
        .pass()
        .await
        .unwrap();
    assert_eq!((passed.delivered, passed.given_up), (1, 2));
    let given_up = store
        .store
        .messages(Topic::Mlflow, MessageState::GivenUp, None, 10)
        .await
        .unwrap();
    let reasons: Vec<&str> = given_up
        .iter()
        .map(|m| m.error.as_deref().unwrap())
        .collect();
    assert!(
        reasons[0].contains("the job \"unsent\", and MLflow has none"),
        "{reasons:?}"
    );
    assert!(
        reasons[1].contains("the message garbage is no update"),
        "{reasons:?}"
    );
    assert_eq!(jobs(&uri(), &model).await.1, "1");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_fails_is_waited_for_and_one_that_fails_one_message_alone_is_not() {
    let proxy = Proxy::start(&uri()).await;
    let (store, clock) = (Store::open().await, Clock::new());
    let (experiment, model) = (unique("fails"), unique("M"));
    for job in ["1", "2"] {
        enqueue(
            &store,
            vec![champion(&store, &experiment, &model, job).await],
        )
        .await;
    }
    let delivery = delivery(&store, &proxy.uri(), "one", &clock);
    let internal = "HTTP/1.1 500 Internal Server Error\r\nContent-Length: 41\r\nConnection: close\r\n\r\n\
                    <html><body>Something broke</body></html>";
    let busy = "HTTP/1.1 503 Service Unavailable\r\nRetry-After: 120\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";
    // All of it fails, which says nothing of the message.
    for (part, answer) in [("", internal), ("", busy), ("log-batch", busy)] {
        proxy.set(Some(Fault::Answer(part, answer)));
        for _ in 0..4 {
            let passed = delivery.pass().await.unwrap();
            assert_eq!((passed.delivered, passed.given_up), (0, 0));
            let (error, until) = passed.waiting.unwrap();
            assert!(matches!(error, MlflowError::Unavailable { .. }), "{error}");
            if answer == busy {
                assert!(
                    until.micros_since(clock.now()) >= 120_000_000,
                    "it asked for 120 s"
                );
            }
            clock.advance(600);
        }
    }
    // It is well, and keeps failing this one.
    proxy.set(Some(Fault::Answer("log-batch", internal)));
    let passed = delivery.pass().await.unwrap();
    assert_eq!(passed.given_up, 1, "{passed:?}");
    assert_eq!(count(&store, MessageState::GivenUp).await, 1);
    assert_eq!(count(&store, MessageState::Waiting).await, 1);
    proxy.set(None);
    clock.advance(2);
    assert_eq!(delivery.pass().await.unwrap().delivered, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn of_several_processes_one_sends() {
    let (store, clock) = (Store::open().await, Clock::new());
    let (experiment, model) = (unique("several"), unique("M"));
    let jobs_sent: Vec<String> = (1..=6).map(|job| job.to_string()).collect();
    for job in &jobs_sent {
        enqueue(
            &store,
            vec![champion(&store, &experiment, &model, job).await],
        )
        .await;
    }
    let cancel = CancellationToken::new();
    let mut running = Vec::new();
    for by in ["one", "two", "three"] {
        let delivery = delivery(&store, &uri(), by, &clock);
        let cancel = cancel.clone();
        running.push(tokio::spawn(async move { delivery.run(cancel).await }));
    }
    while count(&store, MessageState::Waiting).await > 0 {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    cancel.cancel();
    for running in running {
        running.await.unwrap();
    }
    let (jobs, champion) = jobs(&uri(), &model).await;
    assert_eq!(jobs, jobs_sent);
    assert_eq!(champion, "6");
    assert_eq!(runs_of(&uri(), &experiment).await.len(), 6);
}
