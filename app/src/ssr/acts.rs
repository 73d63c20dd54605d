//! What the plain forms of the loop's pages do: the act, then the page, whose address says what came of it.

use leptos_axum::redirect;
use market::{Interval, Symbol};

use super::{search::url, written::desk};
use crate::api::{ApiError, serve};

/// Moves the alias `champion` by hand.
pub async fn move_champion(
    name: &str,
    version: &str,
    expected: &str,
    why: &str,
) -> Result<(), ApiError> {
    let made = async {
        let (version, expected) = (optional(version)?, optional(expected)?);
        desk()?.move_champion(name, version, expected, why).await
    };
    show(
        "/models",
        &[("name", name)],
        made.await.map(|()| ("moved", 1)),
    );
    Ok(())
}

/// Puts a version away, or takes it back.
pub async fn archive(name: &str, version: &str, back: bool, why: &str) -> Result<(), ApiError> {
    let made = async {
        let version = optional(version)?.ok_or_else(|| no_version(version))?;
        desk()?.archive(name, version, !back, why).await
    };
    let done = if back { "taken-back" } else { "archived" };
    show("/models", &[("name", name)], made.await.map(|()| (done, 1)));
    Ok(())
}

/// Submits trainings.
pub async fn train(symbols: &str, interval: &str) -> Result<(), ApiError> {
    let made = async {
        let symbols = read_symbols(symbols)?;
        let interval: Interval = interval.parse().map_err(|_| {
            ApiError::invalid("interval: expected one of the list".to_owned()).field("interval")
        })?;
        let known = serve::backend()?.instruments(symbols.clone()).await?;
        if let Some(missing) = symbols
            .iter()
            .find(|s| known.iter().all(|k| k.symbol != **s))
        {
            let detail = format!("there are no prices of {missing}");
            return Err(ApiError::not_found(detail).field("symbols"));
        }
        desk()?.train(&symbols, interval).await
    };
    match made.await {
        // One is followed at once.
        Ok(jobs) if jobs.len() == 1 => {
            redirect(&url("/training", &[("job", &jobs[0].to_string())]));
        }
        made => show("/training", &[], made.map(|jobs| ("submitted", jobs.len()))),
    }
    Ok(())
}

/// Asks for a job's end.
pub async fn cancel(id: i64) -> Result<(), ApiError> {
    let made = async { desk()?.cancel(id).await };
    let made = made.await.map(|()| ("cancelled", 1));
    show("/training", &[("job", &id.to_string())], made);
    Ok(())
}

/// The symbols of a field, apart by commas or spaces, each once.
fn read_symbols(text: &str) -> Result<Vec<Symbol>, ApiError> {
    let mut symbols = Vec::new();
    let parts = text.split(|c: char| c == ',' || c.is_whitespace());
    for part in parts.filter(|part| !part.is_empty()) {
        let symbol: Symbol = part
            .parse()
            .map_err(|e| ApiError::invalid(format!("symbols: {e}")).field("symbols"))?;
        if !symbols.contains(&symbol) {
            symbols.push(symbol);
        }
    }
    if symbols.is_empty() {
        let detail = "symbols: expected one or more".to_owned();
        return Err(ApiError::invalid(detail).field("symbols"));
    }
    Ok(symbols)
}

/// The number of a version; empty for none.
fn optional(text: &str) -> Result<Option<u32>, ApiError> {
    match text.trim() {
        "" => Ok(None),
        number => number.parse().map(Some).map_err(|_| no_version(text)),
    }
}

fn no_version(text: &str) -> ApiError {
    let text = market::excerpt(text);
    ApiError::invalid(format!("version: {text:?} is no number of a version")).field("version")
}

/// Sends the browser on to a page that says what was done.
fn show(path: &str, fields: &[(&str, &str)], made: Result<(&str, usize), ApiError>) {
    let mut fields = fields.to_vec();
    let (count, kind, field);
    match &made {
        Ok((done, number)) => {
            count = number.to_string();
            fields.extend([("done", *done), ("count", count.as_str())]);
        }
        Err(error) => {
            kind = error.kind.as_str();
            field = error.field.clone().unwrap_or_default();
            fields.extend([("problem", kind), ("field", field.as_str())]);
        }
    }
    redirect(&(url(path, &fields) + "#outcome"));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn symbols_of_a_field_stand_apart_by_commas_or_spaces_and_each_once() {
        let read = read_symbols(" aapl, MSFT  BTC/USD,AAPL\n").unwrap();
        let names: Vec<&str> = read.iter().map(Symbol::as_str).collect();
        assert_eq!(names, ["AAPL", "MSFT", "BTC/USD"]);
        assert_eq!(
            read_symbols(" , ").unwrap_err().field.as_deref(),
            Some("symbols")
        );
        assert_eq!(
            read_symbols("<b>").unwrap_err().field.as_deref(),
            Some("symbols")
        );
    }

    #[test]
    fn no_number_is_no_version_and_nothing_stands_for_none() {
        assert_eq!(optional(" ").unwrap(), None);
        assert_eq!(optional("3").unwrap(), Some(3));
        assert!(optional("-3").is_err());
    }
}
