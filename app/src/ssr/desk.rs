//! What the pages of the training loop ask of the server: one trait, implemented in `server`, given to them through the
//! Leptos context as `Arc<dyn Desk>`.
//!
//! Model: records are those of the store and of the loop, as the API of HTTP has them too. What changes something asks
//! for the role of who asks, and is written down.
//!
//! What it does not do: know HTTP or the pages.

use std::time::Duration;

use async_trait::async_trait;
use market::{Interval, Symbol, Timestamp};
use mlops::{calendar::Calendars, schedule::Schedule};
use store::{AliasChange, Job, JobLine, JobQuery, ModelSummary, Verdict, Version, VersionQuery};

use crate::api::ApiError;

pub use crate::query::CHAMPION;

/// How the loop is configured.
#[derive(Clone, Debug)]
pub struct LoopFacts {
    /// When trainings begin by themselves.
    pub schedule: Option<Schedule>,
    /// The calendars that schedules go by.
    pub calendars: Calendars,
    /// What is trained; none stands for every symbol.
    pub symbols: Vec<Symbol>,
    /// The bars that are trained on.
    pub interval: Interval,
    /// Whether this process does jobs itself.
    pub works: bool,
    /// How long a job stays with a worker that is not heard of.
    pub lease: Duration,
}

/// The training loop, as the pages see it.
#[async_trait]
pub trait Desk: Send + Sync + 'static {
    /// How the loop is configured.
    fn facts(&self) -> LoopFacts;

    /// The time.
    fn now(&self) -> Timestamp;

    /// The version that this process serves as the champion of a name; `None` without one, an error where it
    /// cannot be served.
    fn served(&self, name: &str) -> Result<Option<Version>, String>;

    /// Names after `after` that hold `find`, in their order.
    async fn models(
        &self,
        find: Option<&str>,
        after: Option<&str>,
        limit: usize,
    ) -> Result<Vec<ModelSummary>, ApiError>;

    /// Versions, the newest first.
    async fn versions(&self, query: VersionQuery) -> Result<Vec<Version>, ApiError>;

    /// A version.
    async fn version(&self, name: &str, version: u32) -> Result<Option<Version>, ApiError>;

    /// What the gate said of a name, the newest first.
    async fn verdicts(
        &self,
        name: &str,
        before: Option<i64>,
        limit: usize,
    ) -> Result<Vec<Verdict>, ApiError>;

    /// The latest moves of `champion` in [from, until), oldest first.
    async fn champions(
        &self,
        name: &str,
        from: Timestamp,
        until: Timestamp,
        limit: usize,
    ) -> Result<Vec<AliasChange>, ApiError>;

    /// The champion at a time.
    async fn champion_at(&self, name: &str, at: Timestamp) -> Result<Option<u32>, ApiError>;

    /// Jobs, the newest first.
    async fn jobs(&self, query: JobQuery) -> Result<Vec<Job>, ApiError>;

    /// A job.
    async fn job(&self, id: i64) -> Result<Option<Job>, ApiError>;

    /// Lines of its log with numbers above `after`.
    async fn job_log(&self, id: i64, after: u64, limit: usize) -> Result<Vec<JobLine>, ApiError>;

    /// Lets `champion` point at a version, or at none, if it points at `expected`. The version is loaded first, its
    /// files held to their hashes.
    async fn move_champion(
        &self,
        name: &str,
        version: Option<u32>,
        expected: Option<u32>,
        why: &str,
    ) -> Result<(), ApiError>;

    /// Puts a version away, or takes it back.
    async fn archive(
        &self,
        name: &str,
        version: u32,
        archived: bool,
        why: &str,
    ) -> Result<(), ApiError>;

    /// Submits a training of each symbol; the numbers of the jobs.
    async fn train(&self, symbols: &[Symbol], interval: Interval) -> Result<Vec<i64>, ApiError>;

    /// Asks for a job's end.
    async fn cancel(&self, id: i64) -> Result<(), ApiError>;
}
