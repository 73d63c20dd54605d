//! `/forecast`: the fans that stand in the ledger to any number of readers, and their own requests.
//!
//! Model: whoever has a new fan calls [`ForecastHub::publish`], which serialises it once and puts a reference into
//! the queue of each reader of the series. A reader is a [`ForecastSession`], whatever its transport. A series is
//! in the interest of the process (`pipeline::Interest`) while somebody is subscribed to it.
//!
//! What it does not do: make fans (see [`crate::live_forecaster`]), WebSockets, authentication.

mod hub;
mod session;

pub use hub::ForecastHub;
pub use session::ForecastSession;
pub(crate) use session::QueueBounds;
