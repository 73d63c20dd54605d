//! The pages: each lays components out for one address.

pub mod backtest;
pub mod home;
pub mod not_found;
pub mod symbol;
pub mod written;
