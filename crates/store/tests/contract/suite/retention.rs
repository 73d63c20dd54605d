//! Removal by age.

use market::{Band, Bar, Fan, Interval, Tick, Timestamp, bars_from_ticks};
use store::{LedgerQuery, Recorded, Removed};

use super::{START, StoreUnderTest, all_of, assert_bars_are_the_fold, bar, symbol, tick};

fn ticks(name: &str, count: i64) -> Vec<Tick> {
    (0..count)
        .map(|i| tick(name, i * 250, 1, 100.0 + i as f64, 2.0))
        .collect()
}

pub async fn old_ticks_are_removed_and_the_rest_stays_readable_in_both_orders(
    side: &dyn StoreUnderTest,
) {
    let mut place = side.place(super::PLENTY).await;
    let store = place.open().await;
    let (all, others) = (ticks("ABC", 40), ticks("XYZ", 4));
    store.append(all.clone()).await.unwrap();
    store.append(others.clone()).await.unwrap();
    let cut = all[10].ts;
    let removed = store.remove_ticks(cut).await.unwrap();
    // Of the other symbol all but the newest are that old.
    assert_eq!(
        removed,
        Removed {
            symbols: 2,
            rows: 10 + 3
        }
    );
    let (abc, xyz) = (symbol("ABC"), symbol("XYZ"));
    let left = store.ticks(&abc, Timestamp::MIN, Timestamp::MAX, 100);
    assert_eq!(left.await.unwrap(), all[10..]);
    let stored = store.ticks_after(&abc, 0, 100).await.unwrap();
    let in_order: Vec<Tick> = stored.into_iter().map(|s| s.tick).collect();
    assert_eq!(in_order, all[10..]);
    let left = store.ticks_after(&xyz, 0, 100).await.unwrap();
    assert_eq!(left.len(), 1);
    assert_eq!(left[0].tick, others[3]);
    let again = store.remove_ticks(cut).await.unwrap();
    assert_eq!(again.rows, 0);
    // What comes after goes on as before.
    let more = tick("ABC", 40 * 250, 1, 7.0, 1.0);
    store.append(vec![more.clone()]).await.unwrap();
    let stored = store.ticks_after(&abc, 0, 100).await.unwrap();
    assert_eq!(stored.last().unwrap().tick, more);
    assert_eq!(stored.len(), 31);
}

pub async fn the_newest_tick_and_bars_of_a_symbol_stay_whatever_their_age(
    side: &dyn StoreUnderTest,
) {
    let mut place = side.place(super::PLENTY).await;
    let store = place.open().await;
    let all = ticks("ABC", 40);
    store.append(all.clone()).await.unwrap();
    let before = store.instruments().await.unwrap();
    assert_eq!(store.remove_ticks(Timestamp::MAX).await.unwrap().rows, 39);
    for interval in Interval::ALL {
        store.remove_bars(interval, Timestamp::MAX).await.unwrap();
    }
    assert_eq!(store.instruments().await.unwrap(), before);
    let latest = store.latest_tick(&symbol("ABC")).await.unwrap().unwrap();
    assert_eq!(latest.tick, all[39]);
    for interval in Interval::ALL {
        let bars = store.bars(&all_of("ABC", interval)).await.unwrap();
        assert_eq!(bars.len(), 1, "{interval}");
        assert_eq!(bars[0].last, all[39].key(), "{interval}");
    }
    drop(store);
    let store = place.open().await;
    assert_eq!(store.instruments().await.unwrap(), before);
}

pub async fn old_bars_of_one_interval_are_removed_and_those_of_others_stay(
    side: &dyn StoreUnderTest,
) {
    let mut place = side.place(super::PLENTY).await;
    let store = place.open().await;
    store.append(ticks("ABC", 40)).await.unwrap();
    let seconds = store.bars(&all_of("ABC", Interval::S1)).await.unwrap();
    let removed = store.remove_bars(Interval::S1, seconds[2].start).await;
    assert_eq!(removed.unwrap().rows, 2);
    let left = store.bars(&all_of("ABC", Interval::S1)).await.unwrap();
    assert_eq!(left, seconds[2..]);
    let minutes = store.bars(&all_of("ABC", Interval::M1)).await.unwrap();
    assert_eq!(minutes[0].trades, 40);
}

pub async fn positions_go_on_growing_after_the_newest_stored_tick_was_removed(
    side: &dyn StoreUnderTest,
) {
    let mut place = side.place(super::PLENTY).await;
    let store = place.open().await;
    store
        .append(vec![tick("ABC", 60_000, 1, 2.0, 1.0)])
        .await
        .unwrap();
    // A late one: the greatest position, and the oldest time.
    let late = store
        .append(vec![tick("ABC", 0, 1, 1.0, 1.0)])
        .await
        .unwrap();
    let greatest = late.stored[0].position;
    let cut = START.plus_micros(30_000_000);
    assert_eq!(store.remove_ticks(cut).await.unwrap().rows, 1);
    drop(store);
    let store = place.open().await;
    let next = tick("ABC", 61_000, 1, 3.0, 1.0);
    let appended = store.append(vec![next.clone()]).await.unwrap();
    assert!(appended.stored[0].position > greatest, "{appended:?}");
    let read = store
        .ticks_after(&symbol("ABC"), greatest, 9)
        .await
        .unwrap();
    assert_eq!(read, appended.stored);
}

pub async fn the_ledger_is_not_touched(side: &dyn StoreUnderTest) {
    let mut place = side.place(super::PLENTY).await;
    let store = place.open().await;
    store.append(ticks("ABC", 40)).await.unwrap();
    let origin = Interval::M1.start_of(START);
    let targets: Vec<Timestamp> = (1..=2)
        .map(|n| origin.plus_micros(n * Interval::M1.micros()))
        .collect();
    let fan = Fan {
        symbol: symbol("ABC"),
        interval: Interval::M1,
        model: "naive".into(),
        origin,
        origin_close: 100.0,
        made_at: targets[0],
        targets,
        mean: vec![100.0, 100.0],
        bands: vec![Band {
            level: 80.0,
            lower: vec![99.0, 98.0],
            upper: vec![101.0, 102.0],
        }],
    };
    let recorded = store.record(vec![fan.clone()]).await.unwrap();
    assert!(matches!(recorded[0], Recorded::New(_)));
    store.remove_ticks(Timestamp::MAX).await.unwrap();
    for interval in Interval::ALL {
        store.remove_bars(interval, Timestamp::MAX).await.unwrap();
    }
    let query = LedgerQuery {
        symbol: symbol("ABC"),
        interval: Interval::M1,
        model: None,
        from: Timestamp::MIN,
        until: Timestamp::MAX,
        limit: 9,
    };
    let rows = store.ledger(&query).await.unwrap();
    assert_eq!(rows.len(), 1);
    assert_eq!(rows[0].fan, fan);
}

pub async fn thousands_of_old_rows_are_removed_in_one_call(side: &dyn StoreUnderTest) {
    let mut place = side.place(super::PLENTY).await;
    let store = place.open().await;
    // More than one command of the SQLite side takes, in ticks and in bars of a second.
    let all: Vec<Tick> = (0..6_001)
        .map(|i| tick("ABC", i * 1_000, 1, 100.0, 1.0))
        .collect();
    store.append(all.clone()).await.unwrap();
    assert_eq!(store.remove_ticks(all[5_990].ts).await.unwrap().rows, 5_990);
    let bars = store.remove_bars(Interval::S1, all[5_990].ts).await;
    assert_eq!(bars.unwrap().rows, 5_990);
    let left = store.bars(&all_of("ABC", Interval::S1)).await.unwrap();
    assert_eq!(left.len(), 11);
}

const DAY_MS: i64 = 86_400_000;

/// Some of one day, then one of each day after: more bars of every interval than a side remembers.
fn ticks_of_days() -> Vec<Tick> {
    let mut all = ticks("ABC", 40);
    all.extend((1..=6).map(|day| tick("ABC", day * DAY_MS, 1, 7.0, 1.0)));
    all
}

/// A time when all ticks of the first day are that old, and one in the middle of a second of it.
fn cuts(all: &[Tick]) -> [Timestamp; 2] {
    [START.plus_micros(3_600_000_000), all[10].ts]
}

pub async fn a_late_tick_counts_in_bars_whose_ticks_were_removed(side: &dyn StoreUnderTest) {
    let mut all = ticks_of_days();
    let late = [
        tick("ABC", 1, 0, 500.0, 3.0),     // late in its second, a new high
        tick("ABC", 2_900, 1, 50.0, 4.0),  // the last of its second, a new low
        tick("ABC", 0, 0, 60.0, 5.0),      // before all others
        tick("ABC", 11_000, 1, 65.0, 6.0), // after all others of its minute
    ];
    for cut in cuts(&all) {
        let mut place = side.place(super::PLENTY).await;
        let store = place.open().await;
        for tick in &all {
            store.append(vec![tick.clone()]).await.unwrap();
        }
        assert!(store.remove_ticks(cut).await.unwrap().rows >= 10);
        assert_bars_are_the_fold(&*store, &all).await;
        let before = all.len();
        for tick in &late {
            let appended = store.append(vec![tick.clone()]).await.unwrap();
            assert_eq!(appended.stored.len(), 1);
            all.push(tick.clone());
            assert_bars_are_the_fold(&*store, &all).await;
            // What is told is what is stored.
            let days = store.bars(&all_of("ABC", Interval::D1)).await.unwrap();
            assert_eq!(appended.bars.last(), days.first());
        }
        all.truncate(before);
    }
}

pub async fn a_double_leaves_bars_whose_other_ticks_were_removed_as_they_are(
    side: &dyn StoreUnderTest,
) {
    let mut all = ticks_of_days();
    let cut = cuts(&all)[1];
    let mut place = side.place(super::PLENTY).await;
    let store = place.open().await;
    store.append(all.clone()).await.unwrap();
    store.remove_ticks(cut).await.unwrap();
    let duplicates = all[10..12].to_vec();
    let again = store.append(duplicates.clone()).await.unwrap();
    assert_eq!((again.stored.len(), again.duplicates), (0, 2));
    assert_bars_are_the_fold(&*store, &all).await;
    // Nor does it matter who gets them again, or what is new beside them.
    drop(store);
    let store = place.open().await;
    let late = tick("ABC", 2_900, 1, 50.0, 4.0);
    let with_new = [duplicates, vec![late.clone()]].concat();
    let again = store.append(with_new).await.unwrap();
    assert_eq!((again.stored.len(), again.duplicates), (1, 2));
    all.push(late);
    assert_bars_are_the_fold(&*store, &all).await;
}

pub async fn a_late_tick_counts_in_longer_bars_after_shorter_ones_were_removed(
    side: &dyn StoreUnderTest,
) {
    let mut all = ticks_of_days();
    let mut place = side.place(super::PLENTY).await;
    let store = place.open().await;
    store.append(all.clone()).await.unwrap();
    let removed = store.remove_bars(Interval::S1, cuts(&all)[0]).await;
    assert_eq!(removed.unwrap().rows, 10);
    all.push(tick("ABC", 2_900, 1, 50.0, 4.0));
    let late = all.last().cloned().into_iter().collect();
    store.append(late).await.unwrap();
    for interval in Interval::ALL.into_iter().filter(|i| *i != Interval::S1) {
        let stored = store.bars(&all_of("ABC", interval)).await.unwrap();
        assert_eq!(stored, bars_from_ticks(&all, &[interval]), "{interval}");
    }
}

pub async fn the_newest_tick_is_found_though_its_day_is_older_than_bars_are_kept(
    side: &dyn StoreUnderTest,
) {
    let mut place = side.place(super::PLENTY).await;
    let store = place.open().await;
    let all = ticks("ABC", 4);
    store.append(all.clone()).await.unwrap();
    // The days since came as bars.
    let days: Vec<Bar> = (1..=5).map(|n| bar("ABC", Interval::D1, n, 9.0)).collect();
    store.put_bars(days.clone()).await.unwrap();
    store
        .remove_bars(Interval::D1, days[3].start)
        .await
        .unwrap();
    let left = store.bars(&all_of("ABC", Interval::D1)).await.unwrap();
    assert!(left.ends_with(&days[3..]));
    assert!(left.iter().all(|day| !days[..3].contains(day)));
    let abc = symbol("ABC");
    let latest = store.latest_tick(&abc).await.unwrap().unwrap();
    assert_eq!(latest.tick, all[3]);
    // A late one makes a day of ticks, and is not the newest for it.
    let late = tick("ABC", -2 * DAY_MS, 1, 1.0, 1.0);
    store.append(vec![late]).await.unwrap();
    let latest = store.latest_tick(&abc).await.unwrap().unwrap();
    assert_eq!(latest.tick, all[3]);
    assert_eq!(store.remove_ticks(Timestamp::MAX).await.unwrap().rows, 4);
    let left = store.ticks(&abc, Timestamp::MIN, Timestamp::MAX, 9);
    assert_eq!(left.await.unwrap(), all[3..]);
}

/// A bar whose ticks two processes stored may be two rows, and goes as a whole.
pub async fn a_bar_of_several_processes_is_removed_as_a_whole(side: &dyn StoreUnderTest) {
    let mut place = side.place(super::PLENTY).await;
    let store = place.open().await;
    let day = 86_400_000;
    store
        .append(vec![tick("A", 2_000, 2, 6.0, 1.25)])
        .await
        .unwrap();
    drop(store);
    let store = place.open().await;
    let late = vec![
        tick("A", day + 2_000, 0, 9.5, 3.25),
        tick("A", 2_000, 0, 13.0, 1.5),
        tick("A", day + 1_000, 2, 3.0, 4.75),
        tick("A", day + 1_500, 2, 15.0, 3.5),
    ];
    store.append(late).await.unwrap();
    let bars = store.bars(&all_of("A", Interval::M5)).await.unwrap();
    assert_eq!(bars.len(), 2);
    let next_day = Interval::D1.start_of(START).plus_micros(day * 1_000);
    let removed = store.remove_bars(Interval::M5, next_day).await.unwrap();
    assert!([1, 2].contains(&removed.rows), "{removed:?}");
    let left = store.bars(&all_of("A", Interval::M5)).await.unwrap();
    assert_eq!(left, bars[1..]);
}
