//! Splits a message into the bytes of its rows, and finds its feet again after broken ones.
//!
//! A row's end is found by matching brackets outside strings; whether what lies between is JSON is
//! for the parser of rows. In NDJSON a row that is not closed on its line is tried as a row over
//! several lines (an indented object); when that is no JSON either, the line alone is broken and the
//! next line is a new start. In an array there is no such border: after an unclosed row the rest of
//! the message is one broken piece.

/// A row over several lines is looked for in at most this many bytes.
const MAX_SPREAD: usize = 65_536;

/// Looking in vain for rows over several lines may cost so many times the length of the message, so that a
/// message of broken lines takes linear time: after that a row is what stands on its line.
const VAIN_LOOKS: usize = 4;

/// A part of a message.
#[derive(Debug, PartialEq)]
pub enum Piece<'a> {
    /// The bytes of one row: brackets match, no more is known.
    Row(&'a [u8]),
    /// Bytes that are no row.
    Broken {
        /// The bytes.
        bytes: &'a [u8],
        /// What is wrong with them.
        detail: String,
    },
}

/// The pieces of a message in order.
pub fn rows(message: &[u8]) -> Rows<'_> {
    let message = message.strip_prefix(b"\xef\xbb\xbf").unwrap_or(message);
    let mut rows = Rows {
        message,
        at: 0,
        line_end: 0,
        looks: MAX_SPREAD + VAIN_LOOKS * message.len(),
        mode: Mode::Lines,
    };
    rows.skip_space();
    if rows.peek() == Some(b'[') {
        rows.at += 1;
        rows.mode = Mode::Array { first: true };
    }
    rows
}

#[derive(Clone, Copy)]
enum Mode {
    Lines,
    Array { first: bool },
    Done,
}

/// An iterator over the pieces of a message.
pub struct Rows<'a> {
    message: &'a [u8],
    at: usize,
    /// Where the line ends that was looked at last: rows that share a line must not each look for its end.
    line_end: usize,
    /// Bytes that may still be looked at in vain.
    looks: usize,
    mode: Mode,
}

impl<'a> Rows<'a> {
    fn peek(&self) -> Option<u8> {
        self.message.get(self.at).copied()
    }

    fn skip_space(&mut self) {
        while self.peek().is_some_and(|b| b.is_ascii_whitespace()) {
            self.at += 1;
        }
    }

    fn rest(&mut self, from: usize, what: &str) -> Option<Piece<'a>> {
        self.mode = Mode::Done;
        self.at = self.message.len();
        Some(Piece::Broken {
            bytes: &self.message[from..],
            detail: format!("{what} at byte {from}"),
        })
    }

    fn next_in_array(&mut self, first: bool) -> Option<Piece<'a>> {
        self.skip_space();
        match self.peek() {
            None => return self.rest(self.at, "the array is cut off"),
            Some(b']') => {
                self.at += 1;
                self.skip_space();
                self.mode = Mode::Done;
                if self.at < self.message.len() {
                    return self.rest(self.at, "there is more after the array");
                }
                return None;
            }
            Some(b',') if !first => {
                self.at += 1;
                self.skip_space();
            }
            Some(_) if first => {}
            Some(_) => return self.rest(self.at, "expected a comma or the end of the array"),
        }
        self.mode = Mode::Array { first: false };
        let start = self.at;
        match end_of_value(&self.message[start..]) {
            Some(len) if len > 0 => {
                self.at = start + len;
                Some(Piece::Row(&self.message[start..self.at]))
            }
            Some(_) if self.peek().is_some() => self.rest(start, "expected a row"),
            _ => self.rest(start, "the message is cut off in the row"),
        }
    }

    /// The row over several lines that `rest` begins with, if there is one.
    fn spread(&mut self, rest: &'a [u8]) -> Option<&'a [u8]> {
        let looked_at = rest.len().min(MAX_SPREAD);
        if looked_at > self.looks {
            return None;
        }
        let row = end_of_value(&rest[..looked_at])
            .map(|len| &rest[..len])
            .filter(|row| serde_json::from_slice::<serde::de::IgnoredAny>(row).is_ok());
        if row.is_none() {
            self.looks -= looked_at;
        }
        row
    }

    fn next_line(&mut self) -> Option<Piece<'a>> {
        self.skip_space();
        let start = self.at;
        let rest = &self.message[start..];
        if rest.is_empty() {
            self.mode = Mode::Done;
            return None;
        }
        if self.line_end <= start {
            let length = rest.iter().position(|b| *b == b'\n');
            self.line_end = length.map_or(self.message.len(), |length| start + length);
        }
        let line = &self.message[start..self.line_end];
        if rest[0] != b'{' && rest[0] != b'[' {
            self.at = start + line.len();
            return Some(Piece::Broken {
                bytes: line.trim_ascii_end(),
                detail: "expected a JSON object".into(),
            });
        }
        if let Some(len) = end_of_value(line) {
            self.at = start + len;
            return Some(Piece::Row(&rest[..len]));
        }
        if let Some(row) = self.spread(rest) {
            self.at = start + row.len();
            return Some(Piece::Row(row));
        }
        self.at = start + line.len();
        Some(Piece::Broken {
            bytes: line.trim_ascii_end(),
            detail: format!("the row is cut off; it begins at byte {start}"),
        })
    }
}

impl<'a> Iterator for Rows<'a> {
    type Item = Piece<'a>;

    fn next(&mut self) -> Option<Piece<'a>> {
        match self.mode {
            Mode::Lines => self.next_line(),
            Mode::Array { first } => self.next_in_array(first),
            Mode::Done => None,
        }
    }
}

/// The length of the value that `bytes` begins with; `None` when it is cut off. A value that is no
/// object or array ends at the next comma, closing bracket or line end.
fn end_of_value(bytes: &[u8]) -> Option<usize> {
    let mut depth = 0usize;
    let mut at = 0;
    while at < bytes.len() {
        match bytes[at] {
            b'"' => {
                at += 1;
                loop {
                    match bytes.get(at)? {
                        b'"' => break,
                        b'\\' => at += 2,
                        _ => at += 1,
                    }
                }
                if depth == 0 {
                    return Some(at + 1);
                }
            }
            b'{' | b'[' => depth += 1,
            b'}' | b']' => {
                if depth == 0 {
                    return Some(at);
                }
                depth -= 1;
                if depth == 0 {
                    return Some(at + 1);
                }
            }
            b',' | b'\n' if depth == 0 => return Some(at),
            _ => {}
        }
        at += 1;
    }
    None
}
