use proptest::prelude::*;

use market::RejectReason;

use super::*;

const NOW: Timestamp = Timestamp::from_secs(1_700_000_000);

fn decode(text: &str) -> Decoded {
    let rules = TickRules {
        max_ahead_us: 1_000_000,
        ..TickRules::default()
    };
    ticks_from_json(text.as_bytes(), "push", NOW, &rules)
}

fn reasons(decoded: &Decoded) -> Vec<RejectReason> {
    decoded.rejects.iter().map(|r| r.reason).collect()
}

#[test]
fn an_array_lines_and_a_bare_object_give_the_same_rows() {
    let a = r#"{"symbol":"ABC","ts_us":1600000000000001,"seq":7,"price":10.5,"size":3}"#;
    let b = r#"{"symbol":"XYZ","ts_us":1600000000000002,"seq":8,"price":11,"size":0.5}"#;
    let array = decode(&format!("[{a}, {b}]"));
    assert_eq!(array.ticks.len(), 2);
    assert_eq!(array.ticks[0].ts.as_micros(), 1_600_000_000_000_001);
    assert_eq!((array.ticks[0].seq, array.ticks[0].price), (7, 10.5));
    assert_eq!(array, decode(&format!("{a}\n{b}\n")));
    assert_eq!(array, decode(&format!("{a}\r\n\r\n{b}")));
    assert_eq!(array.ticks[..1], decode(a).ticks);
    let indented = a.replace(',', ",\n  ");
    assert_eq!(array, decode(&format!("{indented}\n{b}")));
}

#[test]
fn the_original_pipelines_rows_are_understood() {
    let tick = decode(
        r#"{"ticker":"aapl","timestamp":"2023-03-01 14:30:00","close":150.25,"volume":100}"#,
    );
    assert_eq!(tick.ticks[0].symbol.as_str(), "AAPL");
    assert_eq!(tick.ticks[0].price, 150.25);
    assert_eq!(tick.ticks[0].size, 100.0);
    let bar = decode(
        r#"{"Symbol":"AAPL","Date":"2023-03-01","Open":1,"High":3,"Low":0.5,"Close":2,"Adj Close":1.9,"Volume":9}"#,
    );
    assert_eq!(bar.bars[0].interval, market::Interval::D1);
    assert_eq!((bar.bars[0].open, bar.bars[0].close), (1.0, 2.0));
    let rows = [1_677_681_000, 1_677_681_060, 1_677_681_120].map(|ts| {
        format!(
            r#"{{"symbol":"AAPL","timestamp":{ts},"open":"1","high":"3","low":"0.5","close":"2","volume":"9"}}"#
        )
    });
    let minutes = decode(&format!("[{}]", rows.join(",")));
    assert_eq!(minutes.bars.len(), 3);
    assert!(
        minutes
            .bars
            .iter()
            .all(|bar| bar.interval == market::Interval::M1)
    );
    let alone = decode(&rows[0]);
    assert_eq!(reasons(&alone), [RejectReason::BadField]);
    assert!(
        alone.rejects[0].detail.starts_with("interval is missing"),
        "{}",
        alone.rejects[0].detail
    );
}

#[test]
fn the_interval_of_pushed_bars_is_told_from_all_of_them_and_a_day_is_the_date_written() {
    let bar = |ts: &str| {
        format!(
            r#"{{"symbol":"A","ts":"{ts}","open":1,"high":3,"low":1,"close":2,"volume":5,"amount":500}}"#
        )
    };
    let all = |times: &[&str]| -> Vec<(market::Interval, String)> {
        let rows: Vec<String> = times.iter().map(|ts| bar(ts)).collect();
        let decoded = decode(&rows.join("\n"));
        assert_eq!(decoded.rejects, []);
        decoded
            .bars
            .iter()
            .map(|bar| {
                assert_eq!(bar.volume, 5.0);
                (bar.interval, bar.start.to_string())
            })
            .collect()
    };
    let hours = all(&[
        "2023-06-01T23:00:00Z",
        "2023-06-02T00:00:00Z",
        "2023-06-02T01:00:00Z",
    ]);
    assert!(
        hours
            .iter()
            .all(|(interval, _)| *interval == market::Interval::H1)
    );
    let tokyo = all(&["2023-06-01T00:00:00+09:00", "2023-06-02T00:00:00+09:00"]);
    assert_eq!(
        tokyo[0],
        (market::Interval::D1, "2023-06-01T00:00:00Z".into())
    );
    let digits = all(&["20230601 093000", "20230601 093100", "202306010932"]);
    assert_eq!(
        digits[2],
        (market::Interval::M1, "2023-06-01T09:32:00Z".into())
    );
    let halves = decode(&[bar("2023-06-01T09:00:00Z"), bar("2023-06-01T09:30:00Z")].join("\n"));
    assert!(
        halves.rejects[0].detail.contains("30m"),
        "{}",
        halves.rejects[0].detail
    );
    // Of trades an amount is the size, where nothing better is.
    let trade = decode(r#"{"symbol":"A","ts":20230601,"price":2,"amount":7}"#);
    assert_eq!(
        (trade.ticks[0].size, trade.ticks[0].ts.to_string().as_str()),
        (7.0, "2023-06-01T00:00:00Z")
    );
}

#[test]
fn a_bad_row_does_not_harm_its_neighbours() {
    let good = r#"{"symbol":"ABC","ts":1600000000,"seq":1,"price":1,"size":1}"#;
    let bad = [
        (
            r#"{"symbol":"ABC","ts":1600000000,"price":NaN}"#,
            RejectReason::BadPrice,
        ),
        (
            r#"{"symbol":"ABC","ts":1600000000,"price":-Infinity}"#,
            RejectReason::BadPrice,
        ),
        (
            r#"{"symbol":"ABC","ts":1600000000,"price":-1}"#,
            RejectReason::BadPrice,
        ),
        (
            r#"{"symbol":"ABC","ts":1600000000,"price":null}"#,
            RejectReason::BadPrice,
        ),
        (
            r#"{"symbol":"ABC","ts":1600000000,"price":"dear"}"#,
            RejectReason::BadField,
        ),
        (
            r#"{"symbol":"ABC","ts":1600000000}"#,
            RejectReason::BadField,
        ),
        (
            r#"{"symbol":"ABC","ts":1600000000,"price":1,"size":-1}"#,
            RejectReason::BadSize,
        ),
        (r#"{"symbol":"ABC","price":1}"#, RejectReason::BadField),
        (
            r#"{"symbol":"ABC","ts":"soon","price":1}"#,
            RejectReason::BadTimestamp,
        ),
        (
            r#"{"symbol":"ABC","ts":1700000002,"price":1}"#,
            RejectReason::FutureTimestamp,
        ),
        (
            r#"{"symbol":"A B","ts":1600000000,"price":1}"#,
            RejectReason::UnknownSymbol,
        ),
        (
            r#"{"symbol":7,"ts":1600000000,"price":1}"#,
            RejectReason::BadField,
        ),
        (r#"{"ts":1600000000,"price":1}"#, RejectReason::BadField),
        (
            r#"{"symbol":"ABC","ts":1600000000,"price":1,"seq":-4}"#,
            RejectReason::BadField,
        ),
        (
            r#"{"symbol":"ABC","ts":1600000000,"price":1,"schema_version":9}"#,
            RejectReason::UnknownVersion,
        ),
        (
            r#"{"symbol":"ABC","ts":1600000000,"open":1,"high":1,"low":2,"close":1,"interval":"1m"}"#,
            RejectReason::BadBar,
        ),
        (r#"{"symbol":"ABC" "ts":1}"#, RejectReason::Unparsable),
        (r#"[1,2]"#, RejectReason::Unparsable),
    ];
    for (row, reason) in bad {
        for text in [
            format!("[{good},{row},{good}]"),
            format!("{good}\n{row}\n{good}"),
        ] {
            let decoded = decode(&text);
            assert_eq!(decoded.ticks.len(), 2, "{text}");
            assert_eq!(reasons(&decoded), [reason], "{text}");
            assert_eq!(decoded.rejects[0].payload, row);
            assert_eq!(decoded.rejects[0].origin, "push");
        }
    }
}

#[test]
fn a_broken_line_is_rejected_alone() {
    let good = r#"{"symbol":"ABC","ts":1600000000,"seq":1,"price":1}"#;
    for broken in [
        "hello",
        r#"{"symbol":"ABC","ts":"#,
        r#"{"symbol":"AB"#,
        "\u{1}{",
        "}",
    ] {
        let decoded = decode(&format!("{good}\n{broken}\n{good}\n"));
        assert_eq!(decoded.ticks.len(), 2, "{broken}");
        assert_eq!(reasons(&decoded), [RejectReason::Unparsable], "{broken}");
    }
}

#[test]
fn a_message_of_nothing_but_bad_rows_ends_and_keeps_few_of_them() {
    // Each of these took time that grows with the square of its length.
    for (unit, rows) in [
        ("x\n", 1_000_000),
        ("{\n", 1_000_000),
        ("{}", 1_000_000),
        ("{\"", 1),
        ("{\"a\n", 500_000),
        ("[", 1),
    ] {
        let text = unit.repeat(2_000_000 / unit.len());
        let decoded = decode(&text);
        assert_eq!(decoded.rows(), rows, "{unit:?}");
        assert!(decoded.rejects.len() <= MAX_REJECTS + 1, "{unit:?}");
    }
    let text = format!("[{}1]", "1,".repeat(999_999));
    assert_eq!(decode(&text).rejected(), 1_000_000);
    let long = format!("[\"{}\"]", "é".repeat(100_000));
    let decoded = decode(&long);
    assert!(decoded.rejects[0].detail.chars().count() <= market::EXCERPT_CHARS);
}

#[test]
fn every_field_that_is_wrong_is_named_and_the_row_too() {
    let text = r#"[{"symbol":"ABC","ts":1600000000,"price":1},
        {"symbol":"A B","ts":"soon","price":-1,"size":-2,"seq":-3},
        {"symbol":"ABC","ts":1600000000,"interval":"2w","open":0,"high":null,"low":1,"close":"x"}]"#;
    let decoded = decode(text);
    assert_eq!(decoded.rejected_rows, [1, 2]);
    let fields = |at: usize| -> Vec<&str> {
        let details = decoded.rejects[at].detail.split("; ");
        details
            .filter_map(|detail| detail.split(' ').next())
            .collect()
    };
    assert_eq!(decoded.rejects[0].reason, RejectReason::UnknownSymbol);
    assert_eq!(fields(0), ["symbol", "timestamp", "price", "size", "seq"]);
    assert_eq!(decoded.rejects[1].reason, RejectReason::BadField);
    assert_eq!(fields(1), ["interval", "open", "high", "close"]);
}

#[test]
fn rejects_beyond_the_limit_are_counted_by_reason_in_the_last_one() {
    let good = r#"{"symbol":"ABC","ts":1600000000,"seq":1,"price":1}"#;
    let dear = r#"{"symbol":"ABC","ts":1600000000,"seq":1,"price":0}"#;
    let text = format!("{dear}\n{good}\n{dear}\n{dear}\n{good}\nx\n{dear}\n");
    let rules = TickRules::default();
    let decoding = Decoding::new(text.as_bytes(), "push", NOW, &rules);
    let decoded = decoding.with_most_rejects(2).next_batch(9).unwrap();
    assert_eq!((decoded.ticks.len(), decoded.rejected()), (2, 5));
    assert_eq!((decoded.rejects.len(), decoded.left_out), (3, 3));
    assert_eq!(
        decoded.rejects[2].detail,
        "3 more rows of this message could not be used and are not kept: 1 unparsable, 2 bad_price"
    );
    assert_eq!(decoded.rejects[2].payload, "");
    // However long each of them is.
    let text = format!("{}\n", "y".repeat(Reject::MAX_PAYLOAD)).repeat(100);
    let decoded = decode(&text);
    assert_eq!(decoded.rejected(), 100);
    let bytes: usize = decoded.rejects.iter().map(|r| r.payload.len()).sum();
    assert!(bytes <= MAX_REJECT_BYTES, "{bytes}");
}

#[test]
fn a_message_in_batches_is_the_same_message() {
    let row = r#"{"symbol":"ABC","ts":1600000000,"price":1,"size":2}"#;
    let text = format!("{row}\nx\n{row}\n{row}\ny\n");
    let whole = decode(&text);
    let rules = TickRules {
        max_ahead_us: 1_000_000,
        ..TickRules::default()
    };
    let mut decoding = Decoding::new(text.as_bytes(), "push", NOW, &rules);
    let mut parts = Decoded::default();
    while let Some(part) = decoding.next_batch(2) {
        assert!(part.ticks.len() <= 2);
        parts.ticks.extend(part.ticks);
        parts.rejects.extend(part.rejects);
        parts.rejected_rows.extend(part.rejected_rows);
    }
    assert_eq!(parts, whole);
}

#[test]
fn an_empty_message_has_no_rows() {
    for text in ["", "  \n ", "[]", " [ ] \n"] {
        assert_eq!(decode(text).rows(), 0, "{text:?}");
    }
}

#[test]
fn what_follows_an_array_is_rejected() {
    let decoded = decode(r#"[{"symbol":"ABC","ts":1600000000,"price":1}] tail"#);
    assert_eq!((decoded.ticks.len(), decoded.rejects.len()), (1, 1));
}

#[test]
fn rows_without_a_sequence_get_the_same_one_at_every_reading() {
    let row = r#"{"symbol":"ABC","ts":1600000000,"price":1,"size":2}"#;
    let other = r#"{"symbol":"ABC","ts":1600000000,"price":1.01,"size":2}"#;
    let text = format!("[{row},{row},{other}]");
    let first = decode(&text);
    assert_eq!(first, decode(&text));
    let mut seqs: Vec<u64> = first.ticks.iter().map(|t| t.seq).collect();
    seqs.sort_unstable();
    seqs.dedup();
    assert_eq!(seqs.len(), 3);
    assert!(seqs.iter().all(|s| i64::try_from(*s).is_ok()));
    let named = decode(r#"{"symbol":"ABC","ts":1600000000,"price":1,"trade_id":"x-17"}"#);
    assert_eq!(named.ticks[0].seq, hash_text("x-17"));
}

fn row() -> impl Strategy<Value = String> {
    (
        0u8..4,
        1_000_000_000i64..1_690_000_000,
        0u64..1 << 53,
        1u32..1_000_000,
        0u32..1_000,
    )
        .prop_map(|(s, ts, seq, price, size)| {
            format!(
                r#"{{"symbol":"S{s}","ts_us":{ts}000000,"seq":{seq},"price":{},"size":{size}}}"#,
                f64::from(price) / 100.0
            )
        })
}

proptest! {
    #[test]
    fn of_a_message_that_is_cut_off_the_complete_rows_go_through(
        rows in prop::collection::vec(row(), 1..8), cut in 0.0f64..1.0, array in any::<bool>()
    ) {
        let whole = if array { format!("[{}]", rows.join(",")) } else { rows.join("\n") };
        let cut = (whole.len() as f64 * cut) as usize;
        let mut complete = 0;
        let mut end = usize::from(array);
        for row in &rows {
            if end + row.len() > cut {
                break;
            }
            complete += 1;
            end += row.len() + 1;
        }
        let all = decode(&whole);
        let part = decode(&whole[..cut]);
        prop_assert_eq!(&part.ticks[..], &all.ticks[..complete]);
        prop_assert!(part.rejects.len() <= 1);
        prop_assert!(all.rejects.is_empty());
    }

    #[test]
    fn no_bytes_at_all_make_it_fail(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        let decoded = ticks_from_json(&bytes, "push", NOW, &TickRules::default());
        prop_assert!(decoded.ticks.len() + decoded.bars.len() <= bytes.len());
    }

    #[test]
    fn no_text_of_json_signs_makes_it_fail(text in r#"[\[\]{}",:0-9a-zNI\\ \n-]{0,80}"#) {
        decode(&text);
    }
}
