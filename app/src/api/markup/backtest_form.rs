//! The form of a backtest: a plain GET form, so that everything chosen is in the address and it works
//! without scripts, where its answer comes with the page.

use leptos::prelude::*;
use market::Interval;

use super::markup;
use crate::{
    api::{InstrumentSummary, backtest_query::BacktestQuery},
    erase::Erase,
    format,
    query::escape_into,
};

/// Always run beside what is chosen.
const ALWAYS: [&str; 3] = ["naive", "drift", "snaive"];

/// The symbols that can be chosen.
#[derive(Clone, Copy)]
pub struct Symbols<'a> {
    /// Those that are.
    pub chosen: &'a [InstrumentSummary],
    /// A page of the others, or of those that were looked for.
    pub offered: &'a [InstrumentSummary],
    /// Where the next page begins.
    pub next: Option<&'a str>,
}

/// The form with what `query` chooses; `models` are those that can be chosen by a name alone. Where not
/// all symbols are in sight, a form of its own looks for them: with scripts it keeps what is chosen and
/// not sent.
pub fn form(query: &BacktestQuery, symbols: Symbols<'_>, models: &[String]) -> String {
    let none = symbols.chosen.is_empty() && symbols.offered.is_empty();
    if none && query.find.is_empty() && query.after.is_empty() {
        return markup(view! {
            <p class="warning">
                "There are no prices to test on yet. " <a href="/">"How they get in"</a>
            </p>
        });
    }
    let is_chosen = |i: &&InstrumentSummary| symbols.chosen.iter().any(|c| c.symbol == i.symbol);
    let checks: Vec<_> = symbols
        .chosen
        .iter()
        .map(|instrument| symbol_check(instrument, true))
        .chain(
            symbols
                .offered
                .iter()
                .filter(|i| !is_chosen(i))
                .map(|instrument| symbol_check(instrument, false)),
        )
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
                Some(interval) == query.interval,
            )
        })
        .collect();
    let scales = [
        option("log", "logarithms", !query.prices),
        option("price", "prices", query.prices),
    ];
    // Where all are in sight there is nothing to find.
    let some_hidden = symbols.next.is_some() || !query.find.is_empty() || !query.after.is_empty();
    markup(view! {
        {some_hidden.then(|| find(query, symbols.next))}
        <form class="card backtest-form" method="get" action="/backtest" data-testid="backtest-form">
            <fieldset>
                <legend>"Symbols"</legend>
                <div class="checks" data-testid="backtest-symbols">{checks}</div>
                {(symbols.offered.is_empty() && !query.find.is_empty()).then(|| {
                    let words = format!("No symbol holds {}.", query.find);
                    view! { <p class="note" data-testid="backtest-none-found">{words}</p> }
                })}
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

/// Looks for symbols: a plain form too, with what the address chooses in hidden fields.
fn find(query: &BacktestQuery, next: Option<&str>) -> AnyView {
    let kept: Vec<_> = query
        .pairs()
        .into_iter()
        .map(|(name, value)| view! { <input type="hidden" name=name value=value/> })
        .collect();
    let more = next.map(|next| {
        let mut search = String::new();
        let asked = [
            ("find_symbol", query.find.clone()),
            ("after_symbol", next.to_owned()),
        ];
        for (name, value) in query.pairs().into_iter().chain(asked) {
            if !search.is_empty() {
                search.push('&');
            }
            search.push_str(name);
            search.push('=');
            escape_into(&mut search, &value);
        }
        view! { <a href=format!("/backtest?{search}") data-testid="backtest-more">"More symbols"</a> }
    });
    view! {
        <form class="card backtest-find" method="get" action="/backtest" role="search" data-find="true">
            {kept}
            <label>
                <span>"Find a symbol"</span>
                <input
                    type="search"
                    name="find_symbol"
                    value=query.find.clone()
                    autocomplete="off"
                    autocapitalize="characters"
                    spellcheck="false"
                    maxlength="32"
                    data-testid="backtest-find"
                />
            </label>
            <button type="submit">"Find"</button>
            {more}
        </form>
    }
    .erased()
}

/// What the choices need and what there is, where that can be said.
pub fn check_line(check: Option<(String, bool)>) -> String {
    let Some((words, fits)) = check else {
        return String::new();
    };
    let class = if fits { "note" } else { "warning" };
    markup(view! { <p class=class data-testid="backtest-check">{words}</p> })
}

fn symbol_check(instrument: &InstrumentSummary, checked: bool) -> AnyView {
    let tag = match instrument {
        i if i.simulated => Some("simulated".to_owned()),
        InstrumentSummary {
            ended: Some(ended), ..
        } => Some(format!("ended {}", format::date(*ended))),
        i if i.bars_only => Some("history".to_owned()),
        _ => None,
    };
    let tag = tag.map(|tag| view! { <span class="tag">{tag}</span> });
    check(
        "symbol",
        instrument.symbol.to_string(),
        checked,
        tag.erased(),
    )
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

    fn line(symbol: &str) -> InstrumentSummary {
        InstrumentSummary {
            symbol: symbol.parse().unwrap(),
            last_price: 1.0,
            last: market::Timestamp::MIN,
            previous_close: None,
            intervals: vec![Interval::D1],
            bars_only: true,
            simulated: false,
            ended: None,
        }
    }

    #[test]
    fn the_form_shows_what_the_address_chose() {
        let query = BacktestQuery::read(
            "symbol=aapl&model=ets&model=arima(2,1,0)&interval=1h&origins=12&scale=price",
        );
        let models = ["naive", "ets", "theta"].map(str::to_owned);
        let (chosen, offered) = ([line("AAPL")], [line("AAPL"), line("MSFT")]);
        let symbols = Symbols {
            chosen: &chosen,
            offered: &offered,
            next: Some("11MSFT"),
        };
        let html = form(&query, symbols, &models);
        for text in [
            "value=\"AAPL\" checked",
            "value=\"ets\" checked",
            "value=\"arima(2,1,0)\"",
            "<option value=\"1h\" selected>",
            "<option value=\"price\" selected>",
            "value=\"12\"",
            "&amp;find_symbol=&amp;after_symbol=11MSFT\"",
        ] {
            assert!(html.contains(text), "{text} is missing in {html}");
        }
        assert!(!html.contains("value=\"MSFT\" checked"));
        assert_eq!(html.matches("type=\"checkbox\" name=\"symbol\"").count(), 2);
        assert!(!html.contains("value=\"naive\""), "naive always runs");
    }

    #[test]
    fn prices_that_ended_or_were_made_up_are_marked() {
        let (mut ended, mut made_up) = (line("OLD"), line("NIMBU"));
        ended.ended = Some("2013-03-01".parse().unwrap());
        made_up.simulated = true;
        let symbols = Symbols {
            chosen: &[],
            offered: &[ended, made_up, line("NEW")],
            next: None,
        };
        let html = form(&BacktestQuery::default(), symbols, &[]);
        for tag in ["ended 2013-03-01", "simulated", "history"] {
            assert!(
                html.contains(&format!("<span class=\"tag\">{tag}")),
                "{html}"
            );
        }
        assert!(!html.contains("More symbols"));
    }

    #[test]
    fn without_prices_there_is_a_way_on_instead_of_a_form() {
        let none = Symbols {
            chosen: &[],
            offered: &[],
            next: None,
        };
        let html = form(&BacktestQuery::default(), none, &[]);
        assert!(html.contains("no prices") && !html.contains("<form"));
        let html = form(&BacktestQuery::read("find_symbol=zz"), none, &[]);
        assert!(html.contains("No symbol holds zz.") && html.contains("<form"));
    }
}
