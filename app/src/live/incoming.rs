//! What comes over the WebSockets, read by a struct instead of by the enums of [`protocol`].
//!
//! Serde reads an enum with a tag inside by way of a copy of the whole message, and the code for it
//! is a tenth of the page's own. A test holds the two to each other.

use market::{Bar, Symbol, Tick};
use serde::Deserialize;

/// Any message of `/live`: the fields of its type are set, the others empty.
#[derive(Default, Deserialize)]
#[serde(default)]
pub(super) struct Incoming {
    /// `hello`, `snapshot`, `ticks`, …
    pub r#type: String,
    pub heartbeat_ms: u64,
    pub symbol: Option<Symbol>,
    pub seq: u64,
    pub last: Option<Tick>,
    pub bars: Vec<Bar>,
    pub reset: bool,
    pub ticks: Vec<Tick>,
    pub age_us: Option<u64>,
    pub bar: Option<Bar>,
    pub closed: bool,
    pub tick: Option<Tick>,
    pub skipped: u64,
    pub id: u64,
}

/// The type of any message.
#[derive(Deserialize)]
pub(super) struct Head {
    pub r#type: String,
}

#[cfg(test)]
mod tests {
    use market::{Fan, Interval, Timestamp};
    use protocol::{ForecastMessage, LiveMessage};

    use super::*;

    fn tick() -> Tick {
        Tick {
            symbol: "A".parse().unwrap(),
            ts: Timestamp::from_secs(7),
            seq: 3,
            price: 1.5,
            size: 2.0,
        }
    }

    fn read(message: &LiveMessage) -> Incoming {
        serde_json::from_slice(&serde_json::to_vec(message).unwrap()).unwrap()
    }

    #[test]
    fn every_message_that_the_feed_uses_is_read_whole() {
        let symbol: Symbol = "A".parse().unwrap();
        let bar = Bar::from_tick(&tick(), Interval::M1);

        let hello = LiveMessage::Hello {
            version: "1".to_owned(),
            heartbeat_ms: 250,
            simulated: true,
        };
        assert_eq!(
            (read(&hello).r#type.as_str(), read(&hello).heartbeat_ms),
            ("hello", 250)
        );

        let snapshot = read(&LiveMessage::Snapshot {
            symbol: symbol.clone(),
            seq: 9,
            last: Some(tick()),
            bars: vec![bar.clone()],
            reset: true,
        });
        assert_eq!(snapshot.r#type, "snapshot");
        assert_eq!(
            (snapshot.symbol, snapshot.seq, snapshot.reset),
            (Some(symbol.clone()), 9, true)
        );
        assert_eq!(
            (snapshot.last, snapshot.bars),
            (Some(tick()), vec![bar.clone()])
        );

        let ticks = read(&LiveMessage::Ticks {
            symbol: symbol.clone(),
            seq: 10,
            ticks: vec![tick()],
            age_us: Some(4),
        });
        assert_eq!(ticks.r#type, "ticks");
        assert_eq!(
            (ticks.symbol, ticks.seq, ticks.age_us),
            (Some(symbol.clone()), 10, Some(4))
        );
        assert_eq!(ticks.ticks, [tick()]);

        let message = read(&LiveMessage::Bar {
            seq: 11,
            bar: bar.clone(),
            closed: true,
        });
        assert_eq!(message.r#type, "bar");
        assert_eq!(
            (message.seq, message.bar, message.closed),
            (11, Some(bar), true)
        );

        let latest = read(&LiveMessage::Latest {
            symbol,
            seq: 12,
            tick: tick(),
            skipped: 5,
        });
        assert_eq!(latest.r#type, "latest");
        assert_eq!(
            (latest.seq, latest.tick, latest.skipped),
            (12, Some(tick()), 5)
        );

        let pong = read(&LiveMessage::Pong { id: 6 });
        assert_eq!((pong.r#type.as_str(), pong.id), ("pong", 6));
    }

    #[test]
    fn a_fan_is_read_beside_its_type() {
        let fan = Fan {
            symbol: "A".parse().unwrap(),
            interval: Interval::M1,
            model: "naive".to_owned(),
            origin: Timestamp::from_secs(60),
            origin_close: 1.0,
            made_at: Timestamp::from_secs(121),
            targets: vec![Timestamp::from_secs(120)],
            mean: vec![1.0],
            bands: Vec::new(),
        };
        let bytes = serde_json::to_vec(&ForecastMessage::Fan(fan.clone())).unwrap();
        assert_eq!(
            serde_json::from_slice::<Head>(&bytes).unwrap().r#type,
            "fan"
        );
        assert_eq!(serde_json::from_slice::<Fan>(&bytes).unwrap(), fan);
    }
}
