//! The registry as forecasting asks it: who is champion of a series, and who its challengers are.

use std::sync::Arc;

use market::{Interval, Symbol};
use serving::{Contender, Contenders};

use super::{RegisteredModel, RegisteredModels};

impl Contenders for RegisteredModels {
    fn generation(&self) -> u64 {
        Self::generation(self)
    }

    fn champion(&self, symbol: &Symbol, interval: Interval) -> Option<Contender> {
        self.champion_of(symbol, interval).map(contender)
    }

    fn challengers(&self, symbol: &Symbol, interval: Interval) -> Vec<Contender> {
        let found = self.challengers_of(symbol, interval);
        found.into_iter().map(contender).collect()
    }
}

fn contender(model: Arc<RegisteredModel>) -> Contender {
    Contender {
        trained_to: model.trained_to(),
        model,
    }
}
