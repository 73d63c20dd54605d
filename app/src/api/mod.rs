//! The server functions, and the types that they carry. The only place, with `lib.rs`, that knows
//! `cfg(feature = "ssr")`.

use leptos::server_fn::{
    codec::JsonEncoding,
    error::{FromServerFnError, ServerFnErrorErr},
};
use market::{ErrorKind, Fan, Interval, Symbol, Timestamp};
use serde::{Deserialize, Serialize};

#[cfg(feature = "ssr")]
pub mod backend;
#[cfg(feature = "ssr")]
pub mod backtest;
#[cfg(feature = "ssr")]
mod backtest_defaults;
pub mod backtest_line;
#[cfg(feature = "ssr")]
mod backtest_query;
#[cfg(feature = "ssr")]
mod backtest_serve;
pub mod bars;
#[cfg(feature = "ssr")]
pub(crate) mod board;
pub mod chart_page;
pub mod codec;
pub mod functions;
#[cfg(feature = "ssr")]
pub(crate) mod markup;
pub mod picture;
pub mod pipeline;
#[cfg(feature = "ssr")]
pub(crate) mod serve;
#[cfg(feature = "ssr")]
mod watchlist;
pub mod written;

/// An error as a page shows it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, thiserror::Error)]
#[error("{detail}")]
pub struct ApiError {
    /// What sort.
    pub kind: ErrorKind,
    /// For a person.
    pub detail: String,
    /// The field at fault, where it is one's.
    #[serde(default)]
    pub field: Option<String>,
}

impl ApiError {
    /// An error of no field's.
    pub fn new(kind: ErrorKind, detail: String) -> Self {
        Self {
            kind,
            detail,
            field: None,
        }
    }

    /// Names the field at fault.
    pub fn field(self, field: &str) -> Self {
        Self {
            field: Some(field.to_owned()),
            ..self
        }
    }

    /// Something that cannot be right, with what was expected.
    pub fn invalid(detail: String) -> Self {
        Self::new(ErrorKind::Invalid, detail)
    }

    /// Something that does not exist.
    pub fn not_found(detail: String) -> Self {
        Self::new(ErrorKind::NotFound, detail)
    }
}

#[cfg(feature = "ssr")]
impl From<store::StoreError> for ApiError {
    fn from(error: store::StoreError) -> Self {
        Self::new(error.kind(), error.to_string())
    }
}

/// Makes the page that is being rendered one that was not found (HTTP 404). In the browser nothing.
pub fn page_not_found() {
    #[cfg(feature = "ssr")]
    serve::set_not_found();
}

/// The address that the page was asked at, such as `http://127.0.0.1:3000`.
pub fn own_address() -> String {
    #[cfg(feature = "ssr")]
    {
        serve::own_address()
    }
    #[cfg(not(feature = "ssr"))]
    {
        let origin = leptos::prelude::window().location().origin();
        origin.unwrap_or_default()
    }
}

impl FromServerFnError for ApiError {
    type Encoder = JsonEncoding;

    /// A call that did not get as far as the server's own code: mostly a server that is away.
    fn from_server_fn_error(error: ServerFnErrorErr) -> Self {
        let (kind, detail) = match error {
            ServerFnErrorErr::Request(_) => (
                ErrorKind::Unavailable,
                "the server cannot be reached".to_owned(),
            ),
            ServerFnErrorErr::Args(e) | ServerFnErrorErr::MissingArg(e) => (ErrorKind::Invalid, e),
            // In the browser it is the answer that cannot be read, on the server the arguments.
            #[cfg(feature = "ssr")]
            ServerFnErrorErr::Deserialization(e) => (ErrorKind::Invalid, e),
            ServerFnErrorErr::ServerError(e) | ServerFnErrorErr::MiddlewareError(e) => {
                (ErrorKind::Internal, e)
            }
            _ => (
                ErrorKind::Internal,
                "the server's answer could not be read".to_owned(),
            ),
        };
        Self::new(kind, detail)
    }
}

/// Where the prices come from and how the server stands.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SystemStatus {
    /// The server's version.
    pub version: String,
    /// The source's name: `simulated exchange`, `alpaca`, `replay of prices.csv`.
    pub source: String,
    /// Whether the prices are made up: the pages say so where nobody can miss it.
    pub simulated: bool,
    /// Whether the bundled sample data could be imported and has not been.
    pub sample_offered: bool,
    /// Rows put aside as dead letters.
    pub dead_letters: u64,
    /// Whether there are tokens, so that one can log in.
    pub has_login: bool,
    /// The models whose fans are made live.
    pub live_models: Vec<String>,
    /// Every model that can be asked for.
    pub models: Vec<String>,
    /// The model that answers where none is named, in the place of every champion.
    pub default_model: Option<String>,
    /// The intervals whose fans are made live.
    pub live_intervals: Vec<Interval>,
}

/// The champion of a series.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChampionSummary {
    /// Its version, `models:/NAME/VERSION`.
    pub model: String,
    /// The end of the last bar that it was trained on.
    pub trained_to: Timestamp,
    /// Whether that is too long before the newest bar, so that it is not served.
    pub expired: bool,
}

/// A line of the watchlist.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct InstrumentSummary {
    /// The symbol.
    pub symbol: Symbol,
    /// The last price.
    pub last_price: f64,
    /// When.
    pub last: Timestamp,
    /// The close a day (or, with daily bars only, a bar) before; absent when there is none.
    pub previous_close: Option<f64>,
    /// The intervals that there are bars of.
    pub intervals: Vec<Interval>,
    /// Whether it is history only, without live ticks.
    pub bars_only: bool,
    /// Whether its prices are made up: it has the name of a symbol of the simulated exchange.
    pub simulated: bool,
    /// When its prices ended, where none has come for a week.
    pub ended: Option<Timestamp>,
}

/// A page of the watchlist.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Watchlist {
    /// Those that begin with what was to be found first, of them those with ticks first, each by name;
    /// before them the symbol that the page shows, where it is not among them.
    pub rows: Vec<InstrumentSummary>,
    /// The part of a name that was to be found; empty where all are listed.
    pub find: String,
    /// Where the page before ended; empty for the first one.
    pub after: String,
    /// Where this one ends and the next one begins; empty on the last one.
    pub next: String,
    /// The symbol that the first page shows (docs/forecasting.md, "In the app"); empty where there is none.
    pub home: String,
}

/// A past fan and what happened.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ScoredFan {
    /// The forecast, as it stands in the ledger.
    pub fan: Fan,
    /// The closes that came, by step from 1; shorter than the fan while steps are open.
    pub actuals: Vec<f64>,
}

/// A model's live record at one step.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ModelScore {
    /// The model.
    pub model: String,
    /// The step, from 1.
    pub step: u32,
    /// Outcomes.
    pub count: u64,
    /// Mean absolute error, in price.
    pub mae: f64,
    /// Root mean squared error, in price.
    pub rmse: f64,
    /// 1 − MAE / MAE of naive: above 0 is better than naive. Absent when naive made no error.
    pub skill: Option<f64>,
    /// Share of outcomes inside each level's interval: (level in percent, share 0 to 1).
    pub coverage: Vec<(f64, f64)>,
}

/// What an import did.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ImportReport {
    /// Bars or ticks written.
    pub rows: u64,
    /// Rows put aside.
    pub rejected: u64,
    /// The symbols.
    pub symbols: Vec<Symbol>,
}
