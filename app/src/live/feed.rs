//! The WebSocket `/live`: prices of the watchlist and bars of the chart.
//!
//! Model: every symbol's last `seq` is kept; after a reconnect the subscription goes on from there,
//! and what was seen already is left out. Bars that closed while the connection was away are not
//! sent again, so a reconnect tells the chart to ask for them. Ticks come in order of storage; the last
//! price is the one with the greatest key, as the server has it.

use std::{
    cell::{Cell, RefCell},
    collections::BTreeMap,
    rc::Rc,
    time::Duration,
};

use leptos::prelude::*;
use market::{Bar, Symbol, Tick};
use protocol::LiveRequest;

use super::{
    BarUpdate, Connection, Focus, Live, Quote,
    incoming::Incoming,
    latency::Latency,
    socket::{Event, Socket, now_ms},
};
use crate::query::root_attribute;

const PING_EVERY: Duration = Duration::from_secs(5);
/// Without a price for this long, prices do not come.
const QUIET_AFTER_MS: f64 = 60_000.0;
/// Bars that wait for an animation frame; a hidden page has none.
const MAX_WAITING_BARS: usize = 256;

#[derive(Default)]
struct Feed {
    latency: Latency,
    seqs: RefCell<BTreeMap<Symbol, u64>>,
    /// What the open connection is subscribed to.
    subscribed: RefCell<Option<Focus>>,
    watched: RefCell<Vec<Symbol>>,
    quotes: RefCell<BTreeMap<Symbol, Quote>>,
    bars: RefCell<BarUpdate>,
    /// The newest trade that a bar of a symbol told of.
    newest_us: RefCell<BTreeMap<Symbol, u64>>,
    frame_asked: Cell<bool>,
    connected_before: Cell<bool>,
    /// When the last price came, by the browser's monotonic clock.
    last_price_ms: Rc<Cell<f64>>,
}

/// Opens the connection and keeps it subscribed to what the page shows.
pub(super) fn start(live: Live) {
    let feed = Rc::new(Feed::default());
    // A page that no server has written shows what was kept: its first connection is one after a gap.
    feed.connected_before
        .set(root_attribute("data-shell").is_some());
    let handler = Rc::clone(&feed);
    let socket = Socket::open("/live", move |socket, event| match event {
        Event::State(state) => live.connection.set(state),
        Event::Open => handler.opened(socket, live),
        Event::Text(text) => {
            crate::worker::heard(text);
            if let Ok(message) = serde_json::from_slice(text.as_bytes()) {
                handler.take(message, live);
            }
        }
    });
    let (pinging, latency) = (socket.clone(), feed.latency.clone());
    let last_price_ms = Rc::clone(&feed.last_price_ms);
    set_interval(
        move || {
            ping(&pinging, &latency);
            if now_ms() - last_price_ms.get() > QUIET_AFTER_MS && live.priced.get_untracked() {
                live.priced.set(false);
            }
        },
        PING_EVERY,
    );
    Effect::new(move |before: Option<Option<Symbol>>| {
        let (watched, focus) = (live.watched.get(), live.focus.get());
        let symbol = focus.as_ref().map(|focus| focus.symbol.clone());
        // Another chart's prices are none of this one's.
        if before.is_some_and(|before| before != symbol) && live.priced.get_untracked() {
            live.priced.set(false);
        }
        feed.subscribe(&socket, watched, focus);
        symbol
    });
}

fn ping(socket: &Socket, latency: &Latency) {
    socket.send(&LiveRequest::Ping { id: latency.ping() });
}

impl Feed {
    fn opened(&self, socket: &Socket, live: Live) {
        *self.subscribed.borrow_mut() = None;
        self.watched.borrow_mut().clear();
        self.subscribe(
            socket,
            live.watched.get_untracked(),
            live.focus.get_untracked(),
        );
        ping(socket, &self.latency);
    }

    /// Brings the subscription from what it is to what is wanted. The chart's symbol is subscribed
    /// by itself, with its interval; a change of interval starts it anew and so brings a snapshot.
    fn subscribe(&self, socket: &Socket, watched: Vec<Symbol>, focus: Option<Focus>) {
        let before = self.subscribed.borrow().clone();
        let fresh: Vec<Symbol> = {
            let old = self.watched.borrow();
            watched
                .iter()
                .filter(|s| !old.contains(s))
                .cloned()
                .collect()
        };
        let moved = before != focus;
        let unfocused = before.filter(|_| moved).map(|f| f.symbol);
        let focused = focus.clone().filter(|_| moved);
        let again: Vec<Symbol> = unfocused
            .iter()
            .chain(focused.as_ref().map(|f| &f.symbol))
            .filter(|s| self.watched.borrow().contains(s))
            .cloned()
            .collect();
        let mut sent = again.is_empty()
            || socket.send(&LiveRequest::Unsubscribe {
                symbols: again.clone(),
            });
        let plain: Vec<Symbol> = fresh
            .into_iter()
            .chain(unfocused)
            .filter(|s| focused.as_ref().is_none_or(|f| f.symbol != *s))
            .filter(|s| watched.contains(s))
            .collect();
        if !plain.is_empty() {
            sent &= socket.send(&LiveRequest::Subscribe {
                resume: self.resume(&plain),
                symbols: plain,
                intervals: Vec::new(),
            });
        }
        if let Some(Focus { symbol, interval }) = focused {
            // Going on from a sequence brings no snapshot of the bars; a new interval needs one.
            let resume = if again.contains(&symbol) {
                BTreeMap::new()
            } else {
                self.resume(std::slice::from_ref(&symbol))
            };
            sent &= socket.send(&LiveRequest::Subscribe {
                symbols: vec![symbol],
                intervals: vec![interval],
                resume,
            });
        }
        if sent {
            *self.subscribed.borrow_mut() = focus;
            *self.watched.borrow_mut() = watched;
        }
    }

    fn resume(&self, symbols: &[Symbol]) -> BTreeMap<Symbol, u64> {
        let seqs = self.seqs.borrow();
        let mut resume = BTreeMap::new();
        // One by one: collecting into a map brings a sort along, and there is no need of one.
        for symbol in symbols {
            if let Some(seq) = seqs.get(symbol) {
                resume.insert(symbol.clone(), *seq);
            }
        }
        resume
    }

    fn take(self: &Rc<Self>, message: Incoming, live: Live) {
        let Incoming { seq, symbol, .. } = message;
        // Of a chart's page the chart's own prices count.
        let of = symbol
            .as_ref()
            .or(message.bar.as_ref().map(|bar| &bar.symbol));
        let counts = live
            .focus
            .with_untracked(|focus| focus.as_ref().is_none_or(|focus| of == Some(&focus.symbol)));
        let priced = match message.r#type.as_str() {
            "ticks" | "latest" => true,
            // A bar that closes with the trades which the page has seen brings no price.
            "bar" => message.bar.as_ref().is_some_and(|bar| self.is_newer(bar)),
            _ => false,
        };
        if counts && priced {
            self.last_price_ms.set(now_ms());
            if !live.priced.get_untracked() {
                live.priced.set(true);
            }
        }
        match message.r#type.as_str() {
            "hello" => {
                Socket::set_heartbeat_ms(message.heartbeat_ms);
                let again = self.connected_before.replace(true);
                self.bars.borrow_mut().gap |= again;
            }
            "snapshot" => {
                if let Some(symbol) = symbol {
                    self.seqs.borrow_mut().insert(symbol, seq);
                }
                if let Some(last) = message.last {
                    self.quote(last);
                }
                for bar in message.bars {
                    self.is_newer(&bar);
                    self.bar(bar, false);
                }
                let mut update = self.bars.borrow_mut();
                update.gap |= message.reset;
                update.snapshot |= !update.bars.is_empty();
            }
            "ticks" => {
                if !self.is_new(symbol, seq) {
                    return;
                }
                for tick in message.ticks {
                    self.quote(tick);
                }
                if let Some(age_us) = message.age_us {
                    self.latency.arrived(age_us);
                }
            }
            "latest" => {
                if !self.is_new(symbol, seq) {
                    return;
                }
                if let Some(tick) = message.tick {
                    self.quote(tick);
                }
                self.bars.borrow_mut().gap |= message.skipped > 0;
            }
            "bar" => {
                if let Some(bar) = message.bar {
                    self.bar(bar, message.closed);
                }
            }
            "pong" => self.latency.pong(message.id),
            // Heartbeats keep the socket's watch quiet; errors and farewells need no answer.
            _ => return,
        }
        self.ask_for_a_frame(live);
    }

    /// Notes the sequence; false when it was seen before.
    fn is_new(&self, symbol: Option<Symbol>, seq: u64) -> bool {
        let Some(symbol) = symbol else { return false };
        let mut seqs = self.seqs.borrow_mut();
        let last = seqs.entry(symbol).or_insert(0);
        let new = seq > *last;
        *last = seq.max(*last);
        new
    }

    /// Notes the newest trade of a bar's symbol; whether it is newer than those seen before.
    fn is_newer(&self, bar: &Bar) -> bool {
        let mut newest = self.newest_us.borrow_mut();
        let at = bar.last.ts.as_micros().unsigned_abs();
        let before = newest.entry(bar.symbol.clone()).or_insert(0);
        let newer = at > *before;
        *before = at.max(*before);
        newer
    }

    fn quote(&self, tick: Tick) {
        let quote = Quote {
            price: tick.price,
            key: tick.key(),
        };
        put(&mut self.quotes.borrow_mut(), tick.symbol, quote);
    }

    fn bar(&self, bar: Bar, closed: bool) {
        let wanted = self
            .subscribed
            .borrow()
            .as_ref()
            .is_some_and(|f| f.symbol == bar.symbol && f.interval == bar.interval);
        if !wanted {
            return;
        }
        let mut update = self.bars.borrow_mut();
        update.closed |= closed;
        if let Some(slot) = update.bars.iter_mut().rfind(|b| b.start == bar.start) {
            *slot = bar;
            return;
        }
        if update.bars.len() == MAX_WAITING_BARS {
            update.bars.clear();
            update.gap = true;
        }
        update.bars.push(bar);
    }

    /// Puts what has come into the signals at the next animation frame.
    fn ask_for_a_frame(self: &Rc<Self>, live: Live) {
        if self.frame_asked.replace(true) {
            return;
        }
        let this = Rc::clone(self);
        request_animation_frame(move || {
            this.frame_asked.set(false);
            let quotes = this.quotes.take();
            if !quotes.is_empty() {
                live.quotes.update(|all| {
                    for (symbol, quote) in quotes {
                        put(all, symbol, quote);
                    }
                });
            }
            let bars = this.bars.take();
            if bars.gap || !bars.bars.is_empty() {
                live.bars.set(bars);
            }
            if live.connection.get_untracked() != Connection::Offline {
                this.latency.shown(live.latency_ms);
            }
        });
    }
}

/// Takes a quote unless a later trade's is there: a tick that comes late is not the last price.
fn put(quotes: &mut BTreeMap<Symbol, Quote>, symbol: Symbol, quote: Quote) {
    let last = quotes.entry(symbol).or_insert(quote);
    if quote.key >= last.key {
        *last = quote;
    }
}

#[cfg(test)]
mod tests {
    use market::Timestamp;

    use super::*;

    fn tick(second: i64, seq: u64, price: f64) -> Tick {
        Tick {
            symbol: "A".parse().unwrap(),
            ts: Timestamp::from_secs(second),
            seq,
            price,
            size: 1.0,
        }
    }

    fn prices(quotes: &BTreeMap<Symbol, Quote>) -> Vec<f64> {
        quotes.values().map(|quote| quote.price).collect()
    }

    #[test]
    fn a_tick_that_comes_late_is_not_the_last_price() {
        let feed = Feed::default();
        feed.quote(tick(2, 1, 21.0));
        feed.quote(tick(2, 2, 22.0));
        feed.quote(tick(1, 9, 19.0));
        feed.quote(tick(2, 1, 21.0));
        assert_eq!(prices(&feed.quotes.borrow()), [22.0]);
    }

    #[test]
    fn a_late_frame_leaves_the_price_on_the_screen_and_a_newer_one_moves_it() {
        let mut shown = BTreeMap::new();
        let mut seen = Vec::new();
        for tick in [tick(2, 1, 22.0), tick(1, 9, 21.0), tick(3, 0, 20.0)] {
            let (price, key) = (tick.price, tick.key());
            put(&mut shown, tick.symbol, Quote { price, key });
            seen.extend(prices(&shown));
        }
        assert_eq!(seen, [22.0, 22.0, 20.0]);
    }
}
