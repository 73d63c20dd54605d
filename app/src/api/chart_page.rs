//! What a chart page shows, as it travels.
//!
//! What it does not do: fetch anything (see [`super::functions`]).

use market::{Fan, Interval, Timestamp};
use serde::{Deserialize, Serialize};

use super::bars::Bars;
use crate::query::ChartQuery;

/// What a past forecast said of one bar.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PastPoint {
    /// The start of the bar forecast.
    pub target: Timestamp,
    /// The point forecast of its close.
    pub mean: f64,
    /// Lower bound of the narrowest interval.
    pub lower: f64,
    /// Upper bound of the narrowest interval.
    pub upper: f64,
}

/// The live record shown beside a fan, at its last step or at the nearest one that has outcomes.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Record {
    /// Past forecasts of the model shown, each at the last step of the fan, oldest first.
    pub past: Vec<PastPoint>,
    /// How often the intervals of the model shown have held, as the end of a sentence; empty while none
    /// was judged.
    pub promise: String,
    /// The markup of every model's record.
    pub board: String,
}

/// Everything that a chart page shows of one symbol, interval, horizon and model.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ChartData {
    /// What was asked for.
    pub query: ChartQuery,
    /// The interval chosen.
    pub interval: Interval,
    /// The model chosen: its name, or `champion`.
    #[serde(default)]
    pub model: String,
    /// Whether the series has a champion that is served.
    #[serde(default)]
    pub has_champion: bool,
    /// What is to be said of a champion that is not.
    #[serde(default)]
    pub champion_note: String,
    /// The intervals that can be chosen.
    pub intervals: Vec<Interval>,
    /// Whether ticks come in: false for imported history.
    pub live: bool,
    /// When its prices ended, where none has come for a week.
    pub ended: Option<Timestamp>,
    /// Whether its prices are made up.
    pub simulated: bool,
    /// The close a day (or, with daily bars only, a bar) before.
    pub previous_close: Option<f64>,
    /// The bars, oldest first.
    pub bars: Bars,
    /// The last bar that is known to be over, where a browser kept them for the time without a server.
    #[serde(default)]
    pub closed: Option<Timestamp>,
    /// The forecast shown.
    pub fan: Option<Fan>,
    /// Whether new fans of it come by themselves at each closed bar.
    pub fan_live: bool,
    /// Why there is no forecast.
    pub fan_problem: Option<String>,
    /// The markup of what the model's fit found, or of why there is none.
    pub fit: String,
    /// What past forecasts were worth.
    pub record: Record,
    /// Who was champion of the series from a time on, oldest first.
    #[serde(default)]
    pub champions: Vec<(Timestamp, String)>,
}

impl ChartData {
    /// A chart without anything, for a page that has a problem to show instead.
    pub fn empty(query: ChartQuery) -> Self {
        Self {
            interval: query.interval.unwrap_or(Interval::M1),
            model: query.model.clone(),
            has_champion: false,
            champion_note: String::new(),
            query,
            intervals: Vec::new(),
            live: false,
            ended: None,
            simulated: false,
            previous_close: None,
            bars: Bars::default(),
            closed: None,
            fan: None,
            fan_live: false,
            fan_problem: None,
            fit: String::new(),
            record: Record::default(),
            champions: Vec::new(),
        }
    }
}

impl ChartData {
    /// What was asked for, with the model that was chosen.
    pub fn asked(&self) -> ChartQuery {
        ChartQuery {
            model: self.model.clone(),
            ..self.query.clone()
        }
    }
}

/// A fan cut to its first `horizon` steps.
pub fn first_steps(mut fan: Fan, horizon: u32) -> Fan {
    let steps = horizon as usize;
    fan.targets.truncate(steps);
    fan.mean.truncate(steps);
    for band in &mut fan.bands {
        band.lower.truncate(steps);
        band.upper.truncate(steps);
    }
    fan
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_chart_that_a_browser_kept_for_an_older_build_reads() {
        let query = ChartQuery {
            symbol: "A".parse().unwrap(),
            interval: Some(Interval::D1),
            horizon: 5,
            model: "drift".to_owned(),
            bars: 120,
        };
        let chart = ChartData::empty(query);
        let mut kept = serde_json::to_value(&chart).unwrap();
        let fields = kept.as_object_mut().unwrap();
        for later in [
            "model",
            "has_champion",
            "champion_note",
            "closed",
            "champions",
        ] {
            assert!(fields.remove(later).is_some(), "{later}");
        }
        let read: ChartData = serde_json::from_value(kept).unwrap();
        let without = ChartData {
            model: String::new(),
            ..chart
        };
        assert_eq!(read, without);
    }
}
