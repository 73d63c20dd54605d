//! The seeds of the fuzz targets as ordinary tests: as they are, cut off, and changed by seeded chance.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on panics")]

#[path = "../fuzz/checks/file.rs"]
mod file;
#[path = "../fuzz/checks/rest.rs"]
mod rest;

use testing::{SplitMix64, mutated};

fn seeds(target: &str) -> Vec<Vec<u8>> {
    testing::fuzz_seeds(env!("CARGO_MANIFEST_DIR"), target, 10)
}

#[test]
fn no_answer_of_the_seeds_breaks_the_reading_of_answers() {
    for seed in seeds("rest") {
        rest::check(&seed);
        // Cut off anywhere, it is still read or refused.
        for end in (0..seed.len()).step_by(7) {
            rest::check(&seed[..end]);
        }
    }
}

#[test]
fn an_answer_of_a_megabyte_of_the_least_rows_is_read() {
    for (first, row) in [
        ("binance-bars", "1,"),
        ("binance-bars", "[],"),
        ("binance-trades", "{},"),
        (r#"{"rows":"*.*","fields":{"time":"0"}}"#, "[0],"),
        (
            r#"{"fields":{"time":"a.b.c.d.e.f.g.h","price":"0.0.0"}}"#,
            "{\"a\":{}},",
        ),
    ] {
        let body = format!("{first}\n[{}0]", row.repeat(1_000_000 / row.len()));
        rest::check(body.as_bytes());
    }
    let deep = format!(
        "binance-bars\n{}{}",
        "[".repeat(100_000),
        "]".repeat(100_000)
    );
    rest::check(deep.as_bytes());
    let keys: String = (0..50_000)
        .map(|i| format!("\"k{i}\":{{\"1. open\":1}},"))
        .collect();
    let keyed = format!("alpha-vantage-daily\n{{\"Time Series (Daily)\":{{{keys}\"x\":1}}}}");
    rest::check(keyed.as_bytes());
}

#[test]
fn files_of_the_seeds_are_read_or_refused_and_nothing_panics() {
    for seed in seeds("file") {
        file::check(&seed);
    }
}

/// The files of the fixtures, whatever tool wrote them.
fn fixtures(folder: &str) -> Vec<Vec<u8>> {
    let folder = format!("{}/tests/files/{folder}", env!("CARGO_MANIFEST_DIR"));
    let mut paths: Vec<_> = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.is_file())
        .collect();
    paths.sort();
    paths
        .iter()
        .map(|path| std::fs::read(path).unwrap())
        .collect()
}

#[test]
fn fixtures_are_read_or_refused_whatever_options_are_chosen_and_wherever_they_are_cut_off() {
    for folder in ["fixtures", "columnar"] {
        let fixtures = fixtures(folder);
        assert!(fixtures.len() >= 30, "{folder}: {}", fixtures.len());
        for fixture in fixtures {
            for choice in [0, 0b0000_0001, 0b1101_1110, 0b0010_0000, 0b0100_0000] {
                let mut data = vec![choice];
                data.extend_from_slice(&fixture);
                file::check(&data);
                for cut in (0..fixture.len()).step_by(fixture.len() / 7 + 1) {
                    file::check(&data[..=cut]);
                }
            }
        }
    }
}

/// Pieces that files have in places where nobody expects them.
const PIECES: [&[u8]; 20] = [
    b"\"",
    b",",
    b";",
    b"\n",
    b"\r\n",
    b"\t",
    b"-",
    b".",
    b"9223372036854775807",
    b"1e309",
    b"NaN",
    b"2026-02-30",
    b"31/12/2026",
    b"\xff\xfe",
    b"\0",
    "\u{5e74}\u{2028}".as_bytes(),
    b"{",
    b"]",
    b"null",
    b"\\u0000",
];

#[test]
fn files_with_pieces_moved_lost_and_added_are_read_or_refused() {
    let mut dice = SplitMix64::new(1);
    let mut tried = 0;
    for seed in seeds("file") {
        for _ in 0..100 {
            file::check(&mutated(&seed, &mut dice, &PIECES));
            tried += 1;
        }
    }
    for folder in ["fixtures", "columnar"] {
        let fixtures = fixtures(folder);
        for fixture in fixtures {
            for _ in 0..20 {
                let mut data = vec![dice.bits().to_le_bytes()[0]];
                data.extend(mutated(&fixture, &mut dice, &PIECES));
                file::check(&data);
                tried += 1;
            }
        }
    }
    assert!(tried > 2_000, "{tried}");
}

#[test]
fn answers_with_pieces_moved_lost_and_added_are_read_or_refused() {
    let mut dice = SplitMix64::new(2);
    for seed in seeds("rest") {
        let head = seed.iter().position(|byte| *byte == b'\n').unwrap() + 1;
        for round in 0..400 {
            // The answer, and now and then the mapping too.
            let kept = if round % 8 == 0 { 0 } else { head };
            let mut data = seed[..kept].to_vec();
            data.extend(mutated(&seed[kept..], &mut dice, &PIECES));
            rest::check(&data);
        }
    }
}
