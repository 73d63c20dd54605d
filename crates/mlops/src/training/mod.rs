//! A round of training: from closes to a verdict, and to the files of what is served after it.
//!
//! Model: a [`Trainer`] takes the closes of one symbol up to a time (`as_of`), refuses them with reasons when they are
//! not fit to learn from ([`DataFault`]), and walks naive, the champion and every candidate through the same held-out
//! origins ([`forecast::backtest::Walk`]), each as it would have been served: fitted to what was known, calibrated by
//! past outcomes, updated from close to close. The [gate](crate::gate) judges. Who wins is fitted to all closes and
//! becomes [`ArtefactFile`]s with their hashes; a champion that stays is fitted anew, as it is the same model.
//!
//! Held-out origins of a budget's year begin where its first round began and are only added to; fits lie at every
//! `refit_every`-th of them. So a loss that was shown once is the same in every later round, and nothing that comes
//! later changes an earlier verdict. A model that was trained before ([`forecast::Training::Before`]) is judged only
//! where all origins lie behind what it was trained on.
//!
//! What it does not do: read a store or a clock, keep anything, choose a model without the gate.

mod check;
mod days;
mod error;
mod evaluate;
mod judging;
mod outcome;
mod recipe;
mod round;
mod series;

pub use check::{CheckRules, DataFault, check};
pub use days::TradingDays;
pub use error::{TrainingError, in_words};
pub use evaluate::{ModelMeasures, Role};
pub use outcome::{
    Action, ArtefactFile, LeftOut, Lineage, MANIFEST_FILE, Manifest, Outcome, Round, STATE_FILE,
    Trained,
};
pub use recipe::{JudgedBy, Layout, Recipe};
pub use round::{Champion, Standing, Task, Trainer};
pub use series::Series;
