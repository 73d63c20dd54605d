//! MLflow: what a training run has to say goes to a real MLflow server as well, and models can be loaded from
//! there.
//!
//! - [`Record`]: what one run says. [`Update::message`] makes a message for the store's outbox of it, which is
//!   kept in the same transaction as what it tells of.
//! - [`RoundRun`]: the messages of a round of training.
//! - [`Delivery`]: sends the outbox, in order, each message once, for as long as it takes.
//! - [`Client`]: MLflow's REST API: experiments, runs, artefacts through its proxy, versions and aliases.
//!   [`Client::publish`] sends a record so that sending it again changes nothing.
//! - [`ModelUri`]: `models:/NAME@alias` to files whose hashes are right.
//! - [`limits`]: what MLflow takes, and what is done to what it does not.
//!
//! Model: MLflow acknowledges what it drops, and has no unique keys. So everything is found by a tag with our
//! job id, and everything is read back. MLflow being away holds up nobody but the delivery.
//!
//! Does not: decide anything by what MLflow says (its order of NaN is not ours), or take over runs and models
//! that others made.

mod artefacts;
mod client;
mod delivery;
mod error;
pub mod limits;
mod load;
mod publish;
mod record;
mod registry;
mod rounds;
mod runs;
mod wire;

pub use self::{
    client::{Client, Login, MlflowOptions},
    delivery::{Delivery, DeliveryOptions, Passed},
    error::{Again, MlflowError, Result},
    load::{FoundVersion, ModelUri},
    publish::Sent,
    record::{
        AliasMoved, DELIVERED_TAG, JOB_TAG, MODEL_TAG, Metric, NAME_TAG, RECORD_TAG, Record,
        Registered, RunStatus, SHA256_TAG, Update, alias,
    },
    rounds::RoundRun,
};
