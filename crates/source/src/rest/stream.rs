//! One stream of a provider: where it stands, and what is asked for next.
//!
//! Model: the position moves only to rows that have been shown. An answer without rows moves nothing that
//! is kept: it may be that there is nothing, and it may be that the provider does not know yet. Within a
//! round more is remembered: the pages, the windows and the way back of an answer that begins with its
//! newest row. That is forgotten when a request fails, and the round begins again.

use market::{Symbol, Timestamp};
use tokio::time::Instant;

use super::{
    duplicates::Duplicates,
    fetch::Validator,
    offset::StreamPosition,
    pace::Backoff,
    provider::{Ask, Paging, Provider},
};

/// How a position that does not get past a page is moved: by the smallest step of the provider's times
/// first, then to the next second, minute, hour and day, should it read times less finely than it writes them.
const STEPS: [i64; 5] = [0, 1_000_000, 60_000_000, 3_600_000_000, 86_400_000_000];

/// One stream: of one symbol, or of all of them.
pub struct Stream {
    pub name: String,
    pub symbol: Option<Symbol>,
    pub position: StreamPosition,
    /// A cursor that no row has come after yet.
    pub ahead: Option<String>,
    /// The token or address of the next page of the request that asked for rows since `since`.
    pub page: Option<String>,
    /// The latest row of the pages so far.
    latest: Option<Timestamp>,
    /// Where the next window begins.
    window: Option<Timestamp>,
    /// Until when is asked, on the way back from the newest row.
    back: Option<Timestamp>,
    /// Until when all windows have been asked for.
    asked_to: Option<Timestamp>,
    /// How often in a row a page has not brought the stream on.
    stuck: usize,
    pub validator: Option<Validator>,
    /// What came before and may come again.
    pub duplicates: Duplicates,
    pub backoff: Backoff,
    /// When it is asked next.
    pub due: Instant,
    /// Whether its last answer was an error.
    pub troubled: bool,
    /// Whether its last answer was that it will not be answered.
    pub refused: bool,
}

/// What a page brought.
#[derive(Default)]
pub struct Page {
    pub next: Option<String>,
    pub rows: usize,
    /// Rows that had not come before.
    pub fresh: usize,
    pub earliest: Option<Timestamp>,
    pub latest: Option<Timestamp>,
    pub newest_first: bool,
    /// Of a page with rows of several symbols, the time up to which those of every one were shown.
    pub common: Option<Timestamp>,
}

/// What follows from a page.
#[derive(Default)]
pub struct Advance {
    /// There is more to ask for at once.
    pub more: bool,
    /// What a person should know.
    pub warning: Option<String>,
}

impl Stream {
    pub fn new(
        name: String,
        symbol: Option<Symbol>,
        position: StreamPosition,
        duplicates: Duplicates,
        backoff: Backoff,
    ) -> Self {
        Self {
            name,
            symbol,
            position,
            ahead: None,
            page: None,
            latest: None,
            window: None,
            back: None,
            asked_to: None,
            stuck: 0,
            validator: None,
            duplicates,
            backoff,
            due: Instant::now(),
            troubled: false,
            refused: false,
        }
    }

    /// From when on the next request asks. `start`: where the position says nothing.
    fn since(&self, start: Timestamp) -> Timestamp {
        let position = self.position.since.unwrap_or(start);
        self.window.map_or(position, |window| window.max(position))
    }

    /// The values of the next request.
    pub fn ask<'a>(
        &'a mut self,
        provider: &Provider,
        symbols: &'a [Symbol],
        start: Timestamp,
        now: Timestamp,
    ) -> Ask<'a> {
        if self.window.is_none()
            && let (Some(window), Some(asked_to)) = (provider.window_s, self.asked_to)
        {
            // What lies before has been asked for, and nothing was there; the last window is asked
            // for again.
            let us = i64::try_from(window.saturating_mul(1_000_000)).unwrap_or(i64::MAX);
            self.window = Some(asked_to.plus_micros(-us));
        }
        let since = self.since(start);
        let until = provider.window_end(since, now);
        Ask {
            symbol: self.symbol.as_ref(),
            symbols,
            since: Some(since),
            until: Some(self.back.map_or(until, |back| back.min(until))),
            next: match provider.paging {
                Paging::Cursor(_) => self.ahead.as_deref().or(self.position.cursor.as_deref()),
                _ => self.page.as_deref(),
            },
        }
    }

    /// Forgets the pages of this round: a token may have expired.
    pub fn begin_again(&mut self) {
        self.page = None;
        self.back = None;
        self.window = None;
        self.latest = None;
    }

    /// Takes note of a page that has been handed on.
    pub fn advance(
        &mut self,
        provider: &Provider,
        page: Page,
        start: Timestamp,
        now: Timestamp,
    ) -> Advance {
        let full = page.rows >= provider.page_limit;
        self.latest = self.latest.max(page.latest);
        match &provider.paging {
            Paging::Cursor(_) => self.by_cursor(page, full),
            Paging::Token(_) | Paging::Url if page.next.is_some() => {
                if self.page == page.next {
                    // It would be asked for for ever.
                    let warning = "the provider names the page that it has just sent as the next \
                                   one: the round ends here";
                    let mut ended = self.end_of_window(provider, start, now);
                    ended.warning = Some(warning.into());
                    return ended;
                }
                self.page = page.next;
                Advance {
                    more: true,
                    warning: None,
                }
            }
            Paging::Token(_) | Paging::Url => self.end_of_window(provider, start, now),
            Paging::None if full => self.full_page(provider, &page, start, now),
            Paging::None => self.end_of_window(provider, start, now),
        }
    }

    fn by_cursor(&mut self, page: Page, full: bool) -> Advance {
        // The time goes along so that a cursor the provider has forgotten can be replaced.
        self.position.since = self.position.since.max(self.latest);
        let moves = page.next.is_some() && page.next != self.position.cursor;
        if page.rows > 0 {
            self.ahead = None;
            if page.next.is_some() {
                self.position.cursor = page.next;
            }
        } else if page.next.is_some() {
            self.ahead = page.next;
        }
        let stands = full && !moves;
        Advance {
            more: full && !stands,
            warning: stands.then(|| {
                "a full page came with the cursor that was asked for: the round ends here"
                    .to_owned()
            }),
        }
    }

    /// A full page of a provider that has no other pages: there may be more than it shows.
    fn full_page(
        &mut self,
        provider: &Provider,
        page: &Page,
        start: Timestamp,
        now: Timestamp,
    ) -> Advance {
        let since = self.since(start);
        let more = |warning| Advance {
            more: true,
            warning,
        };
        let (Some(earliest), Some(latest)) = (page.earliest, page.latest) else {
            // None of its rows can be used, so nothing says where the next page begins.
            let mut ended = self.end_of_window(provider, start, now);
            ended.more = false;
            return ended;
        };
        if page.newest_first && earliest > since {
            let back = self.back.is_none_or(|back| earliest < back);
            if back && provider.asks_until() {
                self.back = Some(earliest);
                return more(None);
            }
            let mut ended = self.end_of_window(provider, start, now);
            ended.warning = Some(format!(
                "a full page begins with the newest row and ends at {earliest}: what lies between \
                 {since} and there cannot be asked for"
            ));
            return ended;
        }
        if self.back.is_some() {
            return self.end_of_window(provider, start, now);
        }
        let shown = page.common.unwrap_or(latest);
        let same = provider.time_format.write(shown) == provider.time_format.write(since);
        if !same && (shown > since && (page.fresh > 0 || self.stuck == 0)) {
            self.stuck = 0;
            self.window = None;
            self.position.since = Some(shown);
            return more(None);
        }
        // The next request would bring the same page again.
        let step = provider
            .time_format
            .step()
            .max(STEPS[self.stuck.min(STEPS.len() - 1)]);
        self.stuck += 1;
        let at = since.max(shown);
        let past = Timestamp::from_micros(at.as_micros().div_euclid(step) * step).plus_micros(step);
        self.window = None;
        self.position.since = Some(past);
        more(Some(format!(
            "a full page of {} rows brings nothing on beyond {at}: what else there is up to {past} \
             cannot be asked for, and is passed over",
            page.rows
        )))
    }

    /// All of what was asked for has been shown.
    fn end_of_window(&mut self, provider: &Provider, start: Timestamp, now: Timestamp) -> Advance {
        let until = provider.window_end(self.since(start), now);
        self.page = None;
        self.back = None;
        self.stuck = 0;
        if self.latest > self.position.since {
            self.position.since = self.latest;
            self.asked_to = None;
        }
        self.latest = None;
        let more = until < now;
        if more {
            self.window = Some(until);
        } else {
            self.window = None;
            if provider.window_s.is_some() {
                self.asked_to = Some(now);
            }
        }
        Advance {
            more,
            warning: None,
        }
    }
}
