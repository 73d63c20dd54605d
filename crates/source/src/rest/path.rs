//! Paths into an answer.
//!
//! A path is keys joined by dots. A key that has a dot itself ("1. open") is written as it is: at each step
//! the longest part of the path that is a key there is taken. In an array a number is a place, from 0.
//! `*`, in the path to the rows, stands for every value of an object or an array.
//!
//! Null, and an array or an object with nothing in it, leads nowhere, whatever follows: providers that have
//! nothing to tell send one or the other. One pass over each level; no tree is built.

use std::{borrow::Cow, fmt};

use serde::{
    Deserialize, Deserializer,
    de::{DeserializeSeed, IgnoredAny, MapAccess, SeqAccess, Visitor},
};
use serde_json::{Value, value::RawValue};

/// The entries of an object with their keys, or the elements of an array without.
pub type Entries<'a> = Vec<(Option<Cow<'a, str>>, &'a RawValue)>;

/// What stands for every value.
pub const EACH: &str = "*";

/// The value that a path leads to.
///
/// # Errors
/// For a person: what lies on the way is neither an object nor an array.
pub fn find<'a>(root: &'a RawValue, path: &str) -> Result<Option<&'a RawValue>, String> {
    let (mut at, mut rest) = (root, path.trim_matches('.'));
    while !rest.is_empty() {
        let step = Step(rest);
        let mut json = serde_json::Deserializer::from_str(at.get());
        match step.deserialize(&mut json).map_err(|e| e.to_string())? {
            None => return Ok(None),
            Some((taken, value)) => {
                at = value;
                rest = rest[taken..].trim_start_matches('.');
            }
        }
    }
    Ok(Some(at))
}

/// The values that a path with [`EACH`] leads to, each with the key that it stands for; without it, the one
/// value. `None` when the path leads nowhere.
///
/// # Errors
/// As [`find`].
pub fn find_all<'a>(root: &'a RawValue, path: &str) -> Result<Option<Entries<'a>>, String> {
    let Some((before, after)) = split_each(path) else {
        return Ok(find(root, path)?.map(|value| vec![(None, value)]));
    };
    let Some(group) = find(root, before)? else {
        return Ok(None);
    };
    let mut found = Vec::new();
    for (key, value) in entries(group)? {
        // What has no such thing in it is something else: Kraken's `last` beside the pair.
        if let Ok(Some(values)) = find_all(value, after) {
            found.extend(values.into_iter().map(|(own, v)| (own.or(key.clone()), v)));
        }
    }
    Ok(Some(found))
}

fn split_each(path: &str) -> Option<(&str, &str)> {
    let mut from = 0;
    for key in path.split('.') {
        if key == EACH {
            return Some((&path[..from], &path[from + 1..]));
        }
        from += key.len() + 1;
    }
    None
}

/// The entries of an object, or the elements of an array.
///
/// # Errors
/// For a person: it is neither.
pub fn entries(value: &RawValue) -> Result<Entries<'_>, String> {
    struct Each;
    impl<'de> Visitor<'de> for Each {
        type Value = Entries<'de>;
        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("an object or an array")
        }
        fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
            let mut entries = Vec::new();
            while let Some(Key(key)) = map.next_key()? {
                entries.push((Some(key), map.next_value()?));
            }
            Ok(entries)
        }
        fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Self::Value, A::Error> {
            let mut elements = Vec::new();
            while let Some(element) = seq.next_element()? {
                elements.push((None, element));
            }
            Ok(elements)
        }
        fn visit_unit<E>(self) -> Result<Self::Value, E> {
            Ok(Vec::new())
        }
    }
    let mut json = serde_json::Deserializer::from_str(value.get());
    json.deserialize_any(Each).map_err(|e| e.to_string())
}

/// The value that a path leads to in a row that has been read as a tree.
pub fn look_up<'v>(row: &'v Value, path: &str) -> Option<&'v Value> {
    let (mut at, mut rest) = (row, path.trim_matches('.'));
    while !rest.is_empty() {
        let taken = match at {
            Value::Object(object) => {
                let mut end = rest.len();
                loop {
                    if let Some(value) = object.get(&rest[..end]) {
                        at = value;
                        break end;
                    }
                    end = rest[..end].rfind('.')?;
                }
            }
            Value::Array(array) => {
                let key = rest.split('.').next()?;
                at = array.get(place(key)?)?;
                key.len()
            }
            _ => return None,
        };
        rest = rest[taken..].trim_start_matches('.');
    }
    Some(at)
}

/// A key that is a place in an array.
pub fn place(key: &str) -> Option<usize> {
    let digits = !key.is_empty() && key.bytes().all(|b| b.is_ascii_digit());
    digits.then(|| key.parse().ok())?
}

/// A key, copied only where it has escapes.
pub struct Key<'de>(pub Cow<'de, str>);

impl<'de> Deserialize<'de> for Key<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Text;
        impl<'de> Visitor<'de> for Text {
            type Value = Key<'de>;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a key")
            }
            fn visit_borrowed_str<E>(self, key: &'de str) -> Result<Key<'de>, E> {
                Ok(Key(Cow::Borrowed(key)))
            }
            fn visit_str<E>(self, key: &str) -> Result<Key<'de>, E> {
                Ok(Key(Cow::Owned(key.to_owned())))
            }
        }
        deserializer.deserialize_str(Text)
    }
}

/// One step along a path: how much of it is taken, and what lies there.
struct Step<'p>(&'p str);

impl<'de> DeserializeSeed<'de> for Step<'_> {
    type Value = Option<(usize, &'de RawValue)>;
    fn deserialize<D: Deserializer<'de>>(self, d: D) -> Result<Self::Value, D::Error> {
        d.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Step<'_> {
    type Value = Option<(usize, &'de RawValue)>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "an object with the key {}", self.0)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut found: Self::Value = None;
        while let Some(Key(key)) = map.next_key()? {
            let leads = self
                .0
                .strip_prefix(&*key)
                .is_some_and(|rest| !key.is_empty() && (rest.is_empty() || rest.starts_with('.')));
            // Of a key that comes twice the last one counts, as everywhere in JSON.
            if leads && found.is_none_or(|(taken, _)| taken <= key.len()) {
                found = Some((key.len(), map.next_value()?));
            } else {
                map.next_value::<IgnoredAny>()?;
            }
        }
        Ok(found)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Self::Value, A::Error> {
        let key = self.0.split('.').next().unwrap_or_default();
        let wanted = place(key);
        let mut found = None;
        let mut at = 0;
        while let Some(element) = seq.next_element::<&RawValue>()? {
            if wanted == Some(at) {
                found = Some((key.len(), element));
            }
            at += 1;
        }
        if wanted.is_none() && at > 0 {
            return Err(serde::de::Error::custom(format!(
                "expected an object with the key {}, found an array",
                self.0
            )));
        }
        Ok(found)
    }

    fn visit_unit<E>(self) -> Result<Self::Value, E> {
        Ok(None)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn raw(text: &str) -> &RawValue {
        serde_json::from_str(text).unwrap()
    }

    #[test]
    fn keys_with_dots_places_and_nested_keys_are_found_alike_in_text_and_tree() {
        let text = r#"{"1. open":7,"1":{" open":8},"a":{"b.c":[10,{"d":11}],"b":{"c":9}},"n":null,"e":[],"o":{}}"#;
        let tree: Value = serde_json::from_str(text).unwrap();
        for (path, wanted) in [
            ("1. open", Some("7")),
            ("a.b.c.0", Some("10")),
            ("a.b.c.1.d", Some("11")),
            ("a.b.c.2", None),
            ("a.b.x", None),
            ("n.x", None),
            ("e.x", None),
            ("e.0", None),
            ("o.x.y", None),
            ("missing", None),
        ] {
            let found = find(raw(text), path).unwrap().map(RawValue::get);
            assert_eq!(found, wanted, "{path}");
            let found = look_up(&tree, path).map(ToString::to_string);
            assert_eq!(found.as_deref(), wanted, "{path}");
        }
        assert!(find(raw("7"), "a").is_err());
        assert!(find(raw("[1]"), "a").is_err());
        assert_eq!(find(raw("7"), "").unwrap().unwrap().get(), "7");
    }

    #[test]
    fn a_star_stands_for_every_value_that_the_path_goes_on_in() {
        let all = |text, path| -> Option<Vec<(Option<String>, String)>> {
            let found = find_all(raw(text), path).unwrap()?;
            let owned = |(key, value): (Option<Cow<'_, str>>, &RawValue)| {
                (key.map(Cow::into_owned), value.get().to_owned())
            };
            Some(found.into_iter().map(owned).collect())
        };
        let kraken = r#"{"error":[],"result":{"XXBTZUSD":[[1]],"last":5}}"#;
        let found = all(kraken, "result.*").unwrap();
        assert_eq!(found[0], (Some("XXBTZUSD".into()), "[[1]]".into()));
        let many = r#"{"A":{"values":[1]},"B":{"values":[2]},"status":"ok"}"#;
        let found = all(many, "*.values").unwrap();
        let wanted = [("A", "[1]"), ("B", "[2]")].map(|(k, v)| (Some(k.to_owned()), v.to_owned()));
        assert_eq!(found, wanted);
        assert_eq!(all(r#"{"result":null}"#, "result.*"), Some(Vec::new()));
        assert_eq!(all(r#"{"other":1}"#, "result.*"), None);
        assert_eq!(all(r#"[{"v":1},{"v":2}]"#, "*.v").unwrap().len(), 2);
    }
}
