//! Times that are texts: what is written, before it is an instant.
//!
//! A text has a date, maybe a time of day, maybe a zone: `2026-06-01`, `20260601 093000`,
//! `01.06.2026 00:00:00.000 GMT+0300`, `Jun 01, 2026`, `20260701 09:30:00 US/Eastern`. Which of the
//! numbers of a date is the day and which the month is the caller's to say ([`Order`]).

/// The order of day, month and year in dates whose year does not stand first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Order {
    /// 31/12/2026.
    DayMonth,
    /// 12/31/2026.
    MonthDay,
}

/// The zone that a time is written with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Zone<'a> {
    /// None.
    Absent,
    /// Seconds east of UTC.
    Offset(i32),
    /// A name: `US/Eastern`.
    Named(&'a str),
}

/// A time as it is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Written<'a> {
    /// Microseconds from 1970-01-01T00:00 on the calendar and the clock that it is written in.
    pub civil: i64,
    /// The zone of both.
    pub zone: Zone<'a>,
    /// Whether there is a time of day.
    pub has_clock: bool,
}

const SECOND: i64 = 1_000_000;
const DAY: i64 = 86_400 * SECOND;

/// Days from 1970-01-01 to a date of the Gregorian calendar; `None` when there is no such day.
pub fn days(year: i64, month: i64, day: i64) -> Option<i64> {
    if !(1..=12).contains(&month) || !(1..=9999).contains(&year) || day < 1 {
        return None;
    }
    let leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    let length = match month {
        2 => 28 + i64::from(leap),
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    };
    if day > length {
        return None;
    }
    // Howard Hinnant's days_from_civil (chrono-compatible low-level date algorithms).
    let y = if month <= 2 { year - 1 } else { year };
    let era = y.div_euclid(400);
    let of_era = y - era * 400;
    let of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    Some(era * 146_097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719_468)
}

/// Reads a text. A text of digits alone is read by [`of_digits`].
pub fn read(text: &str, order: Order) -> Option<Written<'_>> {
    let text = text.trim();
    let (day, rest) = date(text, order)?;
    let rest = rest.trim_start_matches([' ', ',', '\t']);
    let after_t = rest.strip_prefix(['T', 't']).unwrap_or(rest);
    // IBKR writes 20260601-09:30:00.
    let clock_text = match after_t.strip_prefix('-') {
        Some(clock) if clock.contains(':') && clock.as_bytes()[0].is_ascii_digit() => clock,
        _ => after_t,
    };
    let starts_with_digit = clock_text
        .bytes()
        .next()
        .is_some_and(|b| b.is_ascii_digit());
    let (us, rest, has_clock) = if starts_with_digit {
        let (us, rest) = clock(clock_text)?;
        (us, rest, true)
    } else {
        (0, rest, false)
    };
    Some(Written {
        civil: day * DAY + us,
        zone: zone(rest.trim())?,
        has_clock,
    })
}

/// Reads a date and what stands behind it.
fn date(text: &str, order: Order) -> Option<(i64, &str)> {
    let (first, digits, rest) = number(text).unwrap_or((0, 0, text));
    if digits == 8 {
        return Some((of_ymd(first)?, rest));
    }
    if digits == 0 {
        // A weekday may stand before: Mon, 01 Jun 2026.
        let (word, rest) = word(text)?;
        if let Some(month) = month_of(word) {
            let (day, _, rest) = number(rest.trim_start_matches([' ', '-', '.', ',']))?;
            let (year, rest) = year(rest.trim_start_matches([' ', '-', ',', '.']))?;
            return Some((days(year, month, day)?, rest));
        }
        let is_weekday = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"]
            .iter()
            .any(|day| {
                word.len() >= 3 && word.is_char_boundary(3) && word[..3].eq_ignore_ascii_case(day)
            });
        let after = rest.trim_start_matches([' ', ',', '.']);
        return if is_weekday && after.len() < text.len() && !after.is_empty() {
            let (_, again, _) = number(after).unwrap_or((0, 0, ""));
            // One weekday is enough.
            if again == 0 && word_is_weekday(after) {
                return None;
            }
            date(after, order)
        } else {
            None
        };
    }
    let separator = rest.chars().next()?;
    if !matches!(separator, '-' | '/' | '.' | ' ') {
        return chinese(first, digits, rest);
    }
    let rest = rest[1..].trim_start_matches(' ');
    if let Some((name, rest)) = word(rest)
        && let Some(month) = month_of(name)
    {
        let rest = rest.trim_start_matches([separator, ' ', '.', ',']);
        return if digits == 4 {
            let (day, _, rest) = number(rest)?;
            Some((days(first, month, day)?, rest))
        } else {
            let (year, rest) = year(rest)?;
            Some((days(year, month, first)?, rest))
        };
    }
    if separator == ' ' {
        return None;
    }
    let (second, second_digits, rest) = number(rest)?;
    let rest = rest.strip_prefix(separator)?;
    if second_digits > 2 {
        return None;
    }
    if digits == 4 {
        let (third, third_digits, rest) = number(rest)?;
        return (third_digits <= 2)
            .then(|| days(first, second, third))
            .flatten()
            .map(|day| (day, rest));
    }
    if digits > 2 {
        return None;
    }
    let (year, rest) = year(rest)?;
    // Dots are written between day, month and year, in this order, wherever they are written.
    let (day, month) = match order {
        Order::MonthDay if separator != '.' => (second, first),
        _ => (first, second),
    };
    Some((days(year, month, day)?, rest))
}

/// 2026年06月01日.
fn chinese(year: i64, digits: usize, rest: &str) -> Option<(i64, &str)> {
    let rest = rest.strip_prefix('年').filter(|_| digits == 4)?;
    let (month, _, rest) = number(rest)?;
    let (day, _, rest) = number(rest.strip_prefix('月')?)?;
    Some((days(year, month, day)?, rest.strip_prefix('日')?))
}

fn word_is_weekday(text: &str) -> bool {
    word(text).is_some_and(|(word, _)| month_of(word).is_none())
}

fn of_ymd(ymd: i64) -> Option<i64> {
    days(ymd / 10_000, ymd / 100 % 100, ymd % 100)
}

/// A year of four digits, or of two: 70 to 99 are those of the last century.
fn year(text: &str) -> Option<(i64, &str)> {
    let (year, digits, rest) = number(text)?;
    match digits {
        4 => Some((year, rest)),
        2 => Some((year + if year < 70 { 2000 } else { 1900 }, rest)),
        _ => None,
    }
}

/// The digits that a text begins with, as a number, how many they are, and the rest.
fn number(text: &str) -> Option<(i64, usize, &str)> {
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    if digits == 0 || digits > 18 {
        return None;
    }
    let value = text.as_bytes()[..digits]
        .iter()
        .fold(0, |value, digit| value * 10 + i64::from(digit - b'0'));
    Some((value, digits, &text[digits..]))
}

fn word(text: &str) -> Option<(&str, &str)> {
    let end = text
        .find(|c: char| !c.is_alphabetic())
        .unwrap_or(text.len());
    (end > 0).then(|| text.split_at(end))
}

const MONTHS: [&str; 12] = [
    "january",
    "february",
    "march",
    "april",
    "may",
    "june",
    "july",
    "august",
    "september",
    "october",
    "november",
    "december",
];

/// The month of an English name, whole or of three letters or more.
fn month_of(name: &str) -> Option<i64> {
    if name.len() < 3 || !name.is_ascii() {
        return None;
    }
    let at = MONTHS.iter().position(|month| {
        month.len() >= name.len() && month[..name.len()].eq_ignore_ascii_case(name)
            || *month == "september" && name.eq_ignore_ascii_case("sept")
    })?;
    Some(at as i64 + 1)
}

/// A time of day in microseconds, and what stands behind it.
pub fn clock(text: &str) -> Option<(i64, &str)> {
    let (hour, digits, rest) = number(text)?;
    let (hour, minute, second, rest) = match rest.strip_prefix(':') {
        Some(rest) if digits <= 2 => {
            let (minute, minute_digits, rest) = number(rest)?;
            if minute_digits != 2 {
                return None;
            }
            match rest.strip_prefix(':') {
                Some(rest) => {
                    let (second, second_digits, rest) = number(rest)?;
                    if second_digits != 2 {
                        return None;
                    }
                    (hour, minute, second, rest)
                }
                None => (hour, minute, 0, rest),
            }
        }
        Some(_) => return None,
        None => {
            // 093000, 0930; 093000123 with milliseconds, as HistData writes ticks.
            let (hms, fraction) = match digits {
                3 | 4 => (hour * 100, 0),
                5 | 6 => (hour, 0),
                9 => (hour / 1_000, hour % 1_000 * 1_000),
                12 => (hour / 1_000_000, hour % 1_000_000),
                _ => return None,
            };
            let us = of_hms(hms / 10_000, hms / 100 % 100, hms % 100)? + fraction;
            return Some(with_fraction(us, rest));
        }
    };
    let (us, rest) = with_fraction(of_hms(hour, minute, second)?, rest);
    let trimmed = rest.trim_start();
    let half = trimmed.get(..2).map(str::to_ascii_lowercase);
    let ends = trimmed
        .as_bytes()
        .get(2)
        .is_none_or(|b| !b.is_ascii_alphabetic());
    match half.as_deref() {
        Some("am" | "pm") if !(1..=12).contains(&hour) => None,
        Some("am") if ends => Some((
            us - i64::from(hour == 12) * 12 * 3600 * SECOND,
            &trimmed[2..],
        )),
        Some("pm") if ends => Some((
            us + i64::from(hour != 12) * 12 * 3600 * SECOND,
            &trimmed[2..],
        )),
        _ => Some((us, rest)),
    }
}

fn of_hms(hour: i64, minute: i64, second: i64) -> Option<i64> {
    // A leap second counts as the one before.
    (hour < 24 && minute < 60 && second <= 60)
        .then(|| (hour * 3600 + minute * 60 + second.min(59)) * SECOND)
}

/// Adds the fraction of a second that stands behind a dot, cut to microseconds.
fn with_fraction(us: i64, rest: &str) -> (i64, &str) {
    let Some(fraction) = rest.strip_prefix(['.', ',']) else {
        return (us, rest);
    };
    let digits = fraction.bytes().take_while(u8::is_ascii_digit).count();
    if digits == 0 {
        return (us, rest);
    }
    let mut scale = SECOND;
    let mut add = 0;
    for digit in &fraction.as_bytes()[..digits.min(6)] {
        scale /= 10;
        add += i64::from(digit - b'0') * scale;
    }
    (us + add, &fraction[digits..])
}

/// A zone: `Z`, `UTC`, `+02:00`, `GMT+0300`, `EST`, `US/Eastern`, an offset with a name in brackets.
fn zone(text: &str) -> Option<Zone<'_>> {
    if text.is_empty() {
        return Some(Zone::Absent);
    }
    // 2026-03-05T00:00:00-05:00[America/New_York]: the offset is what is meant.
    let text = match text.split_once('[') {
        Some(("", name)) => return named(name.strip_suffix(']')?),
        Some((offset, name)) if name.ends_with(']') => offset,
        _ => text,
    };
    if let Some(offset) = offset(text) {
        return Some(Zone::Offset(offset));
    }
    let upper = text.to_ascii_uppercase();
    match upper.as_str() {
        "Z" | "UTC" | "GMT" => return Some(Zone::Offset(0)),
        "EST" => return Some(Zone::Offset(-5 * 3600)),
        "EDT" => return Some(Zone::Offset(-4 * 3600)),
        "CDT" => return Some(Zone::Offset(-5 * 3600)),
        "PST" => return Some(Zone::Offset(-8 * 3600)),
        "PDT" => return Some(Zone::Offset(-7 * 3600)),
        "JST" => return Some(Zone::Offset(9 * 3600)),
        "CET" => return Some(Zone::Offset(3600)),
        "CEST" => return Some(Zone::Offset(2 * 3600)),
        _ => {}
    }
    if upper.starts_with("GMT") || upper.starts_with("UTC") {
        return offset(text[3..].trim_start()).map(Zone::Offset);
    }
    named(text)
}

fn named(name: &str) -> Option<Zone<'_>> {
    let plain = name
        .bytes()
        .all(|b| b.is_ascii_alphanumeric() || b"/_+-".contains(&b));
    (plain && name.len() <= 64).then_some(Zone::Named(name))
}

/// `+02:00`, `+0200`, `+02`, `-5`, in seconds.
pub fn offset(text: &str) -> Option<i32> {
    let (sign, digits) = match text.as_bytes().first()? {
        b'+' => (1, &text[1..]),
        b'-' => (-1, &text[1..]),
        _ => return None,
    };
    let (hours, minutes, seconds) = match digits.split_once(':') {
        Some((hours, minutes)) => match minutes.split_once(':') {
            Some((minutes, seconds)) => (two(hours)?, two(minutes)?, two(seconds)?),
            None => (two(hours)?, two(minutes)?, 0),
        },
        None if digits.len() == 4 => (two(digits.get(..2)?)?, two(digits.get(2..)?)?, 0),
        None => (two(digits)?, 0, 0),
    };
    (hours <= 18 && minutes < 60 && seconds < 60)
        .then(|| sign * (hours * 3600 + minutes * 60 + seconds))
}

fn two(text: &str) -> Option<i32> {
    let fits = (1..=2).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_digit());
    fits.then(|| text.parse().ok()).flatten()
}

/// A calendar time of digits alone: `20260601`, `202606010930`, `20260601093000`,
/// `20260601093000123`. Years 1900 to 2100.
pub fn of_digits(value: i64, digits: usize) -> Option<Written<'static>> {
    let (date, us) = match digits {
        8 => (value, 0),
        12 => {
            let hm = value % 10_000;
            (value / 10_000, of_hms(hm / 100, hm % 100, 0)?)
        }
        14 | 17 => {
            let (value, millis) = if digits == 17 {
                (value / 1_000, value % 1_000)
            } else {
                (value, 0)
            };
            let hms = value % 1_000_000;
            let us = of_hms(hms / 10_000, hms / 100 % 100, hms % 100)?;
            (value / 1_000_000, us + millis * 1_000)
        }
        _ => return None,
    };
    if !(1900..=2100).contains(&(date / 10_000)) {
        return None;
    }
    Some(Written {
        civil: of_ymd(date)? * DAY + us,
        zone: Zone::Absent,
        has_clock: digits > 8,
    })
}

#[cfg(test)]
mod tests;
