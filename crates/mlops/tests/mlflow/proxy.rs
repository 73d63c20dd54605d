//! Stands between the client and MLflow, request by request, and does to some what networks do.

use std::{
    net::SocketAddr,
    sync::{Arc, Mutex},
};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
};

/// What happens to a request.
#[derive(Clone, Debug)]
pub enum Fault {
    /// The request of this number (from 0) reaches MLflow, which answers; the answer is lost.
    LoseAnswer(usize),
    /// Of the answer to it only the first half comes.
    HalveAnswer(usize),
    /// Requests with this in their first line do not reach MLflow, and get this answer.
    Answer(&'static str, &'static str),
}

#[derive(Clone)]
pub struct Proxy {
    pub address: SocketAddr,
    state: Arc<Mutex<State>>,
}

#[derive(Default)]
struct State {
    fault: Option<Fault>,
    requests: usize,
}

impl Proxy {
    pub async fn start(server: &str) -> Self {
        Self::start_at("127.0.0.1:0", server).await
    }

    pub async fn start_at(address: &str, server: &str) -> Self {
        let server: SocketAddr = server.strip_prefix("http://").unwrap().parse().unwrap();
        let listener = TcpListener::bind(address).await.unwrap();
        let proxy = Self {
            address: listener.local_addr().unwrap(),
            state: Arc::default(),
        };
        let state = Arc::clone(&proxy.state);
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                tokio::spawn(pass(client, server, Arc::clone(&state)));
            }
        });
        proxy
    }

    pub fn uri(&self) -> String {
        format!("http://{}", self.address)
    }

    /// From now on, counting requests from 0.
    pub fn set(&self, fault: Option<Fault>) {
        *self.state.lock().unwrap() = State { fault, requests: 0 };
    }

    /// Requests since then.
    pub fn requests(&self) -> usize {
        self.state.lock().unwrap().requests
    }
}

/// One request and its answer; then the connection ends, so that each request has one of its own.
async fn pass(mut client: TcpStream, server: SocketAddr, state: Arc<Mutex<State>>) {
    let Some((head, body)) = request(&mut client).await else {
        return;
    };
    let (number, fault) = {
        let mut state = state.lock().unwrap();
        state.requests += 1;
        (state.requests - 1, state.fault.clone())
    };
    let first_line = head.lines().next().unwrap_or_default();
    if let Some(Fault::Answer(part, answer)) = &fault
        && first_line.contains(part)
    {
        let _ = client.write_all(answer.as_bytes()).await;
        return;
    }
    let mut upstream = TcpStream::connect(server).await.unwrap();
    let head = head.replacen("\r\n", "\r\nConnection: close\r\n", 1);
    upstream.write_all(head.as_bytes()).await.unwrap();
    upstream.write_all(&body).await.unwrap();
    let mut answer = Vec::new();
    upstream.read_to_end(&mut answer).await.unwrap();
    let sent = match fault {
        Some(Fault::LoseAnswer(n)) if n == number => 0,
        Some(Fault::HalveAnswer(n)) if n == number => answer.len() / 2,
        _ => answer.len(),
    };
    let _ = client.write_all(&answer[..sent]).await;
}

async fn request(client: &mut TcpStream) -> Option<(String, Vec<u8>)> {
    let mut bytes = Vec::new();
    let end = loop {
        if client.read_buf(&mut bytes).await.ok()? == 0 {
            return None;
        }
        if let Some(at) = bytes.windows(4).position(|four| four == b"\r\n\r\n") {
            break at + 4;
        }
    };
    let head = String::from_utf8(bytes[..end].to_vec()).unwrap();
    let length = head.lines().find_map(|line| {
        let (name, value) = line.split_once(':')?;
        name.eq_ignore_ascii_case("content-length")
            .then(|| value.trim().parse::<usize>().unwrap())
    });
    let mut body = bytes[end..].to_vec();
    while body.len() < length.unwrap_or(0) {
        if client.read_buf(&mut body).await.ok()? == 0 {
            return None;
        }
    }
    Some((head, body))
}
