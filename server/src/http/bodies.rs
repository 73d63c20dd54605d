//! Bodies of requests: read before the handler, up to a size, within a time, and all of them together up to a
//! number of bytes.
//!
//! Model: a middleware collects the body and hands it on in one piece; every handler here wants it whole. The
//! bytes count from when they have come until the handler has answered, so that what a client announces
//! costs nothing. One client has half of them at most.
//!
//! What it does not do: bound what handlers make of a body.

use std::{
    collections::HashMap,
    net::SocketAddr,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use axum::{
    body::{Body, Bytes, HttpBody as _},
    extract::{ConnectInfo, Request, State},
    http::{StatusCode, header},
    middleware::Next,
    response::{IntoResponse, Response},
};
use http_body_util::BodyExt as _;
use market::ErrorKind;

use super::{problem::Problem, serving::Client};
use crate::config::LimitsConfig;

/// Bytes are reserved in steps of this: a body that comes in small pieces does not take a lock for each.
const STEP: usize = 64 * 1024;

/// What is reserved for bodies.
#[derive(Clone)]
pub struct Bodies {
    largest: usize,
    most: usize,
    timeout: Duration,
    held: Arc<Mutex<Held>>,
}

#[derive(Default)]
struct Held {
    all: usize,
    of: HashMap<Option<Client>, usize>,
}

impl Bodies {
    /// With the limits of a configuration.
    pub fn new(limits: &LimitsConfig) -> Self {
        Self {
            largest: limits.body_bytes,
            most: limits.bodies_bytes.max(limits.body_bytes),
            timeout: limits.body_timeout,
            held: Arc::default(),
        }
    }

    fn reserve(&self, client: Option<Client>) -> Reservation {
        Reservation {
            client,
            bytes: 0,
            bodies: self.clone(),
        }
    }
}

/// Bytes that a body holds; dropping it gives them back.
struct Reservation {
    client: Option<Client>,
    bytes: usize,
    bodies: Bodies,
}

impl Reservation {
    /// Whether the body may grow to this size.
    fn grow_to(&mut self, size: usize) -> bool {
        if size <= self.bytes {
            return true;
        }
        let more = size.next_multiple_of(STEP) - self.bytes;
        let Bodies { most, largest, .. } = self.bodies;
        let mut held = self
            .bodies
            .held
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let own = held.of.get(&self.client).copied().unwrap_or(0);
        let most_of_one = (most / 2).max(largest).next_multiple_of(STEP);
        if held.all + more > most.next_multiple_of(STEP) || own + more > most_of_one {
            return false;
        }
        held.all += more;
        held.of.insert(self.client, own + more);
        metrics::gauge!("tickcast_http_body_bytes").set(held.all as f64);
        self.bytes += more;
        true
    }
}

impl Drop for Reservation {
    fn drop(&mut self) {
        let mut held = self
            .bodies
            .held
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        held.all -= self.bytes;
        metrics::gauge!("tickcast_http_body_bytes").set(held.all as f64);
        if let Some(own) = held.of.get_mut(&self.client) {
            *own -= self.bytes;
            if *own == 0 {
                held.of.remove(&self.client);
            }
        }
    }
}

/// The middleware.
pub async fn collect(State(bodies): State<Bodies>, request: Request, next: Next) -> Response {
    if request.body().is_end_stream() {
        return next.run(request).await;
    }
    let (parts, body) = request.into_parts();
    let peer = parts.extensions.get::<ConnectInfo<SocketAddr>>();
    let mut held = bodies.reserve(peer.map(|peer| Client::of(peer.ip())));
    let announced = parts
        .headers
        .get(header::CONTENT_LENGTH)
        .and_then(|length| length.to_str().ok()?.parse::<u64>().ok());
    if announced.is_some_and(|length| length > bodies.largest as u64) {
        return too_large(bodies.largest).into_response();
    }
    let read = read(body, &mut held, bodies.largest);
    let bytes = match tokio::time::timeout(bodies.timeout, read).await {
        Ok(Ok(bytes)) => bytes,
        Ok(Err(problem)) => return problem.into_response(),
        Err(_) => {
            let detail = format!("the body took longer than {:?}", bodies.timeout);
            return Problem::new(ErrorKind::Timeout, detail)
                .with_status(StatusCode::REQUEST_TIMEOUT)
                .field("body")
                .into_response();
        }
    };
    let request = Request::from_parts(parts, Body::from(bytes));
    let response = next.run(request).await;
    drop(held);
    response
}

async fn read(mut body: Body, held: &mut Reservation, largest: usize) -> Result<Bytes, Problem> {
    let mut first = Bytes::new();
    let mut whole = Vec::new();
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|e| {
            Problem::new(ErrorKind::Invalid, format!("the body cannot be read: {e}"))
                .with_status(StatusCode::BAD_REQUEST)
                .field("body")
        })?;
        let Ok(data) = frame.into_data() else {
            continue;
        };
        let size = first.len() + whole.len() + data.len();
        if size > largest {
            return Err(too_large(largest));
        }
        if !held.grow_to(size) {
            let detail = "too many bodies are being read, try again later";
            return Err(Problem::new(ErrorKind::Unavailable, detail).field("body"));
        }
        // Most bodies come in one piece: that one is not copied.
        if first.is_empty() && whole.is_empty() {
            first = data;
        } else {
            if whole.is_empty() {
                whole.extend_from_slice(&std::mem::take(&mut first));
            }
            whole.extend_from_slice(&data);
        }
    }
    if whole.is_empty() {
        return Ok(first);
    }
    Ok(whole.into())
}

fn too_large(largest: usize) -> Problem {
    let detail = format!("the body is larger than {largest} bytes: send it in parts");
    Problem::new(ErrorKind::Invalid, detail)
        .with_status(StatusCode::PAYLOAD_TOO_LARGE)
        .field("body")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bodies_hold_what_has_come_and_one_client_half_of_it() {
        let bodies = Bodies {
            largest: 2 * STEP,
            most: 8 * STEP,
            timeout: Duration::from_secs(1),
            held: Arc::default(),
        };
        let client = |n: u8| Some(Client::of([127, 0, 0, n].into()));
        let mut one = bodies.reserve(client(1));
        assert!(one.grow_to(1) && one.grow_to(2) && one.bytes == STEP);
        assert!(one.grow_to(4 * STEP));
        let mut second = bodies.reserve(client(1));
        assert!(!second.grow_to(1), "half of it is this client's");
        let mut other = bodies.reserve(client(2));
        assert!(other.grow_to(4 * STEP) && !other.grow_to(4 * STEP + 1));
        assert!(!bodies.reserve(client(3)).grow_to(1), "all of it is taken");
        drop(one);
        assert!(second.grow_to(STEP));
        drop((second, other));
        let held = bodies.held.lock().unwrap();
        assert_eq!((held.all, held.of.len()), (0, 0));
    }
}
