//! What the market says: symbols, trades, bars, and the forecasts that are kept of them.
//!
//! The crate is pure data: no clock, no randomness, no I/O. It compiles to wasm32, so the server and
//! the browser share one definition of a tick, a bar and a forecast.
//!
//! Model: a [`Tick`] is one trade, keyed by (symbol, timestamp, sequence). A [`Bar`] is what a set
//! of ticks amounts to over an [`Interval`]; bars merge, so a late tick corrects the bar it belongs
//! to whatever the order of arrival.
//!
//! What it does not do: exchange calendars and time zones (all times are UTC), currencies,
//! order books.

mod bar;
mod closes;
mod dead_letter;
mod error;
mod excerpt;
mod fan;
mod interval;
#[cfg(feature = "openapi")]
mod openapi;
mod symbol;
mod tick;
mod time;

pub use bar::{AggregationSource, Bar, Coverage, bars_from_ticks};
pub use closes::{MAX_CARRIED_BARS, timed_closes};
pub use dead_letter::{DeadLetter, DeadLetterState, DroppedCount, ReasonCount};
pub use error::{ErrorKind, MarketError, Result};
pub use excerpt::{EXCERPT_CHARS, excerpt};
pub use fan::{Band, Fan};
pub use interval::Interval;
pub use symbol::Symbol;
pub use tick::{
    MAX_NUMBER, Reject, RejectReason, Tick, TickKey, TickRules, check_price, check_size,
};
pub use time::Timestamp;
