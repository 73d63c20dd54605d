//! Bars that come as bars, and reads of bars.

use market::{Bar, ErrorKind, Interval, Timestamp};
use store::BarQuery;

use super::{Database, PLENTY, START, StoreUnderTest, all_of, bar, symbol, tick};

pub async fn bars_come_back_as_they_were_put(side: &dyn StoreUnderTest) {
    let mut place = side.place(PLENTY).await;
    let store = place.open().await;
    let mut bars: Vec<Bar> = Interval::ALL
        .into_iter()
        .flat_map(|interval| (0..3).map(move |nth| bar("A", interval, nth, 10.1 + f64::from(nth))))
        .collect();
    bars.reverse();
    assert_eq!(store.put_bars(bars.clone()).await.unwrap(), bars.len());
    assert_eq!(store.put_bars(vec![]).await.unwrap(), 0);
    bars.reverse();
    for interval in Interval::ALL {
        let expected: Vec<&Bar> = bars.iter().filter(|b| b.interval == interval).collect();
        let got = store.bars(&all_of("A", interval)).await.unwrap();
        assert_eq!(got.iter().collect::<Vec<_>>(), expected);
    }
    assert_eq!(store.bars(&all_of("B", Interval::D1)).await.unwrap(), []);
}

pub async fn a_range_is_half_open_and_a_limit_takes_its_latest_bars(side: &dyn StoreUnderTest) {
    let mut place = side.place(PLENTY).await;
    let store = place.open().await;
    let bars: Vec<Bar> = (0..10)
        .map(|nth| bar("A", Interval::M1, nth, 10.0 + f64::from(nth)))
        .collect();
    store.put_bars(bars.clone()).await.unwrap();
    let mut query = all_of("A", Interval::M1);
    (query.from, query.until) = (bars[2].start, bars[7].start);
    assert_eq!(store.bars(&query).await.unwrap(), bars[2..7]);
    query.limit = 2;
    assert_eq!(store.bars(&query).await.unwrap(), bars[5..7]);
    query.limit = 0;
    assert_eq!(store.bars(&query).await.unwrap(), []);
    query.limit = 5;
    query.until = query.from;
    assert_eq!(store.bars(&query).await.unwrap(), []);
}

pub async fn a_bar_that_comes_again_replaces_the_one_that_came(side: &dyn StoreUnderTest) {
    let mut place = side.place(PLENTY).await;
    let store = place.open().await;
    store
        .put_bars(vec![bar("A", Interval::D1, 0, 10.0)])
        .await
        .unwrap();
    let corrected = bar("A", Interval::D1, 0, 12.5);
    assert_eq!(store.put_bars(vec![corrected.clone()]).await.unwrap(), 1);
    assert_eq!(
        store.bars(&all_of("A", Interval::D1)).await.unwrap(),
        [corrected]
    );
}

/// A bar of [`START`]'s minute that came when it had gone on for so many milliseconds.
fn came_after(ms: i64, volume: f64) -> Bar {
    let mut came = bar("A", Interval::M1, 0, 10.0);
    let read_at = START.plus_micros(ms * 1_000);
    (came.first, came.last) = Bar::keys_until(Interval::M1, came.start, read_at);
    came.volume = volume;
    came
}

async fn minute(store: &dyn Database) -> Bar {
    let mut bars = store.bars(&all_of("A", Interval::M1)).await.unwrap();
    assert_eq!(bars.len(), 1);
    bars.remove(0)
}

pub async fn a_bar_that_came_stays_as_it_is_whatever_ticks_of_it_come(side: &dyn StoreUnderTest) {
    let mut place = side.place(PLENTY).await;
    let store = place.open().await;
    let came = bar("A", Interval::M1, 0, 10.0);
    let ticks = vec![tick("A", 1, 1, 50.0, 3.0), tick("A", 59_999, 2, 51.0, 3.0)];
    store.put_bars(vec![came.clone()]).await.unwrap();
    let appended = store.append(ticks.clone()).await.unwrap();
    assert_eq!(appended.stored.len(), 2);
    assert!(
        appended
            .bars
            .iter()
            .all(|b| b.interval != Interval::M1 || *b == came)
    );
    assert_eq!(minute(store.as_ref()).await, came);
    // The ticks are there beside it, and in the bars that did not come.
    assert_eq!(
        store.ticks_after(&came.symbol, 0, 9).await.unwrap().len(),
        2
    );
    let seconds = store.bars(&all_of("A", Interval::S1)).await.unwrap();
    assert_eq!(seconds.iter().map(|b| b.trades).sum::<u64>(), 2);
    // Sent again it is stored, and the same.
    assert_eq!(store.put_bars(vec![came.clone()]).await.unwrap(), 1);
    assert_eq!(minute(store.as_ref()).await, came);
}

pub async fn a_bar_that_comes_after_its_ticks_counts_as_if_it_had_come_before(
    side: &dyn StoreUnderTest,
) {
    let mut place = side.place(PLENTY).await;
    let store = place.open().await;
    let ticks = vec![tick("A", 1, 1, 50.0, 3.0), tick("A", 59_999, 2, 51.0, 3.0)];
    store.append(ticks.clone()).await.unwrap();
    let came = vec![
        bar("A", Interval::M1, 0, 10.0),
        bar("A", Interval::M1, 1, 11.0),
    ];
    assert_eq!(store.put_bars(came.clone()).await.unwrap(), 2);
    let stored = store.bars(&all_of("A", Interval::M1)).await.unwrap();
    assert_eq!(stored, came);
}

pub async fn a_bar_that_came_while_it_went_on_goes_on_with_later_ticks(side: &dyn StoreUnderTest) {
    let mut place = side.place(PLENTY).await;
    let store = place.open().await;
    let came = came_after(30_000, 1_000_000.0);
    store.put_bars(vec![came.clone()]).await.unwrap();
    // One that it has, one that it has not, and one of each in a batch.
    let batches = [
        vec![tick("A", 29_000, 1, 50.0, 5.0)],
        vec![tick("A", 31_000, 2, 12.0, 5.0)],
        vec![
            tick("A", 28_000, 3, 60.0, 5.0),
            tick("A", 45_500, 4, 9.5, 7.0),
        ],
    ];
    let mut told = Vec::new();
    for batch in &batches {
        told.extend(store.append(batch.clone()).await.unwrap().bars);
    }
    let wanted = came.with_ticks(batches.iter().flatten());
    assert_eq!(
        (wanted.open, wanted.high, wanted.low, wanted.close),
        (9.75, 12.0, 9.0, 9.5)
    );
    assert_eq!((wanted.volume, wanted.trades), (1_000_012.0, 2));
    assert_eq!(minute(store.as_ref()).await, wanted);
    let last_told = told.iter().rfind(|b| b.interval == Interval::M1);
    assert_eq!(last_told, Some(&wanted));
    // What came later covers more, and has these ticks in it.
    let later = came_after(40_000, 1_000_005.0);
    store.put_bars(vec![later.clone()]).await.unwrap();
    let wanted = later.with_ticks(batches.iter().flatten());
    assert_eq!((wanted.volume, wanted.trades), (1_000_012.0, 1));
    assert_eq!(minute(store.as_ref()).await, wanted);
    drop(store);
    let store = place.open().await;
    assert_eq!(minute(store.as_ref()).await, wanted);
    // Whole at last.
    let whole = came_after(60_000, 2_000_000.0);
    store.put_bars(vec![whole.clone()]).await.unwrap();
    assert_eq!(minute(store.as_ref()).await, whole);
    store
        .append(vec![tick("A", 59_000, 5, 1.0, 1.0)])
        .await
        .unwrap();
    assert_eq!(minute(store.as_ref()).await, whole);
}

/// Ticks before, within and after what a bar covers, and the bar itself, in many orders.
pub async fn bars_that_come_and_ticks_give_the_same_bars_in_any_order(side: &dyn StoreUnderTest) {
    let ticks: Vec<_> = (0..12)
        .map(|i| {
            let (ms, seq) = (i * 5_000 + 7, i as u64);
            tick("A", ms, seq, 20.0 + ((i * 7) % 12) as f64, 1.0 + i as f64)
        })
        .collect();
    let mut came: Vec<Bar> = vec![came_after(30_000, 500.0)];
    // A longer one of a time in the middle, with ticks on both sides of what it covers.
    let mut hour = bar("A", Interval::H1, 0, 30.0);
    hour.first.ts = START.plus_micros(12_000_000);
    hour.last.ts = START.plus_micros(33_000_000);
    came.push(hour);
    for order in 0..6usize {
        let mut place = side.place(PLENTY).await;
        let store = place.open().await;
        let mut left: Vec<_> = ticks.clone();
        left.rotate_left(order * 5 % 12);
        if order % 2 == 1 {
            left.reverse();
        }
        for (i, batch) in left.chunks(3).enumerate() {
            if i == order % 5 {
                store.put_bars(came.clone()).await.unwrap();
            }
            store.append(batch.to_vec()).await.unwrap();
        }
        if order % 5 == 4 {
            store.put_bars(came.clone()).await.unwrap();
        }
        for came in &came {
            let stored = store.bars(&all_of("A", came.interval)).await.unwrap();
            assert_eq!(stored, [came.with_ticks(&ticks)], "order {order}");
        }
    }
}

pub async fn an_import_of_thousands_of_bars_is_whole(side: &dyn StoreUnderTest) {
    let mut place = side.place(PLENTY).await;
    let store = place.open().await;
    let names = ["A", "B", "C"];
    let bars: Vec<Bar> = (0..12_000)
        .map(|i| bar(names[i % 3], Interval::D1, i as u32 / 3, 10.0 + i as f64))
        .collect();
    assert_eq!(store.put_bars(bars.clone()).await.unwrap(), bars.len());
    for name in names {
        let stored = store.bars(&all_of(name, Interval::D1)).await.unwrap();
        let expected: Vec<&Bar> = bars.iter().filter(|b| b.symbol.as_str() == name).collect();
        assert_eq!(stored.iter().collect::<Vec<_>>(), expected);
    }
}

pub async fn bars_that_cannot_be_kept_are_refused_as_a_whole(side: &dyn StoreUnderTest) {
    let mut place = side.place(PLENTY).await;
    let store = place.open().await;
    let mut bad = bar("A", Interval::D1, 1, 10.0);
    bad.volume = f64::NAN;
    let refused = store
        .put_bars(vec![bar("A", Interval::D1, 0, 10.0), bad])
        .await;
    assert_eq!(refused.unwrap_err().kind(), ErrorKind::Invalid);
    assert_eq!(store.instruments().await.unwrap(), []);
}

pub async fn bars_of_many_queries_come_in_one_call_in_their_order(side: &dyn StoreUnderTest) {
    let mut place = side.place(PLENTY).await;
    let store = place.open().await;
    let bars: Vec<Bar> = (0..40)
        .flat_map(|nth| {
            [
                bar("A", Interval::M1, nth, 10.0 + f64::from(nth)),
                bar("B", Interval::D1, nth, 90.0 - f64::from(nth)),
            ]
        })
        .collect();
    store.put_bars(bars.clone()).await.unwrap();
    let of = |name: &str, interval: Interval| -> Vec<Bar> {
        let is_it = |b: &&Bar| b.symbol.as_str() == name && b.interval == interval;
        bars.iter().filter(is_it).cloned().collect()
    };
    let (minutes, days) = (of("A", Interval::M1), of("B", Interval::D1));
    let query = |name: &str, interval, from: Timestamp, until: Timestamp, limit| BarQuery {
        symbol: symbol(name),
        interval,
        from,
        until,
        limit,
    };
    let queries = [
        query("B", Interval::D1, days[3].start, days[9].start, 99),
        query("A", Interval::D1, Timestamp::MIN, Timestamp::MAX, 99),
        query("A", Interval::M1, Timestamp::MIN, Timestamp::MAX, 2),
        query("NONE", Interval::M1, Timestamp::MIN, Timestamp::MAX, 2),
        query("A", Interval::M1, Timestamp::MIN, minutes[5].start, 1),
        query("B", Interval::D1, days[3].start, days[9].start, 99),
        query("B", Interval::D1, Timestamp::MIN, Timestamp::MAX, 0),
    ];
    let found = store.bars_of(&queries).await.unwrap();
    let expected = [
        days[3..9].to_vec(),
        vec![],
        minutes[38..].to_vec(),
        vec![],
        minutes[4..5].to_vec(),
        days[3..9].to_vec(),
        vec![],
    ];
    assert_eq!(found, expected);
    assert_eq!(store.bars_of(&[]).await.unwrap(), Vec::<Vec<Bar>>::new());
}
