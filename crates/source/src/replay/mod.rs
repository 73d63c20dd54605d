//! Plays a file of prices as a live source: [`FileReplay`].
//!
//! What is read and how stands in [`crate::file`]. What it does not do: keep where it stands across
//! restarts.

mod ordered;
mod play;
mod sort;

pub use play::{FileReplay, ReplayOptions, ReplayTimes, Speed};

#[cfg(test)]
mod tests;
