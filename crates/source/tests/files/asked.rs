//! What the rows leave open is asked for; what cannot be right is refused.

use market::{Interval, RejectReason};
use source::file::text::TextOptions;

use super::{asked, fixture, open, options, read_text, said};

const BARS: &str = "date,open,high,low,close,volume\n";

#[test]
fn one_bar_with_a_clock_is_asked_for_its_interval_and_one_of_a_date_is_a_day() {
    let text = format!("{BARS}2026-06-01 09:30:00,10,11,9,10,5\n");
    let (key, text_of) = asked(read_text("a.csv", &text, options()));
    assert_eq!(key, "--interval");
    assert!(text_of.contains("one row only"), "{text_of}");
    let mut told = options();
    told.interval = Some(Interval::M5);
    assert_eq!(
        said(&read_text("a.csv", &text, told).unwrap().bars[0]),
        "A 5m 2026-06-01T09:30:00Z 10/11/9/10 5"
    );
    let day = read_text(
        "a.csv",
        &format!("{BARS}2026-11-25,100,110,95,108,1\n"),
        options(),
    );
    assert_eq!(
        said(&day.unwrap().bars[0]),
        "A 1d 2026-11-25T00:00:00Z 100/110/95/108 1"
    );
}

#[test]
fn bars_longer_than_a_day_and_mixed_ones_are_asked_for() {
    let rows = |times: &[&str]| -> String {
        let rows: Vec<String> = times
            .iter()
            .map(|t| format!("{t},10,11,9,10,5\n"))
            .collect();
        BARS.to_owned() + &rows.concat()
    };
    for (times, part) in [
        (
            vec!["2026-06-01", "2026-06-08", "2026-06-15"],
            "a week long",
        ),
        (
            vec!["2026-04-01", "2026-05-01", "2026-06-01"],
            "a month long",
        ),
        (vec!["2026-06-01 09:30", "2026-06-01 09:37"], "apart"),
    ] {
        let (key, text) = asked(read_text("a.csv", &rows(&times), options()));
        assert_eq!(key, "--interval", "{text}");
        assert!(text.contains(part), "{text}");
    }
    let mut told = options();
    told.interval = Some(Interval::D1);
    let weeks = rows(&["2026-06-01", "2026-06-08", "2026-06-15"]);
    assert_eq!(read_text("a.csv", &weeks, told).unwrap().bars.len(), 3);
}

#[test]
fn half_hours_are_merged_into_hours_either_way_and_the_output_says_so() {
    let mut rows = [
        "2026-06-01 09:30:00,10,12,9,11,1\n",
        "2026-06-01 10:00:00,11,13,10,12,2\n",
        "2026-06-01 10:30:00,12,12.5,8,9,4\n",
        "2026-06-01 11:00:00,9,10,9,10,8\n",
    ];
    let expected = [
        "A 1h 2026-06-01T09:00:00Z 10/12/9/11 1",
        "A 1h 2026-06-01T10:00:00Z 11/13/8/9 6",
        "A 1h 2026-06-01T11:00:00Z 9/10/9/10 8",
    ];
    for _ in 0..2 {
        let mut small = options();
        small.batch_rows = 1;
        let read = read_text("a.csv", &(BARS.to_owned() + &rows.concat()), small).unwrap();
        let mut bars: Vec<String> = read.bars.iter().map(said).collect();
        bars.sort();
        assert_eq!(bars, expected);
        assert!(read.facts.contains("30m apart"), "{}", read.facts);
        rows.reverse();
    }
}

#[test]
fn day_and_month_that_cannot_be_told_apart_are_asked_for() {
    let text = format!("{BARS}05/06/2026,10,11,9,10,5\n06/06/2026,10,11,9,10,5\n");
    let (key, said) = asked(read_text("a.csv", &text, options()));
    assert_eq!(key, "--date-order", "{said}");
    let mut told = options();
    told.date_order = Some(source::file::time::text::Order::DayMonth);
    assert_eq!(
        read_text("a.csv", &text, told).unwrap().bars[0]
            .start
            .to_string(),
        "2026-06-05T00:00:00Z"
    );
}

#[test]
fn numbers_that_could_be_either_are_asked_for() {
    let rows = "2026-06-01;1,084;1,085;1,083;1,084\n2026-06-02;1,084;1,086;1,083;1,085\n";
    let text = format!("date;open;high;low;close\n{rows}");
    let (key, said_of) = asked(read_text("a.csv", &text, options()));
    assert_eq!(key, "--decimal", "{said_of}");
    let mut told = options();
    told.decimal = Some(b',');
    assert_eq!(
        read_text("a.csv", &text, told).unwrap().bars[0].close,
        1.084
    );
}

#[test]
fn two_columns_of_one_meaning_are_refused_where_none_is_better() {
    let text = "date,open,high,low,close,qty,size\n2026-06-01,10,11,9,10,5,7\n";
    let (key, said) = asked(read_text("a.csv", text, options()));
    assert_eq!(key, "--volume-column");
    assert!(said.contains("\"qty\" and \"size\""), "{said}");
    let mut told = options();
    told.volume_column = Some("size".into());
    assert_eq!(read_text("a.csv", text, told).unwrap().bars[0].volume, 7.0);
    let (key, said) = {
        let mut wrong = options();
        wrong.volume_column = Some("vol".into());
        asked(read_text("a.csv", text, wrong))
    };
    assert_eq!(key, "--volume-column");
    assert!(said.contains("there are date, open"), "{said}");
}

#[test]
fn turnover_alone_is_no_volume_of_bars_and_is_the_size_of_trades() {
    let bars = read_text(
        "a.csv",
        "date,open,high,low,close,amount,turnover\n2026-06-01,10,11,9,10,500,7\n",
        options(),
    );
    assert_eq!(bars.unwrap().bars[0].volume, 0.0);
    let trades = read_text(
        "a.csv",
        "timestamp,price,amount\n1780315200,10,2.5\n",
        options(),
    );
    assert_eq!(trades.unwrap().ticks[0].size, 2.5);
}

#[test]
fn two_series_in_one_file_are_refused_naming_the_column_that_tells_them_apart() {
    let head = "date,venue,open,high,low,close,volume\n";
    let one = "2026-06-01,XNAS,10,11,9,10,5\n2026-06-02,XNAS,10,11,9,10.5,6\n";
    let other = "2026-06-01,XLON,20,21,19,20,5\n2026-06-02,XLON,20,21,19,20.5,6\n";
    let interleaved = "2026-06-01,XNAS,10,11,9,10,5\n2026-06-01,XLON,20,21,19,20,5\n\
                       2026-06-02,XNAS,10,11,9,10.5,6\n2026-06-02,XLON,20,21,19,20.5,6\n";
    for rows in [format!("{one}{other}"), interleaved.to_owned()] {
        let (key, said) = asked(read_text("a.csv", &format!("{head}{rows}"), options()));
        assert_eq!(key, "--symbol-column");
        assert!(said.contains("\"venue\" tells two series apart"), "{said}");
        let mut told = options();
        told.symbol_column = Some("venue".into());
        let read = read_text("a.csv", &format!("{head}{rows}"), told).unwrap();
        assert_eq!(read.bars.len(), 4);
    }
    // The same row again, however its numbers are written, is no second series.
    let again = format!("{head}{one}2026-06-02,XNAS,10.0,11,9,10.50,6\n");
    assert_eq!(read_text("a.csv", &again, options()).unwrap().bars.len(), 3);
    // Without a column that tells them apart.
    let text = format!("{BARS}2026-06-01,10,11,9,10,5\n2026-06-01,10,11,9,10.5,5\n");
    let (key, said) = asked(read_text("a.csv", &text, options()));
    assert_eq!(key, "--symbol-column");
    assert!(
        said.contains("rows 2 and 3") && said.contains("no column"),
        "{said}"
    );
    // A trade's id that comes again with another price.
    let trades = "time,id,price\n1780315200,1,10\n1780315200,1,11\n";
    assert_eq!(
        asked(read_text("a.csv", trades, options())).0,
        "--symbol-column"
    );
}

#[test]
fn quotes_without_trades_are_refused_or_read_as_asked() {
    let (key, said) = asked(open(&fixture("histdata_ticks.csv"), options()));
    assert_eq!(key, "--close-column");
    assert!(said.contains("quotes"), "{said}");
    let mut told = options();
    told.close_column = Some("bid".into());
    let read = open(&fixture("histdata_ticks.csv"), told).unwrap();
    assert_eq!(
        (read.ticks[0].price, read.ticks[0].ts.to_string().as_str()),
        (1.084, "2026-06-01T22:00:00.123Z")
    );
}

#[test]
fn a_file_without_a_known_look_is_read_by_its_options() {
    let text = "made by hand\n;;\n9|x|2026-06-01 09:30|1.5\n8|y|2026-06-01 09:31|1.6\n";
    let mut told = options();
    told.text = TextOptions {
        delimiter: Some(b'|'),
        no_header: true,
        skip_rows: 2,
        ..TextOptions::default()
    };
    told.time_column = Some("3".into());
    told.close_column = Some("4".into());
    told.volume_column = Some("1".into());
    told.time_zone = Some("America/New_York".into());
    let read = read_text("a.csv", text, told).unwrap();
    assert_eq!(read.rejects, []);
    let first = &read.ticks[0];
    assert_eq!(
        (first.price, first.size, first.ts.to_string().as_str()),
        (1.5, 9.0, "2026-06-01T13:30:00Z")
    );
    assert!(read.facts.contains("America/New_York"), "{}", read.facts);
}

#[test]
fn what_is_missing_is_said() {
    let said = |name: &str, text: &str| asked(read_text(name, text, options())).1;
    assert!(said("a.csv", "Ticker,Close\nA,1\n").contains("a time"));
    assert!(said("a.csv", "Ticker,Date\nA,2026-06-01\n").contains("a price"));
    assert!(said("my prices.csv", "Date,Close\n2026-06-01,1\n").contains("--symbol"));
    assert!(said("a.csv", "").contains("empty"));
    // Rows of which none can be used are put aside, and asked nothing of.
    let useless = read_text(
        "a.csv",
        "Date,Open,High,Low,Close\nsoon,1,1,1,1\nlater,2,2,2,2\n",
        options(),
    );
    assert_eq!(useless.unwrap().rejects.len(), 2);
    let mut zone = options();
    zone.time_zone = Some("Mars/Olympus".into());
    let (key, _) = asked(read_text("a.csv", "Date,Close\n2026-06-01,1\n", zone));
    assert_eq!(key, "--time-zone");
}

#[test]
fn a_bad_line_is_rejected_with_its_number_and_the_others_go_through() {
    let text = "Ticker,Date,Open,High,Low,Close\n\
        A,2023-01-02,1,2,1,2\n\
        A,2023-01-03,1,2,1\n\
        A,someday,1,2,1,2\n\
        A,2023-01-05,NaN,2,1,2\n\
        A,2023-01-06,,2,1,2\n\
        A,2023-01-09,1,1,2,1\n\
        \"A B\",2023-01-10,1,2,1,2\n\
        A,2099-01-08,1,2,1,2\n\
        A,2023-01-11,x,2,1,2\n\
        A,2023-01-12,1,2,1,2\n";
    let read = read_text("bad.csv", text, options()).unwrap();
    assert_eq!(read.bars.len(), 2);
    let found: Vec<(String, RejectReason)> = read
        .rejects
        .iter()
        .map(|r| (r.origin.clone(), r.reason))
        .collect();
    let mut expected: Vec<(String, RejectReason)> = [
        (3, RejectReason::Unparsable),
        (4, RejectReason::BadTimestamp),
        (5, RejectReason::BadPrice),
        (6, RejectReason::BadPrice),
        (7, RejectReason::BadBar),
        (8, RejectReason::UnknownSymbol),
        (9, RejectReason::FutureTimestamp),
        (10, RejectReason::BadField),
    ]
    .map(|(line, reason)| (format!("csv:bad.csv:{line}"), reason))
    .into();
    let mut sorted = found;
    sorted.sort();
    expected.sort();
    assert_eq!(sorted, expected);
    let broken = read
        .rejects
        .iter()
        .find(|r| r.origin.ends_with(":3"))
        .unwrap();
    assert_eq!(broken.payload, "A,2023-01-03,1,2,1");
}

#[test]
fn a_rejected_row_can_be_decoded_again_without_its_file_and_gives_the_same_bar() {
    let text = "Date,Open,High,Low,Close,Volume,Adj Close\n2024-03-01 00:00:00-05:00,10,12,8,10,100,5\n\
                2024-03-04 00:00:00-05:00,10,12,8,10,100,5\n";
    let read = |symbols: &[&str]| {
        let mut only = options();
        only.close_column = Some("Adj Close".into());
        only.rules.symbols = symbols.iter().map(|s| s.parse().unwrap()).collect();
        read_text("acme.csv", text, only).unwrap()
    };
    let payload = read(&["OTHER"]).rejects.remove(0).payload;
    let rules = market::TickRules::default();
    let again = source::ticks_from_json(payload.as_bytes(), "replay", super::NOW, &rules);
    assert_eq!(again.bars, read(&[]).bars[..1], "{payload}");
    assert_eq!(again.bars[0].low, 4.0);
}

#[test]
fn trades_of_one_instant_keep_the_files_order_also_when_it_is_newest_first() {
    let rows = [
        "1780315200,10,1\n",
        "1780315201,13,1\n",
        "1780315201,11,1\n",
        "1780315201,12,1\n",
        "1780315202,14,1\n",
    ];
    let prices = |rows: &[&str]| -> Vec<f64> {
        let text = format!("time,price,volume\n{}", rows.concat());
        let mut ticks = read_text("a.csv", &text, options()).unwrap().ticks;
        ticks.sort_by_key(|tick| tick.key());
        ticks.iter().map(|tick| tick.price).collect()
    };
    let right = vec![10.0, 13.0, 11.0, 12.0, 14.0];
    assert_eq!(prices(&rows), right);
    let mut reversed = rows;
    reversed.reverse();
    assert_eq!(prices(&reversed), right);
    // A late one: no trade is lost, and each keeps its place among those of its instant.
    let mixed = [rows[1], rows[0], rows[2], rows[3], rows[4]];
    assert_eq!(prices(&mixed), right);
}

#[test]
fn a_symbol_that_is_asked_for_chooses_among_those_of_the_file_and_does_not_rename_them() {
    let text = "symbol,date,open,high,low,close\nA,2026-06-01,1,1,1,1\nB,2026-06-01,2,2,2,2\n";
    let with = |symbol: &str| {
        let mut told = options();
        told.symbol = Some(symbol.parse().unwrap());
        let read = read_text("x.csv", text, told).unwrap();
        let symbols: Vec<String> = read.bars.iter().map(|b| b.symbol.to_string()).collect();
        (symbols, read.facts)
    };
    let (symbols, facts) = with("b");
    assert_eq!(symbols, ["B"]);
    assert!(facts.contains("only the rows of B"), "{facts}");
    let (symbols, facts) = with("ACME");
    assert_eq!(symbols, ["A", "B"]);
    assert!(facts.contains("ACME is none of them"), "{facts}");
}

/// Trades of two markets, a second apart, each pair of one instant; and a column more, if any.
fn two_markets(prices: [f64; 2], more: [&str; 2]) -> String {
    let head = if more[0].is_empty() { "" } else { ",place" };
    let mut text = format!("timestamp,price,size{head}\n");
    for n in 0..30_i64 {
        for (price, more) in prices.iter().zip(more) {
            let price = price + (n * 7 % 5) as f64 / 100.0;
            let comma = if more.is_empty() { "" } else { "," };
            text += &format!("{},{price:.2},1{comma}{more}\n", 1_780_315_200 + n);
        }
    }
    text
}

#[test]
fn trades_of_two_markets_without_a_column_that_tells_are_refused_where_their_prices_tell() {
    let bare = two_markets([230.0, 430.0], ["", ""]);
    let (key, said) = asked(read_text("a.csv", &bare, options()));
    assert_eq!(key, "--symbol-column");
    assert!(
        said.contains("at 30 times, first at 1780315200 (rows 2 and 3)")
            && said.contains("no column"),
        "{said}"
    );
    // One after the other, newest first, with decimal commas: the same.
    let rows: Vec<&str> = bare.lines().skip(1).collect();
    let (one, other): (Vec<_>, Vec<_>) = rows.iter().enumerate().partition(|(n, _)| n % 2 == 0);
    let joined =
        |rows: Vec<(usize, &&str)>| rows.iter().map(|(_, row)| format!("{row}\n")).collect();
    let (one, other): (String, String) = (joined(one), joined(other));
    let head = "timestamp,price,size\n";
    let newest_first: String = rows.iter().rev().map(|row| format!("{row}\n")).collect();
    let commas = bare.replace(',', ";").replace('.', ",");
    for text in [
        format!("{head}{one}{other}"),
        format!("{head}{newest_first}"),
        commas,
    ] {
        let (key, said) = asked(read_text("a.csv", &text, options()));
        assert!(
            key == "--symbol-column" && said.contains("at 30 times"),
            "{said}"
        );
    }
    // A column that tells them apart is named, and taken when it is.
    let placed = two_markets([230.0, 430.0], ["XNAS", "XLON"]);
    let (_, said) = asked(read_text("a.csv", &placed, options()));
    assert!(said.contains("\"place\" tells two series apart"), "{said}");
    let mut told = options();
    told.symbol_column = Some("place".into());
    assert_eq!(read_text("a.csv", &placed, told).unwrap().ticks.len(), 60);
}

#[test]
fn trades_that_may_be_of_one_market_are_read_and_what_is_odd_of_them_is_said() {
    // Of similar prices: nothing in the rows tells.
    let similar = read_text("a.csv", &two_markets([230.0, 250.0], ["", ""]), options()).unwrap();
    assert_eq!(similar.ticks.len(), 60);
    assert!(!similar.facts.contains("two markets"), "{}", similar.facts);
    // Numbered, the trades are of one market: whoever numbers them says so.
    let mut numbered = "timestamp,price,size,trade_id\n".to_owned();
    let bare = two_markets([230.0, 430.0], ["", ""]);
    for (id, row) in bare.lines().skip(1).enumerate() {
        numbered += &format!("{row},{id}\n");
    }
    assert_eq!(
        read_text("a.csv", &numbered, options())
            .unwrap()
            .ticks
            .len(),
        60
    );
    // Far apart, but never at one instant.
    let mut text = "timestamp,price,size\n".to_owned();
    for n in 0..60 {
        text += &format!(
            "{},{},1\n",
            1_780_315_200 + n,
            [230.25, 430.5, 230.5][n % 3]
        );
    }
    let read = read_text("a.csv", &text, options()).unwrap();
    assert_eq!(read.ticks.len(), 60);
    let told = read.facts.lines().find(|line| line.contains("two markets"));
    assert!(
        told.is_some_and(|line| line.contains("and back")),
        "{}",
        read.facts
    );
}
