//! Resuming: from memory, from the store, across restarts, beyond the limit.

use std::{sync::Arc, time::Duration};

use market::Interval;
use proptest::prelude::*;
use protocol::LiveMessage;

use crate::harness::*;

/// One stretch of a server's life: ticks while the reader is there, ticks while it is away.
#[derive(Clone, Debug)]
struct Stretch {
    /// Sizes of the batches.
    present: Vec<usize>,
    away: Vec<usize>,
    /// Whether the server restarts while the reader is away.
    restart: bool,
}

fn stretches() -> impl Strategy<Value = Vec<Stretch>> {
    let sizes = || prop::collection::vec(1usize..60, 0..6);
    prop::collection::vec(
        (sizes(), sizes(), any::<bool>()).prop_map(|(present, away, restart)| Stretch {
            present,
            away,
            restart,
        }),
        1..5,
    )
}

async fn live_through(stretches: Vec<Stretch>) {
    let dir = tempfile::tempdir().unwrap();
    let mut config = config();
    config.live.ring_ticks = 0; // the least: 64 of a symbol
    let mut store = Arc::new(open(dir.path()).await);
    let mut pipeline = start(config.clone(), store.clone()).await;
    let mut seen = Seen::default();
    let mut seq = 0u64;
    let mut batch = |size: usize| {
        (0..size)
            .map(|_| {
                seq += 1;
                let name = if seq.is_multiple_of(3) { "BBB" } else { "AAA" };
                tick(name, (seq / 5) as i64, seq, 1.0 + (seq % 10) as f64)
            })
            .collect::<Vec<_>>()
    };
    for stretch in stretches {
        let session = pipeline.live.connect();
        session.request(resume("AAA", seen.seq, &[Interval::S1]));
        for size in stretch.present {
            pipeline.sink.write(batch(size), None).await.unwrap();
            // Reading a little, so that the cut falls anywhere in the stream.
            if let Some(pipeline::Frame::Text(text)) = session.try_next() {
                seen.take(&serde_json::from_slice(&text).unwrap());
            }
        }
        // The reader goes after a message or two, whatever is still waiting for it.
        for _ in 0..2 {
            if let Ok(pipeline::Frame::Text(text)) =
                tokio::time::timeout(Duration::from_millis(5), session.next()).await
            {
                seen.take(&serde_json::from_slice(&text).unwrap());
            }
        }
        drop(session);
        for size in stretch.away {
            pipeline.sink.write(batch(size), None).await.unwrap();
        }
        if stretch.restart {
            pipeline.shutdown(Duration::from_secs(30)).await;
            drop(pipeline);
            store.close().await.unwrap();
            drop(store);
            store = Arc::new(open(dir.path()).await);
            pipeline = start(config.clone(), store.clone()).await;
        }
    }
    let all = stored(&*store, "AAA", 0).await;
    let last = store::PriceReader::latest_tick(&*store, &symbol("AAA"))
        .await
        .unwrap()
        .map_or(0, |t| t.position);
    let session = pipeline.live.connect();
    session.request(resume("AAA", seen.seq, &[Interval::S1]));
    seen.read_to(&session, last).await;
    assert_eq!(seen.snapshots, 0);
    assert_eq!(seen.ticks, all);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]

    #[test]
    fn a_reader_that_resumes_misses_nothing_and_sees_nothing_twice(stretches in stretches()) {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .enable_all()
            .build()
            .unwrap();
        runtime.block_on(live_through(stretches));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_resume_while_ticks_flow_catches_up_from_the_store() {
    let dir = tempfile::tempdir().unwrap();
    let store = Arc::new(open(dir.path()).await);
    let mut config = config();
    config.live.ring_ticks = 0;
    let pipeline = start(config, store.clone()).await;
    let batch = |n: u64| -> Vec<_> {
        (0..50)
            .map(|k| tick("AAA", n as i64, n * 50 + k, 1.0))
            .collect()
    };
    for n in 0..100 {
        pipeline.sink.write(batch(n), None).await.unwrap();
    }
    let sink = pipeline.sink.clone();
    let writer = tokio::spawn(async move {
        for n in 100..200 {
            sink.write(batch(n), None).await.unwrap();
        }
    });
    let session = pipeline.live.connect();
    session.request(resume("AAA", 1_234, &[]));
    let mut seen = Seen {
        seq: 1_234,
        ..Seen::default()
    };
    seen.read_to(&session, 10_000).await;
    writer.await.unwrap();
    assert_eq!(seen.snapshots, 0);
    assert_eq!(seen.ticks, stored(&*store, "AAA", 1_234).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn who_has_missed_too_much_or_comes_from_another_store_starts_anew() {
    let dir = tempfile::tempdir().unwrap();
    let store = Arc::new(open(dir.path()).await);
    let mut config = config();
    config.live.ring_ticks = 0;
    config.live.resume_ticks = 100;
    let pipeline = start(config, store).await;
    for n in 0..10 {
        let ticks = (0..20).map(|k| tick("AAA", n, n as u64 * 20 + k, 1.0));
        pipeline.sink.write(ticks.collect(), None).await.unwrap();
    }
    for (seen_seq, resets) in [(99, 1), (100, 0), (150, 0), (200, 0), (201, 1)] {
        let session = pipeline.live.connect();
        session.request(resume("AAA", seen_seq, &[]));
        let mut seen = Seen {
            seq: seen_seq,
            ..Seen::default()
        };
        if resets == 1 {
            while seen.snapshots == 0 {
                seen.take(&next(&session).await);
            }
        }
        seen.read_to(&session, 200).await;
        assert_eq!((seen.resets, seen.seq), (resets, 200), "from {seen_seq}");
        let missed = if resets == 1 { 0 } else { 200 - seen_seq };
        assert_eq!(seen.ticks.len() as u64, missed);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_resume_brings_the_bars_of_the_time_away() {
    let dir = tempfile::tempdir().unwrap();
    let store = Arc::new(open(dir.path()).await);
    let pipeline = start(config(), store).await;
    let write = |second, seq| {
        let sink = pipeline.sink.clone();
        async move {
            let ticks = vec![tick("AAA", second, seq, seq as f64)];
            sink.write(ticks, None).await.unwrap();
        }
    };
    write(10, 1).await;
    for (second, seq) in [(70, 2), (130, 3), (190, 4)] {
        write(second, seq).await;
    }
    let session = pipeline.live.connect();
    session.request(resume("AAA", 1, &[Interval::M1]));
    let mut bars = std::collections::BTreeMap::new();
    while bars.len() < 3 {
        if let LiveMessage::Bar { bar, closed, .. } = next(&session).await {
            bars.insert(bar.start, (bar.close, closed));
        }
    }
    let bars: Vec<_> = bars.into_iter().collect();
    assert_eq!(
        bars,
        [
            (at(60), (2.0, true)),
            (at(120), (3.0, true)),
            (at(180), (4.0, false))
        ]
    );
}
