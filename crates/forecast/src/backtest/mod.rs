//! Rolling-origin backtests: how a model would have done, had it been live.
//!
//! Model: from each origin a model sees only what was known then (an expanding or sliding window),
//! everything is fitted inside the fold by the same code that serves live (transforms included),
//! and the forecasts of the next steps are scored against what came. The baselines always run
//! beside. Folds run in parallel with the feature `parallel`; results do not depend on it.
//! References: Tashman (2000), Int. J. Forecasting 16(4); Diebold & Mariano (1995); Harvey, Leybourne
//! & Newbold (1997); Holm (1979).
//! A [`Walk`] takes one model through many origins at the price of few fits, as it is served.
//! Does not: read clocks (pass one in [`Control`]) or choose a winner silently: see [`Verdict`].

mod compare;
mod overall;
mod report;
mod run;
mod walk;

pub use compare::{DieboldMariano, diebold_mariano, holm};
pub use overall::overall;
pub use report::{FoldScore, LevelMeasures, Measures, ModelReport, Report, StepMeasures, Verdict};
pub use run::{Backtest, Configured, Control, Forecaster, Window};
pub use walk::{Walk, WalkStep};
