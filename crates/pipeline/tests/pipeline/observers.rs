//! Observers: told of all that is stored, in its order.

use std::sync::{Arc, Mutex};

use market::{Bar, Interval, Symbol, Timestamp};
use pipeline::{Origin, Parts, Pipeline, Role, StoredObserver, StoredRows};

use crate::harness::*;

/// A minute: whose, when it starts, its close.
type Minute = (Symbol, Timestamp, f64);

/// What was told: the minutes of each call.
#[derive(Default)]
struct Told(Mutex<Vec<(Origin, Vec<Minute>)>>);

impl StoredObserver for Told {
    fn stored(&self, rows: StoredRows<'_>) {
        let minutes = rows.bars.iter().filter(|b| b.interval == Interval::M1);
        let minutes = minutes.map(|b| (b.symbol.clone(), b.start, b.close));
        self.0
            .lock()
            .unwrap()
            .push((rows.origin, minutes.collect()));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_observer_is_told_once_of_each_append_in_order_of_storage_with_the_bars_as_they_are() {
    let dir = tempfile::tempdir().unwrap();
    let store = Arc::new(open(dir.path()).await);
    let wall = Wall::new(at(10_000_000));
    let parts = Parts::in_process(memory_bus(), store, Vec::new(), wall.clock());
    let prepared = Pipeline::prepare(Role::Serve, config(), parts);
    let prepared = prepared.await.unwrap();
    let (first, second) = (Arc::new(Told::default()), Arc::new(Told::default()));
    prepared.observers().subscribe_stored(first.clone());
    prepared.observers().subscribe_stored(second.clone());
    let pipeline = prepared.run();
    // At the same time: they go to the store together, and are told of one by one.
    let writes = (0..40).map(|n| {
        let ticks = vec![tick("AAA", n / 10 * 60, n as u64, 100.0 + n as f64)];
        pipeline.sink.write(ticks, None)
    });
    futures::future::try_join_all(writes).await.unwrap();
    let history = vec![tick("BBB", 5, 1, 7.0)];
    pipeline.sink.write_history(history).await.unwrap();
    let whole = Bar::from_tick(&tick("CCC", 0, 0, 5.0), Interval::M1);
    pipeline.sink.write_bars(vec![whole.clone()]).await.unwrap();
    pipeline.sink.write_history_bars(vec![whole]).await.unwrap();

    let told = std::mem::take(&mut *first.0.lock().unwrap());
    assert_eq!(told, *second.0.lock().unwrap());
    let ticks = told[..40].iter();
    let closes: Vec<f64> = ticks.map(|(_, minutes)| minutes[0].2).collect();
    assert_eq!(closes, (100..140).map(f64::from).collect::<Vec<_>>());
    assert!(told[..40].iter().all(|(origin, _)| *origin == Origin::Live));
    let one = |name: &str, close: f64| vec![(symbol(name), at(0), close)];
    assert_eq!(
        told[40..],
        [
            (Origin::Historical, one("BBB", 7.0)),
            (Origin::Live, one("CCC", 5.0)),
            (Origin::Historical, one("CCC", 5.0)),
        ]
    );
}
