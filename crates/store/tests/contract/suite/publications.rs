//! What is published with a job's completion, or by hand: all of it or nothing.

use std::collections::BTreeSet;

use market::{ErrorKind, Timestamp};
use serde_json::json;
use store::{
    AliasMove, AliasTarget, Artefact, Finished, JobState, Lease, Lineage, MessageState, NewMessage,
    NewVerdict, NewVersion, Outcome, Publication, Published, Renewed, Topic, Version, VersionQuery,
};

use super::{
    Database, PLENTY, StoreUnderTest,
    jobs::{MINUTE, at, submit, take, train},
};

pub const NAME: &str = "AAPL/1d";

pub fn version(name: &str) -> NewVersion {
    NewVersion {
        name: name.into(),
        reference: "arima(1,1,1)".into(),
        lineage: Lineage {
            from: at(-9_000),
            until: at(-1),
            rows: 2_000,
            sha256: "ab".repeat(32),
            code_version: "0.1.0".into(),
            seed: u64::MAX,
            parent: None,
        },
        measures: json!({ "mase": 0.1 + 0.2, "coverage": { "95": null } }),
        artefacts: vec![],
        created_by: "daily".into(),
        note: "first".into(),
    }
}

pub fn to(name: &str, alias: &str, to: AliasTarget) -> AliasMove {
    AliasMove {
        name: name.into(),
        alias: alias.into(),
        to,
        expected: None,
        by: "ann".into(),
        why: "better by 3 %".into(),
    }
}

pub fn verdict(name: &str, budget_spent: f64, now: Timestamp) -> NewVerdict {
    NewVerdict {
        name: name.into(),
        champion: None,
        promoted: true,
        budget_spent,
        tries_this_year: 3,
        numbers: json!({ "p": 0.001 }),
        words: "beats naive".into(),
        at: now,
    }
}

fn message(key: &str) -> NewMessage {
    NewMessage {
        topic: Topic::Mlflow,
        payload: json!({ "run": key }),
        key: key.into(),
    }
}

/// Everything that a publication can have.
fn whole(key: &str) -> Publication {
    Publication {
        verdict: Some(verdict(NAME, 0.25, at(5))),
        version: Some(version(NAME)),
        aliases: vec![
            to(NAME, "champion", AliasTarget::New),
            to(NAME, "candidate", AliasTarget::New),
        ],
        outbox: vec![message(key)],
    }
}

fn succeeded(publication: Publication) -> Outcome {
    Outcome::Succeeded {
        result: json!(null),
        publication: Some(Box::new(publication)),
    }
}

async fn lease(store: &dyn Database) -> Lease {
    submit(store, train("A")).await;
    take(store, at(1)).await.unwrap().lease()
}

/// Everything of the name that can be seen: versions, verdicts, moves, messages.
async fn counts(store: &dyn Database) -> (usize, usize, usize, usize) {
    let all = VersionQuery {
        limit: 99,
        ..VersionQuery::default()
    };
    let history = store.alias_history(NAME, "champion", Timestamp::MIN, Timestamp::MAX, 99);
    let waiting = store.messages(Topic::Mlflow, MessageState::Waiting, None, 99);
    (
        store.versions(&all).await.unwrap().len(),
        store.verdicts(Some(NAME), None, 99).await.unwrap().len(),
        history.await.unwrap().len(),
        waiting.await.unwrap().len(),
    )
}

pub async fn a_completion_is_there_with_all_that_it_publishes(side: &dyn StoreUnderTest) {
    let mut place = side.place(PLENTY).await;
    let store = place.open().await;
    let content = b"weights".to_vec();
    let sha256 = store.put(content.clone()).await.unwrap();
    let artefact = Artefact {
        path: "model/weights.bin".into(),
        sha256: sha256.clone(),
        bytes: 7,
    };
    let mut publication = whole("m1");
    publication.version.as_mut().unwrap().artefacts = vec![artefact];
    let new = publication.version.clone().unwrap();
    let lease = lease(store.as_ref()).await;
    let finished = store
        .finish(lease, succeeded(publication), at(10))
        .await
        .unwrap();
    let Finished::Done { state, published } = finished else {
        panic!("{finished:?}");
    };
    assert_eq!((state, published.version), (JobState::Succeeded, Some(1)));
    drop(store);
    let store = place.open().await;
    let found = store.by_alias(NAME, "champion").await.unwrap().unwrap();
    let expected = Version {
        id: found.id,
        name: NAME.into(),
        version: 1,
        reference: new.reference,
        lineage: new.lineage,
        measures: new.measures,
        artefacts: new.artefacts,
        created_by: new.created_by,
        created_at: at(10),
        note: new.note,
        job: Some(lease.job),
        archived: None,
        aliases: vec!["candidate".into(), "champion".into()],
    };
    assert_eq!(found, expected);
    assert_eq!(
        store.get(&found.artefacts[0].sha256).await.unwrap(),
        content
    );
    let verdicts = store.verdicts(Some(NAME), None, 9).await.unwrap();
    assert_eq!(verdicts.len(), 1);
    assert_eq!(published.verdict, Some(verdicts[0].id));
    assert_eq!(verdicts[0].verdict, verdict(NAME, 0.25, at(5)));
    assert_eq!(
        (verdicts[0].version, verdicts[0].job),
        (Some(1), Some(lease.job))
    );
    let moves = store.alias_history(NAME, "champion", Timestamp::MIN, Timestamp::MAX, 9);
    let moves = moves.await.unwrap();
    assert_eq!(moves.len(), 1);
    assert_eq!(
        (moves[0].from, moves[0].to, moves[0].job),
        (None, Some(1), Some(lease.job))
    );
    assert_eq!(
        (moves[0].change.by.as_str(), moves[0].change.at),
        ("ann", at(10))
    );
    let messages = store
        .claim(Topic::Mlflow, "d", at(10), MINUTE, 9)
        .await
        .unwrap();
    assert_eq!(messages.len(), 1);
    assert_eq!(messages[0].message, message("m1"));
}

pub async fn a_completion_that_cannot_publish_leaves_nothing_behind_and_the_lease_is_held(
    side: &dyn StoreUnderTest,
) {
    let mut place = side.place(PLENTY).await;
    let store = place.open().await;
    store.publish(version(NAME).into(), at(0)).await.unwrap();
    store.publish(version(NAME).into(), at(0)).await.unwrap();
    let put_away = store::Change {
        by: "ann".into(),
        at: at(0),
        why: "old".into(),
    };
    store.archive(NAME, 1, Some(put_away)).await.unwrap();
    let lease = lease(store.as_ref()).await;
    // The last of the moves cannot be made; the version, the verdict and the first move could.
    let last = |wrong: AliasMove| {
        let mut publication = whole("m");
        publication.aliases.push(wrong);
        publication
    };
    let compare = |expected| AliasMove {
        expected: Some(expected),
        ..to(NAME, "challenger", AliasTarget::New)
    };
    let missing = |bytes| {
        let mut publication = whole("m");
        publication.version.as_mut().unwrap().artefacts = vec![Artefact {
            path: "weights".into(),
            sha256: sha256_of_weights(),
            bytes,
        }];
        publication
    };
    let parentless = || {
        let mut publication = whole("m");
        publication.version.as_mut().unwrap().lineage.parent = Some(3);
        publication
    };
    let wrong = [
        (last(compare(Some(2))), ErrorKind::Conflict),
        (
            last(to(NAME, "challenger", AliasTarget::Version(1))),
            ErrorKind::Conflict,
        ),
        (
            last(to(NAME, "challenger", AliasTarget::Version(3))),
            ErrorKind::NotFound,
        ),
        (
            last(to("MSFT", "challenger", AliasTarget::New)),
            ErrorKind::Invalid,
        ),
        (missing(7), ErrorKind::Invalid),
        (parentless(), ErrorKind::NotFound),
    ];
    for (publication, kind) in wrong {
        let outcome = succeeded(publication);
        let refused = store.finish(lease, outcome, at(2)).await.unwrap_err();
        assert_eq!(refused.kind(), kind, "{refused}");
        assert_eq!(counts(store.as_ref()).await, (2, 0, 0, 0), "{refused}");
        let renewed = store.renew(lease, None, at(2), MINUTE).await.unwrap();
        assert_eq!(renewed, Renewed::Held { cancel: false });
    }
    store.put(b"weights".to_vec()).await.unwrap();
    let refused = store
        .finish(lease, succeeded(missing(8)), at(2))
        .await
        .unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Invalid, "{refused}");
    let outcome = succeeded(last(compare(None)));
    let finished = store.finish(lease, outcome, at(3)).await.unwrap();
    assert!(matches!(
        finished,
        Finished::Done {
            published: Published {
                version: Some(3),
                ..
            },
            ..
        }
    ));
    assert_eq!(counts(store.as_ref()).await, (3, 1, 1, 1));
}

/// The SHA-256 of `weights`.
fn sha256_of_weights() -> String {
    "9a129038d9a00aed0cf6a7ea059ca50a813449061ab87848cf1a13eafdf33b2c".into()
}

pub async fn a_worker_that_lost_its_lease_publishes_nothing(side: &dyn StoreUnderTest) {
    let mut place = side.place(PLENTY).await;
    let store = place.open().await;
    let first = lease(store.as_ref()).await;
    let second = take(store.as_ref(), at(61)).await.unwrap().lease();
    let lost = store
        .finish(first, succeeded(whole("m1")), at(62))
        .await
        .unwrap();
    assert_eq!(lost, Finished::Lost);
    assert_eq!(counts(store.as_ref()).await, (0, 0, 0, 0));
    assert!(store.models(None, None, 9).await.unwrap().is_empty());
    store
        .finish(second, succeeded(whole("m2")), at(63))
        .await
        .unwrap();
    let again = store
        .finish(second, succeeded(whole("m3")), at(64))
        .await
        .unwrap();
    assert_eq!(again, Finished::Lost);
    assert_eq!(counts(store.as_ref()).await, (1, 1, 1, 1));
}

pub async fn versions_published_at_the_same_time_get_numbers_of_their_own(
    side: &dyn StoreUnderTest,
) {
    let mut place = side.place(PLENTY).await;
    let store = place.open().await;
    for _ in 0..8 {
        submit(store.as_ref(), train("A")).await;
    }
    let workers = (0..8).map(|i| {
        let store = store.clone();
        tokio::spawn(async move {
            let publication = whole(&format!("m{i}"));
            if i % 2 == 0 {
                let by_hand = store.publish(publication, at(2)).await.unwrap();
                return by_hand.version.unwrap();
            }
            let taken = take(store.as_ref(), at(1)).await.unwrap();
            let finished = store.finish(taken.lease(), succeeded(publication), at(2));
            match finished.await.unwrap() {
                Finished::Done { published, .. } => published.version.unwrap(),
                Finished::Lost => panic!("nobody took it"),
            }
        })
    });
    let mut numbers = BTreeSet::new();
    for worker in workers.collect::<Vec<_>>() {
        numbers.insert(worker.await.unwrap());
    }
    assert_eq!(numbers, (1..=8).collect());
    assert_eq!(counts(store.as_ref()).await, (8, 8, 8, 8));
    let moves = store.alias_history(NAME, "champion", Timestamp::MIN, Timestamp::MAX, 9);
    let moves = moves.await.unwrap();
    for pair in moves.windows(2) {
        assert_eq!(pair[0].to, pair[1].from);
    }
    let champion = store.by_alias(NAME, "champion").await.unwrap().unwrap();
    assert_eq!(Some(champion.version), moves[7].to);
}

pub async fn of_two_who_compare_and_set_an_alias_at_the_same_time_one_does(
    side: &dyn StoreUnderTest,
) {
    let mut place = side.place(PLENTY).await;
    let store = place.open().await;
    for _ in 0..4 {
        store.publish(version(NAME).into(), at(0)).await.unwrap();
    }
    let setters = (1..=4).map(|number| {
        let store = store.clone();
        tokio::spawn(async move {
            let set = AliasMove {
                expected: Some(None),
                ..to(NAME, "champion", AliasTarget::Version(number))
            };
            store.publish(set.into(), at(1)).await.is_ok()
        })
    });
    let mut set = 0;
    for setter in setters.collect::<Vec<_>>() {
        set += usize::from(setter.await.unwrap());
    }
    assert_eq!(set, 1);
    assert_eq!(counts(store.as_ref()).await, (4, 0, 1, 0));
}

pub async fn what_cannot_be_published_is_refused(side: &dyn StoreUnderTest) {
    let mut place = side.place(PLENTY).await;
    let store = place.open().await;
    let with = |change: fn(&mut Publication)| {
        let mut publication = whole("m");
        change(&mut publication);
        publication
    };
    let bad = [
        with(|p| p.aliases[0].alias = "latest".into()),
        with(|p| p.aliases[0].alias = "v3".into()),
        with(|p| p.aliases[0].alias = "Champion".into()),
        with(|p| p.aliases[1].alias = "champion".into()),
        with(|p| p.version = None),
        with(|p| p.verdict.as_mut().unwrap().name = "MSFT".into()),
        with(|p| p.verdict.as_mut().unwrap().budget_spent = f64::NAN),
        with(|p| p.version.as_mut().unwrap().reference.clear()),
        with(|p| p.outbox[0].key.clear()),
        Publication::from(version("a@b")),
    ];
    for publication in bad {
        let refused = store.publish(publication, at(1)).await.unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::Invalid, "{refused}");
    }
    assert_eq!(counts(store.as_ref()).await, (0, 0, 0, 0));
    let nothing = store.publish(Publication::default(), at(1)).await.unwrap();
    assert_eq!(nothing, Published::default());
}
