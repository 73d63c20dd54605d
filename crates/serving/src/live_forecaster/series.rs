//! What the forecaster remembers of a series, and what it makes next of it.

use std::sync::Arc;

use forecast::ModelRef;
use market::Timestamp;

use crate::{contenders::LiveModel, origin::Origin};

/// What is remembered of a series. Instants are starts of bars.
#[derive(Clone, Debug)]
pub(super) struct SeriesState {
    /// Whether the ledger has been asked for what was forecast before this process.
    pub(super) loaded: bool,
    /// No bar before it waits to be forecast from; `None` when none at all does.
    pub(super) pending: Option<Timestamp>,
    /// The newest bar seen.
    pub(super) latest: Timestamp,
    /// The origin of the last forecast.
    pub(super) made: Option<Timestamp>,
    /// The registry's versions that were tried from there.
    pub(super) tried: Vec<ModelRef>,
    /// The registry's generation when they were chosen.
    pub(super) generation: u64,
    /// Outcomes of bars before it have been scored.
    pub(super) scored_to: Timestamp,
    /// The end of the last bar that a forecast in the ledger is about.
    pub(super) open_until: Timestamp,
}

impl SeriesState {
    pub(super) const NEW: Self = Self {
        loaded: false,
        pending: Some(Timestamp::MIN),
        latest: Timestamp::MIN,
        made: None,
        tried: Vec::new(),
        generation: 0,
        scored_to: Timestamp::MIN,
        open_until: Timestamp::MAX,
    };
}

/// A closed bar, and the models to forecast from it.
pub(super) struct Task {
    pub(super) origin: Arc<Origin>,
    /// Whether nothing was forecast from it before; else a version of the registry has come since.
    pub(super) is_new: bool,
    pub(super) models: Vec<LiveModel>,
    /// The champion that is served.
    pub(super) champion: Option<ModelRef>,
    /// The versions of the registry that have been tried from it after this.
    pub(super) tried: Vec<ModelRef>,
}

impl Task {
    /// Whether this model is among those to forecast by now.
    pub(super) fn makes(&self, name: &ModelRef) -> bool {
        self.models.iter().any(|one| one.name == *name)
    }
}
