//! Any bytes as a file of prices, and as series for a forecast. The fuzz target runs it, and so does an
//! ordinary test, on the seeds.

use market::{Interval, Timestamp};
use source::file::{
    FileOptions, PriceFile,
    input::Input,
    series::{self, SeriesOptions},
    text::TextOptions,
    time::text::Order,
};

const NOW: Timestamp = Timestamp::from_secs(1_800_000_000);

/// Reads `data` behind its first byte, which chooses options.
pub fn check(data: &[u8]) {
    let Some((choice, file)) = data.split_first() else {
        return;
    };
    let has = |bit: u8| choice & (1 << bit) != 0;
    let mut options = FileOptions::new(NOW);
    options.symbol = (!has(0)).then(|| "ACME".parse().ok()).flatten();
    options.interval = has(1).then_some(Interval::M5);
    options.date_order = has(2).then_some(Order::MonthDay);
    options.time_zone = has(3).then(|| "America/New_York".into());
    options.decimal = has(4).then_some(b',');
    options.text = TextOptions {
        no_header: has(5),
        skip_rows: usize::from(has(6)),
        ..TextOptions::default()
    };
    options.batch_rows = if has(7) { 1 } else { 1_000 };
    let Ok(input) = Input::spool(file) else {
        return;
    };
    if let Ok(prices) = PriceFile::of(input, options.clone()) {
        let _ = prices.facts();
        let rules = options.rules.clone();
        let mut rows = 0;
        let read = prices.for_each(
            |_| {},
            |batch| {
                for tick in &batch.ticks {
                    assert_eq!(rules.check(tick, NOW), Ok(()), "{tick:?}");
                }
                for bar in &batch.bars {
                    assert_eq!(bar.check(), Ok(()), "{bar:?}");
                    assert_eq!(bar.interval.start_of(bar.start), bar.start, "{bar:?}");
                }
                rows += batch.rows();
                Ok(())
            },
        );
        // A line has a row for each symbol at most, and no more symbols than it has bytes. Columns may hold
        // a value once for many rows.
        let most = file
            .len()
            .saturating_mul(prices.layout().groups.len().max(1));
        let is_text = prices.origin().starts_with("csv:");
        assert!(
            read.is_err() || !is_text || rows <= most + 1,
            "{rows} rows of {most}"
        );
    }
    let wishes = SeriesOptions {
        column: None,
        id: None,
        reading: options,
    };
    if let Ok(input) = Input::spool(file)
        && let Ok(read) = series::read(input, &wishes)
    {
        for one in &read.series {
            if let Some(times) = &one.times {
                assert_eq!(times.len(), one.values.len());
                assert!(times.is_sorted());
            }
        }
    }
}
