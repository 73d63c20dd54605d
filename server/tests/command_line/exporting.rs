//! `export` of symbols that are named, and of those that are not when more of them come.

use std::{fs, path::Path, process::Output};

use crate::support::{data_dir, run, stderr, stdout};

/// Imports two daily bars of a symbol.
fn import(scratch: &Path, data: &str, symbol: &str) {
    let file = scratch.join(format!("{symbol}.csv"));
    let rows = format!(
        "symbol,date,open,high,low,close,volume\n\
         {symbol},2024-03-01,10,12,9,11,100\n\
         {symbol},2024-03-04,10,12,9,11,100\n"
    );
    fs::write(&file, rows).unwrap();
    let imported = run(&["import", file.to_str().unwrap(), "--data-dir", data]);
    assert!(imported.status.success(), "{}", stderr(&imported));
}

fn export(output: &Path, data: &str, more: &[&str]) -> Output {
    let output = output.to_str().unwrap();
    let flags = ["export", "-o", output, "--interval=1d", "--data-dir", data];
    run(&[&flags[..], more].concat())
}

/// The symbol of each row of a file.
fn symbols(file: &Path) -> Vec<String> {
    let text = fs::read_to_string(file).unwrap();
    let symbol = |line: &str| line.split(',').next().unwrap().to_owned();
    text.lines().skip(1).map(symbol).collect()
}

#[test]
fn a_symbol_that_is_named_twice_is_exported_once_in_the_order_of_the_names() {
    let (scratch, data) = data_dir();
    let data = data.display().to_string();
    for symbol in ["AAA", "BBB"] {
        import(scratch.path(), &data, symbol);
    }
    let file = scratch.path().join("some.csv");
    let named = ["--symbol", "BBB,AAA,BBB", "--symbol", "AAA"];
    let exported = export(&file, &data, &named);
    assert!(exported.status.success(), "{}", stderr(&exported));
    assert_eq!(symbols(&file), ["BBB", "BBB", "AAA", "AAA"]);
}

#[test]
fn an_export_of_every_symbol_that_is_cut_off_is_finished_by_the_same_command_after_an_import() {
    let (scratch, data) = data_dir();
    let data = data.display().to_string();
    for symbol in ["BBB", "CCC"] {
        import(scratch.path(), &data, symbol);
    }
    let file = scratch.path().join("all.csv");
    // Where it would write the rows of its second symbol.
    let in_the_way = scratch.path().join("all.csv.part/00000001");
    fs::create_dir_all(&in_the_way).unwrap();
    let cut = export(&file, &data, &[]);
    assert!(!cut.status.success(), "{}", stdout(&cut));
    fs::remove_dir(&in_the_way).unwrap();
    import(scratch.path(), &data, "AAA");
    let done = export(&file, &data, &[]);
    assert!(done.status.success(), "{}", stderr(&done));
    let said = stdout(&done);
    assert!(
        said.contains("4 rows, 2 of them by an earlier run"),
        "{said}"
    );
    assert_eq!(symbols(&file), ["BBB", "BBB", "CCC", "CCC"]);
    // The one that came later is in the next.
    let next = export(&file, &data, &["--overwrite"]);
    assert!(next.status.success(), "{}", stderr(&next));
    assert_eq!(symbols(&file), ["AAA", "AAA", "BBB", "BBB", "CCC", "CCC"]);
}
