//! The backtest page on the server: its form, a result that comes with the page, and one that is
//! streamed.

use std::time::{Duration, Instant};

use futures::{Stream, StreamExt as _, future, stream};
use http::{HeaderValue, header};
use leptos::prelude::use_context;
use leptos_axum::ResponseOptions;

use super::{
    ApiError,
    backend::Backend,
    backtest::{BacktestAsk, BacktestUpdate},
    backtest_line::Line,
    backtest_query::BacktestQuery,
    markup,
};

/// How long a page that cannot follow a backtest waits for it.
const WAIT: Duration = Duration::from_secs(20);

/// The form, and where the address says that there are no scripts, the result.
pub async fn page(backend: &dyn Backend, search: &str) -> Result<(String, String), ApiError> {
    let (status, watchlist) = futures::try_join!(backend.status(), backend.watchlist())?;
    let query = BacktestQuery::read(search).or_defaults(&watchlist);
    let form = markup::backtest_form::form(&query, &watchlist, &status.models);
    let result = if query.wait {
        let waited = waited(backend, &query).await;
        waited.unwrap_or_else(|error| markup::problem("There is no result", &error.detail))
    } else {
        String::new()
    };
    Ok((form, result))
}

/// The result; a run that takes too long is stopped.
async fn waited(backend: &dyn Backend, query: &BacktestQuery) -> Result<String, ApiError> {
    let began = Instant::now();
    let ask = query.ask()?;
    let mut run = backend.backtest(ask.clone()).await?;
    // A run tells several times a second how far it is, so the time is looked at often enough.
    while let Some(update) = run.events.next().await {
        match update? {
            BacktestUpdate::Finished(found) => {
                return Ok(markup::backtest_report::report(&ask, &found));
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
    let ask = BacktestQuery::read(search).ask()?;
    let run = backend.backtest(ask.clone()).await?;
    do_not_gather();
    let begun = stream::once(future::ready(Line::Begun(run.id))).boxed();
    let told = run.events.map(move |update| match update {
        Ok(update) => line(&ask, update),
        Err(error) => Line::Failed(error.detail),
    });
    Ok(begun.chain(told).map(|line| Ok(line.write())))
}

fn line(ask: &BacktestAsk, update: BacktestUpdate) -> Line {
    match update {
        BacktestUpdate::Progress { done, all, symbol } => {
            Line::Progress(done as u64, all as u64, symbol.to_string())
        }
        BacktestUpdate::Finished(found) => {
            Line::Finished(markup::backtest_report::report(ask, &found))
        }
        BacktestUpdate::Stopped => Line::Stopped,
    }
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
