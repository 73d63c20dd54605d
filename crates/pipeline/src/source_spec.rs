//! A source as the pipeline is given it, and how it stands.

use market::Timestamp;
use serde::Serialize;
use source::{SourceError, TickSource};

/// How a source stands.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "state", rename_all = "snake_case")]
pub enum SourceState {
    /// It has not handed anything over yet.
    Starting,
    /// It hands rows over.
    Running,
    /// It failed, or its provider does; it is tried again after a wait.
    Waiting {
        /// What it said.
        error: String,
        /// How long the wait is.
        retry_ms: u64,
    },
    /// It has come to its end.
    Finished,
    /// It failed in a way that trying again does not mend.
    Failed {
        /// What it said.
        error: String,
    },
    /// The pipeline has stopped it.
    Stopped,
}

/// A source and how it stands.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct SourceStatus {
    /// Its name.
    pub name: String,
    /// How it stands.
    #[serde(flatten)]
    pub state: SourceState,
    /// Rows that it has handed over, good and bad.
    pub rows: u64,
    /// Rows of it that could not be used.
    pub rejected: u64,
    /// The newest timestamp that it has handed over.
    #[serde(rename = "newest_us")]
    pub newest: Option<Timestamp>,
    /// How often it went on past something that rows may be missing because of.
    pub warnings: u64,
    /// The last of them, in words.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub warning: Option<String>,
}

/// Builds a source, anew for each start.
pub type BuildSource =
    Box<dyn Fn() -> std::result::Result<Box<dyn TickSource>, SourceError> + Send + Sync>;

/// A source to run: its name, and how to build it.
pub struct SourceSpec {
    /// Its name.
    pub name: String,
    /// Builds it, anew for each start.
    pub build: BuildSource,
}

impl std::fmt::Debug for SourceSpec {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SourceSpec")
            .field("name", &self.name)
            .finish_non_exhaustive()
    }
}

impl SourceSpec {
    /// A source that can be started any number of times.
    pub fn new(
        name: impl Into<String>,
        build: impl Fn() -> std::result::Result<Box<dyn TickSource>, SourceError>
        + Send
        + Sync
        + 'static,
    ) -> Self {
        Self {
            name: name.into(),
            build: Box::new(build),
        }
    }

    /// A source that can be started once: it is not started again when it fails.
    pub fn once(source: Box<dyn TickSource>) -> Self {
        let name = source.name();
        let slot = std::sync::Mutex::new(Some(source));
        let detail = name.to_string();
        Self::new(name.to_string(), move || {
            slot.lock()
                .unwrap_or_else(std::sync::PoisonError::into_inner)
                .take()
                .ok_or_else(|| SourceError::Config {
                    key: detail.clone(),
                    expected: "this source can be started only once".into(),
                })
        })
    }
}
