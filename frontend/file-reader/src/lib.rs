//! The server's reader of price files as a wasm module of its own, for a worker (`frontend/file/reader.ts`).
//!
//! Model: a file's bytes in, its series as JSON out: `{"series":[{"id","values"}],"notes":[]}` (null for a
//! missing value), or `{"error": message}` in the words of the command line, with line and column. The worker reads
//! one file and ends, and the memory with it.
//!
//! What it does not do: columnar files, zip archives, time zones by their names.

use market::Timestamp;
use serde::Serialize;
use source::file::{
    FileOptions,
    input::Input,
    series::{Series, SeriesOptions, read as read_series},
};
use wasm_bindgen::prelude::wasm_bindgen;

#[derive(Serialize)]
#[serde(untagged)]
enum Reply {
    File {
        series: Vec<Values>,
        notes: Vec<String>,
    },
    Error {
        error: String,
    },
}

#[derive(Serialize)]
struct Values {
    id: String,
    values: Vec<Option<f64>>,
}

impl From<Series> for Values {
    fn from(series: Series) -> Self {
        Self {
            id: series.id,
            // JSON has no NaN.
            values: series
                .values
                .into_iter()
                .map(|value| Some(value).filter(|value| value.is_finite()))
                .collect(),
        }
    }
}

/// Reads the series of a file: of the column `column`, split by the column `id`, where they are not empty. `now_us`
/// is the clock, in microseconds since 1970 UTC. Returns JSON (see the file's head).
#[wasm_bindgen]
#[must_use]
pub fn read(name: &str, bytes: Vec<u8>, column: &str, id: &str, now_us: f64) -> String {
    let named = |text: &str| Some(text.to_owned()).filter(|text| !text.is_empty());
    let options = SeriesOptions {
        column: named(column),
        id: named(id),
        reading: FileOptions::new(Timestamp::from_micros(now_us as i64)),
    };
    // The module lives as long as its one file.
    let file = Input::of_bytes(name, bytes.leak()).and_then(|input| read_series(input, &options));
    let reply = match file {
        Ok(file) => Reply::File {
            series: file.series.into_iter().map(Values::from).collect(),
            notes: file.notes,
        },
        Err(error) => Reply::Error {
            error: error.to_string(),
        },
    };
    serde_json::to_string(&reply)
        .unwrap_or_else(|_| r#"{"error":"the series could not be written"}"#.to_owned())
}
