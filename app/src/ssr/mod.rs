//! What the server alone needs: what the pages of the loop ask of it, what they gather, what their forms do.

pub(crate) mod acts;
pub mod desk;
pub(crate) mod drift;
pub(crate) mod models;
mod scoreboard;
pub(crate) mod search;
mod training;
pub(crate) mod written;
