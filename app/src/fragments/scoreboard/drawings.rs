//! The drawings of a series: forecasts over outcomes, skill and coverage over time by horizon, coverage by steps ahead.

use chart::{
    CoverageChart, CoveragePoint, CoverageSeries, Drawing, ErrorSeries, ErrorsChart, PastForecast,
    PriceChart, PriceStyle, View,
};
use leptos::prelude::*;

use super::{SeriesScores, rolling};
use crate::{
    erase::Erase,
    format::ahead,
    fragments::parts::{html, panel},
    scene,
};

/// The sizes of the drawings in CSS pixels.
const WIDE: (u32, u32) = (scene::WIDE.0, 260);
const NARROW: (u32, u32) = (scene::NARROW.0, 240);
const COVERAGE: (u32, u32) = (420, 260);

/// The horizons that are drawn over time.
const STEPS: [usize; 3] = [1, 5, 10];

/// The panels, each a part of the page; none where nothing was forecast.
pub fn panels(shown: &SeriesScores) -> Vec<String> {
    if shown.past.is_empty() {
        return Vec::new();
    }
    vec![
        html(forecasts(shown)),
        html(over_time(shown)),
        html(by_step(shown)),
    ]
}

/// A drawing in both sizes.
fn figure(id: &'static str, draw: impl Fn((u32, u32)) -> String) -> AnyView {
    let (wide, narrow) = (draw(WIDE), draw(NARROW));
    view! {
        <figure class="drawing" data-testid=id>
            <div class="wide" inner_html=wide></div>
            <div class="narrow" inner_html=narrow></div>
        </figure>
    }
    .erased()
}

/// A drawing that cannot be made leaves its place empty; the tables have the numbers.
fn svg(drawing: &impl Drawing) -> String {
    drawing.to_svg().unwrap_or_default()
}

/// What was forecast of each bar, one step before, over what came.
fn forecasts(shown: &SeriesScores) -> AnyView {
    let past: Vec<PastForecast> = shown
        .past
        .iter()
        .filter_map(|scored| {
            PastForecast::from_fan(&scored.fan, 1, scored.fan.bands.first()?.level)
        })
        .collect();
    let drawn = figure("forecasts", |(width, height)| {
        svg(&PriceChart {
            symbol: shown.symbol.as_str(),
            interval: shown.interval,
            bars: &shown.bars,
            fans: Vec::new(),
            past: &past,
            champions: &[],
            style: PriceStyle::Line,
            cursor: None,
            empty_message: "No bars of this interval",
            view: View::sized(width, height),
        })
    });
    let heading = format!("Forecasts of {} over outcomes", shown.model);
    let body = view! {
        {drawn}
        <p class="note">
            "Each close as it was forecast one step before, with its narrower interval, over the close that came."
        </p>
    }
    .erased();
    panel("forecasts-heading", &heading, body)
}

/// Lines over time, one for each horizon.
fn lines(
    shown: &SeriesScores,
    measure: &str,
    id: &'static str,
    of: impl Fn(&[rolling::Outcome], usize) -> Vec<(market::Timestamp, f64)>,
) -> Option<AnyView> {
    let names = STEPS.map(|step| ahead(step as u32));
    let series: Vec<ErrorSeries<'_>> = STEPS
        .iter()
        .zip(&names)
        .map(|(step, name)| ErrorSeries {
            model: name,
            points: of(&rolling::outcomes(&shown.past, *step), *step),
        })
        .filter(|series| !series.points.is_empty())
        .collect();
    if series.is_empty() {
        return None;
    }
    Some(figure(id, |(width, height)| {
        svg(&ErrorsChart {
            measure,
            interval: Some(shown.interval),
            series: &series,
            view: View::sized(width, height),
        })
    }))
}

fn over_time(shown: &SeriesScores) -> AnyView {
    let bands = shown.past.last().map(|scored| &scored.fan.bands);
    let level = |at: usize| {
        bands
            .and_then(|bands| bands.get(at))
            .map_or(0.0, |band| band.level)
    };
    let drawn = [
        lines(
            shown,
            "Skill against naive in %, above 0 is better",
            "skill-over-time",
            rolling::skill,
        ),
        lines(
            shown,
            &format!("Outcomes inside the {:.0} % interval, in %", level(0)),
            "narrow-over-time",
            |outcomes, step| rolling::coverage(outcomes, step, 0),
        ),
        lines(
            shown,
            &format!("Outcomes inside the {:.0} % interval, in %", level(1)),
            "wide-over-time",
            |outcomes, step| rolling::coverage(outcomes, step, 1),
        ),
    ];
    let body = if drawn.iter().all(Option::is_none) {
        view! { <p data-testid="no-curves">"Too early to draw: there are less than 30 outcomes."</p> }.erased()
    } else {
        let drawn: Vec<_> = drawn.into_iter().flatten().collect();
        view! {
            {drawn}
            <p class="note">
                "Each point is over the last 30 outcomes that do not depend on each other: of forecasts several steps \
                ahead, which are made at every bar, as many that follow each other count as one."
            </p>
        }
        .erased()
    };
    panel("over-time-heading", "Skill and coverage over time", body)
}

/// Coverage by steps ahead, over all outcomes.
fn by_step(shown: &SeriesScores) -> AnyView {
    let mut of_model: Vec<_> = shown
        .scores
        .iter()
        .filter(|score| score.model == shown.model && score.count > 0)
        .collect();
    of_model.sort_by_key(|score| score.step);
    let Some(first) = of_model.first() else {
        return ().erased();
    };
    let levels: Vec<CoverageSeries> = first
        .coverage
        .iter()
        .map(|(level, _)| CoverageSeries {
            level: *level,
            points: of_model
                .iter()
                .filter_map(|score| {
                    let (_, share) = score.coverage.iter().find(|(l, _)| l == level)?;
                    // Overlapping outcomes count as what they are worth.
                    let count = crate::api::markup::record::outcomes_of(score);
                    Some(CoveragePoint {
                        step: score.step,
                        count,
                        inside: (share * count as f64).round() as u64,
                    })
                })
                .collect(),
        })
        .collect();
    let drawn = svg(&CoverageChart {
        model: &shown.model,
        levels: &levels,
        view: View::sized(COVERAGE.0, COVERAGE.1),
    });
    let body = view! {
        <figure class="drawing columns" data-testid="coverage-by-step"><div inner_html=drawn></div></figure>
    }
    .erased();
    panel("by-step-heading", "Coverage by steps ahead", body)
}
