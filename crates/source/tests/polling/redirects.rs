//! Where a provider's redirects lead, and who gets to see the credentials.

use super::*;

fn to(address: &str) -> Response {
    (StatusCode::FOUND, [(header::LOCATION, address)]).into_response()
}

fn with_key(base: &str) -> Provider {
    Provider {
        credentials: vec![
            Credential::Header("x-key".into(), Secret::new("hunter2")),
            Credential::Query("token".into(), Secret::new("hunter3")),
        ],
        ..one_per_page(base)
    }
}

#[tokio::test]
async fn one_that_stays_on_the_host_is_followed_with_the_credentials() {
    let (base, shared) = server(|_, uri, headers| {
        assert_eq!(headers["x-key"], "hunter2");
        assert!(uri.query().unwrap().contains("token=hunter3"), "{uri}");
        if uri.path().starts_with("/moved") {
            return paged(uri);
        }
        // Relative, as RFC 9110 lets it be; the query goes along.
        let query = uri.query().unwrap().replace("&token=hunter3", "");
        to(&format!("/moved{}?{query}", uri.path()))
    })
    .await;
    let mut poll = Poll::start(options(with_key(&base)));
    assert_eq!(poll.next().await, [0]);
    assert_eq!(poll.next().await, [1]);
    poll.stop().await.unwrap();
    let asked = shared.lock().unwrap().requests.len();
    assert!(asked >= 4, "{asked}");
}

#[tokio::test]
async fn one_to_another_host_port_or_scheme_is_not_followed_and_says_where_it_leads() {
    let (other, other_shared) = server(|_, uri, _| paged(uri)).await;
    let by_name = other.replace("127.0.0.1", "localhost");
    let by_tls = other.replace("http://", "https://");
    for elsewhere in [other.clone(), by_name, by_tls] {
        let target = format!("{elsewhere}/inside?secret=1");
        let (base, _) = server(move |_, _, _| to(&target)).await;
        let poll = Poll::start(options(with_key(&base)));
        let error = poll.task.await.unwrap().unwrap_err();
        assert!(
            matches!(error, SourceError::Refused { status: 302, .. }),
            "{error:?}"
        );
        let text = error.to_string();
        assert!(text.contains(&format!("{elsewhere}/inside")), "{text}");
        for secret in ["hunter", "secret=1"] {
            assert!(!text.contains(secret), "{text}");
        }
    }
    assert_eq!(other_shared.lock().unwrap().requests.len(), 0);
}

#[tokio::test]
async fn a_circle_is_left_after_some_rounds() {
    let (base, shared) = server(|_, uri, _| to(uri.path())).await;
    let mut poll = Poll::start(options(one_per_page(&base)));
    let mut asked = 0;
    // Taken for an answer that cannot be read, which is tried again, a few requests at a time.
    while asked < 12 {
        tokio::time::sleep(Duration::from_millis(5)).await;
        asked = shared.lock().unwrap().requests.len();
    }
    assert!(poll.outlet.try_recv().is_none());
    poll.stop().await.unwrap();
}
