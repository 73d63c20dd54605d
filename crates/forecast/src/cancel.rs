//! Fits that can be stopped from outside.
//!
//! Model: a [`CancelToken`] is a flag that any thread may set. Within [`CancelToken::scope`] it is the one
//! that the fits of this thread look at: at every evaluation of an objective and, where one evaluation may
//! take long, at every step of it. A look is a load of an atomic. Once it is set no objective has a value any
//! more, so every search ends by its own rules within a few steps, and the fit ends with
//! [`Error::Cancelled`]. As long as it is not set, no number depends on it.
//! Does not: read a clock; whoever has one sets the flag. Fits do not hand work to other threads, which
//! would not look.

use std::cell::RefCell;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::error::{Error, Result};

/// A flag that stops fits. Cheap to clone; clones are the same flag.
///
/// ```
/// use forecast::{CancelToken, Error, FitOptions, ModelSpec};
///
/// let token = CancelToken::new();
/// token.cancel();
/// let fit = || ModelSpec::Ets.fit_owned(&[1.0, 2.0, 4.0, 3.0, 5.0, 6.0, 8.0], &FitOptions::default());
/// assert_eq!(token.scope(fit), Err(Error::Cancelled));
/// assert!(fit().is_ok());
/// ```
#[derive(Debug, Clone, Default)]
pub struct CancelToken(Arc<Flag>);

#[derive(Debug, Default)]
struct Flag {
    set: AtomicBool,
    parent: Option<CancelToken>,
    /// Sets itself after so many looks, so that tests can stop a fit anywhere.
    #[cfg(test)]
    looks_left: Option<std::sync::atomic::AtomicUsize>,
}

thread_local! {
    static CURRENT: RefCell<Option<CancelToken>> = const { RefCell::new(None) };
}

impl CancelToken {
    /// A flag that is not set.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// A flag of its own that counts as set as soon as this one is, too.
    #[must_use]
    pub fn child(&self) -> Self {
        Self(Arc::new(Flag {
            parent: Some(self.clone()),
            ..Flag::default()
        }))
    }

    /// Sets the flag. It stays set.
    pub fn cancel(&self) {
        self.0.set.store(true, Ordering::Relaxed);
    }

    /// Whether it is set, or one that it is a child of.
    #[must_use]
    pub fn is_cancelled(&self) -> bool {
        #[cfg(test)]
        if let Some(left) = &self.0.looks_left {
            let left =
                left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |n| n.checked_sub(1));
            return left.is_err();
        }
        let set = self.0.set.load(Ordering::Relaxed);
        set || self.0.parent.as_ref().is_some_and(Self::is_cancelled)
    }

    /// Runs `work` with this flag as the one that fits of this thread look at; the one before it is back
    /// afterwards, after a panic too.
    pub fn scope<T>(&self, work: impl FnOnce() -> T) -> T {
        struct Back(Option<CancelToken>);
        impl Drop for Back {
            fn drop(&mut self) {
                CURRENT.with(|current| current.replace(self.0.take()));
            }
        }
        let before = CURRENT.with(|current| current.replace(Some(self.clone())));
        let _back = Back(before);
        work()
    }
}

/// Whether the fit that runs on this thread is to end.
pub(crate) fn requested() -> bool {
    CURRENT.with_borrow(|current| current.as_ref().is_some_and(CancelToken::is_cancelled))
}

/// The token that the fits of this thread look at, to take it to another thread.
#[cfg(feature = "parallel")]
pub(crate) fn current() -> Option<CancelToken> {
    CURRENT.with_borrow(Clone::clone)
}

/// # Errors
/// [`Error::Cancelled`] when the fit that runs on this thread is to end.
pub(crate) fn check() -> Result<()> {
    if requested() {
        return Err(Error::Cancelled);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{FitOptions, FittedModel, Level, ModelSpec};

    fn stops_after(looks: usize) -> CancelToken {
        CancelToken(Arc::new(Flag {
            looks_left: Some(looks.into()),
            ..Flag::default()
        }))
    }

    fn fitted_nothing() -> Result<crate::Fitted> {
        Err(Error::Cancelled)
    }

    fn series(n: usize) -> Vec<f64> {
        let wave = |t: usize| 50.0 + (t as f64 * 0.7).sin() + (t * 7919 % 13) as f64 / 10.0;
        (0..n).map(wave).collect()
    }

    #[test]
    fn a_fit_that_is_stopped_anywhere_ends_as_cancelled_and_one_that_is_not_is_the_same_to_the_bit()
    {
        let whole = series(60);
        let mut gaps = whole.clone();
        (gaps[7], gaps[31]) = (f64::NAN, f64::NAN);
        let options = FitOptions {
            season: 4,
            ..FitOptions::default()
        };
        for name in [
            "naive",
            "ets",
            "theta",
            "garch",
            "arima(2,1,1)+drift",
            "arima(1,0,1)(1,0,1)[4]+mean",
            "auto-arima",
            "combo",
        ] {
            let spec: ModelSpec = name.parse().unwrap();
            for y in [&whole, &gaps] {
                // As text, since residuals may be NaN; it has every bit of the others.
                let fit = || format!("{:?}", spec.fit_owned(y, &options));
                let (free, cancelled) = (fit(), format!("{:?}", fitted_nothing()));
                assert_eq!(CancelToken::new().scope(fit), free, "{name}");
                for looks in [0, 1, 2, 3, 5, 8, 13, 40, 100, 250, 1_000] {
                    let stopped = stops_after(looks).scope(fit);
                    assert!(
                        stopped == cancelled || stopped == free,
                        "{name} after {looks}: {stopped}"
                    );
                }
                assert_eq!(stops_after(0).scope(fit), cancelled, "{name}");
            }
        }
    }

    #[test]
    fn few_looks_are_left_to_a_fit_that_is_stopped() {
        // 400 values, some missing, and a season of 90: seconds for each of thousands of evaluations.
        let mut y = series(400);
        y[100] = f64::NAN;
        let spec: ModelSpec = "arima(1,0,1)(2,1,2)[90]".parse().unwrap();
        let fit = || spec.fit_owned(&y, &FitOptions::default());
        assert_eq!(stops_after(500).scope(fit), Err(Error::Cancelled));
    }

    #[test]
    fn scopes_nest_and_a_child_is_set_with_its_parent() {
        let (outer, inner) = (CancelToken::new(), CancelToken::new());
        outer.scope(|| {
            inner.cancel();
            assert!(inner.scope(requested));
            assert!(!requested());
            let child = outer.child();
            child.cancel();
            assert!(!outer.is_cancelled());
            let child = outer.child();
            outer.cancel();
            assert!(child.is_cancelled() && requested());
        });
        assert!(!requested());
        let fitted = ModelSpec::Naive.fit_owned(&[1.0, 2.0], &FitOptions::default());
        assert!(fitted.unwrap().forecast(1, &[Level(80.0)]).is_ok());
    }
}
