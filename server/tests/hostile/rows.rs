//! Pushes of very many rows, good and bad.

use serde_json::{Value, json};

use super::{
    MIB,
    fits::quick_fit,
    push,
    support::{Server, client, data_dir, now_us, until},
};

async fn letters(server: &Server) -> Value {
    let (_, letters) = server.get("/api/deadletters?limit=1000").await;
    serde_json::from_str(&letters).unwrap()
}

#[tokio::test]
async fn a_push_of_bad_rows_keeps_some_of_them_and_says_how_many_more_there_were() {
    let (_scratch, data) = data_dir();
    let server = Server::start(&data, &[]);
    let first = json!({"symbol": "ACME", "ts_us": now_us(), "price": -1});
    assert_eq!(push(&server, first.to_string()).await.0, 422);
    let before = server.peak_memory();
    let (status, problem) = push(&server, "x\n".repeat(2 * MIB)).await;
    let detail = problem["detail"].as_str().unwrap();
    assert_eq!(status, 422, "{problem}");
    assert!(detail.contains("and 2097151 more rows"), "{problem}");
    let grown = server.peak_memory().saturating_sub(before);
    assert!(
        grown < 200 * MIB,
        "4 MiB of bad rows took {} MiB",
        grown / MIB
    );
    let page = letters(&server).await;
    let open: u64 = page["counts"]
        .as_array()
        .unwrap()
        .iter()
        .map(|c| c["open"].as_u64().unwrap())
        .sum();
    assert_eq!(open, 1 + 1_001, "{}", page["counts"]);
    assert_eq!(
        page["letters"][0]["reject"]["reason"], "bad_price",
        "the oldest letter is still there"
    );
    let last = server_letters_of(&server, "unparsable").await;
    assert!(
        last.iter()
            .any(|detail| detail.starts_with("2096152 more rows")),
        "{last:?}"
    );
}

async fn server_letters_of(server: &Server, reason: &str) -> Vec<String> {
    let url = format!(
        "{}/api/deadletters?limit=1000&after=500&reason={reason}",
        server.url
    );
    let page: Value = client()
        .get(url)
        .send()
        .await
        .unwrap()
        .json()
        .await
        .unwrap();
    let letters = page["letters"].as_array().unwrap();
    letters
        .iter()
        .map(|l| l["reject"]["detail"].as_str().unwrap().to_owned())
        .collect()
}

#[tokio::test]
async fn good_rows_among_many_bad_ones_are_stored_and_counted() {
    let (_scratch, data) = data_dir();
    let server = Server::start(&data, &[]);
    let now = now_us();
    let good: String = (0..30_000)
        .map(|seq| {
            format!("{{\"symbol\":\"ACME\",\"ts_us\":{now},\"seq\":{seq},\"price\":1}}\nx\n")
        })
        .collect();
    let (status, answer) = push(&server, good.clone()).await;
    assert_eq!(status, 200, "{answer}");
    assert_eq!(
        (&answer["stored"], &answer["rejected"], &answer["not_kept"]),
        (&json!(30_000), &json!(30_000), &json!(29_000)),
        "{answer}"
    );
    assert_eq!(answer["rejects"].as_array().unwrap().len(), 20);
    let (_, again) = push(&server, good).await;
    assert_eq!(again["duplicates"], 30_000, "{again}");
}

#[tokio::test]
async fn memory_that_large_bodies_took_is_given_back() {
    let (_scratch, data) = data_dir();
    let server = Server::start(&data, &[]);
    push(&server, quick_fit().to_string()).await;
    let before = server.resident_memory();
    for _ in 0..3 {
        let body = "x\n".repeat(12 * MIB);
        let (one, other) = tokio::join!(push(&server, body.clone()), push(&server, body));
        assert_eq!((one.0, other.0), (422, 422), "{} {}", one.1, other.1);
    }
    let given_back = |after: &usize| *after < before + 64 * MIB;
    let what = format!("the memory from before, {} MiB,", before / MIB);
    // The allocator gives back what a thread has freed when that thread next asks it for something: a server
    // that is asked nothing at all may keep it.
    let memory_in_use = async || {
        let asks = (0..8).map(|_| server.get("/healthz"));
        futures::future::join_all(asks).await;
        server.resident_memory()
    };
    until(&what, memory_in_use, given_back).await;
}
