//! Messages of the outbox to a real HTTP receiver.

#![allow(
    clippy::unwrap_used,
    reason = "what fails in a test's own plumbing fails the test"
)]

use std::{
    collections::{BTreeMap, VecDeque},
    sync::{
        Arc, Mutex,
        atomic::{AtomicI64, Ordering},
    },
};

use market::Timestamp;
use mlops::webhook::{Passed, Webhook, WebhookOptions, signature};
use serde_json::json;
use store::{Message, MessageState, NewMessage, Outbox as _, SqliteOptions, SqliteStore, Topic};
use tokio::{
    io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader},
    net::{TcpListener, TcpStream},
};

const SECRET: &str = "a secret of 24 letters..";

#[derive(Clone, Debug)]
struct Received {
    headers: BTreeMap<String, String>,
    body: String,
}

/// A server that takes every request and answers what it is told to; 200 after that.
#[derive(Clone)]
struct Receiver {
    port: u16,
    received: Arc<Mutex<Vec<Received>>>,
    answers: Arc<Mutex<VecDeque<String>>>,
}

impl Receiver {
    async fn start(answers: &[&str]) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let this = Self {
            port: listener.local_addr().unwrap().port(),
            received: Arc::default(),
            answers: Arc::new(Mutex::new(
                answers.iter().map(|a| (*a).to_owned()).collect(),
            )),
        };
        let serving = this.clone();
        tokio::spawn(async move {
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                let serving = serving.clone();
                tokio::spawn(async move { serving.serve(stream).await });
            }
        });
        this
    }

    async fn serve(&self, stream: TcpStream) {
        let mut stream = BufReader::new(stream);
        let mut headers = BTreeMap::new();
        let mut line = String::new();
        stream.read_line(&mut line).await.unwrap();
        assert!(line.starts_with("POST /hook?to=us "), "{line}");
        loop {
            line.clear();
            stream.read_line(&mut line).await.unwrap();
            let Some((name, value)) = line.trim().split_once(':') else {
                break;
            };
            headers.insert(name.to_ascii_lowercase(), value.trim().to_owned());
        }
        let mut body = vec![0; headers["content-length"].parse().unwrap()];
        stream.read_exact(&mut body).await.unwrap();
        self.received.lock().unwrap().push(Received {
            headers,
            body: String::from_utf8(body).unwrap(),
        });
        let answer = self.answers.lock().unwrap().pop_front();
        let answer = answer.unwrap_or_else(|| "200 OK".to_owned());
        let answer = format!("HTTP/1.1 {answer}\r\ncontent-length: 0\r\nconnection: close\r\n\r\n");
        stream.get_mut().write_all(answer.as_bytes()).await.unwrap();
    }

    fn received(&self) -> Vec<Received> {
        self.received.lock().unwrap().clone()
    }

    fn url(&self, host: &str) -> reqwest::Url {
        format!("http://{host}:{}/hook?to=us", self.port)
            .parse()
            .unwrap()
    }
}

struct Place {
    store: Arc<SqliteStore>,
    now: Arc<AtomicI64>,
    _dir: tempfile::TempDir,
}

impl Place {
    /// With a message of each key.
    async fn with(keys: &[&str]) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let store = SqliteStore::open(SqliteOptions::new(dir.path()))
            .await
            .unwrap();
        let place = Self {
            store: Arc::new(store),
            now: Arc::new(AtomicI64::new(1_700_000_000_000_000)),
            _dir: dir,
        };
        let message = |key: &&str| NewMessage {
            topic: Topic::Webhook,
            key: (*key).to_owned(),
            payload: json!({ "entity": "drift_alarm", "data": { "name": key } }),
        };
        let messages = keys.iter().map(message).collect();
        place.store.enqueue(messages, place.now()).await.unwrap();
        place
    }

    fn now(&self) -> Timestamp {
        Timestamp::from_micros(self.now.load(Ordering::SeqCst))
    }

    fn later(&self, seconds: i64) {
        self.now.fetch_add(seconds * 1_000_000, Ordering::SeqCst);
    }

    fn webhook(&self, url: reqwest::Url, change: impl FnOnce(&mut WebhookOptions)) -> Webhook {
        let mut options = WebhookOptions::new(url, SECRET, "test");
        options.allow_private = true;
        change(&mut options);
        let now = Arc::clone(&self.now);
        let clock = Arc::new(move || Timestamp::from_micros(now.load(Ordering::SeqCst)));
        Webhook::new(self.store.clone(), options, clock).unwrap()
    }

    async fn messages(&self, state: MessageState) -> Vec<Message> {
        let found = self.store.messages(Topic::Webhook, state, None, 10);
        found.await.unwrap()
    }
}

const fn passed(delivered: usize, given_up: usize, waits: bool) -> Passed {
    Passed {
        delivered,
        given_up,
        waits,
    }
}

#[tokio::test]
async fn messages_are_signed_sent_in_order_and_again_with_the_same_id_until_they_are_taken() {
    let place = Place::with(&["first", "second"]).await;
    let receiver = Receiver::start(&["503 Service Unavailable", "500 Oh"]).await;
    let webhook = place.webhook(receiver.url("127.0.0.1"), |_| {});
    assert_eq!(webhook.pass().await.unwrap(), passed(0, 0, true));
    // Not before its time.
    assert_eq!(webhook.pass().await.unwrap(), passed(0, 0, false));
    place.later(1);
    assert_eq!(webhook.pass().await.unwrap(), passed(0, 0, true));
    let waiting = place.messages(MessageState::Waiting).await;
    let head = waiting.iter().find(|m| m.message.key == "first").unwrap();
    assert_eq!(head.failures, 2);
    assert!(head.error.as_ref().unwrap().contains("500"), "{head:?}");
    // The wait doubles.
    assert_eq!(head.retry_at, Some(place.now().plus_micros(2_000_000)));
    place.later(2);
    assert_eq!(webhook.pass().await.unwrap(), passed(2, 0, false));
    assert_eq!(place.messages(MessageState::Delivered).await.len(), 2);

    let received = receiver.received();
    let header = |name: &str| -> Vec<&str> {
        received
            .iter()
            .map(|one| one.headers[name].as_str())
            .collect()
    };
    assert_eq!(
        header("x-tickcast-delivery-id"),
        ["first", "first", "first", "second"]
    );
    assert_eq!(
        header("x-tickcast-timestamp"),
        ["1700000000", "1700000001", "1700000003", "1700000003"]
    );
    for one in &received {
        let name = |name: &str| &one.headers[name];
        let (id, at) = (name("x-tickcast-delivery-id"), name("x-tickcast-timestamp"));
        let body: serde_json::Value = serde_json::from_str(&one.body).unwrap();
        assert_eq!(body["data"]["name"], **id);
        assert_eq!(name("content-type"), "application/json");
        assert_eq!(
            *name("x-tickcast-signature"),
            signature(SECRET, id, at, &one.body)
        );
        assert_ne!(
            *name("x-tickcast-signature"),
            signature("other", id, at, &one.body)
        );
    }
}

#[tokio::test]
async fn a_receiver_that_is_gone_or_keeps_refusing_is_given_up_and_one_that_sends_on_is_not_followed()
 {
    let place = Place::with(&["gone", "refused", "moved", "taken"]).await;
    let other = Receiver::start(&[]).await;
    let moved = format!("302 Found\r\nlocation: {}", other.url("127.0.0.1"));
    let answers = ["410 Gone", "401 No", "403 No", &moved, &moved];
    let receiver = Receiver::start(&answers).await;
    let webhook = place.webhook(receiver.url("127.0.0.1"), |options| {
        options.tries_refused = 2
    });
    assert_eq!(webhook.pass().await.unwrap(), passed(0, 1, true));
    place.later(1);
    assert_eq!(webhook.pass().await.unwrap(), passed(0, 1, true));
    place.later(1);
    assert_eq!(webhook.pass().await.unwrap(), passed(1, 1, false));
    assert_eq!(other.received().len(), 0);
    let given_up = place.messages(MessageState::GivenUp).await;
    let keys: Vec<&str> = given_up.iter().map(|m| m.message.key.as_str()).collect();
    assert_eq!(keys, ["moved", "refused", "gone"]);
    assert!(given_up[0].error.as_ref().unwrap().contains("302"));
}

#[tokio::test]
async fn a_private_address_is_called_only_where_that_is_allowed_whatever_it_is_called() {
    let place = Place::with(&["secret"]).await;
    let receiver = Receiver::start(&[]).await;
    let mut options = WebhookOptions::new(receiver.url("127.0.0.1"), SECRET, "test");
    let clock = Arc::new(|| Timestamp::from_secs(1_700_000_000));
    let refused = Webhook::new(place.store.clone(), options.clone(), clock.clone());
    let words = refused.unwrap_err().to_string();
    assert!(words.contains("webhook.allow_private"), "{words}");
    options.secret = String::new();
    options.allow_private = true;
    let unsigned = Webhook::new(place.store.clone(), options, clock).unwrap_err();
    assert!(unsigned.to_string().contains("no secret"), "{unsigned}");

    // A name is found out when it is called.
    let webhook = place.webhook(receiver.url("localhost"), |o| o.allow_private = false);
    assert_eq!(webhook.pass().await.unwrap(), passed(0, 0, true));
    let waiting = place.messages(MessageState::Waiting).await;
    let why = waiting[0].error.as_ref().unwrap();
    assert!(
        why.contains("resolves to no address that may be called"),
        "{why}"
    );
    assert_eq!(receiver.received().len(), 0);
    place.later(1);
    let webhook = place.webhook(receiver.url("localhost"), |_| {});
    assert_eq!(webhook.pass().await.unwrap(), passed(1, 0, false));
    assert_eq!(receiver.received().len(), 1);
}
