//! Files in archives, from pipes, in other encodings and of many rows.

use std::io::Write as _;

use flate2::{Compression, write::GzEncoder};
use market::Interval;
use source::file::{PriceFile, input::Input};

use super::{asked, open, options, read_text};

const TEXT: &str =
    "date,open,high,low,close,volume\n2026-06-01,10,11,9,10,5\n2026-06-02,10,11,9,10,5\n";

fn gzipped(text: &str) -> Vec<u8> {
    let mut gz = GzEncoder::new(Vec::new(), Compression::fast());
    gz.write_all(text.as_bytes()).unwrap();
    gz.finish().unwrap()
}

fn zipped(files: &[(&str, &str)]) -> Vec<u8> {
    let mut zip = zip::ZipWriter::new(std::io::Cursor::new(Vec::new()));
    let how = zip::write::SimpleFileOptions::default();
    for (name, text) in files {
        zip.start_file(*name, how).unwrap();
        zip.write_all(text.as_bytes()).unwrap();
    }
    zip.finish().unwrap().into_inner()
}

#[test]
fn gzip_and_zip_are_told_by_their_first_bytes() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("acme.bin");
    let two = [("readme.txt", "hello"), ("ACME.csv", TEXT)];
    for bytes in [
        gzipped(TEXT),
        zipped(&[("ACME.txt", TEXT)]),
        zipped(&two),
        zipped(&[("__MACOSX/._x.csv", "x"), ("ACME.csv", TEXT)]),
    ] {
        std::fs::write(&path, bytes).unwrap();
        assert_eq!(open(&path, options()).unwrap().bars.len(), 2);
    }
    std::fs::write(&path, zipped(&[("a.csv", TEXT), ("b.csv", TEXT)])).unwrap();
    let (_, said) = asked(open(&path, options()));
    assert!(said.contains("2 files (a.csv, b.csv)"), "{said}");
    std::fs::write(&path, &gzipped(TEXT)[..30]).unwrap();
    assert!(open(&path, options()).is_err());
}

#[test]
fn what_can_be_read_only_once_is_spooled_and_needs_a_symbol() {
    let mut named = options();
    named.symbol = Some("ACME".parse().unwrap());
    for bytes in [
        TEXT.as_bytes().to_vec(),
        gzipped(TEXT),
        zipped(&[("a.csv", TEXT)]),
    ] {
        let input = Input::spool(bytes.as_slice()).unwrap();
        let file = PriceFile::of(input, named.clone()).unwrap();
        for _ in 0..2 {
            let mut bars = 0;
            file.for_each(
                |_| {},
                |batch| {
                    bars += batch.bars.len();
                    Ok(())
                },
            )
            .unwrap();
            assert_eq!(bars, 2);
        }
    }
    let nameless = PriceFile::of(Input::spool(TEXT.as_bytes()).unwrap(), options());
    assert!(nameless.err().unwrap().to_string().contains("--symbol"));
}

#[test]
fn many_rows_over_many_batches_are_read_like_few() {
    let mut text = String::from("time,symbol,open,high,low,close,volume\n");
    for i in 0..30_000_i64 {
        let at = 1_700_000_000 - 1_700_000_000 % 300 + (i / 3) * 300;
        let symbol = ["A", "B", "C"][(i % 3) as usize];
        text += &format!("{at},{symbol},10,11,9,{},5\n", 9.5 + (i % 7) as f64 / 10.0);
    }
    let read = read_text("many.csv", &text, options()).unwrap();
    assert_eq!((read.bars.len(), read.rejects.len()), (30_000, 0));
    assert!(read.bars.iter().all(|bar| bar.interval == Interval::M5));
    // In any order they are the same bars.
    let mut lines: Vec<&str> = text.lines().skip(1).collect();
    lines.sort_by_key(|line| {
        line.bytes()
            .rev()
            .fold(7_u64, |h, b| h.wrapping_mul(31) ^ u64::from(b))
    });
    let shuffled = format!("{}\n{}\n", text.lines().next().unwrap(), lines.join("\n"));
    let mixed = read_text("many.csv", &shuffled, options()).unwrap();
    let key = |bar: &market::Bar| (bar.symbol.clone(), bar.start);
    let sorted = |mut bars: Vec<market::Bar>| {
        bars.sort_by_key(key);
        bars
    };
    assert_eq!(sorted(mixed.bars), sorted(read.bars));
    assert!(
        mixed.facts.contains("not in the order of time"),
        "{}",
        mixed.facts
    );
}

#[test]
fn the_bundled_sample_is_read_whole_plain_and_adjusted() {
    let path =
        std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../data/stocks-daily.csv.gz");
    let plain = open(&path, options()).unwrap();
    assert_eq!((plain.bars.len(), plain.rejects.len()), (12_154, 0));
    assert!(plain.bars.iter().all(|bar| bar.interval == Interval::D1));
    let first = &plain.bars[0];
    assert_eq!(
        (first.open, first.close, first.volume),
        (118.56, 130.31, 9_616_100.0)
    );
    let mut adjusted = options();
    adjusted.close_column = Some("Adj Close".into());
    let adjusted = open(&path, adjusted).unwrap();
    let first = &adjusted.bars[0];
    assert_eq!(first.close, 4.186_662_803_811);
    assert!((first.open / first.close - 118.56 / 130.31).abs() < 1e-12);
    // The splits of 2000 and 2005 are gone: no day of Apple's loses more than the worst real one.
    let apple: Vec<f64> = adjusted
        .bars
        .iter()
        .filter(|b| b.symbol.as_str() == "AAPL")
        .map(|b| b.close)
        .collect();
    assert!(apple.windows(2).all(|w| w[1] / w[0] > 0.45));
}
