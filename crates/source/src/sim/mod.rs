//! The simulated exchange, without its HTTP: prices, trades, bars and faults as pure functions of a
//! seed and of time.
//!
//! Everything here is reproducible: the same options give the same trades byte for byte on every
//! machine, whatever was asked for before, so a restarted exchange goes on where it was and serves
//! cursors handed out by its predecessor. (The rate and the speed are among the options: they decide
//! how many trades a second has. The path of the prices depends on the seed alone.)
//!
//! What it does not do: keep a clock or sleep; order books; anything that real companies are in.

mod bars;
mod exchange;
mod faults;
mod feed;
mod listing;
mod noise;
mod path;

pub use exchange::{Market, MarketOptions, SECOND_SHIFT, Trade};
pub use faults::{FaultOptions, Verdict};
pub use feed::{Feed, MAX_PAGE, Page, PageQuery};
pub use listing::{LISTINGS, Listing};

#[cfg(test)]
mod tests;
