//! The forecast ledger, outcomes and the scoreboard.
//!
//! Model: a forecast's document never changes but for `scored_steps` and `due_us`, which say how far
//! it is scored and when the next step can be. An outcome is a document of its own and never
//! changes; it is written before its forecast is moved on, so a crash in between is mended by
//! scoring again. Each outcome carries its errors and the text `group`, made of all that the
//! scoreboard tells apart and of which bands held, so that the server only counts and sums.

use std::collections::HashMap;

use futures::{StreamExt as _, TryStreamExt, stream};
use market::{Band, Fan, Interval, Symbol, Timestamp};
use mongodb::bson::{Document, doc};
use serde::{Deserialize, Serialize};

use super::{Inner, documents::number, fault, keys, limit_of, schema::duplicates};
use crate::{
    LedgerQuery, LedgerRow, OpenForecast, Recorded, Result, StepOutcome, StoreError, check,
};

/// `due_us` of a forecast that is scored to its end: later than every time.
const NEVER: i64 = i64::MAX;
/// Series that are asked for at the same time.
const AT_ONCE: usize = 8;
/// `_id`s that one question names at most.
const IDS_ASKED: usize = 1_000;

/// A forecast, in `stock_data_forecasts`. The bands' bounds lie one band after the other.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct ForecastDocument {
    #[serde(rename = "_id")]
    id: String,
    number: i64,
    symbol: Symbol,
    interval: Interval,
    model: String,
    origin_us: Timestamp,
    origin_close: f64,
    made_at_us: Timestamp,
    targets_us: Vec<Timestamp>,
    mean: Vec<f64>,
    levels: Vec<f64>,
    lower: Vec<f64>,
    upper: Vec<f64>,
    scored_steps: i64,
    due_us: i64,
}

impl ForecastDocument {
    fn new(fan: Fan, id: String, number: i64) -> Self {
        Self {
            id,
            number,
            due_us: due(fan.interval, &fan.targets, 0),
            symbol: fan.symbol,
            interval: fan.interval,
            model: fan.model,
            origin_us: fan.origin,
            origin_close: fan.origin_close,
            made_at_us: fan.made_at,
            targets_us: fan.targets,
            mean: fan.mean,
            levels: fan.bands.iter().map(|b| b.level).collect(),
            lower: fan.bands.iter().flat_map(|b| b.lower.clone()).collect(),
            upper: fan.bands.iter().flat_map(|b| b.upper.clone()).collect(),
            scored_steps: 0,
        }
    }

    fn scored(&self) -> usize {
        usize::try_from(self.scored_steps).unwrap_or_default()
    }

    fn into_fan(self) -> Result<Fan> {
        let steps = self.mean.len();
        let whole = self.levels.len() * steps;
        if steps == 0 || self.lower.len() != whole || self.upper.len() != whole {
            return Err(fault::foreign(format!("forecast {}", self.id)));
        }
        let bounds = self.lower.chunks(steps).zip(self.upper.chunks(steps));
        let bands = self.levels.iter().zip(bounds);
        Ok(Fan {
            bands: bands
                .map(|(level, (lower, upper))| Band {
                    level: *level,
                    lower: lower.to_vec(),
                    upper: upper.to_vec(),
                })
                .collect(),
            symbol: self.symbol,
            interval: self.interval,
            model: self.model,
            origin: self.origin_us,
            origin_close: self.origin_close,
            made_at: self.made_at_us,
            targets: self.targets_us,
            mean: self.mean,
        })
    }
}

/// When the step after `scored` ones can be scored.
fn due(interval: Interval, targets: &[Timestamp], scored: usize) -> i64 {
    let next = targets.get(scored);
    next.map_or(NEVER, |t| interval.end_of(*t).as_micros())
}

fn outcome_document(forecast: &ForecastDocument, outcome: &StepOutcome) -> Document {
    let steps = forecast.mean.len();
    let at = outcome.step as usize - 1;
    let held: Vec<String> = forecast
        .levels
        .iter()
        .enumerate()
        .map(|(band, level)| {
            let at = band * steps + at;
            let held = forecast.lower[at] <= outcome.actual && outcome.actual <= forecast.upper[at];
            format!("{level}:{}", u8::from(held))
        })
        .collect();
    let (symbol, interval) = (forecast.symbol.as_str(), forecast.interval.as_str());
    let (step, held) = (outcome.step, held.join(","));
    let error = outcome.actual - forecast.mean[at];
    doc! {
        "_id": keys::outcome(forecast.number, step),
        "symbol": symbol,
        "interval": interval,
        "step": i64::from(step),
        "actual": outcome.actual,
        "naive": outcome.naive,
        "error_abs": error.abs(),
        "error_square": error * error,
        "naive_error_abs": (outcome.actual - outcome.naive).abs(),
        // The model comes last: it may hold anything.
        "group": format!("{symbol}|{interval}|{step}|{held}|{}", forecast.model),
    }
}

impl Inner {
    async fn forecasts_where(&self, filter: Document) -> Result<Vec<ForecastDocument>> {
        let found = self.forecasts.clone_with_type().find(filter).await?;
        Ok(found.try_collect().await?)
    }

    async fn forecast_numbers(&self, ids: &[String]) -> Result<HashMap<String, i64>> {
        let mut numbers = HashMap::new();
        for ids in ids.chunks(IDS_ASKED) {
            for found in self
                .forecasts_where(doc! { "_id": { "$in": ids.to_vec() } })
                .await?
            {
                numbers.insert(found.id, found.number);
            }
        }
        Ok(numbers)
    }

    /// See [`crate::ForecastLedger::record`].
    pub(super) async fn record(&self, fans: Vec<Fan>) -> Result<Vec<Recorded>> {
        fans.iter().try_for_each(check::fan)?;
        let ids: Vec<String> = fans
            .iter()
            .map(|f| keys::forecast(&f.symbol, f.interval, f.origin, &f.model))
            .collect();
        let mut there = self.forecast_numbers(&ids).await?;
        let mut answers = Vec::with_capacity(fans.len());
        let mut new: Vec<ForecastDocument> = Vec::new();
        let mut numbers = match fans
            .iter()
            .zip(&ids)
            .filter(|(_, id)| !there.contains_key(*id))
        {
            missing if missing.clone().next().is_some() => {
                self.next_numbers("forecast", missing.count()).await?..
            }
            _ => 0..,
        };
        for (fan, id) in fans.into_iter().zip(ids) {
            let in_time = fan.made_at.as_micros() <= due(fan.interval, &fan.targets, 0);
            let answer = match there.get(&id) {
                Some(number) => Recorded::AlreadyThere(*number),
                None if !in_time => Recorded::TooLate,
                None => {
                    let number = numbers.next().unwrap_or_default();
                    there.insert(id.clone(), number);
                    new.push(ForecastDocument::new(fan, id, number));
                    Recorded::New(number)
                }
            };
            answers.push(answer);
        }
        if new.is_empty() {
            return Ok(answers);
        }
        let forecasts = self.forecasts.clone_with_type::<ForecastDocument>();
        let others = duplicates(forecasts.insert_many(&new).ordered(false).await)?;
        if !others.is_empty() {
            // Another process recorded the same meanwhile: its entry is the one that stays.
            let ids: Vec<String> = others.iter().map(|i| new[*i].id.clone()).collect();
            let numbers = self.forecast_numbers(&ids).await?;
            let theirs: HashMap<i64, i64> = others
                .iter()
                .filter_map(|i| Some((new[*i].number, *numbers.get(&new[*i].id)?)))
                .collect();
            for answer in &mut answers {
                if let Recorded::New(number) | Recorded::AlreadyThere(number) = answer
                    && let Some(number) = theirs.get(number)
                {
                    *answer = Recorded::AlreadyThere(*number);
                }
            }
        }
        Ok(answers)
    }

    /// See [`crate::ForecastLedger::due`].
    pub(super) async fn due(
        &self,
        symbol: &Symbol,
        interval: Interval,
        now: Timestamp,
        limit: usize,
    ) -> Result<Vec<OpenForecast>> {
        let Some(limit) = limit_of(limit) else {
            return Ok(Vec::new());
        };
        let open: Vec<ForecastDocument> = self
            .forecasts
            .clone_with_type()
            .find(doc! {
                "symbol": symbol.as_str(),
                "interval": interval.as_str(),
                "due_us": { "$lte": now.as_micros() },
            })
            .sort(doc! { "origin_us": 1, "number": 1 })
            .limit(limit)
            .await?
            .try_collect()
            .await?;
        open.into_iter()
            .map(|forecast| {
                Ok(OpenForecast {
                    id: forecast.number,
                    scored_steps: u32::try_from(forecast.scored_steps).unwrap_or(u32::MAX),
                    fan: forecast.into_fan()?,
                })
            })
            .collect()
    }

    /// See [`crate::ForecastLedger::score`]. All is checked before the first write; the writes
    /// themselves are one by one, and doing them again does no harm.
    pub(super) async fn score(&self, mut outcomes: Vec<StepOutcome>) -> Result<usize> {
        check::outcomes(&outcomes)?;
        outcomes.sort_by_key(|o| (o.forecast_id, o.step));
        let of_each: Vec<&[StepOutcome]> = outcomes
            .chunk_by(|a, b| a.forecast_id == b.forecast_id)
            .collect();
        let asked: Vec<i64> = of_each
            .iter()
            .flat_map(|o| o.first())
            .map(|o| o.forecast_id)
            .collect();
        let mut forecasts: HashMap<i64, ForecastDocument> = HashMap::new();
        for numbers in asked.chunks(IDS_ASKED) {
            let filter = doc! { "number": { "$in": numbers.to_vec() } };
            forecasts.extend(
                self.forecasts_where(filter)
                    .await?
                    .into_iter()
                    .map(|f| (f.number, f)),
            );
        }
        let mut documents = Vec::new();
        let mut statements = Vec::new();
        for (id, of_one) in asked.iter().zip(of_each) {
            let forecast = forecasts.get(id).ok_or_else(|| StoreError::NotFound {
                what: format!("forecast {id}"),
            })?;
            let steps = forecast.mean.len();
            let mut scored = forecast.scored();
            for outcome in of_one {
                let step = outcome.step as usize;
                if step <= scored {
                    continue; // it is there already
                }
                if step > scored + 1 || step > steps {
                    return Err(check::invalid(format!(
                        "step {step} of forecast {id} cannot be scored: {scored} of its {steps} steps are, and they are scored in order"
                    )));
                }
                documents.push(outcome_document(forecast, outcome));
                scored = step;
            }
            if scored > forecast.scored() {
                let due = due(forecast.interval, &forecast.targets_us, scored);
                let scored = i64::try_from(scored).unwrap_or(i64::MAX);
                let mut only = self.only(&forecast.id, forecast.symbol.as_str());
                only.insert("scored_steps", forecast.scored_steps);
                statements.push(doc! {
                    "q": only,
                    "u": { "$set": { "scored_steps": scored, "due_us": due } },
                });
            }
        }
        if documents.is_empty() {
            return Ok(0);
        }
        let inserted = self.outcomes.insert_many(&documents).ordered(false).await;
        let written = documents.len() - duplicates(inserted)?.len();
        self.update_many_of(self.forecasts.name(), statements)
            .await?;
        Ok(written)
    }

    /// See [`crate::ForecastLedger::ledger_of`].
    pub(super) async fn ledger_of(&self, queries: &[LedgerQuery]) -> Result<Vec<Vec<LedgerRow>>> {
        // The queries are moved into the stream: a borrow of them would have to outlive it.
        stream::iter(queries.to_vec())
            .map(|query| async move { self.ledger(&query).await })
            .buffered(AT_ONCE)
            .try_collect()
            .await
    }

    async fn ledger(&self, query: &LedgerQuery) -> Result<Vec<LedgerRow>> {
        let Some(limit) = limit_of(query.limit).filter(|_| query.from < query.until) else {
            return Ok(Vec::new());
        };
        let mut filter = doc! {
            "symbol": query.symbol.as_str(),
            "interval": query.interval.as_str(),
            "origin_us": { "$gte": query.from.as_micros(), "$lt": query.until.as_micros() },
        };
        if let Some(model) = &query.model {
            filter.insert("model", model);
        }
        let mut forecasts: Vec<ForecastDocument> = self
            .forecasts
            .clone_with_type()
            .find(filter)
            .sort(doc! { "origin_us": -1, "model": -1 })
            .limit(limit)
            .await?
            .try_collect()
            .await?;
        forecasts.reverse();
        let outcomes: Vec<String> = forecasts
            .iter()
            .flat_map(|f| {
                (1..=u32::try_from(f.scored()).unwrap_or(0))
                    .map(|step| keys::outcome(f.number, step))
            })
            .collect();
        let mut actuals: HashMap<String, f64> = HashMap::with_capacity(outcomes.len());
        for ids in outcomes.chunks(IDS_ASKED) {
            let mut cursor = self
                .outcomes
                .find(doc! { "_id": { "$in": ids.to_vec() } })
                .projection(doc! { "actual": 1 })
                .await?;
            while let Some(outcome) = cursor.try_next().await? {
                let id = outcome.get_str("_id").map_err(fault::foreign)?.to_owned();
                actuals.insert(id, number(&outcome, "actual"));
            }
        }
        forecasts
            .into_iter()
            .map(|forecast| {
                let id = forecast.number;
                let actuals = (1..=u32::try_from(forecast.scored()).unwrap_or(0))
                    .map_while(|step| actuals.get(&keys::outcome(id, step)).copied())
                    .collect();
                Ok(LedgerRow {
                    id,
                    fan: forecast.into_fan()?,
                    actuals,
                })
            })
            .collect()
    }
}
