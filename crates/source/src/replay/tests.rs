use std::{io::Write, path::PathBuf};

use flate2::{Compression, write::GzEncoder};
use market::Timestamp;
use tempfile::TempDir;
use tokio_util::sync::CancellationToken;

use super::*;
use crate::{SourceError, TickSource, file::FileOptions, source_channel};

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

fn options() -> FileOptions {
    FileOptions::new(NOW)
}

fn sample() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../data/stocks-daily.csv.gz")
}

async fn play(replay: ReplayOptions) -> Vec<crate::SourceBatch> {
    let (sink, mut outlet) = source_channel(1);
    let source =
        tokio::spawn(Box::new(FileReplay::new(replay)).run(sink, CancellationToken::new()));
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
    replay.reading = options();
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
    replay.reading = options();
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
    replay.reading.batch_rows = 64;
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
        replay.reading.batch_rows = 64;
        let (sink, mut outlet) = source_channel(1);
        let source =
            tokio::spawn(Box::new(FileReplay::new(replay)).run(sink, CancellationToken::new()));
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
    let source = FileReplay::new(replay(&dir, "max", ReplayTimes::Event));
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
    let ended = Box::new(FileReplay::new(replay))
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
