//! The Pipeline page of a web process tells of the whole topic: how much goes over it is known to no
//! single process but by asking the broker.

use std::{net::SocketAddr, time::Duration};

use super::{ask, post, settings, started, support::until, web};

/// The number that the page shows under a name; none while it is not known.
async fn shown(address: SocketAddr, id: &str) -> Option<f64> {
    let (status, page) = ask(address, "/pipeline").await;
    assert_eq!(status, 200, "{page}");
    let cell = format!("data-testid=\"{id}\">");
    let Some((_, after)) = page.split_once(&cell) else {
        panic!("{id} is missing in {page}");
    };
    after.split(['/', '<']).next()?.parse().ok()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_page_of_a_web_process_shows_what_others_take_from_the_topic_and_that_nothing_waits() {
    let settings = settings("topic-page");
    let (_consumer, _) = started("consume", &settings).await;
    let (_web, address) = web(&settings).await;
    // New rows for as long as it takes: the broker has to be asked before and after some of them.
    let (mut published, mut taken) = (None, None);
    for n in 0..300 {
        post(address, n..n + 1).await;
        published = shown(address, "pipeline-published").await;
        taken = shown(address, "pipeline-taken").await;
        if published > Some(0.0) && taken > Some(0.0) {
            break;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    assert!(published > Some(0.0), "published: {published:?}");
    assert!(taken > Some(0.0), "taken: {taken:?}");
    // The last one is stored; it is committed soon after.
    let lag = async || shown(address, "pipeline-lag").await;
    until("a lag of 0", lag, |lag| *lag == Some(0.0)).await;
}
