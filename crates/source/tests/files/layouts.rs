//! Layouts known by their looks.

use super::{Read, fixture, open, options, said};

fn read(name: &str) -> Read {
    let read = open(&fixture(name), options()).unwrap();
    assert!(read.rejects.is_empty(), "{name}: {:?}", read.rejects);
    read
}

/// The three bars of a fixture, oldest first.
fn three(name: &str, symbol: &str, interval: &str, starts: [&str; 3]) -> Read {
    let read = read(name);
    let mut bars: Vec<_> = read
        .bars
        .iter()
        .filter(|bar| bar.symbol.as_str() == symbol)
        .collect();
    bars.sort_by_key(|bar| bar.start);
    let expected = [
        "10/10.5/9.9/10.2 1200",
        "10.2/10.6/10.1/10.4 900",
        "10.4/10.5/10/10.1 1500",
    ];
    assert_eq!(
        bars.into_iter().map(said).collect::<Vec<_>>(),
        std::array::from_fn::<_, 3, _>(|at| {
            format!("{symbol} {interval} {} {}", starts[at], expected[at])
        }),
        "{name}: {}",
        read.facts
    );
    read
}

const JUNE: [&str; 3] = [
    "2026-06-01T00:00:00Z",
    "2026-06-02T00:00:00Z",
    "2026-06-03T00:00:00Z",
];

#[test]
fn yfinance_with_three_header_lines_of_one_and_of_several_tickers() {
    three("yfinance_one.csv", "ACME", "1d", JUNE);
    for name in ["yfinance_many_by_column.csv", "yfinance_many_by_ticker.csv"] {
        let read = three(name, "ACME", "1d", JUNE);
        let other: Vec<_> = read
            .bars
            .iter()
            .filter(|b| b.symbol.as_str() == "GLOBEX")
            .collect();
        assert_eq!(
            said(other[0]),
            "GLOBEX 1d 2026-06-01T00:00:00Z 50/52/49/51 77"
        );
        // Where the one was not traded, the other still was.
        assert_eq!(other.len(), if name.contains("column") { 2 } else { 3 });
    }
}

#[test]
fn yfinance_history_belongs_to_the_dates_written_whatever_the_offset() {
    let starts = [
        "2026-03-05T00:00:00Z",
        "2026-03-06T00:00:00Z",
        "2026-03-09T00:00:00Z",
    ];
    three("yfinance_history.csv", "YFINANCE_HISTORY", "1d", starts);
}

#[test]
fn stooq_plain_polish_and_in_bulk() {
    three("stooq.csv", "STOOQ", "1d", JUNE);
    three("stooq_polish.csv", "STOOQ_POLISH", "1d", JUNE);
    let starts = [
        "2026-06-01T15:35:00Z",
        "2026-06-01T15:40:00Z",
        "2026-06-01T15:45:00Z",
    ];
    three("stooq_bulk.txt", "ACME.US", "5m", starts);
}

#[test]
fn alpha_vantage_is_newest_first() {
    let read = three("alpha_vantage.csv", "ALPHA_VANTAGE", "1d", JUNE);
    assert!(read.facts.contains("newest first"), "{}", read.facts);
}

#[test]
fn nasdaq_and_investing_write_currencies_groups_and_the_month_first() {
    for (name, volume) in [("nasdaq.csv", 1.0), ("investing.csv", 1_000.0)] {
        let read = read(name);
        let mut bars: Vec<_> = read.bars.iter().map(said).collect();
        bars.sort();
        let symbol = name.trim_end_matches(".csv").to_uppercase();
        let [a, b, c] = [1_200.0, 900.0, 1_500.0].map(|v| v * volume);
        assert_eq!(
            bars,
            [
                format!("{symbol} 1d 2026-06-26T00:00:00Z 1010/1010.5/1009.9/1010.2 {a}"),
                format!("{symbol} 1d 2026-06-29T00:00:00Z 1010.2/1010.6/1010.1/1010.4 {b}"),
                format!("{symbol} 1d 2026-06-30T00:00:00Z 1010.4/1010.5/1010/1010.1 {c}"),
            ]
        );
        assert!(
            read.facts.contains("month before the day"),
            "{}",
            read.facts
        );
    }
}

#[test]
fn metatrader_4_without_a_header_and_5_with_tabs_in_utf_16() {
    let four = read("metatrader4.csv");
    assert_eq!(
        said(&four.bars[0]),
        "METATRADER4 1m 2026-06-01T09:30:00Z 1.084/1.0843/1.0839/1.0842 31"
    );
    let five = read("metatrader5.csv");
    assert_eq!(
        said(&five.bars[1]),
        "METATRADER5 15m 2026-06-01T22:15:00Z 1.0842/1.08466/1.08398/1.08461 8"
    );
    assert_eq!(five.bars.len(), 3);
    assert!(
        five.facts.contains("volume \"<VOL>\" (not \"<TICKVOL>\")"),
        "{}",
        five.facts
    );
}

#[test]
fn histdata_is_eastern_time_without_summer_time() {
    let read = read("histdata.csv");
    assert_eq!(
        said(&read.bars[0]),
        "HISTDATA 1m 2026-06-01T22:00:00Z 1.084/1.0843/1.0839/1.0842 0"
    );
    assert!(read.facts.contains("HistData"), "{}", read.facts);
}

#[test]
fn dukascopy_in_gmt_and_in_local_time() {
    for name in ["dukascopy.csv", "dukascopy_local.csv"] {
        let read = read(name);
        assert_eq!(read.bars.len(), 3);
        assert!(
            said(&read.bars[1])
                .contains("1h 2026-06-01T01:00:00Z 1.0842/1.08466/1.08398/1.08461 980.25"),
            "{}",
            said(&read.bars[1])
        );
    }
}

const MINUTES: [&str; 3] = [
    "2026-06-01T12:00:00Z",
    "2026-06-01T12:01:00Z",
    "2026-06-01T12:02:00Z",
];

#[test]
fn binance_klines_in_microseconds_without_and_in_milliseconds_with_a_header() {
    let spot = three(
        "binance_spot_klines.csv",
        "BINANCE_SPOT_KLINES",
        "1m",
        MINUTES,
    );
    assert!(spot.facts.contains("klines of Binance"), "{}", spot.facts);
    three(
        "binance_futures_klines.csv",
        "BINANCE_FUTURES_KLINES",
        "1m",
        MINUTES,
    );
}

#[test]
fn binance_trades_keep_their_ids() {
    let trades = read("binance_spot_trades.csv");
    let first = &trades.ticks[0];
    assert_eq!(
        (first.seq, first.price, first.size, first.ts.as_micros()),
        (51_175_358, 10.0, 5.5, 1_780_315_200_000_123)
    );
    assert_eq!(trades.ticks.len(), 3);
    let aggregated = read("binance_agg_trades.csv");
    assert_eq!(
        (
            aggregated.ticks[1].seq,
            aggregated.ticks[1].price,
            aggregated.ticks[1].size
        ),
        (7_002, 10.1, 2.0)
    );
}

#[test]
fn kraken_has_five_minutes_with_one_left_out() {
    let starts = [
        "2026-06-01T12:00:00Z",
        "2026-06-01T12:05:00Z",
        "2026-06-01T12:15:00Z",
    ];
    three("kraken_ohlcvt.csv", "KRAKEN_OHLCVT", "5m", starts);
}

#[test]
fn cryptodatadownload_has_a_banner_and_the_volume_of_the_base() {
    let starts = [
        "2026-06-01T12:00:00Z",
        "2026-06-01T13:00:00Z",
        "2026-06-01T14:00:00Z",
    ];
    let read = three("cryptodatadownload.csv", "BTC/USDT", "1h", starts);
    assert!(
        read.facts
            .contains("the line before the table is passed over"),
        "{}",
        read.facts
    );
    assert!(
        read.facts
            .contains("volume \"Volume BTC\" (not \"Volume USDT\")"),
        "{}",
        read.facts
    );
}

#[test]
fn tradingview_bars_of_an_hour_begin_at_the_half() {
    let starts = [
        "2026-06-01T13:00:00Z",
        "2026-06-01T14:00:00Z",
        "2026-06-01T15:00:00Z",
    ];
    three("tradingview.csv", "TRADINGVIEW", "1h", starts);
}

#[test]
fn polygon_flat_files_of_minutes_and_of_trades_are_in_nanoseconds() {
    let minutes = read("polygon_minutes.csv");
    assert_eq!(
        said(&minutes.bars[0]),
        "ACME 1m 2026-06-01T13:30:00Z 10/10.5/9.9/10.2 1200"
    );
    assert_eq!(minutes.bars.len(), 4);
    let trades = read("polygon_trades.csv");
    assert_eq!(
        (
            trades.ticks[0].ts.as_micros(),
            trades.ticks[0].seq,
            trades.ticks[0].size
        ),
        (1_780_320_600_000_123, 2_001, 100.0)
    );
}

#[test]
fn tiingo_and_quandl_have_plain_and_adjusted_prices() {
    three("tiingo.csv", "TIINGO", "1d", JUNE);
    three("quandl_wiki.csv", "QUANDL_WIKI", "1d", JUNE);
    for (name, column) in [
        ("tiingo.csv", "adjClose"),
        ("quandl_wiki.csv", "Adj. Close"),
    ] {
        let mut adjusted = options();
        adjusted.close_column = Some(column.into());
        let read = open(&fixture(name), adjusted).unwrap();
        let last = read.bars.iter().max_by_key(|bar| bar.start).unwrap();
        assert!(
            (last.open - 5.2).abs() < 1e-12 && last.close == 5.05,
            "{}",
            said(last)
        );
    }
    let futures = three("quandl_futures.csv", "QUANDL_FUTURES", "1d", JUNE);
    assert!(
        futures.facts.contains("close \"Settle\" (not \"Last\")"),
        "{}",
        futures.facts
    );
}

#[test]
fn chinese_tools_have_codes_trade_dates_and_amounts_that_are_no_volume() {
    three("akshare.csv", "000001", "1d", JUNE);
    let read = three("baostock.csv", "SH.600999", "1d", JUNE);
    assert!(
        read.facts.contains("volume \"volume\" (not \"amount\")"),
        "{}",
        read.facts
    );
    three("tushare.csv", "600999.SH", "1d", JUNE);
    let starts = [
        "2026-06-01T09:35:00Z",
        "2026-06-01T09:40:00Z",
        "2026-06-01T09:45:00Z",
    ];
    three("baostock_minutes.csv", "SH.600999", "5m", starts);
}

#[test]
fn pandas_has_an_index_without_a_name_and_polars_zones_without_a_colon() {
    let starts = [
        "2026-06-01T13:30:00Z",
        "2026-06-01T13:31:00Z",
        "2026-06-01T13:32:00Z",
    ];
    three("pandas.csv", "PANDAS", "1m", starts);
    three("polars.csv", "POLARS", "1m", starts);
    three("ibkr.csv", "IBKR", "1m", starts);
}

#[test]
fn decimal_commas_and_german_names() {
    let read = read("european.csv");
    assert_eq!(
        said(&read.bars[0]),
        "EUROPEAN 1d 2026-06-01T00:00:00Z 1010/1010.5/1009.9/1010.2 1200"
    );
    assert!(read.facts.contains("decimal comma"), "{}", read.facts);
}
