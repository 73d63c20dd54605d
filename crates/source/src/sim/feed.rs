//! The exchange's trades as it hands them out: in order of delivery, with faults in the rows, as
//! JSON made once per second of trading.
//!
//! Model: the feed is a sequence of *places*; a cursor is a place: `second << 20 | index`. A second's
//! block holds its own trades, less those that come late, plus late ones of the five seconds before,
//! with duplicates, malformed copies and swaps; all of it follows from the seed, so a cursor of any age
//! can be served, also by another process with the same options. A row is handed out from the moment
//! that the exchange's clock has passed its place in the second.
//!
//! The latest blocks are kept, bounded in bytes; older ones are made again when asked for.

use std::{collections::VecDeque, sync::Arc};

use market::Timestamp;

use super::{
    exchange::{Market, MarketOptions, SECOND_SHIFT, Trade},
    faults::FaultOptions,
    listing::LISTINGS,
    noise::{Noise, Purpose},
    path::FIRST_SECOND,
};
use crate::Result;

/// Late rows come at most so many seconds late.
const MAX_LATE_S: i64 = 5;
/// Rows of one page at most.
pub const MAX_PAGE: usize = 50_000;

/// Which rows to hand out.
#[derive(Clone, Debug)]
pub struct PageQuery {
    /// Rows at this place and after.
    pub cursor: u64,
    /// At most so many; 1 to [`MAX_PAGE`].
    pub limit: usize,
    /// Listings wanted, one bit each.
    pub listings: u16,
}

/// A page: its rows as the inside of a JSON array, and the place to go on from.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Page {
    /// `{"symbol":…},{…}`.
    pub rows: Vec<u8>,
    /// How many rows.
    pub count: usize,
    /// The place after the last row looked at.
    pub next: u64,
}

struct Block {
    json: Vec<u8>,
    /// Where each row ends in `json`, and its listing.
    rows: Vec<(u32, u8)>,
}

impl Block {
    fn bytes(&self) -> usize {
        self.json.len() + self.rows.len() * size_of::<(u32, u8)>()
    }
}

/// Hands out the trades of a [`Market`].
///
/// ```
/// use market::Timestamp;
/// use source::sim::{FaultOptions, Feed, MarketOptions, PageQuery};
///
/// let mut feed = Feed::new(MarketOptions::default(), FaultOptions::default(), 1 << 20)?;
/// let cursor = Feed::cursor_at(Timestamp::from_secs(1_764_000_000));
/// let query = PageQuery { cursor, limit: 10, listings: u16::MAX };
/// let page = feed.page(&query, Timestamp::from_secs(1_764_000_060));
/// assert_eq!(page.count, 10);
/// assert!(page.next > cursor);
/// # Ok::<(), source::SourceError>(())
/// ```
pub struct Feed {
    market: Market,
    faults: FaultOptions,
    blocks: VecDeque<(i64, Arc<Block>)>,
    kept: usize,
    max_kept_bytes: usize,
}

impl Feed {
    /// A feed that keeps at most `max_kept_bytes` of made blocks (and always the latest).
    ///
    /// # Errors
    /// An option out of its range.
    pub fn new(
        options: MarketOptions,
        faults: FaultOptions,
        max_kept_bytes: usize,
    ) -> Result<Self> {
        if let Some(fault) = faults.faults().into_iter().next() {
            return Err(fault);
        }
        Ok(Self {
            market: Market::new(options)?,
            faults,
            blocks: VecDeque::new(),
            kept: 0,
            max_kept_bytes,
        })
    }

    /// The market behind it.
    pub const fn market(&mut self) -> &mut Market {
        &mut self.market
    }

    /// The place of the first row delivered at or after `ts`.
    pub fn cursor_at(ts: Timestamp) -> u64 {
        let second = ts.as_secs().max(FIRST_SECOND);
        second.unsigned_abs() << SECOND_SHIFT
    }

    /// Rows that are out at `now`.
    pub fn page(&mut self, query: &PageQuery, now: Timestamp) -> Page {
        let limit = query.limit.clamp(1, MAX_PAGE);
        let all = query.listings.count_ones() as usize >= LISTINGS.len();
        let mut page = Page {
            next: query.cursor.max(Self::cursor_at(Timestamp::MIN)),
            ..Page::default()
        };
        loop {
            let second = (page.next >> SECOND_SHIFT) as i64;
            let passed_us = now.micros_since(Timestamp::from_secs(second));
            if passed_us <= 0 {
                break;
            }
            let block = self.block(second);
            let total = block.rows.len();
            let out = if passed_us >= 1_000_000 {
                total
            } else {
                (total as u128 * passed_us.unsigned_abs() as u128 / 1_000_000) as usize
            };
            let mut at = (page.next & ((1 << SECOND_SHIFT) - 1)) as usize;
            let begin = |row: usize| {
                if row == 0 {
                    0
                } else {
                    block.rows[row - 1].0 as usize
                }
            };
            if all && at < out {
                let end = out.min(at + limit - page.count);
                // Rows stand in the block as they do in a page: with a comma after each.
                page.rows
                    .extend_from_slice(&block.json[begin(at)..begin(end)]);
                page.count += end - at;
                at = end;
            } else {
                while at < out && page.count < limit {
                    if query.listings & (1 << block.rows[at].1) != 0 {
                        page.rows
                            .extend_from_slice(&block.json[begin(at)..begin(at + 1)]);
                        page.count += 1;
                    }
                    at += 1;
                }
            }
            let finished = passed_us >= 1_000_000 && at >= total;
            page.next = if finished {
                (second + 1).unsigned_abs() << SECOND_SHIFT
            } else {
                (second.unsigned_abs() << SECOND_SHIFT) + at as u64
            };
            if !finished || page.count >= limit {
                break;
            }
        }
        if page.rows.last() == Some(&b',') {
            page.rows.pop();
        }
        page
    }

    fn block(&mut self, second: i64) -> Arc<Block> {
        if let Some((_, block)) = self.blocks.iter().find(|(s, _)| *s == second) {
            return block.clone();
        }
        let block = Arc::new(self.make_block(second));
        self.kept += block.bytes();
        self.blocks.push_back((second, block.clone()));
        while self.kept > self.max_kept_bytes && self.blocks.len() > 1 {
            if let Some((_, old)) = self.blocks.pop_front() {
                self.kept -= old.bytes();
            }
        }
        block
    }

    fn make_block(&mut self, second: i64) -> Block {
        let trades = if self.faults.rows_are_sound() {
            self.market.second(second)
        } else {
            self.delivered(second)
        };
        let mut json = Vec::with_capacity(trades.len() * 88);
        let mut rows = Vec::with_capacity(trades.len());
        let mut noise = Noise::new(
            self.market.options().seed,
            Purpose::RowFaults,
            u64::MAX,
            second,
        );
        for trade in &trades {
            write_row(&mut json, trade);
            rows.push((json.len() as u32, trade.listing));
            if self.faults.malformed_share > 0.0 && noise.happens(self.faults.malformed_share) {
                write_malformed(&mut json, trade, noise.bits());
                rows.push((json.len() as u32, trade.listing));
            }
        }
        Block { json, rows }
    }

    /// The trades delivered in a second, late and doubled ones too.
    fn delivered(&mut self, second: i64) -> Vec<Trade> {
        let seed = self.market.options().seed;
        let reach = if self.faults.late_share > 0.0 {
            MAX_LATE_S
        } else {
            0
        };
        let mut rows = Vec::new();
        for from in second - reach..=second {
            let trades = self.market.second(from);
            // Drawn for the second of the trade, so that each second tells the same story of it.
            let mut noise = Noise::new(seed, Purpose::RowFaults, 0, from);
            for trade in trades {
                let late = noise.happens(self.faults.late_share);
                let delay = 1 + (noise.bits() % MAX_LATE_S.unsigned_abs()) as i64;
                let arrives = if late { from + delay } else { from };
                let twice = noise.happens(self.faults.duplicate_share);
                let swapped = noise.happens(self.faults.out_of_order_share);
                if arrives != second {
                    continue;
                }
                rows.push(trade);
                if twice {
                    rows.push(trade);
                }
                let n = rows.len();
                if swapped && n >= 2 {
                    rows.swap(n - 1, n - 2);
                }
            }
        }
        rows.truncate((1 << SECOND_SHIFT) - 1);
        rows
    }
}

fn write_number(out: &mut Vec<u8>, mut n: u64) {
    let mut digits = [0u8; 20];
    let mut at = digits.len();
    loop {
        at -= 1;
        digits[at] = b'0' + (n % 10) as u8;
        n /= 10;
        if n == 0 {
            break;
        }
    }
    out.extend_from_slice(&digits[at..]);
}

fn write_price(out: &mut Vec<u8>, cents: u32) {
    write_number(out, u64::from(cents / 100));
    let rest = (cents % 100) as u8;
    out.extend_from_slice(&[b'.', b'0' + rest / 10, b'0' + rest % 10]);
}

/// One row and the comma after it. By hand: at 100,000 rows a second a general serialiser would
/// take a core.
fn write_row(out: &mut Vec<u8>, trade: &Trade) {
    out.extend_from_slice(br#"{"symbol":""#);
    out.extend_from_slice(LISTINGS[usize::from(trade.listing)].symbol.as_bytes());
    out.extend_from_slice(br#"","ts_us":"#);
    write_number(out, trade.ts.as_micros().unsigned_abs());
    out.extend_from_slice(br#","seq":"#);
    write_number(out, trade.seq);
    out.extend_from_slice(br#","price":"#);
    write_price(out, trade.cents);
    out.extend_from_slice(br#","size":"#);
    write_number(out, u64::from(trade.size));
    out.extend_from_slice(b"},");
}

/// A row as providers spoil them: valid JSON in a valid page, but no trade.
fn write_malformed(out: &mut Vec<u8>, trade: &Trade, choice: u64) {
    let symbol = LISTINGS[usize::from(trade.listing)].symbol;
    let ts = trade.ts.as_micros();
    let seq = trade.seq;
    let size = trade.size;
    let row = match choice % 6 {
        0 => format!(
            r#"{{"symbol":"{symbol}","ts_us":{ts},"seq":{seq},"price":null,"size":{size}}}"#
        ),
        1 => format!(
            r#"{{"symbol":"{symbol}","ts_us":{ts},"seq":{seq},"price":-1.5,"size":{size}}}"#
        ),
        2 => format!(
            r#"{{"symbol":"{symbol}","ts_us":"yesterday","seq":{seq},"price":1.5,"size":{size}}}"#
        ),
        3 => format!(r#"{{"ts_us":{ts},"seq":{seq},"price":1.5,"size":{size}}}"#),
        4 => format!(
            r#"{{"symbol":"{symbol}","ts_us":{ts},"seq":{seq},"price":"n/a","size":{size}}}"#
        ),
        _ => format!(
            r#"{{"symbol":"not a symbol","ts_us":{ts},"seq":{seq},"price":1.5,"size":{size}}}"#
        ),
    };
    out.extend_from_slice(row.as_bytes());
    out.push(b',');
}
