//! ARIMA and seasonal ARIMA by exact Gaussian maximum likelihood.
//!
//! Model: φ(B)Φ(Bᵐ)(1 − B)^d(1 − Bᵐ)^D (y − regression) = θ(B)Θ(Bᵐ)ε with signs as in R
//! (θ(B) = 1 + θ₁B + …). The likelihood is exact, missing values included, through the state-space
//! form; the values used up by differencing are given. The definition is that of R's `arima`: see
//! [`innovations`] for the one place where that matters (observations whose prediction variance
//! exceeds 10⁴ innovation variances count as diffuse).
//!
//! | file | what |
//! | --- | --- |
//! | order | orders, and how they are written |
//! | polynomial | products, differences, stationarity |
//! | stationary | autocovariances and start of the state |
//! | innovations | the fast exact filter without missing values |
//! | kalman | the full filter: missing values, forecasts, updates |
//! | prior | what R's prior on the values before the series does |
//! | scale | how large a series is |
//! | problem | the concentrated objective |
//! | least_squares, estimate | the search |
//! | r_optim, roots | the search as R does it |
//! | fitted | the public model |
//! | unit_root, auto, score | how often to difference, and which orders |
//!
//! References: Gardner, Harvey & Phillips (1980), AS 154, Applied Statistics 29(3); Jones (1980);
//! Harvey & Pierse (1984); Hyndman & Khandakar (2008), J. Stat. Software 27(3). Golden numbers:
//! R 4.2.2 with forecast 8.20.
//! Does not: handle conditional heteroskedasticity.

mod auto;
mod estimate;
mod fitted;
pub(crate) mod innovations;
mod kalman;
mod order;
mod polynomial;
mod prior;
mod problem;
mod r_optim;
mod roots;
mod scale;
mod score;
mod stationary;
mod unit_root;

pub use auto::AutoArima;
pub(crate) use fitted::criteria;
pub use fitted::{Arima, FittedArima, Method};
pub use order::{ArimaOrder, Constant, MAX_DIFFERENCES, MAX_ORDER, MAX_SEASON_STEPS};
pub(crate) use problem::HEAVY;
pub use unit_root::{differences, kpss, seasonal_differences};
