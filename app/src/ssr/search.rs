//! The part of an address after the path: read, and written.

use std::str::FromStr;

use leptos_router::location::Url;

use crate::query::escape_into;

/// The fields of an address, in their order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Search(Vec<(String, String)>);

impl Search {
    /// Reads `?key=value&…`. A field without a value is left out.
    pub fn read(search: &str) -> Self {
        let pairs = search.trim_start_matches('?').split('&');
        let pairs = pairs.filter_map(|pair| {
            let (key, value) = pair.split_once('=')?;
            let value = Url::unescape(&value.replace('+', "%20"));
            let value = value.trim();
            (!value.is_empty()).then(|| (key.to_owned(), value.to_owned()))
        });
        Self(pairs.collect())
    }

    /// The first field of this name.
    pub fn get(&self, key: &str) -> Option<&str> {
        let mut fields = self.0.iter();
        fields
            .find(|(name, _)| name == key)
            .map(|(_, v)| v.as_str())
    }

    /// The same, where it can be read as what is wanted.
    pub fn parse<T: FromStr>(&self, key: &str) -> Option<T> {
        self.get(key)?.parse().ok()
    }
}

/// An address; fields without a value are left out.
pub fn url(path: &str, fields: &[(&str, &str)]) -> String {
    let mut url = path.to_owned();
    let mut separator = '?';
    for (key, value) in fields.iter().filter(|(_, value)| !value.is_empty()) {
        url.push(separator);
        separator = '&';
        url.push_str(key);
        url.push('=');
        escape_into(&mut url, value);
    }
    url
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_reads_back_as_what_it_was_written_from() {
        let written = url(
            "/models",
            &[("name", "close-1d.BTC/USD"), ("find", ""), ("at", "a b")],
        );
        assert_eq!(written, "/models?name=close-1d.BTC%2FUSD&at=a%20b");
        let read = Search::read(written.trim_start_matches("/models"));
        assert_eq!(read.get("name"), Some("close-1d.BTC/USD"));
        assert_eq!(read.get("at"), Some("a b"));
        assert_eq!(read.get("find"), None);
        assert_eq!(Search::read("?a=7&b=x&c=").parse::<u32>("a"), Some(7));
        assert_eq!(Search::read("?b=x").parse::<u32>("b"), None);
    }
}
