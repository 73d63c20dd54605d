use std::{io::Write, path::PathBuf, sync::mpsc};

use flate2::{Compression, write::GzEncoder};
use market::{Interval, RejectReason, Timestamp};
use tempfile::TempDir;
use tokio_util::sync::CancellationToken;

use super::*;
use crate::{Decoded, SourceError, TickSource, source_channel};

const NOW: Timestamp = Timestamp::from_secs(1_700_000_000);

fn file(dir: &TempDir, name: &str, text: &str) -> PathBuf {
    let path = dir.path().join(name);
    let bytes = if name.ends_with(".gz") {
        let mut gz = GzEncoder::new(Vec::new(), Compression::fast());
        gz.write_all(text.as_bytes()).unwrap();
        gz.finish().unwrap()
    } else {
        text.as_bytes().to_vec()
    };
    std::fs::write(&path, bytes).unwrap();
    path
}

fn read(path: PathBuf, options: CsvOptions) -> Decoded {
    let mut all = Decoded::default();
    CsvImport::open(path, options)
        .unwrap()
        .for_each(|batch| {
            all.ticks.extend(batch.ticks);
            all.bars.extend(batch.bars);
            all.rejects.extend(batch.rejects);
            Ok(())
        })
        .unwrap();
    all
}

fn import(name: &str, text: &str, options: CsvOptions) -> Decoded {
    let dir = TempDir::new().unwrap();
    let path = file(&dir, name, text);
    read(path, options)
}

fn options() -> CsvOptions {
    CsvOptions::new(NOW)
}

fn sample() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../data/stocks-daily.csv.gz")
}

#[test]
fn the_bundled_sample_is_read_whole() {
    let all = read(sample(), options());
    assert_eq!((all.bars.len(), all.ticks.len()), (12_154, 0));
    assert_eq!(all.rejects, []);
    assert!(all.bars.iter().all(|b| b.interval == Interval::D1));
    let first = &all.bars[0];
    assert_eq!(first.symbol.as_str(), "AAPL");
    assert_eq!(first.start, "2000-03-01".parse().unwrap());
    assert_eq!(
        (first.open, first.close, first.volume),
        (118.56, 130.31, 9_616_100.0)
    );
}

#[test]
fn adjusted_prices_scale_the_whole_bar() {
    let adjusted = CsvOptions {
        column: Some("Adj Close".into()),
        ..options()
    };
    let all = read(sample(), adjusted);
    assert_eq!((all.bars.len(), all.rejects.len()), (12_154, 0));
    let first = &all.bars[0];
    assert_eq!(first.close, 4.186_662_803_811);
    assert!((first.open / first.close - 118.56 / 130.31).abs() < 1e-12);
    assert!((first.high / first.low - 132.06 / 118.5).abs() < 1e-12);
    // The splits of 2000 and 2005 are gone: no day of Apple's loses more than the worst real one.
    let apple: Vec<f64> = all
        .bars
        .iter()
        .filter(|b| b.symbol.as_str() == "AAPL")
        .map(|b| b.close)
        .collect();
    assert!(apple.windows(2).all(|w| w[1] / w[0] > 0.45));
}

#[test]
fn tick_files_are_told_from_bar_files_by_their_header() {
    let ticks = import(
        "t.csv",
        "Time,SYMBOL,Price,Size,Seq\n2023-01-02T10:00:00Z,abc,10.5,3,7\n1672653601,abc,10.6,,8\n",
        options(),
    );
    assert_eq!(ticks.ticks.len(), 2);
    assert_eq!((ticks.ticks[0].seq, ticks.ticks[0].size), (7, 3.0));
    assert_eq!(ticks.ticks[1].ts.as_secs(), 1_672_653_601);
    let bars = import(
        "msft.us.csv.gz",
        "date;time;open;high;low;close;vol\n2023-01-02;10:00;1;3;0.5;2;9\n",
        options(),
    );
    assert_eq!(bars.bars[0].symbol.as_str(), "MSFT");
    assert_eq!(bars.bars[0].start, "2023-01-02T10:00:00Z".parse().unwrap());
    assert_eq!(bars.bars[0].interval, Interval::M1);
    let named = CsvOptions {
        symbol: Some("XYZ".parse().unwrap()),
        interval: Some(Interval::H1),
        ..options()
    };
    let bars = import(
        "x.csv",
        "Timestamp,Open,High,Low,Close\n2023-01-02 10:00:00,1,1,1,1\n",
        named,
    );
    assert_eq!(
        (bars.bars[0].symbol.as_str(), bars.bars[0].interval),
        ("XYZ", Interval::H1)
    );
}

#[test]
fn a_bad_line_is_rejected_with_its_number_and_the_others_go_through() {
    let text = "Ticker,Date,Open,High,Low,Close\n\
        A,2023-01-02,1,2,1,2\n\
        A,2023-01-03,1,2,1\n\
        A,someday,1,2,1,2\n\
        A,2023-01-05,NaN,2,1,2\n\
        A,2023-01-06,,2,1,2\n\
        A,2023-01-07,1,1,2,1\n\
        \"A B\",2023-01-08,1,2,1,2\n\
        A,2099-01-08,1,2,1,2\n\
        A,2023-01-10,1,2,1,2\n";
    let all = import("bad.csv", text, options());
    assert_eq!(all.bars.len(), 2);
    let found: Vec<(String, RejectReason)> = all
        .rejects
        .iter()
        .map(|r| (r.origin.clone(), r.reason))
        .collect();
    let expected = [
        (3, RejectReason::Unparsable),
        (4, RejectReason::BadTimestamp),
        (5, RejectReason::BadPrice),
        (6, RejectReason::BadPrice),
        (7, RejectReason::BadBar),
        (8, RejectReason::UnknownSymbol),
        (9, RejectReason::FutureTimestamp),
    ];
    assert_eq!(
        found,
        expected.map(|(line, reason)| (format!("csv:bad.csv:{line}"), reason))
    );
    assert_eq!(all.rejects[0].payload, "A,2023-01-03,1,2,1");
}

#[test]
fn a_file_that_will_not_do_says_why() {
    let dir = TempDir::new().unwrap();
    let open = |path, options| CsvImport::open(path, options).err().unwrap();
    let missing = open(dir.path().join("none.csv"), options());
    assert_eq!(missing.kind(), market::ErrorKind::NotFound);
    let no_time = open(file(&dir, "a.csv", "Ticker,Close\n"), options());
    assert!(no_time.to_string().contains("a time"), "{no_time}");
    let no_price = open(file(&dir, "b.csv", "Ticker,Date\n"), options());
    assert!(no_price.to_string().contains("a price"), "{no_price}");
    let no_symbol = open(file(&dir, "my prices.csv", "Date,Close\n"), options());
    assert!(no_symbol.to_string().contains("symbol"), "{no_symbol}");
    for (column, text) in [("Adj Close", "no column"), ("VWAP", "expected Close")] {
        let asked = CsvOptions {
            column: Some(column.into()),
            ..options()
        };
        let error = open(file(&dir, "c.csv", "Date,Close\n"), asked);
        assert!(error.to_string().contains(text), "{error}");
    }
    let cut = dir.path().join("cut.csv.gz");
    let whole = std::fs::read(sample()).unwrap();
    std::fs::write(&cut, &whole[..whole.len() / 2]).unwrap();
    let cut = CsvImport::open(cut, options())
        .unwrap()
        .for_each(|_| Ok(()));
    assert!(matches!(cut, Err(SourceError::File { .. })));
}

#[test]
fn progress_ends_at_the_size_of_the_file() {
    let (tell, told) = mpsc::channel();
    let small = CsvOptions {
        batch_rows: 1_000,
        ..options()
    };
    CsvImport::open(sample(), small)
        .unwrap()
        .with_progress(move |p| tell.send(p).unwrap())
        .for_each(|batch| {
            assert!(batch.rows() <= 1_000);
            Ok(())
        })
        .unwrap();
    let all: Vec<Progress> = told.iter().collect();
    assert_eq!(all.len(), 13);
    assert!(
        all.windows(2)
            .all(|w| w[0].bytes <= w[1].bytes && w[0].rows <= w[1].rows)
    );
    let last = all.last().unwrap();
    assert_eq!((last.bytes, last.rows), (last.total_bytes, 12_154));
}

async fn play(replay: ReplayOptions) -> Vec<crate::SourceBatch> {
    let (sink, mut outlet) = source_channel(1);
    let source = tokio::spawn(Box::new(CsvReplay::new(replay)).run(sink, CancellationToken::new()));
    let mut batches = Vec::new();
    let mut refuse = true;
    while let Some(delivered) = outlet.recv().await {
        // Each batch is refused once, and must come again.
        if std::mem::replace(&mut refuse, false) {
            continue;
        }
        refuse = true;
        batches.push(delivered.batch);
        delivered.ack.taken();
    }
    source.await.unwrap().unwrap();
    batches
}

const DAY_OF_TICKS: &str = "symbol,ts,price\nB,1600000060,2\nA,1600000000,1\nA,1600000120,3\n";

fn replay(dir: &TempDir, speed: &str, times: ReplayTimes) -> ReplayOptions {
    let mut replay = ReplayOptions::new(file(dir, "ticks.csv", DAY_OF_TICKS));
    replay.csv = options();
    replay.speed = speed.parse().unwrap();
    replay.times = times;
    replay.clock = std::sync::Arc::new(|| NOW);
    replay
}

#[tokio::test(start_paused = true)]
async fn a_replay_plays_rows_in_the_order_of_time_at_its_speed() {
    let dir = TempDir::new().unwrap();
    let begin = tokio::time::Instant::now();
    let batches = play(replay(&dir, "60x", ReplayTimes::Event)).await;
    assert!(begin.elapsed().as_millis() >= 2_000);
    let prices: Vec<f64> = batches.iter().map(|b| b.ticks[0].price).collect();
    assert_eq!(prices, [1.0, 2.0, 3.0]);
    assert_eq!(&*batches[0].source, "replay:ticks.csv");
    let batches = play(replay(&dir, "max", ReplayTimes::Event)).await;
    assert_eq!(batches.len(), 1);
    assert_eq!(batches[0].ticks[2].ts.as_secs(), 1_600_000_120);
}

#[tokio::test(start_paused = true)]
async fn a_shifted_replay_never_runs_ahead_of_the_clock() {
    let dir = TempDir::new().unwrap();
    let seconds = |batches: &[crate::SourceBatch]| -> Vec<i64> {
        batches
            .iter()
            .flat_map(|b| &b.ticks)
            .map(|t| t.ts.micros_since(NOW) / 1_000_000)
            .collect()
    };
    let max = play(replay(&dir, "max", ReplayTimes::ShiftedToNow)).await;
    assert_eq!(seconds(&max), [-120, -60, 0]);
    let fast = play(replay(&dir, "60x", ReplayTimes::ShiftedToNow)).await;
    assert_eq!(seconds(&fast), [-118, -58, 2]);
    let slow = play(replay(&dir, "0.5x", ReplayTimes::ShiftedToNow)).await;
    assert_eq!(seconds(&slow), [0, 60, 120]);
}

#[tokio::test(start_paused = true)]
async fn daily_bars_are_shifted_by_whole_weeks() {
    let mut replay = ReplayOptions::new(sample());
    replay.csv = options();
    replay.speed = Speed::Max;
    replay.times = ReplayTimes::ShiftedToNow;
    replay.clock = std::sync::Arc::new(|| NOW);
    let batches = play(replay).await;
    let mut bars: Vec<_> = batches.iter().flat_map(|b| &b.bars).collect();
    assert_eq!(bars.len(), 12_154);
    // A batch that was refused came after its successor.
    bars.sort_by_key(|b| b.start);
    let week = 7 * 86_400_000_000;
    let last = bars.last().unwrap();
    assert!(last.end() <= NOW && NOW.micros_since(last.end()) < week);
    let friday: Timestamp = "2013-03-01".parse().unwrap();
    assert_eq!(last.start.micros_since(friday) % week, 0);
    assert_eq!(last.first.ts, last.start);
}

/// Ticks of one second each, every tenth of them of the second before; a bad line now and then.
fn many_ticks(count: i64, step: i64) -> String {
    let mut text = "symbol,ts,seq,price\n".to_owned();
    for i in 0..count {
        let i = (i * step) % count;
        text += &format!(
            "A,{},{i},{}\n",
            1_600_000_000 + i - i64::from(i % 10 == 0),
            1 + i
        );
        if i % 100 == 7 {
            text += "A,someday,1,1\n";
        }
    }
    text
}

async fn play_text(text: &str, speed: &str) -> Vec<crate::SourceBatch> {
    let dir = TempDir::new().unwrap();
    let mut replay = replay(&dir, speed, ReplayTimes::Event);
    replay.path = file(&dir, "many.csv.gz", text);
    replay.csv.batch_rows = 64;
    play(replay).await
}

#[tokio::test(start_paused = true)]
async fn a_file_in_any_order_is_played_in_batches_in_the_order_of_time_and_whole() {
    // With the step 1 the ticks stand in order, with 7 (which has no divisor in common with their
    // number) they do not.
    for (step, speed) in [(1, "max"), (1, "1000x"), (7, "max"), (7, "1000x")] {
        let text = many_ticks(2_000, step);
        let batches = play_text(&text, speed).await;
        assert!(batches.iter().all(|b| b.rows() <= 64));
        let mut ticks: Vec<_> = batches.iter().flat_map(|b| &b.ticks).collect();
        if speed != "max" {
            // Refused batches are sent again out of order at the speed max.
            assert!(ticks.is_sorted_by_key(|t| t.ts), "step {step}");
        }
        ticks.sort_by_key(|t| t.seq);
        assert!(ticks.iter().map(|t| t.seq).eq(0..2_000), "step {step}");
        let rejects: usize = batches.iter().map(|b| b.rejects.len()).sum();
        assert_eq!(rejects, 20, "step {step}");
    }
}

#[tokio::test]
async fn a_replay_at_full_speed_keeps_the_order_of_time_when_every_batch_is_taken() {
    let dir = TempDir::new().unwrap();
    for step in [1, 7] {
        let mut replay = replay(&dir, "max", ReplayTimes::Event);
        replay.path = file(&dir, "many.csv", &many_ticks(2_000, step));
        replay.csv.batch_rows = 64;
        let (sink, mut outlet) = source_channel(1);
        let source =
            tokio::spawn(Box::new(CsvReplay::new(replay)).run(sink, CancellationToken::new()));
        let mut waiting = std::collections::VecDeque::new();
        let mut ticks = Vec::new();
        while let Some(delivered) = outlet.recv().await {
            ticks.extend(delivered.batch.ticks);
            // The word comes late: the source must not wait for each.
            waiting.push_back(delivered.ack);
            if waiting.len() == 3 {
                waiting.pop_front().unwrap().taken();
            }
            if ticks.len() == 2_000 {
                waiting.drain(..).for_each(crate::Acknowledgement::taken);
            }
        }
        source.await.unwrap().unwrap();
        assert!(ticks.is_sorted_by_key(|t| t.ts), "step {step}");
        assert_eq!(ticks.len(), 2_000);
    }
}

#[tokio::test]
async fn a_replay_ends_when_the_pipeline_is_gone() {
    let dir = TempDir::new().unwrap();
    let (sink, outlet) = source_channel(1);
    drop(outlet);
    let source = CsvReplay::new(replay(&dir, "max", ReplayTimes::Event));
    let ended = Box::new(source).run(sink, CancellationToken::new()).await;
    assert!(matches!(ended, Err(SourceError::Closed)));
}

#[tokio::test]
async fn a_replay_of_a_file_that_is_cut_off_says_so() {
    let dir = TempDir::new().unwrap();
    let mut replay = replay(&dir, "max", ReplayTimes::Event);
    replay.path = dir.path().join("cut.csv.gz");
    let whole = std::fs::read(sample()).unwrap();
    std::fs::write(&replay.path, &whole[..whole.len() / 2]).unwrap();
    let (sink, _outlet) = source_channel(1);
    let ended = Box::new(CsvReplay::new(replay))
        .run(sink, CancellationToken::new())
        .await;
    assert!(matches!(ended, Err(SourceError::File { .. })));
}

#[test]
fn speeds_are_read_and_written() {
    for (text, speed) in [
        ("1x", Speed::Times(1.0)),
        ("60", Speed::Times(60.0)),
        ("MAX", Speed::Max),
    ] {
        assert_eq!(text.parse::<Speed>().unwrap(), speed);
        assert_eq!(String::from(speed).parse::<Speed>().unwrap(), speed);
    }
    for text in ["0x", "-1x", "fast", "NaNx", ""] {
        assert!(text.parse::<Speed>().is_err(), "{text:?}");
    }
}

#[test]
fn a_rejected_row_can_be_decoded_again_without_its_file_and_gives_the_same_bar() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("acme.csv");
    std::fs::write(
        &path,
        "Date,Open,High,Low,Close,Volume,Adj Close\n2024-03-01,10,12,8,10,100,5\n",
    )
    .unwrap();
    let read = |symbols: &[&str]| {
        let mut options = CsvOptions::new(Timestamp::from_secs(2_000_000_000));
        options.column = Some("Adj Close".into());
        options.rules.symbols = symbols.iter().map(|s| s.parse().unwrap()).collect();
        let mut all = Decoded::default();
        CsvImport::open(&path, options)
            .unwrap()
            .for_each(|d| {
                all.bars.extend(d.bars);
                all.rejects.extend(d.rejects);
                Ok(())
            })
            .unwrap();
        all
    };
    let payload = read(&["OTHER"]).rejects.remove(0).payload;
    let rules = market::TickRules::default();
    let now = Timestamp::from_secs(2_000_000_000);
    let again = crate::ticks_from_json(payload.as_bytes(), "replay", now, &rules);
    assert_eq!(again.bars, read(&[]).bars, "{payload}");
    assert_eq!(again.bars[0].low, 4.0);
    // Without the adjusted close the row is not to go through with its plain prices.
    for adjusted in ["", "n/a"] {
        let text = "Date,Open,High,Low,Close,Volume,Adj Close\n2024-03-01,10,12,8,10,100,";
        std::fs::write(&path, format!("{text}{adjusted}\n")).unwrap();
        let payload = read(&[]).rejects.remove(0).payload;
        let again = crate::ticks_from_json(payload.as_bytes(), "replay", now, &rules);
        assert_eq!(
            (again.bars, again.rejects.len()),
            (Vec::new(), 1),
            "{payload}"
        );
    }
}
