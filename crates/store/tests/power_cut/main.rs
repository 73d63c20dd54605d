//! The power goes, at any moment, while the SQLite side writes: what was acknowledged is there when every
//! commit waits for the disk (`full_sync`), and by default the database opens and holds everything up to
//! some command and nothing after.
//!
//! The store runs once over a VFS that notes every change to its files (see `vfs`). Then the power is cut
//! at many places of that log, and what the disk may hold is made up by a seed (see `disk`): synced bytes
//! are there, others in part, torn, in any combination. Each such disk is opened by the store again.
//!
//! A cut that fails names its seed and leaves its files: `POWER_CUT_SEED=7 cargo test -p store --test
//! power_cut` runs that one, and `POWER_CUTS=100000` more of them.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod disk;
mod vfs;
mod workload;

use std::{fs, path::Path};

use disk::{Disk, Image};
use market::ErrorKind;
use store::{PriceWriter, Readiness, SqliteOptions, SqliteStore, StoreError};
use testing::SplitMix64;
use vfs::Op;

/// Commands of a recorded run.
const COMMANDS: u64 = 120;
/// Cuts that are tried of each run by default.
const CUTS: u64 = 200;

fn setting(name: &str) -> Option<u64> {
    std::env::var(name).ok().map(|text| text.parse().unwrap())
}

/// The seeds to try.
fn seeds() -> std::ops::Range<u64> {
    match setting("POWER_CUT_SEED") {
        Some(seed) => seed..seed + 1,
        None => 0..setting("POWER_CUTS").unwrap_or(CUTS),
    }
}

async fn record(full_sync: bool) -> Vec<Op> {
    let dir = tempfile::tempdir().unwrap();
    let recording = vfs::record(dir.path());
    let run = workload::run(dir.path(), full_sync, (0, COMMANDS), &recording).await;
    run.unwrap();
    recording.ops()
}

/// The place of a cut. Every other seed takes one around a sync, where what is on the disk changes most.
fn place(ops: &[Op], seed: u64, random: &mut SplitMix64) -> usize {
    if seed.is_multiple_of(2) {
        let is_sync = |(at, op): (usize, &Op)| matches!(op, Op::Sync(_)).then_some(at);
        let syncs: Vec<usize> = ops.iter().enumerate().filter_map(is_sync).collect();
        let at = syncs[random.below(syncs.len() as u64) as usize];
        (at + random.below(3) as usize).min(ops.len())
    } else {
        random.below(ops.len() as u64 + 1) as usize
    }
}

/// The commands that were answered before the cut.
fn acknowledged(ops: &[Op]) -> u64 {
    let answered = ops.iter().filter_map(|op| match op {
        Op::Acknowledged(number) => Some(number + 1),
        _ => None,
    });
    answered.max().unwrap_or(0)
}

/// Opens what a disk holds. A failure keeps the files.
async fn open(image: &Image, what: &str) -> u64 {
    let dir = tempfile::tempdir().unwrap();
    disk::write(image, dir.path());
    match workload::held(dir.path()).await {
        Ok(held) => held,
        Err(why) => {
            let kept = tempfile::Builder::new().disable_cleanup(true).tempdir();
            let kept = kept.unwrap();
            disk::write(image, kept.path());
            panic!("{what}: {why}; its files are in {}", kept.path().display());
        }
    }
}

#[tokio::test]
async fn with_full_sync_all_that_was_acknowledged_is_there_after_a_power_cut() {
    let ops = record(true).await;
    for seed in seeds() {
        let random = &mut SplitMix64::new(seed);
        let at = place(&ops, seed, random);
        let mut disk = Disk::default();
        ops[..at].iter().for_each(|op| disk.take(op));
        let image = disk.after_power_cut(random);
        let what = format!(
            "POWER_CUT_SEED={seed} full_sync, change {at} of {}",
            ops.len()
        );
        let held = open(&image, &what).await;
        let acknowledged = acknowledged(&ops[..at]);
        assert!(
            held >= acknowledged,
            "{what}: {held} of {acknowledged} are there"
        );
    }
}

#[tokio::test]
async fn by_default_the_database_opens_after_a_power_cut_and_holds_a_prefix() {
    let ops = record(false).await;
    let mut lost = 0;
    for seed in seeds() {
        let random = &mut SplitMix64::new(seed);
        let at = place(&ops, seed, random);
        let mut disk = Disk::default();
        ops[..at].iter().for_each(|op| disk.take(op));
        let what = format!("POWER_CUT_SEED={seed}, change {at} of {}", ops.len());
        let held = open(&disk.after_power_cut(random), &what).await;
        lost += u64::from(held < acknowledged(&ops[..at]));
    }
    // That is what full_sync is for; where no cut loses anything, this test cuts nothing.
    if setting("POWER_CUT_SEED").is_none() {
        assert!(lost > 0, "no cut has lost a command");
    }
}

#[tokio::test]
async fn without_a_power_cut_everything_is_there() {
    for full_sync in [true, false] {
        let mut disk = Disk::default();
        let ops = record(full_sync).await;
        ops.iter().for_each(|op| disk.take(op));
        assert_eq!(open(&disk.whole(), "no cut").await, COMMANDS);
        let syncs = ops.iter().filter(|op| matches!(op, Op::Sync(_))).count();
        // Checkpoints sync in both; every commit with full_sync alone.
        assert!(syncs > if full_sync { 100 } else { 10 }, "{syncs} syncs");
    }
}

/// The WAL carries checksums: what a flipped bit spoils is not taken for a commit, nor what follows it.
/// That holds where the WAL has not been copied into the database yet; before that, older pages would
/// cover newer ones, which is damage as a flip in the database itself is.
#[tokio::test]
async fn a_bit_that_flips_in_the_wal_ends_the_prefix_there() {
    let ops = record(true).await;
    let mut shortened = 0;
    for seed in seeds().take(50) {
        let random = &mut SplitMix64::new(seed);
        let mut disk = Disk::default();
        let at = place(&ops, 1, random);
        ops[..at].iter().for_each(|op| disk.take(op));
        let mut image = disk.whole();
        let before = open(&image, "before the flip").await;
        let Some((_, wal)) = image.iter_mut().find(|(name, _)| name.ends_with("-wal")) else {
            continue;
        };
        let Some(copied) = not_copied_from(&ops[..at]) else {
            continue;
        };
        let bit = copied * 8 + random.below((wal.len() as u64 - copied) * 8);
        wal[bit as usize / 8] ^= 1 << (bit % 8);
        let what = format!("POWER_CUT_SEED={seed}, bit {bit} of the WAL");
        let held = open(&image, &what).await;
        assert!(held <= before, "{what}: {held} after {before}");
        shortened += u64::from(held < before);
    }
    if setting("POWER_CUT_SEED").is_none() {
        assert!(shortened > 0);
    }
}

/// Where in the WAL begins what was written since the database was last; `None` when there is nothing.
fn not_copied_from(ops: &[Op]) -> Option<u64> {
    let of_database = |op: &Op| matches!(op, Op::Write(name, ..) if &**name == "tickcast.db");
    let since = ops.iter().rposition(of_database)? + 1;
    let of_wal = |op: &Op| match op {
        Op::Write(name, at, _) if name.ends_with("-wal") => Some(*at),
        _ => None,
    };
    ops[since..].iter().filter_map(of_wal).min()
}

/// SQLite keeps no checksums of the database's own pages: a bit that flips there is found where it makes
/// a page contradict itself or another, and else changes a value. Either way nothing panics, and what is
/// found is said.
#[tokio::test]
async fn a_bit_that_flips_in_the_database_is_an_error_or_a_value_and_no_panic() {
    let mut disk = Disk::default();
    record(true).await.iter().for_each(|op| disk.take(op));
    let whole = disk.whole();
    let mut damaged = 0;
    for seed in seeds().take(80) {
        let random = &mut SplitMix64::new(seed);
        let mut image = whole.clone();
        let content = image.get_mut("tickcast.db").unwrap();
        // Half of them in the first bytes of a page, which say what is in it.
        let page = random.below(content.len() as u64 / 4_096) * 4_096;
        let within = if seed.is_multiple_of(2) { 12 } else { 4_096 };
        let byte = (page + random.below(within)) as usize;
        content[byte] ^= 1 << random.below(8);
        let dir = tempfile::tempdir().unwrap();
        disk::write(&image, dir.path());
        if let Err(why) = workload::held(dir.path()).await {
            assert!(
                !why.contains("was cut off") && !why.contains("panic"),
                "{seed}: {why}"
            );
            damaged += u64::from(why.contains("damaged"));
        }
    }
    if setting("POWER_CUT_SEED").is_none() {
        assert!(damaged > 8, "only {damaged} were found");
    }
}

#[tokio::test]
async fn a_disk_that_fills_up_refuses_and_loses_nothing_and_is_written_again_when_there_is_room() {
    for seed in seeds().take(16) {
        let random = &mut SplitMix64::new(seed);
        let dir = tempfile::tempdir().unwrap();
        let recording = vfs::record(dir.path());
        let full_sync = seed.is_multiple_of(2);
        recording.set_room(Some(300_000 + random.below(3_000_000)));
        let run = workload::run(dir.path(), full_sync, (0, COMMANDS), &recording).await;
        let done = acknowledged(&recording.ops());
        match run {
            Ok(()) => assert_eq!(done, COMMANDS),
            Err((refused, error)) => {
                assert_eq!(error.kind(), ErrorKind::Unavailable, "{seed}: {error}");
                assert!(error.to_string().contains("full"), "{seed}: {error}");
                assert!(refused >= done);
            }
        }
        // The power may go while it is full, too.
        let mut disk = Disk::default();
        recording.ops().iter().for_each(|op| disk.take(op));
        let what = format!("POWER_CUT_SEED={seed}, a full disk");
        let held = open(&disk.after_power_cut(random), &what).await;
        assert!(!full_sync || held >= done, "{what}: {held} of {done}");
        recording.set_room(None);
        let held = workload::held(dir.path()).await.unwrap();
        assert!(held >= done, "{what}: {held} of {done}");
        // `held` has written one more.
        let rest = workload::run(dir.path(), full_sync, (held + 1, COMMANDS + 40), &recording);
        rest.await.unwrap();
    }
}

#[tokio::test]
async fn a_store_is_not_ready_while_the_disk_is_full_and_is_again_when_there_is_room() {
    let dir = tempfile::tempdir().unwrap();
    let recording = vfs::record(dir.path());
    // No checkpoint in between, which would take room too.
    let store = SqliteStore::open(SqliteOptions::new(dir.path()))
        .await
        .unwrap();
    store.ready().await.unwrap();
    store.append(workload::some_ticks(0)).await.unwrap();
    recording.set_room(Some(20_000));
    let refused = loop_until_refused(&store).await;
    assert!(refused.to_string().contains("add space"), "{refused}");
    for _ in 0..3 {
        let why = store.ready().await.unwrap_err();
        assert!(why.to_string().contains("full"), "{why}");
    }
    // Room for a small commit only: the large ones would still fail.
    recording.set_room(Some(200_000));
    let small = store.append(workload::some_ticks(1_000)).await;
    assert!(small.is_ok(), "{small:?}");
    assert!(store.ready().await.is_err());
    recording.set_room(None);
    wait_until_ready(&store).await;
    store.append(workload::many_ticks()).await.unwrap();
    store.ready().await.unwrap();
    store.close().await.unwrap();
    assert_eq!(
        store.ready().await.unwrap_err().kind(),
        ErrorKind::Unavailable
    );
}

async fn loop_until_refused(store: &SqliteStore) -> StoreError {
    loop {
        if let Err(error) = store.append(workload::many_ticks()).await {
            return error;
        }
    }
}

/// Probes come at intervals.
async fn wait_until_ready(store: &SqliteStore) {
    for _ in 0..200 {
        if store.ready().await.is_ok() {
            return;
        }
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
    panic!("never ready: {:?}", store.ready().await);
}

#[tokio::test]
async fn a_damaged_file_is_not_ready_is_read_and_not_written() {
    let dir = tempfile::tempdir().unwrap();
    vfs::install();
    let store = SqliteStore::open(workload::options(dir.path(), false))
        .await
        .unwrap();
    store.append(workload::many_ticks()).await.unwrap();
    store.close().await.unwrap();
    let path = dir.path().join("tickcast.db");
    let sound = fs::read(&path).unwrap();
    damage(&path, &sound);
    let store = SqliteStore::open(workload::options(dir.path(), false))
        .await
        .unwrap();
    for _ in 0..2 {
        let why = store.ready().await.unwrap_err();
        assert!(matches!(why, StoreError::Damaged { .. }), "{why}");
        assert!(
            why.to_string().contains("restore it from a backup"),
            "{why}"
        );
    }
    let refused = store.append(workload::some_ticks(0)).await.unwrap_err();
    assert!(matches!(refused, StoreError::Damaged { .. }), "{refused}");
    store.close().await.unwrap();
    fs::write(&path, sound).unwrap();
    let store = SqliteStore::open(workload::options(dir.path(), false))
        .await
        .unwrap();
    store.ready().await.unwrap();
    store.append(workload::some_ticks(0)).await.unwrap();
}

/// Garbage in pages of the middle: those that the opening reads are the first and the last ones.
fn damage(path: &Path, sound: &[u8]) {
    let mut content = sound.to_vec();
    let middle = content.len() / 8_192 * 4_096;
    content[middle..middle + 8_192].fill(0xA5);
    fs::write(path, content).unwrap();
}
