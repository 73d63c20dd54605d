//! What OpenBB Workspace reads: widgets, flat rows that have their columns, and pages of its origin alone.

use std::collections::BTreeSet;

use reqwest::Method;
use serde_json::Value;

use super::{
    client, send,
    support::{Server, data_dir, until},
};

const OPENBB: &str = "https://pro.openbb.co";

async fn json(server: &Server, path: &str) -> Value {
    let answer = send(client().get(server.at(path))).await;
    assert_eq!(answer.status(), 200, "{path}");
    assert_eq!(
        answer.headers()["content-type"],
        "application/json",
        "{path}"
    );
    answer.json().await.unwrap()
}

#[tokio::test]
async fn every_widget_is_answered_with_flat_rows_of_its_columns() {
    let (_scratch, data) = data_dir();
    let arguments = [
        "--source",
        "simulated",
        "--rate",
        "200",
        "--set",
        "forecast.intervals=1s",
    ];
    let server = Server::start(&data, &arguments);
    let rows = async |path: String| json(&server, &path).await.as_array().unwrap().clone();
    let choices = until(
        "a symbol",
        async || rows("/openbb/symbols".into()).await,
        |r| !r.is_empty(),
    )
    .await;
    let symbol = choices[0]["value"].as_str().unwrap();
    let widgets = json(&server, "/widgets.json").await;
    let widgets = widgets.as_object().unwrap();
    assert_eq!(widgets.len(), 3);
    assert_eq!(json(&server, "/apps.json").await, Value::Array(Vec::new()));
    for (id, widget) in widgets {
        let endpoint = widget["endpoint"].as_str().unwrap();
        let mut path = format!("/{endpoint}");
        for (i, param) in widget["params"].as_array().unwrap().iter().enumerate() {
            let value = match param["paramName"].as_str().unwrap() {
                "symbol" => symbol,
                "interval" => "1s",
                other => panic!("{id}: {other}"),
            };
            path += &format!(
                "{}{}={value}",
                if i == 0 { '?' } else { '&' },
                param["paramName"].as_str().unwrap()
            );
        }
        let found = until(
            "a row",
            async || rows(path.clone()).await,
            |r| !r.is_empty(),
        )
        .await;
        let columns = widget["data"]["table"]["columnsDefs"].as_array().unwrap();
        let columns: BTreeSet<&str> = columns
            .iter()
            .map(|c| c["field"].as_str().unwrap())
            .collect();
        for row in &found {
            let row = row.as_object().unwrap();
            assert_eq!(
                row.keys().map(String::as_str).collect::<BTreeSet<_>>(),
                columns,
                "{id}"
            );
            assert!(
                row.values().all(|v| !v.is_object() && !v.is_array()),
                "{id}: {row:?}"
            );
        }
        if endpoint == "openbb/forecast" {
            let first = &found[0];
            let of = |name: &str| first[name].as_f64().unwrap();
            assert!(
                of("lower_95") <= of("lower_80") && of("lower_80") < of("forecast"),
                "{first}"
            );
            assert!(
                of("forecast") < of("upper_80") && of("upper_80") <= of("upper_95"),
                "{first}"
            );
        }
    }
    for (path, status, field) in [
        (
            "/openbb/forecast?symbol=NOSUCH&interval=1s",
            404,
            Some("symbol"),
        ),
        ("/openbb/scoreboard?symbol=NOSUCH", 404, Some("symbol")),
        ("/openbb/forecast?interval=1s", 422, Some("symbol")),
        (
            "/openbb/scoreboard?symbol=AAPL&interval=2s",
            422,
            Some("interval"),
        ),
    ] {
        let answer = send(client().get(server.at(path))).await;
        assert_eq!(answer.status(), status, "{path}");
        assert_eq!(
            answer.headers()["content-type"],
            "application/problem+json",
            "{path}"
        );
        let problem: Value = answer.json().await.unwrap();
        assert_eq!(problem["field"].as_str(), field, "{path}: {problem}");
    }
}

#[tokio::test]
async fn pages_of_the_named_origin_read_these_routes_and_no_other() {
    let (_scratch, data) = data_dir();
    let server = Server::start(&data, &["--set", &format!("web.openbb_origins={OPENBB}")]);
    let allowed = async |path: &str, origin: &str| {
        let answer = send(client().get(server.at(path)).header("origin", origin)).await;
        let allowed = answer.headers().get("access-control-allow-origin").cloned();
        allowed.map(|value| value.to_str().unwrap().to_owned())
    };
    for path in ["/widgets.json", "/apps.json", "/openbb/watchlist"] {
        assert_eq!(
            allowed(path, OPENBB).await.as_deref(),
            Some(OPENBB),
            "{path}"
        );
        assert_eq!(
            allowed(path, "https://elsewhere.example").await,
            None,
            "{path}"
        );
    }
    for path in ["/api/pipeline", "/metrics", "/"] {
        assert_eq!(allowed(path, OPENBB).await, None, "{path}");
    }
    // A preflight carries no token; the request behind it has to.
    let ask = client()
        .request(Method::OPTIONS, server.at("/openbb/watchlist"))
        .header("origin", OPENBB)
        .header("access-control-request-method", "GET")
        .header("access-control-request-headers", "authorization");
    let answer = send(ask).await;
    assert_eq!(answer.status(), 200);
    let headers = answer.headers()["access-control-allow-headers"]
        .to_str()
        .unwrap();
    assert!(headers.contains("authorization"), "{headers}");

    let (_scratch, data) = data_dir();
    let closed = Server::start(&data, &[]);
    let ask = client()
        .get(closed.at("/widgets.json"))
        .header("origin", OPENBB);
    assert!(
        !send(ask)
            .await
            .headers()
            .contains_key("access-control-allow-origin"),
        "by default none"
    );
}
