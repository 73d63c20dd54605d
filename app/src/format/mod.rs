//! Numbers and times as text, the same on the server and in the browser: English, UTC, no locale.
//!
//! What it does not do: read anything back.

mod number;
mod time;

pub use chart::format_price as price;
pub use number::{change, compact, error_size, fixed, percent, signed_percent};
pub use time::{bar_time, iso};
