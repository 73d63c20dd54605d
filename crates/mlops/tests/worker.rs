//! Training jobs over a real store: from submission to champion, or to a refusal.

#![allow(
    clippy::unwrap_used,
    reason = "what fails in a test's own plumbing fails the test"
)]

#[path = "support/closes.rs"]
mod closes;
#[path = "support/workplace.rs"]
mod workplace;
#[path = "support/years.rs"]
mod years;

use closes::{closes, day};
use mlops::{mlflow::Update, training::Action, worker::CHAMPION};
use store::{
    Artefacts as _, JobState, JobStore as _, MessageState, ModelRegistry as _, NewMessage,
    Outbox as _, Topic,
};
use workplace::{NAME, Workplace, promote_by_hand, rounds, run, strong, versions};

/// What waits for somebody.
async fn messages(place: &Workplace, topic: Topic) -> Vec<NewMessage> {
    let waiting = place.store.messages(topic, MessageState::Waiting, None, 10);
    waiting
        .await
        .unwrap()
        .into_iter()
        .map(|message| message.message)
        .collect()
}

#[tokio::test]
async fn a_round_goes_from_its_submission_to_a_champion_whose_files_are_there() {
    let place = Workplace::open(300).await;
    let y = strong(1, 320);
    place.put_closes("ACME", &y[..300]).await;
    let [id] = place.submit(&["ACME"], None).await[..] else {
        panic!()
    };
    let worker = place.worker_with("w", place.ports(), |config| {
        config.tell = vec![Topic::Webhook, Topic::Mlflow]
    });
    assert_eq!(run(&worker).await, 1);

    let job = place.ended(id, JobState::Succeeded).await;
    let result = job.result.unwrap();
    assert_eq!(
        (&result["action"], &result["promoted"]),
        (&"promote".into(), &true.into())
    );
    assert_eq!(
        (&result["model"], &result["served"]),
        (&NAME.into(), &"arima(1,1,0)".into())
    );
    let progress = job.progress.map(|progress| progress.message);
    assert!(progress.is_none_or(|message| !message.is_empty()));
    let log = place.log(id).await;
    for part in [
        "300 closes from 2020-01-01",
        "arima(1,1,0): MASE ",
        "becomes the champion",
        "state.bin: ",
    ] {
        assert!(log.contains(part), "{part:?} is missing in: {log}");
    }
    let champion = place.store.by_alias(NAME, CHAMPION).await.unwrap().unwrap();
    assert_eq!(
        (champion.version, champion.reference.as_str()),
        (1, "arima(1,1,0)")
    );
    assert_eq!(
        (champion.job, champion.created_by.as_str()),
        (Some(id), "ann")
    );
    assert_eq!(
        (champion.lineage.rows, champion.lineage.parent),
        (300, None)
    );
    assert_eq!(champion.lineage.until, day(300));
    for file in &champion.artefacts {
        let bytes = place.store.get(&file.sha256).await.unwrap();
        assert_eq!(bytes.len() as u64, file.bytes);
    }
    let verdicts = place.store.verdicts(Some(NAME), None, 10).await.unwrap();
    assert_eq!(
        (verdicts.len(), verdicts[0].version, verdicts[0].job),
        (1, Some(1), Some(id))
    );
    let verdict = &verdicts[0].verdict;
    assert!(verdict.promoted && verdict.budget_spent > 0.0 && verdict.tries_this_year == 1);
    let webhook = messages(&place, Topic::Webhook).await;
    assert_eq!(webhook.len(), 1);
    assert_eq!(webhook[0].payload["entity"], "training_round");
    assert_eq!(webhook[0].payload["data"]["round"]["action"], "promote");
    let mlflow = messages(&place, Topic::Mlflow).await;
    let [Update::Run(run_of)] = &mlflow
        .iter()
        .map(|one| Update::read(one).unwrap())
        .collect::<Vec<_>>()[..]
    else {
        panic!("{mlflow:?}")
    };
    run_of.check().unwrap();
    assert_eq!(run_of.tags["mlflow.note.content"], verdict.words);
    let mase = run_of
        .metrics
        .iter()
        .find(|metric| metric.name == "mase/arima(1,1,0)");
    assert!(mase.is_some_and(|metric| metric.value < 1.0));
    let registered = run_of.registered.as_ref().unwrap();
    assert_eq!(
        (registered.model.as_str(), &registered.aliases[..]),
        (NAME, &[CHAMPION.to_owned()][..])
    );

    // Twenty days later the champion stays, and is fitted to the closes that have come.
    place.set(day(320));
    place.put_closes("ACME", &y).await;
    let [id] = place.submit(&["ACME"], None).await[..] else {
        panic!()
    };
    run(&worker).await;
    place.ended(id, JobState::Succeeded).await;
    let champion = place.store.by_alias(NAME, CHAMPION).await.unwrap().unwrap();
    assert_eq!((champion.version, champion.lineage.parent), (2, Some(1)));
    let rounds = rounds(&place, NAME).await;
    assert_eq!(
        rounds.iter().map(|round| round.action).collect::<Vec<_>>(),
        [Action::Refresh, Action::Promote]
    );
    assert_eq!(rounds[0].budget, rounds[1].budget);
    let then = place
        .store
        .alias_at(NAME, CHAMPION, day(310))
        .await
        .unwrap();
    assert_eq!(then, Some(1), "who was champion at that time");
}

#[tokio::test]
async fn the_same_key_is_one_round_and_a_key_for_many_symbols_is_one_each() {
    let place = Workplace::open(300).await;
    place.put_closes("ACME", &strong(1, 300)).await;
    place.put_closes("BOLT", &closes(2, 0.0, 300)).await;
    let first = place
        .submit(&["ACME", "BOLT"], Some("daily-2020-10-27"))
        .await;
    let again = place
        .submit(&["ACME", "BOLT"], Some("daily-2020-10-27"))
        .await;
    assert_eq!(again, first);
    assert_eq!(run(&place.worker("w")).await, 2);
    let again = place
        .submit(&["ACME", "BOLT"], Some("daily-2020-10-27"))
        .await;
    assert_eq!((again, run(&place.worker("w")).await), (first, 0));
    assert_eq!(versions(&place, NAME).await, [1]);
    assert_eq!(rounds(&place, "close-1d.BOLT").await.len(), 1);
}

#[tokio::test]
async fn closes_that_are_refused_fail_the_job_and_a_refusal_to_promote_does_not() {
    let place = Workplace::open(300).await;
    place.put_closes("ACME", &closes(3, 0.0, 300)).await;
    place.put_closes("FLAT", &[5.0; 300]).await;
    place.put_closes("LATE", &closes(4, 0.0, 200)).await;
    let ids = place.submit(&["ACME", "FLAT", "LATE", "NONE"], None).await;
    run(&place.worker("w")).await;

    let walk = place
        .ended(ids[0], JobState::Succeeded)
        .await
        .result
        .unwrap();
    assert_eq!(
        (&walk["action"], &walk["promoted"]),
        (&"keep".into(), &false.into())
    );
    assert!(
        walk["words"]
            .as_str()
            .unwrap()
            .contains("has not been shown to be better than naive")
    );
    let verdicts = place.store.verdicts(Some(NAME), None, 10).await.unwrap();
    assert_eq!(
        (
            verdicts.len(),
            verdicts[0].verdict.promoted,
            verdicts[0].version
        ),
        (1, false, None)
    );
    assert_eq!(place.store.by_alias(NAME, CHAMPION).await.unwrap(), None);

    for (id, reason) in [
        (
            ids[1],
            "not trained: all 300 closes are 5: there is nothing to forecast",
        ),
        (ids[2], "not trained: the last close is that of"),
        (ids[3], "symbol: no 1d bar of NONE"),
    ] {
        let job = place.ended(id, JobState::Failed).await;
        assert_eq!(job.attempt, 1, "it is not tried again");
        let error = job.error.unwrap();
        assert!(error.starts_with(reason), "{error}");
    }
    for name in ["close-1d.FLAT", "close-1d.LATE", "close-1d.NONE"] {
        assert_eq!(rounds(&place, name).await, []);
    }
}

#[tokio::test]
async fn a_payload_that_cannot_be_fails_the_job_with_the_field() {
    let place = Workplace::open(300).await;
    let mut job = store::NewJob::new(
        store::JobKind::Train,
        serde_json::json!({ "symbol": "ACME", "interval": "1d", "horizon": 10_000 }),
        place.now(),
        "ann",
    );
    job.key = Some("k".into());
    let unknown = store::NewJob::new(
        store::JobKind::Train,
        serde_json::json!({ "symbol": "ACME", "interval": "1d", "candidates": ["prophet"] }),
        place.now(),
        "ann",
    );
    place.put_closes("ACME", &strong(1, 800)).await;
    place.set(day(800));
    let ids = place
        .store
        .submit(vec![job, unknown], place.now())
        .await
        .unwrap();
    run(&place.worker("w")).await;
    for (id, reason) in [
        (ids[0], "horizon: expected 1 to 250, got 10000"),
        (ids[1], "prophet: unknown model"),
    ] {
        let error = place.ended(id.id(), JobState::Failed).await.error.unwrap();
        assert!(error.starts_with(reason), "{error}");
    }
}

#[tokio::test]
async fn a_champion_worse_than_naive_goes_and_nobody_has_the_alias() {
    let place = Workplace::open(300).await;
    place.put_closes("ACME", &closes(3, 0.0, 300)).await;
    promote_by_hand(&place, "mean").await;
    let [id] = place.submit(&["ACME"], None).await[..] else {
        panic!()
    };
    let worker = place.worker_with("w", place.ports(), |config| {
        config.tell = vec![Topic::Mlflow];
    });
    run(&worker).await;
    // The run of the round, and the alias that points at none.
    assert_eq!(messages(&place, Topic::Mlflow).await.len(), 2);
    let result = place.ended(id, JobState::Succeeded).await.result.unwrap();
    assert_eq!(
        (&result["action"], &result["served"]),
        (&"serve_naive".into(), &serde_json::Value::Null)
    );
    assert_eq!(place.store.by_alias(NAME, CHAMPION).await.unwrap(), None);
    // It runs on unseen.
    let challenger = place.store.by_alias(NAME, "challenger").await.unwrap();
    assert_eq!(challenger.unwrap().version, 1);
    assert_eq!(versions(&place, NAME).await, [1]);
}

#[tokio::test]
async fn a_champion_whose_file_was_altered_is_told_and_the_next_version_is_whole_again() {
    let place = Workplace::open(300).await;
    place.put_closes("ACME", &strong(1, 300)).await;
    place.submit(&["ACME"], None).await;
    run(&place.worker("w")).await;
    let champion = place.store.by_alias(NAME, CHAMPION).await.unwrap().unwrap();
    alter(&place, &champion.artefacts[1].sha256);
    let found = place.store.get(&champion.artefacts[1].sha256).await;
    assert!(found.is_err(), "it is altered");

    // Of the same closes comes the same content: it takes the place of what was altered.
    let [id] = place.submit(&["ACME"], None).await[..] else {
        panic!()
    };
    run(&place.worker("w")).await;
    place.ended(id, JobState::Succeeded).await;
    let log = place.log(id).await;
    assert!(
        log.contains("the champion's file state.bin (version 1) cannot be used"),
        "{log}"
    );
    let champion = place.store.by_alias(NAME, CHAMPION).await.unwrap().unwrap();
    assert_eq!(champion.version, 2);
    place
        .store
        .get(&champion.artefacts[1].sha256)
        .await
        .unwrap();
}

/// Changes a byte of a content on disk.
fn alter(place: &Workplace, sha256: &str) {
    let mut folders = vec![place.dir.path().to_path_buf()];
    let mut found = false;
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.to_string_lossy().replace('/', "").contains(sha256) {
                let mut bytes = std::fs::read(&path).unwrap();
                let last = bytes.len() - 1;
                bytes[last] ^= 1;
                std::fs::write(&path, bytes).unwrap();
                found = true;
            }
        }
    }
    assert!(found, "no file of {sha256}");
}
