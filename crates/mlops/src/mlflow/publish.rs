//! A record sent as a whole, from the experiment to the aliases, so that sending it again changes nothing.

use store::Artefacts;

use super::{
    client::Client,
    error::Result,
    record::{DELIVERED_TAG, Record, Update},
    runs::Content,
};

/// What a record has become in MLflow.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sent {
    /// The run.
    pub run_id: String,
    /// The version that was registered; None without one, and when it had been sent as a whole before.
    pub version: Option<String>,
    /// Whether it had been sent as a whole before: then nothing was changed, nor were aliases, which may point
    /// at later versions by now.
    pub before: bool,
}

impl Client {
    /// Sends a record, or what is missing of it: the run is found by its job id, and each value, artefact,
    /// version and alias is read back. Only then the run is marked as sent.
    ///
    /// # Errors
    /// What went wrong first; [`super::MlflowError::again`] says whether to try again. What was sent stays.
    pub async fn publish(&self, record: &Record, contents: &dyn Artefacts) -> Result<Sent> {
        record.check()?;
        let experiment_id = self.experiment(&record.experiment).await?;
        let run = self.run_of(&experiment_id, record).await?;
        let run_id = run.info.run_id.clone();
        if run.tag(DELIVERED_TAG).is_some() {
            return Ok(Sent {
                run_id,
                version: None,
                before: true,
            });
        }
        self.fill(&run, &Content::of(record)).await?;
        self.upload(&run, &record.artefacts, contents).await?;
        let version = match &record.registered {
            Some(registered) => Some(self.register(&run, record, registered).await?.version),
            None => None,
        };
        self.finish(&run, record).await?;
        Ok(Sent {
            run_id,
            version,
            before: false,
        })
    }

    /// Sends what a message of the outbox says.
    ///
    /// # Errors
    /// As [`Client::publish`].
    pub async fn apply(&self, update: &Update, contents: &dyn Artefacts) -> Result<()> {
        match update {
            Update::Run(record) => self.publish(record, contents).await.map(drop),
            Update::Alias(moved) => self.move_alias(moved).await,
        }
    }
}
