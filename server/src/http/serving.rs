//! Connections: taken up to a number, in all and of one client, and cut when nothing goes over them.
//!
//! Model: each connection is a task of hyper's; its stream holds its place among the connections, also
//! after it has become a WebSocket, and gives it back when it is dropped. hyper cuts a request whose head
//! takes too long; the stream itself ends with an error when neither side has said anything for a while, so
//! that not even a connection which never says what protocol it speaks stays. The clock of that starts
//! anew with every byte either way: a WebSocket lives by its heartbeats, a reader that takes nothing is the
//! session's to cut off. A stream that is dropped while the other side still sends is read for a moment more:
//! closed with bytes unread it would be reset, and the answer that said why would be lost.
//!
//! What it does not do: time bodies and handlers (see [`super::bodies`] and the pipeline).

use std::{
    collections::HashMap,
    io,
    net::{IpAddr, Ipv6Addr, SocketAddr},
    pin::Pin,
    sync::{Arc, Mutex, PoisonError},
    task::{Context, Poll, ready},
    time::Duration,
};

use axum::{Extension, Router, extract::ConnectInfo};
use hyper::{Request, body::Incoming};
use hyper_util::{
    rt::{TokioExecutor, TokioIo, TokioTimer},
    server::{conn::auto::Builder, graceful::GracefulShutdown},
    service::TowerToHyperService,
};
use tokio::{
    io::{AsyncRead, AsyncWrite, AsyncWriteExt as _, ReadBuf},
    net::{TcpListener, TcpStream},
    time::{Instant, Sleep},
};
use tokio_util::sync::CancellationToken;
use tower::ServiceExt as _;
use tracing::{debug, warn};

use crate::config::LimitsConfig;

/// How long to wait before the next try when no connection can be taken, for want of file descriptors as a
/// rule.
const ACCEPT_AGAIN: Duration = Duration::from_millis(200);

/// The largest head of a request, in bytes, and what is read at once at most.
const MAX_HEAD: u32 = 128 * 1024;

/// Streams of one HTTP/2 connection at once.
const MAX_STREAMS: u32 = 64;

/// What one connection too many is told.
const FULL: &[u8] = b"HTTP/1.1 503 Service Unavailable\r\n\
    content-type: application/problem+json\r\nretry-after: 1\r\nconnection: close\r\ncontent-length: 135\r\n\r\n\
    {\"type\":\"about:blank\",\"title\":\"Service Unavailable\",\"status\":503,\
    \"detail\":\"too many connections, try again later\",\"kind\":\"unavailable\"}";

/// Serves until `stop`, then lets the requests that are being answered end. WebSockets are not waited for.
pub async fn serve(
    listener: TcpListener,
    router: Router,
    limits: &LimitsConfig,
    stop: CancellationToken,
) {
    let connections = within_the_system(limits.connections);
    let places = Places::new(connections, limits.connections_per_client);
    let mut http = Builder::new(TokioExecutor::new());
    http.http1()
        .timer(TokioTimer::new())
        .header_read_timeout(limits.header_timeout)
        .max_buf_size(MAX_HEAD as usize);
    http.http2()
        .timer(TokioTimer::new())
        .max_concurrent_streams(MAX_STREAMS)
        .max_header_list_size(MAX_HEAD)
        .keep_alive_interval(limits.header_timeout)
        .keep_alive_timeout(limits.header_timeout);
    let graceful = GracefulShutdown::new();
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            () = stop.cancelled() => break,
        };
        let (stream, peer) = match accepted {
            Ok(accepted) => accepted,
            Err(e) if is_of_the_connection(&e) => continue,
            Err(e) => {
                warn!("no connection can be taken: {e}");
                tokio::time::sleep(ACCEPT_AGAIN).await;
                continue;
            }
        };
        let Some(place) = places.take(peer.ip()) else {
            metrics::counter!("tickcast_http_connections_refused_total").increment(1);
            // If that does not fit into an empty buffer the client is no loss.
            let _ = stream.try_write(FULL);
            continue;
        };
        // Otherwise the kernel holds a message back until the one before it is acknowledged, and a reader
        // that says nothing acknowledges after 40 ms.
        if let Err(e) = stream.set_nodelay(true) {
            debug!("a connection's small writes may be held back: {e}");
        }
        let stream = TokioIo::new(Watched::new(stream, limits.idle_timeout, place));
        let router = router.clone();
        let service = tower::service_fn(move |mut request: Request<Incoming>| {
            request.extensions_mut().insert(ConnectInfo(peer));
            router.clone().oneshot(request)
        });
        let service = TowerToHyperService::new(service);
        let connection = http.serve_connection_with_upgrades(stream, service);
        let connection = graceful.watch(connection.into_owned());
        tokio::spawn(async move {
            if let Err(e) = connection.await {
                debug!(%peer, "a connection ended with an error: {e}");
            }
        });
    }
    drop(listener);
    graceful.shutdown().await;
}

/// File descriptors that stay with everything else: the store's, the bus's, the front end's files.
const OTHER_FILES: usize = 256;

/// So many connections, or as many as the process may have files open for: beyond those not even the answer to one
/// too many could be given.
fn within_the_system(connections: usize) -> usize {
    let wanted = connections.saturating_add(OTHER_FILES) as u64;
    match rlimit::increase_nofile_limit(wanted) {
        Ok(files) if files < wanted => {
            let most = usize::try_from(files).unwrap_or(usize::MAX);
            let most = most.saturating_sub(OTHER_FILES).max(1);
            warn!(
                "{most} connections instead of limits.connections = {connections}: the system lets this process have \
                 {files} files open"
            );
            most
        }
        Ok(_) => connections,
        Err(e) => {
            warn!("it is not known how many files this process may have open: {e}");
            // What it is at least, on every system.
            connections.min(1_024 - OTHER_FILES)
        }
    }
}

/// Whether an error of `accept` is about one connection that is gone already.
fn is_of_the_connection(error: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset};
    matches!(
        error.kind(),
        ConnectionAborted | ConnectionRefused | ConnectionReset
    )
}

/// The other end of a request's connection.
pub type Peer = Option<Extension<ConnectInfo<SocketAddr>>>;

/// Whose share of the limits an address counts on: an IPv6 host commonly has 2⁶⁴ addresses.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Client(IpAddr);

impl Client {
    /// The client of an address.
    pub fn of(address: IpAddr) -> Self {
        match address.to_canonical() {
            IpAddr::V4(v4) => Self(v4.into()),
            IpAddr::V6(v6) => {
                let network = u128::from(v6) & !u128::from(u64::MAX);
                Self(Ipv6Addr::from(network).into())
            }
        }
    }

    /// The client at the other end of a connection, where that is known.
    pub fn of_peer(peer: Peer) -> Option<Self> {
        peer.map(|Extension(ConnectInfo(peer))| Self::of(peer.ip()))
    }

    /// The address that stands for all of its own.
    pub const fn address(self) -> IpAddr {
        self.0
    }
}

impl std::fmt::Display for Client {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.fmt(f)
    }
}

/// The places of connections.
#[derive(Clone)]
struct Places {
    taken: Arc<Mutex<Taken>>,
    most: usize,
    most_of_one: usize,
}

#[derive(Default)]
struct Taken {
    all: usize,
    of: HashMap<Client, usize>,
}

impl Places {
    fn new(most: usize, most_of_one: usize) -> Self {
        Self {
            taken: Arc::default(),
            most,
            most_of_one,
        }
    }

    fn take(&self, address: IpAddr) -> Option<Place> {
        let client = Client::of(address);
        let mut taken = self.taken.lock().unwrap_or_else(PoisonError::into_inner);
        let own = taken.of.get(&client).copied().unwrap_or(0);
        if taken.all >= self.most || own >= self.most_of_one {
            return None;
        }
        taken.all += 1;
        taken.of.insert(client, own + 1);
        metrics::gauge!("tickcast_http_connections").set(taken.all as f64);
        Some(Place {
            client,
            taken: Arc::clone(&self.taken),
        })
    }
}

/// A place among the connections; dropping it gives it back.
struct Place {
    client: Client,
    taken: Arc<Mutex<Taken>>,
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut taken = self.taken.lock().unwrap_or_else(PoisonError::into_inner);
        taken.all -= 1;
        metrics::gauge!("tickcast_http_connections").set(taken.all as f64);
        if let Some(own) = taken.of.get_mut(&self.client) {
            *own -= 1;
            if *own == 0 {
                taken.of.remove(&self.client);
            }
        }
    }
}

/// How long a stream that is dropped is still read.
const LINGER: Duration = Duration::from_secs(2);

/// A stream that fails once nothing has gone either way for a while.
struct Watched {
    /// `None` only while it is dropped.
    stream: Option<(TcpStream, Place)>,
    /// Whether the other side has said that it sends no more.
    ended: bool,
    idle: Duration,
    /// When something went.
    last: Instant,
    /// Rings when that may be too long ago; it is set anew only then.
    alarm: Pin<Box<Sleep>>,
}

impl Watched {
    fn new(stream: TcpStream, idle: Duration, place: Place) -> Self {
        Self {
            stream: Some((stream, place)),
            ended: false,
            idle,
            last: Instant::now(),
            alarm: Box::pin(tokio::time::sleep(idle)),
        }
    }

    fn stream(&mut self) -> io::Result<Pin<&mut TcpStream>> {
        match &mut self.stream {
            Some((stream, _)) => Ok(Pin::new(stream)),
            None => Err(io::ErrorKind::NotConnected.into()),
        }
    }

    /// Ready when it has been idle for too long.
    fn poll_idle(&mut self, cx: &mut Context<'_>) -> Poll<io::Error> {
        loop {
            ready!(self.alarm.as_mut().poll(cx));
            let until = self.last + self.idle;
            if Instant::now() >= until {
                let idle = self.idle;
                let told = format!("nothing went over the connection for {idle:?}");
                return Poll::Ready(io::Error::new(io::ErrorKind::TimedOut, told));
            }
            self.alarm.as_mut().reset(until);
        }
    }

    /// What a poll of the stream gave, or the end of an idle one.
    fn noted<T>(
        &mut self,
        polled: Poll<io::Result<T>>,
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<T>> {
        if polled.is_ready() {
            self.last = Instant::now();
            return polled;
        }
        self.poll_idle(cx).map(Err)
    }
}

impl AsyncRead for Watched {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        let polled = self.stream()?.poll_read(cx, buffer);
        if matches!(polled, Poll::Ready(Ok(()))) && buffer.filled().len() == before {
            self.ended = true;
        }
        self.noted(polled, cx)
    }
}

impl AsyncWrite for Watched {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let polled = self.stream()?.poll_write(cx, bytes);
        self.noted(polled, cx)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let polled = self.stream()?.poll_write_vectored(cx, bytes);
        self.noted(polled, cx)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream
            .as_ref()
            .is_some_and(|(stream, _)| stream.is_write_vectored())
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        // A stream of TCP has nothing to flush: this says nothing of the other side.
        self.stream()?.poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.stream()?.poll_shutdown(cx)
    }
}

impl Drop for Watched {
    fn drop(&mut self) {
        let Some((mut stream, place)) = self.stream.take() else {
            return;
        };
        // A runtime that is being shut down takes no more tasks.
        let Ok(runtime) = tokio::runtime::Handle::try_current() else {
            return;
        };
        if self.ended {
            return;
        }
        runtime.spawn(async move {
            let _place = place;
            let _ = stream.shutdown().await;
            let mut nowhere = tokio::io::sink();
            let rest = tokio::io::copy(&mut stream, &mut nowhere);
            let _ = tokio::time::timeout(LINGER, rest).await;
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_answer_to_one_connection_too_many_is_as_long_as_it_says() {
        let text = std::str::from_utf8(FULL).unwrap();
        let (head, body) = text.split_once("\r\n\r\n").unwrap();
        assert!(
            head.contains(&format!("content-length: {}", body.len())),
            "{}",
            body.len()
        );
        assert!(serde_json::from_str::<serde_json::Value>(body).is_ok());
    }

    #[test]
    fn connections_stay_within_what_the_system_gives() {
        assert!(within_the_system(1 << 40) < 1 << 40);
        assert_eq!(within_the_system(10), 10);
    }

    #[test]
    fn a_client_has_so_many_places_and_all_of_them_so_many() {
        let places = Places::new(3, 2);
        let (one, two) = ([127, 0, 0, 1].into(), [127, 0, 0, 2].into());
        let first = places.take(one).unwrap();
        let _second = places.take(one).unwrap();
        assert!(places.take(one).is_none());
        let _third = places.take(two).unwrap();
        assert!(places.take(two).is_none(), "all are taken");
        drop(first);
        assert!(places.take(one).is_some());
        let taken = places.taken.lock().unwrap();
        assert_eq!((taken.all, taken.of.len()), (2, 2));
    }

    #[test]
    fn the_addresses_of_one_ipv6_host_are_one_client() {
        let of = |text: &str| Client::of(text.parse().unwrap());
        assert_eq!(of("2001:db8::1"), of("2001:db8::ffff:1"));
        assert_ne!(of("2001:db8::1"), of("2001:db8:0:1::1"));
        assert_eq!(of("::ffff:10.0.0.1"), of("10.0.0.1"));
    }

    #[tokio::test]
    async fn a_stream_ends_when_nothing_goes_over_it_and_lives_while_something_does() {
        use tokio::io::AsyncReadExt as _;
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let mut other = TcpStream::connect(address).await.unwrap();
        let (stream, peer) = listener.accept().await.unwrap();
        let place = Places::new(1, 1).take(peer.ip()).unwrap();
        let mut watched = Watched::new(stream, Duration::from_millis(1_500), place);
        for _ in 0..5 {
            tokio::time::sleep(Duration::from_millis(400)).await;
            other.write_all(b"x").await.unwrap();
            assert_eq!(watched.read_u8().await.unwrap(), b'x');
        }
        let error = watched.read_u8().await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::TimedOut, "{error}");
    }
}
