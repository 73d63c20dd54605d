//! Series for a forecast, out of the same files.

use source::{
    SourceError,
    file::{
        input::Input,
        series::{self, Series, SeriesFile, SeriesOptions},
    },
};

use super::{fixture, options};

fn wishes(column: Option<&str>, id: Option<&str>) -> SeriesOptions {
    SeriesOptions {
        column: column.map(ToOwned::to_owned),
        id: id.map(ToOwned::to_owned),
        reading: options(),
    }
}

fn read(text: &str, column: Option<&str>, id: Option<&str>) -> Result<SeriesFile, SourceError> {
    let input = Input::spool(text.as_bytes()).unwrap();
    series::read(input, &wishes(column, id))
}

fn one(text: &str) -> Vec<f64> {
    let read = read(text, None, None).unwrap();
    assert_eq!(read.series.len(), 1);
    read.series.into_iter().next().unwrap().values
}

fn said(text: &str, column: Option<&str>, id: Option<&str>) -> String {
    read(text, column, id).unwrap_err().to_string()
}

#[test]
fn a_long_table_is_split_by_id_in_order_of_first_appearance() {
    let read = read("id,y\nb,1\na,2\nb,3\n", None, Some("id")).unwrap();
    assert_eq!(read.series.len(), 2);
    assert_eq!(
        (read.series[0].id.as_str(), read.series[0].values.as_slice()),
        ("b", [1.0, 3.0].as_slice())
    );
}

#[test]
fn several_series_are_not_joined_until_one_is_chosen_or_all_are() {
    let long =
        "Date,Ticker,Close\n2026-06-01,A,1\n2026-06-02,A,2\n2026-06-01,B,10\n2026-06-02,B,20\n";
    let refused = said(long, None, None);
    assert!(
        refused.contains("--id Ticker") && refused.contains("A, B"),
        "{refused}"
    );
    let mut only = wishes(None, None);
    only.reading.symbol = Some("B".parse().unwrap());
    let chosen = series::read(Input::spool(long.as_bytes()).unwrap(), &only).unwrap();
    assert_eq!(chosen.series[0].values, [10.0, 20.0]);
    assert_eq!(read(long, None, Some("Ticker")).unwrap().series.len(), 2);
    // No column of symbols: the times tell, and the column that tells them apart is named.
    let venues = "Date,venue,Close\n2026-06-01,XNAS,1\n2026-06-01,XLON,10\n2026-06-02,XNAS,2\n2026-06-02,XLON,20\n";
    let refused = said(venues, None, None);
    assert!(refused.contains("--id venue"), "{refused}");
    let long = said("id,y\na,1\na,2\nb,3\nb,4\n", None, None);
    assert!(long.contains("--id id"), "{long}");
    // A number for each row is none.
    assert_eq!(one("id,y\n1,5\n2,6\n3,7\n"), [5.0, 6.0, 7.0]);
    let mut one_of_many = wishes(None, None);
    one_of_many.reading.symbol = Some("GLOBEX".parse().unwrap());
    let path = fixture("yfinance_many_by_column.csv");
    let wide = series::read(Input::open(&path).unwrap(), &one_of_many).unwrap();
    assert_eq!(wide.series[0].values, [51.0, 52.5]);
    let all = series::read(Input::open(&path).unwrap(), &wishes(None, Some("Ticker"))).unwrap();
    assert_eq!(all.series.len(), 2);
    assert!(series::read(Input::open(&path).unwrap(), &wishes(None, None)).is_err());
}

#[test]
fn rows_are_sorted_by_time_and_the_reader_says_so() {
    let newest_first = "timestamp,open,high,low,close\n2026-06-03,1,1,1,3\n2026-06-02,1,1,1,2\n2026-06-01,1,1,1,1\n";
    let read = read(newest_first, None, None).unwrap();
    assert_eq!(read.series[0].values, [1.0, 2.0, 3.0]);
    assert!(
        read.notes.iter().any(|note| note.contains("newest first")),
        "{:?}",
        read.notes
    );
    // Trades of one instant: the reverse of a file that is newest first.
    let trades = "time,price\n1780315202,4\n1780315201,3\n1780315201,2\n1780315200,1\n";
    assert_eq!(one(trades), [1.0, 2.0, 3.0, 4.0]);
}

#[test]
fn the_layouts_of_files_of_prices_are_read_too() {
    let closes = |name: &str| -> Vec<f64> {
        let input = Input::open(&fixture(name)).unwrap();
        let mut read = series::read(input, &wishes(None, None)).unwrap();
        assert_eq!(read.series.len(), 1, "{name}");
        read.series.remove(0).values
    };
    for name in [
        "yfinance_one.csv",
        "stooq.csv",
        "alpha_vantage.csv",
        "binance_spot_klines.csv",
        "cryptodatadownload.csv",
        "tiingo.csv",
        "baostock.csv",
        "pandas.csv",
        "ibkr.csv",
    ] {
        assert_eq!(closes(name), [10.2, 10.4, 10.1], "{name}");
    }
    for name in ["nasdaq.csv", "investing.csv", "european.csv"] {
        assert_eq!(closes(name), [1_010.2, 1_010.4, 1_010.1], "{name}");
    }
}

#[test]
fn a_plain_list_of_numbers_needs_no_header() {
    let values = one("1.5\n2\nNA\n");
    assert_eq!(values[..2], [1.5, 2.0]);
    assert!(values[2].is_nan() && values.len() == 3);
}

#[test]
fn an_empty_line_of_one_column_is_a_missing_value_and_the_last_ones_are_none() {
    let bits = |text: &str| -> Vec<u64> { one(text).iter().map(|v| v.to_bits()).collect() };
    let table = bits("t,y\n1,1\n2,2\n3,\n4,4\n5,5\n6,7\n");
    assert_eq!(bits("y\n1\n2\n\n4\n5\n7\n"), table);
    assert_eq!(bits("y\r\n1\r\n2\r\n\r\n4\r\n5\r\n7\r\n\r\n\r\n"), table);
    assert_eq!(bits("\u{feff}\"y\"\n1\n2\n\n4\n5\n7"), table);
}

#[test]
fn a_missing_first_value_is_no_header() {
    for head in ["NA", "nan", "null"] {
        let values = one(&format!("{head}\n1\n2\n"));
        assert_eq!(values.len(), 3, "{head}");
        assert!(values[0].is_nan());
    }
    let named: Vec<Series> = read("NA\n1\n2\n", Some("NA"), None).unwrap().series;
    assert_eq!(named[0].values, [1.0, 2.0]);
}

#[test]
fn empty_cells_and_na_are_missing_values() {
    let values = one("date,price\n2026-06-01,2\n2026-06-02,\n2026-06-03,NA\n");
    assert_eq!(values[0], 2.0);
    assert!(values[1].is_nan() && values[2].is_nan());
}

#[test]
fn what_cannot_be_read_is_said_with_its_line_and_the_columns_there_are() {
    assert!(said("y\n1\nx\n", None, None).contains("line 3: \"x\""));
    assert!(said("a,b\n1,2\n", None, None).contains("there are a, b"));
    assert!(said("a\n1\n", Some("z"), None).contains("\"z\""));
    assert!(read("a\n", None, None).is_err());
}

#[test]
fn trades_of_two_markets_are_no_series_and_their_sizes_are_one() {
    let mut text = "timestamp,price,size\n".to_owned();
    for n in 0..30_i64 {
        let cents = n * 7 % 5;
        text += &format!(
            "{0},230.0{cents},1\n{0},430.0{cents},900\n",
            1_780_315_200 + n
        );
    }
    let refused = said(&text, None, None);
    assert!(
        refused.starts_with("--id")
            && refused.contains("at 30 times")
            && refused.contains("no column"),
        "{refused}"
    );
    // Sizes lie as far apart as they like.
    assert_eq!(
        read(&text, Some("size"), None).unwrap().series[0]
            .values
            .len(),
        60
    );
    let numbered = text.lines().enumerate().map(|(n, row)| {
        if n == 0 {
            format!("{row},id\n")
        } else {
            format!("{row},{n}\n")
        }
    });
    let numbered: String = numbered.collect();
    assert_eq!(one(&numbered).len(), 60);
}
