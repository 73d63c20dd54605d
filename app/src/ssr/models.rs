//! What the Models page shows, gathered from the registry and the ledger.

use std::collections::{BTreeMap, BTreeSet};

use futures::future::try_join_all;
use market::{Interval, Symbol, Timestamp};
use mlops::{jobs::series_name, training::Round};
use store::{ModelSummary, Verdict, Version, VersionQuery};

use super::{desk::Desk, search::Search, written::Done};
use crate::{
    api::{ApiError, ModelScore, backend::Backend, written::Written},
    fragments::models::{Listed, Model, list, model},
    query::CHAMPION,
};

/// Names on a page of the list.
const LISTED: usize = 50;
/// Versions on a page of a model.
const VERSIONS: usize = 20;
/// Verdicts of a model that are shown.
const VERDICTS: usize = 10;
/// Moves of the champion that are shown.
const MOVES: usize = 50;
/// Moves of the champion that a chart shows.
const DRAWN: usize = 100;

/// The list; with a name in the address that model.
pub async fn page(
    backend: &dyn Backend,
    desk: &dyn Desk,
    search: &Search,
) -> Result<Written, ApiError> {
    match search.get("name") {
        Some(name) => one(backend, desk, name, search).await,
        None => all(backend, desk, search).await,
    }
}

/// Who was champion of a series from a time on, oldest first: the models that versions were fitted as, since a champion
/// that was fitted anew is the same one.
pub async fn champions(
    desk: &dyn Desk,
    symbol: &Symbol,
    interval: Interval,
) -> Result<Vec<(Timestamp, String)>, ApiError> {
    let name = &series_name(symbol, interval);
    let moves = desk
        .champions(name, Timestamp::MIN, Timestamp::MAX, DRAWN)
        .await?;
    let numbers: BTreeSet<u32> = moves.iter().filter_map(|moved| moved.to).collect();
    let references = numbers.into_iter().map(|number| async move {
        let version = desk.version(name, number).await?;
        let reference = version.map(|version| version.reference);
        let reference = reference.unwrap_or_else(|| format!("version {number}"));
        Ok::<_, ApiError>((number, reference))
    });
    let references: BTreeMap<u32, String> = try_join_all(references).await?.into_iter().collect();
    let mut champions: Vec<(Timestamp, String)> = Vec::new();
    for moved in moves {
        let who = moved.to.and_then(|number| references.get(&number));
        let who = who.map_or("naive", String::as_str);
        if champions.last().is_none_or(|(_, last)| last != who) {
            champions.push((moved.change.at, who.to_owned()));
        }
    }
    Ok(champions)
}

/// Whether a series has had a champion.
pub async fn had_champion(
    desk: &dyn Desk,
    symbol: &Symbol,
    interval: Interval,
) -> Result<bool, ApiError> {
    let name = series_name(symbol, interval);
    let last = desk.champions(&name, Timestamp::MIN, Timestamp::MAX, 1);
    Ok(!last.await?.is_empty())
}

/// A verdict with its numbers.
fn read(verdict: Verdict) -> (Verdict, Option<Round>) {
    let round = serde_json::from_value(verdict.verdict.numbers.clone()).ok();
    (verdict, round)
}

/// The live records of the series of a round.
async fn scores(backend: &dyn Backend, round: Option<&Round>) -> Result<Vec<ModelScore>, ApiError> {
    match round {
        Some(round) => {
            backend
                .scoreboard(round.symbol.clone(), round.interval)
                .await
        }
        None => Ok(Vec::new()),
    }
}

/// The version that `champion` points at.
pub(super) async fn champion(
    desk: &dyn Desk,
    summary: &ModelSummary,
) -> Result<Option<Version>, ApiError> {
    match summary.aliases.get(CHAMPION) {
        Some(version) => desk.version(&summary.name, *version).await,
        None => Ok(None),
    }
}

async fn all(backend: &dyn Backend, desk: &dyn Desk, search: &Search) -> Result<Written, ApiError> {
    let (find, after) = (search.get("find"), search.get("after"));
    let mut names = desk.models(find, after, LISTED + 1).await?;
    let more = names.len() > LISTED;
    names.truncate(LISTED);
    let next = names.last().filter(|_| more).map(|last| last.name.clone());
    let rows = names.into_iter().map(|summary| async move {
        let (champion, verdicts) = futures::try_join!(
            champion(desk, &summary),
            desk.verdicts(&summary.name, None, 1)
        )?;
        let verdict = verdicts.into_iter().next().map(read);
        let round = verdict.as_ref().and_then(|(_, round)| round.as_ref());
        let scores = scores(backend, round).await?;
        Ok::<_, ApiError>(Listed {
            summary,
            champion,
            verdict,
            scores,
        })
    });
    let rows = try_join_all(rows).await?;
    let (find, after) = (find.unwrap_or_default(), after.unwrap_or_default());
    Ok(Written {
        title: "Models".to_owned(),
        parts: list(&rows, find, after, next.as_deref()),
    })
}

/// The name with its aliases, where it is known.
pub(super) async fn summary(desk: &dyn Desk, name: &str) -> Result<ModelSummary, ApiError> {
    // Names that hold it: itself comes first among those that begin with it, but others may come before.
    let mut after: Option<String> = None;
    loop {
        let found = desk.models(Some(name), after.as_deref(), 200).await?;
        if let Some(exact) = found.iter().find(|one| one.name == name) {
            return Ok(exact.clone());
        }
        match found.into_iter().next_back() {
            Some(last) => after = Some(last.name),
            None => {
                let name = market::excerpt(name);
                let detail = format!("there is no model {name}");
                return Err(ApiError::not_found(detail).field("name"));
            }
        }
    }
}

async fn one(
    backend: &dyn Backend,
    desk: &dyn Desk,
    name: &str,
    search: &Search,
) -> Result<Written, ApiError> {
    let summary = summary(desk, name).await?;
    let query = VersionQuery {
        name: Some(name.to_owned()),
        before_id: search.parse("before"),
        limit: VERSIONS + 1,
        ..VersionQuery::default()
    };
    let (champion, mut versions, verdicts, moves) = futures::try_join!(
        champion(desk, &summary),
        desk.versions(query),
        desk.verdicts(name, None, VERDICTS),
        desk.champions(name, Timestamp::MIN, Timestamp::MAX, MOVES)
    )?;
    let more = versions.len() > VERSIONS;
    versions.truncate(VERSIONS);
    let verdicts: Vec<_> = verdicts.into_iter().map(read).collect();
    let round = verdicts.iter().find_map(|(_, round)| round.as_ref());
    let scores = scores(backend, round).await?;
    let compared = match (search.parse::<u32>("a"), search.parse::<u32>("b")) {
        (Some(a), Some(b)) => {
            let (a, b) = futures::try_join!(desk.version(name, a), desk.version(name, b))?;
            a.zip(b)
        }
        _ => None,
    };
    let at = match search.get("at") {
        Some(typed) => Some((
            market::excerpt(typed).into_owned(),
            match typed.parse() {
                Ok(at) => Some(desk.champion_at(name, at).await?),
                Err(_) => None,
            },
        )),
        None => None,
    };
    let shown = Model {
        served: desk.served(name),
        champion,
        before: versions.last().filter(|_| more).map(|version| version.id),
        versions,
        verdicts,
        scores,
        moves,
        compared,
        at,
        summary,
    };
    Ok(Written {
        title: format!("{name} · Models"),
        parts: model(&shown, &Done::read(search)),
    })
}
