//! While a process has lost the broker or the store: what it tells its readers, and how it stops.

use std::time::Duration;

use protocol::LiveMessage;
use serde_json::json;

use super::{
    client, connect, farewell, in_store, next, post, processes::Services, proxy::Proxy, snapshot,
    started, ticks_until, web, with_services,
};

#[tokio::test(flavor = "multi_thread")]
async fn a_reader_who_has_seen_more_than_a_cut_off_web_process_waits_for_it_there() {
    let services = tokio::task::spawn_blocking(Services::start).await.unwrap();
    let proxy = Proxy::start_at(services.broker_front, services.broker_behind).await;
    let settings = with_services("ahead", &services);
    let mut cut_off = settings.clone();
    let through_proxy = format!("kafka.brokers={}", proxy.address);
    cut_off.extend(["--set".into(), through_proxy]);
    let (_consumer, _) = started("consume", &settings).await;
    let (_first, one) = web(&settings).await;
    let (_second, other) = web(&cut_off).await;
    let subscribe = json!({"op": "subscribe", "symbols": ["ACME"], "intervals": []});
    let mut socket = connect(one, "/live", subscribe.clone()).await;
    snapshot(&mut socket).await;
    // The second process knows the symbol, and has read of it.
    let mut there = connect(other, "/live", subscribe).await;
    snapshot(&mut there).await;
    assert_eq!(in_store(&post(one, 0..10).await), 10);
    ticks_until(&mut there, 9).await;
    // Nobody is where it is sent from now on.
    proxy.aim(([127, 0, 0, 1], 9).into());
    proxy.cut();
    assert_eq!(in_store(&post(one, 10..20).await), 10);
    let (seen, position) = ticks_until(&mut socket, 19).await;
    assert_eq!(seen, (0..20).collect::<Vec<_>>());
    drop(socket);
    let resume = json!({"op": "subscribe", "symbols": ["ACME"], "intervals": [],
                        "resume": {"ACME": position}});
    let mut socket = connect(other, "/live", resume).await;
    // It gets its heartbeats, and neither what it has seen nor word that it must begin anew.
    for _ in 0..6 {
        let message = next::<LiveMessage>(&mut socket).await;
        let waits = matches!(
            message,
            LiveMessage::Heartbeat { .. } | LiveMessage::Hello { .. }
        );
        assert!(waits, "{message:?}");
    }
    proxy.aim(services.broker_behind);
    assert_eq!(in_store(&post(one, 20..25).await), 5);
    let (seen, _) = ticks_until(&mut socket, 24).await;
    assert_eq!(seen, (20..25).collect::<Vec<_>>());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_stops_while_the_broker_and_the_store_are_away_tells_its_readers() {
    let services = tokio::task::spawn_blocking(Services::start).await.unwrap();
    let settings = with_services("stop-away", &services);
    let (mut server, address) = started("serve", &settings).await;
    let address = address.unwrap();
    let subscribe = json!({"op": "subscribe", "symbols": ["ACME"], "intervals": []});
    let mut socket = connect(address, "/live", subscribe).await;
    snapshot(&mut socket).await;
    assert_eq!(in_store(&post(address, 0..8).await), 8);
    ticks_until(&mut socket, 7).await;
    let push = move |seqs: std::ops::Range<u64>| async move {
        let rows: Vec<_> = seqs
            .map(|seq| {
                json!({"symbol": "ACME", "timestamp": "2026-01-05T15:00:00Z", "seq": seq, "price": 9})
            })
            .collect();
        let request = client().post(format!("http://{address}/api/ticks"));
        // The answer does not come, or says that the rows are not stored.
        let _ = request.json(&rows).send().await;
    };
    // A write waits for the store, then a message for the broker.
    tokio::task::block_in_place(|| services.kill("mongo"));
    tokio::spawn(push(100..110));
    tokio::time::sleep(Duration::from_secs(1)).await;
    tokio::task::block_in_place(|| services.kill("kafka"));
    tokio::spawn(push(200..210));
    tokio::time::sleep(Duration::from_secs(1)).await;
    let reading = tokio::spawn(farewell(socket));
    let (code, _) = tokio::task::block_in_place(|| server.stop());
    assert_eq!(code, Some(0), "{}", server.log.lock().unwrap());
    assert_eq!(reading.await.unwrap(), (true, Some(1001)));
}
