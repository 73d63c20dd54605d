//! The layers that settings come from: file, environment, flags, the later above the earlier. A
//! fault in any of them is kept and reported with the others.

use std::{collections::BTreeMap, ffi::OsString, fmt, path::Path};

use super::settings;

/// One thing wrong with the configuration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// The key, or the file where the fault is not of one key.
    pub key: String,
    /// Where the value came from: `tickcast.toml`, `TICKCAST_WEB_PORT`, `--port`.
    pub origin: String,
    /// What is wrong and what was expected.
    pub problem: String,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} (from {}): {}", self.key, self.origin, self.problem)
    }
}

/// A value as text; a list keeps its items.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RawValue {
    /// One item, or those of a list.
    pub items: Vec<String>,
    /// Where it came from.
    pub origin: String,
}

/// What is wrong with a text that is not TOML. The error's own text quotes the line, which may hold a
/// secret.
pub(super) fn not_toml(error: &toml::de::Error, text: &str) -> String {
    format!("not TOML: {}{}", error.message(), line_of(error, text))
}

/// Where in the text it is: ` at line 3`.
pub(super) fn line_of(error: &toml::de::Error, text: &str) -> String {
    let before = error.span().and_then(|span| text.get(..span.start));
    before.map_or(String::new(), |before| {
        format!(" at line {}", before.matches('\n').count() + 1)
    })
}

/// The values of every layer, merged, and the faults met on the way.
#[derive(Debug, Default)]
pub struct Layers {
    values: BTreeMap<&'static str, RawValue>,
    /// What was wrong.
    pub faults: Vec<Fault>,
}

impl Layers {
    /// Reads `tickcast.toml`-like text.
    pub fn add_file(&mut self, path: &Path, text: &str) {
        let origin = path.display().to_string();
        let table = match text.parse::<toml::Table>() {
            Ok(table) => table,
            Err(e) => {
                self.faults.push(Fault {
                    key: origin.clone(),
                    origin,
                    problem: not_toml(&e, text),
                });
                return;
            }
        };
        for (section, value) in table {
            let toml::Value::Table(entries) = value else {
                self.unknown(&section, &origin);
                continue;
            };
            for (name, value) in entries {
                let key = format!("{section}.{name}");
                let items = match value {
                    toml::Value::Array(items) => items.into_iter().map(scalar).collect(),
                    other => scalar(other).map(|text| vec![text]),
                };
                match items {
                    Some(items) => self.set(&key, items, &origin),
                    None => self.faults.push(Fault {
                        key,
                        origin: origin.clone(),
                        problem: "expected a text, a number, true or false, or a list of them"
                            .into(),
                    }),
                }
            }
        }
    }

    /// Reads the variables that begin with `TICKCAST_`.
    pub fn add_environment(&mut self, variables: impl IntoIterator<Item = (OsString, OsString)>) {
        for (name, text) in variables {
            // What is not ours may hold anything.
            let name = name.to_string_lossy().into_owned();
            if !name.starts_with("TICKCAST_") || RESERVED.contains(&name.as_str()) {
                continue;
            }
            let Ok(text) = text.into_string() else {
                self.faults.push(Fault {
                    key: name,
                    origin: "the environment".into(),
                    problem: "is not UTF-8".into(),
                });
                continue;
            };
            match settings::all().find(|s| settings::env_name(s.key) == name) {
                Some(s) => self.set(s.key, split(s.list, &text), &name),
                None => self.faults.push(Fault {
                    key: name.clone(),
                    origin: "the environment".into(),
                    problem: "no such setting; `tickcast config` lists them".into(),
                }),
            }
        }
    }

    /// Takes one flag's value.
    pub fn add_flag(&mut self, key: &str, text: &str, flag: &str) {
        let is_list = settings::find(key).is_some_and(|s| s.list);
        self.set(key, split(is_list, text), flag);
    }

    fn set(&mut self, key: &str, items: Vec<String>, origin: &str) {
        match settings::find(key) {
            Some(s) => {
                self.values.insert(
                    s.key,
                    RawValue {
                        items,
                        origin: origin.to_owned(),
                    },
                );
            }
            None => self.unknown(key, origin),
        }
    }

    fn unknown(&mut self, key: &str, origin: &str) {
        let hint = match settings::nearest(key) {
            Some(near) => format!("no such setting; did you mean {near}?"),
            None => "no such setting; `tickcast config` lists them".into(),
        };
        self.faults.push(Fault {
            key: key.into(),
            origin: origin.into(),
            problem: hint,
        });
    }

    /// The value of a key: of the topmost layer that has it, else the default.
    pub fn raw(&self, key: &str) -> RawValue {
        if let Some(value) = self.values.get(key) {
            return value.clone();
        }
        let (default, is_list) = settings::find(key).map_or(("", false), |s| (s.default, s.list));
        RawValue {
            items: split(is_list, default),
            origin: "the default".into(),
        }
    }

    /// Reads one value; a value that does not parse becomes a fault and `None`.
    pub fn one<T, E>(&mut self, key: &str, parse: impl FnOnce(&str) -> Result<T, E>) -> Option<T> {
        let raw = self.raw(key);
        match raw.items.as_slice() {
            [text] => match parse(text) {
                Ok(value) => Some(value),
                Err(_) => {
                    self.mismatch(key, text, &raw.origin);
                    None
                }
            },
            _ => {
                self.mismatch(key, &raw.items.join(","), &raw.origin);
                None
            }
        }
    }

    /// Reads a list; each item that does not parse becomes a fault.
    pub fn many<T, E>(&mut self, key: &str, parse: impl Fn(&str) -> Result<T, E>) -> Vec<T> {
        let raw = self.raw(key);
        let mut values = Vec::with_capacity(raw.items.len());
        for text in &raw.items {
            match parse(text) {
                Ok(value) => values.push(value),
                Err(_) => self.mismatch(key, text, &raw.origin),
            }
        }
        values
    }

    fn mismatch(&mut self, key: &str, text: &str, origin: &str) {
        let s = settings::find(key);
        let expects = s.map_or("another value", |s| s.expects);
        let shown = if s.is_some_and(|s| s.secret) {
            "********"
        } else {
            text
        };
        self.faults.push(Fault {
            key: key.into(),
            origin: origin.into(),
            problem: format!("{shown:?} is not {expects}"),
        });
    }
}

/// Variables with our prefix that are not settings: they steer scripts, or the choice of the file.
const RESERVED: &[&str] = &[
    "TICKCAST_CONFIG",
    "TICKCAST_TOKEN",
    "TICKCAST_TOOLS",
    "TICKCAST_CACHE",
    "TICKCAST_BIN",
    "TICKCAST_TEST_SEED",
    "TICKCAST_TORTURE_ROUNDS",
    "TICKCAST_SERVICES_DIR",
];

fn split(list: bool, text: &str) -> Vec<String> {
    if !list {
        return vec![text.trim().to_owned()];
    }
    // Models carry commas of their own: arima(1,1,1) is one item.
    let mut items = vec![String::new()];
    let mut depth = 0_i32;
    for c in text.chars() {
        match c {
            '(' | '[' => depth += 1,
            ')' | ']' => depth -= 1,
            _ => {}
        }
        if c == ',' && depth <= 0 {
            items.push(String::new());
        } else if let Some(last) = items.last_mut() {
            last.push(c);
        }
    }
    items
        .into_iter()
        .map(|i| i.trim().to_owned())
        .filter(|i| !i.is_empty())
        .collect()
}

fn scalar(value: toml::Value) -> Option<String> {
    match value {
        toml::Value::String(text) => Some(text),
        toml::Value::Integer(n) => Some(n.to_string()),
        toml::Value::Float(x) => Some(x.to_string()),
        toml::Value::Boolean(b) => Some(b.to_string()),
        toml::Value::Datetime(_) | toml::Value::Array(_) | toml::Value::Table(_) => None,
    }
}
