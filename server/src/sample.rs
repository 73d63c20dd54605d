//! The bundled sample data: daily prices of five stocks, 2000 to 2013. Its provenance stands in
//! `data/README.md`.

use std::sync::Arc;

use pipeline::{Clock as _, Import, ImportReport, SystemClock};
use source::file::{FileOptions, PriceFile};

use crate::file_batches;

/// The symbols in it.
pub const SYMBOLS: [&str; 5] = ["AAPL", "FB", "GOOG", "IBM", "MSFT"];

/// The file, gzipped CSV.
static FILE: &[u8] = include_bytes!("../../data/stocks-daily.csv.gz");

/// Imports it, with the prices adjusted for splits and dividends: the unadjusted ones jump at every
/// split, and a forecast of them would be of nothing.
///
/// # Errors
/// The store's.
pub async fn import(import: Import) -> pipeline::Result<ImportReport> {
    let mut options = FileOptions::new(SystemClock.now());
    options.close_column = Some("Adj Close".into());
    let file = PriceFile::from_bytes("stocks-daily.csv.gz", FILE, options)?;
    let batches = file_batches::stream(file, Arc::default(), |_| {});
    import.run(batches, |_| {}).await
}
