//! From a source through the bus to the store and the readers.

use std::{
    sync::{Arc, atomic::AtomicUsize},
    time::Duration,
};

use futures::stream;
use market::{Interval, Reject, RejectReason};
use pipeline::{Frame, PipelineError, SourceSpec, SourceState};
use protocol::LiveMessage;
use source::SourceBatch;
use store::{CsvSink, CsvSinkOptions, DeadLetterLog, StorePorts};

use crate::harness::*;

fn batches() -> Vec<Vec<market::Tick>> {
    (0..60)
        .map(|n| {
            (0..30)
                .map(|k| {
                    let name = ["AAA", "BBB", "CCC"][k % 3];
                    let seq = (n * 30 + k) as u64;
                    tick(name, n as i64 * 2, seq, 100.0 + (seq % 7) as f64)
                })
                .collect()
        })
        .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn every_row_of_a_source_reaches_the_store_and_a_reader_once() {
    let dir = tempfile::tempdir().unwrap();
    let store = Arc::new(open(dir.path()).await);
    let pipeline = start(config(), store.clone()).await;
    let session = pipeline.live.connect();
    session.request(subscribe(&["AAA"], &[Interval::S1]));
    let mut seen = Seen::default();
    while seen.snapshots == 0 {
        seen.take(&next(&session).await);
    }
    drop(pipeline);

    // The same with a source that is there from the start and fails in between.
    let dir = tempfile::tempdir().unwrap();
    let store = Arc::new(open(dir.path()).await);
    let taken = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&taken);
    let starts = Arc::new(AtomicUsize::new(0));
    let spec = SourceSpec::new("test", move || {
        let first = starts.fetch_add(1, std::sync::atomic::Ordering::SeqCst) == 0;
        Ok(Box::new(Batches {
            batches: batches(),
            taken: Arc::clone(&counted),
            fails_before: first.then_some(20),
        }) as _)
    });
    let pipeline = start_with(config(), store.clone(), vec![spec]).await;
    let session = pipeline.live.connect();
    session.request(resume("AAA", 0, &[]));
    let mut status = pipeline.sources()[0].clone();
    within(status.wait_for(|s| s.state == SourceState::Finished))
        .await
        .unwrap();
    until(|| async { stored(&*store, "AAA", 0).await.len() == 600 }).await;
    let last = store::PriceReader::latest_tick(&*store, &symbol("AAA"))
        .await
        .unwrap()
        .unwrap();
    let mut seen = Seen::default();
    seen.read_to(&session, last.position).await;
    assert_eq!(seen.snapshots, 0);
    assert_eq!(seen.ticks, stored(&*store, "AAA", 0).await);
    let stats = pipeline.stats().await;
    assert_eq!(stats.stored.total, 1_800);
    assert_eq!(stats.sources[0].rows, 1_800);
    // One before it failed, two after.
    let last = "something was passed over before batch 50";
    assert_eq!(
        (
            stats.sources[0].warnings,
            stats.sources[0].warning.as_deref()
        ),
        (3, Some(last))
    );
    assert!(pipeline.shutdown(Duration::from_secs(30)).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_shutdown_stores_what_the_bus_holds_and_tells_the_readers() {
    let dir = tempfile::tempdir().unwrap();
    let store = Arc::new(open(dir.path()).await);
    let taken = Arc::new(AtomicUsize::new(0));
    let source = Batches {
        batches: batches(),
        taken: Arc::clone(&taken),
        fails_before: None,
    };
    let spec = SourceSpec::once(Box::new(source));
    let pipeline = start_with(config(), store.clone(), vec![spec]).await;
    let session = pipeline.live.connect();
    until(|| async { taken.load(std::sync::atomic::Ordering::SeqCst) > 5 }).await;
    assert!(pipeline.shutdown(Duration::from_secs(30)).await);
    let taken = taken.load(std::sync::atomic::Ordering::SeqCst);
    let stored = stored(&*store, "AAA", 0).await.len();
    assert!(stored >= taken * 10, "{stored} of {taken} batches");
    assert!(matches!(next(&session).await, LiveMessage::Hello { .. }));
    assert!(matches!(next(&session).await, LiveMessage::Bye { .. }));
    assert!(matches!(
        frame(&session).await,
        Frame::Close { code: 1001, .. }
    ));
    session.ended().await;
    let refused = pipeline
        .sink
        .write(vec![tick("AAA", 1, 1, 1.0)], None)
        .await;
    assert!(matches!(refused, Err(PipelineError::Closed)));
}

#[tokio::test(flavor = "multi_thread")]
async fn bad_rows_go_to_the_dead_letters_and_come_back_after_a_fix() {
    let dir = tempfile::tempdir().unwrap();
    let store = Arc::new(open(dir.path()).await);
    let mut strict = config();
    strict.symbols = [symbol("AAA")].into();
    let source = Batches {
        batches: vec![vec![
            tick("AAA", 1, 1, 10.0),
            tick("BBB", 1, 2, 20.0),
            tick("AAA", 2, 3, -1.0),
            tick("AAA", 3, 4, 11.0),
        ]],
        taken: Arc::default(),
        fails_before: None,
    };
    let spec = SourceSpec::once(Box::new(source));
    let pipeline = start_with(strict, store.clone(), vec![spec]).await;
    until(|| async { stored(&*store, "AAA", 0).await.len() == 2 }).await;
    let letters = || async { store.open_dead_letters(None, 0, 10).await.unwrap() };
    until(|| async { letters().await.len() == 2 }).await;
    assert_eq!(letters().await[0].reject.origin, "test");
    let report = pipeline.replay_dead_letters(None).await.unwrap();
    assert_eq!((report.looked_at, report.replayed), (2, 0));
    pipeline.shutdown(Duration::from_secs(30)).await;

    let pipeline = start(config(), store.clone()).await;
    let report = pipeline.replay_dead_letters(None).await.unwrap();
    assert_eq!((report.looked_at, report.replayed, report.rows), (2, 1, 1));
    assert_eq!(report.still[&RejectReason::BadPrice], 1);
    assert_eq!(stored(&*store, "BBB", 0).await, [tick("BBB", 1, 2, 20.0)]);
    assert_eq!(letters().await.len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn over_a_sink_prices_and_letters_are_stored_and_letters_cannot_be_replayed() {
    let dir = tempfile::tempdir().unwrap();
    let sink = CsvSink::open(CsvSinkOptions::new(dir.path())).await;
    let sink = Arc::new(sink.unwrap());
    let mut batches = batches();
    batches.push(vec![tick("AAA", 500, 9_999, -1.0)]);
    let source = Batches {
        batches,
        taken: Arc::default(),
        fails_before: None,
    };
    let spec = SourceSpec::once(Box::new(source));
    let pipeline = start_with(config(), StorePorts::of_sink(Arc::clone(&sink)), vec![spec]).await;
    // A reader who watches a symbol, and bars that came, must not make it look for what it cannot read.
    let session = pipeline.live.connect();
    session.request(subscribe(&["AAA"], &[Interval::D1]));
    let mut seen = Seen::default();
    while seen.snapshots == 0 {
        seen.take(&next(&session).await);
    }
    let bar = market::Bar::from_tick(&tick("AAA", 0, 0, 5.0), Interval::D1);
    assert_eq!(
        pipeline.sink.write_bars(vec![bar.clone()]).await.unwrap(),
        1
    );
    let import = SourceBatch {
        source: "csv:x.csv".into(),
        source_offset: None,
        received: std::time::Instant::now(),
        ticks: Vec::new(),
        bars: vec![bar],
        rejects: Vec::new(),
    };
    let imported = pipeline.import().run(stream::iter([Ok(import)]), |_| {});
    assert_eq!(imported.await.unwrap().bars.new, 1);
    let counts = || async { sink.dead_letter_counts().await.unwrap() };
    until(|| async { pipeline.stats().await.stored.total == 1_800 }).await;
    until(|| async { counts().await.iter().any(|count| count.open == 1) }).await;
    for refused in [
        pipeline.replay_dead_letters(None).await.err(),
        pipeline.discard_dead_letters(None, None).await.err(),
    ] {
        assert_eq!(refused.unwrap().kind(), market::ErrorKind::Invalid);
    }
    assert_eq!(pipeline.missing().await, []);
    let stats = pipeline.stats().await;
    assert_eq!(stats.store_errors.total, 0);
    assert!(pipeline.shutdown(Duration::from_secs(30)).await);
    let files = std::fs::read_dir(dir.path().join("AAA")).unwrap().count();
    assert_eq!(files, 2, "one of ticks and one of bars");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_import_reports_what_it_did_and_can_be_repeated() {
    let dir = tempfile::tempdir().unwrap();
    let store = Arc::new(open(dir.path()).await);
    let pipeline = start(config(), store.clone()).await;
    let batch = || SourceBatch {
        source: "csv:x.csv".into(),
        source_offset: None,
        received: std::time::Instant::now(),
        ticks: vec![tick("AAA", 1, 1, 10.0), tick("AAA", 2, 2, 11.0)],
        bars: vec![market::Bar::from_tick(
            &tick("BBB", 0, 0, 5.0),
            Interval::D1,
        )],
        rejects: vec![Reject::new(
            RejectReason::BadField,
            "no price",
            "csv:x.csv:3",
            "AAA,,",
        )],
    };
    let mut calls = 0;
    let import = pipeline.import();
    let report = import
        .run(stream::iter([Ok(batch()), Ok(batch())]), |_| calls += 1)
        .await
        .unwrap();
    assert_eq!(calls, 2);
    assert_eq!((report.ticks, report.duplicates), (2, 2));
    assert_eq!((report.rows, report.rejected), (8, 2));
    assert_eq!(report.symbols.len(), 2);
}
