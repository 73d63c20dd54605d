//! Cells of digits, of a date and a clock, and in the spelling of ISO 8601.

use super::{
    DAY, SECOND,
    text::{self, Written, Zone},
};

/// A date's and a clock's cell as one text. A clock of digits has lost its leading zeros where it
/// was once a number.
pub(super) fn join(date: &[u8], clock: &[u8], clock_digits: usize, joined: &mut Vec<u8>) {
    joined.clear();
    joined.extend_from_slice(date);
    if clock.is_empty() {
        return;
    }
    joined.push(b' ');
    if all_digits(clock).is_some() {
        let width = match clock_digits {
            0..=4 => 4,
            5 | 6 => 6,
            other => other,
        };
        joined.resize(joined.len() + width.saturating_sub(clock.len()), b'0');
    }
    joined.extend_from_slice(clock);
}

pub(super) fn all_digits(cell: &[u8]) -> Option<(i64, usize)> {
    if cell.is_empty() || cell.len() > 19 {
        return None;
    }
    let mut value = 0_i64;
    for byte in cell {
        if !byte.is_ascii_digit() {
            return None;
        }
        value = value.checked_mul(10)?.checked_add(i64::from(byte - b'0'))?;
    }
    Some((value, cell.len()))
}

pub(super) fn decimal(mut value: u64, text: &mut [u8; 20]) -> &[u8] {
    let mut at = text.len();
    loop {
        at -= 1;
        text[at] = b'0' + (value % 10) as u8;
        value /= 10;
        if value == 0 {
            return &text[at..];
        }
    }
}

/// `2026-06-01`, with a clock `09:30:00` and a fraction or not, with `Z` or an offset or not: the way
/// in which most files write times, read fast.
#[inline]
pub(super) fn iso(cell: &[u8]) -> Option<Written<'static>> {
    if cell.len() < 10 || cell[4] != b'-' || cell[7] != b'-' {
        return None;
    }
    let two = |at: usize| -> Option<i64> {
        let (a, b) = (cell[at].wrapping_sub(b'0'), cell[at + 1].wrapping_sub(b'0'));
        (a < 10 && b < 10).then(|| i64::from(a * 10 + b))
    };
    let day = text::days(two(0)? * 100 + two(2)?, two(5)?, two(8)?)?;
    let date = day * DAY;
    if cell.len() == 10 {
        return Some(Written {
            civil: date,
            zone: Zone::Absent,
            has_clock: false,
        });
    }
    if cell.len() < 19 || !matches!(cell[10], b' ' | b'T') || cell[13] != b':' || cell[16] != b':' {
        return None;
    }
    let (hour, minute, second) = (two(11)?, two(14)?, two(17)?);
    if hour > 23 || minute > 59 || second > 59 {
        return None;
    }
    let mut civil = date + (hour * 3600 + minute * 60 + second) * SECOND;
    let mut rest = &cell[19..];
    if let [b'.', fraction @ ..] = rest {
        let mut scale = SECOND;
        let mut digits = 0;
        for byte in fraction {
            if !byte.is_ascii_digit() {
                break;
            }
            scale /= 10;
            civil += i64::from(byte - b'0') * scale;
            digits += 1;
        }
        if digits == 0 {
            return None;
        }
        rest = &fraction[digits..];
    }
    let zone = match rest {
        [] => Zone::Absent,
        b"Z" => Zone::Offset(0),
        [b'+' | b'-', ..] => Zone::Offset(text::offset(std::str::from_utf8(rest).ok()?)?),
        _ => return None,
    };
    Some(Written {
        civil,
        zone,
        has_clock: true,
    })
}
