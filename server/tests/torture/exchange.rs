//! An exchange with numbered trades of twenty symbols, spoken to as `tickcast simulate` is: the
//! truth that everything else is compared with. It is never killed.

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use axum::{
    Json, Router,
    extract::{Query, State},
    routing::get,
};
use market::{Symbol, Tick, Timestamp};
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::net::TcpListener;

pub const SYMBOLS: usize = 20;

#[derive(Default)]
struct Book {
    trades: Vec<Tick>,
    asked: bool,
}

#[derive(Clone, Default)]
pub struct Exchange {
    book: Arc<Mutex<Book>>,
}

pub fn symbols() -> Vec<Symbol> {
    (0..SYMBOLS)
        .map(|i| format!("SYM{i:02}").parse().unwrap())
        .collect()
}

pub fn now() -> Timestamp {
    let since = std::time::SystemTime::now()
        .duration_since(std::time::UNIX_EPOCH)
        .unwrap();
    Timestamp::from_micros(since.as_micros() as i64)
}

impl Exchange {
    /// Starts it on a free port; returns its URL.
    pub async fn start(&self) -> String {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let router = Router::new()
            .route("/v1/trades", get(trades))
            .with_state(self.clone());
        tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        format!("http://{address}")
    }

    /// Whether anybody has asked for trades yet.
    pub fn was_asked(&self) -> bool {
        self.book.lock().unwrap().asked
    }

    /// Makes `count` trades, now.
    pub fn trade(&self, count: usize) {
        self.trade_at(now(), SYMBOLS, count);
    }

    /// Makes `count` trades of the first symbols, at that time, or right after the last one.
    pub fn trade_at(&self, at: Timestamp, of_symbols: usize, count: usize) {
        let mut book = self.book.lock().unwrap();
        let symbols = symbols();
        for _ in 0..count {
            let n = book.trades.len();
            // Strictly later than the last one, whatever the clock does.
            let ts = book
                .trades
                .last()
                .map_or(at, |last| at.max(last.ts.plus_micros(1)));
            book.trades.push(Tick {
                symbol: symbols[n % of_symbols].clone(),
                ts,
                seq: n as u64,
                price: 100.0 + (n % 97) as f64 / 10.0,
                size: 1.0,
            });
        }
    }

    /// Every trade of a symbol, in order.
    pub fn trades_of(&self, symbol: &Symbol) -> Vec<Tick> {
        let book = self.book.lock().unwrap();
        let of_symbol = book.trades.iter().filter(|t| t.symbol == *symbol);
        of_symbol.cloned().collect()
    }
}

#[derive(Deserialize)]
struct Asked {
    cursor: Option<usize>,
    since: Option<i64>,
    limit: Option<usize>,
    wait_ms: Option<u64>,
}

async fn trades(State(exchange): State<Exchange>, Query(asked): Query<Asked>) -> Json<Value> {
    let deadline = tokio::time::Instant::now() + Duration::from_millis(asked.wait_ms.unwrap_or(0));
    let limit = asked.limit.unwrap_or(1_000).min(10_000);
    loop {
        {
            let mut book = exchange.book.lock().unwrap();
            book.asked = true;
            let since = Timestamp::from_micros(asked.since.unwrap_or(i64::MIN));
            let from = asked
                .cursor
                .unwrap_or_else(|| book.trades.partition_point(|t| t.ts < since))
                .min(book.trades.len());
            let until = (from + limit).min(book.trades.len());
            if until > from || tokio::time::Instant::now() >= deadline {
                let page = &book.trades[from..until];
                return Json(json!({ "trades": page, "next_cursor": until.to_string() }));
            }
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}
