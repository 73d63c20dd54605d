//! The scoreboard: sums over the outcomes of scored forecasts.
//!
//! Model: each outcome carries its errors and the text `group` (see [`super::ledger`]), so that the
//! server only counts and sums, and what it answers is put together here.

use std::collections::{BTreeMap, HashMap};

use futures::TryStreamExt;
use market::{Interval, Symbol};
use mongodb::bson::{Bson, Document, doc};

use super::{Inner, documents::number, fault};
use crate::{Result, ScoreRow};

impl Inner {
    /// See [`crate::ForecastLedger::scoreboard`].
    pub(super) async fn scoreboard(
        &self,
        symbol: Option<&Symbol>,
        interval: Option<Interval>,
    ) -> Result<Vec<ScoreRow>> {
        let mut only = Document::new();
        if let Some(symbol) = symbol {
            only.insert("symbol", symbol.as_str());
        }
        if let Some(interval) = interval {
            only.insert("interval", interval.as_str());
        }
        let sums = [
            ("count", doc! { "$sum": 1 }),
            ("abs", doc! { "$sum": "$error_abs" }),
            ("square", doc! { "$sum": "$error_square" }),
            ("naive", doc! { "$sum": "$naive_error_abs" }),
        ];
        let at_once = if self.one_sum_per_group {
            1
        } else {
            sums.len()
        };
        let mut groups: HashMap<String, Document> = HashMap::new();
        for sums in sums.chunks(at_once) {
            let mut group = doc! { "_id": "$group" };
            group.extend(
                sums.iter()
                    .map(|(n, sum)| ((*n).to_owned(), Bson::from(sum.clone()))),
            );
            let pipeline = [doc! { "$match": only.clone() }, doc! { "$group": group }];
            let mut cursor = self.outcomes.aggregate(pipeline).await?;
            while let Some(sums) = cursor.try_next().await? {
                let name = sums.get_str("_id").map_err(fault::foreign)?.to_owned();
                groups.entry(name).or_default().extend(sums);
            }
        }
        let mut board: BTreeMap<(Symbol, Interval, String, u32), Sums> = BTreeMap::new();
        for (name, group) in &groups {
            let (key, held) = read_group(name).ok_or_else(|| fault::foreign(name))?;
            let sums = board.entry(key).or_default();
            let count = number(group, "count");
            sums.count += count;
            sums.abs += number(group, "abs");
            sums.square += number(group, "square");
            sums.naive += number(group, "naive");
            for (level, held) in held {
                match sums.levels.iter_mut().find(|(l, ..)| *l == level) {
                    Some((_, inside, of)) => {
                        *inside += if held { count } else { 0.0 };
                        *of += count;
                    }
                    None => sums
                        .levels
                        .push((level, if held { count } else { 0.0 }, count)),
                }
            }
        }
        Ok(board.into_iter().map(|(key, sums)| sums.row(key)).collect())
    }
}

#[derive(Default)]
struct Sums {
    count: f64,
    abs: f64,
    square: f64,
    naive: f64,
    /// Level, how many outcomes lay inside, of how many.
    levels: Vec<(f64, f64, f64)>,
}

impl Sums {
    fn row(mut self, (symbol, interval, model, step): (Symbol, Interval, String, u32)) -> ScoreRow {
        self.levels.sort_by(|a, b| a.0.total_cmp(&b.0));
        ScoreRow {
            symbol,
            interval,
            model,
            step,
            count: self.count as u64,
            mae: self.abs / self.count,
            rmse: (self.square / self.count).sqrt(),
            naive_mae: self.naive / self.count,
            coverage: self
                .levels
                .into_iter()
                .map(|(level, inside, of)| (level, inside / of))
                .collect(),
        }
    }
}

type Group = ((Symbol, Interval, String, u32), Vec<(f64, bool)>);

/// Reads the text that [`super::ledger`] writes.
fn read_group(text: &str) -> Option<Group> {
    let mut parts = text.splitn(5, '|');
    let (symbol, interval) = (parts.next()?.parse().ok()?, parts.next()?.parse().ok()?);
    let (step, held) = (parts.next()?.parse().ok()?, parts.next()?);
    let held = held
        .split(',')
        .filter(|part| !part.is_empty())
        .map(|part| {
            let (level, held) = part.split_once(':')?;
            Some((level.parse().ok()?, held == "1"))
        })
        .collect::<Option<_>>()?;
    Some(((symbol, interval, parts.next()?.to_owned(), step), held))
}
