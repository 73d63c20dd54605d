//! References to models of the registry.

use forecast::{Error, ModelRef};

/// The scheme of their references.
pub const SCHEME: &str = "models";

/// What a reference names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Target {
    Alias(String),
    Version(u32),
}

/// `/NAME@ALIAS` or `/NAME/VERSION`; a name may have slashes in it.
///
/// # Errors
/// What is neither.
pub(super) fn parse(reference: &ModelRef) -> forecast::Result<(String, Target)> {
    let malformed = || Error::Parse {
        input: market::excerpt(reference.as_str()).into_owned(),
        expected: "models:/NAME@ALIAS or models:/NAME/VERSION",
    };
    let rest = reference.rest().strip_prefix('/').ok_or_else(malformed)?;
    let (name, target) = match rest.rsplit_once('@') {
        Some((name, alias)) => (name, Target::Alias(alias.to_ascii_lowercase())),
        None => {
            let (name, version) = rest.rsplit_once('/').ok_or_else(malformed)?;
            let version = version.parse().map_err(|_| malformed())?;
            (name, Target::Version(version))
        }
    };
    if name.is_empty() || target == Target::Alias(String::new()) || target == Target::Version(0) {
        return Err(malformed());
    }
    Ok((name.to_owned(), target))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn references_name_an_alias_or_a_version_of_a_name_that_may_have_slashes() {
        let read = |text: &str| parse(&text.parse().unwrap()).ok();
        let alias =
            |name: &str, alias: &str| Some((name.to_owned(), Target::Alias(alias.to_owned())));
        assert_eq!(
            read("models:/close-1d.AAPL@Champion"),
            alias("close-1d.AAPL", "champion")
        );
        assert_eq!(
            read("models:/fx.EUR/USD@champion"),
            alias("fx.EUR/USD", "champion")
        );
        let version = Some(("fx.EUR/USD".to_owned(), Target::Version(17)));
        assert_eq!(read("models:/fx.EUR/USD/17"), version);
        for text in [
            "models:NAME@champion",
            "models:/@champion",
            "models:/NAME@",
            "models:/NAME",
            "models:/NAME/0",
            "models:/NAME/newest",
            "models:/NAME/99999999999",
        ] {
            assert_eq!(read(text), None, "{text}");
        }
    }
}
