//! Pages of the training loop as HTML, written on the server: their code and their drawings are no part of the first
//! download, and the browser puts in what has changed ([`crate::pages::written`]).
//!
//! What it does not do: fetch anything (see [`crate::ssr`]).

pub mod models;
pub mod scoreboard;
pub mod training;

mod live;
mod parts;
