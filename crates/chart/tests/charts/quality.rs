//! What stands in the SVGs of the charts of forecast quality.

use chart::{
    AcfChart, CoverageChart, CoveragePoint, CoverageSeries, Drawing, ErrorSeries, ErrorsChart, View,
};
use market::{Interval, Timestamp};

use crate::fixtures::{paths, texts};

#[test]
fn the_charts_of_quality_show_their_data() {
    let level = |level, inside| CoverageSeries {
        level,
        points: (1..=6)
            .map(|step| CoveragePoint {
                step,
                count: 100,
                inside,
            })
            .collect(),
    };
    let coverage = CoverageChart {
        model: "naive",
        levels: &[level(80.0, 78), level(95.0, 93)],
        view: View::sized(358, 240),
    };
    let svg = coverage.to_svg().unwrap();
    assert!(svg.contains("step 6, 78.0 % of 100"));
    assert_eq!(
        paths(&svg, "price")
            .iter()
            .map(|(_, d)| d.matches('a').count())
            .sum::<usize>(),
        12
    );

    let times: Vec<Timestamp> = (0..50).map(|i| Timestamp::from_secs(60 * i)).collect();
    let series = ["naive", "drift"].map(|model| ErrorSeries {
        model,
        points: times.iter().map(|t| (*t, 0.5)).collect(),
    });
    let errors = ErrorsChart {
        measure: "Mean absolute error",
        interval: Some(Interval::M1),
        series: &series,
        view: View::default(),
    };
    let svg = errors.to_svg().unwrap();
    assert!(texts(&svg).iter().any(|t| t == "drift"));
    assert_eq!(
        errors.description(),
        "naive: 0.50000 lately. drift: 0.50000 lately."
    );

    let acf = AcfChart {
        of: "residuals",
        values: &[0.5, 0.01, -0.4],
        observations: 100,
        view: View::default(),
    };
    assert!(
        acf.description()
            .ends_with("Outside: 0.500 at lag 1, −0.400 at lag 3.")
    );
    let svg = acf.to_svg().unwrap();
    assert_eq!(
        paths(&svg, "miss")
            .iter()
            .map(|(_, d)| d.matches('M').count())
            .sum::<usize>(),
        2
    );
}

#[test]
fn the_charts_of_quality_say_when_they_have_nothing() {
    let view = View::default();
    let coverage = CoverageChart {
        model: "naive",
        levels: &[],
        view,
    };
    let errors = ErrorsChart {
        measure: "MAE",
        interval: Some(Interval::D1),
        series: &[],
        view,
    };
    let acf = AcfChart {
        of: "residuals",
        values: &[],
        observations: 0,
        view,
    };
    for (svg, message) in [
        (coverage.to_svg(), "No outcomes yet"),
        (errors.to_svg(), "No errors yet"),
        (acf.to_svg(), "No observations yet"),
    ] {
        assert!(
            texts(&svg.unwrap()).iter().any(|t| t == message),
            "{message}"
        );
    }
}
