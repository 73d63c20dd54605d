//! Splits a stream of JSON into its rows: the elements of one array, or values one after the other
//! (JSON lines).
//!
//! Model: a row's end is found by matching brackets outside strings; whether what lies between is JSON
//! is for the parser of rows. Linear in the bytes, whatever they are, and never more of them in memory
//! than the longest row that is taken.
//!
//! What it does not do: rows within an object (`{"data": [...]}`).

use std::io::Read;

/// The longest row that is taken.
const MAX_ROW: usize = 1 << 20;
const CHUNK: usize = 256 << 10;

/// Reads rows.
pub struct Rows<R> {
    from: R,
    buffer: Vec<u8>,
    /// The first byte that is not handed on yet.
    at: usize,
    ended: bool,
    mode: Mode,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Mode {
    Start,
    Array,
    Lines,
    Done,
}

/// What stands next in the stream.
#[derive(Debug, PartialEq, Eq)]
pub enum Next<'a> {
    /// A row, in brackets that match.
    Row(&'a [u8]),
    /// Bytes that are no row, or the first of them; nothing comes after.
    Broken(&'a [u8], &'static str),
    /// Nothing more.
    End,
}

impl<R: Read> Rows<R> {
    /// Of a stream of bytes.
    pub fn new(from: R) -> Self {
        Self {
            from,
            buffer: Vec::new(),
            at: 0,
            ended: false,
            mode: Mode::Start,
        }
    }

    /// The next row.
    ///
    /// # Errors
    /// The stream's.
    pub fn next_row(&mut self) -> std::io::Result<Next<'_>> {
        if self.mode == Mode::Start {
            self.start()?;
        }
        if self.mode == Mode::Done {
            return Ok(Next::End);
        }
        let in_array = self.mode == Mode::Array;
        let found = self.skip(|b| b.is_ascii_whitespace() || (in_array && b == b','))?;
        match found {
            None if in_array => return Ok(self.broken("the file is cut off: its array has no end")),
            None => {
                self.mode = Mode::Done;
                return Ok(Next::End);
            }
            Some(b']') if in_array => {
                self.at += 1;
                let more = self.skip(|b| b.is_ascii_whitespace())?.is_some();
                if more {
                    return Ok(self.broken("there is more after the array"));
                }
                self.mode = Mode::Done;
                return Ok(Next::End);
            }
            Some(b'{' | b'[') => {}
            Some(_) => return Ok(self.broken("expected an object or an array")),
        }
        let mut scan = Brackets::default();
        let mut seen = self.at;
        loop {
            if let Some(end) = scan.end(&self.buffer[seen..]) {
                let row = self.at..seen + end;
                self.at = row.end;
                return Ok(Next::Row(&self.buffer[row]));
            }
            let len = self.buffer.len() - self.at;
            if len > MAX_ROW {
                return Ok(self.broken("the row is longer than 1 MiB"));
            }
            if !self.fill()? {
                return Ok(self.broken("the file is cut off in the row"));
            }
            seen = self.at + len;
        }
    }

    fn start(&mut self) -> std::io::Result<()> {
        while self.buffer.len() < 3 && self.fill()? {}
        if self.buffer.starts_with(b"\xef\xbb\xbf") {
            self.at = 3;
        }
        self.skip(|b| b.is_ascii_whitespace())?;
        // Lines of arrays look like an array of numbers at first: only one of rows is split.
        self.mode = if self.peek_array()? {
            self.at += 1;
            Mode::Array
        } else {
            Mode::Lines
        };
        Ok(())
    }

    /// Whether an array of rows begins here.
    fn peek_array(&mut self) -> std::io::Result<bool> {
        loop {
            let mut inner = self.buffer[self.at..]
                .iter()
                .filter(|b| !b.is_ascii_whitespace());
            match (inner.next(), inner.next()) {
                (Some(b'['), Some(second)) => return Ok(matches!(second, b'[' | b'{' | b']')),
                (Some(b'[') | None, None) => {}
                _ => return Ok(false),
            }
            if !self.fill()? {
                return Ok(false);
            }
        }
    }

    fn broken(&mut self, detail: &'static str) -> Next<'_> {
        self.mode = Mode::Done;
        Next::Broken(&self.buffer[self.at..], detail)
    }

    /// Passes over bytes; the first that is not to be passed over, or `None` at the end.
    fn skip(&mut self, over: impl Fn(u8) -> bool) -> std::io::Result<Option<u8>> {
        loop {
            let rest = &self.buffer[self.at..];
            match rest.iter().position(|b| !over(*b)) {
                Some(n) => {
                    self.at += n;
                    return Ok(Some(self.buffer[self.at]));
                }
                None => self.at = self.buffer.len(),
            }
            if !self.fill()? {
                return Ok(None);
            }
        }
    }

    /// Reads more behind what is left; whether there was more.
    fn fill(&mut self) -> std::io::Result<bool> {
        if self.ended {
            return Ok(false);
        }
        self.buffer.drain(..self.at);
        self.at = 0;
        let len = self.buffer.len();
        self.buffer.resize(len + CHUNK, 0);
        let read = loop {
            match self.from.read(&mut self.buffer[len..]) {
                Err(e) if e.kind() == std::io::ErrorKind::Interrupted => {}
                read => break read?,
            }
        };
        self.buffer.truncate(len + read);
        self.ended = read == 0;
        Ok(read > 0)
    }
}

/// Where a value in brackets ends, over several pieces of it.
#[derive(Default)]
struct Brackets {
    depth: usize,
    in_text: bool,
    escaped: bool,
}

impl Brackets {
    /// The length up to the end of the value, if it is in this piece.
    fn end(&mut self, piece: &[u8]) -> Option<usize> {
        for (at, b) in piece.iter().enumerate() {
            if self.in_text {
                match b {
                    _ if self.escaped => self.escaped = false,
                    b'\\' => self.escaped = true,
                    b'"' => self.in_text = false,
                    _ => {}
                }
                continue;
            }
            match b {
                b'"' => self.in_text = true,
                b'{' | b'[' => self.depth += 1,
                b'}' | b']' => {
                    self.depth = self.depth.saturating_sub(1);
                    if self.depth == 0 {
                        return Some(at + 1);
                    }
                }
                _ => {}
            }
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A stream that comes byte by byte.
    struct Drop<'a>(&'a [u8]);

    impl Read for Drop<'_> {
        fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
            let n = self.0.len().min(1);
            buffer[..n].copy_from_slice(&self.0[..n]);
            self.0 = &self.0[n..];
            Ok(n)
        }
    }

    fn all(from: impl Read) -> (Vec<String>, Option<&'static str>) {
        let mut rows = Rows::new(from);
        let mut found = Vec::new();
        loop {
            match rows.next_row().unwrap() {
                Next::Row(row) => found.push(String::from_utf8(row.to_vec()).unwrap()),
                Next::Broken(_, detail) => return (found, Some(detail)),
                Next::End => return (found, None),
            }
        }
    }

    #[test]
    fn rows_are_found_in_arrays_and_lines_however_the_bytes_come() {
        for (text, expected) in [
            ("[[1,2],[3,4]]", vec!["[1,2]", "[3,4]"]),
            (
                " [\n {\"a\": \"]}\\\"\"} ,\n{} ]\n",
                vec!["{\"a\": \"]}\\\"\"}", "{}"],
            ),
            (
                "{\"a\":1}\n{\"a\":[2]}\n\n",
                vec!["{\"a\":1}", "{\"a\":[2]}"],
            ),
            ("[1,2]\n[3,4]\n", vec!["[1,2]", "[3,4]"]),
            ("\u{feff}{\n\"a\":1}", vec!["{\n\"a\":1}"]),
            ("[]", vec![]),
            ("", vec![]),
        ] {
            assert_eq!(
                all(text.as_bytes()),
                (expected.iter().map(|t| (*t).to_owned()).collect(), None),
                "{text}"
            );
            assert_eq!(all(Drop(text.as_bytes())), all(text.as_bytes()), "{text}");
        }
    }

    #[test]
    fn what_is_cut_off_or_no_row_is_said() {
        for (text, rows, word) in [
            ("[[1,2],[3", 1, "cut off"),
            ("[[1,2]", 1, "no end"),
            ("[[1,2]] [3]", 1, "more"),
            ("[[1], 2]", 1, "expected"),
            ("{\"a\":1}\nnonsense", 1, "expected"),
        ] {
            let (found, detail) = all(text.as_bytes());
            assert_eq!(found.len(), rows, "{text}");
            assert!(detail.unwrap().contains(word), "{text}: {detail:?}");
        }
    }

    #[test]
    fn a_row_without_end_takes_no_more_memory_than_a_row_may() {
        let mut endless = Rows::new(std::io::repeat(b'['));
        let found = endless.next_row().unwrap();
        assert!(matches!(
            found,
            Next::Broken(_, "the row is longer than 1 MiB")
        ));
        assert!(endless.buffer.len() <= MAX_ROW + 2 * CHUNK);
    }
}
