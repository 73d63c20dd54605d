//! Live data in the browser: prices, bars and fans as they come, and how the connection stands.
//!
//! Model: [`Live`] is signals, the same on the server (where nothing ever changes them) and in the
//! browser, where [`start`] opens one WebSocket to `/live` (`feed`) and one to `/forecast`
//! (`fans`). What comes in is gathered and put into the signals once per animation frame, so that
//! a page costs the same at ten and at ten thousand ticks a second.
//!
//! What it does not do: draw.

mod fans;
mod feed;
mod incoming;
mod latency;
mod socket;

use std::collections::BTreeMap;

use leptos::prelude::*;
use market::{Bar, Fan, Interval, Symbol, TickKey};

use crate::api::InstrumentSummary;

/// How the connection to the server stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Connection {
    /// The first connection is being made.
    Connecting,
    /// Messages come in. Whether prices do is [`Live::priced`]'s to say.
    Live,
    /// Two heartbeats are missing, or the connection broke and is being made again.
    Stale,
    /// The browser has no network, or several attempts have failed.
    Offline,
}

impl Connection {
    /// The word on the page, and the style sheet's: live only where prices come.
    pub const fn as_str(self, priced: bool) -> &'static str {
        match self {
            Self::Connecting => "connecting",
            Self::Live if priced => "live",
            Self::Live => "connected",
            Self::Stale => "stale",
            Self::Offline => "offline",
        }
    }
}

/// A symbol's last price.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Quote {
    /// The price.
    pub price: f64,
    /// Which trade's it is: of two the later one counts, in whichever order they come.
    pub key: TickKey,
}

/// The bars and fans that the page wants.
#[derive(Clone, Debug, PartialEq)]
pub struct Focus {
    /// The chart's symbol.
    pub symbol: Symbol,
    /// The chart's interval.
    pub interval: Interval,
}

/// What one animation frame brought for the chart.
#[derive(Clone, Debug, Default)]
pub struct BarUpdate {
    /// Bars as they stand now, by start.
    pub bars: Vec<Bar>,
    /// Whether a bar's time was over.
    pub closed: bool,
    /// Whether bars may be missing, so that the page must ask for them.
    pub gap: bool,
    /// Whether a snapshot is among them: what lies between it and the page's last bar is missing.
    pub snapshot: bool,
}

/// Live data as signals. On the server they keep their first value.
#[derive(Clone, Copy)]
pub struct Live {
    /// How the connection stands.
    pub connection: RwSignal<Connection>,
    /// Whether prices come: one did in the last minute.
    pub priced: RwSignal<bool>,
    /// Median time from a tick's arrival at the server to the screen, in milliseconds.
    pub latency_ms: RwSignal<Option<f64>>,
    /// The last price of every symbol that had one since the page was opened.
    pub quotes: RwSignal<BTreeMap<Symbol, Quote>>,
    /// The watchlist as the server last told it; empty until it was asked anew.
    pub instruments: RwSignal<Vec<InstrumentSummary>>,
    /// The symbols of the watchlist that have ticks.
    pub watched: RwSignal<Vec<Symbol>>,
    /// The chart's symbol and interval; `None` while there is no live chart.
    pub focus: RwSignal<Option<Focus>>,
    /// The last frame's bars of the focus.
    pub bars: RwSignal<BarUpdate>,
    /// The last fan of the focus that came, of any model.
    pub fan: RwSignal<Option<Fan>>,
}

impl Live {
    /// Nothing yet.
    pub fn new() -> Self {
        Self {
            connection: RwSignal::new(Connection::Connecting),
            priced: RwSignal::new(false),
            latency_ms: RwSignal::new(None),
            quotes: RwSignal::new(BTreeMap::new()),
            instruments: RwSignal::new(Vec::new()),
            watched: RwSignal::new(Vec::new()),
            focus: RwSignal::new(None),
            bars: RwSignal::new(BarUpdate::default()),
            fan: RwSignal::new(None),
        }
    }
}

impl Default for Live {
    fn default() -> Self {
        Self::new()
    }
}

/// Opens the connections, for as long as the page is open. To be called once, in an effect.
pub fn start(live: Live) {
    feed::start(live);
    fans::start(live);
}
