//! The daily CSV files: what they hold, how a day ends, and kill -9 of a process that writes them.
//!
//! The process that is killed is `killed/writer.rs`, as in `kill.rs`.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

#[path = "killed/csv_batches.rs"]
mod batches;

use std::{collections::BTreeMap, fs, io::Write as _, path::Path, process::Command};

use batches::batch;
use market::{Bar, Interval, Reject, RejectReason, Tick, TickKey, Timestamp};
use store::{
    CsvSink, CsvSinkOptions, DeadLetterLog, DeadLetterQuota, PriceWriter, StoreError, TickRetention,
};
use testing::kill;

const ROUNDS: u64 = 5;

fn options(dir: &Path) -> CsvSinkOptions {
    CsvSinkOptions::new(dir)
}

async fn open(dir: &Path) -> CsvSink {
    CsvSink::open(options(dir)).await.unwrap()
}

fn tick(name: &str, ts: &str, seq: u64) -> Tick {
    Tick {
        symbol: name.parse().unwrap(),
        ts: ts.parse().unwrap(),
        seq,
        price: 100.25,
        size: 3.0,
    }
}

fn lines(path: &Path) -> Vec<String> {
    let text = fs::read_to_string(path).unwrap();
    assert!(text.ends_with('\n'), "{} ends in a line", path.display());
    text.lines().map(str::to_owned).collect()
}

fn names(dir: &Path) -> Vec<String> {
    let mut names: Vec<String> = fs::read_dir(dir)
        .unwrap()
        .map(|e| e.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

#[tokio::test]
async fn a_day_gets_its_last_name_when_a_later_one_begins_and_does_not_change_after() {
    let dir = tempfile::tempdir().unwrap();
    let sink = open(dir.path()).await;
    let monday = tick("BTC/USD", "2026-11-23T23:59:59.5Z", 1);
    sink.append(vec![monday.clone()]).await.unwrap();
    let folder = dir.path().join("BTC%2FUSD");
    assert_eq!(names(&folder), ["2026-11-23.csv.part"]);
    let tuesday = tick("BTC/USD", "2026-11-24T00:00:00Z", 2);
    sink.append(vec![tuesday]).await.unwrap();
    assert_eq!(names(&folder), ["2026-11-23.csv", "2026-11-24.csv.part"]);
    assert_eq!(
        lines(&folder.join("2026-11-23.csv")),
        [
            "symbol,ts_us,seq,price,size",
            "BTC/USD,1795478399500000,1,100.25,3"
        ]
    );
    // Late: beside the day that is finished; and what it has already is not written again.
    let late = tick("BTC/USD", "2026-11-23T12:00:00Z", 3);
    let appended = sink.append(vec![late.clone(), monday]).await.unwrap();
    assert_eq!((appended.stored.len(), appended.duplicates), (1, 1));
    assert_eq!(
        names(&folder),
        [
            "2026-11-23.csv",
            "2026-11-23.late.csv",
            "2026-11-24.csv.part"
        ]
    );
    assert_eq!(lines(&folder.join("2026-11-23.csv")).len(), 2);
    assert_eq!(lines(&folder.join("2026-11-23.late.csv")).len(), 2);
    drop(sink);
    // A new process knows which day it is, and what is there.
    let sink = open(dir.path()).await;
    let again = sink.append(vec![late]).await.unwrap();
    assert_eq!(again.duplicates, 1);
    let wednesday = tick("BTC/USD", "2026-11-25T00:00:00Z", 4);
    sink.append(vec![wednesday]).await.unwrap();
    assert!(names(&folder).contains(&"2026-11-24.csv".to_owned()));
}

#[tokio::test]
async fn a_line_that_was_cut_off_is_repaired_and_its_row_can_come_again() {
    let dir = tempfile::tempdir().unwrap();
    let sink = open(dir.path()).await;
    let rows: Vec<Tick> = (0..3)
        .map(|n| tick("ABC", "2026-11-24T10:00:00Z", n))
        .collect();
    sink.append(rows[..2].to_vec()).await.unwrap();
    drop(sink);
    let path = dir.path().join("ABC/2026-11-24.csv.part");
    let mut file = fs::File::options().append(true).open(&path).unwrap();
    file.write_all(b"ABC,17955144000").unwrap();
    let sink = open(dir.path()).await;
    assert_eq!(lines(&path).len(), 3);
    let appended = sink.append(rows.clone()).await.unwrap();
    assert_eq!((appended.stored.len(), appended.duplicates), (1, 2));
    assert_eq!(lines(&path).len(), 4);
}

#[tokio::test]
async fn bars_and_dead_letters_have_files_of_one_process() {
    let dir = tempfile::tempdir().unwrap();
    let sink = open(dir.path()).await;
    let start: Timestamp = "2026-11-24T10:00:00Z".parse().unwrap();
    let key = TickKey { ts: start, seq: 0 };
    let bar = Bar {
        symbol: "ABC".parse().unwrap(),
        interval: Interval::M1,
        start,
        open: 1.5,
        high: 2.0,
        low: 1.0,
        close: 1.75,
        volume: 10.0,
        trades: 0,
        first: key,
        last: key,
    };
    sink.put_bars(vec![bar]).await.unwrap();
    assert_eq!(
        lines(&dir.path().join("ABC/bars-1m.csv"))[1],
        "ABC,1m,1795514400000000,1.5,2,1,1.75,10,0"
    );
    let reject = Reject::new(RejectReason::BadPrice, "price is -1", "push", "{\n}");
    let kept = sink.reject(vec![reject.clone()], start).await.unwrap();
    assert_eq!(kept.kept, 1);
    drop(sink);
    let sink = open(dir.path()).await;
    let letters = sink.open_dead_letters(None, 0, 10).await.unwrap();
    assert_eq!(letters.len(), 1);
    assert_eq!(letters[0].reject, reject);
    assert_eq!(sink.dead_letter_counts().await.unwrap()[0].open, 1);
    let second = CsvSink::open(options(dir.path())).await.unwrap_err();
    assert!(matches!(second, StoreError::InUse { .. }), "{second:?}");
}

#[tokio::test]
async fn a_letter_of_a_message_is_kept_once_in_a_batch_and_across_batches() {
    let dir = tempfile::tempdir().unwrap();
    let of = |message: &str| Reject {
        message: Some(message.into()),
        ..Reject::new(RejectReason::BadPrice, "", "a:1", message)
    };
    let at = Timestamp::from_secs(1);
    let sink = open(dir.path()).await;
    let batch = vec![of("a"), of("b"), of("a")];
    assert_eq!(sink.reject(batch.clone(), at).await.unwrap().kept, 2);
    assert_eq!(sink.reject(batch.clone(), at).await.unwrap().kept, 0);
    drop(sink);
    let sink = open(dir.path()).await;
    assert_eq!(sink.reject(batch, at).await.unwrap().kept, 0);
    let letters = sink.open_dead_letters(None, 0, 9).await.unwrap();
    let messages = letters.into_iter().map(|l| l.reject.message.unwrap());
    assert_eq!(messages.collect::<Vec<_>>(), ["a", "b"]);
}

#[tokio::test]
async fn a_source_that_floods_with_bad_rows_takes_nothing_from_the_others_and_is_counted() {
    let dir = tempfile::tempdir().unwrap();
    let few = CsvSinkOptions {
        dead_letter_quota: DeadLetterQuota {
            per_source: 3,
            bytes_per_source: 1_000,
            total: 5,
        },
        ..options(dir.path())
    };
    let letters = |source: &str, count: usize| -> Vec<Reject> {
        let letter = |i| Reject::new(RejectReason::BadPrice, "", format!("{source}:{i}"), "-");
        (0..count).map(letter).collect()
    };
    let at = Timestamp::from_secs(1);
    let sink = CsvSink::open(few.clone()).await.unwrap();
    sink.reject(letters("b", 1), at).await.unwrap();
    let flood = sink.reject(letters("a", 1_000), at).await.unwrap();
    assert_eq!((flood.kept, flood.dropped_in_all()), (3, 997));
    drop(sink);
    let sink = CsvSink::open(few).await.unwrap();
    let more = sink.reject(letters("a", 3), at).await.unwrap();
    assert_eq!((more.kept, more.dropped_in_all()), (0, 3));
    assert_eq!(sink.reject(letters("b", 9), at).await.unwrap().kept, 1);
    let dropped = sink.dropped_dead_letters().await.unwrap();
    let dropped: Vec<_> = dropped.iter().map(|d| (&*d.source, d.dropped)).collect();
    assert_eq!(dropped, [("a", 1_000), ("b", 8)]);
    assert_eq!(sink.dead_letter_counts().await.unwrap()[0].open, 5);
}

#[tokio::test]
async fn the_letters_of_a_source_are_bounded_in_bytes_and_what_is_not_kept_is_counted() {
    let dir = tempfile::tempdir().unwrap();
    let few = CsvSinkOptions {
        dead_letter_quota: DeadLetterQuota {
            per_source: 1_000,
            bytes_per_source: 100,
            total: 1_000,
        },
        ..options(dir.path())
    };
    // Of three bytes beside the payload.
    let letter = |source: &str, payload: usize| {
        let origin = format!("{source}:1");
        Reject::new(RejectReason::BadPrice, "", origin, "x".repeat(payload))
    };
    let at = Timestamp::from_secs(1);
    let sink = CsvSink::open(few.clone()).await.unwrap();
    let batch = vec![
        letter("a", 57),
        letter("a", 38),
        letter("a", 37),
        letter("b", 97),
    ];
    let done = sink.reject(batch, at).await.unwrap();
    assert_eq!((done.kept, done.dropped_in_all()), (3, 1));
    drop(sink);
    let sink = CsvSink::open(few).await.unwrap();
    let done = sink.reject(vec![letter("a", 0), letter("b", 0)], at).await;
    assert_eq!(done.unwrap().dropped_in_all(), 2);
    let dropped = sink.dropped_dead_letters().await.unwrap();
    let dropped: Vec<_> = dropped.iter().map(|d| (&*d.source, d.dropped)).collect();
    assert_eq!(dropped, [("a", 2), ("b", 1)]);
    let kept = sink.open_dead_letters(None, 0, 9).await.unwrap();
    let kept: Vec<usize> = kept.iter().map(|l| l.reject.payload.len()).collect();
    assert_eq!(kept, [57, 37, 97]);
}

#[tokio::test]
async fn finished_days_are_removed_by_age_and_the_newest_stays() {
    let dir = tempfile::tempdir().unwrap();
    let sink = open(dir.path()).await;
    for day in ["2026-11-21", "2026-11-22", "2026-11-23"] {
        let rows = (0..4).map(|n| tick("ABC", &format!("{day}T10:00:00Z"), n));
        sink.append(rows.collect()).await.unwrap();
    }
    let removed = sink
        .remove_ticks("2026-11-22".parse().unwrap())
        .await
        .unwrap();
    assert_eq!((removed.symbols, removed.rows), (1, 4));
    let removed = sink.remove_ticks(Timestamp::MAX).await.unwrap();
    assert_eq!(removed.rows, 4);
    assert_eq!(names(&dir.path().join("ABC")), ["2026-11-23.csv.part"]);
}

/// Every row of every file, by sequence; each may be there once.
fn rows(dir: &Path) -> BTreeMap<u64, String> {
    let mut rows = BTreeMap::new();
    for symbol in ["A", "B"] {
        let folder = dir.join(symbol);
        for name in names(&folder) {
            for line in lines(&folder.join(name)).into_iter().skip(1) {
                let seq: u64 = line.split(',').nth(2).unwrap().parse().unwrap();
                assert!(rows.insert(seq, line).is_none(), "{seq} is there twice");
            }
        }
    }
    rows
}

#[test]
fn every_acknowledged_row_is_in_the_files_once_after_kill_9() {
    let dir = tempfile::tempdir().unwrap();
    let runtime = tokio::runtime::Runtime::new().unwrap();
    kill::rounds(
        ROUNDS,
        0xC5F,
        |first| {
            let mut writer = Command::new(env!("CARGO_BIN_EXE_killed-writer"));
            writer.arg("csv").arg(dir.path()).arg(first.to_string());
            writer
        },
        |round, acknowledged| {
            // Opening mends what the dead process left.
            drop(runtime.block_on(open(dir.path())));
            let there = rows(dir.path());
            for n in acknowledged {
                for tick in batch(*n) {
                    let line = there.get(&tick.seq);
                    let line = line.unwrap_or_else(|| panic!("round {round} lost {n}"));
                    assert!(line.ends_with(&format!(",{},{}", tick.price, tick.size)));
                }
            }
        },
    );
    let finished = names(&dir.path().join("A"));
    assert!(finished.iter().any(|n| n.ends_with(".csv")), "{finished:?}");
}
