//! The shapes in which providers lay out their rows, and the presets that read them.

use market::{Bar, Interval, RejectReason, TickRules, Timestamp};

use super::*;
use crate::Decoded;

const NOW: Timestamp = Timestamp::from_secs(1_800_000_000);

fn try_read(mapping: &Mapping, body: &str, symbol: Option<&str>) -> Result<Answer, Unusable> {
    let rules = TickRules::default();
    let received = Received {
        body: body.as_bytes(),
        symbol,
        origin: "rest:test",
        now: NOW,
        rules: &rules,
    };
    let fast = mapping.read_by(received, true);
    assert_eq!(fast, mapping.read_by(received, false));
    fast
}

fn read(mapping: &Mapping, body: &str, symbol: Option<&str>) -> Decoded {
    try_read(mapping, body, symbol).unwrap().decoded
}

fn mapping(json: &str) -> Mapping {
    serde_json::from_str(json).unwrap()
}

fn preset(name: &str) -> Mapping {
    Provider::preset(name, Some("http://127.0.0.1:1"))
        .unwrap()
        .mapping
}

fn reported(mapping: &Mapping, body: &str) -> String {
    match try_read(mapping, body, Some("A")) {
        Err(Unusable::Reported(words)) => words,
        other => panic!("{body}: {other:?}"),
    }
}

/// Start, open, high, low, close, volume.
fn numbers(bar: &Bar) -> (String, [f64; 5]) {
    let numbers = [bar.open, bar.high, bar.low, bar.close, bar.volume];
    (bar.start.to_string(), numbers)
}

const KLINES: &str = r#"[[1700000040000,"100.0","102.0","99.0","101.0","12.5",1700000099999,"1260.0",30,"6","600","0"],
    [1700000100000,"101.0","103.0","100.0","102.0","7",1700000159999,"1.0",3,"1","1","0"]]"#;

#[test]
fn rows_as_arrays_are_read_by_their_places() {
    let by_place = mapping(
        r#"{"rows":"","interval":"1m","time_unit":"millis",
            "fields":{"time":"0","open":"1","high":"2","low":"3","close":"4","size":"5"}}"#,
    );
    let decoded = read(&by_place, KLINES, Some("ACME"));
    assert_eq!((decoded.bars.len(), decoded.rejects.len()), (2, 0));
    assert_eq!(
        numbers(&decoded.bars[0]),
        (
            "2023-11-14T22:14:00Z".into(),
            [100.0, 102.0, 99.0, 101.0, 12.5]
        )
    );
    // A place beyond a row's end is a field that is missing, and costs only that row.
    let short =
        r#"[[1700000040000,"100.0"],[1700000100000,"101.0","103.0","100.0","102.0","7"],7]"#;
    let decoded = read(&by_place, short, Some("ACME"));
    assert_eq!((decoded.bars.len(), decoded.rejects.len()), (1, 2));
    // Places within objects, and objects within arrays.
    let nested =
        mapping(r#"{"rows":"data","fields":{"time":"at.0","price":"1.p","symbol":"at.1"}}"#);
    let body = r#"{"data":[{"at":[1700000040,"abc"],"1":{"p":7.5}}]}"#;
    let decoded = read(&nested, body, None);
    assert_eq!(decoded.ticks[0].price, 7.5);
}

const AVDAILY: &str = r#"{"Meta Data":{"2. Symbol":"ACME"},"Time Series (Daily)":{
    "2026-11-25":{"1. open":"25.0","2. high":"27.0","3. low":"24.0","4. close":"26.0","5. volume":"1000"},
    "2026-11-24":{"1. open":"24.0","2. high":"26.0","3. low":"23.0","4. close":"25.0","5. volume":"1000"}}}"#;

#[test]
fn an_object_of_rows_gives_each_row_its_key() {
    let keyed = mapping(
        r#"{"rows":"Time Series (Daily)","interval":"1d","fields":{"time":"","open":"1. open",
            "high":"2. high","low":"3. low","close":"4. close","size":"5. volume"}}"#,
    );
    let decoded = read(&keyed, AVDAILY, Some("ACME"));
    assert_eq!(decoded.rejects, []);
    assert_eq!(
        numbers(&decoded.bars[1]),
        (
            "2026-11-24T00:00:00Z".into(),
            [24.0, 26.0, 23.0, 25.0, 1_000.0]
        )
    );
    // The same by symbol first.
    let by_symbol = Mapping {
        rows: String::new(),
        shape: Shape::BySymbol,
        ..keyed.clone()
    };
    let body =
        r#"{"ABC":{"2026-11-25":{"1. open":1,"2. high":1,"3. low":1,"4. close":1}},"DEF":null}"#;
    assert_eq!(read(&by_symbol, body, None).bars[0].symbol.as_str(), "ABC");
    // A bad row among them is kept with its key.
    let body = r#"{"Time Series (Daily)":{"2026-11-25":{"1. open":"x"}}}"#;
    let reject = &read(&keyed, body, Some("ACME")).rejects[0];
    assert!(reject.payload.contains("2026-11-25"), "{reject:?}");
}

#[test]
fn pages_with_the_symbol_first_are_read_for_each_symbol() {
    let bars = preset("alpaca-bars");
    let body = r#"{"bars":{"AAPL":[{"t":"2024-03-01T14:30:00Z","o":1,"h":1,"l":1,"c":1,"v":1}],
        "MSFT":[{"t":"2024-03-01T14:30:00Z","o":2,"h":2,"l":2,"c":2,"v":1}],"TSLA":null},
        "next_page_token":"x"}"#;
    let decoded = read(&bars, body, None);
    let symbols: Vec<&str> = decoded.bars.iter().map(|b| b.symbol.as_str()).collect();
    assert_eq!(symbols, ["AAPL", "MSFT"]);
    // One row each: the latest trades.
    let latest = mapping(
        r#"{"rows":"trades","shape":"by_symbol","fields":{"time":"t","price":"p","size":"s","seq":"i"}}"#,
    );
    let body = r#"{"trades":{"AAPL":{"t":"2024-03-01T14:30:00Z","p":1.5,"s":1,"i":7}}}"#;
    assert_eq!(read(&latest, body, None).ticks[0].symbol.as_str(), "AAPL");
    // The rows of each symbol lie deeper.
    let deeper = mapping(
        r#"{"rows":"*.values","interval":"1m","fields":{"symbol":"*","time":"datetime","open":"o",
            "high":"o","low":"o","close":"o"}}"#,
    );
    let body = r#"{"AAPL":{"meta":{},"values":[{"datetime":"2024-03-01 14:30:00","o":"5"}],"status":"ok"},
        "MSFT":{"values":[{"datetime":"2024-03-01 14:30:00","o":"6"}]},"status":"ok"}"#;
    let decoded = read(&deeper, body, None);
    assert_eq!(decoded.rejects, []);
    let found: Vec<(&str, f64)> = decoded
        .bars
        .iter()
        .map(|b| (b.symbol.as_str(), b.close))
        .collect();
    assert_eq!(found, [("AAPL", 5.0), ("MSFT", 6.0)]);
}

#[test]
fn one_row_that_is_the_answer_is_read_when_the_mapping_says_so() {
    let quote =
        mapping(r#"{"shape":"object","time_unit":"seconds","fields":{"time":"t","price":"c"}}"#);
    let decoded = read(
        &quote,
        r#"{"c":261.74,"h":263.31,"t":1582641000}"#,
        Some("AAPL"),
    );
    assert_eq!(decoded.ticks[0].price, 261.74);
    assert_eq!(
        reported(&quote, r#"{"error":"You don't have access."}"#),
        "You don't have access."
    );
}

#[test]
fn every_preset_reads_what_its_provider_documents() {
    macro_rules! fixture {
        ($name:literal) => {
            (
                $name,
                include_str!(concat!("../../tests/fixtures/", $name, ".json")),
            )
        };
    }
    let first = "2024-03-01T14:30:00Z";
    let crypto = [61_820.1, 61_855.0, 61_801.5, 61_840.25, 12.5031];
    let kraken = [61_820.1, 61_855.0, 61_801.5, 61_840.2, 3.392_438_96];
    let stock = |volume| [179.55, 179.72, 179.31, 179.4, volume];
    for ((name, body), at, wanted, interval) in [
        (fixture!("binance-bars"), first, crypto, Interval::M1),
        (fixture!("kraken-bars"), first, kraken, Interval::M1),
        (fixture!("coinbase-bars"), first, crypto, Interval::M1),
        (
            fixture!("twelve-data-bars"),
            first,
            stock(624_277.0),
            Interval::M1,
        ),
        (fixture!("tiingo-bars"), first, stock(1_201.0), Interval::M1),
        (
            fixture!("tiingo-daily"),
            "2024-02-29T00:00:00Z",
            [181.27, 182.57, 179.53, 180.75, 136_682_597.0],
            Interval::D1,
        ),
        (
            fixture!("alpha-vantage-daily"),
            "2024-02-29T00:00:00Z",
            [186.15, 186.8495, 184.69, 185.03, 6_458_487.0],
            Interval::D1,
        ),
        // New York, before the clocks were put forward.
        (
            fixture!("alpha-vantage-bars"),
            "2024-03-08T14:30:00Z",
            [186.15, 186.8495, 184.69, 185.03, 6_458.0],
            Interval::M1,
        ),
    ] {
        let decoded = read(&preset(name), body, Some("A"));
        assert_eq!(
            (decoded.bars.len(), decoded.rejects.len()),
            (2, 0),
            "{name}"
        );
        let oldest = decoded.bars.iter().min_by_key(|b| b.start).unwrap();
        assert_eq!(numbers(oldest), (at.to_owned(), wanted), "{name}");
        assert_eq!(oldest.interval, interval, "{name}");
    }
    // New York, after they were.
    let (_, body) = fixture!("alpha-vantage-bars");
    let decoded = read(&preset("alpha-vantage-bars"), body, Some("A"));
    assert!(
        decoded
            .bars
            .iter()
            .any(|b| b.start.to_string() == "2024-03-11T13:31:00Z")
    );
    for ((name, body), seqs, price, us) in [
        (
            fixture!("binance-trades"),
            [2_800_000_001, 2_800_000_002],
            61_820.1,
            123_000,
        ),
        (
            fixture!("kraken-trades"),
            [61_044_952, 61_044_953],
            61_820.1,
            827_737,
        ),
    ] {
        let ticks = read(&preset(name), body, Some("A")).ticks;
        assert_eq!([ticks[0].seq, ticks[1].seq], seqs, "{name}");
        assert_eq!(ticks[0].price, price, "{name}");
        assert_eq!(
            ticks[0].ts.as_micros(),
            1_709_303_400_000_000 + us,
            "{name}"
        );
    }
    let (_, bars) = fixture!("kraken-bars");
    let answer = try_read(&preset("kraken-bars"), bars, Some("A")).unwrap();
    assert_eq!(answer.next.as_deref(), Some("1709303400"));
}

#[test]
fn errors_under_a_status_of_success_are_reported_in_the_provider_s_words() {
    for (name, body, wanted) in [
        (
            "kraken-bars",
            r#"{"error":["EQuery:Unknown asset pair"],"result":{"XXBTZUSD":[[1]]}}"#,
            r#"["EQuery:Unknown asset pair"]"#,
        ),
        (
            "alpha-vantage-daily",
            r#"{"Information":"our standard API rate limit is 25 requests per day"}"#,
            "our standard API rate limit is 25 requests per day",
        ),
        (
            "twelve-data-bars",
            r#"{"code":429,"message":"You have run out of API credits","status":"error"}"#,
            "You have run out of API credits",
        ),
        // Nothing is declared for these.
        (
            "binance-bars",
            r#"{"code":-1121,"msg":"Invalid symbol."}"#,
            "Invalid symbol.",
        ),
        ("coinbase-bars", r#"{"message":"NotFound"}"#, "NotFound"),
        ("tiingo-bars", r#"{"detail":"Not found."}"#, "Not found."),
        (
            "polygon-bars",
            r#"{"status":"ERROR","error":"Unknown API Key"}"#,
            "Unknown API Key",
        ),
        (
            "finnhub-bars",
            r#"{"error":"API limit reached."}"#,
            "API limit reached.",
        ),
        ("tickcast", r#"{"trades":[],"error":"busy"}"#, "busy"),
    ] {
        assert_eq!(reported(&preset(name), body), wanted, "{name}");
    }
    // Rows that came are not lost to a word beside them.
    let body = r#"{"trades":[{"symbol":"A","ts_us":1700000000000000,"price":1}],"message":"hi"}"#;
    assert_eq!(read(&preset("tickcast"), body, None).ticks.len(), 1);
}

#[test]
fn a_page_of_nothing_but_bad_rows_keeps_some_and_counts_the_rest() {
    let body = format!("[{}1]", "1,".repeat(5_000));
    let decoded = read(&preset("binance-bars"), &body, Some("A"));
    assert_eq!(decoded.rejects.len(), 1_001);
    let last = &decoded.rejects[1_000];
    assert_eq!(last.reason, RejectReason::Unparsable);
    assert!(last.detail.starts_with("4001 further rows"), "{last:?}");
}

#[test]
fn times_without_a_zone_are_in_the_mapping_s_and_those_with_one_are_not() {
    let mut mapping = preset("alpha-vantage-bars");
    mapping.rows = String::new();
    mapping.fields.time = Some("t".into());
    for field in [
        &mut mapping.fields.open,
        &mut mapping.fields.high,
        &mut mapping.fields.low,
        &mut mapping.fields.close,
    ] {
        *field = Some("o".into());
    }
    let at = |time: &str| {
        let body = format!(r#"[{{"t":"{time}","o":1}}]"#);
        read(&mapping, &body, Some("A")).bars[0].start.to_string()
    };
    assert_eq!(at("2024-07-01 09:30:00"), "2024-07-01T13:30:00Z");
    assert_eq!(at("2024-07-01T09:30:00Z"), "2024-07-01T09:30:00Z");
    assert_eq!(at("2024-07-01T09:30:00+02:00"), "2024-07-01T07:30:00Z");
}
