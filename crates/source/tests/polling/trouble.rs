//! Trouble that a provider tells of in its own way: in a body under status 200, by Retry-After under any
//! status, by pages that lead nowhere. None of it goes unsaid, and none of it loops.

use std::time::Duration;

use axum::{
    http::{StatusCode, Uri},
    response::{IntoResponse, Response},
};
use market::Timestamp;
use source::{
    SourceError,
    rest::{Credential, Mapping, Paging, Provider, RestOptions, Secret, TimeFormat},
};

use super::{Poll, START, json, one_per_page, options, paged, server};

fn asked(uri: &Uri, name: &str) -> Option<i64> {
    let query = uri.query().unwrap_or_default();
    let value = query.split('&').find_map(|p| p.strip_prefix(name))?;
    value.strip_prefix('=')?.parse().ok()
}

/// Trades of one symbol by seconds, from `from` on, `limit` a page.
fn by_seconds(base: &str, limit: usize) -> RestOptions {
    let mapping: Mapping = serde_json::from_str(
        r#"{"rows":"trades","time_unit":"seconds",
            "fields":{"time":"t","price":"p","size":"q","seq":"id"}}"#,
    )
    .unwrap();
    let provider = Provider {
        url: format!("{base}/{{symbol}}"),
        query: [("from".to_owned(), "{since}".to_owned())].into(),
        time_format: TimeFormat::Seconds,
        paging: Paging::None,
        page_limit: limit,
        mapping,
        ..Provider::tickcast(base)
    };
    let mut options = options(provider);
    options.symbols = vec!["ACME".parse().unwrap()];
    options
}

fn row(second: i64, id: i64) -> String {
    let t = START.as_secs() + second;
    format!(r#"{{"t":{t},"p":10,"q":1,"id":{id}}}"#)
}

fn trades(rows: &[String]) -> Response {
    json(format!(r#"{{"trades":[{}]}}"#, rows.join(",")))
}

/// The text of the trouble that is told.
async fn told(poll: &Poll) -> String {
    let mut troubles = poll.outlet.trouble();
    let told = troubles.wait_for(Option::is_some).await.unwrap().clone();
    told.unwrap().error
}

#[tokio::test]
async fn an_error_body_under_status_200_is_told_and_the_next_good_answer_ends_it() {
    let (base, shared) = server(|n, uri, _| match n {
        1..6 => json(
            r#"{"code":429,"message":"You have used up your credits.","status":"error"}"#.into(),
        ),
        _ => paged(uri),
    })
    .await;
    let mut poll = Poll::start(options(one_per_page(&base)));
    assert_eq!(poll.next().await, [0]);
    assert!(told(&poll).await.contains("You have used up your credits."));
    assert_eq!(poll.next().await, [1]);
    let mut troubles = poll.outlet.trouble();
    troubles.wait_for(Option::is_none).await.unwrap();
    poll.stop().await.unwrap();
    assert!(shared.lock().unwrap().requests.len() >= 7);
}

#[tokio::test]
async fn an_error_body_backs_off_for_longer_each_time() {
    let (base, shared) = server(|_, _, _| {
        json(r#"{"Error Message":"the parameter apikey is invalid or missing"}"#.into())
    })
    .await;
    let mut options = options(one_per_page(&base));
    options.backoff_base = Duration::from_millis(20);
    options.backoff_cap = Duration::from_secs(60);
    let poll = Poll::start(options);
    let mut troubles = poll.outlet.trouble();
    // The ceiling doubles with each failure; what is waited is drawn below it.
    let mut longest = Duration::ZERO;
    while longest < Duration::from_millis(100) {
        troubles.changed().await.unwrap();
        let trouble = troubles.borrow_and_update().clone().unwrap();
        assert!(trouble.error.contains("apikey is invalid"), "{trouble:?}");
        longest = longest.max(trouble.wait);
    }
    assert!(shared.lock().unwrap().requests.len() >= 3);
    assert!(!poll.task.is_finished());
    poll.stop().await.unwrap();
}

#[tokio::test]
async fn a_key_that_a_provider_repeats_in_its_words_is_not_shown() {
    let (base, _) = server(|n, _, _| match n % 3 {
        0 => json(r#"{"Information":"We have detected your API key as hunter2."}"#.into()),
        1 => (StatusCode::BAD_GATEWAY, "no backend for hunter2").into_response(),
        _ => (StatusCode::IM_A_TEAPOT, [("retry-after", "0")], "hunter2?").into_response(),
    })
    .await;
    let mut provider = one_per_page(&base);
    provider.credentials = vec![Credential::Header(
        "Authorization".into(),
        Secret::new("Token hunter2"),
    )];
    let poll = Poll::start(options(provider));
    let mut troubles = poll.outlet.trouble();
    for _ in 0..3 {
        troubles.changed().await.unwrap();
        let trouble = troubles.borrow_and_update().clone().unwrap();
        assert!(!trouble.error.contains("hunter2"), "{trouble:?}");
        assert!(trouble.error.contains("***"), "{trouble:?}");
    }
    poll.stop().await.unwrap();
}

#[tokio::test]
async fn retry_after_is_obeyed_on_any_status() {
    let teapot = || {
        (
            StatusCode::IM_A_TEAPOT,
            [("retry-after", "1")],
            r#"{"code":-1003}"#,
        )
    };
    let redirect = || (StatusCode::FOUND, [("retry-after", "1")], "");
    let forbidden = || {
        (
            StatusCode::FORBIDDEN,
            [("retry-after", "1")],
            "<h1>403</h1>",
        )
    };
    let told_in_200 = || ([("retry-after", "1")], r#"{"error":"slow down"}"#);
    let (base, shared) = server(move |n, uri, _| match n {
        0 => teapot().into_response(),
        1 => redirect().into_response(),
        2 => forbidden().into_response(),
        3 => told_in_200().into_response(),
        // Rows come with it, and a wait.
        4 => ([("retry-after", "1")], paged(uri)).into_response(),
        _ => paged(uri),
    })
    .await;
    let mut poll = Poll::start(options(one_per_page(&base)));
    assert_eq!(poll.next().await, [0]);
    assert_eq!(poll.next().await, [1]);
    poll.stop().await.unwrap();
    let requests = &shared.lock().unwrap().requests;
    for pair in requests[..6].windows(2) {
        // A lower bound on a wait that was asked for: no machine is too slow to keep it.
        assert!(pair[1].1 - pair[0].1 >= Duration::from_millis(990));
    }
}

#[tokio::test]
async fn a_refusal_after_good_answers_is_tried_again_and_told() {
    let (base, _) = server(|n, uri, _| match n {
        1..4 => (StatusCode::FORBIDDEN, "<html><h1>403 ERROR</h1></html>").into_response(),
        _ => paged(uri),
    })
    .await;
    let mut poll = Poll::start(options(one_per_page(&base)));
    assert_eq!(poll.next().await, [0]);
    assert!(told(&poll).await.contains("403"));
    assert_eq!(poll.next().await, [1]);
    poll.stop().await.unwrap();
}

#[tokio::test]
async fn a_symbol_that_is_refused_does_not_end_the_others_and_all_of_them_do() {
    let (base, _) = server(|_, uri, _| {
        if uri.path().contains("BAD") {
            return (StatusCode::NOT_FOUND, "unknown symbol").into_response();
        }
        trades(&[row(0, 1)])
    })
    .await;
    let mut options = by_seconds(&base, 3);
    options.symbols = vec!["BAD".parse().unwrap(), "GOOD".parse().unwrap()];
    let mut poll = Poll::start(options.clone());
    assert_eq!(poll.next().await, [1]);
    // Good answers of the other do not hide it.
    tokio::time::sleep(Duration::from_millis(20)).await;
    assert!(told(&poll).await.contains("unknown symbol"));
    assert!(!poll.task.is_finished());
    poll.stop().await.unwrap();
    options.symbols = vec!["BAD".parse().unwrap(), "BAD2".parse().unwrap()];
    let ended = Poll::start(options).task.await.unwrap().unwrap_err();
    assert!(matches!(ended, SourceError::Refused { status: 404, .. }));
}

#[tokio::test]
async fn a_page_full_of_one_instant_is_passed_over_and_what_comes_after_it_is_read() {
    let (base, shared) = server(|_, uri, _| {
        let rows: Vec<String> = (0..2)
            .map(|i| (0, i))
            .chain((0..5).map(|i| (1, 10 + i)))
            .chain((0..5).map(|i| (2 + i, 20 + i)))
            .filter(|(second, _)| START.as_secs() + second >= asked(uri, "from").unwrap())
            .take(3)
            .map(|(second, id)| row(second, id))
            .collect();
        trades(&rows)
    })
    .await;
    let mut poll = Poll::start(by_seconds(&base, 3));
    let mut seqs = Vec::new();
    while seqs.last() != Some(&24) {
        seqs.extend(poll.next().await);
    }
    // Three of the second's five trades were shown; the other two cannot be asked for.
    assert_eq!(seqs, [0, 1, 10, 11, 12, 20, 21, 22, 23, 24]);
    let warned = poll.outlet.warnings().borrow().clone();
    assert!(
        warned.count == 1 && warned.last.contains("cannot be asked for"),
        "{warned:?}"
    );
    let asked = shared.lock().unwrap().requests.len();
    assert!(asked < 20, "{asked}");
    poll.stop().await.unwrap();
}

#[tokio::test]
async fn a_provider_that_reads_times_less_finely_than_it_writes_them_is_passed_over_too() {
    // Rows by milliseconds, asked for by whole seconds though the request says milliseconds.
    let (base, _) = server(|_, uri, _| {
        let from = asked(uri, "from").unwrap().div_euclid(1_000);
        let rows: Vec<String> = (0..12)
            .map(|i| (START.as_millis() + i * 200, i))
            .filter(|(ms, _)| ms.div_euclid(1_000) >= from)
            .take(3)
            .map(|(ms, id)| format!(r#"{{"t":{ms},"p":10,"q":1,"id":{id}}}"#))
            .collect();
        trades(&rows)
    })
    .await;
    let mut options = by_seconds(&base, 3);
    options.provider.time_format = TimeFormat::Millis;
    options.provider.mapping.time_unit = source::decode::TimeUnit::Millis;
    let mut poll = Poll::start(options);
    let mut seqs = Vec::new();
    while seqs.last() != Some(&11) {
        seqs.extend(poll.next().await);
    }
    assert_eq!(seqs, [0, 1, 2, 5, 6, 7, 10, 11]);
    poll.stop().await.unwrap();
}

#[tokio::test]
async fn pages_that_begin_with_the_newest_row_are_followed_back() {
    let (base, _) = server(|_, uri, _| {
        let (from, until) = (asked(uri, "from").unwrap(), asked(uri, "until").unwrap());
        let rows: Vec<String> = (0..10)
            .rev()
            .filter(|second| {
                let at = START.as_secs() + second;
                at >= from && at <= until
            })
            .take(4)
            .map(|second| row(second, second))
            .collect();
        trades(&rows)
    })
    .await;
    let mut options = by_seconds(&base, 4);
    options
        .provider
        .query
        .insert("until".into(), "{until}".into());
    let mut poll = Poll::start(options);
    let mut seqs = Vec::new();
    while seqs.len() < 10 {
        seqs.extend(poll.next().await);
    }
    assert_eq!(seqs, [9, 8, 7, 6, 5, 4, 3, 2, 1, 0]);
    let mut checkpoints = poll.checkpoints.clone();
    let newest = START.plus_micros(9_000_000);
    checkpoints
        .wait_for(|c| c.get("ACME").is_some_and(|p| p.since == Some(newest)))
        .await
        .unwrap();
    poll.stop().await.unwrap();
}

#[tokio::test]
async fn a_span_is_asked_for_in_windows_and_an_empty_window_does_not_move_the_position() {
    // A provider that refuses more than ten seconds at once, and has rows at 2 and at 47.
    let (base, shared) = server(|_, uri, _| {
        let (from, until) = (asked(uri, "from").unwrap(), asked(uri, "until").unwrap());
        if until - from > 10 {
            return (StatusCode::BAD_REQUEST, "too many").into_response();
        }
        let rows: Vec<String> = [2, 47]
            .into_iter()
            .filter(|second| (from..=until).contains(&(START.as_secs() + second)))
            .map(|second| row(second, second))
            .collect();
        trades(&rows)
    })
    .await;
    let mut options = by_seconds(&base, 100);
    options
        .provider
        .query
        .insert("until".into(), "{until}".into());
    options.provider.window_s = Some(10);
    options.clock = std::sync::Arc::new(|| START.plus_micros(40_000_000));
    let mut poll = Poll::start(options.clone());
    assert_eq!(poll.next().await, [2]);
    while shared.lock().unwrap().requests.len() < 12 {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    // Four windows without a row have been read since.
    let checkpoint = poll.checkpoints.borrow().clone();
    assert_eq!(checkpoint["ACME"].since, Some(START.plus_micros(2_000_000)));
    poll.stop().await.unwrap();
    options.checkpoint = checkpoint;
    options.clock = std::sync::Arc::new(|| START.plus_micros(60_000_000));
    let mut poll = Poll::start(options);
    assert_eq!(poll.next().await, [2]);
    assert_eq!(poll.next().await, [47]);
    poll.stop().await.unwrap();
}

#[tokio::test]
async fn a_cursor_that_came_without_rows_is_followed_and_kept_only_once_rows_have_come() {
    let (base, _) = server(|n, uri, _| match n {
        0 => paged(uri),
        1..10 => json(format!(r#"{{"trades":null,"next_cursor":"x{n}"}}"#)),
        _ => {
            assert!(uri.query().unwrap().contains("cursor=x9") || n > 10);
            let row = super::tickcast_row(7);
            json(format!(r#"{{"trades":[{row}],"next_cursor":"y"}}"#))
        }
    })
    .await;
    let mut options = options(one_per_page(&base));
    options.provider.page_limit = 2;
    let mut poll = Poll::start(options);
    assert_eq!(poll.next().await, [0]);
    let delivered = poll.outlet.recv().await.unwrap();
    assert_eq!(poll.checkpoints.borrow()[""].cursor.as_deref(), Some("1"));
    delivered.ack.taken();
    let mut checkpoints = poll.checkpoints.clone();
    let moved = checkpoints.wait_for(|c| c[""].cursor.as_deref() == Some("y"));
    moved.await.unwrap();
    poll.cancel.cancel();
}

#[tokio::test]
async fn a_page_that_names_itself_as_the_next_ends_the_round() {
    let (base, shared) = server(|_, _, _| {
        let t = START;
        json(format!(
            r#"{{"trades":[{{"t":"{t}","p":5,"s":1,"i":1}}],"next_page_token":"AGAIN"}}"#
        ))
    })
    .await;
    let mut options = options(Provider::alpaca_trades(&base));
    options.symbols = vec!["ABC".parse().unwrap()];
    options.poll_interval = Duration::from_secs(3_600);
    let mut poll = Poll::start(options);
    assert_eq!(poll.next().await, [1]);
    let mut checkpoints = poll.checkpoints.clone();
    checkpoints
        .wait_for(|c| c.get("ABC").is_some_and(|p| p.since == Some(START)))
        .await
        .unwrap();
    assert_eq!(shared.lock().unwrap().requests.len(), 2);
    poll.stop().await.unwrap();
}

#[tokio::test]
async fn rows_that_cannot_be_used_are_handed_over_once_however_often_they_come() {
    let minute = START.as_secs().div_euclid(60) * 60_000;
    let (base, shared) = server(move |n, _, _| {
        // A bar that goes on growing, with its high below its low; a trade-like row; a good bar.
        let bad = format!(r#"{{"v":{n},"o":1,"c":1,"h":1,"l":2,"t":{minute}}}"#);
        let good = format!(
            r#"{{"v":1,"o":1,"c":1,"h":1,"l":1,"t":{}}}"#,
            minute - 60_000
        );
        let rows = if n % 4 == 3 {
            good
        } else {
            format!("{good},{bad},{{}}")
        };
        json(format!(r#"{{"results":[{rows}]}}"#))
    })
    .await;
    let mut options = options(Provider::polygon_bars(&base));
    options.symbols = vec!["ABC".parse().unwrap()];
    let mut poll = Poll::start(options);
    let delivered = poll.outlet.recv().await.unwrap();
    assert_eq!(
        (delivered.batch.bars.len(), delivered.batch.rejects.len()),
        (1, 2)
    );
    delivered.ack.taken();
    while shared.lock().unwrap().requests.len() < 20 {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    assert!(poll.outlet.try_recv().is_none());
    poll.stop().await.unwrap();
}

#[tokio::test]
async fn nothing_to_say_is_no_error() {
    let (base, shared) = server(|n, uri, _| match n {
        0..3 => StatusCode::NO_CONTENT.into_response(),
        3 => json("null".into()),
        4 => json("{}".into()),
        _ => paged(uri),
    })
    .await;
    let mut poll = Poll::start(options(one_per_page(&base)));
    assert_eq!(poll.next().await, [0]);
    assert!(poll.outlet.trouble().borrow().is_none());
    assert!(shared.lock().unwrap().requests.len() >= 6);
    poll.stop().await.unwrap();
}

#[tokio::test]
async fn a_page_with_one_symbol_after_the_other_moves_on_only_by_what_every_symbol_has_shown() {
    // By symbol, four rows a page: those of A alone fill the first.
    let (base, _) = server(|_, uri, _| {
        let from = asked(uri, "from").unwrap() - START.as_secs();
        let rows = |symbol: &str, seconds: std::ops::Range<i64>, base: i64| -> Vec<String> {
            seconds
                .filter(|s| *s >= from)
                .map(|s| {
                    let t = START.as_secs() + s;
                    format!(r#"{{"s":"{symbol}","t":{t},"p":1,"id":{}}}"#, base + s)
                })
                .collect()
        };
        let all = [rows("A", 0..3, 0), rows("B", 0..6, 100)].concat();
        trades(&all[..all.len().min(4)])
    })
    .await;
    let mut options = by_seconds(&base, 4);
    options.provider.url = format!("{base}/all");
    options.provider.mapping.fields.symbol = Some("s".into());
    let mut poll = Poll::start(options);
    let mut of_b = Vec::new();
    while of_b.last() != Some(&105) {
        of_b.extend(poll.next().await.into_iter().filter(|seq| *seq >= 100));
    }
    assert_eq!(of_b, [100, 101, 102, 103, 104, 105]);
    poll.stop().await.unwrap();
}

#[test]
fn times_are_written_as_providers_want_them() {
    let at: Timestamp = "2024-03-01T14:30:05.25Z".parse().unwrap();
    for (format, wanted) in [
        (TimeFormat::Rfc3339, "2024-03-01T14:30:05.25Z"),
        (TimeFormat::DateTime, "2024-03-01T14:30:05"),
        (TimeFormat::Date, "2024-03-01"),
        (TimeFormat::Seconds, "1709303405"),
    ] {
        assert_eq!(format.write(at), wanted);
    }
}
