//! `tickcast schedule next`: the next fires on three clocks, and what is no schedule.

use serde_json::Value;

use crate::support::{run, stderr, stdout};

#[test]
fn the_next_fires_stand_in_utc_in_local_and_in_exchange_time() {
    let listed = run(&[
        "schedule",
        "next",
        "20 minutes after the close of every XNYS session",
        "--count=3",
        "--from=2026-11-25T00:00:00Z",
        "--zone=Europe/London",
    ]);
    assert!(listed.status.success(), "{}", stderr(&listed));
    let text = stdout(&listed);
    assert!(text.starts_with("XNYS close +20m\n"), "{text}");
    let row = |utc: &str| {
        text.lines()
            .find(|line| line.contains(utc))
            .unwrap()
            .to_owned()
    };
    // The day after Thanksgiving.
    let early = row("2026-11-27T18:20:00Z");
    for part in [
        "Fri 2026-11-27 18:20:00 GMT",
        "Fri 2026-11-27 13:20:00 EST",
        "closes early",
    ] {
        assert!(early.contains(part), "{part:?} is missing in {early}");
    }
    assert!(!row("2026-11-25T21:20:00Z").contains("early"));
    assert!(row("2026-11-30T21:20:00Z").contains("16:20:00 EST"));
    assert!(!text.contains("2026-11-26T"), "{text}");
}

#[test]
fn a_cron_pattern_goes_by_the_zone_that_is_asked_for() {
    let pattern = [
        "schedule",
        "next",
        "30 2 * * *",
        "--from=2026-03-07T12:00:00Z",
        "--count=2",
        "--json",
    ];
    let fires = |zone: &[&str]| -> Vec<String> {
        let listed = run(&[&pattern[..], zone].concat());
        assert!(listed.status.success(), "{}", stderr(&listed));
        let answer: Value = serde_json::from_str(&stdout(&listed)).unwrap();
        let fires = answer["fires"].as_array().unwrap();
        fires
            .iter()
            .map(|fire| fire["utc"].as_str().unwrap().to_owned())
            .collect()
    };
    assert_eq!(fires(&[]), ["2026-03-08T02:30:00Z", "2026-03-09T02:30:00Z"]);
    // 02:30 is not on that clock on 8 March: right after the gap.
    assert_eq!(
        fires(&["--zone=America/New_York"]),
        ["2026-03-08T07:00:00Z", "2026-03-09T06:30:00Z"]
    );
}

#[test]
fn ten_fires_from_now_are_listed_where_nothing_else_is_asked_for() {
    let listed = run(&["schedule", "next", "@hourly", "--json"]);
    let answer: Value = serde_json::from_str(&stdout(&listed)).unwrap();
    assert_eq!(answer["fires"].as_array().unwrap().len(), 10);
    assert_eq!(answer["spec"]["kind"], "cron");
}

#[test]
fn a_persons_closures_count_and_faults_in_them_are_told() {
    let scratch = tempfile::tempdir().unwrap();
    let file = scratch.path().join("closures.toml");
    let list = || {
        let file = file.display().to_string();
        run(&[
            "schedule",
            "next",
            "XNYS open",
            "--from=2026-11-27T00:00:00Z",
            "--count=2",
            "--closures",
            &file,
        ])
    };
    assert_eq!(list().status.code(), Some(2));
    let entry =
        "[[day]]\nexchange = \"XNYS\"\ndate = \"2026-11-30\"\nclosed = true\nreason = \"storm\"\n";
    std::fs::write(&file, entry).unwrap();
    let text = stdout(&list());
    assert!(
        text.contains("2026-11-27T14:30:00Z") && text.contains("2026-12-01T14:30:00Z"),
        "{text}"
    );
    std::fs::write(&file, entry.replace("closed = true\n", "")).unwrap();
    let said = stderr(&list());
    assert!(
        said.contains("the closures: day 1, XNYS 2026-11-30: give either"),
        "{said}"
    );
}

#[test]
fn what_never_fires_or_is_no_schedule_ends_with_the_reason() {
    for (spec, reason) in [
        ("0 0 30 2 *", "never fires"),
        ("61 * * * *", "is not a schedule"),
        ("XNYS close 20m", "XNYS close +20m"),
        ("NYSE close", "is not an exchange"),
        ("TZ=Nowhere 0 1 * * *", "is not a time zone"),
    ] {
        let refused = run(&["schedule", "next", spec]);
        assert_eq!(refused.status.code(), Some(2), "{spec}");
        let said = stderr(&refused);
        assert!(
            said.contains(reason) && !said.contains("panicked"),
            "{spec}: {said}"
        );
    }
    let beyond = run(&["schedule", "next", "XETR close", "--from=2035-01-01"]);
    assert!(
        stderr(&beyond).contains("no calendar of XETR for 2034-12-30"),
        "{}",
        stderr(&beyond)
    );
    let end = run(&["schedule", "next", "XETR close", "--from=2027-12-28"]);
    assert!(end.status.success());
    assert!(
        stderr(&end).contains("of 10: no calendar of XETR"),
        "{}",
        stderr(&end)
    );
}
