//! The forecast ledger and its scoreboard.

use std::sync::Arc;

use market::{Band, ErrorKind, Fan, Interval, Timestamp};
use store::{LedgerQuery, Recorded, ScoreRow, StepOutcome};

use super::{Database, PLENTY, START, StoreUnderTest, symbol};

/// A fan of three minutes by `model` from the `nth` minute, made as its origin's bar closes. Its
/// mean is 100, 101, 102; its 80 % band is 1 wide on each side, its 95 % band 2.
fn fan(name: &str, model: &str, nth: u32) -> Fan {
    let origin = START.plus_micros(i64::from(nth) * 60_000_000);
    let mean = vec![100.0, 101.0, 102.0];
    let band = |level: f64, width: f64| Band {
        level,
        lower: mean.iter().map(|m| m - width).collect(),
        upper: mean.iter().map(|m| m + width).collect(),
    };
    Fan {
        symbol: symbol(name),
        interval: Interval::M1,
        model: model.to_owned(),
        origin,
        origin_close: 99.9,
        made_at: Interval::M1.end_of(origin),
        targets: (1..=3)
            .map(|step| Interval::M1.step_after(origin, step))
            .collect(),
        bands: vec![band(80.0, 1.0), band(95.0, 2.0)],
        mean,
    }
}

fn query(name: &str) -> LedgerQuery {
    LedgerQuery {
        symbol: symbol(name),
        interval: Interval::M1,
        model: None,
        from: Timestamp::MIN,
        until: Timestamp::MAX,
        limit: usize::MAX,
    }
}

async fn recorded(store: &Arc<dyn Database>, fan: &Fan) -> i64 {
    match store.record(vec![fan.clone()]).await.unwrap()[..] {
        [Recorded::New(id)] => id,
        ref other => panic!("not new: {other:?}"),
    }
}

fn outcome(forecast_id: i64, step: u32, actual: f64, naive: f64) -> StepOutcome {
    StepOutcome {
        forecast_id,
        step,
        actual,
        naive,
    }
}

pub async fn a_forecast_comes_back_as_it_was_made(side: &dyn StoreUnderTest) {
    let mut place = side.place(PLENTY).await;
    let store = place.open().await;
    let plain = fan("A", "naive", 0);
    let mut odd = fan("A", "arima(1,1,1)", 1);
    // Targets that are not the bars after the origin, numbers without a short decimal, no bands.
    odd.targets = vec![odd.targets[0], odd.targets[2], Timestamp::MAX];
    odd.mean = vec![0.1 + 0.2, f64::MIN_POSITIVE, -1e300];
    odd.bands.clear();
    let ids = [recorded(&store, &plain).await, recorded(&store, &odd).await];
    let rows = store.ledger(&query("A")).await.unwrap();
    assert_eq!(rows.iter().map(|r| r.id).collect::<Vec<_>>(), ids);
    assert_eq!(
        rows.iter().map(|r| &r.fan).collect::<Vec<_>>(),
        [&plain, &odd]
    );
    assert!(rows.iter().all(|r| r.actuals.is_empty()));
}

pub async fn a_forecast_of_the_same_key_stays_as_it_was(side: &dyn StoreUnderTest) {
    let mut place = side.place(PLENTY).await;
    let store = place.open().await;
    let first = fan("A", "naive", 0);
    let id = recorded(&store, &first).await;
    let mut other = first.clone();
    other.mean = vec![1.0, 2.0, 3.0];
    let mut too_late = first.clone();
    too_late.made_at = Timestamp::MAX;
    let answers = store
        .record(vec![
            other,
            too_late,
            fan("A", "drift", 0),
            fan("A", "drift", 0),
        ])
        .await
        .unwrap();
    assert_eq!(answers[..2], [Recorded::AlreadyThere(id); 2]);
    let Recorded::New(new) = answers[2] else {
        panic!("not new: {answers:?}");
    };
    assert_eq!(answers[3], Recorded::AlreadyThere(new));
    let rows = store.ledger(&query("A")).await.unwrap();
    assert_eq!(rows.len(), 2);
    assert!(rows.iter().any(|row| row.fan == first));
}

pub async fn a_forecast_made_after_its_first_bar_is_refused(side: &dyn StoreUnderTest) {
    let mut place = side.place(PLENTY).await;
    let store = place.open().await;
    let end = Interval::M1.end_of(fan("A", "m", 0).targets[0]);
    let mut in_time = fan("A", "in time", 0);
    in_time.made_at = end;
    let mut too_late = fan("A", "too late", 0);
    too_late.made_at = end.plus_micros(1);
    let answers = store.record(vec![too_late, in_time.clone()]).await.unwrap();
    assert_eq!(answers[0], Recorded::TooLate);
    assert!(matches!(answers[1], Recorded::New(_)));
    let rows = store.ledger(&query("A")).await.unwrap();
    assert_eq!(rows.iter().map(|r| &r.fan).collect::<Vec<_>>(), [&in_time]);
}

pub async fn a_fan_whose_lengths_disagree_is_refused_with_its_batch(side: &dyn StoreUnderTest) {
    let mut place = side.place(PLENTY).await;
    let store = place.open().await;
    let spoil: [fn(&mut Fan); 6] = [
        |f| f.mean.truncate(2),
        |f| f.targets.clear(),
        |f| f.targets.reverse(),
        |f| f.bands[1].lower.push(1.0),
        |f| f.bands[0].upper.clear(),
        |f| f.mean[1] = f64::NAN,
    ];
    for spoil in spoil {
        let mut bad = fan("A", "bad", 0);
        spoil(&mut bad);
        let refused = store.record(vec![fan("A", "good", 0), bad]).await;
        assert_eq!(refused.unwrap_err().kind(), ErrorKind::Invalid);
    }
    assert_eq!(store.ledger(&query("A")).await.unwrap(), []);
}

pub async fn forecasts_fall_due_when_their_next_bar_has_ended_oldest_first(
    side: &dyn StoreUnderTest,
) {
    let mut place = side.place(PLENTY).await;
    let store = place.open().await;
    let (late, early) = (fan("A", "m", 1), fan("A", "m", 0));
    let (late_id, early_id) = (
        recorded(&store, &late).await,
        recorded(&store, &early).await,
    );
    recorded(&store, &fan("B", "m", 0)).await;
    let due = async |now: Timestamp, limit| -> Vec<(i64, u32)> {
        let open = store.due(&symbol("A"), Interval::M1, now, limit).await;
        let open = open.unwrap();
        for forecast in &open {
            let expected = if forecast.id == late_id {
                &late
            } else {
                &early
            };
            assert_eq!(&forecast.fan, expected);
        }
        open.iter().map(|o| (o.id, o.scored_steps)).collect()
    };
    let end = |fan: &Fan, step: usize| Interval::M1.end_of(fan.targets[step - 1]);
    assert_eq!(due(end(&early, 1).plus_micros(-1), 9).await, []);
    assert_eq!(due(end(&early, 1), 9).await, [(early_id, 0)]);
    assert_eq!(due(end(&late, 1), 9).await, [(early_id, 0), (late_id, 0)]);
    assert_eq!(due(end(&late, 1), 1).await, [(early_id, 0)]);
    store
        .score(vec![outcome(early_id, 1, 1.0, 1.0)])
        .await
        .unwrap();
    assert_eq!(due(end(&early, 1), 9).await, []);
    assert_eq!(due(end(&early, 2), 9).await, [(early_id, 1), (late_id, 0)]);
    let rest = vec![
        outcome(early_id, 3, 1.0, 1.0),
        outcome(early_id, 2, 1.0, 1.0),
    ];
    assert_eq!(store.score(rest).await.unwrap(), 2);
    assert_eq!(due(Timestamp::MAX, 9).await, [(late_id, 0)]);
}

pub async fn outcomes_count_once(side: &dyn StoreUnderTest) {
    let mut place = side.place(PLENTY).await;
    let store = place.open().await;
    let id = recorded(&store, &fan("A", "m", 0)).await;
    let first = vec![outcome(id, 1, 100.5, 99.0), outcome(id, 1, 7.0, 7.0)];
    assert_eq!(store.score(first.clone()).await.unwrap(), 1);
    assert_eq!(store.score(first).await.unwrap(), 0);
    assert_eq!(store.score(vec![]).await.unwrap(), 0);
    let both = vec![outcome(id, 2, 101.5, 99.0), outcome(id, 1, 7.0, 7.0)];
    assert_eq!(store.score(both).await.unwrap(), 1);
    assert_eq!(
        store.score(vec![outcome(id, 3, 9.0, 9.0)]).await.unwrap(),
        1
    );
    assert_eq!(
        store.score(vec![outcome(id, 3, 1.0, 1.0)]).await.unwrap(),
        0
    );
    let row = &store.ledger(&query("A")).await.unwrap()[0];
    assert_eq!(row.actuals, [100.5, 101.5, 9.0]);
    let board = store.scoreboard(None, None).await.unwrap();
    assert_eq!(board.iter().map(|r| r.count).collect::<Vec<_>>(), [1, 1, 1]);
}

pub async fn the_scoreboard_has_the_numbers_of_the_outcomes(side: &dyn StoreUnderTest) {
    let mut place = side.place(PLENTY).await;
    let store = place.open().await;
    // Errors of step 1 against a mean of 100: +0.5, -1.5, +4, +1 (on the edge of the 80 % band).
    let actuals = [100.5, 98.5, 104.0, 101.0];
    for (nth, actual) in (0..).zip(actuals) {
        let id = recorded(&store, &fan("A", "m", nth)).await;
        store
            .score(vec![outcome(id, 1, actual, 100.25)])
            .await
            .unwrap();
    }
    // One without bands counts in the errors and not in the coverage.
    let mut bare = fan("A", "m", 9);
    bare.bands.clear();
    let id = recorded(&store, &bare).await;
    store
        .score(vec![outcome(id, 1, 100.0, 100.0)])
        .await
        .unwrap();
    let board = store.scoreboard(None, None).await.unwrap();
    assert_eq!(
        board,
        [ScoreRow {
            symbol: symbol("A"),
            interval: Interval::M1,
            model: "m".into(),
            step: 1,
            count: 5,
            mae: 7.0 / 5.0,
            rmse: (19.5_f64 / 5.0).sqrt(),
            naive_mae: (0.25 + 1.75 + 3.75 + 0.75) / 5.0,
            coverage: vec![(80.0, 0.5), (95.0, 0.75)],
        }]
    );
}

pub async fn the_scoreboard_can_be_narrowed(side: &dyn StoreUnderTest) {
    let mut place = side.place(PLENTY).await;
    let store = place.open().await;
    let mut hourly = fan("A", "m", 0);
    hourly.interval = Interval::H1;
    for fan in [fan("B", "m", 0), fan("A", "n", 0), fan("A", "m", 0), hourly] {
        let id = recorded(&store, &fan).await;
        let both = vec![outcome(id, 2, 1.0, 1.0), outcome(id, 1, 1.0, 1.0)];
        store.score(both).await.unwrap();
    }
    let a = symbol("A");
    let keys = async |symbol, interval| -> Vec<String> {
        let board: Vec<ScoreRow> = store.scoreboard(symbol, interval).await.unwrap();
        board
            .iter()
            .map(|r| format!("{} {} {} {}", r.symbol, r.interval, r.model, r.step))
            .collect()
    };
    let all = [
        "A 1m m 1", "A 1m m 2", "A 1m n 1", "A 1m n 2", "A 1h m 1", "A 1h m 2", "B 1m m 1",
        "B 1m m 2",
    ];
    assert_eq!(keys(None, None).await, all);
    assert_eq!(keys(Some(&a), None).await, all[..6]);
    assert_eq!(keys(Some(&a), Some(Interval::H1)).await, all[4..6]);
    assert_eq!(keys(None, Some(Interval::H1)).await, all[4..6]);
    assert_eq!(
        keys(Some(&symbol("NONE")), None).await,
        Vec::<String>::new()
    );
}

pub async fn outcomes_that_cannot_be_right_leave_nothing_behind(side: &dyn StoreUnderTest) {
    let mut place = side.place(PLENTY).await;
    let store = place.open().await;
    let id = recorded(&store, &fan("A", "m", 0)).await;
    for (bad, kind) in [
        (outcome(id + 1_000, 1, 1.0, 1.0), ErrorKind::NotFound),
        (outcome(id, 3, 1.0, 1.0), ErrorKind::Invalid),
        (outcome(id, 0, 1.0, 1.0), ErrorKind::Invalid),
        (outcome(id, 2, f64::NAN, 1.0), ErrorKind::Invalid),
    ] {
        let refused = store.score(vec![outcome(id, 1, 1.0, 1.0), bad]).await;
        assert_eq!(refused.unwrap_err().kind(), kind);
    }
    let beyond = (1..=4).map(|step| outcome(id, step, 1.0, 1.0)).collect();
    let refused = store.score(beyond).await.unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Invalid);
    assert_eq!(store.scoreboard(None, None).await.unwrap(), []);
    assert!(
        store.ledger(&query("A")).await.unwrap()[0]
            .actuals
            .is_empty()
    );
}

pub async fn the_ledger_is_read_by_model_range_and_limit(side: &dyn StoreUnderTest) {
    let mut place = side.place(PLENTY).await;
    let store = place.open().await;
    let fans: Vec<Fan> = (0..6)
        .flat_map(|nth| ["m", "n"].map(|model| fan("A", model, nth)))
        .collect();
    store.record(fans.clone()).await.unwrap();
    store.record(vec![fan("B", "m", 0)]).await.unwrap();
    let read = async |query: &LedgerQuery| -> Vec<Fan> {
        let rows = store.ledger(query).await.unwrap();
        rows.into_iter().map(|row| row.fan).collect()
    };
    let mut query = query("A");
    assert_eq!(read(&query).await, fans);
    (query.from, query.until) = (fans[2].origin, fans[8].origin);
    assert_eq!(read(&query).await, fans[2..8]);
    query.model = Some("n".into());
    let of_n = [fans[3].clone(), fans[5].clone(), fans[7].clone()];
    assert_eq!(read(&query).await, of_n);
    query.limit = 2;
    assert_eq!(read(&query).await, of_n[1..]);
    query.interval = Interval::D1;
    assert_eq!(read(&query).await, []);
}

pub async fn the_ledger_survives_reopening(side: &dyn StoreUnderTest) {
    let mut place = side.place(PLENTY).await;
    let store = place.open().await;
    let id = recorded(&store, &fan("A", "m", 0)).await;
    store
        .score(vec![outcome(id, 1, 100.5, 99.0)])
        .await
        .unwrap();
    let (rows, board) = (
        store.ledger(&query("A")).await.unwrap(),
        store.scoreboard(None, None).await.unwrap(),
    );
    drop(store);
    let store = place.open().await;
    assert_eq!(store.ledger(&query("A")).await.unwrap(), rows);
    assert_eq!(store.scoreboard(None, None).await.unwrap(), board);
    assert_eq!(
        store.score(vec![outcome(id, 1, 0.0, 0.0)]).await.unwrap(),
        0
    );
    let open = store
        .due(&symbol("A"), Interval::M1, Timestamp::MAX, 9)
        .await
        .unwrap();
    assert_eq!(
        open.iter()
            .map(|o| (o.id, o.scored_steps))
            .collect::<Vec<_>>(),
        [(id, 1)]
    );
}

pub async fn ledgers_of_many_series_come_in_one_call_in_their_order(side: &dyn StoreUnderTest) {
    let mut place = side.place(PLENTY).await;
    let store = place.open().await;
    for nth in 0..12 {
        recorded(&store, &fan("A", "m", nth)).await;
        recorded(&store, &fan("B", "m", 20 - nth)).await;
    }
    let id = store.ledger(&query("B")).await.unwrap()[11].id;
    let scored = vec![outcome(id, 1, 100.0, 99.0)];
    assert_eq!(store.score(scored).await.unwrap(), 1);
    let latest = |name: &str, limit: usize| LedgerQuery {
        limit,
        ..query(name)
    };
    let hourly = LedgerQuery {
        interval: Interval::H1,
        ..query("A")
    };
    let queries = [
        latest("B", 2),
        latest("NONE", 5),
        query("A"),
        hourly,
        latest("B", 2),
        latest("A", 0),
    ];
    let found = store.ledger_of(&queries).await.unwrap();
    let origins =
        |at: usize| -> Vec<Timestamp> { found[at].iter().map(|row| row.fan.origin).collect() };
    let of = |nths: std::ops::Range<u32>| -> Vec<Timestamp> {
        nths.map(|nth| fan("A", "m", nth).origin).collect()
    };
    assert_eq!(found.len(), queries.len());
    assert_eq!(origins(0), of(19..21));
    assert_eq!(found[0][1].actuals, [100.0]);
    assert!(found[0].iter().all(|row| row.fan.symbol == symbol("B")));
    assert_eq!(
        (origins(1), origins(3), origins(5)),
        (vec![], vec![], vec![])
    );
    assert_eq!(origins(2), of(0..12));
    assert_eq!(found[4], found[0]);
    assert!(store.ledger_of(&[]).await.unwrap().is_empty());
}
