//! The decomposition by loess against R 4.2.2, forecast 8.20 (see fixtures/README.md).

#![allow(clippy::unwrap_used, reason = "helpers of tests")]

use std::collections::BTreeMap;

use forecast::decompose::stl;
use serde::Deserialize;
#[cfg(target_family = "wasm")]
use wasm_bindgen_test::wasm_bindgen_test as test;

#[derive(Deserialize)]
struct Series {
    season: usize,
    values: Vec<f64>,
    seasonal: Vec<f64>,
    trend: Vec<f64>,
    remainder: Vec<f64>,
}

#[test]
fn the_parts_are_those_of_r() {
    let reference: BTreeMap<String, Series> =
        serde_json::from_str(include_str!("fixtures/decomposition_reference.json")).unwrap();
    assert_eq!(reference.len(), 9);
    for (name, series) in reference {
        let parts = stl(&series.values, series.season).unwrap();
        let size = series.values.iter().fold(0.0, |a: f64, v| a.max(v.abs()));
        for (part, got, want) in [
            ("season", &parts.seasonal, &series.seasonal),
            ("trend", &parts.trend, &series.trend),
            ("remainder", &parts.remainder, &series.remainder),
        ] {
            assert_eq!(got.len(), want.len());
            for (t, (got, want)) in got.iter().zip(want).enumerate() {
                let error = (got - want).abs() / size;
                assert!(error < 1e-12, "{name}, {part} at {t}: {got}, R {want}");
            }
        }
    }
}

#[test]
fn two_seasons_and_a_value_are_the_least_that_is_decomposed() {
    let y: Vec<f64> = (0..9).map(|t| f64::from(t % 4)).collect();
    assert!(stl(&y, 4).is_some());
    assert!(stl(&y[..8], 4).is_none());
    assert!(stl(&y, 1).is_none());
}
