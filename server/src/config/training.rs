//! The settings of trainings: when, of what, by whom.

use std::{
    path::{Path, PathBuf},
    time::Duration,
};

use forecast::ModelRef;
use market::{Interval, Symbol};
use mlops::{
    calendar::{Calendars, Overlay},
    jobs::{Payload as _, TrainPayload},
    schedule::{Schedule, ScheduleSpec},
    training::{JudgedBy, TradingDays},
};

use super::{
    Layers, millis, missing,
    settings::{Setting, list, setting},
    within,
};

/// The settings.
pub const TRAINING: &[Setting] = &[
    setting(
        "training.schedule",
        "",
        "a cron pattern or a time around an exchange's sessions, such as XNYS close +20m, or nothing",
        "When models are trained; `tickcast schedule next` shows when that is. Nothing: when somebody asks.",
    ),
    setting(
        "training.zone",
        "UTC",
        "a time zone such as Europe/London",
        "Time zone of a cron pattern that names none.",
    ),
    setting(
        "training.closures",
        "",
        "a file, or nothing",
        "Closures and hours that the calendars do not have (docs/mlops.md).",
    ),
    list(
        "training.symbols",
        "",
        "a list of symbols",
        "Symbols that are trained; nothing: every one that there are bars of.",
    ),
    setting(
        "training.interval",
        "1d",
        "one of 1s, 1m, 5m, 15m, 1h, 1d",
        "Bars that are trained on.",
    ),
    setting(
        "training.days",
        "",
        "always, weekdays, an exchange such as XNYS, or nothing",
        "When the market trades: what is a gap, and how many bars a year has. Nothing: as the bars tell.",
    ),
    list(
        "training.candidates",
        "arima(1,1,0),ets,theta",
        "a list of models",
        "Models that may become champion; networks such as lstm(small) are trained once a round (docs/neural.md).",
    ),
    setting(
        "training.judged_by",
        "points",
        "points or quantiles",
        "What the gate compares: errors of points, or losses of quantiles, which is how good intervals are.",
    ),
    setting(
        "training.horizon",
        "1",
        "a number from 1 to 250",
        "Steps that are forecast and judged.",
    ),
    setting(
        "training.jobs",
        "1",
        "a number from 0 to 64",
        "Jobs that serve, and each `tickcast work`, does at a time; 0: serve leaves them to others.",
    ),
    setting(
        "training.lease_ms",
        "60000",
        "milliseconds from 1000",
        "A job whose worker is not heard of for so long is another worker's.",
    ),
    setting(
        "training.keep_jobs",
        "10000",
        "a number from 1",
        "Finished jobs of each kind that are kept.",
    ),
    setting(
        "training.overdue_hours",
        "6",
        "hours from 1 to 8760",
        "A model that was not trained so many hours after its schedule's time is overdue: a metric, a word on /healthz, a message.",
    ),
];

/// Trainings.
#[derive(Clone, Debug)]
pub struct TrainingConfig {
    /// When they begin by themselves.
    pub schedule: Option<Schedule>,
    /// Every calendar, with what a file adds.
    pub calendars: Calendars,
    /// Of what; none stands for every symbol.
    pub symbols: Vec<Symbol>,
    /// A round, of whatever symbol.
    pub payload: TrainPayload,
    /// Jobs at a time.
    pub jobs: usize,
    /// How long a job stays with a worker that is not heard of.
    pub lease: Duration,
    /// Finished jobs of each kind that are kept.
    pub keep_jobs: usize,
}

pub(super) fn read_training(l: &mut Layers) -> Option<TrainingConfig> {
    let calendars = read_calendars(l);
    let zone = l.one("training.zone", |t| Ok::<_, ()>(t.to_owned()));
    let spec = l.one("training.schedule", |t| Ok::<_, ()>(t.to_owned()));
    let symbols = l.many("training.symbols", str::parse::<Symbol>);
    let interval = l.one("training.interval", str::parse::<Interval>);
    let days = l.one("training.days", |t| match t {
        "" => Ok(None),
        text => text.parse::<TradingDays>().map(Some),
    });
    let candidates = l.many("training.candidates", str::parse::<ModelRef>);
    let judged_by = l.one("training.judged_by", str::parse::<JudgedBy>);
    let horizon = l.one("training.horizon", |t| within(t, 1, 250));
    let jobs = l.one("training.jobs", |t| within(t, 0, 64));
    let keep_jobs = l.one("training.keep_jobs", |t| within(t, 1, 10_000_000));
    let lease = millis(l, "training.lease_ms", 1_000);
    let calendars = calendars?;
    let schedule = read_schedule(l, "training.schedule", &spec?, &zone?, &calendars);
    // A round is about a symbol, which is put in later.
    let symbol = "ANY".parse().ok()?;
    let payload = TrainPayload {
        candidates: Some(candidates),
        judged_by: judged_by.filter(|judged_by| *judged_by != JudgedBy::default()),
        horizon: Some(horizon?),
        days: days?,
        ..TrainPayload::new(symbol, interval?)
    };
    if let Err(e) = payload.check() {
        let key = format!("training.{}", e.field);
        missing(l, &key, &e.reason);
    }
    Some(TrainingConfig {
        schedule: schedule?,
        calendars,
        symbols,
        payload,
        jobs: jobs?,
        lease: lease?,
        keep_jobs: keep_jobs?,
    })
}

fn read_calendars(l: &mut Layers) -> Option<Calendars> {
    let path = l.one("training.closures", |t| Ok::<_, ()>(PathBuf::from(t)))?;
    if path == Path::new("") {
        return Some(Calendars::builtin());
    }
    let read = std::fs::read_to_string(&path).map_err(|e| e.to_string());
    let calendars = read.and_then(|text| {
        let overlay = Overlay::from_toml(&text).map_err(|e| e.to_string())?;
        Calendars::with(overlay).map_err(|e| e.to_string())
    });
    calendars
        .map_err(|e| missing(l, "training.closures", &format!("{}: {e}", path.display())))
        .ok()
}

/// The schedule of a setting; the outer one is absent where it cannot be.
pub(super) fn read_schedule(
    l: &mut Layers,
    key: &str,
    spec: &str,
    zone: &str,
    calendars: &Calendars,
) -> Option<Option<Schedule>> {
    if spec.trim().is_empty() {
        return Some(None);
    }
    let schedule = ScheduleSpec::read(spec, zone).and_then(|spec| Schedule::new(spec, calendars));
    schedule
        .map_err(|e| missing(l, key, &e.to_string()))
        .ok()
        .map(Some)
}
