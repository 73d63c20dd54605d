//! What comes from outside and must not get further than it should: control characters to a terminal, more
//! bytes into a file than the process may write.

use std::{
    fs,
    path::Path,
    process::{Command, Output},
};

use crate::support::{TICKCAST, data_dir, run, stderr, stdout};

/// A title for the window, a screen wiped, and a line written over another.
const HOSTILE: &str = "A\u{1b}]0;owned\u{7}\u{1b}[2J\rB\u{9b}31m\u{202e}";

fn assert_plain(what: &str, output: &Output) {
    for text in [stdout(output), stderr(output)] {
        let steers = |c: char| (c.is_control() && c != '\n') || c == '\u{202e}';
        assert!(!text.contains(steers), "{what}: {text:?}");
    }
}

#[test]
fn nothing_from_outside_steers_the_terminal() {
    let (scratch, data) = data_dir();
    let data = data.display().to_string();
    let file = scratch.path().join(format!("{HOSTILE}.csv"));
    let text = format!(
        "symbol,date,open,high,low,close,volume,\"{HOSTILE}\"\n\
         ACME,2024-03-01,10,12,9,11,100,1\n\
         \"{HOSTILE}\",2024-03-04,10,12,9,11,100,1\n\
         ACME,\"{HOSTILE}\",10,12,9,11,100,1\n\
         ACME,2024-03-05,10,12,9,\"{HOSTILE}\",100,1\n"
    );
    fs::write(&file, text).unwrap();
    let file = file.to_str().unwrap();
    let imported = run(&["import", file, "--interval=1d", "--data-dir", &data]);
    assert!(
        stdout(&imported).contains(r"\u001b"),
        "{}",
        stdout(&imported)
    );
    assert_plain("import", &imported);
    for list in [&["list"][..], &["list", "--json"]] {
        let listed = run(&[&["deadletters"][..], list, &["--data-dir", &data]].concat());
        assert!(stdout(&listed).contains("owned"), "{}", stderr(&listed));
        assert_plain("deadletters", &listed);
        if list.contains(&"--json") {
            for line in stdout(&listed).lines() {
                let letter: serde_json::Value = serde_json::from_str(line).unwrap();
                assert!(letter["payload"].as_str().unwrap().contains("owned"));
            }
        }
    }
    let missing = run(&["import", HOSTILE, "--data-dir", &data]);
    assert_eq!(missing.status.code(), Some(2));
    assert_plain("a file that is not there", &missing);
    let mut rows = "id,y\n".to_owned();
    for value in [1, 3, 2, 4, 3, 5] {
        rows += &format!("\"{HOSTILE}\",{value}\nC,{value}\n");
    }
    let series = scratch.path().join("series.csv");
    fs::write(&series, rows).unwrap();
    let series = series.to_str().unwrap();
    for format in ["table", "csv", "json"] {
        let flags = [
            "--id",
            "id",
            "--model",
            "naive",
            "--horizon",
            "1",
            "--format",
            format,
        ];
        let forecast = run(&[&["forecast", "--input", series][..], &flags].concat());
        assert!(forecast.status.success(), "{}", stderr(&forecast));
        assert!(stdout(&forecast).contains("owned"));
        assert_plain(format, &forecast);
    }
    let column = run(&[
        "forecast",
        "--input",
        series,
        "--column",
        HOSTILE,
        "--model",
        "naive",
        "--horizon",
        "1",
    ]);
    assert!(!column.status.success());
    assert_plain("a column that is not there", &column);
}

/// Runs with files of so many kilobytes at most.
fn limited(kilobytes: u32, arguments: &[&str], out: Option<&Path>) -> Output {
    let to = out.map_or_else(String::new, |path| format!(" > '{}'", path.display()));
    let script = format!("ulimit -f {kilobytes}; exec \"$0\" \"$@\"{to}");
    Command::new("bash")
        .args(["-c", &script, TICKCAST])
        .args(arguments)
        .output()
        .unwrap()
}

/// It ended by itself, with a word about the limit.
fn assert_told(what: &str, output: &Output) {
    let told = stderr(output);
    assert!(
        output.status.code().is_some_and(|code| code != 0),
        "{what}: {told}"
    );
    assert!(told.contains("ulimit -f"), "{what}: {told}");
    assert!(!told.contains("panicked"), "{what}: {told}");
}

#[test]
fn a_limit_on_the_size_of_files_ends_with_a_message_and_not_by_a_signal() {
    let (scratch, data) = data_dir();
    let data = data.display().to_string();
    let file = scratch.path().join("acme.csv");
    let mut text = "date,open,high,low,close,volume\n".to_owned();
    for minute in 0..20_000 {
        let (hour, minute) = (minute / 60, minute % 60);
        text += &format!(
            "2024-01-{:02} {:02}:{minute:02}:00,10,12,9,11,1\n",
            1 + hour / 24,
            hour % 24
        );
    }
    fs::write(&file, text).unwrap();
    let file = file.to_str().unwrap();
    let small = scratch.path().join("small").display().to_string();
    assert_told(
        "import",
        &limited(400, &["import", file, "--data-dir", &small], None),
    );
    // What a smaller file could hold is kept, and the rest comes by the same command.
    let again = run(&["import", file, "--data-dir", &small]);
    assert!(again.status.success(), "{}", stderr(&again));
    let imported = run(&["import", file, "--data-dir", &data]);
    assert!(imported.status.success(), "{}", stderr(&imported));
    let out = scratch.path().join("out.csv").display().to_string();
    let export = ["export", "-o", &out, "--data-dir", &data];
    // The database is opened too, and is larger than the limit: only what grows counts.
    assert_told("export", &limited(64, &export, None));
    let whole = run(&export);
    assert!(whole.status.success(), "{}", stderr(&whole));
    let forecast = [
        "forecast",
        "--input",
        file,
        "--model",
        "naive",
        "--horizon",
        "100",
        "--format",
        "csv",
    ];
    let to = scratch.path().join("forecast.csv");
    assert_told("forecast", &limited(1, &forecast, Some(&to)));
}
