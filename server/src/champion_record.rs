//! What became of the forecasts of a series' champion, whichever versions that were.
//!
//! Model: the ledger has each version under its own name. Who was champion when is the history of the alias
//! ([`store::ModelRegistry::alias_history`]): a version's past forecasts count while it was, and its record is put
//! together with those of the others that have been champion.
//!
//! What it does not do: score (the ledger does).

use std::collections::BTreeSet;

use app::api::ModelScore;
use market::{Interval, Symbol, Timestamp};
use mlops::{champions, registered::CHALLENGER, worker::CHAMPION};
use serving::is_registered;
use store::{DatabasePorts, LedgerRow, Result, ScoreRow};

/// The forecasts that a champion made while it was one, with what happened, oldest origin first, the latest `limit`.
///
/// # Errors
/// The store's.
pub async fn past(
    database: &DatabasePorts,
    symbol: &Symbol,
    interval: Interval,
    limit: usize,
) -> Result<Vec<LedgerRow>> {
    let moves = champions::moves(&*database.registry, symbol, interval).await?;
    let (ledger, of) = (&*database.ledger, (symbol, interval));
    champions::forecasts(ledger, of, &moves, Timestamp::MIN, limit).await
}

/// The live record of every model; of the registry's versions those that have been champion are one, `champion`, and
/// the others, whether or not they are challengers now, `challenger`.
///
/// # Errors
/// The store's.
pub async fn scores(
    database: &DatabasePorts,
    symbol: &Symbol,
    interval: Interval,
) -> Result<Vec<ModelScore>> {
    let rows = database
        .ledger
        .scoreboard(Some(symbol), Some(interval))
        .await?;
    let (registered, mut all): (Vec<_>, Vec<_>) =
        rows.into_iter().partition(|row| is_registered(&row.model));
    if !registered.is_empty() {
        let moves = champions::moves(&*database.registry, symbol, interval).await?;
        let versions = moves.iter().filter_map(|one| one.to);
        let champions: BTreeSet<String> = versions
            .map(|version| champions::version_name(symbol, interval, version))
            .collect();
        let (champions, others): (Vec<_>, Vec<_>) = registered
            .into_iter()
            .partition(|row| champions.contains(&row.model));
        all.extend(together(CHAMPION, champions));
        all.extend(together(CHALLENGER, others));
    }
    Ok(all.into_iter().map(score).collect())
}

/// Rows as if they were of one model: a row for each step.
fn together(name: &str, rows: Vec<ScoreRow>) -> Vec<ScoreRow> {
    let mut sums: Vec<ScoreRow> = Vec::new();
    for row in rows {
        let row = ScoreRow {
            model: name.to_owned(),
            ..row
        };
        match sums.iter_mut().find(|sum| sum.step == row.step) {
            Some(sum) => add(sum, &row),
            None => sums.push(row),
        }
    }
    sums.sort_by_key(|row| row.step);
    sums
}

fn add(sum: &mut ScoreRow, row: &ScoreRow) {
    let (before, more) = (sum.count as f64, row.count as f64);
    if row.count == 0 {
        return;
    }
    let mean = |a: f64, b: f64| (a * before + b * more) / (before + more);
    sum.mae = mean(sum.mae, row.mae);
    sum.naive_mae = mean(sum.naive_mae, row.naive_mae);
    sum.rmse = mean(sum.rmse.powi(2), row.rmse.powi(2)).sqrt();
    for (level, share) in &mut sum.coverage {
        let other = row.coverage.iter().find(|(of, _)| of == level);
        *share = mean(*share, other.map_or(*share, |(_, share)| *share));
    }
    sum.count += row.count;
}

fn score(row: ScoreRow) -> ModelScore {
    ModelScore {
        model: row.model,
        step: row.step,
        count: row.count,
        mae: row.mae,
        rmse: row.rmse,
        skill: (row.naive_mae > 0.0).then(|| 1.0 - row.mae / row.naive_mae),
        coverage: row.coverage,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records_are_put_together_by_how_many_outcomes_they_are_of() {
        let row = |step, count, mae: f64, rmse, share| ScoreRow {
            symbol: "A".parse().unwrap(),
            interval: Interval::D1,
            model: "models:/close-1d.A/1".to_owned(),
            step,
            count,
            mae,
            rmse,
            naive_mae: 2.0 * mae,
            coverage: vec![(80.0, share)],
        };
        let rows = vec![
            row(2, 5, 1.0, 1.0, 1.0),
            row(1, 30, 2.0, 3.0, 0.8),
            row(1, 10, 6.0, 7.0, 0.4),
        ];
        let sum = together(CHAMPION, rows);
        assert_eq!(sum.len(), 2);
        let one = &sum[0];
        assert_eq!(
            (one.model.as_str(), one.step, one.count),
            ("champion", 1, 40)
        );
        // By hand: (30·2 + 10·6)/40, √((30·9 + 10·49)/40), (30·0.8 + 10·0.4)/40.
        assert_eq!((one.mae, one.naive_mae), (3.0, 6.0));
        assert!((one.rmse - 19.0_f64.sqrt()).abs() < 1e-12);
        assert!((one.coverage[0].1 - 0.7).abs() < 1e-12);
    }
}
