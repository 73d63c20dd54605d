//! Bars that come as bars, and instruments.

use market::{Bar, ErrorKind, Interval};
use store::{Instrument, Store, SymbolQuery};

use super::{PLENTY, START, StoreUnderTest, all_of, bar, symbol, tick};

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

async fn minute(store: &dyn store::Store) -> Bar {
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

pub async fn instruments_tell_the_latest_state_of_each_symbol(side: &dyn StoreUnderTest) {
    let mut place = side.place(PLENTY).await;
    let store = place.open().await;
    store
        .put_bars(vec![
            bar("IMPORTED", Interval::D1, 4, 14.0),
            bar("IMPORTED", Interval::D1, 2, 12.0),
            bar("IMPORTED", Interval::H1, 1, 11.0),
        ])
        .await
        .unwrap();
    store
        .append(vec![
            tick("LIVE", 5_000, 2, 70.0, 1.0),
            tick("LIVE", 100, 1, 60.0, 1.0),
        ])
        .await
        .unwrap();
    let expected = [
        Instrument {
            symbol: symbol("IMPORTED"),
            last_price: 11.0,
            last: bar("IMPORTED", Interval::H1, 1, 0.0).start,
            intervals: vec![Interval::H1, Interval::D1],
            bars_only: true,
        },
        Instrument {
            symbol: symbol("LIVE"),
            last_price: 70.0,
            last: START.plus_micros(5_000_000),
            intervals: Interval::ALL.to_vec(),
            bars_only: false,
        },
    ];
    assert_eq!(store.instruments().await.unwrap(), expected);
    drop(store);
    let store = place.open().await;
    assert_eq!(store.instruments().await.unwrap(), expected);
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

/// The names of every page, and how many pages there were.
async fn pages(store: &dyn Store, text: &str, limit: usize) -> (Vec<String>, usize) {
    let mut query = SymbolQuery {
        text: text.to_owned(),
        after: None,
        limit,
    };
    let (mut names, mut count) = (Vec::new(), 0);
    loop {
        let page = store.symbols(&query).await.unwrap();
        assert!(page.instruments.len() <= limit);
        names.extend(page.instruments.iter().map(|i| i.symbol.to_string()));
        count += 1;
        match page.next {
            Some(next) => query.after = Some(next),
            None => return (names, count),
        }
    }
}

/// Imported `H…` and `USD/H0`, live `L…` and `BTC/USD`.
async fn some_symbols(store: &dyn Store) {
    let names = ["H0", "H1", "H2", "H3", "H4", "USD/H0"];
    let bars = names.map(|name| bar(name, Interval::D1, 0, 10.0));
    store.put_bars(bars.into()).await.unwrap();
    let names = ["L3", "L1", "BTC/USD", "L2"];
    let ticks = names.map(|name| tick(name, 1, 1, 50.0, 3.0));
    store.append(ticks.into()).await.unwrap();
}

pub async fn symbols_are_listed_in_pages_those_with_ticks_first(side: &dyn StoreUnderTest) {
    let mut place = side.place(PLENTY).await;
    let store = place.open().await;
    assert_eq!(pages(&*store, "", 3).await, (vec![], 1));
    some_symbols(&*store).await;
    let all = [
        "BTC/USD", "L1", "L2", "L3", "H0", "H1", "H2", "H3", "H4", "USD/H0",
    ];
    for limit in 1..=11 {
        let (names, count) = pages(&*store, "", limit).await;
        assert_eq!(names, all, "{limit}");
        assert_eq!(count, all.len().div_ceil(limit), "{limit}");
    }
    let first = SymbolQuery {
        limit: 5,
        ..SymbolQuery::default()
    };
    let listed = store.symbols(&first).await.unwrap().instruments;
    let whole = store.instruments().await.unwrap();
    let found = |one: &Instrument| whole.iter().any(|other| other == one);
    assert!(listed.iter().all(found), "{listed:?}");
}

pub async fn symbols_are_found_by_how_they_begin_then_by_what_they_hold(side: &dyn StoreUnderTest) {
    let mut place = side.place(PLENTY).await;
    let store = place.open().await;
    some_symbols(&*store).await;
    for (text, names) in [
        ("L", vec!["L1", "L2", "L3"]),
        ("H", vec!["H0", "H1", "H2", "H3", "H4", "USD/H0"]),
        ("USD", vec!["USD/H0", "BTC/USD"]),
        ("/", vec!["BTC/USD", "USD/H0"]),
        ("H3", vec!["H3"]),
        (".", vec![]),
        ("%", vec![]),
        ("ZZZ", vec![]),
    ] {
        for limit in [1, 2, 9] {
            let (found, count) = pages(&*store, text, limit).await;
            assert_eq!(found, names, "{text} by {limit}");
            assert_eq!(
                count,
                names.len().div_ceil(limit).max(1),
                "{text} by {limit}"
            );
        }
    }
}

pub async fn one_symbol_is_told_of_by_itself(side: &dyn StoreUnderTest) {
    let mut place = side.place(PLENTY).await;
    let store = place.open().await;
    assert_eq!(store.instrument(&symbol("H1")).await.unwrap(), None);
    some_symbols(&*store).await;
    for expected in store.instruments().await.unwrap() {
        let found = store.instrument(&expected.symbol).await.unwrap();
        assert_eq!(found, Some(expected));
    }
    assert_eq!(store.instrument(&symbol("H")).await.unwrap(), None);
}
