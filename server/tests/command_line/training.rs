//! `train`, and what it wrote as a model of `forecast` and `backtest`.

use std::{fs, process::Stdio, time::Duration};

use serde_json::Value;

use super::{
    SAMPLE,
    support::{data_dir, run, stderr, stdout, tickcast},
};

const TABLE: [&str; 6] = ["--input", SAMPLE, "--id", "Ticker", "--column", "Adj Close"];

/// A small network of a few epochs.
fn train(more: &[&str]) -> Vec<String> {
    let quick = [
        "train",
        "--size",
        "small",
        "--horizon",
        "5",
        "--epochs",
        "2",
    ];
    let all = [&quick[..], &TABLE[..], more].concat();
    all.iter().map(ToString::to_string).collect()
}

fn strs(words: &[String]) -> Vec<&str> {
    words.iter().map(String::as_str).collect()
}

#[test]
fn a_trained_lstm_forecasts_and_stands_in_the_backtest() {
    let (scratch, _) = data_dir();
    let out = scratch.path().join("lstm-5").display().to_string();
    let words = train(&[
        "--model",
        "lstm",
        "--out",
        &out,
        "--holdout",
        "300",
        "--covariate",
        "volume",
    ]);
    let trained = run(&strs(&words));
    assert!(trained.status.success(), "{}", stderr(&trained));
    let said = stdout(&trained);
    assert!(
        said.contains("pinball loss") && said.contains("naive"),
        "{said}"
    );
    assert!(
        stderr(&trained).contains("epoch 2 of 2"),
        "{}",
        stderr(&trained)
    );
    assert!(!scratch.path().join("lstm-5.checkpoint").exists());

    let text = fs::read_to_string(format!("{out}/manifest.json")).unwrap();
    let manifest: Value = serde_json::from_str(&text).unwrap();
    assert_eq!(manifest["config"]["kind"], "lstm");
    assert_eq!(
        manifest["config"]["covariates"],
        serde_json::json!(["volume"])
    );
    assert_eq!(
        manifest["provenance"]["missing_covariates"],
        serde_json::json!([])
    );
    assert_eq!(manifest["files"].as_object().unwrap().len(), 1);

    // The forecast reads volumes as the training did; where there are none it says so instead of guessing them.
    let model = format!("lstm:{out}");
    let ahead = [
        "forecast",
        "--model",
        &model,
        "--horizon",
        "5",
        "--format",
        "csv",
    ];
    let read = run(&[&ahead[..], &TABLE[..]].concat());
    assert!(read.status.success(), "{}", stderr(&read));
    let refused = run(&[&ahead[..], &TABLE[..], &["--volume-column", "turnover"]].concat());
    assert!(!refused.status.success());
    assert!(
        stderr(&refused).contains("the covariate volume"),
        "{}",
        stderr(&refused)
    );

    let words = train(&["--model", "lstm", "--out", &out, "--holdout", "300"]);
    assert!(run(&strs(&words)).status.success());
    let forecast = run(&[&ahead[..], &TABLE[..]].concat());
    assert!(forecast.status.success(), "{}", stderr(&forecast));
    assert_eq!(stdout(&forecast).lines().count(), 1 + 5 * 5);

    let layout = [
        "backtest",
        "--model",
        &model,
        "--horizon",
        "5",
        "--origins",
        "10",
        "--format",
        "json",
    ];
    let backtest = run(&[&layout[..], &TABLE[..]].concat());
    assert!(backtest.status.success(), "{}", stderr(&backtest));
    let note = stderr(&backtest);
    assert!(note.contains("is not retrained at the origins"), "{note}");
    assert!(note.contains("before all of them"), "{note}");
    assert!(
        stdout(&backtest).contains(&model),
        "the table names the model"
    );

    let later = [
        "backtest",
        "--model",
        &model,
        "--horizon",
        "5",
        "--origins",
        "80",
        "--format",
        "json",
    ];
    let backtest = run(&[&later[..], &TABLE[..]].concat());
    assert!(
        stderr(&backtest).contains("which flatters it"),
        "{}",
        stderr(&backtest)
    );
}

#[test]
fn the_same_seed_trains_the_same_weights_and_another_does_not() {
    let (scratch, _) = data_dir();
    let weights = |name: &str, seed: &str, threads: &str| {
        let out = scratch.path().join(name);
        let to = out.display().to_string();
        let words = train(&["--model", "nlinear", "--out", &to, "--seed", seed]);
        let trained = tickcast()
            .args(&words)
            .env("RAYON_NUM_THREADS", threads)
            .output()
            .unwrap();
        assert!(trained.status.success(), "{}", stderr(&trained));
        fs::read(out.join("model.safetensors")).unwrap()
    };
    let first = weights("a", "7", "1");
    assert!(
        first == weights("b", "7", "2"),
        "two threads gave other weights than one"
    );
    assert!(
        first != weights("c", "8", "2"),
        "another seed gave the same weights"
    );
}

#[cfg(unix)]
#[test]
fn a_training_that_is_killed_goes_on_to_the_same_weights() {
    let (scratch, _) = data_dir();
    let words = |name: &str| {
        let out = scratch.path().join(name).display().to_string();
        let mut words = train(&["--model", "patchtst", "--out", &out]);
        words.extend(["--holdout", "2600"].map(ToOwned::to_owned));
        words
    };
    let whole = run(&strs(&words("whole")));
    assert!(whole.status.success(), "{}", stderr(&whole));
    let checkpoint = scratch.path().join("cut.checkpoint");
    let mut child = tickcast()
        .args(words("cut"))
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    while !checkpoint.exists() && child.try_wait().unwrap().is_none() {
        std::thread::sleep(Duration::from_millis(2));
    }
    // SIGKILL: nothing can be tidied up.
    let _ = child.kill();
    child.wait().unwrap();
    let resumed = run(&strs(&words("cut")));
    assert!(resumed.status.success(), "{}", stderr(&resumed));
    let weights =
        |name: &str| fs::read(scratch.path().join(name).join("model.safetensors")).unwrap();
    assert!(
        weights("whole") == weights("cut"),
        "resumed to other weights"
    );
}

#[test]
fn what_cannot_be_trained_or_loaded_is_said_with_its_reason() {
    let (scratch, _) = data_dir();
    let file = scratch.path().join("short.csv");
    fs::write(&file, "y\n1\n2\n3\n4\n5\n").unwrap();
    let file = file.display().to_string();
    let out = scratch.path().join("m").display().to_string();
    let short = run(&[
        "train",
        "--model",
        "nlinear",
        "--input",
        &file,
        "--horizon",
        "5",
        "--out",
        &out,
    ]);
    assert_eq!(short.status.code(), Some(2));
    assert!(
        stderr(&short).contains("no window of 65 values"),
        "{}",
        stderr(&short)
    );
    let full = scratch.path().join("full");
    fs::create_dir(&full).unwrap();
    fs::write(full.join("thesis.txt"), "years of work").unwrap();
    let to = full.display().to_string();
    let taken = run(&strs(&train(&["--model", "nlinear", "--out", &to])));
    assert!(
        stderr(&taken).contains("something that is not a trained model"),
        "{}",
        stderr(&taken)
    );

    let none = ["forecast", "--model", "lstm:/no/such", "--horizon", "5"];
    let none = run(&[&none[..], &TABLE[..]].concat());
    assert!(
        stderr(&none).contains("/no/such/manifest.json"),
        "{}",
        stderr(&none)
    );
    let trained = run(&strs(&train(&["--model", "nlinear", "--out", &out])));
    assert!(trained.status.success(), "{}", stderr(&trained));
    let name = format!("lstm:{out}");
    let other = ["forecast", "--model", &name, "--horizon", "5"];
    let other = run(&[&other[..], &TABLE[..]].concat());
    assert!(
        stderr(&other).contains("holds a model of kind nlinear, not lstm"),
        "{}",
        stderr(&other)
    );
    let name = format!("nlinear:{out}");
    let far = ["forecast", "--model", &name, "--horizon", "6"];
    let far = run(&[&far[..], &TABLE[..]].concat());
    assert!(
        stderr(&far).contains("the model was trained for 1 to 5 steps, asked for 6"),
        "{}",
        stderr(&far)
    );
    let weights = scratch.path().join("m/model.safetensors");
    let mut bytes = fs::read(&weights).unwrap();
    let last = bytes.len() - 1;
    bytes[last] ^= 1;
    fs::write(&weights, bytes).unwrap();
    let near = ["forecast", "--model", &name, "--horizon", "5"];
    let altered = run(&[&near[..], &TABLE[..]].concat());
    assert!(
        stderr(&altered).contains("model.safetensors: it was altered"),
        "{}",
        stderr(&altered)
    );
}
