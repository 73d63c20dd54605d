//! The result of a backtest: the verdicts in words, the tables, the drawings.
//!
//! Model: of several symbols what they have in common comes first, then each by itself. Rows over all
//! symbols have means of what has no unit; what has one, and tests over series that are not
//! independent, are left out.

use chart::{
    CoverageChart, CoveragePoint, CoverageSeries, Drawing, ErrorSeries, ErrorsChart, View,
};
use forecast::backtest::{ModelReport, Report, overall};
use leptos::prelude::*;
use market::Symbol;

use super::{
    markup,
    numbers::{duration, estimate, measure, p_value, share, skill},
    record::NAIVE,
    verdict,
};
use crate::{
    api::backtest::{BacktestAsk, SymbolResult},
    erase::Erase,
    format::{self, ahead},
    scene,
};

/// The sizes of the drawings in CSS pixels. Coverage stands in columns and shrinks with its place.
const ERRORS_WIDE: (u32, u32) = (scene::WIDE.0, 320);
const ERRORS_NARROW: (u32, u32) = (scene::NARROW.0, 280);
const COVERAGE: (u32, u32) = (420, 260);

/// The result of what was asked; `simulated` are the symbols whose prices are made up.
pub fn report(ask: &BacktestAsk, results: &[SymbolResult], simulated: &[Symbol]) -> String {
    let good: Vec<&Report> = results
        .iter()
        .filter_map(|r| r.outcome.as_ref().ok())
        .collect();
    let layout = format!(
        "{} origins, {} bars of {} apart. At each, every model was fitted to {} {} and forecast the next \
         {}; that is what happened to the forecasts.",
        ask.origins,
        ask.step.unwrap_or(ask.horizon),
        ask.interval,
        match ask.window {
            Some(window) => format!("the last {window}"),
            None => "all".to_owned(),
        },
        if ask.log {
            "closes before it, as logarithms,"
        } else {
            "closes before it"
        },
        if ask.horizon == 1 {
            "close".to_owned()
        } else {
            format!("{} closes", ask.horizon)
        },
    );
    let season = good.first().map(|report| match report.layout.options.season {
        1 => "No season: MASE and RMSSE are scaled by naive's errors.".to_owned(),
        season => format!(
            "Season: {season} bars, as for every series of {}; MASE and RMSSE are scaled by the errors of \
             seasonal naive.",
            ask.interval
        ),
    });
    let made_up = (!simulated.is_empty()).then(|| {
        let names: Vec<&str> = simulated.iter().map(Symbol::as_str).collect();
        let words = format!(
            "Simulated data: the prices of {} are made up.",
            names.join(", ")
        );
        view! { <p class="simulated" role="note" data-testid="backtest-simulated">{words}</p> }
    });
    let several = results.len() > 1;
    let each: Vec<_> = results
        .iter()
        .enumerate()
        .map(|(at, result)| symbol(ask, result, several, at == 0))
        .collect();
    markup(view! {
        <h2 id="backtest-result-heading" tabindex="-1">"Result"</h2>
        {made_up}
        <p>{layout}</p>
        <p data-testid="backtest-season">{season}</p>
        {(several && good.len() > 1).then(|| over_all(&good))}
        {each}
        <details class="explanation">
            <summary>"How to read this"</summary>
            <p>
                "MASE and RMSSE divide the error by that of naive (where there is a season, of seasonal naive) over \
                the closes that were fitted: below 1 is better than that was there. sMAPE is in percent, from 0 to 200. Pinball loss and CRPS \
                judge the whole distribution that the intervals describe; lower is better. Skill is 1 − \
                mean absolute error / that of naive: above 0 is better than naive."
            </p>
            <p>
                "Held is the share of outcomes inside an interval: that of the 80 % interval should be close \
                to 80 %, no less and no more; of two that are right the narrower says more. p is the \
                Diebold–Mariano test of the absolute errors against naive, with the correction of Harvey, \
                Leybourne and Newbold; Holm's corrects it for the number of models. Below 0.05 the \
                difference is called significant."
            </p>
        </details>
    })
}

/// What all symbols have in common.
fn over_all(reports: &[&Report]) -> AnyView {
    let names = reports[0].models.iter().map(|row| row.model.as_str());
    let rows: Vec<(&str, Vec<&ModelReport>)> = names
        .map(|name| (name, reports.iter().filter_map(|r| r.model(name)).collect()))
        .collect();
    let words: Vec<_> = rows
        .iter()
        .filter(|(name, _)| *name != NAIVE)
        .map(|(name, rows)| verdict_line(name, verdict::over_symbols(rows)))
        .collect();
    let cells: Vec<_> = overall(reports).iter().map(mean_row).collect();
    let levels = level_heads(reports[0], false);
    view! {
        <section class="result" data-testid="result-all">
            <h3>"All symbols"</h3>
            <ul class="verdicts">{words}</ul>
            <p class="note">
                "The tests are corrected for the number of models, not for that of symbols: of twenty \
                symbols one may look significant by chance."
            </p>
            <div class="scroll" role="region" aria-label="Measures over all symbols" tabindex="0">
                <table>
                    <caption>"Means over the symbols"</caption>
                    <thead>
                        <tr>
                            <th scope="col">"Model"</th>
                            <th scope="col">"MASE"</th>
                            <th scope="col">"RMSSE"</th>
                            <th scope="col">"sMAPE"</th>
                            <th scope="col">"Skill"</th>
                            {levels}
                            <th scope="col">"Failed"</th>
                            <th scope="col">"Time"</th>
                        </tr>
                    </thead>
                    <tbody>{cells}</tbody>
                </table>
            </div>
        </section>
    }
    .erased()
}

fn mean_row(row: &ModelReport) -> AnyView {
    let m = &row.measures;
    let held: Vec<_> = m
        .levels
        .iter()
        .map(|level| cell(share(level.coverage)))
        .collect();
    view! {
        <tr>
            <th scope="row">{row.model.clone()}</th>
            {cell(measure(m.mase))}
            {cell(measure(m.rmsse))}
            {cell(measure(m.smape))}
            {cell(skill(&row.model, m.skill))}
            {held}
            {cell(row.failures.to_string())}
            {cell(duration(row.seconds))}
        </tr>
    }
    .erased()
}

/// One symbol; folded where there are several, the first one open.
fn symbol(ask: &BacktestAsk, result: &SymbolResult, several: bool, first: bool) -> AnyView {
    let name = result.symbol.to_string();
    let id = format!("result-{name}");
    let body = match &result.outcome {
        Ok(report) => found(ask, result, report),
        Err(why) => {
            let text = format!("{name} could not be tested: {why}.");
            view! { <p class="warning" role="alert">{text}</p> }.erased()
        }
    };
    if several {
        view! {
            <details class="result" open=first data-testid=id>
                <summary>{name}</summary>
                {body}
            </details>
        }
        .erased()
    } else {
        view! { <section class="result" data-testid=id><h3>{name}</h3> {body}</section> }.erased()
    }
}

fn found(ask: &BacktestAsk, result: &SymbolResult, report: &Report) -> AnyView {
    let words: Vec<_> = report
        .models
        .iter()
        .map(|row| verdict_line(&row.model, verdict::in_words(row, report.layout.step)))
        .collect();
    let span = match (result.origins.first(), result.origins.last()) {
        (Some(first), Some(last)) => format!(
            "Origins from {} to {} UTC",
            format::bar_time(*first, ask.interval),
            format::bar_time(*last, ask.interval)
        ),
        _ => "Every measure".to_owned(),
    };
    let rows: Vec<_> = report.models.iter().map(measures_row).collect();
    let coverage: Vec<_> = report
        .models
        .iter()
        .filter(|row| row.failures < row.folds.len())
        .map(|row| view! { <div inner_html=coverage_drawing(row)></div> })
        .collect();
    let (wide, narrow) = (
        errors_drawing(ask, result, report, ERRORS_WIDE),
        errors_drawing(ask, result, report, ERRORS_NARROW),
    );
    view! {
        <ul class="verdicts">{words}</ul>
        <div class="scroll" role="region" aria-label=format!("Measures on {}", result.symbol) tabindex="0">
            <table data-testid="backtest-table">
                <caption>{span}</caption>
                <thead>
                    <tr>
                        <th scope="col">"Model"</th>
                        <th scope="col">"MASE"</th>
                        <th scope="col">"RMSSE"</th>
                        <th scope="col">"sMAPE"</th>
                        <th scope="col">"Pinball"</th>
                        <th scope="col">"CRPS"</th>
                        <th scope="col">"Skill"</th>
                        <th scope="col">"p"</th>
                        <th scope="col">"p, Holm"</th>
                        <th scope="col">"Against naive"</th>
                        {level_heads(report, true)}
                        <th scope="col">"Failed"</th>
                        <th scope="col">"Time"</th>
                    </tr>
                </thead>
                <tbody>{rows}</tbody>
            </table>
        </div>
        <figure class="drawing" data-testid="backtest-errors">
            <div class="wide" inner_html=wide></div>
            <div class="narrow" inner_html=narrow></div>
        </figure>
        <figure class="drawing columns" data-testid="backtest-coverage">{coverage}</figure>
    }
    .erased()
}

fn verdict_line(model: &str, words: String) -> AnyView {
    let id = format!("verdict-{model}");
    view! { <li data-testid=id><strong>{model.to_owned()}</strong>": "{words}</li> }.erased()
}

fn level_heads(report: &Report, width: bool) -> Vec<AnyView> {
    let levels = report.layout.levels.iter();
    let head = |text: String| view! { <th scope="col">{text}</th> }.erased();
    levels
        .flat_map(|level| {
            let held = head(format!("{level} % held"));
            [Some(held), width.then(|| head(format!("{level} % width")))]
        })
        .flatten()
        .collect()
}

fn measures_row(row: &ModelReport) -> AnyView {
    let m = &row.measures;
    let levels: Vec<_> = m
        .levels
        .iter()
        .flat_map(|level| [cell(share(level.coverage)), cell(estimate(level.width))])
        .collect();
    view! {
        <tr>
            <th scope="row">{row.model.clone()}</th>
            {cell(measure(m.mase))}
            {cell(measure(m.rmsse))}
            {cell(measure(m.smape))}
            {cell(estimate(m.pinball))}
            {cell(estimate(m.crps))}
            {cell(skill(&row.model, m.skill))}
            {cell(p_value(row.against_naive.map(|test| test.p_value)))}
            {cell(p_value(row.p_holm))}
            {cell(verdict::short(row).to_owned())}
            {levels}
            {cell(row.failures.to_string())}
            {cell(duration(row.seconds))}
        </tr>
    }
    .erased()
}

fn cell(text: String) -> AnyView {
    view! { <td>{text}</td> }.erased()
}

/// The mean absolute error of each origin, a line per model.
fn errors_drawing(
    ask: &BacktestAsk,
    result: &SymbolResult,
    report: &Report,
    (width, height): (u32, u32),
) -> String {
    let lines: Vec<ErrorSeries<'_>> = report
        .models
        .iter()
        .map(|row| {
            let errors = row.folds.iter().map(|fold| fold.mae.unwrap_or(f64::NAN));
            ErrorSeries {
                model: &row.model,
                points: result.origins.iter().copied().zip(errors).collect(),
            }
        })
        .collect();
    let steps = u32::try_from(ask.horizon).unwrap_or(u32::MAX);
    let measure = match steps {
        1 => format!("Mean absolute error, {}", ahead(1)),
        _ => format!("Mean absolute error, up to {}", ahead(steps)),
    };
    drawn(&ErrorsChart {
        measure: &measure,
        interval: Some(ask.interval),
        series: &lines,
        view: View::sized(width, height),
    })
}

/// Coverage by horizon of one model.
fn coverage_drawing(row: &ModelReport) -> String {
    let count = (row.folds.len() - row.failures.min(row.folds.len())) as u64;
    let levels: Vec<CoverageSeries> = row
        .measures
        .levels
        .iter()
        .enumerate()
        .map(|(at, level)| CoverageSeries {
            level: level.level.0,
            points: row
                .steps
                .iter()
                .filter_map(|step| {
                    let share = (*step.coverage.get(at)?)?;
                    Some(CoveragePoint {
                        step: u32::try_from(step.step).ok()?,
                        count,
                        inside: (share * count as f64).round() as u64,
                    })
                })
                .collect(),
        })
        .collect();
    drawn(&CoverageChart {
        model: &row.model,
        levels: &levels,
        view: View::sized(COVERAGE.0, COVERAGE.1),
    })
}

/// A drawing that cannot be made leaves its place empty; the table has the numbers.
fn drawn(drawing: &impl Drawing) -> String {
    drawing.to_svg().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use forecast::backtest::{Backtest, Control};
    use market::{Interval, Timestamp};

    use super::*;

    fn ask(symbols: &[&str]) -> BacktestAsk {
        BacktestAsk {
            symbols: symbols.iter().map(|s| s.parse().unwrap()).collect(),
            interval: Interval::D1,
            models: vec!["theta".into()],
            horizon: 3,
            origins: 12,
            step: None,
            window: None,
            log: false,
        }
    }

    fn tested(symbol: &str) -> SymbolResult {
        let y: Vec<f64> = (0..90)
            .map(|n| 100.0 + (f64::from(n) * 0.9).sin())
            .collect();
        let layout = Backtest {
            horizon: 3,
            origins: 12,
            step: 3,
            ..Backtest::default()
        };
        let models = [forecast::Providers::classical().parse("theta").unwrap()];
        let day = |n: i64| Timestamp::from_secs(n * 86_400);
        SymbolResult {
            symbol: symbol.parse().unwrap(),
            origins: (1..=12).map(|n| day(n * 3)).collect(),
            outcome: Ok(layout.run(&y, &models, Control::default()).unwrap()),
        }
    }

    #[test]
    fn one_symbol_has_verdicts_every_measure_and_both_drawings() {
        let html = report(&ask(&["A"]), &[tested("A")], &["A".parse().unwrap()]);
        for text in [
            "12 origins, 3 bars of 1d apart",
            "No season",
            "Simulated data: the prices of A are made up.",
            "<strong>theta</strong>",
            "the yardstick",
            "MASE",
            "RMSSE",
            "sMAPE",
            "Pinball",
            "CRPS",
            "80 % held",
            "95 % width",
            "p, Holm",
            "Mean absolute error, up to 3 steps ahead",
            "Coverage of theta",
        ] {
            assert!(html.contains(text), "{text} is missing");
        }
        assert!(!html.to_lowercase().contains("accuracy"));
        assert!(!html.contains("All symbols"));
    }

    #[test]
    fn several_symbols_are_summed_up_first_and_one_that_failed_says_why() {
        let failed = SymbolResult {
            symbol: "NEW".parse().unwrap(),
            origins: Vec::new(),
            outcome: Err("12 origins need 40 observations, got 3".into()),
        };
        let html = report(
            &ask(&["A", "B", "NEW"]),
            &[tested("A"), tested("B"), failed],
            &[],
        );
        assert!(!html.contains("Simulated data"));
        assert!(html.contains("All symbols"));
        assert!(html.contains("on 2 symbols") || html.contains("of 2 symbols"));
        assert!(html.contains("NEW could not be tested: 12 origins need 40 observations, got 3."));
    }
}
