//! The symbols that there are: listed, searched, with their last prices.

use market::{Interval, Symbol};
use store::{Instrument, InstrumentQuote, SymbolQuery};

use super::{Database, PLENTY, START, StoreUnderTest, bar, symbol, tick};

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

/// The names of every page, and how many pages there were.
async fn pages(store: &dyn Database, text: &str, limit: usize) -> (Vec<String>, usize) {
    let mut query = SymbolQuery {
        text: text.to_owned(),
        after: None,
        limit,
    };
    let (mut names, mut count) = (Vec::new(), 0);
    loop {
        let page = store.symbols(&query).await.unwrap();
        assert!(page.quotes.len() <= limit);
        let listed = page.quotes.iter().map(|q| q.instrument.symbol.to_string());
        names.extend(listed);
        count += 1;
        match page.next {
            Some(next) => query.after = Some(next),
            None => return (names, count),
        }
    }
}

/// Imported `H…` and `USD/H0`, live `L…` and `BTC/USD`.
async fn some_symbols(store: &dyn Database) {
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
    let listed = store.symbols(&first).await.unwrap().quotes;
    let whole = store.instruments().await.unwrap();
    let found = |one: &InstrumentQuote| whole.contains(&one.instrument);
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

/// Of each symbol: its daily closes and whether it has ticks on the day after the last of them.
async fn some_days(store: &dyn Database) {
    let mut bars = Vec::new();
    for (name, closes) in [
        ("D0", vec![]),
        ("D1", vec![(0, 10.0)]),
        ("D4", vec![(0, 20.0), (1, 21.0), (4, 24.0)]),
        ("L1", vec![(0, 30.0), (1, 31.0)]),
    ] {
        bars.extend(
            closes
                .iter()
                .map(|(nth, close)| bar(name, Interval::D1, *nth, *close)),
        );
    }
    bars.push(bar("D0", Interval::M1, 0, 5.0));
    store.put_bars(bars).await.unwrap();
    let after = Interval::D1.end_of(Interval::D1.start_of(START));
    let ms = after.micros_since(START) / 1_000 + 86_400_000;
    let ticks = ["L1", "L0"].map(|name| tick(name, ms, 1, 50.0, 3.0));
    store.append(ticks.into()).await.unwrap();
}

pub async fn a_quote_has_the_close_before_the_day_of_the_last_price(side: &dyn StoreUnderTest) {
    let mut place = side.place(PLENTY).await;
    let store = place.open().await;
    some_days(&*store).await;
    let expected = [
        // Ticks alone, of one day.
        ("L0", None),
        ("L1", Some(31.0)),
        // Minutes alone, and one day alone.
        ("D0", None),
        ("D1", None),
        // The day before the last one that there is, not the calendar's.
        ("D4", Some(21.0)),
    ];
    let page = store
        .symbols(&SymbolQuery {
            limit: 9,
            ..SymbolQuery::default()
        })
        .await
        .unwrap();
    let told: Vec<(&str, Option<f64>)> = page
        .quotes
        .iter()
        .map(|quote| (quote.instrument.symbol.as_str(), quote.previous_close))
        .collect();
    let mut in_order = expected;
    in_order.sort_by_key(|(name, _)| (!name.starts_with('L'), *name));
    assert_eq!(told, in_order);
}

pub async fn symbols_that_are_asked_for_are_told_of_in_one_call(side: &dyn StoreUnderTest) {
    let mut place = side.place(PLENTY).await;
    let store = place.open().await;
    let asked: Vec<Symbol> = ["L1", "NONE", "D4", "BTC/USD", "H", "D0", "D4"]
        .map(symbol)
        .into();
    assert_eq!(store.quotes(&asked).await.unwrap(), []);
    some_days(&*store).await;
    some_symbols(&*store).await;
    let page = SymbolQuery {
        limit: 99,
        ..SymbolQuery::default()
    };
    let listed = store.symbols(&page).await.unwrap().quotes;
    let expected: Vec<InstrumentQuote> = ["L1", "D4", "BTC/USD", "D0", "D4"]
        .iter()
        .map(|name| {
            let is_it = |q: &&InstrumentQuote| q.instrument.symbol.as_str() == *name;
            listed.iter().find(is_it).unwrap().clone()
        })
        .collect();
    assert_eq!(store.quotes(&asked).await.unwrap(), expected);
    assert_eq!(store.quotes(&[]).await.unwrap(), []);
    let one = store.quote(&symbol("D4")).await.unwrap();
    assert_eq!(one.as_ref(), expected.get(1));
    assert_eq!(store.quote(&symbol("H")).await.unwrap(), None);
}
