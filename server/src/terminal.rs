//! What the process writes for a person: standard output and standard error, through which nothing
//! from outside can steer the terminal.
//!
//! Model: rows, names of files and columns, texts of providers and errors that quote them may hold
//! control characters. A terminal would obey them: they can rewrite what was printed, change its title,
//! or type into it. Everything that is printed goes through [`Screen`], which writes them as
//! `\u001b`, in the form that JSON has for them, so that JSON stays JSON. Marks that turn the direction of
//! writing are control characters here. Line ends and tabs stay.
//!
//! What it does not do: colours (the log has its own), progress bars, which are made of numbers.

use std::{
    fmt,
    io::{self, Stderr, StdoutLock, Write},
};

/// A text whose control characters are written in a form that no terminal obeys. Line ends stay: messages
/// of several lines are the program's own.
#[derive(Clone, Copy, Debug)]
pub struct Plain<T>(pub T);

impl<T: fmt::Display> fmt::Display for Plain<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        struct Escaping<'a, 'b>(&'a mut fmt::Formatter<'b>);
        impl fmt::Write for Escaping<'_, '_> {
            fn write_str(&mut self, text: &str) -> fmt::Result {
                let mut rest = text;
                while let Some((at, c)) = rest.char_indices().find(|(_, c)| steers(*c)) {
                    self.0.write_str(&rest[..at])?;
                    write!(self.0, "\\u{:04x}", u32::from(c))?;
                    rest = &rest[at + c.len_utf8()..];
                }
                self.0.write_str(rest)
            }
        }
        use fmt::Write as _;
        write!(Escaping(f), "{}", self.0)
    }
}

/// A text for one line or one cell: line ends and tabs are written as control characters too.
pub fn line(text: &str) -> String {
    let mut plain = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '\n' => plain.push_str("\\n"),
            '\t' => plain.push_str("\\t"),
            c if steers(c) => plain.push_str(&format!("\\u{:04x}", u32::from(c))),
            c => plain.push(c),
        }
    }
    plain
}

/// Whether a terminal, or the eye before it, would be led by a character rather than read it.
fn steers(c: char) -> bool {
    match c {
        '\n' | '\t' => false,
        // Left to right and right to left: marks, embeddings, overrides and isolates.
        '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}' => {
            true
        }
        c => c.is_control(),
    }
}

/// A writer of UTF-8 on the way to a terminal or to whatever stands in its place.
#[derive(Debug)]
pub struct Screen<W> {
    inner: W,
    /// The start of a character whose end has not come yet.
    cut: Vec<u8>,
    /// Whether the writer above sets colours of its own.
    coloured: bool,
}

impl<W: Write> Screen<W> {
    /// Over a writer.
    pub const fn new(inner: W) -> Self {
        Self {
            inner,
            cut: Vec::new(),
            coloured: false,
        }
    }

    /// Lets the escape character through: for a writer that escapes those of its texts itself.
    #[must_use]
    pub const fn coloured(mut self, coloured: bool) -> Self {
        self.coloured = coloured;
        self
    }

    fn text(&mut self, text: &str) -> io::Result<()> {
        let mut rest = text;
        while let Some((at, c)) = rest
            .char_indices()
            .find(|(_, c)| steers(*c) && !(self.coloured && *c == '\u{1b}'))
        {
            self.inner.write_all(&rest.as_bytes()[..at])?;
            write!(self.inner, "\\u{:04x}", u32::from(c))?;
            rest = &rest[at + c.len_utf8()..];
        }
        self.inner.write_all(rest.as_bytes())
    }
}

impl<W: Write> Write for Screen<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let mut whole = std::mem::take(&mut self.cut);
        whole.extend_from_slice(bytes);
        let mut rest = whole.as_slice();
        loop {
            match std::str::from_utf8(rest) {
                Ok(text) => {
                    self.text(text)?;
                    return Ok(bytes.len());
                }
                Err(e) => {
                    let (good, bad) = rest.split_at(e.valid_up_to());
                    self.text(std::str::from_utf8(good).unwrap_or_default())?;
                    match e.error_len() {
                        Some(len) => {
                            self.inner.write_all("\u{fffd}".as_bytes())?;
                            rest = &bad[len..];
                        }
                        None => {
                            self.cut = bad.to_vec();
                            return Ok(bytes.len());
                        }
                    }
                }
            }
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()
    }
}

/// Standard output.
pub fn stdout() -> Screen<StdoutLock<'static>> {
    Screen::new(io::stdout().lock())
}

/// Standard error.
pub fn stderr() -> Screen<Stderr> {
    Screen::new(io::stderr())
}

/// Writes a line for a person to standard error; one that cannot be written is lost.
pub fn complain(message: impl fmt::Display) {
    let _ = writeln!(io::stderr(), "tickcast: {}", Plain(message));
}

#[cfg(test)]
mod tests {
    use super::*;

    fn screen(pieces: &[&[u8]]) -> String {
        let mut out = Vec::new();
        let mut screen = Screen::new(&mut out);
        for piece in pieces {
            screen.write_all(piece).unwrap();
        }
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn control_characters_are_written_and_not_obeyed() {
        let hostile = "a\u{1b}[2J\u{7}\rb\u{9b}31m\u{202e}c\u{7f}\u{0}";
        let plain = r"a\u001b[2J\u0007\u000db\u009b31m\u202ec\u007f\u0000";
        assert_eq!(Plain(hostile).to_string(), plain);
        assert_eq!(line(hostile), plain);
        assert_eq!(screen(&[hostile.as_bytes()]), plain);
        assert_eq!(line("a\nb\tc"), "a\\nb\\tc");
        for kept in ["a\nb\tc", "σ² – 日本 🙂", ""] {
            assert_eq!(screen(&[kept.as_bytes()]), kept);
            assert_eq!(Plain(kept).to_string(), kept);
        }
    }

    #[test]
    fn characters_that_come_in_pieces_stay_whole() {
        let text = "a\u{9b}é日🙂z".as_bytes();
        for at in 0..text.len() {
            let (a, b) = text.split_at(at);
            assert_eq!(screen(&[a, b]), r"a\u009bé日🙂z");
        }
        assert_eq!(screen(&[b"a\xff\x9bb"]), "a\u{fffd}\u{fffd}b");
    }

    #[test]
    fn json_stays_json() {
        let value = serde_json::json!({"id": "x\u{9b}\u{7f}\u{1b}\n"});
        let printed = screen(&[value.to_string().as_bytes()]);
        assert!(!printed.contains(char::is_control));
        assert_eq!(
            serde_json::from_str::<serde_json::Value>(&printed).unwrap(),
            value
        );
    }

    #[test]
    fn a_log_may_have_its_colours_and_nothing_else() {
        let mut out = Vec::new();
        let mut log = Screen::new(&mut out).coloured(true);
        log.write_all(b"\x1b[31mERROR\x1b[0m a\rb\n").unwrap();
        assert_eq!(out, b"\x1b[31mERROR\x1b[0m a\\u000db\n");
    }
}
