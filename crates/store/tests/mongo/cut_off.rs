//! A completion that is cut off before each of its commands to the server: afterwards it is there as a whole or not
//! at all, and the one that comes next goes on from there.
//!
//! Model: a proxy lets so many commands through and no more; the call is dropped then, as when its process dies.

use std::{
    sync::{
        Arc,
        atomic::{AtomicI64, Ordering},
    },
    time::Duration,
};

use serde_json::json;
use store::{
    Artefacts, Finished, JobState, JobStore, MessageState, ModelRegistry, Outbox, Outcome, Topic,
    mongo::{MongoOptions, MongoStore},
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt, copy},
    net::{
        TcpListener, TcpStream,
        tcp::{OwnedReadHalf, OwnedWriteHalf},
    },
    sync::Notify,
};

use crate::{
    server::options,
    suite::{
        jobs::{MINUTE, at, submit, take, train},
        publications::{to, verdict, version},
    },
};

/// How many commands may still pass.
struct Gate {
    left: AtomicI64,
    shut: Notify,
}

/// Passes the commands of one connection on, as long as they may. What the driver asks to know its server is none.
async fn pass(mut from: OwnedReadHalf, mut to: OwnedWriteHalf, gate: Arc<Gate>) {
    while let Ok(length) = from.read_u32_le().await {
        let mut message = length.to_le_bytes().to_vec();
        message.resize(length as usize, 0);
        if from.read_exact(&mut message[4..]).await.is_err() {
            return;
        }
        let holds = |text: &[u8]| message.windows(text.len()).any(|part| part == text);
        let is_hello = holds(b"hello\0") || holds(b"isMaster\0") || holds(b"ismaster\0");
        if !is_hello && gate.left.fetch_sub(1, Ordering::SeqCst) <= 0 {
            gate.shut.notify_one();
            return;
        }
        if to.write_all(&message).await.is_err() {
            return;
        }
    }
}

/// A way to the server with a gate; the URI that leads through it.
async fn gated(uri: &str, gate: &Arc<Gate>) -> String {
    let rest = uri.strip_prefix("mongodb://").unwrap();
    let (host, after) = rest.split_once('/').unwrap_or((rest, ""));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let here = listener.local_addr().unwrap();
    // Else the driver goes to where a server says it is.
    let direct = match after {
        after if after.contains("directConnection=true") => "",
        after if after.contains('?') => "&directConnection=true",
        _ => "?directConnection=true",
    };
    let gated = format!("mongodb://{here}/{after}{direct}");
    let (host, gate) = (host.to_owned(), Arc::clone(gate));
    tokio::spawn(async move {
        while let Ok((client, _)) = listener.accept().await {
            let server = TcpStream::connect(&host).await.unwrap();
            let (from_client, mut to_client) = client.into_split();
            let (mut from_server, to_server) = server.into_split();
            tokio::spawn(pass(from_client, to_server, Arc::clone(&gate)));
            tokio::spawn(async move { copy(&mut from_server, &mut to_client).await });
        }
    });
    gated
}

#[tokio::test(flavor = "multi_thread")]
async fn a_completion_that_is_cut_off_anywhere_is_there_as_a_whole_or_not_at_all() {
    let options = options();
    let store = MongoStore::connect(options.clone()).await.unwrap();
    let sha256 = store.put(b"weights".to_vec()).await.unwrap();
    let gate = Arc::new(Gate {
        left: AtomicI64::new(i64::MAX),
        shut: Notify::new(),
    });
    let through_gate = MongoOptions {
        uri: gated(&options.uri, &gate).await,
        timeout: Duration::from_secs(5),
        ..options
    };
    let (mut committed, mut undone) = (0, 0);
    for commands in 0.. {
        let name = format!("M{commands}");
        let mut new = version(&name);
        new.artefacts = vec![store::Artefact {
            path: "weights".into(),
            sha256: sha256.clone(),
            bytes: 7,
        }];
        let outcome = Outcome::Succeeded {
            result: json!(commands),
            publication: Some(Box::new(store::Publication {
                verdict: Some(verdict(&name, 0.25, at(0))),
                version: Some(new),
                aliases: vec![to(&name, "champion", store::AliasTarget::New)],
                outbox: vec![store::NewMessage {
                    topic: Topic::Mlflow,
                    payload: json!(commands),
                    key: name.clone(),
                }],
            })),
        };
        submit(&store, train(&name)).await;
        let lease = take(&store, at(0)).await.unwrap().lease();
        gate.left.store(i64::MAX, Ordering::SeqCst);
        let dying = MongoStore::connect(through_gate.clone()).await.unwrap();
        gate.left.store(commands, Ordering::SeqCst);
        let is_whole = tokio::select! {
            finished = dying.finish(lease, outcome.clone(), at(1)) => finished.is_ok(),
            () = gate.shut.notified() => false,
        };
        drop(dying);
        let job = store.job(lease.job).await.unwrap().unwrap();
        let is_done = job.state == JobState::Succeeded;
        assert!(is_done || !is_whole, "after {commands} commands");
        let there = async || {
            let messages = store.messages(Topic::Mlflow, MessageState::Waiting, None, 999);
            let messages = messages.await.unwrap();
            (
                store.version(&name, 1).await.unwrap().is_some(),
                store.by_alias(&name, "champion").await.unwrap().is_some(),
                store.verdicts(Some(&name), None, 9).await.unwrap().len(),
                messages.iter().filter(|m| m.message.key == name).count(),
            )
        };
        if is_done {
            assert_eq!(
                there().await,
                (true, true, 1, 1),
                "after {commands} commands"
            );
            committed += 1;
        } else {
            assert_eq!(
                there().await,
                (false, false, 0, 0),
                "after {commands} commands"
            );
            undone += 1;
            // Its lease goes on: whoever holds it finishes once, whatever was left behind.
            let again = store.finish(lease, outcome, at(2)).await.unwrap();
            assert!(
                matches!(again, Finished::Done { .. }),
                "after {commands} commands"
            );
            assert_eq!(
                there().await,
                (true, true, 1, 1),
                "after {commands} commands"
            );
        }
        assert_eq!(store.version(&name, 2).await.unwrap(), None);
        let lost = store.renew(lease, None, at(3), MINUTE).await.unwrap();
        assert_eq!(lost, store::Renewed::Lost);
        if is_whole {
            break;
        }
    }
    // There are commands before the commit, and commands after it.
    assert!(committed > 3 && undone > 3, "{committed} and {undone}");
}
