//! What is wrong with a provider, as far as it shows before the first request: for providers that
//! people describe themselves.

use market::{Symbol, Timestamp};

use super::{
    mapping::Shape,
    path::EACH,
    provider::{Ask, Credential, Paging, Provider, Secret},
};
use crate::SourceError;

/// Where a provider's credentials take the keys that are set elsewhere.
const PLACES: [&str; 2] = ["{api_key}", "{api_secret}"];

impl Provider {
    /// Every fault, as [`SourceError::Config`] with the field's path. An answer that is not as the
    /// mapping says shows only when it comes.
    pub fn faults(&self) -> Vec<SourceError> {
        let mut faults = Vec::new();
        let mut fault = |key: &str, expected: &str| {
            faults.push(SourceError::Config {
                key: key.into(),
                expected: expected.into(),
            });
        };
        let mapping = &self.mapping;
        let fields = &mapping.fields;
        if self.page_limit == 0 {
            fault("page_limit", "expected a number from 1");
        }
        if fields.time.is_none() {
            fault("mapping.fields.time", "expected the key of a row's time");
        }
        let star = mapping.rows.split('.').any(|key| key == EACH);
        let has_symbol = match fields.symbol.as_deref() {
            Some(EACH) => star,
            Some(_) => true,
            None => self.is_per_symbol() || mapping.shape == Shape::BySymbol,
        };
        if !has_symbol {
            fault(
                "mapping.fields.symbol",
                "expected the key of a row's symbol: neither the request nor the shape names it",
            );
        }
        let bar = [&fields.open, &fields.high, &fields.low];
        if bar.iter().all(|field| field.is_some()) {
            if fields.close.is_none() {
                fault("mapping.fields.close", "expected the key of a bar's close");
            }
            if mapping.interval.is_none() {
                fault(
                    "mapping.interval",
                    "rows with open, high and low are bars: expected their interval, such as 1m",
                );
            }
        } else if fields.price.is_none() && fields.close.is_none() {
            fault(
                "mapping.fields.price",
                "expected the key of a trade's price, or open, high, low and close of a bar",
            );
        }
        if let Some(zone) = &mapping.time_zone
            && jiff::tz::TimeZone::get(zone).is_err()
        {
            fault(
                "mapping.time_zone",
                "expected the IANA name of a time zone, such as America/New_York",
            );
        }
        if self.window_s.is_some() && !self.asks_until() {
            fault(
                "window_s",
                "a window has an end: expected {until} in the address or the query",
            );
        }
        if self.window_s == Some(0) {
            fault("window_s", "expected a number of seconds from 1");
        }
        for (key, conditions) in [("error", &mapping.error), ("empty", &mapping.empty)] {
            let conditions = conditions.iter().flat_map(|c| &c.0);
            if conditions.into_iter().any(|c| c.path.is_empty()) {
                fault(
                    &format!("mapping.{key}.path"),
                    "expected the path to what tells such an answer",
                );
            }
        }
        if self.paging != Paging::None && mapping.next.is_none() {
            fault(
                "mapping.next",
                "expected the path to the cursor, token or address that paging goes on from",
            );
        }
        faults.extend(self.example_address().err());
        faults
    }

    fn example_address(&self) -> crate::Result<()> {
        let Ok(symbol) = "A".parse::<Symbol>() else {
            return Ok(());
        };
        let then = Some(Timestamp::from_secs(1_700_000_000));
        let symbols = [symbol];
        self.address(&Ask {
            symbol: symbols.first(),
            symbols: &symbols,
            since: then,
            until: then,
            next: None,
        })?;
        Ok(())
    }

    /// Puts a key and a secret in where the credentials say `{api_key}` and `{api_secret}`.
    ///
    /// # Errors
    /// The places whose value is empty.
    pub fn fill_credentials(&mut self, key: &str, secret: &str) -> Result<(), Vec<&'static str>> {
        let mut empty = Vec::new();
        for credential in &mut self.credentials {
            let (Credential::Header(_, value) | Credential::Query(_, value)) = credential;
            for (place, given) in PLACES.into_iter().zip([key, secret]) {
                if !value.reveal().contains(place) {
                    continue;
                }
                if given.is_empty() && !empty.contains(&place) {
                    empty.push(place);
                }
                *value = Secret::new(value.reveal().replace(place, given));
            }
        }
        if empty.is_empty() { Ok(()) } else { Err(empty) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_preset_has_a_fault() {
        for name in Provider::PRESETS {
            let provider = Provider::preset(name, Some("http://127.0.0.1:1")).unwrap();
            assert!(
                provider.faults().is_empty(),
                "{name}: {:?}",
                provider.faults()
            );
        }
    }

    #[test]
    fn what_a_description_lacks_is_named_by_its_field() {
        let mut provider = Provider::tickcast("no address");
        provider.page_limit = 0;
        provider.mapping.fields.time = None;
        provider.mapping.fields.symbol = None;
        provider.mapping.fields.price = None;
        provider.mapping.next = None;
        let keys: Vec<String> = provider
            .faults()
            .into_iter()
            .map(|fault| match fault {
                SourceError::Config { key, .. } => key,
                other => panic!("{other}"),
            })
            .collect();
        let expected = [
            "page_limit",
            "mapping.fields.time",
            "mapping.fields.symbol",
            "mapping.fields.price",
            "mapping.next",
            "url",
        ];
        assert_eq!(keys, expected);
        let mut bars = Provider::alpaca_bars("http://a");
        bars.mapping.interval = None;
        bars.mapping.fields.close = None;
        assert_eq!(bars.faults().len(), 2, "{:?}", bars.faults());
    }

    #[test]
    fn keys_go_where_the_credentials_say() {
        let mut provider = Provider::tickcast("http://a");
        provider.credentials = vec![
            Credential::Header("Authorization".into(), Secret::new("Token {api_key}")),
            Credential::Query("s".into(), Secret::new("{api_secret}")),
        ];
        let empty = provider.clone().fill_credentials("", "").unwrap_err();
        assert_eq!(empty, ["{api_key}", "{api_secret}"]);
        provider.fill_credentials("k", "s").unwrap();
        let expected = vec![
            Credential::Header("Authorization".into(), Secret::new("Token k")),
            Credential::Query("s".into(), Secret::new("s")),
        ];
        assert_eq!(provider.credentials, expected);
    }
}
