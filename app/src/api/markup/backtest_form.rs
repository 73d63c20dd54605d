//! The form of a backtest: a plain GET form, so that everything chosen is in the address and it works
//! without scripts, where its answer comes with the page.

use leptos::prelude::*;
use market::Interval;

use super::markup;
use crate::{
    api::{InstrumentSummary, backtest_query::BacktestQuery},
    erase::Erase,
};

/// Always run beside what is chosen.
const ALWAYS: [&str; 3] = ["naive", "drift", "snaive"];

/// The form with what `query` chooses; `models` are those that can be chosen by a name alone.
pub fn form(query: &BacktestQuery, watchlist: &[InstrumentSummary], models: &[String]) -> String {
    if watchlist.is_empty() {
        return markup(view! {
            <p class="warning">
                "There are no prices to test on yet. " <a href="/">"How they get in"</a>
            </p>
        });
    }
    let symbols: Vec<_> = watchlist
        .iter()
        .map(|instrument| {
            let symbol = instrument.symbol.to_string();
            let checked = query
                .symbols
                .iter()
                .any(|s| s.eq_ignore_ascii_case(&symbol));
            let tag = instrument
                .bars_only
                .then(|| view! { <span class="tag">"history"</span> });
            check("symbol", symbol, checked, tag.erased())
        })
        .collect();
    let offered = || models.iter().filter(|m| !ALWAYS.contains(&m.as_str()));
    let choices: Vec<_> = offered()
        .map(|model| {
            let checked = query.models.contains(model);
            check("model", model.clone(), checked, ().erased())
        })
        .collect();
    let typed: Vec<&str> = query
        .models
        .iter()
        .filter(|m| !models.contains(m))
        .map(String::as_str)
        .collect();
    let intervals: Vec<_> = Interval::ALL
        .into_iter()
        .map(|interval| {
            option(
                interval.as_str(),
                interval.as_str(),
                interval == query.interval,
            )
        })
        .collect();
    let scales = [
        option("log", "logarithms", query.log),
        option("price", "prices", !query.log),
    ];
    markup(view! {
        <form class="card backtest-form" method="get" action="/backtest" data-testid="backtest-form">
            <fieldset>
                <legend>"Symbols"</legend>
                <div class="checks" data-testid="backtest-symbols">{symbols}</div>
            </fieldset>
            <fieldset>
                <legend>"Models"</legend>
                <div class="checks">{choices}</div>
                <label class="typed">
                    <span>"ARIMA with orders of your own"</span>
                    <input
                        type="text"
                        name="model"
                        value=typed.join(" ")
                        placeholder="arima(1,1,1) arima(2,1,2)+drift"
                        autocomplete="off"
                        spellcheck="false"
                        data-testid="backtest-orders"
                    />
                </label>
                <p class="note">"Naive, drift and seasonal naive always run beside."</p>
            </fieldset>
            <div class="fields">
                <label>
                    <span>"Bars"</span>
                    <select name="interval" data-testid="backtest-interval">{intervals}</select>
                </label>
                {number("Horizon, bars", "horizon", &query.horizon, "1000", "")}
                {number("Origins", "origins", &query.origins, "5000", "")}
                {number("Bars between origins", "step", &query.step, "5000", "the horizon")}
                {number("Closes fitted", "window", &query.window, "5000", "all before")}
                <label>
                    <span>"Fitted to"</span>
                    <select name="scale" data-testid="backtest-scale">{scales}</select>
                </label>
            </div>
            <p class="buttons">
                // Without scripts the page waits for the result, with them it follows it.
                <button type="submit" class="primary no-js" name="wait" value="1">"Run"</button>
                <button type="submit" class="primary js-only" name="run" value="1" data-testid="backtest-run">
                    "Run"
                </button>
            </p>
        </form>
    })
}

fn check(name: &'static str, value: String, checked: bool, tag: AnyView) -> AnyView {
    let text = value.clone();
    let id = format!("{name}-{value}");
    view! {
        <label>
            <input type="checkbox" name=name value=value checked=checked data-testid=id/>
            <span>{text}</span>
            {tag}
        </label>
    }
    .erased()
}

fn option(value: &'static str, text: &'static str, selected: bool) -> AnyView {
    view! { <option value=value selected=selected>{text}</option> }.erased()
}

fn number(
    label: &'static str,
    name: &'static str,
    value: &str,
    most: &'static str,
    empty: &'static str,
) -> AnyView {
    view! {
        <label>
            <span>{label}</span>
            <input
                type="number"
                name=name
                value=value.to_owned()
                min="1"
                max=most
                inputmode="numeric"
                placeholder=empty
                required=empty.is_empty()
                data-testid=format!("backtest-{name}")
            />
        </label>
    }
    .erased()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_form_shows_what_the_address_chose() {
        let line = |symbol: &str| InstrumentSummary {
            symbol: symbol.parse().unwrap(),
            last_price: 1.0,
            last: market::Timestamp::MIN,
            previous_close: None,
            intervals: vec![Interval::D1],
            bars_only: true,
            simulated: false,
        };
        let query = BacktestQuery::read(
            "symbol=aapl&model=ets&model=arima(2,1,0)&interval=1h&origins=12&scale=price",
        );
        let models = ["naive", "ets", "theta"].map(str::to_owned);
        let html = form(&query, &[line("AAPL"), line("MSFT")], &models);
        for text in [
            "value=\"AAPL\" checked",
            "value=\"ets\" checked",
            "value=\"arima(2,1,0)\"",
            "<option value=\"1h\" selected>",
            "<option value=\"price\" selected>",
            "value=\"12\"",
        ] {
            assert!(html.contains(text), "{text} is missing in {html}");
        }
        assert!(!html.contains("value=\"MSFT\" checked"));
        assert!(!html.contains("value=\"naive\""), "naive always runs");
    }

    #[test]
    fn without_prices_there_is_a_way_on_instead_of_a_form() {
        let html = form(&BacktestQuery::read(""), &[], &[]);
        assert!(html.contains("no prices") && !html.contains("<form"));
    }
}
