//! What looks for drift have found: the results of jobs of the kind `watch`.

use market::Timestamp;
use mlops::worker::{DriftAlarm, Look};
use store::{JobKind, JobQuery, JobState};

use super::desk::Desk;
use crate::api::ApiError;

/// Looks that are gone through: the latest.
const LOOKS: usize = 50;

/// How drift stands.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Drift {
    /// When was looked last, and at how many champions; none where nobody has.
    pub last: Option<(Timestamp, usize)>,
    /// The alarms of the latest looks, the newest first.
    pub alarms: Vec<DriftAlarm>,
}

/// How drift stands.
pub async fn drift(desk: &dyn Desk) -> Result<Drift, ApiError> {
    let query = JobQuery {
        kind: Some(JobKind::Watch),
        state: Some(JobState::Succeeded),
        before_id: None,
        limit: LOOKS,
    };
    let results = desk
        .jobs(query)
        .await?
        .into_iter()
        .filter_map(|job| job.result);
    Ok(read(results))
}

/// Of the results of looks, the newest first.
fn read(results: impl Iterator<Item = serde_json::Value>) -> Drift {
    let mut drift = Drift::default();
    for look in results.filter_map(|result| serde_json::from_value::<Look>(result).ok()) {
        drift.last = drift.last.or(Some((look.as_of, look.watched.len())));
        drift.alarms.extend(look.alarms);
    }
    drift
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn alarms_are_those_of_all_looks_and_the_last_look_is_the_newest() {
        let alarm = json!({
            "name": "close-1d.A", "version": 3, "symbol": "A", "interval": "1d", "kind": "errors",
            "at_us": 7_000_000, "since_us": 1, "statistic": 9.0, "corrected_rate": 0.001,
            "false_alarm_days": 365.0, "training": 12, "words": "errors have grown",
        });
        let watched = json!({
            "name": "close-1d.A", "version": 3, "symbol": "A", "interval": "1d", "since_us": 1,
            "outcomes": 40, "readings": [],
        });
        let look = |at: i64, alarms: Vec<&serde_json::Value>| {
            json!({
                "as_of_us": at, "watched": [watched, watched], "alarms": alarms,
                "last_alarms_us": {"close-1d.A": 7}, "last_trainings_us": {},
            })
        };
        let found = read([look(9, vec![]), json!("nonsense"), look(7, vec![&alarm])].into_iter());
        assert_eq!(found.last, Some((Timestamp::from_micros(9), 2)));
        assert_eq!(found.alarms.len(), 1);
        assert_eq!(found.alarms[0].words, "errors have grown");
        assert_eq!(read(std::iter::empty()), Drift::default());
    }
}
