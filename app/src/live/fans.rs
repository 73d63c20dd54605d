//! The WebSocket `/forecast`: new fans of the chart's symbol and interval as they are made.

use std::{cell::RefCell, rc::Rc};

use leptos::prelude::*;
use protocol::ForecastRequest;

use super::{
    Focus, Live,
    incoming::Head,
    socket::{Event, Socket},
};

/// Opens the connection and keeps it subscribed to the chart.
pub(super) fn start(live: Live) {
    let subscribed = Rc::new(RefCell::new(None::<Focus>));
    let handler = Rc::clone(&subscribed);
    let socket = Socket::open("/forecast", move |socket, event| match event {
        Event::State(_) => {}
        Event::Open => {
            *handler.borrow_mut() = None;
            subscribe(socket, &handler, live.focus.get_untracked());
        }
        Event::Text(text) => {
            crate::worker::heard(text);
            let is_fan =
                serde_json::from_slice(text.as_bytes()).is_ok_and(|h: Head| h.r#type == "fan");
            if is_fan && let Ok(fan) = serde_json::from_slice(text.as_bytes()) {
                live.fan.set(Some(fan));
            }
        }
    });
    Effect::new(move |_| subscribe(&socket, &subscribed, live.focus.get()));
}

fn subscribe(socket: &Socket, subscribed: &RefCell<Option<Focus>>, focus: Option<Focus>) {
    let before = subscribed.borrow().clone();
    if before == focus {
        return;
    }
    if let Some(Focus { symbol, .. }) = before {
        socket.send(&ForecastRequest::Unsubscribe {
            symbols: vec![symbol],
        });
    }
    let sent = focus.as_ref().is_none_or(|focus| {
        socket.send(&ForecastRequest::Subscribe {
            symbols: vec![focus.symbol.clone()],
            intervals: vec![focus.interval],
        })
    });
    if sent {
        *subscribed.borrow_mut() = focus;
    }
}
