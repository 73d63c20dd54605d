//! The orders of a seasonal ARIMA model and the way they are written.
//!
//! Model: `arima(p,d,q)` or `arima(p,d,q)(P,D,Q)[m]`, then `+mean` (only without differencing) or
//! `+drift` (with at most one difference in all). Names of fields follow Box & Jenkins: lower case
//! for the plain polynomials, `seasonal_` for the capital letters.
//! Does not: hold coefficients.

use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};

/// The largest p, q, P or Q.
pub const MAX_ORDER: usize = 24;
/// The largest d or D.
pub const MAX_DIFFERENCES: usize = 3;
/// The largest season, in steps.
pub const MAX_SEASON_STEPS: usize = 400;

/// The constant term of an ARIMA model.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
pub enum Constant {
    /// None.
    #[default]
    None,
    /// A mean; needs d = D = 0.
    Mean,
    /// A linear trend (after one difference: a constant); needs d + D of at most 1.
    Drift,
}

/// The orders of a seasonal ARIMA model.
///
/// ```
/// use forecast::arima::ArimaOrder;
/// let airline = ArimaOrder::new(0, 1, 1).seasonal(0, 1, 1, 12);
/// assert_eq!(airline.to_string(), "arima(0,1,1)(0,1,1)[12]");
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct ArimaOrder {
    /// Autoregressive order p.
    pub p: usize,
    /// Number of differences d.
    pub d: usize,
    /// Moving-average order q.
    pub q: usize,
    /// Seasonal autoregressive order P.
    pub seasonal_p: usize,
    /// Number of seasonal differences D.
    pub seasonal_d: usize,
    /// Seasonal moving-average order Q.
    pub seasonal_q: usize,
    /// Steps in a season m; 1 when there is none.
    pub season: usize,
    /// Mean, drift or neither.
    pub constant: Constant,
}

impl ArimaOrder {
    /// A model without season or constant.
    #[must_use]
    pub const fn new(p: usize, d: usize, q: usize) -> Self {
        Self {
            p,
            d,
            q,
            seasonal_p: 0,
            seasonal_d: 0,
            seasonal_q: 0,
            season: 1,
            constant: Constant::None,
        }
    }

    /// The same with seasonal orders (P, D, Q) and `season` steps in a season.
    #[must_use]
    pub const fn seasonal(self, p: usize, d: usize, q: usize, season: usize) -> Self {
        Self {
            seasonal_p: p,
            seasonal_d: d,
            seasonal_q: q,
            season,
            ..self
        }
    }

    /// The same with another constant term.
    #[must_use]
    pub const fn with(self, constant: Constant) -> Self {
        Self { constant, ..self }
    }

    /// Number of ARMA coefficients: p + q + P + Q.
    #[must_use]
    pub const fn coefficients(&self) -> usize {
        self.p + self.q + self.seasonal_p + self.seasonal_q
    }

    /// Observations lost to differencing: d + D·m.
    #[must_use]
    pub const fn lost(&self) -> usize {
        self.d + self.seasonal_d * self.season
    }

    /// Checks the orders against the limits and the constant against the differences.
    ///
    /// # Errors
    /// [`Error::Argument`] naming the first fault.
    pub fn validate(&self) -> Result<()> {
        let orders = [self.p, self.q, self.seasonal_p, self.seasonal_q];
        if let Some(order) = orders.into_iter().find(|&order| order > MAX_ORDER) {
            return Err(Error::argument(
                "order",
                format!("expected at most {MAX_ORDER}, got {order}"),
            ));
        }
        if self.d > MAX_DIFFERENCES || self.seasonal_d > MAX_DIFFERENCES {
            let got = self.d.max(self.seasonal_d);
            let reason = format!("expected at most {MAX_DIFFERENCES} differences, got {got}");
            return Err(Error::argument("order", reason));
        }
        if self.season == 0 || self.season > MAX_SEASON_STEPS {
            let reason = format!(
                "expected 1 to {MAX_SEASON_STEPS} steps, got {}",
                self.season
            );
            return Err(Error::argument("season", reason));
        }
        let seasonal = self.seasonal_p + self.seasonal_d + self.seasonal_q > 0;
        if seasonal && self.season < 2 {
            return Err(Error::argument(
                "season",
                "seasonal orders need a season of at least 2 steps",
            ));
        }
        match self.constant {
            Constant::Mean if self.d + self.seasonal_d > 0 => Err(Error::argument(
                "constant",
                "a mean needs a model without differences",
            )),
            Constant::Drift if self.d + self.seasonal_d > 1 => Err(Error::argument(
                "constant",
                "a drift needs at most one difference",
            )),
            _ => Ok(()),
        }
    }
}

impl std::fmt::Display for ArimaOrder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "arima({},{},{})", self.p, self.d, self.q)?;
        if self.seasonal_p + self.seasonal_d + self.seasonal_q > 0 {
            let (p, d, q) = (self.seasonal_p, self.seasonal_d, self.seasonal_q);
            write!(f, "({p},{d},{q})[{}]", self.season)?;
        }
        match self.constant {
            Constant::None => Ok(()),
            Constant::Mean => f.write_str("+mean"),
            Constant::Drift => f.write_str("+drift"),
        }
    }
}

const EXPECTED: &str =
    "arima(p,d,q) or arima(p,d,q)(P,D,Q)[m], with +mean or +drift behind it where it fits";

impl std::str::FromStr for ArimaOrder {
    type Err = Error;

    fn from_str(input: &str) -> Result<Self> {
        let fault = || Error::parse(input, EXPECTED);
        let rest = input.strip_prefix("arima").ok_or_else(fault)?;
        let ([p, d, q], mut rest) = triple(rest).ok_or_else(fault)?;
        let mut order = Self::new(p, d, q);
        if rest.starts_with('(') {
            let ([p, d, q], after) = triple(rest).ok_or_else(fault)?;
            let (season, after) = after
                .strip_prefix('[')
                .and_then(|after| after.split_once(']'))
                .ok_or_else(fault)?;
            order = order.seasonal(p, d, q, number(season).ok_or_else(fault)?);
            rest = after;
        }
        order.constant = match rest {
            "" => Constant::None,
            "+mean" => Constant::Mean,
            "+drift" => Constant::Drift,
            _ => return Err(fault()),
        };
        order.validate()?;
        if order.seasonal_p + order.seasonal_d + order.seasonal_q == 0 {
            // A season that nothing uses is not printed either: one model, one value.
            order.season = 1;
        }
        Ok(order)
    }
}

fn number(text: &str) -> Option<usize> {
    let digits = !text.is_empty() && text.len() <= 4 && text.bytes().all(|b| b.is_ascii_digit());
    if digits { text.parse().ok() } else { None }
}

/// Reads `(a,b,c)` and gives the rest.
fn triple(text: &str) -> Option<([usize; 3], &str)> {
    let (inside, rest) = text.strip_prefix('(')?.split_once(')')?;
    let mut parts = inside.split(',').map(number);
    let found = [parts.next()??, parts.next()??, parts.next()??];
    if parts.next().is_some() {
        None
    } else {
        Some((found, rest))
    }
}
