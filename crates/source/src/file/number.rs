//! Numbers that are texts: one decimal sign for the file, decided from all of its numbers.
//!
//! Taken off before a number is read: currency signs, spaces, the signs that group thousands, a
//! percent sign; `K`, `M`, `B` behind it multiply, as investing.com writes volumes. What it does not
//! do: words for numbers, digits of other scripts.

use memchr::{memchr, memrchr};

use super::table::TextColumn;

/// The signs in the numbers of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Style {
    /// Before the fraction: `.` or `,`.
    pub decimal: u8,
}

impl Default for Style {
    fn default() -> Self {
        Self { decimal: b'.' }
    }
}

/// What the numbers of a file say about their signs.
#[derive(Clone, Debug, Default)]
pub struct NumberEvidence {
    /// Numbers that can only be read with a dot before the fraction.
    dot: u64,
    /// With a comma.
    comma: u64,
    /// `1,084`: a thousand and more, or one and a bit; the first of them.
    either: u64,
    either_first: String,
}

impl NumberEvidence {
    /// Takes in the cells of a column.
    pub fn see(&mut self, cells: &TextColumn) {
        if memchr(b',', &cells.bytes).is_none() {
            return;
        }
        for row in 0..cells.ends.len() {
            self.see_cell(cells.get(row));
        }
    }

    fn see_cell(&mut self, cell: &[u8]) {
        let (comma, dot) = (memrchr(b',', cell), memrchr(b'.', cell));
        let after = |at: usize| {
            cell[at + 1..]
                .iter()
                .take_while(|b| b.is_ascii_digit())
                .count()
        };
        match (comma, dot) {
            (Some(comma), Some(dot)) if comma < dot => self.dot += 1,
            (Some(_), Some(_)) => self.comma += 1,
            (Some(last), None) => {
                let before = cell[..last].iter().filter(|b| b.is_ascii_digit()).count();
                let first = cell.iter().find(|b| b.is_ascii_digit());
                if memchr(b',', cell) != Some(last) {
                    self.dot += 1;
                } else if after(last) != 3 || before > 3 || before == 0 || first == Some(&b'0') {
                    self.comma += 1;
                } else {
                    if self.either == 0 {
                        self.either_first =
                            String::from_utf8_lossy(cell).chars().take(32).collect();
                    }
                    self.either += 1;
                }
            }
            (None, Some(last)) if memchr(b'.', cell) != Some(last) => self.comma += 1,
            // With three digits behind it, a dot may group thousands.
            (None, Some(last)) if after(last) != 3 => self.dot += 1,
            _ => {}
        }
    }

    /// The style; `quoted_commas`: whether the cells are separated by commas, so that a number with one
    /// was put in quotes by a program that groups thousands.
    ///
    /// # Errors
    /// What cannot be decided, for a person.
    pub fn decide(&self, quoted_commas: bool) -> Result<Style, String> {
        let style = |decimal| Ok(Style { decimal });
        match (self.dot, self.comma, self.either) {
            (0, 0, 0) => style(b'.'),
            (_, 0, _) if self.dot > 0 => style(b'.'),
            (0, _, _) if self.comma > 0 => style(b','),
            (0, 0, _) if quoted_commas => style(b'.'),
            (0, 0, _) => Err(format!(
                "{:?} is a thousand and more with one decimal sign, and one and a bit with the other",
                self.either_first
            )),
            // A few stray cells do not outvote a file.
            (dot, comma, _) if dot >= comma.saturating_mul(20) => style(b'.'),
            (dot, comma, _) if comma >= dot.saturating_mul(20) => style(b','),
            _ => Err("some numbers have a decimal comma, others a decimal dot".into()),
        }
    }
}

/// Powers of ten that a double holds exactly.
const POWERS: [f64; 16] = [
    1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15,
];

impl Style {
    /// Reads a number; `None` when it is none, NaN when it is written so.
    #[inline]
    pub fn read(self, cell: &[u8]) -> Option<f64> {
        match self.short(cell) {
            Some(value) => Some(value),
            None => self.long(cell),
        }
    }

    /// Numbers of at most 15 digits without an exponent, which most are: integer and power of ten are
    /// exact in a double, so their quotient is the nearest double (Clinger, "How to read floating point
    /// numbers accurately", 1990).
    #[inline]
    fn short(self, cell: &[u8]) -> Option<f64> {
        let (negative, digits) = match cell {
            [b'-', rest @ ..] => (true, rest),
            rest => (false, rest),
        };
        if digits.is_empty() || digits.len() > 16 {
            return None;
        }
        let mut mantissa = 0_u64;
        let mut seen = 0;
        let mut fraction = None;
        for byte in digits {
            let digit = byte.wrapping_sub(b'0');
            if digit < 10 {
                mantissa = mantissa * 10 + u64::from(digit);
                seen += 1;
            } else if *byte == self.decimal && fraction.is_none() {
                fraction = Some(seen);
            } else {
                return None;
            }
        }
        if seen == 0 || seen > 15 {
            return None;
        }
        let value = mantissa as f64 / POWERS[fraction.map_or(0, |before| seen - before)];
        Some(if negative { -value } else { value })
    }

    #[cold]
    fn long(self, cell: &[u8]) -> Option<f64> {
        let text = std::str::from_utf8(cell).ok()?;
        let mut plain = String::with_capacity(text.len());
        let mut scale = 1.0;
        let mut chars = text.trim().chars().peekable();
        let mut has_digit = false;
        while let Some(c) = chars.next() {
            match c {
                '0'..='9' => {
                    has_digit = true;
                    plain.push(c);
                }
                '+' | '-' => plain.push(c),
                '.' | ',' if c as u8 == self.decimal => plain.push('.'),
                '.' | ',' => {
                    // It groups thousands: three digits follow.
                    let group = chars.clone().take_while(char::is_ascii_digit).count();
                    if !has_digit || group != 3 {
                        return None;
                    }
                }
                '\'' | '’' | ' ' | '\u{a0}' | '\u{202f}' if has_digit => {}
                '$' | '€' | '£' | '¥' | ' ' | '\u{a0}' => {}
                'e' | 'E' if has_digit && chars.peek().is_some() => plain.push('e'),
                'k' | 'K' if has_digit && chars.peek().is_none() => scale = 1e3,
                'm' | 'M' if has_digit && chars.peek().is_none() => scale = 1e6,
                'b' | 'B' if has_digit && chars.peek().is_none() => scale = 1e9,
                '%' if has_digit && chars.peek().is_none() => {}
                _ => return text.trim().parse::<f64>().ok(),
            }
        }
        if !has_digit {
            return None;
        }
        let value: f64 = plain.parse().ok()?;
        // 4.56M are 4,560,000 and not the nearest double beside it.
        Some(if scale > 1.0 {
            let exact = value * scale;
            if (exact - exact.round()).abs() < 1e-6 * exact.abs().max(1.0) {
                exact.round()
            } else {
                exact
            }
        } else {
            value
        })
    }
}

/// Whether a cell says that there is nothing: empty, `-`, `NA`, `null` and the like.
pub fn is_missing(cell: &[u8]) -> bool {
    match cell {
        [] | b"-" | b"." => true,
        _ if cell.len() > 6 => false,
        _ => ["na", "n/a", "nan", "null", "none", "nil", "<na>", "#n/a"]
            .iter()
            .any(|missing| cell.eq_ignore_ascii_case(missing.as_bytes())),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn evidence(cells: &[&str]) -> NumberEvidence {
        let mut column = TextColumn::default();
        cells.iter().for_each(|cell| column.push(cell.as_bytes()));
        let mut evidence = NumberEvidence::default();
        evidence.see(&column);
        evidence
    }

    #[test]
    fn the_decimal_sign_is_told_from_all_numbers_or_asked_for() {
        let decided = |cells: &[&str]| evidence(cells).decide(false).map(|style| style.decimal);
        assert_eq!(decided(&["1.240,00", "22.806"]), Ok(b','));
        assert_eq!(decided(&["1,234.50", "22,806"]), Ok(b'.'));
        assert_eq!(decided(&["101.5", "1,234,567"]), Ok(b'.'));
        assert_eq!(decided(&["1,5", "1.234.567"]), Ok(b','));
        assert_eq!(decided(&["0,123"]), Ok(b','));
        assert_eq!(decided(&["1.084", "1.085"]), Ok(b'.'));
        let asked = decided(&["1,084", "1,085"]).unwrap_err();
        assert!(asked.contains("1,084"), "{asked}");
        assert!(decided(&["1,5", "101.25"]).is_err());
        // In quotes between commas: who writes so groups thousands.
        assert_eq!(
            evidence(&["1,084"]).decide(true).map(|s| s.decimal),
            Ok(b'.')
        );
    }

    #[test]
    fn numbers_are_read_with_what_tools_put_around_them() {
        let dot = |cell: &str| Style::default().read(cell.as_bytes());
        for (cell, value) in [
            ("264.58", 264.58),
            ("$264.58", 264.58),
            ("-1.5", -1.5),
            ("1,234,567", 1_234_567.0),
            ("$1,234.50", 1_234.5),
            ("4.56M", 4_560_000.0),
            ("1.2B", 1_200_000_000.0),
            ("350.22K", 350_220.0),
            ("1e-3", 0.001),
            ("1E5", 100_000.0),
            ("+3", 3.0),
            ("0.1", 0.1),
            ("123456789012345678", 123_456_789_012_345_680.0),
            ("1 234.5", 1_234.5),
            ("1'234.5", 1_234.5),
            (".5", 0.5),
        ] {
            assert_eq!(dot(cell), Some(value), "{cell}");
        }
        let comma = |cell: &str| Style { decimal: b',' }.read(cell.as_bytes());
        assert_eq!(comma("1.240,50"), Some(1_240.5));
        assert_eq!(comma("22.806"), Some(22_806.0));
        assert_eq!(comma("1,084"), Some(1.084));
        for cell in ["", "x", "1.2.3", "$", "12,34.5", "1-2", "--1", "K", "1..2"] {
            assert_eq!(dot(cell), None, "{cell}");
        }
        assert!(dot("NaN").is_some_and(f64::is_nan));
    }

    #[test]
    fn a_cell_that_says_nothing_is_missing() {
        for cell in ["", "-", "NA", "n/a", "NaN", "null", "None"] {
            assert!(is_missing(cell.as_bytes()), "{cell:?}");
        }
        assert!(!is_missing(b"0") && !is_missing(b"-1"));
    }

    proptest! {
        #[test]
        fn every_double_is_read_as_the_standard_library_reads_it(x in any::<f64>(), y in -1e9..1e9_f64) {
            for value in [x, y, (y * 100.0).round() / 100.0] {
                let text = value.to_string();
                let read = Style::default().read(text.as_bytes());
                prop_assert_eq!(read.map(f64::to_bits), text.parse().ok().map(f64::to_bits));
            }
        }

        #[test]
        fn no_text_panics(cell in ".{0,24}") {
            let _ = Style::default().read(cell.as_bytes());
            let _ = Style { decimal: b',' }.read(cell.as_bytes());
            let _ = evidence(&[&cell]).decide(false);
        }
    }
}
