//! What the ticks of a bar amount to, outside of what a bar that came covers.
//!
//! Model: the time that is not covered is laid out with the longest bars that fit, whose parts hold all of
//! their ticks; only the second in which the coverage begins or ends is folded from ticks. So a day that
//! goes on is read from some dozens of bars, however many trades it has. Where retention has taken shorter
//! bars, what they held of the minute at the edge is missing.

use futures::TryStreamExt;
use market::{Bar, Interval, Timestamp};
use mongodb::bson::doc;

use super::{
    Inner,
    bars::merge_into,
    documents::{BarDocument, TickDocument},
};
use crate::Result;

/// A run of bars of one interval that follow each other, or of ticks.
#[derive(Clone, Debug, PartialEq)]
struct Run {
    interval: Option<Interval>,
    from: Timestamp,
    until: Timestamp,
}

/// Lays `[from, until)` out with bars shorter than `within`, the longest that fit; what is shorter than the
/// shortest bar is left to ticks.
fn lay_out(within: Interval, from: Timestamp, until: Timestamp) -> Vec<Run> {
    let mut runs: Vec<Run> = Vec::new();
    let mut at = from;
    while at < until {
        let fits = |i: &Interval| *i < within && i.start_of(at) == at && i.end_of(at) <= until;
        let interval = Interval::ALL.into_iter().rev().find(fits);
        let shortest = Interval::ALL[0];
        let next =
            interval.map_or_else(|| shortest.end_of(shortest.start_of(at)), |i| i.end_of(at));
        let next = next.min(until);
        match runs.last_mut().filter(|run| run.interval == interval) {
            Some(run) => run.until = next,
            None => runs.push(Run {
                interval,
                from: at,
                until: next,
            }),
        }
        at = next;
    }
    runs
}

impl Inner {
    /// The fold of the ticks of its time that a bar which came does not cover.
    pub(super) async fn outside(&self, came: &Bar) -> Result<Option<Bar>> {
        let mut whole: Option<Bar> = None;
        // The microseconds of its first and last key may have ticks of both kinds.
        let edges = [came.first.ts, came.last.ts];
        let runs = [
            lay_out(came.interval, came.start, came.first.ts),
            lay_out(came.interval, came.last.ts.plus_micros(1), came.end()),
        ];
        for run in runs.into_iter().flatten() {
            self.fold_run(came, run, &mut whole).await?;
        }
        for at in edges {
            let run = Run {
                interval: None,
                from: at,
                until: at.plus_micros(1),
            };
            self.fold_run(came, run, &mut whole).await?;
            if edges[0] == edges[1] {
                break;
            }
        }
        Ok(whole)
    }

    async fn fold_run(&self, came: &Bar, run: Run, whole: &mut Option<Bar>) -> Result<()> {
        let range = doc! { "$gte": run.from.as_micros(), "$lt": run.until.as_micros() };
        let symbol = came.symbol.as_str();
        let Some(interval) = run.interval else {
            let filter = doc! { "symbol": symbol, "ts_us": range };
            let mut ticks = self.ticks.find(filter).await?;
            while let Some(tick) = ticks.try_next().await?.map(TickDocument::into_tick) {
                if !came.covers(tick.key()) {
                    merge_into(whole, Bar::from_tick(&tick, came.interval));
                }
            }
            return Ok(());
        };
        let filter = doc! {
            "symbol": symbol,
            "interval": interval.as_str(),
            "start_us": range,
            "trades": { "$gt": 0_i64 },
        };
        let mut parts = self.bars.find(filter).await?;
        while let Some(part) = parts.try_next().await?.map(BarDocument::into_bar) {
            let part = Bar {
                interval: came.interval,
                start: came.start,
                ..part
            };
            merge_into(whole, part);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_span_is_laid_out_without_gap_or_overlap_and_with_few_runs() {
        let at = |text: &str| text.parse::<Timestamp>().unwrap();
        let (from, until) = (at("2024-03-01T10:40:12.5Z"), at("2024-03-02T00:00:00Z"));
        let runs = lay_out(Interval::D1, from, until);
        let intervals: Vec<Option<Interval>> = runs.iter().map(|run| run.interval).collect();
        let wanted = [
            None,
            Some(Interval::S1),
            Some(Interval::M1),
            Some(Interval::M15),
            Some(Interval::H1),
        ];
        assert_eq!(intervals, wanted);
        assert_eq!((runs[0].from, runs[4].until), (from, until));
        assert!(runs.windows(2).all(|pair| pair[0].until == pair[1].from));
        // Up to a moment in the middle.
        let runs = lay_out(Interval::M1, at("2024-03-01T10:40:00Z"), from);
        let ends: Vec<_> = runs.iter().map(|run| (run.interval, run.until)).collect();
        let second = at("2024-03-01T10:40:12Z");
        assert_eq!(ends, [(Some(Interval::S1), second), (None, from)]);
        assert_eq!(lay_out(Interval::S1, from, from), []);
    }
}
