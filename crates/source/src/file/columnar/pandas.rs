//! What pandas says of its columns in a file's metadata.
//!
//! Model: pandas writes a JSON object under the key `pandas` into the schema of Parquet and Arrow files;
//! the time zone of each column of times is in it, also where the writer kept UTC alone in the column's
//! type (fastparquet).
//!
//! What it does not do: other properties of the metadata.

use std::collections::HashMap;

use serde_json::Value;

/// The key that the metadata stands under.
pub const KEY: &str = "pandas";

/// Time zones by the name of the column, of the JSON text; one that cannot be read says nothing.
pub fn zones(json: &str) -> HashMap<String, String> {
    let root: Value = serde_json::from_str(json).unwrap_or_default();
    let columns = root["columns"].as_array().map_or(&[][..], Vec::as_slice);
    let zone = |column: &Value| {
        let name = column["field_name"].as_str().or(column["name"].as_str())?;
        let zone = column["metadata"]["timezone"].as_str()?;
        Some((name.to_owned(), zone.to_owned()))
    };
    columns.iter().filter_map(zone).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_zones_are_found_and_nonsense_says_nothing() {
        let zones_of_one = zones(
            r#"{"index_columns": ["Date", {"kind": "range", "name": null}],
                "columns": [
                  {"name": "Open", "field_name": "Open", "metadata": null},
                  {"name": null, "field_name": "Date", "metadata": {"timezone": "America/New_York"}}
                ]}"#,
        );
        assert_eq!(zones_of_one["Date"], "America/New_York");
        assert_eq!(zones_of_one.len(), 1);
        for text in ["", "[]", "{\"columns\": 3}", "null"] {
            assert!(zones(text).is_empty(), "{text}");
        }
    }
}
