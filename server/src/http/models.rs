//! The model registry over HTTP: names, versions, aliases with their history, verdicts; promotion, roll-back
//! and archiving by hand.
//!
//! Model: what is done by hand is [`crate::by_hand`]'s, the same as for the pages.
//!
//! What it does not do: judge. What the gate said is read here.

use axum::{
    Extension, Json,
    extract::{Path, State, rejection::BytesRejection},
    http::HeaderMap,
};
use bytes::Bytes;
use market::{ErrorKind, Timestamp, excerpt};
use pipeline::{Clock as _, SystemClock};
use serde::{Deserialize, Serialize};
use store::{AliasChange, ModelSummary, Verdict, Version, VersionQuery};
use utoipa::ToSchema;

use super::{
    AppState,
    guard::Grant,
    json_body,
    problem::{Problem, Result},
    query::{Parameters, Raw},
};
use crate::by_hand;

/// `GET /api/models?find=&after=&limit=`: names with their aliases, in their order.
#[utoipa::path(
    get,
    path = "/api/models",
    summary = "List models",
    tag = "models",
    params(
        ("find" = Option<String>, Query, description = "Names that hold this text"),
        ("after" = Option<String>, Query, description = "Names behind this one"),
        ("limit" = Option<u32>, Query, description = "At most so many; 100 when absent", minimum = 1, maximum = 1000),
    ),
    responses((status = 200, description = "Names with their aliases, in their order", body = Vec<ModelSummary>), Problem),
)]
pub async fn list(State(state): State<AppState>, raw: Raw) -> Result<Json<Vec<ModelSummary>>> {
    let mut parameters = Parameters::of(raw)?;
    let find: Option<String> = parameters.read("find", "a text")?;
    let after: Option<String> = parameters.read("after", "a model's name")?;
    let limit = parameters.limit()?;
    parameters.end()?;
    let registry = &state.database.registry;
    let found = registry
        .models(find.as_deref(), after.as_deref(), limit)
        .await?;
    Ok(Json(found))
}

/// `GET /api/models/{name}/versions?find=&alias=&archived=&before=&limit=`: the newest first.
#[utoipa::path(
    get,
    path = "/api/models/{name}/versions",
    summary = "List versions",
    tag = "models",
    params(
        ("name" = String, Path, description = "The name of a model"),
        ("find" = Option<String>, Query, description = "Whose reference or note holds this text"),
        ("alias" = Option<String>, Query, description = "That this alias points at"),
        ("archived" = Option<bool>, Query, description = "Only those that are archived, or are not"),
        ("before" = Option<i64>, Query, description = "Ids below this one"),
        ("limit" = Option<u32>, Query, description = "At most so many; 100 when absent", minimum = 1, maximum = 1000),
    ),
    responses((status = 200, description = "The newest first", body = Vec<Version>), Problem),
)]
pub async fn versions(
    State(state): State<AppState>,
    Path(name): Path<String>,
    raw: Raw,
) -> Result<Json<Vec<Version>>> {
    let mut parameters = Parameters::of(raw)?;
    let query = VersionQuery {
        contains: parameters.read("find", "a text")?,
        alias: parameters.read("alias", "an alias")?,
        archived: parameters.read("archived", "true or false")?,
        before_id: parameters.read("before", "the id of a version")?,
        limit: parameters.limit()?,
        name: Some(name),
    };
    parameters.end()?;
    Ok(Json(state.database.registry.versions(&query).await?))
}

/// `GET /api/models/{name}/versions/{version}`.
#[utoipa::path(
    get,
    path = "/api/models/{name}/versions/{version}",
    summary = "Show a version",
    tag = "models",
    params(
        ("name" = String, Path, description = "The name of a model"),
        ("version" = u32, Path, description = "The number of a version"),
    ),
    responses((status = 200, description = "The version", body = Version), Problem),
)]
pub async fn version(
    State(state): State<AppState>,
    Path((name, version)): Path<(String, String)>,
) -> Result<Json<Version>> {
    let found = by_hand::find(&state.database, &name, number(&version)?);
    Ok(Json(found.await?))
}

/// `GET /api/models/{name}/verdicts?before=&limit=`: what the gate said, the newest first.
#[utoipa::path(
    get,
    path = "/api/models/{name}/verdicts",
    summary = "What the gate said",
    tag = "models",
    params(
        ("name" = String, Path, description = "The name of a model"),
        ("before" = Option<i64>, Query, description = "Ids below this one"),
        ("limit" = Option<u32>, Query, description = "At most so many; 100 when absent", minimum = 1, maximum = 1000),
    ),
    responses((status = 200, description = "What the gate said, the newest first", body = Vec<Verdict>), Problem),
)]
pub async fn verdicts(
    State(state): State<AppState>,
    Path(name): Path<String>,
    raw: Raw,
) -> Result<Json<Vec<Verdict>>> {
    let mut parameters = Parameters::of(raw)?;
    let before = parameters.read("before", "the id of a verdict")?;
    let limit = parameters.limit()?;
    parameters.end()?;
    let found = state
        .database
        .registry
        .verdicts(Some(&name), before, limit)
        .await?;
    Ok(Json(found))
}

/// Who an alias stood for.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = AliasHistory)]
pub struct History {
    /// The version at the time that was asked about: now, if none was.
    version: Option<u32>,
    /// Its moves, oldest first.
    moves: Vec<AliasChange>,
}

/// `GET /api/models/{name}/aliases/{alias}?at=&from=&until=&limit=`: where it points, or pointed at a time.
#[utoipa::path(
    get,
    path = "/api/models/{name}/aliases/{alias}",
    summary = "Where an alias points, and pointed",
    tag = "models",
    params(
        ("name" = String, Path, description = "The name of a model"),
        ("alias" = String, Path, description = "An alias, such as champion"),
        ("at" = Option<String>, Query, description = "The time that is asked about; now when absent, such as 2026-11-27T21:20:00Z"),
        ("from" = Option<String>, Query, description = "Moves from then on, such as 2026-11-27T21:20:00Z"),
        ("until" = Option<String>, Query, description = "Moves before then, such as 2026-11-27T21:20:00Z"),
        ("limit" = Option<u32>, Query, description = "At most so many; 100 when absent", minimum = 1, maximum = 1000),
    ),
    responses((status = 200, description = "Where the alias points, or pointed, and its moves", body = History), Problem),
)]
pub async fn history(
    State(state): State<AppState>,
    Path((name, alias)): Path<(String, String)>,
    raw: Raw,
) -> Result<Json<History>> {
    let time = "a time such as 2026-11-27T21:20:00Z";
    let mut parameters = Parameters::of(raw)?;
    let at: Option<Timestamp> = parameters.read("at", time)?;
    let from = parameters.read("from", time)?.unwrap_or(Timestamp::MIN);
    let until = parameters.read("until", time)?.unwrap_or(Timestamp::MAX);
    let limit = parameters.limit()?;
    parameters.end()?;
    let at = at.unwrap_or_else(|| SystemClock.now());
    History::read(&state, &name, &alias, at, (from, until, limit)).await
}

impl History {
    /// Where an alias pointed at a time, and so many of its moves in [from, until).
    async fn read(
        state: &AppState,
        name: &str,
        alias: &str,
        at: Timestamp,
        (from, until, limit): (Timestamp, Timestamp, usize),
    ) -> Result<Json<Self>> {
        let registry = &state.database.registry;
        let moves = registry.alias_history(name, alias, from, until, limit);
        Ok(Json(Self {
            version: registry.alias_at(name, alias, at).await?,
            moves: moves.await?,
        }))
    }
}

/// Where an alias shall point.
#[derive(Debug, Deserialize, ToSchema)]
#[schema(as = AliasMoveRequest)]
#[serde(deny_unknown_fields)]
pub struct Move {
    /// The version; null takes the alias away, so that naive is served.
    version: Option<u32>,
    /// The version that it points at now, as the caller saw it; left out, it does not matter.
    #[serde(default, deserialize_with = "present")]
    #[schema(value_type = Option<u32>)]
    expected: Option<Option<u32>>,
    /// Why.
    why: String,
}

/// Tells a null from a field that is left out.
fn present<'de, D: serde::Deserializer<'de>>(
    value: D,
) -> std::result::Result<Option<Option<u32>>, D::Error> {
    Deserialize::deserialize(value).map(Some)
}

/// `POST /api/models/{name}/aliases/{alias}`: promotes, rolls back, or takes the alias away.
#[utoipa::path(
    post,
    path = "/api/models/{name}/aliases/{alias}",
    summary = "Promote, roll back, or take an alias away",
    tag = "models",
    params(
        ("name" = String, Path, description = "The name of a model"),
        ("alias" = String, Path, description = "An alias, such as champion"),
    ),
    request_body(content = Move),
    responses((status = 200, description = "Where the alias points now", body = History), Problem),
)]
pub async fn move_alias(
    State(state): State<AppState>,
    Extension(grant): Extension<Grant>,
    Path((name, alias)): Path<(String, String)>,
    headers: HeaderMap,
    body: std::result::Result<Bytes, BytesRejection>,
) -> Result<Json<History>> {
    let asked: Move = json_body::read(&headers, body, expected)?;
    state
        .desk
        .by_hand(&grant)
        .move_alias(&name, &alias, asked.version, asked.expected, &asked.why)
        .await?;
    let last = (Timestamp::MIN, Timestamp::MAX, 1);
    History::read(&state, &name, &alias, SystemClock.now(), last).await
}

/// Whether a version is put away.
#[derive(Debug, Deserialize, ToSchema)]
#[schema(as = ArchiveRequest)]
#[serde(deny_unknown_fields)]
pub struct Archiving {
    archived: bool,
    #[serde(default)]
    why: String,
}

/// `POST /api/models/{name}/versions/{version}/archive`: puts a version away, or takes it back.
#[utoipa::path(
    post,
    path = "/api/models/{name}/versions/{version}/archive",
    summary = "Archive a version, or take it back",
    tag = "models",
    params(
        ("name" = String, Path, description = "The name of a model"),
        ("version" = u32, Path, description = "The number of a version"),
    ),
    request_body(content = Archiving),
    responses((status = 200, description = "The version", body = Version), Problem),
)]
pub async fn archive(
    State(state): State<AppState>,
    Extension(grant): Extension<Grant>,
    Path((name, version)): Path<(String, String)>,
    headers: HeaderMap,
    body: std::result::Result<Bytes, BytesRejection>,
) -> Result<Json<Version>> {
    let asked: Archiving = json_body::read(&headers, body, expected)?;
    let version = number(&version)?;
    let done = state
        .desk
        .by_hand(&grant)
        .archive(&name, version, asked.archived, &asked.why)
        .await?;
    Ok(Json(done))
}

/// What belongs into a field.
fn expected(field: &str) -> Option<&'static str> {
    Some(match field {
        "version" => "the number of a version, or null",
        "expected" => "the number of the version that the alias points at, or null for none",
        "why" => "the reason, in words",
        "archived" => "true or false",
        _ => return None,
    })
}

fn number(version: &str) -> Result<u32> {
    version.parse().map_err(|_| {
        let detail = format!("{:?} is no number of a version", excerpt(version));
        Problem::new(ErrorKind::Invalid, detail).field("version")
    })
}
