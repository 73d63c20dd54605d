//! What the fit behind a forecast found: parameters, criteria, and what its residuals look like.

use chart::{AcfChart, Drawing as _, View};
use forecast::{FitReport, Parameter, diagnostics::LjungBox};
use leptos::prelude::*;
use market::{Interval, Symbol, Timestamp};
use protocol::Prediction;

use super::{
    markup,
    model_name::long,
    numbers::{duration, estimate, p_in_words},
};
use crate::{
    erase::Erase,
    format,
    query::{CHAMPION, backtest_url, called, is_of},
};

/// The size of the drawing in CSS pixels; it shrinks with its place.
const DRAWING: (u32, u32) = (460, 240);

/// Below this the test calls the residuals autocorrelated.
const SIGNIFICANT: f64 = 0.05;

/// The panel of a fit to the closes up to `last`.
pub fn panel(
    symbol: &Symbol,
    interval: Interval,
    last: Timestamp,
    prediction: &Prediction,
    fit: &FitReport,
) -> String {
    let summary = &fit.summary;
    let chosen = long(&summary.model);
    let is_registered = is_of(&prediction.model, CHAMPION);
    let name = match prediction.model.as_str() {
        version if is_registered => format!("{chosen}: {}", called(version)),
        "auto-arima" | "ets" | "garch" => format!("{} chose {chosen}", prediction.model),
        _ => chosen,
    };
    let season = if fit.season > 1 {
        format!(" A season of {} bars was considered.", fit.season)
    } else {
        String::new()
    };
    let own = own_interval(prediction);
    let of = if fit.log { "the logarithms of " } else { "" };
    let at = |start| format!("{} UTC", format::bar_time(start, interval));
    let took = duration(Some(fit.seconds));
    let seen = prediction.observations;
    let from = match &prediction.origin {
        Some(origin) if origin.fitted_observations < seen => format!(
            "Fitted to {of}{} closes up to {} in {took}, and updated with the {} since, up to {}.{season}",
            origin.fitted_observations,
            at(origin.fitted_to),
            seen - origin.fitted_observations,
            at(last),
        ),
        _ => format!(
            "Fitted to {of}{seen} closes up to {} in {took}.{season}",
            at(last)
        ),
    };
    let variance = summary.sigma2.map(|v| estimate(Some(v)));
    // Models are compared by differences of a few units, whatever the size.
    let criterion = |value: Option<f64>| value.map(|v| format::fixed(v, 2));
    let criteria: Vec<_> = [
        ("σ², variance of the one-step errors", variance),
        ("Log-likelihood", criterion(summary.loglik)),
        ("AIC", criterion(summary.aic)),
        ("AICc", criterion(summary.aicc)),
        ("BIC", criterion(summary.bic)),
    ]
    .into_iter()
    .filter_map(|(name, value)| Some((name, value?)))
    .map(|(name, value)| view! { <tr><th scope="row">{name}</th><td>{value}</td></tr> })
    .collect();
    let backtest = backtest_url(
        symbol,
        interval,
        if is_registered {
            &summary.model
        } else {
            &prediction.model
        },
    );
    markup(view! {
        <p class="fit-model" data-testid="fit-model">{name}</p>
        <p>{from}</p>
        <p data-testid="fit-intervals">{own}</p>
        <div class="fit-parts">
            <div class="fit-numbers">
                {parameters(&summary.params)}
                <table data-testid="fit-criteria">
                    <caption>"Criteria"</caption>
                    <tbody>{criteria}</tbody>
                </table>
            </div>
            {residuals(fit)}
        </div>
        <p data-testid="ljung-box">{in_words(summary.ljung_box)}</p>
        <p><a href=backtest data-testid="backtest-this">"Backtest this model here"</a></p>
    })
}

/// How the intervals shown came about, and what the model itself says of the last step.
fn own_interval(prediction: &Prediction) -> String {
    let widest = prediction.own_bands.last();
    let (Some(band), Some(at)) = (widest, prediction.mean.len().checked_sub(1)) else {
        return "The intervals are the model's own.".to_owned();
    };
    let (Some(lower), Some(upper)) = (band.lower.get(at), band.upper.get(at)) else {
        return String::new();
    };
    format!(
        "The intervals are calibrated on past outcomes ({} conformal). The model's own {}\u{a0}% interval {} is {} \
         to {}.",
        prediction.calibration,
        format::fixed(band.level, 0),
        format::ahead(u32::try_from(at + 1).unwrap_or(u32::MAX)),
        estimate(Some(*lower)),
        estimate(Some(*upper)),
    )
}

fn parameters(parameters: &[Parameter]) -> AnyView {
    let rows: Vec<_> = parameters
        .iter()
        .map(|p| {
            view! {
                <tr>
                    <th scope="row">{p.name.clone()}</th>
                    <td>{estimate(Some(p.value))}</td>
                    <td>{estimate(p.se)}</td>
                </tr>
            }
        })
        .collect();
    if rows.is_empty() {
        return view! { <p data-testid="fit-params">"It has no parameters to estimate."</p> }
            .erased();
    }
    view! {
        <table data-testid="fit-params">
            <caption>"Parameters"</caption>
            <thead>
                <tr>
                    <th scope="col">"Name"</th>
                    <th scope="col">"Estimate"</th>
                    <th scope="col">"Std. error"</th>
                </tr>
            </thead>
            <tbody>{rows}</tbody>
        </table>
    }
    .erased()
}

/// The autocorrelations drawn, and as a table for those who do not see the drawing.
fn residuals(fit: &FitReport) -> AnyView {
    if fit.acf.is_empty() {
        return view! { <p data-testid="acf">"Its residuals do not vary: there is nothing to look at in them."</p> }
            .erased();
    }
    let (width, height) = DRAWING;
    let drawing = AcfChart {
        of: "residuals",
        values: &fit.acf,
        observations: fit.residuals,
        view: View::sized(width, height),
    };
    // A drawing that cannot be made leaves its place empty; the table has the numbers.
    let svg = drawing.to_svg().unwrap_or_default();
    let caption = format!(
        "Autocorrelations of the residuals; those of white noise lie within {} of zero",
        format::fixed(drawing.bound(), 3)
    );
    let rows: Vec<_> = fit
        .acf
        .iter()
        .enumerate()
        .map(|(i, value)| {
            view! { <tr><th scope="row">{i + 1}</th><td>{format::fixed(*value, 3)}</td></tr> }
        })
        .collect();
    view! {
        <figure class="drawing" data-testid="acf">
            <div inner_html=svg></div>
            <div class="hidden">
                <table data-testid="acf-table">
                    <caption>{caption}</caption>
                    <thead><tr><th scope="col">"Lag"</th><th scope="col">"Autocorrelation"</th></tr></thead>
                    <tbody>{rows}</tbody>
                </table>
            </div>
        </figure>
    }
    .erased()
}

/// The Ljung–Box test in words.
fn in_words(test: Option<LjungBox>) -> String {
    let Some(test) = test else {
        return "Ljung–Box: there are too few residuals, or they do not vary, so they cannot be \
                tested for autocorrelation."
            .to_owned();
    };
    let head = format!(
        "Ljung–Box over {} lags ({} degrees of freedom): Q*\u{a0}=\u{a0}{}, {}. ",
        test.lags,
        test.df,
        format::fixed(test.statistic, 2),
        p_in_words(test.p_value)
    );
    head + if test.p_value < SIGNIFICANT {
        "The residuals are still autocorrelated: the model leaves something of the past unused, and \
         its intervals may be too narrow or too wide."
    } else {
        "No sign of autocorrelation in the residuals: what the past says of the next step, the model \
         has taken up."
    }
}

#[cfg(test)]
mod tests {
    use market::{Band, Timestamp};
    use protocol::PredictionOrigin;

    use super::*;

    fn panel_of(acf: Vec<f64>, ljung_box: Option<LjungBox>) -> String {
        let fit = FitReport {
            summary: forecast::Summary {
                model: "arima(1,1,0)+drift".into(),
                params: vec![Parameter {
                    name: "ar1".into(),
                    value: 0.25,
                    se: Some(0.04),
                }],
                observations: 500,
                sigma2: Some(0.0004),
                aicc: Some(-2501.25),
                ljung_box,
                ..forecast::Summary::default()
            },
            log: true,
            season: 5,
            residuals: 499,
            acf,
            seconds: 0.0123,
        };
        let last: Timestamp = "2013-03-01".parse().unwrap();
        let prediction = Prediction {
            id: None,
            model: "auto-arima".into(),
            observations: 500,
            mean: vec![1.0],
            bands: Vec::new(),
            own_bands: vec![Band {
                level: 95.0,
                lower: vec![91.5],
                upper: vec![108.25],
            }],
            calibration: "adaptive".into(),
            targets: Vec::new(),
            origin: Some(PredictionOrigin {
                start: last,
                close: 1.0,
                state: "0-480".into(),
                fitted_at: last,
                fitted_from: "2011-03-01".parse().unwrap(),
                fitted_to: "2013-02-01".parse().unwrap(),
                fitted_observations: 480,
            }),
        };
        let symbol: Symbol = "BTC/USD".parse().unwrap();
        panel(&symbol, Interval::D1, last, &prediction, &fit)
    }

    #[test]
    fn a_fit_is_told_with_its_choice_its_numbers_and_its_residuals() {
        let test = LjungBox {
            lags: 10,
            df: 9,
            statistic: 8.1,
            p_value: 0.52,
        };
        let html = panel_of(vec![0.2, -0.01], Some(test));
        for text in [
            "auto-arima chose ARIMA(1,1,0) with drift",
            "the logarithms of 480 closes up to 2013-02-01 UTC in 12&#160;ms, and updated with the 20 since, up to \
             2013-03-01 UTC",
            "calibrated on past outcomes (adaptive conformal). The model's own 95&#160;% interval one step ahead is 91.50 to 108.3",
            "<td>0.2500</td><td>0.04000</td>",
            "<td>&#8722;2501.25</td>",
            "<svg",
            "p&#160;=&#160;0.520. No sign of autocorrelation",
            "symbol=BTC%2FUSD",
        ] {
            assert!(html.contains(text), "{text} is missing in {html}");
        }
        assert!(!html.contains("BIC"), "what was not computed is left out");
    }

    #[test]
    fn residuals_that_do_not_vary_are_called_that() {
        let html = panel_of(Vec::new(), None);
        assert!(html.contains("do not vary"));
        assert!(!html.contains("<svg"));
    }
}
