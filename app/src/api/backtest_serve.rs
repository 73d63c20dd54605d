//! The backtest page on the server: its form, a result that comes with the page, and one that is
//! streamed.

use std::time::{Duration, Instant};

use futures::{Stream, StreamExt as _, future, stream};
use http::{HeaderValue, header};
use leptos::prelude::use_context;
use leptos_axum::ResponseOptions;
use market::Symbol;

use super::{
    ApiError,
    backend::Backend,
    backtest::{BacktestAsk, BacktestUpdate},
    backtest_defaults::{Resolved, resolve},
    backtest_line::Line,
    backtest_query::BacktestQuery,
    markup::{self, backtest_form::Symbols},
};

/// How long a page that cannot follow a backtest waits for it.
const WAIT: Duration = Duration::from_secs(20);

/// The pace of the first moments says little.
const TELL_LEFT_AFTER: Duration = Duration::from_secs(1);

/// Symbols that the form offers beside those chosen.
const OFFERED: usize = 24;

/// The form, what its choices need, and where the address says that there are no scripts, the result.
pub async fn page(
    backend: &dyn Backend,
    search: &str,
) -> Result<(String, String, String), ApiError> {
    let query = BacktestQuery::read(search);
    let offered = backend.symbols(&query.find, &query.after, OFFERED);
    let (status, (offered, next)) = futures::try_join!(backend.status(), offered)?;
    let resolved = resolve(backend, query).await?;
    let query = &resolved.query;
    let symbols = Symbols {
        chosen: &resolved.chosen,
        offered: &offered,
        next: next.as_deref(),
    };
    let result = if query.wait {
        let waited = waited(backend, &resolved).await;
        waited.unwrap_or_else(|error| markup::problem("There is no result", &error.detail))
    } else {
        String::new()
    };
    let form = markup::backtest_form::form(query, symbols, &status.models);
    let check = markup::backtest_form::check_line(resolved.check());
    Ok((form, check, result))
}

/// The result; a run that takes too long is stopped.
async fn waited(backend: &dyn Backend, resolved: &Resolved) -> Result<String, ApiError> {
    let began = Instant::now();
    let ask = resolved.query.ask()?;
    let simulated = simulated(resolved);
    let mut run = backend.backtest(ask.clone()).await?;
    // A run tells several times a second how far it is, so the time is looked at often enough.
    while let Some(update) = run.events.next().await {
        match update? {
            BacktestUpdate::Finished(found) => {
                return Ok(markup::backtest_report::report(&ask, &found, &simulated));
            }
            BacktestUpdate::Progress { done, all, .. } if began.elapsed() > WAIT => {
                return Err(ApiError::invalid(format!(
                    "without scripts a backtest may take {} seconds, in which {done} of {all} fits \
                     were made; ask for fewer symbols, models or origins, or allow scripts",
                    WAIT.as_secs()
                )));
            }
            BacktestUpdate::Progress { .. } => {}
            BacktestUpdate::Stopped => break,
        }
    }
    Err(ApiError::invalid("the backtest was stopped".to_owned()))
}

/// A backtest line by line. Dropping it stops the backtest: that is what a page that is closed does.
pub async fn lines(
    backend: &dyn Backend,
    search: &str,
) -> Result<impl Stream<Item = Result<String, ApiError>> + Send + use<>, ApiError> {
    let resolved = resolve(backend, BacktestQuery::read(search)).await?;
    let ask = resolved.query.ask()?;
    let simulated = simulated(&resolved);
    let run = backend.backtest(ask.clone()).await?;
    let began = Instant::now();
    do_not_gather();
    let begun = stream::once(future::ready(Line::Begun(run.id))).boxed();
    let told = run.events.map(move |update| match update {
        Ok(update) => line(&ask, &simulated, began, update),
        Err(error) => Line::Failed(error.detail),
    });
    Ok(begun.chain(told).map(|line| Ok(line.write())))
}

/// The symbols chosen whose prices are made up.
fn simulated(resolved: &Resolved) -> Vec<Symbol> {
    let made_up = resolved.chosen.iter().filter(|i| i.simulated);
    made_up.map(|i| i.symbol.clone()).collect()
}

fn line(ask: &BacktestAsk, simulated: &[Symbol], began: Instant, update: BacktestUpdate) -> Line {
    match update {
        BacktestUpdate::Progress { done, all, symbol } => {
            let left = left(done, all, began.elapsed())
                .map_or(String::new(), |left| format!(", {left} left"));
            let words = format!("{symbol}: {done} of {all} fits done{left}");
            Line::Progress(done as u64, all as u64, words)
        }
        BacktestUpdate::Finished(found) => {
            Line::Finished(markup::backtest_report::report(ask, &found, simulated))
        }
        BacktestUpdate::Stopped => Line::Stopped,
    }
}

/// How long the rest takes at the pace so far, in words; nothing while that says little.
fn left(done: usize, all: usize, took: Duration) -> Option<String> {
    if done == 0 || done >= all || took < TELL_LEFT_AFTER {
        return None;
    }
    let seconds = took.as_secs_f64() * (all - done) as f64 / done as f64;
    Some(match seconds.ceil() as u64 {
        s if s < 60 => format!("about {s} s"),
        s if s < 60 * 60 => format!("about {} min", s.div_ceil(60)),
        s => format!("about {} h", s.div_ceil(60 * 60)),
    })
}

/// Keeps the answer from being compressed: a compressor gathers until it has enough, and progress
/// would come with the result.
fn do_not_gather() {
    if let Some(response) = use_context::<ResponseOptions>() {
        response.insert_header(
            header::CONTENT_ENCODING,
            HeaderValue::from_static("identity"),
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_left_follows_from_what_is_done() {
        let after = Duration::from_secs;
        assert_eq!(left(0, 10, after(9)), None);
        assert_eq!(left(10, 10, after(9)), None);
        assert_eq!(left(5, 10, Duration::from_millis(900)), None);
        assert_eq!(left(5, 10, after(9)).unwrap(), "about 9 s");
        assert_eq!(left(1, 21, after(5)).unwrap(), "about 2 min");
        assert_eq!(left(1, 2_001, after(5)).unwrap(), "about 3 h");
    }
}
