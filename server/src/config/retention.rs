//! The settings of removal by age.

use std::collections::BTreeMap;

use market::Interval;
use pipeline::RetentionConfig;

use super::{Layers, within};

pub(super) fn read_retention(l: &mut Layers) -> Option<RetentionConfig> {
    let ticks_days = l.one("retention.ticks_days", |t| {
        if t.is_empty() {
            return Ok(None);
        }
        days(t).map(Some)
    });
    let bars_days: BTreeMap<Interval, u32> = l
        .many("retention.bars_days", |t| {
            let (interval, age) = t.split_once('=').ok_or(())?;
            let interval = interval.trim().parse::<Interval>().map_err(|_| ())?;
            Ok::<_, ()>((interval, days(age.trim())?))
        })
        .into_iter()
        .collect();
    Some(RetentionConfig {
        ticks_days: ticks_days?,
        bars_days,
        ..RetentionConfig::default()
    })
}

/// At most 100 years: what is longer is meant to be for ever.
pub(super) fn days(text: &str) -> Result<u32, ()> {
    within(text, 1, 36_525)
}
