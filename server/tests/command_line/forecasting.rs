//! `forecast` and `backtest`: what goes in, what comes out, and what is said when nothing can.

use std::{io::Write as _, process::Stdio};

use serde_json::Value;

use super::{
    SAMPLE,
    support::{data_dir, run, stderr, stdout, tickcast},
};

#[test]
fn forecast_gives_one_row_per_series_and_step() {
    let output = run(&[
        "forecast",
        "--input",
        SAMPLE,
        "--id",
        "Ticker",
        "--column",
        "Adj Close",
        "--model",
        "drift",
        "--horizon",
        "3",
        "--format",
        "csv",
    ]);
    assert!(output.status.success(), "{}", stderr(&output));
    let text = stdout(&output);
    let mut lines = text.lines();
    assert_eq!(lines.next(), Some("id,step,mean,lo-80,hi-80,lo-95,hi-95"));
    assert_eq!(lines.count(), 5 * 3);
}

#[test]
fn forecast_json_carries_the_fit() {
    let (scratch, _) = data_dir();
    let file = scratch.path().join("y.csv");
    std::fs::write(&file, "y\n1\n2\n\n4\n5\n7\n").unwrap();
    let file = file.display().to_string();
    let output = run(&[
        "forecast",
        "--input",
        &file,
        "--model",
        "naive",
        "--horizon",
        "2",
        "--level",
        "90",
        "--format",
        "json",
    ]);
    assert!(output.status.success(), "{}", stderr(&output));
    let value: Value = serde_json::from_str(&stdout(&output)).unwrap();
    assert_eq!(value["mean"], serde_json::json!([7.0, 7.0]));
    for key in [
        "model", "params", "sigma2", "loglik", "aic", "aicc", "bic", "seconds",
    ] {
        assert!(value.get(key).is_some(), "{key} is missing in {value}");
    }
    assert!(value["lower"]["90"][1].as_f64() < value["lower"]["90"][0].as_f64());
}

#[test]
fn a_forecast_of_nothing_usable_says_why() {
    let (scratch, _) = data_dir();
    let file = scratch.path().join("y.csv");
    std::fs::write(&file, "y\nten\n").unwrap();
    let file = file.display().to_string();
    let output = run(&[
        "forecast",
        "--input",
        &file,
        "--model",
        "naive",
        "--horizon",
        "2",
    ]);
    assert_eq!(output.status.code(), Some(2));
    assert!(
        stderr(&output).contains("line 2: \"ten\""),
        "{}",
        stderr(&output)
    );
}

#[test]
fn backtest_gives_one_row_per_series_and_model_and_draws_the_errors() {
    let (scratch, _) = data_dir();
    let plot = scratch.path().join("errors.svg").display().to_string();
    let output = run(&[
        "backtest",
        "--input",
        SAMPLE,
        "--id",
        "Ticker",
        "--column",
        "Adj Close",
        "--model",
        "drift",
        "--model",
        "theta",
        "--horizon",
        "5",
        "--origins",
        "8",
        "--window",
        "100",
        "--log",
        "--format",
        "csv",
        "--plot",
        &plot,
    ]);
    assert!(output.status.success(), "{}", stderr(&output));
    let text = stdout(&output);
    let mut csv = csv::Reader::from_reader(text.as_bytes());
    let header = csv.headers().unwrap().clone();
    for name in [
        "id", "model", "MASE", "RMSSE", "sMAPE", "pinball", "CRPS", "cover-80", "width-95",
        "p-naive",
    ] {
        assert!(
            header.iter().any(|h| h == name),
            "{name} is missing in {header:?}"
        );
    }
    let rows: Vec<csv::StringRecord> = csv.records().map(Result::unwrap).collect();
    // Five series and all of them together; drift, theta, and the naive and, since days have a season of
    // five, the seasonal naive that always run.
    assert_eq!(rows.len(), (5 + 1) * 4, "{text}");
    assert!(stderr(&output).contains("season 5, since the times lie 1d apart"));
    let mase = header.iter().position(|h| h == "MASE").unwrap();
    assert!(
        rows.iter().all(|r| r[mase].parse::<f64>().unwrap() > 0.0),
        "{text}"
    );
    let svg = std::fs::read_to_string(plot).unwrap();
    assert!(
        svg.starts_with("<svg") && svg.contains("theta"),
        "{}",
        &svg[..200]
    );
}

#[test]
fn a_backtest_that_does_not_fit_the_series_says_how_many_observations_it_needs() {
    let (scratch, _) = data_dir();
    let file = scratch.path().join("y.csv");
    std::fs::write(&file, "y\n1\n2\n3\n4\n").unwrap();
    let file = file.display().to_string();
    let output = run(&[
        "backtest",
        "--input",
        &file,
        "--model",
        "drift",
        "--horizon",
        "2",
        "--origins",
        "9",
    ]);
    assert!(!output.status.success());
    assert!(
        stderr(&output).contains("observations"),
        "{}",
        stderr(&output)
    );
}

#[test]
fn every_model_forecasts_the_real_prices() {
    for model in [
        "naive",
        "drift",
        "snaive",
        "mean",
        "ets",
        "theta",
        "arima(1,1,1)",
        "arima(0,1,1)+drift",
        "auto-arima",
        "garch",
        "combo",
    ] {
        let output = run(&[
            "forecast",
            "--input",
            SAMPLE,
            "--id",
            "Ticker",
            "--column",
            "Adj Close",
            "--model",
            model,
            "--season",
            "5",
            "--horizon",
            "5",
            "--log",
            "--format",
            "csv",
        ]);
        assert!(output.status.success(), "{model}: {}", stderr(&output));
        assert_eq!(stdout(&output).lines().count(), 1 + 5 * 5, "{model}");
    }
}

/// Runs `tickcast` with a CSV on standard input.
fn run_on(csv: &str, arguments: &[&str]) -> std::process::Output {
    let mut child = tickcast()
        .args(arguments)
        .args(["--input", "-"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stdin = child.stdin.take().unwrap();
    stdin.write_all(csv.as_bytes()).unwrap();
    drop(stdin);
    child.wait_with_output().unwrap()
}

/// A table of two walks: id, y.
fn two_walks() -> String {
    let mut csv = "id,y\n".to_owned();
    for (id, start) in [("a", 50.0), ("b", 900.0)] {
        let mut level = start;
        for t in 0..60 {
            level += f64::from((t * 7919 + 3) % 13) - 5.5;
            csv += &format!("{id},{level}\n");
        }
    }
    csv
}

#[test]
fn an_empty_line_of_one_column_is_the_missing_row_of_two() {
    let arguments = [
        "forecast",
        "--model",
        "drift",
        "--horizon",
        "3",
        "--format",
        "csv",
    ];
    let one = run_on("y\n1\n2\n\n4\n5\n7\n", &arguments);
    let two = run_on("t,y\n1,1\n2,2\n3,\n4,4\n5,5\n6,7\n", &arguments);
    assert!(one.status.success(), "{}", stderr(&one));
    assert_eq!(stdout(&one), stdout(&two));
    // Of the steps 1, 1 and 2 that were seen: none is seen across the gap.
    assert!(stdout(&one).contains("\n1,8.333"), "{}", stdout(&one));
}

#[test]
fn tables_are_for_reading() {
    let csv = two_walks();
    let output = run_on(
        &csv,
        &[
            "forecast",
            "--id",
            "id",
            "--model",
            "naive",
            "--horizon",
            "2",
        ],
    );
    assert!(output.status.success(), "{}", stderr(&output));
    let text = stdout(&output);
    for word in ["id", "step", "mean", "lo-80", "hi-95", "a", "b"] {
        assert!(text.split_whitespace().any(|w| w == word), "{word}: {text}");
    }
    let output = run_on(
        "y\n1\n2\n4\n5\n7\n",
        &["forecast", "--model", "drift", "--horizon", "1"],
    );
    let text = stdout(&output);
    assert!(
        text.contains("drift on 5 observations: drift 1.5"),
        "{text}"
    );

    let output = run_on(
        &csv,
        &[
            "backtest",
            "--id",
            "id",
            "--model",
            "mean",
            "--horizon",
            "2",
            "--origins",
            "5",
        ],
    );
    assert!(output.status.success(), "{}", stderr(&output));
    let text = stdout(&output);
    let rows: Vec<Vec<&str>> = text
        .lines()
        .map(|line| line.split_whitespace().collect())
        .filter(|row: &Vec<&str>| row.len() > 5)
        .collect();
    assert!(text.contains("skill: 1 - MAE / MAE of naive"), "{text}");
    let ids = |id: &str| rows.iter().filter(|row| row.contains(&id)).count();
    assert_eq!((ids("a"), ids("b"), ids("(all)")), (3, 3, 3), "{text}");
}

#[test]
fn the_rows_over_all_series_are_means_in_every_format() {
    let csv = two_walks();
    let run = |format: &str| {
        let output = run_on(
            &csv,
            &[
                "backtest",
                "--id",
                "id",
                "--model",
                "mean",
                "--horizon",
                "2",
                "--origins",
                "5",
                "--format",
                format,
            ],
        );
        assert!(output.status.success(), "{}", stderr(&output));
        stdout(&output)
    };
    let text = run("csv");
    let mut csv = csv::Reader::from_reader(text.as_bytes());
    let header = csv.headers().unwrap().clone();
    let rows: Vec<csv::StringRecord> = csv.records().map(Result::unwrap).collect();
    let at = |id: &str, model: &str, column: &str| -> String {
        let column = header.iter().position(|h| h == column).unwrap();
        let row = rows.iter().find(|r| &r[0] == id && &r[1] == model);
        row.unwrap()[column].to_owned()
    };
    let json: Value = serde_json::from_str(&run("json")).unwrap();
    let all = json.as_array().unwrap().last().unwrap();
    assert_eq!(all["id"], "(all)");
    for (model, place) in [("mean", 0), ("naive", 1), ("drift", 2)] {
        for (column, key) in [("MASE", "mase"), ("skill", "skill"), ("sMAPE", "smape")] {
            let of = |id: &str| at(id, model, column).parse::<f64>().unwrap();
            let mean = 0.5 * (of("a") + of("b"));
            assert!((of("(all)") - mean).abs() < 1e-12, "{model} {column}");
            let told = all["models"][place]["measures"][key].as_f64().unwrap();
            assert_eq!(told, of("(all)"), "{model} {column}");
        }
        assert_eq!(at("(all)", model, "CRPS"), "");
        assert_eq!(at("(all)", model, "p-naive"), "");
        assert_eq!(all["models"][place]["model"], model);
    }
}

#[test]
fn a_model_that_fails_at_every_origin_says_why_and_spoils_the_exit_code() {
    let csv = format!("y\n{}", "-1\n2\n".repeat(30));
    let output = run_on(
        &csv,
        &[
            "backtest",
            "--model",
            "ets",
            "--log",
            "--horizon",
            "2",
            "--origins",
            "3",
            "--format",
            "csv",
        ],
    );
    assert_eq!(output.status.code(), Some(1), "{}", stderr(&output));
    let said = stderr(&output);
    assert!(
        said.contains("ets failed at every origin: observation 0 is -1"),
        "{said}"
    );
    assert_eq!(stdout(&output).lines().count(), 1 + 3);
}

#[test]
fn a_step_or_a_window_of_nothing_is_refused() {
    for option in ["--step", "--window"] {
        let output = run_on(
            "y\n1\n2\n3\n2\n3\n4\n3\n4\n5\n",
            &[
                "backtest",
                "--model",
                "drift",
                "--horizon",
                "1",
                "--origins",
                "2",
                option,
                "0",
            ],
        );
        assert!(!output.status.success());
        assert!(
            stderr(&output).contains(&option[2..]),
            "{}",
            stderr(&output)
        );
    }
}

#[test]
fn the_header_is_whole_when_every_series_fails() {
    let output = run_on(
        "id,y\na,1\nb,2\n",
        &[
            "forecast",
            "--id",
            "id",
            "--model",
            "drift",
            "--horizon",
            "1",
            "--level",
            "90",
            "--format",
            "csv",
        ],
    );
    assert_eq!(output.status.code(), Some(1));
    assert_eq!(stdout(&output), "id,step,mean,lo-90,hi-90\n");
}

#[test]
fn a_season_that_is_too_long_for_smoothing_is_said_to_be_left_out() {
    let csv = format!("y\n{}", "3\n5\n4\n8\n".repeat(30));
    for (season, said) in [("30", true), ("24", false)] {
        let output = run_on(
            &csv,
            &[
                "forecast",
                "--model",
                "ets",
                "--season",
                season,
                "--horizon",
                "1",
            ],
        );
        assert!(output.status.success(), "{}", stderr(&output));
        assert_eq!(stderr(&output).contains("at most 24 steps"), said);
    }
}

#[test]
fn trades_of_one_second_have_no_season_and_their_last_price_is_the_last_in_the_file() {
    let mut csv = "time,price,volume\n".to_owned();
    for n in 0..130_u32 {
        // Two trades a second, the second one higher.
        csv += &format!(
            "{},{}.5,1\n",
            1_780_315_200 + n / 2,
            100 + n % 2 + n * 7 % 19
        );
    }
    let output = run_on(
        &csv,
        &[
            "forecast",
            "--model",
            "naive",
            "--horizon",
            "1",
            "--format",
            "csv",
        ],
    );
    assert!(output.status.success(), "{}", stderr(&output));
    let said = stderr(&output);
    assert!(
        said.contains("taken as trades") && !said.contains("apart"),
        "{said}"
    );
    let last = 100 + 129 % 2 + 129 * 7 % 19;
    let row = stdout(&output);
    let row = row.lines().nth(1).unwrap();
    assert!(row.starts_with(&format!("1,{last}.5,")), "{row}");
    // A season that is named is taken.
    let output = run_on(
        &csv,
        &[
            "forecast",
            "--model",
            "snaive",
            "--season",
            "2",
            "--horizon",
            "1",
        ],
    );
    assert!(output.status.success(), "{}", stderr(&output));
}
