//! The registry as it is read: versions, aliases over time, verdicts.

use std::collections::BTreeMap;

use market::{ErrorKind, Timestamp};
use store::{
    AliasTarget, Budget, Change, ModelSummary, NewVersion, Publication, Version, VersionQuery,
};

use super::{
    Database, PLENTY, StoreUnderTest,
    jobs::at,
    publications::{NAME, to, verdict, version},
};

async fn publish(store: &dyn Database, publication: impl Into<Publication>, now: i64) -> u32 {
    let done = store.publish(publication.into(), at(now)).await.unwrap();
    done.version.unwrap_or(0)
}

fn change(by: &str, now: i64) -> Change {
    Change {
        by: by.into(),
        at: at(now),
        why: "worse live".into(),
    }
}

pub async fn a_version_comes_back_as_it_was_made(side: &dyn StoreUnderTest) {
    let mut place = side.place(PLENTY).await;
    let store = place.open().await;
    assert_eq!(publish(store.as_ref(), version(NAME), 1).await, 1);
    let mut child = version(NAME);
    child.lineage.parent = Some(1);
    child.note = "warm start: ü".into();
    assert_eq!(publish(store.as_ref(), child.clone(), 2).await, 2);
    assert_eq!(publish(store.as_ref(), version("MSFT"), 3).await, 1);
    drop(store);
    let store = place.open().await;
    let found = store.version(NAME, 2).await.unwrap().unwrap();
    let expected = Version {
        id: found.id,
        name: NAME.into(),
        version: 2,
        reference: child.reference,
        lineage: child.lineage,
        measures: child.measures,
        artefacts: vec![],
        created_by: child.created_by,
        created_at: at(2),
        note: child.note,
        job: None,
        archived: None,
        aliases: vec![],
    };
    assert_eq!(found, expected);
    for (name, number) in [(NAME, 0), (NAME, 3), ("MSFT", 2), ("nobody", 1)] {
        assert_eq!(store.version(name, number).await.unwrap(), None);
    }
    assert_eq!(store.by_alias(NAME, "champion").await.unwrap(), None);
}

pub async fn who_was_champion_at_a_time_is_told_by_the_history(side: &dyn StoreUnderTest) {
    let mut place = side.place(PLENTY).await;
    let store = place.open().await;
    for _ in 0..2 {
        publish(store.as_ref(), version(NAME), 0).await;
    }
    let moves = [
        (10, AliasTarget::Version(1)),
        (20, AliasTarget::Version(2)),
        (25, AliasTarget::Version(2)),
        (30, AliasTarget::Version(1)),
        (40, AliasTarget::Nobody),
    ];
    for (now, target) in moves {
        publish(store.as_ref(), to(NAME, "champion", target), now).await;
    }
    let challenger = to(NAME, "challenger", AliasTarget::Version(2));
    publish(store.as_ref(), challenger, 15).await;
    drop(store);
    let store = place.open().await;
    let champion = async |now: i64| store.alias_at(NAME, "champion", at(now)).await.unwrap();
    for (now, expected) in [
        (9, None),
        (10, Some(1)),
        (19, Some(1)),
        (20, Some(2)),
        (29, Some(2)),
        (30, Some(1)),
        (39, Some(1)),
        (40, None),
        (999, None),
    ] {
        assert_eq!(champion(now).await, expected, "{now}");
    }
    // The move that changed nothing is none.
    let history = store
        .alias_history(NAME, "champion", at(10), at(40), 99)
        .await
        .unwrap();
    let told: Vec<_> = history
        .iter()
        .map(|m| (m.change.at, m.from, m.to))
        .collect();
    assert_eq!(
        told,
        [
            (at(10), None, Some(1)),
            (at(20), Some(1), Some(2)),
            (at(30), Some(2), Some(1))
        ]
    );
    let latest = store
        .alias_history(NAME, "champion", at(0), at(99), 2)
        .await
        .unwrap();
    let told: Vec<_> = latest.iter().map(|m| m.change.at).collect();
    assert_eq!(told, [at(30), at(40)]);
    assert_eq!(store.by_alias(NAME, "champion").await.unwrap(), None);
    let shadow = store.by_alias(NAME, "challenger").await.unwrap().unwrap();
    assert_eq!(
        (shadow.version, shadow.aliases),
        (2, vec!["challenger".to_owned()])
    );
}

pub async fn a_clock_that_goes_back_keeps_the_history_in_order(side: &dyn StoreUnderTest) {
    let mut place = side.place(PLENTY).await;
    let store = place.open().await;
    for _ in 0..3 {
        publish(store.as_ref(), version(NAME), 0).await;
    }
    for (now, number) in [(100, 1), (50, 2), (60, 3)] {
        let target = AliasTarget::Version(number);
        publish(store.as_ref(), to(NAME, "champion", target), now).await;
    }
    let history = store.alias_history(NAME, "champion", Timestamp::MIN, Timestamp::MAX, 9);
    let told: Vec<_> = history
        .await
        .unwrap()
        .iter()
        .map(|m| (m.change.at, m.to))
        .collect();
    assert_eq!(told, [1, 2, 3].map(|number| (at(100), Some(number))));
    for (now, expected) in [(99, None), (100, Some(3)), (101, Some(3))] {
        let found = store.alias_at(NAME, "champion", at(now)).await.unwrap();
        assert_eq!(found, expected, "{now}");
    }
}

async fn listed(store: &dyn Database, query: VersionQuery) -> Vec<(String, u32)> {
    let versions = store.versions(&query).await.unwrap();
    versions.into_iter().map(|v| (v.name, v.version)).collect()
}

pub async fn versions_are_listed_filtered_and_searched_in_pages(side: &dyn StoreUnderTest) {
    let mut place = side.place(PLENTY).await;
    let store = place.open().await;
    for (name, note) in [
        ("A", "Größer (50 %)"),
        ("B", "x"),
        ("A", "y"),
        ("^GSPC", "z.*"),
        ("A", "größer"),
    ] {
        let new = NewVersion {
            note: note.into(),
            ..version(name)
        };
        publish(store.as_ref(), new, 0).await;
    }
    publish(
        store.as_ref(),
        to("A", "champion", AliasTarget::Version(1)),
        1,
    )
    .await;
    publish(
        store.as_ref(),
        to("B", "champion", AliasTarget::Version(1)),
        1,
    )
    .await;
    store.archive("A", 2, Some(change("ann", 2))).await.unwrap();
    let of = |pairs: &[(&str, u32)]| -> Vec<(String, u32)> {
        pairs.iter().map(|(n, v)| ((*n).to_owned(), *v)).collect()
    };
    let page = |limit| VersionQuery {
        limit,
        ..VersionQuery::default()
    };
    let all = of(&[("A", 3), ("^GSPC", 1), ("A", 2), ("B", 1), ("A", 1)]);
    assert_eq!(listed(store.as_ref(), page(99)).await, all);
    assert!(listed(store.as_ref(), page(0)).await.is_empty());
    let first = store.versions(&page(2)).await.unwrap();
    let next = VersionQuery {
        before_id: Some(first[1].id),
        ..page(2)
    };
    assert_eq!(listed(store.as_ref(), next).await, all[2..4]);
    let named = VersionQuery {
        name: Some("A".into()),
        ..page(99)
    };
    let of_a = of(&[("A", 3), ("A", 2), ("A", 1)]);
    assert_eq!(listed(store.as_ref(), named.clone()).await, of_a);
    let kept = VersionQuery {
        archived: Some(false),
        ..named.clone()
    };
    assert_eq!(
        listed(store.as_ref(), kept).await,
        of(&[("A", 3), ("A", 1)])
    );
    let put_away = VersionQuery {
        archived: Some(true),
        ..page(99)
    };
    assert_eq!(listed(store.as_ref(), put_away).await, of(&[("A", 2)]));
    let champions = VersionQuery {
        alias: Some("champion".into()),
        ..page(99)
    };
    assert_eq!(
        listed(store.as_ref(), champions).await,
        of(&[("B", 1), ("A", 1)])
    );
    for (text, expected) in [
        ("GRÖSSER", of(&[])),
        ("GRÖß", of(&[("A", 3), ("A", 1)])),
        ("(50 %)", of(&[("A", 1)])),
        (".*", of(&[("^GSPC", 1)])),
        ("^gs", of(&[("^GSPC", 1)])),
        ("ARIMA(", all.clone()),
    ] {
        let found = VersionQuery {
            contains: Some(text.into()),
            ..page(99)
        };
        assert_eq!(listed(store.as_ref(), found).await, expected, "{text}");
    }
}

pub async fn an_archived_version_takes_no_alias_and_comes_back(side: &dyn StoreUnderTest) {
    let mut place = side.place(PLENTY).await;
    let store = place.open().await;
    publish(store.as_ref(), version(NAME), 0).await;
    let champion = to(NAME, "champion", AliasTarget::Version(1));
    publish(store.as_ref(), champion.clone(), 1).await;
    let refused = store
        .archive(NAME, 1, Some(change("ann", 2)))
        .await
        .unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Conflict, "{refused}");
    let refused = store
        .archive(NAME, 2, Some(change("ann", 2)))
        .await
        .unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::NotFound, "{refused}");
    publish(store.as_ref(), to(NAME, "champion", AliasTarget::Nobody), 3).await;
    store
        .archive(NAME, 1, Some(change("ann", 4)))
        .await
        .unwrap();
    let found = store.version(NAME, 1).await.unwrap().unwrap();
    assert_eq!(found.archived, Some(change("ann", 4)));
    let refused = store
        .publish(champion.clone().into(), at(5))
        .await
        .unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Conflict, "{refused}");
    store.archive(NAME, 1, None).await.unwrap();
    assert_eq!(
        store.version(NAME, 1).await.unwrap().unwrap().archived,
        None
    );
    publish(store.as_ref(), champion, 6).await;
    store.archive(NAME, 1, None).await.unwrap();
}

pub async fn models_are_listed_with_their_aliases(side: &dyn StoreUnderTest) {
    let mut place = side.place(PLENTY).await;
    let store = place.open().await;
    for name in ["MSFT/1d", "AAPL/1d", "AAPL/1h", "AAPL/1d"] {
        publish(store.as_ref(), version(name), 0).await;
    }
    publish(
        store.as_ref(),
        to("AAPL/1d", "champion", AliasTarget::Version(2)),
        1,
    )
    .await;
    let judged = Publication {
        verdict: Some(verdict("TSLA", 0.5, at(1))),
        ..Publication::default()
    };
    publish(store.as_ref(), judged, 1).await;
    let of = |name: &str, versions, champion: Option<u32>| ModelSummary {
        name: name.into(),
        versions,
        aliases: champion
            .map(|version| ("champion".to_owned(), version))
            .into_iter()
            .collect::<BTreeMap<_, _>>(),
    };
    let all = [
        of("AAPL/1d", 2, Some(2)),
        of("AAPL/1h", 1, None),
        of("MSFT/1d", 1, None),
        of("TSLA", 0, None),
    ];
    assert_eq!(store.models(None, None, 99).await.unwrap(), all);
    assert_eq!(
        store.models(None, Some("AAPL/1d"), 2).await.unwrap(),
        all[1..3]
    );
    let daily = store.models(Some("L/1D"), None, 99).await.unwrap();
    assert_eq!(daily, all[..1]);
    assert!(
        store
            .models(Some("nobody"), None, 9)
            .await
            .unwrap()
            .is_empty()
    );
}

pub async fn verdicts_are_kept_and_their_budget_is_summed(side: &dyn StoreUnderTest) {
    let mut place = side.place(PLENTY).await;
    let store = place.open().await;
    let mut ids = Vec::new();
    for (name, spent, now) in [
        (NAME, 0.5, 10),
        ("MSFT", 0.25, 11),
        (NAME, 0.125, 20),
        (NAME, 0.0, 30),
    ] {
        let judged = Publication {
            verdict: Some(store::NewVerdict {
                promoted: false,
                champion: Some(7),
                ..verdict(name, spent, at(now))
            }),
            ..Publication::default()
        };
        let published = store.publish(judged, at(now)).await.unwrap();
        ids.push(published.verdict.unwrap());
    }
    drop(store);
    let store = place.open().await;
    let budget = async |name: &'static str, since: i64| {
        let budget = store.budget(name, at(since)).await.unwrap();
        (budget.spent, budget.tries)
    };
    assert_eq!(budget(NAME, 10).await, (0.625, 3));
    assert_eq!(budget(NAME, 11).await, (0.125, 2));
    assert_eq!(store.budget(NAME, at(31)).await.unwrap(), Budget::default());
    assert_eq!(budget("nobody", 0).await, (0.0, 0));
    let listed = async |name: Option<&'static str>, before, limit| -> Vec<i64> {
        let verdicts = store.verdicts(name, before, limit).await.unwrap();
        verdicts.iter().map(|v| v.id).collect()
    };
    let newest_first: Vec<i64> = ids.iter().rev().copied().collect();
    assert_eq!(listed(None, None, 99).await, newest_first);
    assert_eq!(listed(Some(NAME), None, 2).await, [ids[3], ids[2]]);
    assert_eq!(listed(Some(NAME), Some(ids[2]), 99).await, [ids[0]]);
    let first = &store.verdicts(Some(NAME), None, 1).await.unwrap()[0];
    assert_eq!(
        (first.verdict.promoted, first.verdict.champion),
        (false, Some(7))
    );
    assert_eq!((first.version, first.job), (None, None));
}
