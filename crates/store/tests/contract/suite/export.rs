//! Export through the ports: any side gives the same file.

use std::{fs, path::Path};

use market::{ErrorKind, Interval, Symbol, Tick, Timestamp};
use store::export::{ExportOptions, Format, Kind, export};

use super::{Database, START, StoreUnderTest, bar, symbol, tick};

fn options(output: &Path, kind: Kind, symbols: &[&str]) -> ExportOptions {
    ExportOptions {
        symbols: symbols
            .iter()
            .map(|name| symbol(name))
            .collect::<Vec<Symbol>>(),
        every_symbol: false,
        kind,
        from: Timestamp::MIN,
        until: Timestamp::MAX,
        format: Format::Csv,
        output: output.to_owned(),
        segment_rows: 1_000,
    }
}

async fn lines_of(store: &dyn Database, options: &ExportOptions) -> Vec<String> {
    export(store, options, |_| {}).await.unwrap();
    let text = fs::read_to_string(&options.output).unwrap();
    fs::remove_file(&options.output).unwrap();
    text.lines().map(str::to_owned).collect()
}

/// Ticks of years, of one second and of one microsecond.
fn uneven(name: &str) -> Vec<Tick> {
    let year_ms = 365 * 86_400_000;
    let mut ticks: Vec<Tick> = (0..5)
        .map(|i| tick(name, (i - 9) * year_ms, 1, 5.5, 1.0))
        .collect();
    ticks.extend((0..2_500).map(|i| tick(name, i, 1, 100.125, 2.0)));
    ticks.extend((0..800).map(|seq| tick(name, 90_000, seq, 101.0, 0.0)));
    ticks
}

pub async fn an_export_has_every_tick_once_from_the_oldest_to_the_newest(
    side: &dyn StoreUnderTest,
) {
    let mut place = side.place(super::PLENTY).await;
    let store = place.open().await;
    let ticks = uneven("ABC");
    for chunk in ticks.chunks(700).rev() {
        store.append(chunk.to_vec()).await.unwrap();
    }
    store
        .append(vec![tick("B.C", 0, 7, 0.1, 3.0)])
        .await
        .unwrap();
    let dir = tempfile::tempdir().unwrap();
    let output = dir.path().join("ticks.csv");
    let options = options(&output, Kind::Ticks, &["ABC", "B.C"]);
    let lines = lines_of(&*store, &options).await;
    assert_eq!(lines[0], "symbol,ts_us,seq,price,size");
    let expected: Vec<String> = ticks
        .iter()
        .map(|t| format!("ABC,{},{},{},{}", t.ts.as_micros(), t.seq, t.price, t.size))
        .collect();
    assert_eq!(lines[1..=ticks.len()], expected);
    let last = format!("B.C,{},7,0.1,3", START.as_micros());
    assert_eq!(lines[ticks.len() + 1..], [last]);
    assert_eq!(
        fs::read_dir(dir.path()).unwrap().count(),
        0,
        "nothing is left beside it"
    );
}

pub async fn an_export_of_a_range_is_half_open_and_of_bars_of_one_interval(
    side: &dyn StoreUnderTest,
) {
    let mut place = side.place(super::PLENTY).await;
    let store = place.open().await;
    let bars: Vec<_> = (0..30).map(|n| bar("ABC", Interval::D1, n, 10.0)).collect();
    store.put_bars(bars.clone()).await.unwrap();
    store
        .put_bars(vec![bar("ABC", Interval::M1, 3, 9.0)])
        .await
        .unwrap();
    let dir = tempfile::tempdir().unwrap();
    let output = dir.path().join("bars.csv");
    let mut options = options(&output, Kind::Bars(Interval::D1), &["ABC"]);
    (options.from, options.until) = (bars[5].start, bars[25].start);
    let lines = lines_of(&*store, &options).await;
    assert_eq!(lines.len(), 21);
    let first = format!("ABC,1d,{},9.75,11,9,10,1000.5,0", bars[5].start.as_micros());
    assert_eq!(lines[1], first);
}

pub async fn an_export_that_was_cut_off_goes_on_where_it_stopped(side: &dyn StoreUnderTest) {
    let mut place = side.place(super::PLENTY).await;
    let store = place.open().await;
    let ticks = uneven("ABC");
    store.append(ticks.clone()).await.unwrap();
    store.append(uneven("XYZ")).await.unwrap();
    let dir = tempfile::tempdir().unwrap();
    let whole = options(&dir.path().join("whole.csv"), Kind::Ticks, &["ABC", "XYZ"]);
    let expected = lines_of(&*store, &whole).await;
    for format in [Format::Csv, Format::Parquet] {
        let output = dir.path().join("cut");
        let options = ExportOptions {
            format,
            ..options(&output, Kind::Ticks, &["ABC", "XYZ"])
        };
        // Each run is dropped a few pages later than the one before, as when the process is killed.
        let mut runs = 0;
        let done = loop {
            runs += 1;
            let mut pages = 0;
            let (cut, is_cut) = tokio::sync::oneshot::channel();
            let mut cut = Some(cut);
            let run = export(&*store, &options, |_| {
                pages += 1;
                if pages >= runs
                    && let Some(cut) = cut.take()
                {
                    let _ = cut.send(());
                }
            });
            tokio::select! {
                biased;
                _ = is_cut => {}
                done = run => match done {
                    Ok(done) => break done,
                    // The one before still writes its last segment: the folder is its own until then.
                    Err(e) if e.kind() == ErrorKind::Conflict => {
                        runs -= 1;
                        tokio::time::sleep(std::time::Duration::from_millis(5)).await;
                    }
                    Err(e) => panic!("{e}"),
                },
            }
            assert!(!output.exists(), "it has its name only when it is whole");
        };
        assert!(runs > 2 && done.resumed_rows > 0, "{runs} runs, {done:?}");
        assert_eq!(done.rows as usize, expected.len() - 1);
        if format == Format::Csv {
            let text = fs::read_to_string(&output).unwrap();
            assert_eq!(text.lines().collect::<Vec<_>>(), expected);
        }
        fs::remove_file(&output).unwrap();
    }
}

pub async fn an_export_of_other_rows_does_not_go_on_with_what_was_begun(side: &dyn StoreUnderTest) {
    let mut place = side.place(super::PLENTY).await;
    let store = place.open().await;
    store.append(uneven("ABC")).await.unwrap();
    let dir = tempfile::tempdir().unwrap();
    let output = dir.path().join("ticks.csv");
    let mut options = options(&output, Kind::Ticks, &["ABC"]);
    // Begun, and something that stands where the file would be keeps it from its end.
    fs::create_dir_all(dir.path().join("ticks.csv.part/joined")).unwrap();
    assert!(export(&*store, &options, |_| {}).await.is_err());
    options.from = START;
    let other = export(&*store, &options, |_| {}).await.unwrap_err();
    assert_eq!(other.kind(), ErrorKind::Invalid, "{other}");
    options.from = Timestamp::MIN;
    fs::remove_dir(dir.path().join("ticks.csv.part/joined")).unwrap();
    let done = export(&*store, &options, |_| {}).await.unwrap();
    assert_eq!(done.resumed_rows, done.rows);
    let again = export(&*store, &options, |_| {}).await.unwrap_err();
    assert_eq!(again.kind(), ErrorKind::Conflict, "{again}");
}
