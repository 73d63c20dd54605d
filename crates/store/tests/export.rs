//! An export that is cut off, in what does not depend on the side of the store: what is left beside
//! the file, and what the next export makes of it. The ports' share of it is in the contract suite.
//!
//! A cut is made by something that stands where the export is about to write, so each is at the same
//! place in every run.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::{fs, path::PathBuf};

use market::{ErrorKind, Tick, Timestamp};
use serde_json::Value;
use store::{
    PriceWriter as _, SqliteOptions, SqliteStore, StoreError,
    export::{ExportOptions, ExportProgress, Format, Kind, export},
};

/// A store, and a folder for its exports.
struct Place {
    store: SqliteStore,
    dir: tempfile::TempDir,
}

impl Place {
    /// A store with ticks of some symbols.
    async fn with(symbols: &[&str]) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let options = SqliteOptions::new(dir.path().join("data"));
        let place = Self {
            store: SqliteStore::open(options).await.unwrap(),
            dir,
        };
        for name in symbols {
            place.put(name, 0).await;
        }
        place
    }

    /// Adds a hundred ticks of a symbol, the first of this number.
    async fn put(&self, name: &str, first: u64) {
        let ticks = (first..first + 100).map(|seq| Tick {
            symbol: name.parse().unwrap(),
            ts: Timestamp::from_millis(1_700_000_000_000 + seq as i64 * 500),
            seq,
            price: 10.0,
            size: 1.0,
        });
        self.store.append(ticks.collect()).await.unwrap();
    }

    fn output(&self) -> PathBuf {
        self.dir.path().join("all.csv")
    }

    fn part(&self, name: &str) -> PathBuf {
        self.dir.path().join("all.csv.part").join(name)
    }

    fn named(&self, symbols: &[&str]) -> ExportOptions {
        ExportOptions {
            symbols: symbols.iter().map(|name| name.parse().unwrap()).collect(),
            every_symbol: false,
            kind: Kind::Ticks,
            from: Timestamp::MIN,
            until: Timestamp::MAX,
            format: Format::Csv,
            output: self.output(),
            segment_rows: 1_000,
        }
    }

    fn every(&self, symbols: &[&str]) -> ExportOptions {
        ExportOptions {
            every_symbol: true,
            ..self.named(symbols)
        }
    }

    async fn export(&self, options: &ExportOptions) -> Result<ExportProgress, StoreError> {
        export(&self.store, options, |_| {}).await
    }

    /// An export that ends when the rows of its first symbol are on the disk.
    async fn cut_after_the_first_symbol(&self, options: &ExportOptions) {
        fs::create_dir_all(self.part("00000001")).unwrap();
        let cut = self.export(options).await.unwrap_err();
        assert_eq!(cut.kind(), ErrorKind::Unavailable, "{cut}");
        fs::remove_dir(self.part("00000001")).unwrap();
    }

    /// An export that ends when all that is left is to give the file its name.
    async fn cut_before_the_name(&self, options: &ExportOptions) {
        let stands_there = self.output();
        let cut = export(&self.store, options, |_| {
            fs::create_dir_all(&stands_there).unwrap();
        });
        let cut = cut.await.unwrap_err();
        assert_eq!(cut.kind(), ErrorKind::Unavailable, "{cut}");
        fs::remove_dir(stands_there).unwrap();
        assert!(self.part("joined").is_file());
    }

    /// An export whose file is whole and which ends before it has removed anything.
    async fn cut_before_the_removal(&self, options: &ExportOptions) {
        self.cut_before_the_name(options).await;
        fs::rename(self.part("joined"), self.output()).unwrap();
    }

    /// The symbols of the file's rows and how many each has, in the file's order.
    fn rows(&self) -> Vec<(String, usize)> {
        let mut rows: Vec<(String, usize)> = Vec::new();
        for line in fs::read_to_string(self.output()).unwrap().lines().skip(1) {
            let symbol = line.split(',').next().unwrap();
            match rows.last_mut() {
                Some((last, n)) if last == symbol => *n += 1,
                _ => rows.push((symbol.to_owned(), 1)),
            }
        }
        rows
    }

    fn nothing_is_left_beside_the_file(&self) -> bool {
        !self.dir.path().join("all.csv.part").exists()
    }
}

fn rows_of(expected: &[(&str, usize)]) -> Vec<(String, usize)> {
    let rows = expected.iter().map(|(name, n)| ((*name).to_owned(), *n));
    rows.collect()
}

#[tokio::test]
async fn an_export_of_every_symbol_goes_on_with_those_it_began_with_when_another_has_come() {
    let place = Place::with(&["BBB", "CCC"]).await;
    let begun = place.every(&["BBB", "CCC"]);
    place.cut_after_the_first_symbol(&begun).await;
    // One that stands before them in the list, and would move their places.
    place.put("AAA", 0).await;
    let every = place.every(&["AAA", "BBB", "CCC"]);
    let done = place.export(&every).await.unwrap();
    assert_eq!((done.rows, done.resumed_rows), (200, 100));
    assert_eq!(done.share, 1.0);
    assert_eq!(place.rows(), rows_of(&[("BBB", 100), ("CCC", 100)]));
    // A later export has it.
    fs::remove_file(place.output()).unwrap();
    place.export(&every).await.unwrap();
    let all = [("AAA", 100), ("BBB", 100), ("CCC", 100)];
    assert_eq!(place.rows(), rows_of(&all));
}

#[tokio::test]
async fn an_export_of_named_symbols_does_not_go_on_as_one_of_every_symbol() {
    let place = Place::with(&["AAA", "BBB", "CCC"]).await;
    let named = place.named(&["BBB", "CCC"]);
    place.cut_after_the_first_symbol(&named).await;
    for other in [
        place.every(&["AAA", "BBB", "CCC"]),
        place.named(&["AAA", "BBB", "CCC"]),
    ] {
        let refused = place.export(&other).await.unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::Invalid, "{refused}");
    }
    let done = place.export(&named).await.unwrap();
    assert_eq!((done.rows, done.resumed_rows), (200, 100));
}

#[tokio::test]
async fn an_export_goes_on_with_a_checkpoint_of_an_older_version() {
    let place = Place::with(&["BBB", "CCC"]).await;
    let every = place.every(&["BBB", "CCC"]);
    place.cut_after_the_first_symbol(&every).await;
    let path = place.part("checkpoint.json");
    let mut checkpoint: Value = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
    let fields = checkpoint.as_object_mut().unwrap();
    fields.remove("done").unwrap();
    let what = fields["what"].as_object_mut().unwrap();
    what.remove("every_symbol").unwrap();
    fs::write(&path, checkpoint.to_string()).unwrap();
    let done = place.export(&every).await.unwrap();
    assert_eq!((done.rows, done.resumed_rows), (200, 100));
    assert_eq!(place.rows(), rows_of(&[("BBB", 100), ("CCC", 100)]));
}

#[tokio::test]
async fn an_export_cut_off_before_its_file_has_its_name_still_gives_it() {
    let place = Place::with(&["BBB", "CCC"]).await;
    let options = place.named(&["BBB", "CCC"]);
    place.cut_before_the_name(&options).await;
    // The next is cut off while it joins the segments again.
    fs::write(place.part("joined"), "symbol,ts").unwrap();
    let done = place.export(&options).await.unwrap();
    assert_eq!((done.rows, done.resumed_rows), (200, 200));
    assert_eq!(place.rows(), rows_of(&[("BBB", 100), ("CCC", 100)]));
    assert!(place.nothing_is_left_beside_the_file());
}

#[tokio::test]
async fn an_export_cut_off_while_it_tidies_up_gives_no_old_rows_to_a_later_one() {
    let place = Place::with(&["BBB"]).await;
    let options = place.named(&["BBB"]);
    place.cut_before_the_removal(&options).await;
    assert_eq!(place.rows(), rows_of(&[("BBB", 100)]));
    let there = place.export(&options).await.unwrap_err();
    assert_eq!(there.kind(), ErrorKind::Conflict, "the file is whole");
    place.put("BBB", 500).await;
    fs::remove_file(place.output()).unwrap();
    let done = place.export(&options).await.unwrap();
    assert_eq!((done.rows, done.resumed_rows), (200, 0));
    assert_eq!(place.rows(), rows_of(&[("BBB", 200)]));
    assert!(place.nothing_is_left_beside_the_file());
}

#[tokio::test]
async fn what_a_cut_off_removal_left_does_not_stand_in_the_way_of_an_export_of_other_rows() {
    let place = Place::with(&["BBB", "CCC"]).await;
    let begun = place.named(&["BBB", "CCC"]);
    place.cut_before_the_removal(&begun).await;
    // It came as far as one of the segments.
    fs::remove_file(place.part("00000000")).unwrap();
    fs::remove_file(place.output()).unwrap();
    // Of no rows at all: it writes nothing that would replace what is left.
    let mut none = place.named(&["CCC"]);
    none.until = Timestamp::from_secs(0);
    let done = place.export(&none).await.unwrap();
    assert_eq!((done.rows, done.resumed_rows), (0, 0));
    assert_eq!(place.rows(), []);
    assert!(place.nothing_is_left_beside_the_file());
}
