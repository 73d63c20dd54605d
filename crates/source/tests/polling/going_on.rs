//! Where a source goes on: by what a batch carried, and without a cursor that the provider has forgotten.

use axum::{
    http::{StatusCode, Uri},
    response::{IntoResponse, Response},
};
use market::Tick;
use source::rest::{Checkpoint, Paging, Provider, SourceOffset};

use super::{Poll, START, json, one_per_page, options, paged, server};

/// Rows of one time, from `since` on as a provider without cursors gives them, three a page.
fn three_since(uri: &Uri) -> Response {
    let since: i64 = uri
        .query()
        .and_then(|q| q.split('&').find_map(|p| p.strip_prefix("since=")))
        .map_or(0, |s| s.parse().unwrap());
    let first = (since - START.as_micros()).max(0) as u64;
    let row = |at: u64| {
        let ts = START.as_micros() + at as i64;
        format!(r#"{{"symbol":"ABC","ts_us":{ts},"seq":{at},"price":1.5,"size":1}}"#)
    };
    let rows: Vec<String> = (first..first + 3).map(row).collect();
    json(format!(r#"{{"trades":[{}]}}"#, rows.join(",")))
}

#[tokio::test]
async fn a_source_goes_on_in_the_middle_of_a_batch_by_what_the_batch_carried() {
    type Case<'a> = (fn(&Uri) -> Response, fn(&str) -> Provider, &'a [u64]);
    let by_cursor = |base: &str| Provider {
        page_limit: 1,
        ..Provider::tickcast(base)
    };
    let by_time = |base: &str| Provider {
        page_limit: 3,
        paging: Paging::None,
        ..Provider::tickcast(base)
    };
    // By cursor the batch is one row, and all of it was taken; by time it brings two new ones, and one was.
    let cases: [Case<'_>; 2] = [(paged, by_cursor, &[2]), (three_since, by_time, &[5, 6])];
    for (answer, provider, batch) in cases {
        let (base, _) = server(move |_, uri, _| answer(uri)).await;
        let mut poll = Poll::start(options(provider(&base)));
        poll.next().await;
        poll.next().await;
        let last = poll.outlet.recv().await.unwrap();
        let seqs: Vec<u64> = last.batch.ticks.iter().map(|t| t.seq).collect();
        assert_eq!(seqs, batch);
        let offset = SourceOffset::read(last.batch.source_offset.as_deref().unwrap()).unwrap();
        let mut again = options(provider(&base));
        again.checkpoint = Checkpoint::from([(offset.stream, offset.position)]);
        again.taken = last.batch.ticks[..1].to_vec();
        // The row before it, of the time from which the provider is asked, is in the topic too.
        let at = batch[0] - 1;
        again.taken.push(Tick {
            ts: START.plus_micros(at as i64),
            seq: at,
            ..again.taken[0].clone()
        });
        poll.stop().await.unwrap();
        let mut poll = Poll::start(again);
        let goes_on = poll.next().await;
        assert_eq!(goes_on[0], batch[0] + 1);
        poll.stop().await.unwrap();
    }
}

#[tokio::test]
async fn a_source_whose_cursor_the_provider_has_forgotten_leaves_it_out_of_its_checkpoint() {
    let (base, _) = server(|_, uri, _| match uri.query() {
        Some(query) if query.contains("cursor=1") => StatusCode::GONE.into_response(),
        _ => paged(uri),
    })
    .await;
    let mut poll = Poll::start(options(one_per_page(&base)));
    assert_eq!(poll.next().await, [0]);
    let mut checkpoints = poll.checkpoints.clone();
    let forgotten = |c: &Checkpoint| {
        c.get("")
            .is_some_and(|at| at.cursor.is_none() && at.since.is_some())
    };
    let checkpoint = checkpoints.wait_for(forgotten).await.unwrap().clone();
    assert_eq!(checkpoint[""].since, Some(START.plus_micros(-10_000_000)));
    // It is asked by time, and the row of that time comes once more.
    assert_eq!(poll.next().await, [0]);
    poll.stop().await.unwrap();
    let mut again = options(one_per_page(&base));
    again.checkpoint = checkpoint;
    let mut poll = Poll::start(again);
    assert_eq!(poll.next().await, [0]);
    poll.cancel.cancel();
}
