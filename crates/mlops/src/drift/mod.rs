//! Whether what is served has drifted: its errors have grown, or its inputs are not those it was trained on.
//!
//! Model: errors by Page–Hinkley ([`PageHinkley`]), inputs by the population stability index ([`InputProfile`]).
//! Neither has a threshold of its own: a person says "one false alarm in N days", and a [`Calibration`] finds by
//! bootstrap from the reference what the statistic does when nothing has changed. It gives every statistic as a
//! rate of false alarms a day, so that both detectors and all symbols can be put beside each other: [`alarms()`]
//! corrects over them by Benjamini & Hochberg, and the N days are those of the whole board, not of each symbol.
//!
//! What it does not do: say why something drifted, or retrain.

mod alarms;
mod calibration;
mod page_hinkley;
mod psi;
pub mod watch;

pub use alarms::{Alarm, Kind, Reading, alarms, benjamini_hochberg};
pub use calibration::{Calibration, Calibrator};
pub use page_hinkley::{Direction, PageHinkley, PageHinkleyConfig};
pub use psi::InputProfile;
pub use watch::WatchOptions;

use crate::Error;

fn fault(detail: impl Into<String>) -> Error {
    Error::Drift {
        detail: detail.into(),
    }
}
