//! Ticks, their positions, and the bars that follow from them.

use std::collections::BTreeSet;

use market::{Bar, ErrorKind, Interval, Tick, Timestamp, bars_from_ticks};
use proptest::{
    prelude::*,
    test_runner::{Config, TestRunner},
};
use store::{Appended, StoredTick};

use super::{PLENTY, START, StoreUnderTest, all_of, assert_bars_are_the_fold, bar, symbol, tick};

pub async fn a_tick_is_stored_once_within_a_batch_and_across_batches(side: &dyn StoreUnderTest) {
    let mut place = side.place(PLENTY).await;
    let store = place.open().await;
    let (a, b) = (tick("A", 1, 1, 10.0, 1.0), tick("A", 2, 2, 11.0, 1.0));
    let first = store
        .append(vec![a.clone(), b.clone(), a.clone()])
        .await
        .unwrap();
    assert_eq!((first.stored.len(), first.duplicates), (2, 1));
    // The same key of another symbol and the same time under another sequence are other ticks.
    let other = [tick("B", 1, 1, 10.0, 1.0), tick("A", 1, 2, 10.0, 1.0)];
    let batch = [&[b.clone(), a.clone()], &other[..]].concat();
    let second = store.append(batch).await.unwrap();
    assert_eq!(second.duplicates, 2);
    let new: Vec<&Tick> = second.stored.iter().map(|s| &s.tick).collect();
    assert_eq!(new, [&other[0], &other[1]]);
    let third = store.append(vec![a, b]).await.unwrap();
    assert_eq!((third.stored.len(), third.duplicates), (0, 2));
    assert_eq!(third.bars, []);
    assert_eq!(store.append(vec![]).await.unwrap(), Appended::default());
}

pub async fn a_key_that_is_there_keeps_its_first_price(side: &dyn StoreUnderTest) {
    let mut place = side.place(PLENTY).await;
    let store = place.open().await;
    let first = tick("A", 1, 1, 10.0, 1.0);
    store.append(vec![first.clone()]).await.unwrap();
    store
        .append(vec![tick("A", 1, 1, 99.0, 5.0)])
        .await
        .unwrap();
    let all = store
        .ticks(&symbol("A"), Timestamp::MIN, Timestamp::MAX, 10)
        .await
        .unwrap();
    assert_eq!(all, [first]);
}

pub async fn positions_grow_and_survive_reopening(side: &dyn StoreUnderTest) {
    let mut place = side.place(PLENTY).await;
    let mut last = 0;
    let mut seen: Vec<StoredTick> = Vec::new();
    for round in 0..3_i64 {
        let store = place.open().await;
        let before = store.ticks_after(&symbol("A"), 0, 100).await.unwrap();
        assert_eq!(before, seen, "positions changed");
        for i in 0..3_i64 {
            // Market time runs backwards: positions do not follow it.
            let ms = 1_000 - round * 100 - i;
            let appended = store
                .append(vec![
                    tick("A", ms, 1, 10.0, 1.0),
                    tick("B", ms, 1, 10.0, 1.0),
                ])
                .await
                .unwrap();
            for stored in appended.stored {
                assert!(stored.position > last);
                last = stored.position;
                if stored.tick.symbol.as_str() == "A" {
                    seen.push(stored);
                }
            }
        }
    }
}

pub async fn a_reader_resumes_after_any_position(side: &dyn StoreUnderTest) {
    let mut place = side.place(PLENTY).await;
    let store = place.open().await;
    let names = ["OFTEN", "HALF", "RARE"];
    let mut stored: Vec<StoredTick> = Vec::new();
    for i in 0..40_u64 {
        let batch = (0..50_u64)
            .map(|j| {
                let n = i * 50 + j;
                let name = if n % 400 == 7 {
                    names[2]
                } else {
                    names[(n % 3 == 0) as usize]
                };
                tick(name, n as i64, n, 10.0 + n as f64, 1.0)
            })
            .collect();
        stored.extend(store.append(batch).await.unwrap().stored);
    }
    for name in names {
        let symbol = symbol(name);
        let of_symbol: Vec<&StoredTick> =
            stored.iter().filter(|s| s.tick.symbol == symbol).collect();
        for limit in [1, 7, 100, usize::MAX] {
            let (mut position, mut read) = (0, Vec::new());
            loop {
                let page = store.ticks_after(&symbol, position, limit).await.unwrap();
                let Some(last) = page.last() else { break };
                assert!(page.len() <= limit);
                position = last.position;
                read.extend(page);
            }
            assert_eq!(
                read.iter().collect::<Vec<_>>(),
                of_symbol,
                "{name} by {limit}"
            );
        }
        for from in [0, 1, 255, 256, 257, 1_000, 1_999, 2_000, 2_001, u64::MAX] {
            let got = store.ticks_after(&symbol, from, 10_000).await.unwrap();
            let expected: Vec<&StoredTick> = of_symbol
                .iter()
                .filter(|s| s.position > from)
                .copied()
                .collect();
            assert_eq!(
                got.iter().collect::<Vec<_>>(),
                expected,
                "{name} after {from}"
            );
        }
    }
    assert_eq!(store.ticks_after(&symbol("OFTEN"), 0, 0).await.unwrap(), []);
}

pub async fn ticks_are_read_by_key_and_the_latest_of_a_range(side: &dyn StoreUnderTest) {
    let mut place = side.place(PLENTY).await;
    let store = place.open().await;
    let mut ticks = vec![
        tick("A", 30, 1, 3.0, 1.0),
        tick("A", 10, 1, 1.0, 1.0),
        tick("A", 20, 9, 2.9, 1.0),
        tick("A", 20, 2, 2.2, 1.0),
        tick("B", 20, 2, 7.0, 1.0),
    ];
    store.append(ticks.clone()).await.unwrap();
    ticks.retain(|t| t.symbol.as_str() == "A");
    ticks.sort_by_key(Tick::key);
    let at = |ms: i64| START.plus_micros(ms * 1_000);
    let read =
        async |from, until, limit| store.ticks(&symbol("A"), from, until, limit).await.unwrap();
    assert_eq!(read(Timestamp::MIN, Timestamp::MAX, 10).await, ticks);
    assert_eq!(read(at(10), at(30), 10).await, ticks[..3]);
    assert_eq!(read(at(11), at(31), 10).await, ticks[1..]);
    assert_eq!(read(at(0), at(30), 2).await, ticks[1..3]);
    assert_eq!(read(at(31), at(90), 2).await, []);
}

pub async fn the_latest_tick_has_the_greatest_key_and_the_greatest_position(
    side: &dyn StoreUnderTest,
) {
    let mut place = side.place(PLENTY).await;
    let store = place.open().await;
    let newest = tick("A", 500, 3, 5.0, 1.0);
    store
        .append(vec![newest.clone(), tick("A", 500, 2, 4.0, 1.0)])
        .await
        .unwrap();
    let late = store
        .append(vec![tick("A", 100, 1, 1.0, 1.0)])
        .await
        .unwrap();
    store
        .append(vec![tick("B", 900, 1, 1.0, 1.0)])
        .await
        .unwrap();
    let expected = Some(StoredTick {
        position: late.stored[0].position,
        tick: newest,
    });
    assert_eq!(store.latest_tick(&symbol("A")).await.unwrap(), expected);
    drop(store);
    let store = place.open().await;
    assert_eq!(store.latest_tick(&symbol("A")).await.unwrap(), expected);
}

pub async fn appends_at_the_same_time_store_every_tick_once(side: &dyn StoreUnderTest) {
    let mut place = side.place(PLENTY).await;
    let store = place.open().await;
    let ticks: Vec<Tick> = (0..600_u64)
        .map(|i| tick(["A", "B"][(i % 2) as usize], i as i64 * 7, i, 10.0, 2.0))
        .collect();
    let mut tasks = Vec::new();
    for shift in 0..6 {
        let (store, mut ticks) = (store.clone(), ticks.clone());
        tasks.push(tokio::spawn(async move {
            ticks.rotate_left(shift * 100);
            let mut stored = Vec::new();
            for chunk in ticks.chunks(13) {
                stored.extend(store.append(chunk.to_vec()).await.unwrap().stored);
            }
            stored
        }));
    }
    let mut stored = Vec::new();
    for task in tasks {
        stored.extend(task.await.unwrap());
    }
    assert_eq!(stored.len(), ticks.len());
    let positions: BTreeSet<u64> = stored.iter().map(|s| s.position).collect();
    assert_eq!(positions.len(), ticks.len());
    assert_bars_are_the_fold(store.as_ref(), &ticks).await;
}

/// Ticks of two symbols over some minutes with whole sizes, so that sums are exact in any order,
/// and the batches they come in.
fn batches() -> impl Strategy<Value = (Vec<Tick>, Vec<usize>)> {
    let one = (0..2_usize, 0..400_000_i64, 1..500_u32, 0..50_u32);
    let ticks = prop::collection::vec(one, 1..120).prop_map(|all| {
        all.into_iter()
            .map(|(s, ms, price, size)| {
                // The sequence follows from the time, so that some keys come twice.
                let name = ["A", "B"][s];
                tick(name, ms / 50 * 50, 1, f64::from(price), f64::from(size))
            })
            .collect()
    });
    (ticks, prop::collection::vec(1..40_usize, 1..6))
}

pub async fn bars_equal_the_fold_of_all_ticks_in_whatever_order_and_batches_they_came(
    side: &dyn StoreUnderTest,
) {
    let config = Config {
        cases: 24,
        failure_persistence: None,
        ..Config::default()
    };
    let check = async |ticks: Vec<Tick>, sizes: Vec<usize>| {
        let mut place = side.place(PLENTY).await;
        let store = place.open().await;
        let mut kept: Vec<Tick> = Vec::new();
        let mut rest = ticks.as_slice();
        for size in sizes.iter().cycle() {
            let (batch, after) = rest.split_at(rest.len().min(*size));
            let appended = store.append(batch.to_vec()).await.unwrap();
            assert_eq!(appended.stored.len() + appended.duplicates, batch.len());
            // The bars that it returns are those of the batch, as they stand in the store.
            let new: Vec<Tick> = appended.stored.into_iter().map(|s| s.tick).collect();
            let touched = bars_from_ticks(&new, &Interval::ALL);
            assert_eq!(appended.bars.len(), touched.len());
            for (got, partial) in appended.bars.iter().zip(&touched) {
                assert_eq!(
                    (&got.symbol, got.interval, got.start),
                    (&partial.symbol, partial.interval, partial.start)
                );
                let mut query = all_of(got.symbol.as_str(), got.interval);
                (query.from, query.until) = (got.start, got.end());
                let stored = store.bars(&query).await.unwrap();
                assert_eq!(stored.iter().collect::<Vec<_>>(), [got]);
            }
            kept.extend(new);
            rest = after;
            if rest.is_empty() {
                break;
            }
        }
        let keys: BTreeSet<_> = ticks.iter().map(|t| (t.symbol.clone(), t.key())).collect();
        assert_eq!(kept.len(), keys.len());
        assert_bars_are_the_fold(store.as_ref(), &kept).await;
    };
    let handle = tokio::runtime::Handle::current();
    tokio::task::block_in_place(|| {
        TestRunner::new(config)
            .run(&batches(), |(ticks, sizes)| {
                handle.block_on(check(ticks, sizes));
                Ok(())
            })
            .unwrap();
    });
}

pub async fn a_late_tick_corrects_its_bars(side: &dyn StoreUnderTest) {
    let mut place = side.place(PLENTY).await;
    let store = place.open().await;
    let early = vec![tick("A", 500, 5, 100.0, 1.0), tick("A", 900, 9, 110.0, 1.0)];
    store.append(early).await.unwrap();
    store
        .append(vec![tick("A", 90_000, 1, 120.0, 1.0)])
        .await
        .unwrap();
    let late = store
        .append(vec![tick("A", 100, 1, 90.0, 2.0)])
        .await
        .unwrap();
    let second = &late.bars[0];
    assert_eq!(second.interval, Interval::S1);
    assert_eq!(
        (second.open, second.high, second.low, second.close),
        (90.0, 110.0, 90.0, 110.0)
    );
    assert_eq!((second.volume, second.trades), (4.0, 3));
    let day = late.bars.last().unwrap();
    assert_eq!(day.interval, Interval::D1);
    assert_eq!((day.open, day.close, day.trades), (90.0, 120.0, 4));
    let stored = store.bars(&all_of("A", Interval::D1)).await.unwrap();
    assert_eq!(stored.iter().collect::<Vec<_>>(), [day]);
}

pub async fn a_bar_is_told_whole_after_reopening_though_older_ticks_came_first(
    side: &dyn StoreUnderTest,
) {
    let mut place = side.place(PLENTY).await;
    let store = place.open().await;
    let mut all = vec![tick("A", 60_000, 1, 100.0, 1.0)];
    store.append(all.clone()).await.unwrap();
    drop(store);
    let store = place.open().await;
    // One of the minute before, then one of the minute that the first process had begun.
    for tick in [
        tick("A", 1_000, 1, 90.0, 1.0),
        tick("A", 70_000, 1, 80.0, 1.0),
    ] {
        all.push(tick.clone());
        let told = store.append(vec![tick.clone()]).await.unwrap().bars;
        let mut expected = bars_from_ticks(&all, &Interval::ALL);
        expected.retain(|bar| bar.start == bar.interval.start_of(tick.ts));
        assert_eq!(told, expected);
    }
    // So is one that came as a bar, before any tick of its time.
    let mut later = bar("A", Interval::M1, 9, 50.0);
    (later.first, later.last) = Bar::keys_until(later.interval, later.start, later.start);
    store.put_bars(vec![later.clone()]).await.unwrap();
    let next = tick("A", 120_000, 1, 70.0, 1.0);
    store.append(vec![next]).await.unwrap();
    let inside = tick("A", 9 * 60_000 + 1_000, 1, 60.0, 1.0);
    let told = store.append(vec![inside.clone()]).await.unwrap().bars;
    assert!(told.contains(&later.with_ticks([&inside])), "{told:?}");
}

pub async fn ticks_that_cannot_be_kept_are_refused_as_a_whole(side: &dyn StoreUnderTest) {
    let mut place = side.place(PLENTY).await;
    let store = place.open().await;
    let good = tick("A", 1, 1, 10.0, 1.0);
    for bad in [
        tick("A", 2, 2, f64::NAN, 1.0),
        tick("A", 2, 2, 1.0, f64::INFINITY),
        tick("A", 2, u64::MAX, 1.0, 1.0),
    ] {
        let refused = store.append(vec![good.clone(), bad]).await.unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::Invalid);
    }
    assert_eq!(store.ticks_after(&symbol("A"), 0, 10).await.unwrap(), []);
    let stored = store.append(vec![good]).await.unwrap().stored;
    assert_eq!(stored.len(), 1);
}

pub async fn nothing_is_known_of_a_symbol_without_ticks(side: &dyn StoreUnderTest) {
    let mut place = side.place(PLENTY).await;
    let store = place.open().await;
    let none = symbol("NONE");
    assert_eq!(store.latest_tick(&none).await.unwrap(), None);
    assert_eq!(store.ticks_after(&none, 0, 10).await.unwrap(), []);
    assert_eq!(store.instruments().await.unwrap(), []);
    assert_eq!(store.bars(&all_of("NONE", Interval::S1)).await.unwrap(), []);
    let ticks = store.ticks(&none, Timestamp::MIN, Timestamp::MAX, 1).await;
    assert_eq!(ticks.unwrap(), []);
}
