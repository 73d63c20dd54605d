//! A JSON body whose faults name the field and what was expected there.
//!
//! Model: read by path, so that a number that is none, is too large or has the wrong sign is told as one of
//! its field; what was expected is the route's own to say, since a type like `u32` says little to people.
//!
//! What it does not do: judge values of the right type; that is the route's.

use axum::{
    extract::rejection::BytesRejection,
    http::{HeaderMap, StatusCode, header},
};
use bytes::Bytes;
use market::{ErrorKind, excerpt};
use serde::de::DeserializeOwned;
use serde_path_to_error::Segment;

use super::problem::{Problem, Result};

/// How much of what came is told back, in characters.
const TOLD: usize = 40;

/// Reads a body; `expected` says what belongs into a field.
///
/// # Errors
/// 415 where it is not declared as JSON; 400 where it is no JSON; 422 where a field is missing, unknown or
/// of another type, 413 and others as axum says.
pub fn read<T: DeserializeOwned>(
    headers: &HeaderMap,
    body: std::result::Result<Bytes, BytesRejection>,
    expected: fn(&str) -> Option<&'static str>,
) -> Result<T> {
    // serde's words for a value or a key may hold all of it.
    let invalid = |detail: String| Problem::new(ErrorKind::Invalid, excerpt(&detail));
    let body = body.map_err(|e| invalid(e.body_text()).with_status(e.status()).field("body"))?;
    if !is_json(headers) {
        let detail = "expected a body of the content type application/json";
        return Err(invalid(detail.to_owned())
            .with_status(StatusCode::UNSUPPORTED_MEDIA_TYPE)
            .field("content-type"));
    }
    let mut json = serde_json::Deserializer::from_slice(&body);
    let read: std::result::Result<T, _> = serde_path_to_error::deserialize(&mut json);
    let value = read.map_err(|error| {
        let path = error.path();
        let field = path.iter().find_map(|segment| match segment {
            Segment::Map { key } => Some(key.clone()),
            _ => None,
        });
        let inner = error.inner();
        let Some(field) = field else {
            let told = inner.to_string();
            let field = excerpt(missing(&told).unwrap_or("body")).into_owned();
            return invalid(told).with_status(status_of(inner)).field(field);
        };
        let detail = match expected(&field) {
            Some(expected) => {
                let got = got(&body, inner).map_or(String::new(), |got| format!(", got {got}"));
                format!("{path}: expected {expected}{got}")
            }
            // A field that is not known: serde lists those that are.
            None => inner.to_string(),
        };
        invalid(detail)
            .with_status(status_of(inner))
            .field(excerpt(&field))
    })?;
    match json.end() {
        Ok(()) => Ok(value),
        Err(e) => Err(invalid(e.to_string())
            .with_status(status_of(&e))
            .field("body")),
    }
}

fn status_of(error: &serde_json::Error) -> StatusCode {
    if error.is_data() {
        StatusCode::UNPROCESSABLE_ENTITY
    } else {
        StatusCode::BAD_REQUEST
    }
}

/// What stands at the place of the fault, as it came.
fn got(body: &[u8], error: &serde_json::Error) -> Option<String> {
    let line = body
        .split(|b| *b == b'\n')
        .nth(error.line().checked_sub(1)?)?;
    // The column is that of the last byte read: the value ends there or goes on.
    let end = error.column().min(line.len());
    let is_part = |b: &u8| !b",:[]{} \t\r".contains(b);
    let start = line[..end]
        .iter()
        .rposition(|b| !is_part(b))
        .map_or(0, |at| at + 1);
    let rest = line[start..].iter().take_while(|b| is_part(b)).copied();
    let text: Vec<u8> = rest.collect();
    let text: String = String::from_utf8_lossy(&text).chars().take(TOLD).collect();
    (!text.is_empty()).then_some(text)
}

/// The field that serde says is missing or not known.
fn missing(detail: &str) -> Option<&str> {
    let rest = detail.split_once("missing field `")?.1;
    Some(rest.split_once('`')?.0)
}

fn is_json(headers: &HeaderMap) -> bool {
    let declared = headers
        .get(header::CONTENT_TYPE)
        .and_then(|v| v.to_str().ok());
    let essence = declared.and_then(|declared| declared.split(';').next());
    essence.is_some_and(|essence| {
        let essence = essence.trim().to_ascii_lowercase();
        essence == "application/json" || essence.ends_with("+json")
    })
}

#[cfg(test)]
mod tests {
    use protocol::PredictRequest;

    use super::*;
    use crate::http::predict::expected;

    fn refused(body: &str) -> serde_json::Value {
        let mut headers = HeaderMap::new();
        headers.insert(header::CONTENT_TYPE, "application/json".parse().unwrap());
        let body = Bytes::from(body.to_owned());
        let error = read::<PredictRequest>(&headers, Ok(body), expected).unwrap_err();
        serde_json::to_value(error).unwrap()
    }

    #[test]
    fn a_number_that_is_none_is_told_by_its_field_and_what_was_expected() {
        let horizon = "horizon: expected a whole number from 1 to 1000";
        let series = "expected numbers, or null where one is missing";
        for (body, field, detail) in [
            (r#"{"horizon":-3}"#, "horizon", format!("{horizon}, got -3")),
            (
                r#"{"horizon": 2.5}"#,
                "horizon",
                format!("{horizon}, got 2.5"),
            ),
            (
                r#"{"horizon":"ten"}"#,
                "horizon",
                format!("{horizon}, got \"ten\""),
            ),
            (
                r#"{"horizon":NaN}"#,
                "horizon",
                format!("{horizon}, got NaN"),
            ),
            (
                r#"{"horizon":1e999}"#,
                "horizon",
                format!("{horizon}, got 1e999"),
            ),
            (
                r#"{"series":[1, Infinity],"horizon":1}"#,
                "series",
                format!("series[1]: {series}, got Infinity"),
            ),
            (
                r#"{"horizon":1,"series":[1,2,"three"]}"#,
                "series",
                format!("series[2]: {series}, got \"three\""),
            ),
            (
                r#"{"horizon":1,"season":-1}"#,
                "season",
                "season: expected a whole number from 1, got -1".to_owned(),
            ),
        ] {
            let problem = refused(body);
            assert_eq!(problem["field"], field, "{problem}");
            assert_eq!(problem["detail"], detail, "{problem}");
        }
        assert_eq!(refused(r#"{"horizon":-3}"#)["status"], 422);
        assert_eq!(refused(r#"{"horizon":NaN}"#)["status"], 400);
    }

    #[test]
    fn what_is_missing_unknown_or_no_json_is_told() {
        assert_eq!(refused("{}")["field"], "horizon");
        let unknown = refused(r#"{"horizn":3}"#);
        assert_eq!(unknown["field"], "horizn");
        assert!(unknown["detail"].as_str().unwrap().contains("`horizon`"));
        for body in ["", "no", "[1,", r#"{"horizon":3} x"#] {
            let problem = refused(body);
            assert_eq!(
                (&problem["field"], &problem["status"]),
                (&"body".into(), &400.into())
            );
        }
    }

    #[test]
    fn of_what_came_a_little_is_told_back() {
        let long = format!(r#"{{"horizon":"{}"}}"#, "9".repeat(1 << 20));
        assert!(refused(&long)["detail"].as_str().unwrap().len() < 200);
    }
}
