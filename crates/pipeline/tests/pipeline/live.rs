//! `/live`: snapshots, deltas, bars, slow readers.

use std::sync::Arc;

use bytes::Bytes;
use market::Interval;
use pipeline::{Frame, LiveSession, MarketTime, Pipeline};
use protocol::{LiveMessage, LiveRequest};

use crate::harness::*;

#[tokio::test(flavor = "multi_thread")]
async fn a_snapshot_taken_while_ticks_flow_is_followed_by_every_later_tick_once() {
    let dir = tempfile::tempdir().unwrap();
    let store = Arc::new(open(dir.path()).await);
    let pipeline = Arc::new(start(config(), store.clone()).await);
    let sink = pipeline.sink.clone();
    let writer = tokio::spawn(async move {
        for n in 0..400u64 {
            let ticks = (0..25)
                .map(|k| tick("AAA", n as i64 / 10, n * 25 + k, 1.0 + k as f64))
                .collect();
            sink.write(ticks, Some(std::time::Instant::now()))
                .await
                .unwrap();
        }
    });
    let readers: Vec<_> = (0..20)
        .map(|n| {
            let pipeline = Arc::clone(&pipeline);
            tokio::spawn(async move {
                tokio::time::sleep(std::time::Duration::from_millis(n * 3)).await;
                let session = pipeline.live.connect();
                session.request(subscribe(&["AAA"], &[Interval::S1, Interval::M1]));
                let mut seen = Seen::default();
                while seen.snapshots == 0 {
                    seen.take(&next(&session).await);
                }
                seen.read_to(&session, 10_000).await;
                seen
            })
        })
        .collect();
    writer.await.unwrap();
    for reader in readers {
        let seen = reader.await.unwrap();
        assert_eq!((seen.snapshots, seen.skipped), (1, 0));
        assert_eq!(seen.ticks, stored(&*store, "AAA", seen.from).await);
    }
}

/// The bytes of the next message of ticks.
async fn text_of_ticks(session: &LiveSession) -> Bytes {
    loop {
        let Frame::Text(text) = frame(session).await else {
            panic!("the session ended");
        };
        let message = serde_json::from_slice(&text).unwrap();
        if matches!(message, LiveMessage::Ticks { .. }) {
            return text;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_reader_of_a_tick_gets_the_same_bytes_made_once() {
    let dir = tempfile::tempdir().unwrap();
    let store = Arc::new(open(dir.path()).await);
    let pipeline = start(config(), store).await;
    let readers = [pipeline.live.connect(), pipeline.live.connect()];
    for reader in &readers {
        reader.request(subscribe(&["AAA"], &[]));
        while !matches!(next(reader).await, LiveMessage::Snapshot { .. }) {}
    }
    for seq in 1..=3 {
        let ticks = vec![tick("AAA", 1, seq, 1.0)];
        pipeline.sink.write(ticks, None).await.unwrap();
        // Both are held, so that the place of one cannot be used again for the other.
        let one = text_of_ticks(&readers[0]).await;
        let other = text_of_ticks(&readers[1]).await;
        assert_eq!(one, other);
        assert_eq!(one.as_ptr(), other.as_ptr(), "made for each reader anew");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bar_closes_when_market_time_passes_its_end_and_a_late_tick_corrects_it() {
    let dir = tempfile::tempdir().unwrap();
    let store = Arc::new(open(dir.path()).await);
    let pipeline = start(config(), store.clone()).await;
    let session = pipeline.live.connect();
    session.request(subscribe(&["AAA"], &[Interval::M1]));
    let bar = |message: LiveMessage| match message {
        LiveMessage::Bar { bar, closed, .. } => Some((bar, closed)),
        _ => None,
    };
    let next_bar = || async {
        loop {
            if let Some(found) = bar(next(&session).await) {
                return found;
            }
        }
    };
    assert!(matches!(next(&session).await, LiveMessage::Hello { .. }));
    assert!(matches!(
        next(&session).await,
        LiveMessage::Snapshot {
            seq: 0,
            last: None,
            ..
        }
    ));
    let write = |t| pipeline.sink.write(vec![t], None);
    write(tick("AAA", 10, 1, 5.0)).await.unwrap();
    let (open, closed) = next_bar().await;
    assert_eq!((open.close, closed), (5.0, false));
    // Another symbol's trade tells that the minute is over.
    write(tick("BBB", 61, 2, 9.0)).await.unwrap();
    let (whole, closed) = next_bar().await;
    assert_eq!((whole.start, whole.close, closed), (at(0), 5.0, true));
    write(tick("AAA", 50, 3, 7.0)).await.unwrap();
    let (corrected, closed) = next_bar().await;
    assert_eq!((corrected.start, corrected.close), (at(0), 7.0));
    assert_eq!((corrected.high, corrected.trades, closed), (7.0, 2, true));
    write(tick("AAA", 70, 4, 8.0)).await.unwrap();
    let (following, closed) = next_bar().await;
    assert_eq!(
        (following.start, following.close, closed),
        (at(60), 8.0, false)
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn the_wall_clock_closes_a_live_bar_although_nothing_trades() {
    let dir = tempfile::tempdir().unwrap();
    let store = Arc::new(open(dir.path()).await);
    let wall = Wall::new(at(10));
    let mut config = config();
    config.market_time = MarketTime::Live;
    let pipeline = Pipeline::start(config, memory_bus(), store, Vec::new(), wall.clock())
        .await
        .unwrap();
    let session = pipeline.live.connect();
    session.request(subscribe(&["AAA"], &[Interval::M1]));
    let written = pipeline
        .sink
        .write(vec![tick("AAA", 10, 1, 5.0)], None)
        .await;
    assert_eq!(written.unwrap().stored.len(), 1);
    wall.set(at(5)); // stepping back breaks nothing
    let closed = || async {
        loop {
            if let LiveMessage::Bar { closed, .. } = next(&session).await {
                return closed;
            }
        }
    };
    wall.set(at(62));
    within(async { while !closed().await {} }).await;
    // Who comes later is told too.
    let session = pipeline.live.connect();
    session.request(subscribe(&["AAA"], &[Interval::M1]));
    within(async {
        while !matches!(next(&session).await, LiveMessage::Bar { closed: true, .. }) {}
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_slow_reader_gets_the_latest_state_and_is_then_cut_off() {
    let dir = tempfile::tempdir().unwrap();
    let store = Arc::new(open(dir.path()).await);
    let mut config = config();
    config.live.queue_messages = 4;
    config.live.coalesce_ms = 0;
    let pipeline = start(config.clone(), store.clone()).await;
    let session = pipeline.live.connect();
    session.request(subscribe(&["AAA"], &[Interval::M1]));
    let mut seen = Seen::default();
    while seen.snapshots == 0 {
        seen.take(&next(&session).await);
    }
    let mut seq = 0;
    while pipeline.live.stats().conflations.total == 0 {
        seq += 1;
        let written = pipeline
            .sink
            .write(vec![tick("AAA", 1, seq, 2.0)], None)
            .await;
        assert_eq!(written.unwrap().stored[0].position, seq);
    }
    seen.read_to(&session, seq).await;
    assert!(seen.skipped > 0);
    assert_eq!(seen.ticks.len() as u64 + seen.skipped, seq);
    assert_eq!(seen.ticks.last(), stored(&*store, "AAA", 0).await.last());
    pipeline.shutdown(std::time::Duration::from_secs(30)).await;
    drop(session);

    config.live.max_behind_ms = 0;
    let pipeline = start(config, store).await;
    let session = pipeline.live.connect();
    session.request(subscribe(&["AAA"], &[]));
    let mut snapshot = Seen::default();
    while snapshot.snapshots == 0 {
        snapshot.take(&next(&session).await);
    }
    while pipeline.live.stats().cut_offs.total == 0 {
        seq += 1;
        let write = pipeline.sink.write(vec![tick("AAA", 1, seq, 2.0)], None);
        write.await.unwrap();
    }
    within(session.ended()).await;
    let LiveMessage::Bye { reason } = next(&session).await else {
        panic!("no farewell");
    };
    assert_eq!(reason, "the reader is too slow");
    assert!(matches!(
        frame(&session).await,
        Frame::Close { code: 1008, .. }
    ));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reader_hears_nothing_of_what_it_has_unsubscribed_and_its_pings_come_back() {
    let dir = tempfile::tempdir().unwrap();
    let store = Arc::new(open(dir.path()).await);
    let pipeline = start(config(), store).await;
    let session = pipeline.live.connect();
    session.request(subscribe(&["AAA", "BBB"], &[]));
    for _ in 0..3 {
        next(&session).await; // the greeting and two snapshots
    }
    session.request(LiveRequest::Unsubscribe {
        symbols: vec![symbol("AAA")],
    });
    let ticks = vec![tick("AAA", 1, 1, 1.0), tick("BBB", 1, 2, 1.0)];
    pipeline.sink.write(ticks, None).await.unwrap();
    let LiveMessage::Ticks {
        symbol: of,
        seq,
        age_us,
        ..
    } = next(&session).await
    else {
        panic!("no ticks");
    };
    assert_eq!((of.as_str(), seq, age_us), ("BBB", 2, None));
    session.request(LiveRequest::Ping { id: 9 });
    assert_eq!(next(&session).await, LiveMessage::Pong { id: 9 });
    session.refuse(market::ErrorKind::Invalid, "not a request");
    assert!(matches!(next(&session).await, LiveMessage::Error { .. }));
}

#[tokio::test]
async fn a_session_takes_no_more_symbols_than_it_may() {
    let dir = tempfile::tempdir().unwrap();
    let store = Arc::new(open(dir.path()).await);
    let mut config = config();
    config.live.max_symbols = 1;
    let pipeline = start(config, store).await;
    let session = pipeline.live.connect();
    session.request(subscribe(&["AAA", "BBB"], &[]));
    let mut kinds = Vec::new();
    for _ in 0..3 {
        kinds.push(match next(&session).await {
            LiveMessage::Hello { .. } => "hello",
            LiveMessage::Snapshot { .. } => "snapshot",
            LiveMessage::Error { .. } => "error",
            other => panic!("{other:?}"),
        });
    }
    kinds.sort_unstable();
    assert_eq!(kinds, ["error", "hello", "snapshot"]);
}

#[tokio::test]
async fn a_session_with_nothing_to_say_sends_heartbeats() {
    let dir = tempfile::tempdir().unwrap();
    let store = Arc::new(open(dir.path()).await);
    let mut config = config();
    config.live.heartbeat_ms = 1;
    let pipeline = start(config, store).await;
    let session = pipeline.live.connect();
    assert!(matches!(next(&session).await, LiveMessage::Hello { .. }));
    assert!(matches!(
        next(&session).await,
        LiveMessage::Heartbeat { .. }
    ));
}
