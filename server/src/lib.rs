//! The server: command line, configuration, wiring, HTTP, WebSockets and server-side rendering. It
//! is a library so that tests can drive it; the binary `tickcast` is a few lines above it.
//!
//! Model: [`wiring`] is the one place that names concrete adapters (SQLite, the in-process bus, the
//! sources); everything else holds ports.

pub mod access;
pub mod backend;
mod by_hand;
mod champion_record;
pub mod cli;
pub mod commands;
pub mod config;
pub mod desk;
pub mod error;
mod file_batches;
pub mod file_size;
pub mod http;
pub mod sample;
pub mod simulate;
mod simulated_history;
pub mod terminal;
pub mod wiring;
