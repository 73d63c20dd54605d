//! Ticks and bars as lines of CSV, as `tickcast import` reads them back without loss: numbers are
//! written with as many digits as tell them apart.

use std::io::{self, Write};

use market::{Bar, Tick};

/// The header line of a file of ticks.
pub const TICK_HEADER: &str = "symbol,ts_us,seq,price,size\n";

/// The header line of a file of bars. `trades` is for people: an import keeps bars as bars that came
/// as bars, whatever they were made of.
pub const BAR_HEADER: &str = "symbol,interval,ts_us,open,high,low,close,volume,trades\n";

/// Writes a line.
///
/// # Errors
/// The writer's.
pub fn write_tick(out: &mut impl Write, tick: &Tick) -> io::Result<()> {
    writeln!(
        out,
        "{},{},{},{},{}",
        tick.symbol,
        tick.ts.as_micros(),
        tick.seq,
        tick.price,
        tick.size
    )
}

/// Writes a line.
///
/// # Errors
/// The writer's.
pub fn write_bar(out: &mut impl Write, bar: &Bar) -> io::Result<()> {
    writeln!(
        out,
        "{},{},{},{},{},{},{},{},{}",
        bar.symbol,
        bar.interval,
        bar.start.as_micros(),
        bar.open,
        bar.high,
        bar.low,
        bar.close,
        bar.volume,
        bar.trades
    )
}
