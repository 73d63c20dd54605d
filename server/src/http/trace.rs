//! What is known of a request while it is answered and after: its trace id, its metrics, its line in the access
//! log.
//!
//! Model: one middleware around everything else. The trace id is the caller's (`traceparent`, W3C Trace
//! Context) or a new one; it stands in the span of every log line of the request, in the header `x-trace-id` of the
//! answer, and in every problem document. Routes are labels by their pattern, never by the path that came, so that
//! their number is bounded.
//!
//! What it does not do: send spans anywhere.

use std::{net::SocketAddr, time::Instant};

use axum::{
    Router,
    extract::{ConnectInfo, MatchedPath, Request, State},
    http::{HeaderMap, HeaderName, HeaderValue},
    middleware::{self, Next},
    response::Response,
};
use market::excerpt;
use tracing::{Instrument as _, info, info_span, warn};

/// The header of an answer that names its trace.
pub const TRACE_HEADER: HeaderName = HeaderName::from_static("x-trace-id");

tokio::task_local! {
    static TRACE: TraceId;
}

/// A trace, as 32 hexadecimal digits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TraceId(u128);

impl TraceId {
    /// The caller's, or a new one.
    fn of(headers: &HeaderMap) -> Self {
        let given = headers.get("traceparent").and_then(|v| v.to_str().ok());
        let id = given.and_then(|text| {
            // version-trace-parent-flags, as in 00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01.
            let digits = text.split('-').nth(1)?;
            let lower = |b: u8| b.is_ascii_digit() || (b'a'..=b'f').contains(&b);
            let ok = digits.len() == 32 && digits.bytes().all(lower);
            u128::from_str_radix(digits, 16)
                .ok()
                .filter(|id| ok && *id != 0)
        });
        Self(id.unwrap_or_else(rand::random))
    }

    /// That of the request which is being answered, if there is one.
    pub fn current() -> Option<Self> {
        TRACE.try_with(|id| *id).ok()
    }
}

impl std::fmt::Display for TraceId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:032x}", self.0)
    }
}

/// Of the requests that do not fail by a fault of the server, which share is logged.
#[derive(Clone, Copy, Debug)]
pub struct Access {
    /// From 0 to 1.
    pub share: f64,
}

impl Access {
    /// By the trace id, so that whoever shares a trace with another process sees all of it or nothing.
    fn samples(self, trace: TraceId) -> bool {
        self.share >= 1.0 || (trace.0 as u64 as f64) < self.share * u64::MAX as f64
    }
}

/// Counts a request that is being answered.
struct InFlight;

impl InFlight {
    fn begin() -> Self {
        metrics::gauge!("tickcast_http_requests_in_flight").increment(1.0);
        Self
    }
}

impl Drop for InFlight {
    fn drop(&mut self) {
        metrics::gauge!("tickcast_http_requests_in_flight").decrement(1.0);
    }
}

/// A router with the middleware around every route; `share` of the requests are logged.
pub fn around<S: Clone + Send + Sync + 'static>(router: Router<S>, share: f64) -> Router<S> {
    router.layer(middleware::from_fn_with_state(Access { share }, observe))
}

/// The middleware.
async fn observe(State(access): State<Access>, request: Request, next: Next) -> Response {
    let began = Instant::now();
    let trace = TraceId::of(request.headers());
    let method = label(request.method().as_str());
    let route = request
        .extensions()
        .get::<MatchedPath>()
        .map_or_else(|| "other".to_owned(), |path| path.as_str().to_owned());
    let peer = request.extensions().get::<ConnectInfo<SocketAddr>>();
    let client = peer.map(|peer| peer.ip());
    let path = excerpt(request.uri().path()).into_owned();
    let _in_flight = InFlight::begin();
    let span = info_span!("request", trace_id = %trace);
    let answer = TRACE.scope(trace, next.run(request)).instrument(span);
    let mut response = answer.await;
    let seconds = began.elapsed().as_secs_f64();
    let status = response.status();
    metrics::counter!(
        "tickcast_http_requests_total",
        "method" => method, "route" => route.clone(), "status" => status.as_u16().to_string()
    )
    .increment(1);
    metrics::histogram!("tickcast_http_request_seconds", "method" => method, "route" => route.clone())
        .record(seconds);
    // Not the text of a panic or of the store: those have lines of their own in the same span.
    if status.is_server_error() && status != 503 {
        warn!(target: "tickcast::access", %trace, method, route, path, status = status.as_u16(), ms = seconds * 1e3, client = client.map(tracing::field::display), "request");
    } else if access.samples(trace) {
        info!(target: "tickcast::access", %trace, method, route, path, status = status.as_u16(), ms = seconds * 1e3, client = client.map(tracing::field::display), "request");
    }
    if let Ok(value) = HeaderValue::try_from(trace.to_string()) {
        response.headers_mut().insert(TRACE_HEADER, value);
    }
    response
}

/// A method as a label: those that anybody may make up are one.
fn label(method: &str) -> &'static str {
    const KNOWN: [&str; 7] = ["GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS", "PATCH"];
    let known = KNOWN.into_iter().find(|known| *known == method);
    known.unwrap_or("other")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(text: &str) -> TraceId {
        let mut headers = HeaderMap::new();
        headers.insert("traceparent", text.parse().unwrap());
        TraceId::of(&headers)
    }

    #[test]
    fn a_callers_trace_goes_on_and_one_that_cannot_be_right_is_replaced() {
        let given = "4bf92f3577b34da6a3ce929d0e0e4736";
        assert_eq!(
            of(&format!("00-{given}-00f067aa0ba902b7-01")).to_string(),
            given
        );
        for wrong in [
            "",
            "00",
            "00-xyz-1-01",
            &format!("00-{}-1-01", "0".repeat(32)),
            "00-4BF92F3577B34DA6A3CE929D0E0E4736-1-01",
        ] {
            let (one, other) = (of(wrong), of(wrong));
            assert!(one != other && one.to_string().len() == 32, "{wrong}");
        }
    }

    #[test]
    fn about_the_share_that_is_asked_for_is_logged() {
        let sampled = |share: f64| {
            let access = Access { share };
            (0..1_000)
                .filter(|_| access.samples(TraceId(rand::random())))
                .count()
        };
        assert_eq!((sampled(0.0), sampled(1.0)), (0, 1_000));
        assert!((300..700).contains(&sampled(0.5)));
    }
}
