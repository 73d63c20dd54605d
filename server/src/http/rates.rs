//! How often one client may ask for what costs: pushes, forecasts, backtests, WebSockets.
//!
//! Model: a limiter for each kind (GCRA, crate `governor`), keyed by client; a refused request is answered 429 with
//! `Retry-After`, before its body is read. What has been left unused long enough is forgotten every minute, so
//! that addresses that came once cost nothing. `governor` stands here by itself, not `tower_governor` around it:
//! the same limiters are asked for messages of WebSockets, and the answers are problem documents.
//!
//! What it does not do: know who is behind a proxy; all of those are one client.

use std::{net::SocketAddr, num::NonZeroU32, sync::Arc, time::Duration};

use axum::{
    extract::{ConnectInfo, Request, State},
    http::{HeaderValue, Method, StatusCode, Uri, header},
    middleware::Next,
    response::{IntoResponse, Response},
};
use governor::{
    DefaultDirectRateLimiter, DefaultKeyedRateLimiter, Quota, RateLimiter, clock::Clock as _,
};
use market::ErrorKind;

use super::{problem::Problem, serving::Client};
use crate::config::LimitsConfig;

/// How often what was left unused is forgotten.
const FORGET_EVERY: Duration = Duration::from_secs(60);

/// What is limited.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// `POST /api/ticks`.
    Push,
    /// `POST /predict`, the message on `/forecast`, the pages and server functions that fit.
    Prediction,
    /// A backtest's start.
    Backtest,
    /// The opening of a WebSocket.
    Socket,
}

impl Kind {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Push => "pushes",
            Self::Prediction => "forecasts",
            Self::Backtest => "backtests",
            Self::Socket => "websockets",
        }
    }

    /// What a request asks for.
    fn of(method: &Method, uri: &Uri) -> Option<Self> {
        let query = uri.query();
        match (method.as_str(), uri.path()) {
            ("POST", "/api/ticks") => Some(Self::Push),
            ("POST", "/predict" | "/api/forecast" | "/api/chart") => Some(Self::Prediction),
            ("GET", "/state") => Some(Self::Prediction),
            ("GET", path) if path.starts_with("/s/") => Some(Self::Prediction),
            ("POST", "/api/backtest") => Some(Self::Backtest),
            // Without scripts the page itself runs it.
            ("GET", "/backtest") if query.is_some_and(|q| q.contains("wait")) => {
                Some(Self::Backtest)
            }
            (_, "/live" | "/forecast") => Some(Self::Socket),
            _ => None,
        }
    }
}

type Limiter = Option<DefaultKeyedRateLimiter<Client>>;

/// The limiters. Cheap to clone.
#[derive(Clone)]
pub struct Rates {
    inner: Arc<Inner>,
}

struct Inner {
    pushes: Limiter,
    predictions: Limiter,
    backtests: Limiter,
    sockets: Limiter,
    messages_per_s: Option<NonZeroU32>,
}

impl std::fmt::Debug for Rates {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Rates").finish_non_exhaustive()
    }
}

/// So many at once for each that comes in a second.
fn burst(rate: NonZeroU32, times: u32) -> NonZeroU32 {
    rate.saturating_mul(NonZeroU32::new(times).unwrap_or(NonZeroU32::MIN))
}

impl Rates {
    /// With the limits of a configuration.
    pub fn new(limits: &LimitsConfig) -> Self {
        let per_second = |rate: Option<NonZeroU32>, times| {
            rate.map(|rate| {
                RateLimiter::keyed(Quota::per_second(rate).allow_burst(burst(rate, times)))
            })
        };
        Self {
            inner: Arc::new(Inner {
                pushes: per_second(limits.pushes_per_s, 2),
                predictions: per_second(limits.predictions_per_s, 2),
                backtests: limits
                    .backtests_per_min
                    .map(|rate| RateLimiter::keyed(Quota::per_minute(rate))),
                sockets: per_second(limits.sockets_per_s, 10),
                messages_per_s: limits.messages_per_s,
            }),
        }
    }

    fn limiter(&self, kind: Kind) -> Option<&DefaultKeyedRateLimiter<Client>> {
        let inner = &self.inner;
        match kind {
            Kind::Push => inner.pushes.as_ref(),
            Kind::Prediction => inner.predictions.as_ref(),
            Kind::Backtest => inner.backtests.as_ref(),
            Kind::Socket => inner.sockets.as_ref(),
        }
    }

    /// Counts one more of a client's.
    ///
    /// # Errors
    /// How long to wait before the next one.
    pub fn check(&self, kind: Kind, client: Client) -> Result<(), Duration> {
        let Some(limiter) = self.limiter(kind) else {
            return Ok(());
        };
        limiter.check_key(&client).map_err(|refused| {
            metrics::counter!("tickcast_http_rate_limited_total", "what" => kind.as_str())
                .increment(1);
            refused.wait_time_from(limiter.clock().now())
        })
    }

    /// A limiter for the messages of one WebSocket.
    pub fn messages(&self) -> Option<DefaultDirectRateLimiter> {
        let rate = self.inner.messages_per_s?;
        let quota = Quota::per_second(rate).allow_burst(burst(rate, 10));
        Some(RateLimiter::direct(quota))
    }

    /// Forgets what was left unused, again and again.
    pub async fn forget(self) {
        loop {
            tokio::time::sleep(FORGET_EVERY).await;
            for kind in [Kind::Push, Kind::Prediction, Kind::Backtest, Kind::Socket] {
                if let Some(limiter) = self.limiter(kind) {
                    limiter.retain_recent();
                    limiter.shrink_to_fit();
                }
            }
        }
    }
}

/// What is told of one too many.
pub fn refusal(kind: Kind, wait: Duration) -> Problem {
    let detail = format!(
        "too many {} from this client: wait {} ms",
        kind.as_str(),
        wait.as_millis().max(1)
    );
    Problem::new(ErrorKind::Unavailable, detail).with_status(StatusCode::TOO_MANY_REQUESTS)
}

/// The middleware.
pub async fn limit(State(rates): State<Rates>, request: Request, next: Next) -> Response {
    let kind = Kind::of(request.method(), request.uri());
    let peer = request.extensions().get::<ConnectInfo<SocketAddr>>();
    if let (Some(kind), Some(peer)) = (kind, peer)
        && let Err(wait) = rates.check(kind, Client::of(peer.ip()))
    {
        let mut response = refusal(kind, wait).into_response();
        let seconds = wait.as_secs() + u64::from(wait.subsec_nanos() > 0);
        response
            .headers_mut()
            .insert(header::RETRY_AFTER, HeaderValue::from(seconds.max(1)));
        return response;
    }
    next.run(request).await
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Config, Layers};

    #[test]
    fn what_one_client_uses_up_another_still_has() {
        let mut layers = Layers::default();
        layers.add_flag("limits.predictions_per_s", "3", "--set");
        layers.add_flag("limits.pushes_per_s", "0", "--set");
        let limits = Config::from_layers(layers).unwrap().limits;
        let rates = Rates::new(&limits);
        let client = |n: u8| Client::of([10, 0, 0, n].into());
        let taken = |n| {
            (0..20)
                .take_while(|_| rates.check(Kind::Prediction, client(n)).is_ok())
                .count()
        };
        let first = taken(1);
        assert!((6..20).contains(&first), "{first}");
        let wait = rates.check(Kind::Prediction, client(1)).unwrap_err();
        assert!(
            wait > Duration::ZERO && wait <= Duration::from_secs(1),
            "{wait:?}"
        );
        assert!(taken(2) >= 6);
        assert!(
            (0..9_999).all(|_| rates.check(Kind::Push, client(1)).is_ok()),
            "no limit"
        );
    }
}
