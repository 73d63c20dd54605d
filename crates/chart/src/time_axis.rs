//! Times on an axis where bars stand side by side, whatever the time between them.
//!
//! Model: from a ladder of calendar steps (1 s to 100 years) the finest one is taken whose labels
//! fit; a label stands at each bar that begins a new step. A bar that begins a day, or a year, says
//! so instead of its time and wins against its neighbours where they would overlap.
//!
//! What it does not do: know time zones. The caller's offset from UTC is added to every time.

use market::{Interval, Timestamp};

use crate::surface::{FONT_PX, text_width_px};

const MONTHS: [&str; 12] = [
    "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec",
];

/// A label and the index of its bar.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct TimeTick {
    pub index: usize,
    pub label: String,
    /// Begins a longer period than its neighbours.
    pub major: bool,
}

/// Labels for points that have a number in place of a time, as far apart as the longest needs.
pub(crate) fn number_ticks(numbers: &[Timestamp], slot_px: f64) -> Vec<TimeTick> {
    let label = |n: &Timestamp| n.as_micros().to_string();
    let widest = numbers
        .iter()
        .map(|n| text_width_px(&label(n), FONT_PX))
        .fold(0.0, f64::max);
    // At least one point per label, and a little air between two.
    let every = ((widest + 16.0) / slot_px.max(1e-6)).ceil().clamp(1.0, 1e9) as usize;
    let marked = numbers.iter().enumerate().step_by(every);
    marked
        .map(|(index, n)| TimeTick {
            index,
            label: label(n),
            major: false,
        })
        .collect()
}

/// A moment on the clock of the labels.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Civil {
    pub year: i64,
    /// 1 to 12.
    pub month: i64,
    /// 1 to 31.
    pub day: i64,
    /// Since 1970-01-01.
    pub days: i64,
    pub second_of_day: i64,
}

impl Civil {
    pub(crate) fn new(ts: Timestamp, utc_offset_minutes: i32) -> Self {
        // Saturated far outside the years that can be written, where only "no panic" matters.
        let seconds = ts
            .as_secs()
            .saturating_add(i64::from(utc_offset_minutes) * 60);
        let days = seconds.div_euclid(86_400);
        // Count from 0000-03-01, so that the leap day ends the year: 400 years have 146,097 days.
        let since_march = days + 719_468;
        let era = since_march.div_euclid(146_097);
        let day_of_era = since_march.rem_euclid(146_097);
        // Every 4th year has a day more, every 100th has not, the 400th has.
        let year_of_era =
            (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
        let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
        // Five months from March have 153 days, as have the next five.
        let month_from_march = (5 * day_of_year + 2) / 153;
        let day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
        let month = (month_from_march + 2) % 12 + 1;
        Self {
            year: era * 400 + year_of_era + i64::from(month <= 2),
            month,
            day,
            days,
            second_of_day: seconds.rem_euclid(86_400),
        }
    }

    fn month_name(&self) -> &'static str {
        MONTHS
            .get(usize::try_from(self.month - 1).unwrap_or(0))
            .copied()
            .unwrap_or("")
    }

    pub(crate) fn date(&self) -> String {
        format!("{} {} {}", self.day, self.month_name(), self.year)
    }

    fn clock(&self, seconds: bool) -> String {
        let s = self.second_of_day;
        let (h, m, s) = (s / 3_600, s / 60 % 60, s % 60);
        if seconds {
            format!("{h:02}:{m:02}:{s:02}")
        } else {
            format!("{h:02}:{m:02}")
        }
    }
}

/// The start of a bar as the charts write it: `1 Mar 2013`, `1 Mar 2013 14:30`, `… 14:30:05`.
pub fn format_time(ts: Timestamp, interval: Interval, utc_offset_minutes: i32) -> String {
    let civil = Civil::new(ts, utc_offset_minutes);
    match interval {
        Interval::D1 => civil.date(),
        _ => format!("{} {}", civil.date(), civil.clock(interval == Interval::S1)),
    }
}

/// The name of the labels' clock: `UTC`, `UTC+2`, `UTC−3:30`.
pub(crate) fn clock_name(utc_offset_minutes: i32) -> String {
    if utc_offset_minutes == 0 {
        return "UTC".into();
    }
    let sign = if utc_offset_minutes < 0 { '−' } else { '+' };
    let minutes = utc_offset_minutes.unsigned_abs();
    match (minutes / 60, minutes % 60) {
        (h, 0) => format!("UTC{sign}{h}"),
        (h, m) => format!("UTC{sign}{h}:{m:02}"),
    }
}

#[derive(Clone, Copy, PartialEq)]
enum Step {
    Seconds(i64),
    Days(i64),
    Weeks,
    Months(i64),
    Years(i64),
}

const LADDER: [Step; 30] = [
    Step::Seconds(1),
    Step::Seconds(5),
    Step::Seconds(10),
    Step::Seconds(15),
    Step::Seconds(30),
    Step::Seconds(60),
    Step::Seconds(120),
    Step::Seconds(300),
    Step::Seconds(600),
    Step::Seconds(900),
    Step::Seconds(1_800),
    Step::Seconds(3_600),
    Step::Seconds(7_200),
    Step::Seconds(10_800),
    Step::Seconds(21_600),
    Step::Seconds(43_200),
    Step::Days(1),
    Step::Days(2),
    Step::Weeks,
    Step::Months(1),
    Step::Months(2),
    Step::Months(3),
    Step::Months(6),
    Step::Years(1),
    Step::Years(2),
    Step::Years(5),
    Step::Years(10),
    Step::Years(20),
    Step::Years(50),
    Step::Years(100),
];

impl Step {
    fn bucket(self, c: &Civil) -> i64 {
        match self {
            Self::Seconds(n) => (c.days * 86_400 + c.second_of_day).div_euclid(n),
            Self::Days(n) => c.days.div_euclid(n),
            // 1970-01-01 was a Thursday; weeks begin on Mondays.
            Self::Weeks => (c.days + 3).div_euclid(7),
            Self::Months(n) => (c.year * 12 + c.month - 1).div_euclid(n),
            Self::Years(n) => c.year.div_euclid(n),
        }
    }

    fn at_least(self, interval: Interval) -> bool {
        match self {
            Self::Seconds(n) => n * 1_000_000 >= interval.micros(),
            _ => true,
        }
    }

    /// The label of a bar that follows one at `before`, and whether it begins a longer period.
    fn label(self, c: &Civil, before: Option<&Civil>, interval: Interval) -> (String, bool) {
        let new_year = before.is_some_and(|b| b.year != c.year);
        let new_day = before.is_some_and(|b| b.days != c.days);
        match self {
            Self::Seconds(_) if new_day => (format!("{} {}", c.day, c.month_name()), true),
            Self::Seconds(_) => (c.clock(interval == Interval::S1), false),
            Self::Years(_) => (c.year.to_string(), false),
            _ if new_year => (c.year.to_string(), true),
            Self::Days(_) | Self::Weeks => (format!("{} {}", c.day, c.month_name()), false),
            Self::Months(_) => (c.month_name().into(), false),
        }
    }

    fn label_px(self, interval: Interval) -> f64 {
        let widest = match self {
            Self::Seconds(_) if interval == Interval::S1 => "00:00:00",
            Self::Seconds(_) | Self::Years(_) => "00:00",
            Self::Days(_) | Self::Weeks => "30 Sep",
            Self::Months(_) => "Mar",
        };
        text_width_px(widest, FONT_PX)
    }
}

/// Space between two labels in CSS pixels.
const GAP_PX: f64 = 16.0;

/// The labels of an axis whose `times` stand `slot_px` apart, in order of index. None overlaps
/// another or passes an end of the axis, which lies `room_px` before the first and after the last.
pub(crate) fn time_ticks(
    times: &[Timestamp],
    interval: Interval,
    utc_offset_minutes: i32,
    slot_px: f64,
    room_px: (f64, f64),
) -> Vec<TimeTick> {
    let civil: Vec<Civil> = times
        .iter()
        .map(|ts| Civil::new(*ts, utc_offset_minutes))
        .collect();
    let before = |i: usize| i.checked_sub(1).and_then(|i| civil.get(i));
    let axis_px = slot_px * times.len() as f64;
    let mut best: Option<(Step, Vec<usize>)> = None;
    for step in LADDER.into_iter().filter(|s| s.at_least(interval)) {
        let starts: Vec<usize> = (1..civil.len())
            .filter(|i| step.bucket(&civil[*i]) != step.bucket(&civil[*i - 1]))
            .collect();
        if starts.is_empty() {
            break;
        }
        let fits = starts.len() as f64 * (step.label_px(interval) + GAP_PX) <= axis_px;
        best = Some((step, starts));
        if fits {
            break;
        }
    }
    let (step, starts) = match best {
        Some(best) => best,
        // One bar, or bars of one moment.
        None if !times.is_empty() => {
            let step = if interval == Interval::D1 {
                Step::Days(1)
            } else {
                Step::Seconds(1)
            };
            (step, vec![0])
        }
        None => return Vec::new(),
    };
    let mut candidates: Vec<TimeTick> = starts
        .into_iter()
        .map(|index| {
            let (label, major) = step.label(&civil[index], before(index), interval);
            TimeTick {
                index,
                label,
                major,
            }
        })
        .collect();
    // Those that begin a longer period choose their place first.
    candidates.sort_by_key(|t| (!t.major, t.index));
    let mut placed: Vec<(f64, f64, TimeTick)> = Vec::new();
    let (left, right) = (-room_px.0, axis_px - slot_px + room_px.1);
    for tick in candidates {
        let half = text_width_px(&tick.label, FONT_PX) / 2.0;
        let x = tick.index as f64 * slot_px;
        let (from, to) = (x - half, x + half);
        let free = placed
            .iter()
            .all(|(f, t, _)| to + GAP_PX / 2.0 <= *f || from - GAP_PX / 2.0 >= *t);
        if free && from >= left && to <= right {
            placed.push((from, to, tick));
        }
    }
    placed.sort_by_key(|(_, _, t)| t.index);
    placed.into_iter().map(|(_, _, t)| t).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ts(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    #[test]
    fn the_calendar_agrees_with_jiff_on_every_day_of_800_years() {
        for day in -200_000..92_000i64 {
            let at = Timestamp::from_secs(day * 86_400 + 3_661);
            let c = Civil::new(at, 0);
            let text = at.to_string();
            let digits = text.trim_start_matches('-');
            assert!(
                digits.ends_with(&format!("-{:02}-{:02}T01:01:01Z", c.month, c.day)),
                "{text} {c:?}"
            );
            assert!(text.starts_with(&format!("{:04}-", c.year)), "{text} {c:?}");
        }
    }

    #[test]
    fn times_are_written_by_interval_and_offset() {
        let at = ts("2013-03-01T23:30:05Z");
        assert_eq!(format_time(at, Interval::D1, 0), "1 Mar 2013");
        assert_eq!(format_time(at, Interval::M1, 0), "1 Mar 2013 23:30");
        assert_eq!(format_time(at, Interval::S1, 60), "2 Mar 2013 00:30:05");
        assert_eq!(clock_name(-210), "UTC−3:30");
        assert_eq!(clock_name(120), "UTC+2");
    }

    fn labels(start: &str, interval: Interval, n: u32, slot_px: f64) -> Vec<String> {
        let start = ts(start);
        let times: Vec<_> = (0..n).map(|i| interval.step_after(start, i)).collect();
        time_ticks(&times, interval, 0, slot_px, (0.0, 0.0))
            .into_iter()
            .map(|t| t.label)
            .collect()
    }

    #[test]
    fn a_year_of_days_is_labelled_by_months() {
        let labels = labels("2012-03-01", Interval::D1, 260, 3.0);
        assert_eq!(
            labels,
            [
                "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec", "2013", "Feb"
            ]
        );
    }

    #[test]
    fn two_minutes_of_seconds_are_labelled_by_the_clock() {
        let labels = labels("2024-05-06T10:00:00Z", Interval::S1, 120, 6.0);
        assert_eq!(labels[0], "10:00:15");
        assert_eq!(labels[1], "10:00:30");
    }

    #[test]
    fn midnight_shows_the_date() {
        let labels = labels("2024-05-06T22:00:00Z", Interval::M1, 240, 3.0);
        assert!(labels.contains(&"7 May".to_owned()), "{labels:?}");
        assert!(labels.contains(&"23:00".to_owned()), "{labels:?}");
    }

    #[test]
    fn one_bar_has_its_label() {
        let at = ts("2024-05-06T22:00:00Z");
        let ticks = time_ticks(&[at], Interval::D1, 0, 20.0, (100.0, 100.0));
        assert_eq!(ticks[0].label, "6 May");
    }
}
