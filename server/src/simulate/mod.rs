//! The simulated exchange over HTTP: `tickcast simulate`, and the loopback exchange of `serve`.
//!
//! | route | answers |
//! | --- | --- |
//! | `GET /v1/trades?cursor=…&since=…&limit=…&symbols=…&wait_ms=…` | `{"trades":[…],"next_cursor":"…","now_us":…}` |
//! | `GET /v1/bars?symbol=…&interval=…&from=…&until=…&limit=…` | `{"bars":[…]}`: the latest closed ones of the range, oldest first |
//! | `GET /v1/symbols` | `{"symbols":[{"symbol":…,"name":…}]}` |
//! | `GET /v1/status` | what is simulated, and the exchange's time |
//!
//! Times in queries are RFC 3339 or numbers since the epoch. Without a cursor the trades begin at
//! `since`, without that at the present second. With `wait_ms` an answer without rows is held back
//! until there is one, at most that long. Symbols and bars have an ETag. Faults are answered as
//! problem+json (RFC 9457) with `kind` and `field`.
//!
//! Model: [`source::sim::Feed`] makes the rows as JSON once per second of trading and pages are cut
//! from that, so that 100,000 rows a second cost part of one core. The exchange's clock is a
//! monotonic one, started at the wall clock's time.
//!
//! What it does not do: authentication, orders.

mod clock;
mod problem;
mod routes;

use std::sync::{Arc, Mutex, atomic::AtomicU64};

use axum::{Router, middleware, routing::get, serve::ListenerExt as _};
use market::Timestamp;
use serde::{Deserialize, Serialize};
use source::{
    SourceError,
    sim::{FaultOptions, Feed, MarketOptions},
};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

pub use clock::ExchangeClock;

/// What to simulate, and how badly.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct SimulateOptions {
    /// Seed, rate and speed.
    pub market: MarketOptions,
    /// What goes wrong on purpose.
    pub faults: FaultOptions,
    /// When the exchange's clock starts; the wall clock's time if absent.
    pub start: Option<Timestamp>,
    /// Recent trades are kept up to so many bytes.
    pub ring_bytes: usize,
}

impl Default for SimulateOptions {
    fn default() -> Self {
        Self {
            market: MarketOptions::default(),
            faults: FaultOptions::default(),
            start: None,
            ring_bytes: 32 << 20,
        }
    }
}

impl SimulateOptions {
    /// Every fault in the options.
    pub fn check(&self) -> Vec<SourceError> {
        let mut faults = self.market.faults();
        faults.extend(self.faults.faults());
        faults
    }
}

/// What the routes share.
struct Exchange {
    options: SimulateOptions,
    clock: ExchangeClock,
    feed: Mutex<Feed>,
    requests: AtomicU64,
    closing: CancellationToken,
}

/// The routes. `closing` ends requests that are being held back.
///
/// # Errors
/// An option out of its range.
pub fn router(options: SimulateOptions, closing: CancellationToken) -> Result<Router, SourceError> {
    let feed = Feed::new(
        options.market.clone(),
        options.faults.clone(),
        options.ring_bytes,
    )?;
    let start = options.start.unwrap_or_else(|| (source::system_clock())());
    let exchange = Arc::new(Exchange {
        clock: ExchangeClock::new(start, options.market.speed),
        feed: Mutex::new(feed),
        requests: AtomicU64::new(0),
        closing,
        options,
    });
    Ok(Router::new()
        .route("/v1/trades", get(routes::trades))
        .route("/v1/bars", get(routes::bars))
        .route("/v1/symbols", get(routes::symbols))
        .layer(middleware::from_fn_with_state(
            exchange.clone(),
            routes::misbehave,
        ))
        .route("/v1/status", get(routes::status))
        .fallback(problem::not_found)
        .with_state(exchange))
}

/// Serves the exchange on `listener` until `cancel` is cancelled.
///
/// # Errors
/// An option out of its range, or a listener that fails.
pub async fn serve(
    listener: TcpListener,
    options: SimulateOptions,
    cancel: CancellationToken,
) -> std::io::Result<()> {
    let router = router(options, cancel.clone())
        .map_err(|e| std::io::Error::new(std::io::ErrorKind::InvalidInput, e))?;
    // Small answers leave at once. (Said here, not in the server: the benchmark of sources takes
    // this module alone.)
    let listener = listener.tap_io(|connection| {
        let _ = connection.set_nodelay(true);
    });
    axum::serve(listener, router)
        .with_graceful_shutdown(cancel.cancelled_owned())
        .await
}
