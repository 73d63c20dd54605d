//! What a backtest takes where its address leaves something open, and whether what it asks for can be
//! tested.
//!
//! Model: the choices are made so that they run on what is there: of the first symbol's intervals the
//! longest with room for [`ORIGINS`] origins behind [`FITTED`] closes, else the one with the most closes,
//! and then as many origins as fit. What is asked for is left as it is, and said not to fit.

use forecast::backtest::{Backtest, Window};
use market::{Interval, Symbol};

use super::{
    ApiError, InstrumentSummary,
    backend::Backend,
    backtest_query::{BacktestQuery, number},
    watchlist,
};

/// The models chosen where the address names none.
const MODELS: [&str; 2] = ["ets", "theta"];
/// Steps forecast, where there is room.
const HORIZON: usize = 5;
/// Origins, where there is room: enough to say whether intervals hold.
const ORIGINS: usize = 40;
/// Closes that the first fit sees, where there is room.
const FITTED: usize = 100;
/// Symbols whose closes are counted beforehand; the run looks at all.
const COUNTED: usize = 10;

/// The longest first: the fewer bars a span of time has, the sooner it is tested.
const LONGEST_FIRST: [Interval; 6] = [
    Interval::D1,
    Interval::H1,
    Interval::M15,
    Interval::M5,
    Interval::M1,
    Interval::S1,
];

/// A query without anything open.
pub struct Resolved {
    /// The choices.
    pub query: BacktestQuery,
    /// What is known of the symbols chosen.
    pub chosen: Vec<InstrumentSummary>,
    /// How many closes there are of the first of them.
    counts: Vec<(Symbol, usize)>,
}

/// Chooses what the query leaves open.
///
/// # Errors
/// The store's.
pub async fn resolve(
    backend: &dyn Backend,
    mut query: BacktestQuery,
) -> Result<Resolved, ApiError> {
    if query.symbols.is_empty() {
        let first = first_symbol(backend).await?;
        query.symbols.extend(first.map(|symbol| symbol.to_string()));
    }
    if query.models.is_empty() {
        query.models = MODELS.map(str::to_owned).to_vec();
    }
    let mut symbols: Vec<Symbol> = Vec::new();
    for symbol in query.symbols.iter().filter_map(|name| name.parse().ok()) {
        if !symbols.contains(&symbol) {
            symbols.push(symbol);
        }
    }
    let chosen = backend.instruments(symbols).await?;
    if query.interval.is_none() {
        query.interval = match chosen.first() {
            Some(first) => longest_with_room(backend, first).await?,
            None => None,
        };
    }
    let interval = query.interval.unwrap_or(Interval::D1);
    let counted = chosen.iter().take(COUNTED).map(|instrument| {
        let symbol = instrument.symbol.clone();
        async move {
            let closes = backend.closes(symbol.clone(), interval).await?;
            Ok::<_, ApiError>((symbol, closes))
        }
    });
    let counts = futures::future::try_join_all(counted).await?;
    let fewest = counts.iter().map(|(_, n)| *n).min().unwrap_or(0);
    fill(&mut query, fewest);
    Ok(Resolved {
        query,
        chosen,
        counts,
    })
}

/// The first symbol of history that is long enough, else the one of the first page.
async fn first_symbol(backend: &dyn Backend) -> Result<Option<Symbol>, ApiError> {
    let (rows, _) = backend.symbols("", "", watchlist::LISTED).await?;
    let history = rows.iter().filter(|row| row.bars_only).cloned();
    let history: Vec<InstrumentSummary> = history.collect();
    for rows in history.chunks(watchlist::LOOKED_AT_ONCE) {
        let looks = watchlist::first_intervals(backend, rows, watchlist::ENOUGH_BARS).await?;
        let mut enough = rows.iter().zip(looks).filter(|(_, look)| look.enough);
        if let Some((row, _)) = enough.next() {
            return Ok(Some(row.symbol.clone()));
        }
    }
    watchlist::home(backend, &rows).await
}

async fn longest_with_room(
    backend: &dyn Backend,
    instrument: &InstrumentSummary,
) -> Result<Option<Interval>, ApiError> {
    let enough = FITTED + HORIZON * ORIGINS;
    let mut most: Option<(usize, Interval)> = None;
    for interval in LONGEST_FIRST {
        if !instrument.intervals.contains(&interval) {
            continue;
        }
        let closes = backend.closes(instrument.symbol.clone(), interval).await?;
        if closes >= enough {
            return Ok(Some(interval));
        }
        if most.is_none_or(|(before, _)| closes > before) {
            most = Some((closes, interval));
        }
    }
    Ok(most.map(|(_, interval)| interval))
}

/// Fills in the horizon and the origins that fit `closes`.
fn fill(query: &mut BacktestQuery, closes: usize) {
    if query.horizon.is_empty() {
        query.horizon = (closes / 8).clamp(1, HORIZON).to_string();
    }
    if query.origins.is_empty() {
        let horizon = query.horizon.parse().unwrap_or(HORIZON).max(1);
        let step: usize = query.step.parse().unwrap_or(horizon).max(1);
        let window = query.window.parse().ok();
        let fitted: usize = window.unwrap_or_else(|| (closes / 2).clamp(4, FITTED));
        let room = closes.saturating_sub(fitted.saturating_add(horizon));
        query.origins = (room / step + 1).clamp(1, ORIGINS).to_string();
    }
}

impl Resolved {
    /// What is needed and what is there, in words, and whether that is enough; nothing without a symbol
    /// or while a number cannot be read, which the run says.
    pub fn check(&self) -> Option<(String, bool)> {
        let query = &self.query;
        let horizon = number("horizon", &query.horizon).ok()?;
        let step = match query.step.as_str() {
            "" => horizon,
            text => number("step", text).ok()?,
        };
        let layout = Backtest {
            horizon,
            origins: number("origins", &query.origins).ok()?,
            step,
            window: match query.window.as_str() {
                "" => Window::Expanding,
                text => Window::Sliding(number("window", text).ok()?),
            },
            ..Backtest::default()
        };
        let interval = query.interval.unwrap_or(Interval::D1);
        let needed = layout.needs(2);
        let mut text = format!(
            "{} origins, {step} bars apart, with a horizon of {horizon} need {needed} closes of {interval}. ",
            layout.origins
        );
        let there: Vec<String> = self
            .counts
            .iter()
            .map(|(symbol, closes)| format!("{closes} of {symbol}"))
            .collect();
        text += &format!("There are {}", there.join(", "));
        text.push_str(if self.chosen.len() > self.counts.len() {
            ", and more symbols."
        } else {
            "."
        });
        let fewest = self.counts.iter().map(|(_, closes)| *closes).min()?;
        if fewest >= needed {
            if layout.window == Window::Expanding {
                text += &format!(" The first fit sees {} of them.", fewest - needed + 2);
            }
            return Some((text, true));
        }
        let too_few = self.counts.iter().filter(|(_, closes)| *closes < needed);
        let too_few: Vec<&str> = too_few.map(|(symbol, _)| symbol.as_str()).collect();
        if too_few.len() < self.counts.len() {
            let names = too_few.join(", ");
            text += &format!(" Of {names} that is too few: the others are tested.");
            return Some((text, false));
        }
        let one = Backtest {
            origins: 1,
            ..layout
        };
        text += &match fewest.checked_sub(one.needs(2)) {
            Some(room) => format!(" That is too few: {} origins fit.", room / step.max(1) + 1),
            None => " That is too few: a shorter horizon or shorter bars may fit.".to_owned(),
        };
        Some((text, false))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn filled(search: &str, closes: usize) -> Resolved {
        let mut query = BacktestQuery::read(search);
        query.interval.get_or_insert(Interval::D1);
        fill(&mut query, closes);
        Resolved {
            query,
            chosen: Vec::new(),
            counts: vec![("A".parse().unwrap(), closes)],
        }
    }

    #[test]
    fn what_is_left_open_fits_whatever_there_is() {
        for closes in [6, 7, 12, 59, 102, 120, 360, 5_000] {
            for search in ["", "horizon=1", "step=1", "horizon=2&step=7"] {
                let resolved = filled(search, closes);
                let (text, fits) = resolved.check().unwrap();
                assert!(fits, "{closes} with {search}: {text}");
            }
        }
        let query = filled("", 360).query;
        assert_eq!(
            (query.horizon.as_str(), query.origins.as_str()),
            ("5", "40")
        );
        let query = filled("", 59).query;
        assert_eq!((query.horizon.as_str(), query.origins.as_str()), ("5", "6"));
    }

    #[test]
    fn what_does_not_fit_is_said_with_what_would() {
        let (text, fits) = filled("horizon=5&origins=20", 59).check().unwrap();
        assert!(!fits);
        assert_eq!(
            text,
            "20 origins, 5 bars apart, with a horizon of 5 need 102 closes of 1d. There are 59 of A. \
             That is too few: 11 origins fit."
        );
        assert!(filled("horizon=5&origins=11", 59).check().unwrap().1);
        let (text, _) = filled("horizon=90&origins=1", 59).check().unwrap();
        assert!(
            text.ends_with("a shorter horizon or shorter bars may fit."),
            "{text}"
        );
        assert_eq!(filled("origins=many", 59).check(), None);
        let mut two = filled("horizon=5&origins=20", 300);
        two.counts.push(("NEW".parse().unwrap(), 3));
        let (text, fits) = two.check().unwrap();
        assert!(
            !fits && text.ends_with("Of NEW that is too few: the others are tested."),
            "{text}"
        );
    }
}
