//! Which columns are the prices and the volume, of the file or of each symbol in it.

use super::{Candidates, ColumnChoice, Group, Resolver, config};
use crate::{
    Result, SourceError,
    file::names::{AMOUNT_RANK, Meaning, VOLUME_OF_RANK, meaning_of, plain},
};

impl Resolver<'_> {
    pub(super) fn groups(
        &mut self,
        wishes: ColumnChoice<'_>,
        symbol: Option<usize>,
    ) -> Result<Vec<Group>> {
        let mut symbols: Vec<String> = Vec::new();
        for column in self.columns {
            if let Some(symbol) = &column.symbol
                && !symbols.contains(symbol)
            {
                symbols.push(symbol.clone());
            }
        }
        if symbols.is_empty() {
            return Ok(vec![self.group(None, wishes, symbol)?]);
        }
        let mut groups = Vec::new();
        for symbol in &symbols {
            groups.push(self.group(Some(symbol), wishes, None)?);
        }
        Ok(groups)
    }

    /// The column that was asked for, of a symbol where the columns are.
    fn wished(&self, option: &str, name: &str, symbol: Option<&str>) -> Result<usize> {
        if symbol.is_none() {
            return self.named(option, name);
        }
        (0..self.columns.len())
            .find(|at| {
                let column = &self.columns[*at];
                column.symbol.as_deref() == symbol && plain(&column.name) == plain(name)
            })
            .ok_or_else(|| {
                config(
                    option,
                    format!("there is no column {name:?}: there are {}", self.listed()),
                )
            })
    }

    fn group(
        &mut self,
        of: Option<&str>,
        wishes: ColumnChoice<'_>,
        symbol: Option<usize>,
    ) -> Result<Group> {
        let open = self.candidates(Meaning::Open, of).best();
        let high = self.candidates(Meaning::High, of).best();
        let low = self.candidates(Meaning::Low, of).best();
        let bar = match (open, high, low) {
            (Some(open), Some(high), Some(low)) => Some([open, high, low]),
            _ => None,
        };
        let mut closes = self.candidates(Meaning::Close, of);
        let prices = self.candidates(Meaning::Price, of);
        // The price of a bar is its close; that of a trade is surer than a close.
        let (mut first, second) = if bar.is_some() {
            (closes.0.split_off(0), prices)
        } else {
            (prices.0, closes)
        };
        first.extend(second.0.iter().map(|(column, rank)| (*column, rank + 10)));
        let priced = Candidates(first);
        let wished = wishes
            .close
            .map(|name| self.wished("--close-column", name, of))
            .transpose()?;
        let is_adjusted = |at: usize| {
            matches!(
                meaning_of(&self.columns[at].name),
                Some((Meaning::Adjusted, _))
            )
        };
        let what = if bar.is_some() { "close" } else { "price" };
        let (close, adjusted) = match (wished, priced.best()) {
            (Some(adjusted), Some(close)) if bar.is_some() && is_adjusted(adjusted) => {
                (close, Some(adjusted))
            }
            (Some(close), _) => (close, None),
            (None, Some(close)) => {
                if let [a, b, ..] = priced.equals()[..] {
                    return Err(self.equal("--close-column", what, &[a, b]));
                }
                (close, None)
            }
            (None, None) => return Err(self.no_price()),
        };
        let others: Vec<usize> = priced
            .0
            .iter()
            .map(|(column, _)| *column)
            .filter(|column| *column != close)
            .collect();
        self.take(what, close, &others);
        if let Some(adjusted) = adjusted {
            self.take("adjusted close", adjusted, &[]);
        }
        if let Some([open, high, low]) = bar {
            for (what, column) in [("open", open), ("high", high), ("low", low)] {
                self.take(what, column, &[]);
            }
        }
        let volume = self.volume(of, wishes, symbol, bar.is_some())?;
        Ok(Group {
            symbol: of.map(ToOwned::to_owned),
            bar,
            close,
            adjusted,
            volume,
        })
    }

    fn no_price(&self) -> SourceError {
        let quotes = self.columns.iter().any(|c| {
            matches!(
                plain(&c.name).as_str(),
                "bid" | "ask" | "bidprice" | "askprice"
            )
        });
        let why = if quotes {
            "expected a column with a price, got quotes (bid and ask): name the one to read"
        } else {
            "expected a column with a price (close, or price)"
        };
        config(
            "--close-column",
            format!("{why}; there are {}", self.listed()),
        )
    }

    fn volume(
        &mut self,
        of: Option<&str>,
        wishes: ColumnChoice<'_>,
        symbol: Option<usize>,
        is_bars: bool,
    ) -> Result<Option<usize>> {
        let what = if is_bars { "volume" } else { "size" };
        if let Some(name) = wishes.volume {
            let column = self.wished("--volume-column", name, of)?;
            self.take(what, column, &[]);
            return Ok(Some(column));
        }
        let mut candidates = self.candidates(Meaning::Volume, of);
        let all: Vec<usize> = candidates.0.iter().map(|(column, _)| *column).collect();
        if is_bars {
            candidates.0.retain(|(_, rank)| *rank != AMOUNT_RANK);
        }
        // Of a pair BTC/USDT the volume is that in BTC; that in USDT is money that changed hands.
        let pair = symbol
            .and_then(|symbol| self.sample.cells(symbol).first().map(|cell| plain(cell)))
            .map(|pair| pair.replace(['/', ':'], ""));
        if let Some(pair) = pair.as_deref() {
            let columns = self.columns;
            candidates.0.retain_mut(|(column, rank)| {
                if *rank != VOLUME_OF_RANK {
                    return true;
                }
                let unit = plain(&columns[*column].name)["volume".len()..].to_owned();
                if pair.starts_with(&unit) {
                    *rank = 3;
                }
                !pair.ends_with(&unit) || pair.starts_with(&unit)
            });
            candidates.0.sort_by_key(|(_, rank)| *rank);
        }
        if let [a, b, ..] = candidates.equals()[..] {
            return Err(self.equal("--volume-column", what, &[a, b]));
        }
        let Some(column) = candidates.best() else {
            return Ok(None);
        };
        let others: Vec<usize> = all.into_iter().filter(|other| *other != column).collect();
        self.take(what, column, &others);
        Ok(Some(column))
    }
}
