//! Numbers and times as text, the same on the server and in the browser: English, UTC, no locale.
//!
//! What it does not do: read anything back.

mod number;
mod time;

/// How far ahead.
pub fn ahead(step: u32) -> String {
    if step == 1 {
        "one step ahead".to_owned()
    } else {
        format!("{step} steps ahead")
    }
}

pub use chart::{format_price as price, price_decimals};
#[cfg(feature = "ssr")]
pub use number::percent;
pub use number::{change, compact, fixed, signed_percent};
pub use time::{bar_time, date, iso};
