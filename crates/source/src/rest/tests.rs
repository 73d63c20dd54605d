use market::{Interval, RejectReason, TickRules, Timestamp};
use proptest::prelude::*;

use super::*;
use crate::decode::hash_text;

const NOW: Timestamp = Timestamp::from_secs(1_800_000_000);

fn read(provider: &Provider, body: &[u8], symbol: Option<&str>) -> Answer {
    try_read(provider, body, symbol).unwrap()
}

fn try_read(provider: &Provider, body: &[u8], symbol: Option<&str>) -> Result<Answer, Unusable> {
    let rules = TickRules::default();
    let received = Received {
        body,
        symbol,
        origin: "rest:test",
        now: NOW,
        rules: &rules,
    };
    let fast = provider.mapping.read_by(received, true);
    assert_eq!(fast, provider.mapping.read_by(received, false));
    fast
}

fn preset(name: &str) -> Provider {
    Provider::preset(name, Some("http://127.0.0.1:1")).unwrap()
}

#[test]
fn alpaca_trades_are_read() {
    let body = include_bytes!("../../tests/fixtures/alpaca-trades.json");
    let answer = read(&preset("alpaca-trades"), body, Some("SPY"));
    assert!(answer.next.unwrap().starts_with("U1BZ"));
    let ticks = &answer.decoded.ticks;
    assert_eq!(ticks.len(), 2);
    assert_eq!(ticks[0].symbol.as_str(), "SPY");
    assert_eq!(ticks[0].ts.to_string(), "2024-03-01T14:30:00.33432Z");
    assert_eq!(
        (ticks[0].seq, ticks[0].price, ticks[0].size),
        (52_983_525_029_461, 508.12, 100.0)
    );
    assert_eq!(ticks[1].seq, 7_041);
    let reject = &answer.decoded.rejects[0];
    assert_eq!(reject.reason, RejectReason::BadPrice);
    assert!(reject.payload.contains("52983525033813") && reject.origin == "rest:test");
}

#[test]
fn alpaca_bars_are_read() {
    let body = include_bytes!("../../tests/fixtures/alpaca-bars.json");
    let answer = read(&preset("alpaca-bars"), body, Some("AAPL"));
    assert_eq!(answer.next, None);
    let bars = &answer.decoded.bars;
    assert_eq!((bars.len(), answer.decoded.rejects.len()), (2, 0));
    assert_eq!(
        (bars[0].symbol.as_str(), bars[0].interval),
        ("AAPL", Interval::M1)
    );
    assert_eq!(
        (bars[0].open, bars[0].high, bars[0].low, bars[0].close),
        (179.55, 179.72, 179.31, 179.4)
    );
    assert_eq!(bars[1].start, "2024-03-01T14:31:00Z".parse().unwrap());
    assert_eq!(bars[1].volume, 41_200.0);
}

#[test]
fn polygon_trades_are_read() {
    let body = include_bytes!("../../tests/fixtures/polygon-trades.json");
    let answer = read(&preset("polygon-trades"), body, Some("AAPL"));
    assert!(answer.next.unwrap().contains("cursor="));
    let ticks = &answer.decoded.ticks;
    assert_eq!(ticks.len(), 2);
    assert_eq!(ticks[0].ts.as_micros(), 1_709_303_400_000_110);
    assert_eq!((ticks[0].seq, ticks[1].seq), (6_711, 6_712));
}

#[test]
fn polygon_and_finnhub_bars_are_read_alike() {
    let polygon = include_bytes!("../../tests/fixtures/polygon-bars.json");
    let polygon = read(&preset("polygon-bars"), polygon, Some("AAPL")).decoded;
    assert_eq!((polygon.bars.len(), polygon.rejects.len()), (2, 0));
    assert_eq!(polygon.bars[1].volume, 41_200.5);
    let finnhub = include_bytes!("../../tests/fixtures/finnhub-bars.json");
    let finnhub = read(&preset("finnhub-bars"), finnhub, Some("AAPL")).decoded;
    assert_eq!(polygon.bars[0], finnhub.bars[0]);
    assert_eq!(finnhub.bars.len(), 2);
}

#[test]
fn an_answer_without_rows_has_none() {
    for (name, body) in [
        (
            "alpaca-trades",
            r#"{"trades":null,"symbol":"A","next_page_token":null}"#,
        ),
        ("alpaca-bars", r#"{"bars":{},"next_page_token":null}"#),
        (
            "polygon-bars",
            r#"{"ticker":"A","status":"OK","resultsCount":0}"#,
        ),
        ("finnhub-bars", r#"{"s":"no_data"}"#),
        ("tickcast", r#"{"trades":[],"next_cursor":"9"}"#),
        ("tickcast", r#"{"trades":{}}"#),
        ("tickcast", "null"),
        ("tickcast", "[]"),
        ("tickcast", "{}"),
        ("alpaca-bars", r#"{"bars":null}"#),
        ("alpaca-bars", r#"{"bars":[]}"#),
        ("alpaca-bars", r#"{"bars":{"A":null}}"#),
        ("alpaca-bars", r#"{"bars":{"A":[]}}"#),
        ("finnhub-bars", r#"{"s":"no_data","t":null,"o":[]}"#),
        (
            "kraken-bars",
            r#"{"error":[],"result":{"XXBTZUSD":[],"last":5}}"#,
        ),
        ("kraken-bars", r#"{"error":[],"result":{"XXBTZUSD":null}}"#),
        ("kraken-bars", r#"{"error":[],"result":null}"#),
        ("kraken-bars", r#"{"error":[],"result":[]}"#),
        ("binance-bars", "[]"),
        ("binance-bars", "null"),
        (
            "alpha-vantage-daily",
            r#"{"Meta Data":{},"Time Series (Daily)":{}}"#,
        ),
        ("alpha-vantage-daily", r#"{"Meta Data":{}}"#),
        ("tiingo-bars", "[]"),
        (
            "twelve-data-bars",
            r#"{"meta":{},"values":[],"status":"ok"}"#,
        ),
        (
            "twelve-data-bars",
            r#"{"code":400,"message":"No data is available on the specified dates.","status":"error"}"#,
        ),
    ] {
        let answer = read(&preset(name), body.as_bytes(), Some("A"));
        assert_eq!(answer.decoded.rows(), 0, "{name}");
    }
}

#[test]
fn an_answer_that_is_not_as_mapped_is_refused_as_a_whole() {
    for body in [
        "",
        "<html>busy</html>",
        r#"{"trades":["#,
        r#"{"trades":7}"#,
        r#"{"trades":{"a":1}}"#,
        "7",
        "[1]",
        "\u{1}",
    ] {
        assert!(
            try_read(&preset("tickcast"), body.as_bytes(), None).is_err(),
            "{body:?}"
        );
    }
    assert!(try_read(&preset("tickcast"), b"\xff\xfe", None).is_err());
}

#[test]
fn nan_in_an_answer_costs_only_its_row() {
    let body = br#"{"trades":[
        {"symbol":"A","ts_us":1700000000000000,"seq":1,"price":NaN,"size":1},
        {"symbol":"A","ts_us":1700000000000000,"seq":2,"price":1.5,"size":1}],"next_cursor":3}"#;
    let answer = read(&preset("tickcast"), body, None);
    assert_eq!(
        (answer.decoded.ticks.len(), answer.decoded.rejects.len()),
        (1, 1)
    );
    assert_eq!(answer.decoded.rejects[0].reason, RejectReason::BadPrice);
    assert_eq!(answer.next.as_deref(), Some("3"));
}

#[test]
fn fields_in_nested_objects_and_ids_that_are_texts_are_read() {
    let mapping: Mapping = serde_json::from_str(
        r#"{"rows":"data.items","time_unit":"millis","next":"meta.next",
            "fields":{"symbol":"of.name","time":"when","seq":"id","price":"of.last.price"}}"#,
    )
    .unwrap();
    let provider = Provider {
        mapping,
        ..preset("tickcast")
    };
    let body = br#"{"meta":{"next":"n1"},"data":{"items":[
        {"of":{"name":"abc","last":{"price":"7.25"}},"when":1700000000123,"id":"x-1"},
        {"of":null,"when":1700000000123,"id":"x-2"}, 5]}}"#;
    let answer = read(&provider, body, None);
    let tick = &answer.decoded.ticks[0];
    assert_eq!(
        (tick.symbol.as_str(), tick.price, tick.seq),
        ("ABC", 7.25, hash_text("x-1"))
    );
    assert_eq!(tick.ts.as_millis(), 1_700_000_000_123);
    let reasons: Vec<_> = answer.decoded.rejects.iter().map(|r| r.reason).collect();
    assert_eq!(reasons, [RejectReason::BadField, RejectReason::Unparsable]);
    assert_eq!(answer.next.as_deref(), Some("n1"));
}

#[test]
fn a_refused_row_of_any_provider_can_be_decoded_again_by_itself() {
    let custom: Mapping = serde_json::from_str(
        r#"{"rows":"rows","time_unit":"millis","fields":{"time":"at","price":"deal.price","seq":"id"}}"#,
    )
    .unwrap();
    let custom = Provider {
        mapping: custom,
        ..preset("tickcast")
    };
    let nested = br#"{"rows":[{"at":1709303400000,"deal":{"price":7.5},"id":"x-9"}]}"#;
    let cases: [(Provider, &[u8]); 6] = [
        (
            preset("alpaca-trades"),
            include_bytes!("../../tests/fixtures/alpaca-trades.json"),
        ),
        (
            preset("alpaca-bars"),
            include_bytes!("../../tests/fixtures/alpaca-bars.json"),
        ),
        (
            preset("polygon-trades"),
            include_bytes!("../../tests/fixtures/polygon-trades.json"),
        ),
        (
            preset("polygon-bars"),
            include_bytes!("../../tests/fixtures/polygon-bars.json"),
        ),
        (
            preset("finnhub-bars"),
            include_bytes!("../../tests/fixtures/finnhub-bars.json"),
        ),
        (custom, nested),
    ];
    let rules = TickRules::default();
    for (provider, body) in cases {
        let at = |now| {
            let received = Received {
                body,
                symbol: Some("AAPL"),
                origin: "rest:test",
                now,
                rules: &rules,
            };
            provider.mapping.read(received).unwrap().decoded
        };
        // A clock that stands in 1970 refuses every row.
        let (refused, wanted) = (at(Timestamp::from_secs(0)), at(NOW));
        assert!(refused.ticks.is_empty() && refused.bars.is_empty());
        let mut again = crate::Decoded::default();
        for reject in &refused.rejects {
            let decoded = crate::ticks_from_json(reject.payload.as_bytes(), "again", NOW, &rules);
            assert_eq!(decoded.rows(), 1, "{reject:?}");
            again.ticks.extend(decoded.ticks);
            again.bars.extend(decoded.bars);
        }
        assert!(again.rows() > 0);
        assert_eq!((again.ticks, again.bars), (wanted.ticks, wanted.bars));
    }
}

#[test]
fn a_row_that_a_wrong_mapping_leads_past_is_kept_as_it_came() {
    let mut provider = preset("alpaca-trades");
    provider.mapping.fields.price = Some("price".into());
    let body = br#"{"trades":[{"t":"2024-03-01T14:30:00Z","i":7,"p":508.12,"s":100}]}"#;
    let answer = read(&provider, body, Some("SPY"));
    let payload: serde_json::Value =
        serde_json::from_str(&answer.decoded.rejects[0].payload).unwrap();
    assert_eq!(
        (&payload["symbol"], &payload["raw"]["p"]),
        (&"SPY".into(), &508.12.into())
    );
}

#[test]
fn addresses_are_filled_in_and_pages_followed() {
    let symbols = ["AAPL".parse().unwrap(), "BRK.B".parse().unwrap()];
    let since: Timestamp = "2024-03-01T14:30:00Z".parse().unwrap();
    let ask = |next| Ask {
        symbol: Some(&symbols[1]),
        symbols: &symbols,
        since: Some(since),
        until: Some(since.plus_micros(1_000_000)),
        next,
    };
    let url = |name: &str, next| preset(name).address(&ask(next)).unwrap().to_string();
    assert_eq!(
        url("tickcast", None),
        "http://127.0.0.1:1/v1/trades?limit=10000&since=1709303400000000&symbols=AAPL%2CBRK.B&wait_ms=1000"
    );
    let next = url("tickcast", Some("77"));
    assert!(next.ends_with("cursor=77") && !next.contains("since"));
    assert_eq!(
        url("alpaca-trades", Some("tok=")),
        "http://127.0.0.1:1/v2/stocks/BRK.B/trades?limit=10000&sort=asc&start=2024-03-01T14%3A30%3A00Z&page_token=tok%3D"
    );
    assert!(
        url("polygon-bars", None).contains("/BRK.B/range/1/minute/1709303400000/1709303401000?")
    );
    assert!(url("polygon-trades", None).contains("timestamp.gte=1709303400000000000"));
    assert_eq!(
        url(
            "polygon-trades",
            Some("http://127.0.0.1:1/v3/trades/X?cursor=c")
        ),
        "http://127.0.0.1:1/v3/trades/X?cursor=c"
    );
    let elsewhere = preset("polygon-trades").address(&ask(Some("http://evil.example/v3")));
    assert!(elsewhere.unwrap_err().to_string().contains("another host"));
    assert!(
        url("finnhub-bars", None)
            .contains("from=1709303400&resolution=1&symbol=BRK.B&to=1709303401")
    );
    for name in Provider::PRESETS {
        assert_eq!(preset(name).is_per_symbol(), name != "tickcast");
    }
    assert!(Provider::preset("tickcast", None).is_err());
    assert!(Provider::preset("yahoo", None).is_err());
}

#[test]
fn secrets_are_never_shown() {
    let key = Credential::Header("X-Key".into(), Secret::new("hunter2"));
    assert!(!format!("{key:?}").contains("hunter2"));
    assert!(!serde_json::to_string(&key).unwrap().contains("hunter2"));
    let read: Credential = serde_json::from_str(r#"{"header":["X-Key","hunter2"]}"#).unwrap();
    assert_eq!(read, key);
}

fn cell() -> impl Strategy<Value = String> {
    prop_oneof![
        4 => (0u32..100_000).prop_map(|n| format!("{}.{:02}", n / 100, n % 100)),
        2 => (1_600_000_000_000_000i64..1_700_000_000_000_000).prop_map(|n| n.to_string()),
        2 => (0u64..1 << 62).prop_map(|n| n.to_string()),
        1 => Just("18446744073709551615".to_owned()),
        1 => Just("1e300".to_owned()),
        1 => Just("-3".to_owned()),
        1 => prop_oneof!["null", "true", "[1]", r#"\{"a":1\}"#],
        2 => r#""[A-Za-z0-9 .:\\\\-]{0,12}""#,
        1 => Just(r#""A\u0042C""#.to_owned()),
    ]
}

fn row() -> impl Strategy<Value = String> {
    let key = prop_oneof![
        "symbol",
        "ts_us",
        "seq",
        "price",
        "size",
        "other",
        "pr\\\\u0069ce"
    ];
    prop_oneof![
        1 => cell(),
        8 => prop::collection::vec((key, cell()), 0..8).prop_map(|fields| {
            let fields: Vec<String> = fields.iter().map(|(k, v)| format!("\"{k}\":{v}")).collect();
            format!("{{{}}}", fields.join(","))
        }),
        8 => (0u8..3, 1_600_000_000i64..1_700_000_000, 0u64..1 << 40, 1u32..9_999).prop_map(
            |(s, ts, seq, price)| format!(
                r#"{{"symbol":"S{s}","ts_us":{ts}000000,"seq":{seq},"price":{price}.5,"size":1}}"#
            )
        ),
    ]
}

proptest! {
    #[test]
    fn the_fast_path_reads_what_the_general_one_reads(rows in prop::collection::vec(row(), 0..10)) {
        let body = format!(r#"{{"next_cursor":"7","trades":[{}]}}"#, rows.join(","));
        // Compares the two itself.
        let answer = try_read(&preset("tickcast"), body.as_bytes(), None);
        if let Ok(answer) = answer {
            prop_assert_eq!(answer.decoded.rows(), rows.len());
        }
    }

    #[test]
    fn the_fast_path_reads_the_exchange_s_rows_as_the_decoder_of_pushed_rows_does(
        rows in prop::collection::vec(
            (0u8..3, 1_600_000_000i64..1_700_000_000, 0u64..1 << 40, 1u32..9_999), 0..20)
    ) {
        let rows: Vec<String> = rows.iter().map(|(s, ts, seq, price)| format!(
            r#"{{"symbol":"S{s}","ts_us":{ts}000000,"seq":{seq},"price":{price}.5,"size":1}}"#
        )).collect();
        let array = format!("[{}]", rows.join(","));
        let body = format!(r#"{{"trades":{array},"next_cursor":"7"}}"#);
        let answer = read(&preset("tickcast"), body.as_bytes(), None);
        let pushed = crate::ticks_from_json(array.as_bytes(), "rest:test", NOW, &TickRules::default());
        prop_assert_eq!(answer.decoded, pushed);
    }
}
