//! The parameters of an address, read one by one, so that a fault names the one that it is in.

use std::str::FromStr;

use axum::extract::{Query, rejection::QueryRejection};
use market::{ErrorKind, excerpt};

use super::problem::{Problem, Result};

/// The most lines of one answer.
pub const MAX_PAGE: usize = 1_000;

/// What the extractor gives.
pub type Raw = std::result::Result<Query<Vec<(String, String)>>, QueryRejection>;

/// Parameters that are not read yet.
pub struct Parameters {
    left: Vec<(String, String)>,
    known: Vec<&'static str>,
}

impl Parameters {
    /// Of an address.
    ///
    /// # Errors
    /// It is not encoded as such.
    pub fn of(raw: Raw) -> Result<Self> {
        let Query(left) = raw.map_err(|e| {
            Problem::new(ErrorKind::Invalid, excerpt(&e.body_text())).field("query")
        })?;
        Ok(Self {
            left,
            known: Vec::new(),
        })
    }

    /// Takes one out; of one that stands twice the last.
    ///
    /// # Errors
    /// It is not what is `expected`.
    pub fn read<T: FromStr>(&mut self, name: &'static str, expected: &str) -> Result<Option<T>> {
        self.read_with(name, expected, |text| text.parse().ok())
    }

    /// The same, with a reading of its own.
    ///
    /// # Errors
    /// `read` finds nothing.
    pub fn read_with<T>(
        &mut self,
        name: &'static str,
        expected: &str,
        read: impl Fn(&str) -> Option<T>,
    ) -> Result<Option<T>> {
        self.known.push(name);
        let found = self.left.iter().rfind(|(given, _)| given == name);
        let Some(text) = found.map(|(_, text)| text.clone()) else {
            return Ok(None);
        };
        self.left.retain(|(given, _)| given != name);
        let value = read(&text).ok_or_else(|| {
            let detail = format!("{name} is {:?}: expected {expected}", excerpt(&text));
            Problem::new(ErrorKind::Invalid, detail).field(name)
        })?;
        Ok(Some(value))
    }

    /// The same, of one that must be there.
    ///
    /// # Errors
    /// It is missing, or not what is `expected`.
    pub fn need<T: FromStr>(&mut self, name: &'static str, expected: &str) -> Result<T> {
        self.read(name, expected)?.ok_or_else(|| {
            let detail = format!("{name} is missing: expected {expected}");
            Problem::new(ErrorKind::Invalid, detail).field(name)
        })
    }

    /// How many lines an answer may have: 100 where nobody says.
    ///
    /// # Errors
    /// It is no number from 1 to [`MAX_PAGE`].
    pub fn limit(&mut self) -> Result<usize> {
        self.limit_up_to(MAX_PAGE)
    }

    /// The same, with another bound.
    ///
    /// # Errors
    /// It is no number from 1 to `most`.
    pub fn limit_up_to(&mut self, most: usize) -> Result<usize> {
        let read = |text: &str| text.parse().ok().filter(|n| (1..=most).contains(n));
        let limit = self.read_with("limit", &format!("a number from 1 to {most}"), read)?;
        Ok(limit.unwrap_or(100))
    }

    /// Refuses what is left.
    ///
    /// # Errors
    /// A parameter that nothing was asked of.
    pub fn end(self) -> Result<()> {
        let Some((name, text)) = self.left.first() else {
            return Ok(());
        };
        let (name, text) = (excerpt(name), excerpt(text));
        let detail = match self.known.as_slice() {
            [] => format!("{name} is {text:?}: there are no parameters here"),
            known => format!(
                "{name} is {text:?}: no such parameter: expected {}",
                known.join(", ")
            ),
        };
        Err(Problem::new(ErrorKind::Invalid, detail).field(name))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(pairs: &[(&str, &str)]) -> Parameters {
        let pairs = pairs
            .iter()
            .map(|(n, t)| ((*n).to_owned(), (*t).to_owned()));
        Parameters::of(Ok(Query(pairs.collect()))).unwrap()
    }

    #[test]
    fn a_fault_names_its_parameter() {
        let mut given = of(&[("limit", "7"), ("after", "x"), ("limit", "9"), ("odd", "1")]);
        assert_eq!(given.read::<u32>("limit", "a number").unwrap(), Some(9));
        assert_eq!(given.read::<u32>("before", "a number").unwrap(), None);
        let wrong = given.read::<u32>("after", "an id").unwrap_err();
        assert_eq!(wrong.field.as_deref(), Some("after"));
        assert_eq!(wrong.detail, "after is \"x\": expected an id");
        let missing = given.need::<u32>("symbol", "a symbol").unwrap_err();
        assert_eq!(missing.field.as_deref(), Some("symbol"));
        let unknown = given.end().unwrap_err();
        assert_eq!(unknown.field.as_deref(), Some("odd"));
        assert!(
            unknown
                .detail
                .ends_with("expected limit, before, after, symbol"),
            "{}",
            unknown.detail
        );
    }
}
