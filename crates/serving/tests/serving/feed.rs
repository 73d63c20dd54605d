//! `/forecast` at the end of the process.

use std::{sync::Arc, time::Duration};

use pipeline::Frame;

use crate::harness::*;

#[tokio::test(flavor = "multi_thread")]
async fn a_shutdown_tells_the_readers_of_forecasts() {
    let dir = tempfile::tempdir().unwrap();
    let stage = Stage::start(m1_only(), Arc::new(open(dir.path()).await)).await;
    let fans = stage.serving.forecasts.connect();
    stage.stop().await;
    assert!(matches!(within(fans.next()).await, Frame::Text(_)));
    let goodbye = || async { within(fans.next()).await };
    assert!(matches!(goodbye().await, Frame::Close { code: 1001, .. }));
    fans.ended().await;
    // Whoever comes after is told so too, and a second stop does nothing.
    let late = stage.serving.forecasts.connect();
    assert!(matches!(within(late.next()).await, Frame::Text(_)));
    assert!(matches!(
        within(late.next()).await,
        Frame::Close { code: 1001, .. }
    ));
    assert!(stage.serving.shutdown(Duration::ZERO).await);
}
