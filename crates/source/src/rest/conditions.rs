//! Answers under a status of success that say that something is wrong, or that there is nothing.
//!
//! Model: a provider's own [`Condition`]s, declared in its mapping, are asked first. Where the rows are
//! missing, or something else lies in their place, the keys that providers use for an error are looked
//! for as well ([`undeclared`]), so that a mapping which declares nothing does not take an error for an
//! answer without rows.

use std::{borrow::Cow, fmt};

use serde::{Deserialize, Deserializer, Serialize, de::Visitor};
use serde_json::value::RawValue;

use super::path;
use crate::decode::Scalar;

/// Of the words of an error so many characters are kept.
const MAX_WORDS: usize = 200;

/// What an answer has to hold. Without `equals`, `not_equals` and `contains`: that the path leads to
/// something other than null, false, an empty text, array or object.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Condition {
    /// Where to look: keys joined by dots, from the answer's root.
    pub path: String,
    /// What lies there is this text, number or truth value.
    pub equals: Option<Literal>,
    /// What lies there is not this, or nothing does.
    pub not_equals: Option<Literal>,
    /// What lies there is a text that has this in it, in any case.
    pub contains: Option<String>,
    /// Where the words for a person are; absent: at `path`.
    pub text: Option<String>,
}

/// A text, a number or a truth value, as it is written.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct Literal(pub String);

impl<'de> Deserialize<'de> for Literal {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Any;
        impl Visitor<'_> for Any {
            type Value = Literal;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a text, a number or a truth value")
            }
            fn visit_bool<E>(self, value: bool) -> Result<Literal, E> {
                Ok(Literal(value.to_string()))
            }
            fn visit_i64<E>(self, value: i64) -> Result<Literal, E> {
                Ok(Literal(value.to_string()))
            }
            fn visit_u64<E>(self, value: u64) -> Result<Literal, E> {
                Ok(Literal(value.to_string()))
            }
            fn visit_f64<E>(self, value: f64) -> Result<Literal, E> {
                Ok(Literal(value.to_string()))
            }
            fn visit_str<E>(self, value: &str) -> Result<Literal, E> {
                Ok(Literal(value.to_owned()))
            }
        }
        deserializer.deserialize_any(Any)
    }
}

/// One condition, or several of which each is enough.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct Conditions(pub Vec<Condition>);

impl<'de> Deserialize<'de> for Conditions {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct OneOrMore;
        impl<'de> Visitor<'de> for OneOrMore {
            type Value = Conditions;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a condition or an array of them")
            }
            fn visit_map<A: serde::de::MapAccess<'de>>(
                self,
                map: A,
            ) -> Result<Conditions, A::Error> {
                let one = serde::de::value::MapAccessDeserializer::new(map);
                Ok(Conditions(vec![Condition::deserialize(one)?]))
            }
            fn visit_seq<A: serde::de::SeqAccess<'de>>(
                self,
                seq: A,
            ) -> Result<Conditions, A::Error> {
                let all = serde::de::value::SeqAccessDeserializer::new(seq);
                Ok(Conditions(Vec::deserialize(all)?))
            }
        }
        deserializer.deserialize_any(OneOrMore)
    }
}

impl Conditions {
    /// The words of the first condition that holds.
    pub(super) fn words(&self, root: &RawValue) -> Option<String> {
        self.0
            .iter()
            .find(|condition| condition.holds(root))
            .map(|condition| {
                let at = condition.text.as_deref().unwrap_or(&condition.path);
                // A path that leads into something else finds nothing to say.
                let found = path::find(root, at).unwrap_or(None);
                words(found.unwrap_or(root))
            })
    }
}

impl Condition {
    fn holds(&self, root: &RawValue) -> bool {
        let value = path::find(root, &self.path).unwrap_or(None);
        let written = value.map(written);
        if let Some(wanted) = &self.equals
            && written.as_deref() != Some(&*wanted.0)
        {
            return false;
        }
        if let Some(unwanted) = &self.not_equals
            && written.as_deref() == Some(&*unwanted.0)
        {
            return false;
        }
        if let Some(part) = &self.contains
            && !written.is_some_and(|w| w.to_lowercase().contains(&part.to_lowercase()))
        {
            return false;
        }
        let asked = self.equals.is_some() || self.not_equals.is_some() || self.contains.is_some();
        asked || value.is_some_and(says_something)
    }
}

/// How a value is written: a text without its quotes, everything else as JSON.
fn written(value: &RawValue) -> Cow<'_, str> {
    match serde_json::from_str(value.get()) {
        Ok(Scalar::Text(text)) => text,
        _ => Cow::Borrowed(value.get()),
    }
}

fn says_something(value: &RawValue) -> bool {
    let text = value.get();
    let empty = |open: char, close: char| {
        let inner = text.strip_prefix(open).and_then(|t| t.strip_suffix(close));
        inner.is_some_and(|inner| inner.trim().is_empty())
    };
    !(matches!(text, "null" | "false") || empty('"', '"') || empty('[', ']') || empty('{', '}'))
}

/// Keys under which providers put the words of an error, as [`plain`] writes them.
const ERROR_KEYS: [&str; 5] = ["error", "errors", "errormessage", "errmsg", "fault"];
/// Keys under which they put them, but other things too.
const WORD_KEYS: [&str; 8] = [
    "message",
    "msg",
    "detail",
    "details",
    "note",
    "information",
    "reason",
    "description",
];
/// Keys of a verdict, and the verdicts that are none of success.
const VERDICT_KEYS: [&str; 4] = ["status", "s", "success", "ok"];
const BAD: [&str; 4] = ["error", "fail", "failed", "false"];

fn plain(key: &str) -> String {
    key.chars()
        .filter(|c| !matches!(c, ' ' | '_' | '-'))
        .map(|c| c.to_ascii_lowercase())
        .collect()
}

/// The words of an error that no condition declares, in an answer without rows. `missing`: not even an
/// empty place for them is there.
pub(super) fn undeclared(root: &RawValue, missing: bool) -> Option<String> {
    if !root.get().starts_with('{') {
        return None;
    }
    let entries: Vec<(String, &RawValue)> = path::entries(root)
        .ok()?
        .into_iter()
        .filter_map(|(key, value)| {
            let key = key?;
            // Longer than any of those that are looked for.
            (key.len() <= 24).then(|| (plain(&key), value))
        })
        .collect();
    let by = |keys: &[&str]| {
        keys.iter().find_map(|wanted| {
            let found = entries
                .iter()
                .find(|(key, value)| key == wanted && says_something(value) && !is_number(value));
            found.map(|(_, value)| *value)
        })
    };
    if let Some(error) = by(&ERROR_KEYS) {
        // `true` says that there is one, and something else says which.
        let which = (error.get() == "true").then(|| by(&WORD_KEYS)).flatten();
        return Some(words(which.unwrap_or(error)));
    }
    if !missing {
        return None;
    }
    if let Some(value) = by(&WORD_KEYS) {
        return Some(words(value));
    }
    let bad = entries.iter().any(|(key, value)| {
        VERDICT_KEYS.contains(&&**key) && BAD.contains(&&*written(value).to_lowercase())
    });
    bad.then(|| words(root))
}

fn is_number(value: &RawValue) -> bool {
    value
        .get()
        .starts_with(|c: char| c == '-' || c.is_ascii_digit())
}

/// What a value says to a person: a text, the message within an object, or the JSON itself.
fn words(value: &RawValue) -> String {
    let within = value.get().starts_with('{').then(|| {
        ["message", "msg", "text", "description", "info"]
            .iter()
            .find_map(|key| path::find(value, key).ok().flatten())
            .filter(|v| v.get().starts_with('"'))
    });
    shown(&written(within.flatten().unwrap_or(value)))
}

/// A provider's words as they may be shown: in one line, without control characters, at most
/// [`MAX_WORDS`] characters.
pub(super) fn shown(text: &str) -> String {
    let mut shown = String::new();
    let mut count = 0;
    for word in text.split(|c: char| c.is_whitespace() || c.is_control()) {
        if word.is_empty() {
            continue;
        }
        if !shown.is_empty() {
            shown.push(' ');
        }
        for c in word.chars() {
            if count == MAX_WORDS {
                shown.push('…');
                return shown;
            }
            shown.push(c);
            count += 1;
        }
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::*;

    fn raw(text: &str) -> &RawValue {
        serde_json::from_str(text).unwrap()
    }

    fn conditions(toml: &str) -> Conditions {
        #[derive(Deserialize)]
        struct Table {
            error: Conditions,
        }
        serde_json::from_str::<Table>(toml).unwrap().error
    }

    #[test]
    fn a_condition_holds_by_presence_by_value_by_another_value_and_by_a_part_of_a_text() {
        let body =
            raw(r#"{"code":429,"status":"error","msg":"Too Many","e":[],"n":null,"ok":false}"#);
        for (one, wanted) in [
            (r#"{"path":"msg"}"#, Some("Too Many")),
            (r#"{"path":"e"}"#, None),
            (r#"{"path":"n"}"#, None),
            (r#"{"path":"ok"}"#, None),
            (r#"{"path":"missing"}"#, None),
            (
                r#"{"path":"code","equals":429,"text":"msg"}"#,
                Some("Too Many"),
            ),
            (r#"{"path":"code","equals":"429"}"#, Some("429")),
            (r#"{"path":"code","equals":200}"#, None),
            (
                r#"{"path":"ok","equals":false,"text":"msg"}"#,
                Some("Too Many"),
            ),
            (r#"{"path":"status","not_equals":"ok"}"#, Some("error")),
            (r#"{"path":"status","not_equals":"error"}"#, None),
            (r#"{"path":"msg","contains":"too many"}"#, Some("Too Many")),
            (r#"{"path":"msg","contains":"few"}"#, None),
        ] {
            let one = conditions(&format!(r#"{{"error":{one}}}"#));
            assert_eq!(one.words(body).as_deref(), wanted, "{one:?}");
        }
        let several = conditions(r#"{"error":[{"path":"Note"},{"path":"msg"}]}"#);
        assert_eq!(several.words(body).as_deref(), Some("Too Many"));
        // What the condition asks for is not there: the whole answer speaks.
        let missing = conditions(r#"{"error":{"path":"status","not_equals":"ok"}}"#);
        assert_eq!(
            missing.words(raw(r#"{"x":1}"#)).as_deref(),
            Some(r#"{"x":1}"#)
        );
    }

    #[test]
    fn errors_that_nobody_declares_are_known_by_the_keys_that_providers_use() {
        for (body, wanted) in [
            (
                r#"{"Error Message":"the parameter apikey is invalid"}"#,
                "the parameter apikey is invalid",
            ),
            (
                r#"{"code":429,"message":"credits used up","status":"error"}"#,
                "credits used up",
            ),
            (r#"{"Note":"at most 5 calls"}"#, "at most 5 calls"),
            (
                r#"{"Information":"a premium endpoint"}"#,
                "a premium endpoint",
            ),
            (r#"{"detail":"Not found."}"#, "Not found."),
            (
                r#"{"code":-1121,"msg":"Invalid symbol."}"#,
                "Invalid symbol.",
            ),
            (
                r#"{"error":["EQuery:Unknown asset pair"]}"#,
                r#"["EQuery:Unknown asset pair"]"#,
            ),
            (r#"{"error":{"code":1,"message":"quota"}}"#, "quota"),
            (r#"{"error":true,"message":"quota"}"#, "quota"),
            (r#"{"success":false}"#, r#"{"success":false}"#),
            (
                r#"{"status":"ERROR","request_id":"x"}"#,
                r#"{"status":"ERROR","request_id":"x"}"#,
            ),
        ] {
            assert_eq!(
                undeclared(raw(body), true).as_deref(),
                Some(wanted),
                "{body}"
            );
        }
        for body in [
            r#"{"status":"OK","resultsCount":0}"#,
            r#"{"s":"no_data"}"#,
            r#"{"error":[],"result":{}}"#,
            r#"{"error":null,"errors":"","message":""}"#,
            r#"{"error":0}"#,
            "[]",
            "null",
        ] {
            assert_eq!(undeclared(raw(body), true), None, "{body}");
        }
        // An empty place for rows is an answer; a word beside it is none of an error.
        let none = raw(r#"{"values":[],"message":"market closed"}"#);
        assert_eq!(undeclared(none, false), None);
    }

    #[test]
    fn words_are_shown_in_one_line_and_cut() {
        assert_eq!(shown("a\r\n\u{1b}[31mb\t c"), "a [31mb c");
        let long = shown(&"é".repeat(500));
        assert_eq!(long.chars().count(), MAX_WORDS + 1);
    }
}
