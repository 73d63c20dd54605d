//! A source as the pipeline is given it.

use source::{SourceError, TickSource};

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
