//! Rows that are pushed to a web process, which does not store them itself.

use serde_json::{Value, json};

use super::{client, in_store, settings, started, web};

#[tokio::test(flavor = "multi_thread")]
async fn a_row_that_is_pushed_again_counts_as_a_duplicate() {
    let settings = settings("pushes");
    let (_consumer, _) = started("consume", &settings).await;
    let (_web, address) = web(&settings).await;
    let rows: Vec<Value> = (0..10)
        .map(|seq| {
            json!({"symbol": "ACME", "timestamp": "2026-01-05T15:00:00Z", "seq": seq, "price": 9})
        })
        .collect();
    let push = || async {
        let request = client().post(format!("http://{address}/api/ticks"));
        let response = request.json(&rows).send().await.unwrap();
        (
            response.status().as_u16(),
            response.json::<Value>().await.unwrap(),
        )
    };
    let mut answer = (202, Value::Null);
    for _ in 0..6 {
        // A group that is being formed takes its time.
        answer = push().await;
        if answer.0 == 200 {
            break;
        }
    }
    assert_eq!((answer.0, in_store(&answer.1)), (200, 10), "{answer:?}");
    let (status, again) = push().await;
    assert_eq!(
        (status, &again["stored"], &again["duplicates"]),
        (200, &json!(0), &json!(10)),
        "{again}"
    );
}
