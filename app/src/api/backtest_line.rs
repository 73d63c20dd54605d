//! A running backtest, told line by line.
//!
//! Model: a letter, then what belongs to it. Everything is ASCII, since a chunk of the stream may end
//! in the middle of a character; markup writes what is not as character references. By hand: a JSON
//! reader for it would weigh more in the first wasm download.

/// What a line tells.
#[derive(Clone, Debug, PartialEq)]
pub enum Line {
    /// It has begun; by this number it can be stopped.
    Begun(u64),
    /// How far it is: fits done, fits in all, and that in words with how long is left.
    Progress(u64, u64, String),
    /// The result, as markup.
    Finished(String),
    /// It was stopped.
    Stopped,
    /// Why there is no result.
    Failed(String),
}

impl Line {
    /// The line, with its end.
    pub fn write(&self) -> String {
        match self {
            Self::Begun(id) => format!("b{id}\n"),
            Self::Progress(done, all, words) => format!("p{done} {all} {}\n", one_line(words)),
            Self::Finished(markup) => format!("r{}\n", one_line(markup)),
            Self::Stopped => "s\n".to_owned(),
            Self::Failed(why) => format!("f{}\n", one_line(why)),
        }
    }

    /// Reads a line without its end.
    pub fn read(line: &str) -> Option<Self> {
        let rest = line.get(1..)?;
        Some(match line.as_bytes()[0] {
            b'b' => Self::Begun(rest.parse().ok()?),
            b'p' => {
                let mut parts = rest.splitn(3, ' ');
                let done = parts.next()?.parse().ok()?;
                Self::Progress(done, parts.next()?.parse().ok()?, parts.next()?.to_owned())
            }
            b'r' => Self::Finished(rest.to_owned()),
            b's' => Self::Stopped,
            b'f' => Self::Failed(rest.to_owned()),
            _ => return None,
        })
    }
}

fn one_line(text: &str) -> String {
    text.replace(['\n', '\r'], " ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_reads_back_as_what_was_written() {
        for line in [
            Line::Begun(1_764_000_000_000_000),
            Line::Progress(3, 160, "BTC/USD: 3 of 160 fits done, about 9 s left".into()),
            Line::Finished("<p>p&#225;</p>".into()),
            Line::Stopped,
            Line::Failed("origins: too many".into()),
        ] {
            let written = line.write();
            assert_eq!(written.matches('\n').count(), 1);
            assert_eq!(Line::read(written.trim_end_matches('\n')), Some(line));
        }
        assert_eq!(Line::read(""), None);
        assert_eq!(Line::read("x1"), None);
    }

    #[test]
    fn markup_of_several_lines_becomes_one() {
        let line = Line::Finished("<p>\n</p>".into()).write();
        assert_eq!(line, "r<p> </p>\n");
    }
}
