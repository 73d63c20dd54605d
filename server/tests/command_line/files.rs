//! Files as people have them: what an import says and ends with, and what a forecast reads of them.

use std::{fs, path::Path, process::Output};

use crate::support::{data_dir, run, stderr, stdout};

fn import(scratch: &Path, text: &str, data: &str, more: &[&str]) -> Output {
    let file = scratch.join("acme.csv");
    fs::write(&file, text).unwrap();
    let flags = ["import", file.to_str().unwrap(), "--data-dir", data];
    run(&[&flags[..], more].concat())
}

fn exported(scratch: &Path, data: &str, interval: &str) -> Vec<String> {
    let file = scratch.join("out.csv");
    let output = file.to_str().unwrap();
    let flags = [
        "export",
        "-o",
        output,
        "--overwrite",
        "--interval",
        interval,
    ];
    let done = run(&[&flags[..], &["--data-dir", data]].concat());
    assert!(done.status.success(), "{}", stderr(&done));
    let text = fs::read_to_string(file).unwrap();
    text.lines().skip(1).map(ToOwned::to_owned).collect()
}

const HOURS: &str = "date,open,high,low,close,volume\n\
    2026-06-01 22:00:00+00:00,10,11,9,10,5\n\
    2026-06-01 23:00:00+00:00,10,11,9,10.5,6\n\
    2026-06-02 00:00:00+00:00,10,11,9,10.25,7\n";

#[test]
fn an_import_says_what_it_decided_and_what_was_new_replaced_and_equal() {
    let (scratch, data) = data_dir();
    let data = data.display().to_string();
    let first = import(scratch.path(), HOURS, &data, &[]);
    assert!(first.status.success(), "{}", stderr(&first));
    let said = stdout(&first);
    for part in [
        "acme.csv: 3 rows of 1 symbol",
        "bars of 1h, by the spacing of the rows",
        "close \"close\"",
        "3 new, 0 replaced, 0 equal",
        "0 put aside",
    ] {
        assert!(said.contains(part), "{part}: {said}");
    }
    assert_eq!(exported(scratch.path(), &data, "1h").len(), 3);
    let changed = HOURS.replace("10.25", "10.75");
    let again = import(scratch.path(), &changed, &data, &[]);
    let said = stdout(&again);
    assert!(said.contains("0 new, 1 replaced, 2 equal"), "{said}");
}

#[test]
fn what_is_left_open_ends_with_exit_code_2_and_nothing_is_stored() {
    let (scratch, data) = data_dir();
    let data = data.display().to_string();
    let good = scratch.path().join("good.csv");
    fs::write(&good, HOURS).unwrap();
    let one_bar = "date,open,high,low,close\n2026-06-01 09:30:00,1,1,1,1\n";
    let asked = import(scratch.path(), one_bar, &data, &[good.to_str().unwrap()]);
    assert_eq!(asked.status.code(), Some(2), "{}", stderr(&asked));
    let said = stderr(&asked);
    assert!(
        said.contains("acme.csv") && said.contains("--interval"),
        "{said}"
    );
    let out = scratch.path().join("none.csv");
    let nothing = run(&["export", "-o", out.to_str().unwrap(), "--data-dir", &data]);
    assert_eq!(nothing.status.code(), Some(2));
    assert!(
        stderr(&nothing).contains("the store has no prices"),
        "{}",
        stderr(&nothing)
    );
    assert!(!out.exists());
}

#[test]
fn a_file_of_which_no_row_can_be_used_ends_with_exit_code_1_and_the_reasons() {
    let (scratch, data) = data_dir();
    let data = data.display().to_string();
    let text = "date,open,high,low,close\nsoon,1,1,1,1\n2026-06-02,1,x,1,1\n";
    let useless = import(scratch.path(), text, &data, &[]);
    assert_eq!(useless.status.code(), Some(1), "{}", stderr(&useless));
    let said = stdout(&useless);
    assert!(
        said.contains("2 put aside (1 bad_field, 1 bad_timestamp)"),
        "{said}"
    );
    assert!(
        stderr(&useless).contains("no row of acme.csv could be used"),
        "{}",
        stderr(&useless)
    );
}

#[test]
fn an_export_of_other_bars_than_there_are_says_which_there_are() {
    let (scratch, data) = data_dir();
    let data = data.display().to_string();
    assert!(import(scratch.path(), HOURS, &data, &[]).status.success());
    let out = scratch.path().join("out.csv");
    let nothing = run(&["export", "-o", out.to_str().unwrap(), "--data-dir", &data]);
    assert_eq!(nothing.status.code(), Some(2));
    let said = stderr(&nothing);
    assert!(
        said.contains("no bars of 1m") && said.contains("bars of 1h"),
        "{said}"
    );
    assert!(!out.exists());
}

#[test]
fn a_forecast_goes_on_from_the_newest_row_and_says_that_it_sorted() {
    let (scratch, _) = data_dir();
    let file = scratch.path().join("acme.csv");
    let text = "timestamp,open,high,low,close\n2026-06-03,1,4,1,3\n2026-06-02,1,4,1,2\n2026-06-01,1,4,1,1\n";
    fs::write(&file, text).unwrap();
    let file = file.to_str().unwrap();
    let flags = [
        "--input",
        file,
        "--model",
        "naive",
        "--horizon",
        "1",
        "--format",
        "csv",
    ];
    let done = run(&[&["forecast"][..], &flags].concat());
    assert!(stdout(&done).contains("\n1,3,"), "{}", stdout(&done));
    assert!(stderr(&done).contains("newest first"), "{}", stderr(&done));
}

#[test]
fn a_number_that_is_none_is_said_with_its_option_and_what_was_expected() {
    let flags = ["--input", "x.csv", "--model", "naive", "--horizon", "-3"];
    for command in [&["forecast"][..], &["backtest", "--origins", "2"]] {
        let done = run(&[command, &flags].concat());
        let said = stderr(&done);
        assert_eq!(done.status.code(), Some(2), "{said}");
        let whole =
            said.contains("'-3'") && said.contains("--horizon") && said.contains("from 1 up");
        assert!(whole, "{said}");
    }
}
