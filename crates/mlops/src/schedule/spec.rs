//! A schedule as it is written, kept and shown.
//!
//! Model: `XNYS close +20m` (or `20 minutes after the close of every XNYS session`) is minutes around an edge of
//! every session; anything else is a cron pattern, with `TZ=Europe/London ` before it or in UTC.
//! What it does not do: check patterns, zones and exchanges (see [`super::Schedule::new`]).

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};

use crate::{Error, Result};

/// A fire may lie so far from its session at most: one day.
pub const MAX_OFFSET_MINUTES: u32 = 1_440;

/// An edge of a session.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Edge {
    /// The first trade may happen.
    Open,
    /// The last trade has happened; earlier on days that close early.
    Close,
}

impl Edge {
    /// `open` or `close`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Close => "close",
        }
    }
}

/// A schedule, not checked yet. JSON: an object with a `kind`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub enum ScheduleSpec {
    /// A cron pattern on the clocks of a zone.
    Cron {
        /// The pattern, as croner reads it.
        pattern: String,
        /// The IANA name of the zone.
        #[serde(default = "utc")]
        zone: String,
    },
    /// Minutes around an edge of every session.
    Session {
        /// The market identifier code of the exchange.
        exchange: String,
        /// Which edge.
        edge: Edge,
        /// Minutes after it; before it when negative.
        #[serde(default)]
        offset_minutes: i32,
    },
}

fn utc() -> String {
    "UTC".to_owned()
}

impl ScheduleSpec {
    /// Reads a schedule. A cron pattern that names no zone goes by the clocks of `zone`.
    ///
    /// # Errors
    /// [`Error::Schedule`], with the forms that are read.
    pub fn read(text: &str, zone: &str) -> Result<Self> {
        let refuse = |reason: &str| Error::Schedule {
            text: market::excerpt(text).into_owned(),
            reason: reason.to_owned(),
        };
        let words: Vec<&str> = text.split_whitespace().collect();
        let Some(first) = words.first() else {
            return Err(refuse("it is empty"));
        };
        let named = first
            .strip_prefix("TZ=")
            .or_else(|| first.strip_prefix("CRON_TZ="));
        if let Some(zone) = named {
            return Ok(Self::Cron {
                pattern: words[1..].join(" "),
                zone: zone.to_owned(),
            });
        }
        let edge = |word: &&str| {
            [Edge::Open, Edge::Close]
                .iter()
                .any(|edge| word.eq_ignore_ascii_case(edge.as_str()))
        };
        if !words.iter().any(edge) {
            return Ok(Self::Cron {
                pattern: words.join(" "),
                zone: zone.to_owned(),
            });
        }
        session(&words).ok_or_else(|| {
            refuse(
                "a schedule by sessions is written as \"XNYS close +20m\", \"XNYS open -30m\", \"XNYS close\" or \
                 \"20 minutes after the close of every XNYS session\"",
            )
        })
    }
}

impl fmt::Display for ScheduleSpec {
    /// The text that reads back as the same schedule.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Cron { pattern, zone } => write!(f, "TZ={zone} {pattern}"),
            Self::Session {
                exchange,
                edge,
                offset_minutes,
            } => {
                write!(f, "{exchange} {}", edge.as_str())?;
                if *offset_minutes == 0 {
                    return Ok(());
                }
                write!(f, " {offset_minutes:+}m")
            }
        }
    }
}

impl FromStr for ScheduleSpec {
    type Err = Error;

    /// As [`Self::read`] in UTC.
    fn from_str(text: &str) -> Result<Self> {
        Self::read(text, "UTC")
    }
}

/// The schedule by sessions that the words say.
fn session(words: &[&str]) -> Option<ScheduleSpec> {
    let lower: Vec<String> = words.iter().map(|w| w.to_ascii_lowercase()).collect();
    let lower: Vec<&str> = lower.iter().map(String::as_str).collect();
    let edge = |word: &str| match word {
        "open" => Some(Edge::Open),
        "close" => Some(Edge::Close),
        _ => None,
    };
    let (exchange, edge, offset_minutes) = match lower.as_slice() {
        [exchange, at] => (exchange, edge(at)?, 0),
        [exchange, at, offset] => (exchange, edge(at)?, signed_minutes(offset)?),
        [
            n,
            "minute" | "minutes",
            side,
            "the",
            at,
            "of",
            "every",
            exchange,
            "session",
        ] => {
            let minutes: i32 = n.parse().ok().filter(|n| *n >= 0)?;
            let minutes = match *side {
                "after" => minutes,
                "before" => -minutes,
                _ => return None,
            };
            (exchange, edge(at)?, minutes)
        }
        _ => return None,
    };
    Some(ScheduleSpec::Session {
        exchange: exchange.to_ascii_uppercase(),
        edge,
        offset_minutes,
    })
}

/// `+20m` and `-20m`.
fn signed_minutes(text: &str) -> Option<i32> {
    let number = text.strip_suffix('m')?;
    let digits = number.strip_prefix(['+', '-'])?;
    if digits.is_empty() || !digits.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    number.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> ScheduleSpec {
        text.parse().unwrap()
    }

    #[test]
    fn sessions_are_read_in_short_and_in_words() {
        let after = ScheduleSpec::Session {
            exchange: "XNYS".into(),
            edge: Edge::Close,
            offset_minutes: 20,
        };
        assert_eq!(read("xnys CLOSE +20m"), after);
        assert_eq!(
            read("20 minutes after the close of every XNYS session"),
            after
        );
        assert_eq!(after.to_string(), "XNYS close +20m");
        let before = read("30 minutes before the open of every XLON session");
        assert_eq!(before.to_string(), "XLON open -30m");
        assert_eq!(read("XTKS open").to_string(), "XTKS open");
    }

    #[test]
    fn what_is_written_reads_back() {
        for text in [
            "XNYS close +20m",
            "XLON open -1m",
            "XTKS close",
            "TZ=Asia/Tokyo 0 18 * * 1-5",
        ] {
            assert_eq!(read(text).to_string(), text);
            let json = serde_json::to_string(&read(text)).unwrap();
            assert_eq!(
                serde_json::from_str::<ScheduleSpec>(&json).unwrap(),
                read(text)
            );
        }
        assert_eq!(read("@daily").to_string(), "TZ=UTC @daily");
    }

    #[test]
    fn half_a_sentence_is_refused_with_the_forms_that_are_read() {
        for text in [
            "XNYS close 20m",
            "XNYS close +m",
            "20 minutes past the close of every XNYS session",
            "close",
            "",
        ] {
            let error = text.parse::<ScheduleSpec>().unwrap_err().to_string();
            assert!(error.contains("is not a schedule"), "{error}");
        }
    }
}
