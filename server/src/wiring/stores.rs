//! The store opened for a command: to read, to work on, or with the stages that write over it.

use std::sync::Arc;

use bus::{MemoryBus, MemoryBusOptions};
use pipeline::{Pipeline, SystemClock};
use store::{DatabasePorts, JobStore, PriceReader, StorePorts};

use super::{DRAIN, Training, backbone::OpenStore, from_pipeline, pipeline_config, training};
use crate::{config::Config, error::Result};

/// Opens the store that is configured.
///
/// # Errors
/// In use, not writable, not reachable, of a newer version, damaged.
pub async fn open_store(config: &Config) -> Result<StorePorts> {
    Ok(OpenStore::open(config).await?.ports)
}

/// A store that is only read, and closed after.
pub struct Reading(OpenStore);

impl Reading {
    /// The prices in it.
    ///
    /// # Errors
    /// A store that is for writing only.
    pub fn prices(&self) -> Result<&dyn PriceReader> {
        Ok(&*self.0.database()?.prices)
    }

    /// Closes it.
    ///
    /// # Errors
    /// The store's.
    pub async fn close(self) -> Result<()> {
        self.0.close().await
    }
}

/// Opens the store that is configured, for a command that reads.
///
/// # Errors
/// As [`open_store`].
pub async fn open_for_reading(config: &Config) -> Result<Reading> {
    Ok(Reading(OpenStore::open(config).await?))
}

/// A store that is worked on: for a worker, and commands about jobs.
pub struct Working(OpenStore);

impl Working {
    /// Opens the store that is configured.
    ///
    /// # Errors
    /// As [`open_store`]; a store that is for writing only.
    pub async fn open(config: &Config) -> Result<Self> {
        let store = OpenStore::open(config).await?;
        store.database()?;
        Ok(Self(store))
    }

    /// The jobs in it.
    ///
    /// # Errors
    /// A store that is for writing only.
    pub fn jobs(&self) -> Result<&dyn JobStore> {
        Ok(&*self.database()?.jobs)
    }

    /// A worker on it.
    ///
    /// # Errors
    /// Its threads cannot be started.
    pub fn worker(&self, config: &Config) -> Result<mlops::worker::Worker> {
        let slots = config.training.jobs.max(1);
        training::worker(config, self.database()?, slots)
    }

    /// A worker and the schedule, running.
    ///
    /// # Errors
    /// As [`Training::start`].
    pub fn training(&self, config: &Config) -> Result<Training> {
        Training::start(config, self.database()?)
    }

    /// Closes it.
    ///
    /// # Errors
    /// The store's.
    pub async fn close(self) -> Result<()> {
        self.0.close().await
    }

    fn database(&self) -> Result<&DatabasePorts> {
        self.0.database()
    }
}

/// The stages over the store, without a source, forecasts and a web server: for commands that
/// write.
pub struct Offline {
    /// The stages.
    pub pipeline: Pipeline,
    store: OpenStore,
}

impl Offline {
    /// Opens the store and starts the stages.
    ///
    /// # Errors
    /// The store's.
    pub async fn open(config: &Config) -> Result<Self> {
        let store = OpenStore::open(config).await?;
        let pipeline = Pipeline::start(
            pipeline_config(config),
            Arc::new(MemoryBus::new(MemoryBusOptions::default())),
            store.ports.clone(),
            Vec::new(),
            Arc::new(SystemClock),
        )
        .await
        .map_err(from_pipeline)?;
        Ok(Self { pipeline, store })
    }

    /// Stops and closes.
    ///
    /// # Errors
    /// The store's.
    pub async fn close(self) -> Result<()> {
        self.pipeline.shutdown(DRAIN).await;
        self.store.close().await
    }
}
