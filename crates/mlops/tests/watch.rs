//! Looks for drift over a real store: what is served is watched, alarms are kept and told, and begin trainings.

#![allow(
    clippy::unwrap_used,
    reason = "what fails in a test's own plumbing fails the test"
)]

#[path = "support/closes.rs"]
mod closes;
#[path = "support/workplace.rs"]
mod workplace;
#[path = "support/years.rs"]
mod years;

use closes::day;
use market::{Fan, Interval, Timestamp};
use mlops::{
    drift::{Calibrator, Kind, WatchOptions},
    jobs::{Payload as _, WatchPayload},
    worker::Look,
};
use store::{
    ForecastLedger as _, JobKind, JobState, JobStore as _, MessageState, Outbox as _, Recorded,
    StepOutcome, Topic,
};
use workplace::{NAME, Workplace, payload, run, strong};

/// The first day that the champion has not been trained on.
const TRAINED: usize = 300;

/// A walk whose steps are as large as they were, but for `factor` times as large from a day on.
fn prices(days: usize, grows: &[(usize, f64)]) -> Vec<f64> {
    let mut closes = strong(1, TRAINED);
    let mut dice = testing::Lcg::new(77, testing::Lcg::MMIX);
    let steps: Vec<f64> = closes
        .windows(2)
        .map(|pair| (pair[1] / pair[0]).ln())
        .collect();
    let spread = (steps.iter().map(|s| s * s).sum::<f64>() / steps.len() as f64).sqrt();
    let mut price = closes[TRAINED - 1];
    for n in TRAINED..days {
        let grown = grows.iter().rev().find(|(from, _)| n >= *from);
        let factor = grown.map_or(1.0, |(_, factor)| *factor);
        price *= (factor * spread * dice.normal()).exp();
        closes.push(price);
    }
    closes
}

/// What the champion said at the close of each day and what came. It errs by six tenths of the day's change, as it did on
/// the closes that it was trained on, whose changes go on with eight tenths of the one before.
async fn forecasts(place: &Workplace, closes: &[f64], days: std::ops::Range<usize>) {
    for n in days {
        let fan = Fan {
            symbol: "ACME".parse().unwrap(),
            interval: Interval::D1,
            model: format!("models:/{NAME}/1"),
            origin: day(n),
            origin_close: closes[n],
            made_at: day(n + 1),
            targets: vec![day(n + 1)],
            mean: vec![closes[n + 1] * (0.6 * (closes[n] / closes[n + 1]).ln()).exp()],
            bands: Vec::new(),
        };
        let recorded = place.store.record(vec![fan]).await.unwrap();
        let [Recorded::New(forecast_id)] = recorded[..] else {
            panic!("{recorded:?}")
        };
        let outcome = StepOutcome {
            forecast_id,
            step: 1,
            actual: closes[n + 1],
            naive: closes[n],
        };
        assert_eq!(place.store.score(vec![outcome]).await.unwrap(), 1);
    }
}

/// A champion that was trained on the closes up to then.
async fn trained(closes: &[f64]) -> Workplace {
    let place = Workplace::open(TRAINED).await;
    place.put_closes("ACME", &closes[..TRAINED]).await;
    place.submit(&["ACME"], None).await;
    run(&place.worker("w")).await;
    place.put_closes("ACME", closes).await;
    place
}

fn how() -> WatchPayload {
    WatchPayload {
        false_alarm_days: 250.0,
        cool_down_hours: 24 * 365,
        train: Some(Box::new(payload())),
        options: WatchOptions {
            reference: 180,
            window: 60,
            calibrator: Calibrator {
                paths: 200,
                days: 100,
                seed: 1,
            },
            ..WatchOptions::default()
        },
        ..WatchPayload::default()
    }
}

/// A look as of the end of this day, by a worker that does no trainings.
async fn look(place: &Workplace, until: usize) -> Look {
    look_by(place, until, how()).await
}

async fn look_by(place: &Workplace, until: usize, how: WatchPayload) -> Look {
    place.set(day(until));
    let job = how.job(place.now(), "test").unwrap();
    let id = place.store.submit(vec![job], place.now()).await.unwrap()[0].id();
    let worker = place.worker_with("watch", place.ports(), |config| {
        config.kinds = vec![JobKind::Watch];
        config.tell = vec![Topic::Webhook];
    });
    assert_eq!(run(&worker).await, 1);
    let job = place.ended(id, JobState::Succeeded).await;
    serde_json::from_value(job.result.unwrap()).unwrap()
}

async fn trainings(place: &Workplace) -> Vec<store::Job> {
    let query = store::JobQuery {
        kind: Some(JobKind::Train),
        limit: 10,
        ..store::JobQuery::default()
    };
    place.store.jobs(&query).await.unwrap()
}

#[tokio::test]
async fn a_champion_that_errs_as_before_is_let_be_and_one_that_errs_more_is_trained_anew_once() {
    let closes = prices(600, &[(340, 5.0), (450, 25.0), (500, 1.0)]);
    let place = trained(&closes).await;
    forecasts(&place, &closes, TRAINED..338).await;

    let calm = look(&place, 339).await;
    let [watched] = &calm.watched[..] else {
        panic!("{calm:?}")
    };
    assert_eq!((watched.name.as_str(), watched.version), (NAME, 1));
    assert_eq!((watched.since, watched.outcomes), (day(TRAINED), 38));
    let kinds: Vec<Kind> = watched
        .readings
        .iter()
        .map(|reading| reading.kind)
        .collect();
    // Of what comes in there are too few yet.
    assert_eq!(kinds, [Kind::Errors], "{:?}", watched.notes);
    assert_eq!(calm.alarms, []);

    // Five times the changes: errors and inputs have drifted, and one training begins.
    forecasts(&place, &closes, 338..400).await;
    let alarmed = look(&place, 401).await;
    let mut kinds: Vec<Kind> = alarmed.alarms.iter().map(|alarm| alarm.kind).collect();
    kinds.sort_by_key(|kind| *kind == Kind::Inputs);
    assert_eq!(kinds, [Kind::Errors, Kind::Inputs], "{alarmed:?}");
    let all = trainings(&place).await;
    assert_eq!(
        all.len(),
        2,
        "the first one, and that of the alarm: {all:?}"
    );
    let new = &all[0];
    assert!(
        alarmed
            .alarms
            .iter()
            .all(|alarm| alarm.training == Some(new.id))
    );
    assert_eq!(
        new.key.as_deref(),
        Some(&*format!("drift:{NAME}:{}", day(401)))
    );
    assert_eq!(new.payload["symbol"], "ACME");
    assert_eq!(new.payload["as_of_us"], day(401).as_micros());
    assert!(new.submitted_by.starts_with("drift of the "), "{new:?}");
    let waiting = place
        .store
        .messages(Topic::Webhook, MessageState::Waiting, None, 10);
    let waiting = waiting.await.unwrap();
    assert_eq!(waiting.len(), 2, "{waiting:?}");
    let told = &waiting[0].message.payload;
    assert_eq!(
        (&told["entity"], &told["action"]),
        (&"drift_alarm".into(), &"created".into())
    );
    assert_eq!(told["data"]["name"], NAME);

    // It is watched from the alarm on: what was seen then is no alarm again.
    let after = look(&place, 402).await;
    assert_eq!((after.alarms.len(), after.watched[0].since), (0, day(401)));
    assert_eq!(after.last_alarms[NAME], day(401));

    // Another drift within the cool-down is an alarm, and begins no training.
    forecasts(&place, &closes, 400..498).await;
    let again = look(&place, 499).await;
    assert!(!again.alarms.is_empty(), "{again:?}");
    for alarm in &again.alarms {
        assert_eq!(alarm.training, None);
        assert!(
            alarm.words.contains("the cool-down lasts"),
            "{}",
            alarm.words
        );
    }
    assert_eq!(trainings(&place).await.len(), 2);
    assert_eq!(again.last_trainings[NAME], day(401));
    assert_eq!(again.as_of, Timestamp::from_micros(place.now().as_micros()));

    // Where alarms begin no trainings any more, that is the reason, and not a cool-down.
    let alone = WatchPayload {
        train: None,
        ..how()
    };
    let last = look_by(&place, 599, alone).await;
    assert!(!last.alarms.is_empty(), "{last:?}");
    for alarm in &last.alarms {
        let words = &alarm.words;
        assert!(words.ends_with("alarms begin none here"), "{words}");
    }
}

#[test]
fn what_cannot_be_a_look_is_refused_with_its_field() {
    let read = |json: serde_json::Value| WatchPayload::read(&json).map_err(|e| e.field);
    assert!(read(serde_json::json!({})).is_ok());
    for (json, field) in [
        (
            serde_json::json!({ "false_alarm_days": 0.5 }),
            "false_alarm_days",
        ),
        (
            serde_json::json!({ "options": { "bins": 1 } }),
            "options.bins",
        ),
        (
            serde_json::json!({ "options": { "inputs": 20 } }),
            "options.inputs",
        ),
        (
            serde_json::json!({ "options": { "calibrator": { "days": 10 } } }),
            "options.calibrator.days",
        ),
        (
            serde_json::json!({ "train": { "symbol": "A", "interval": "1d", "horizon": 0 } }),
            "train.horizon",
        ),
    ] {
        assert_eq!(read(json.clone()).unwrap_err(), field, "{json}");
    }
}
