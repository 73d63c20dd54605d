//! The normal, Student-t and chi-squared distributions: distribution functions and quantiles.
//!
//! Model: the special functions come from `libm`, so native code and wasm give the same bits.
//! Quantiles are found by safeguarded Newton steps on the distribution function, which needs no
//! tables of coefficients. References: Abramowitz & Stegun (1964) 26.2.23, 26.5.8, 6.5.29.
//! Does not: draw random numbers.

use std::f64::consts::{PI, SQRT_2};

/// Density of the standard normal distribution at `x`.
///
/// ```
/// assert!((forecast::distribution::normal_pdf(0.0) - 0.398_942).abs() < 1e-6);
/// ```
#[must_use]
pub fn normal_pdf(x: f64) -> f64 {
    libm::exp(-0.5 * x * x) / (2.0 * PI).sqrt()
}

/// Distribution function of the standard normal distribution at `x`.
///
/// ```
/// assert!((forecast::distribution::normal_cdf(1.96) - 0.975).abs() < 1e-4);
/// ```
#[must_use]
pub fn normal_cdf(x: f64) -> f64 {
    0.5 * libm::erfc(-x / SQRT_2)
}

/// Quantile of the standard normal distribution; NaN unless `0 < p < 1`.
///
/// ```
/// assert!((forecast::distribution::normal_quantile(0.975) - 1.959963984540054).abs() < 1e-12);
/// ```
#[must_use]
pub fn normal_quantile(p: f64) -> f64 {
    if !(p > 0.0 && p < 1.0) {
        return f64::NAN;
    }
    if p == 0.5 {
        return 0.0;
    }
    // The lower tail keeps full relative precision.
    let tail = p.min(1.0 - p);
    let t = (-2.0 * libm::log(tail)).sqrt();
    let start = t - (2.30753 + 0.27061 * t) / (1.0 + t * (0.99229 + 0.04481 * t));
    let mut x = -start;
    for _ in 0..6 {
        let error = normal_cdf(x) - tail;
        let u = error / normal_pdf(x);
        let step = u / (1.0 + 0.5 * x * u);
        x -= step;
        if step.abs() <= 1e-15 * x.abs() {
            break;
        }
    }
    if p < 0.5 { x } else { -x }
}

/// Regularised incomplete beta function I_x(a, b).
fn incomplete_beta(a: f64, b: f64, x: f64) -> f64 {
    if x <= 0.0 {
        return 0.0;
    }
    if x >= 1.0 {
        return 1.0;
    }
    if x > (a + 1.0) / (a + b + 2.0) {
        return 1.0 - incomplete_beta(b, a, 1.0 - x);
    }
    let front = libm::exp(
        a * libm::log(x) + b * libm::log1p(-x) + libm::lgamma(a + b)
            - libm::lgamma(a)
            - libm::lgamma(b),
    ) / a;
    // Continued fraction by the modified Lentz method.
    let tiny = 1e-300;
    let (mut c, mut d) = (1.0, 1.0 - (a + b) * x / (a + 1.0));
    d = if d.abs() < tiny { tiny } else { d };
    d = 1.0 / d;
    let mut value = d;
    for m in 1..300 {
        let m = f64::from(m);
        let even = m * (b - m) * x / ((a + 2.0 * m - 1.0) * (a + 2.0 * m));
        let odd = -(a + m) * (a + b + m) * x / ((a + 2.0 * m) * (a + 2.0 * m + 1.0));
        let mut change = 1.0;
        for term in [even, odd] {
            d = 1.0 + term * d;
            d = if d.abs() < tiny { tiny } else { d };
            c = 1.0 + term / c;
            c = if c.abs() < tiny { tiny } else { c };
            d = 1.0 / d;
            change = c * d;
            value *= change;
        }
        if (change - 1.0).abs() < 1e-16 {
            break;
        }
    }
    front * value
}

/// Distribution function of Student's t with `df` degrees of freedom at `x`.
///
/// ```
/// assert!((forecast::distribution::student_t_cdf(2.228, 10.0) - 0.975).abs() < 1e-4);
/// ```
#[must_use]
pub fn student_t_cdf(x: f64, df: f64) -> f64 {
    let tail = 0.5 * incomplete_beta(0.5 * df, 0.5, df / (df + x * x));
    if x > 0.0 { 1.0 - tail } else { tail }
}

/// Density of Student's t with `df` degrees of freedom at `x`.
///
/// ```
/// assert!((forecast::distribution::student_t_pdf(0.0, 1.0) - 1.0 / std::f64::consts::PI).abs() < 1e-12);
/// ```
#[must_use]
pub fn student_t_pdf(x: f64, df: f64) -> f64 {
    let log = libm::lgamma(0.5 * (df + 1.0))
        - libm::lgamma(0.5 * df)
        - 0.5 * libm::log(df * PI)
        - 0.5 * (df + 1.0) * libm::log1p(x * x / df);
    libm::exp(log)
}

/// Quantile of Student's t with `df` degrees of freedom; NaN unless `0 < p < 1` and `df > 0`.
#[must_use]
pub fn student_t_quantile(p: f64, df: f64) -> f64 {
    if !(p > 0.0 && p < 1.0 && df > 0.0) {
        return f64::NAN;
    }
    if p == 0.5 {
        return 0.0;
    }
    let tail = p.min(1.0 - p);
    // Bracket in the lower tail, then Newton with bisection as its safeguard.
    let (mut low, mut high) = (-1.0, 0.0);
    while student_t_cdf(low, df) > tail && low > -1e300 {
        high = low;
        low *= 2.0;
    }
    let mut x = 0.5 * (low + high);
    for _ in 0..200 {
        let error = student_t_cdf(x, df) - tail;
        if error > 0.0 {
            high = x;
        } else {
            low = x;
        }
        let newton = x - error / student_t_pdf(x, df);
        let next = if newton > low && newton < high {
            newton
        } else {
            0.5 * (low + high)
        };
        let step = (next - x).abs();
        x = next;
        if step <= 1e-14 * x.abs() {
            break;
        }
    }
    if p < 0.5 { x } else { -x }
}

/// Upper tail P(X > x) of the chi-squared distribution with `df` degrees of freedom.
///
/// ```
/// assert!((forecast::distribution::chi_squared_tail(3.841, 1.0) - 0.05).abs() < 1e-4);
/// ```
#[must_use]
pub fn chi_squared_tail(x: f64, df: f64) -> f64 {
    if x <= 0.0 {
        return 1.0;
    }
    let (a, x) = (0.5 * df, 0.5 * x);
    let front = libm::exp(a * libm::log(x) - x - libm::lgamma(a));
    if x < a + 1.0 {
        let (mut term, mut sum, mut k) = (1.0 / a, 1.0 / a, a);
        while term > sum * 1e-17 {
            k += 1.0;
            term *= x / k;
            sum += term;
        }
        return (1.0 - front * sum).max(0.0);
    }
    let mut b = x + 1.0 - a;
    let mut c = 1e300;
    let mut d = 1.0 / b;
    let mut value = d;
    for i in 1..1000 {
        let i = f64::from(i);
        let term = -i * (i - a);
        b += 2.0;
        d = 1.0 / (term * d + b);
        c = b + term / c;
        let change = c * d;
        value *= change;
        if (change - 1.0).abs() < 1e-16 {
            break;
        }
    }
    front * value
}

#[cfg(test)]
mod tests {
    use super::*;

    // Reference values: R 4.2.2 qnorm, qt, pt, pchisq.
    #[test]
    fn normal_quantiles_agree_with_r() {
        for (p, want) in [
            (0.9, 1.2815515655446004),
            (0.975, 1.959963984540054),
            (0.5, 0.0),
            (1e-10, -6.361340902404056),
            (0.025, -1.959963984540054),
        ] {
            assert!((normal_quantile(p) - want).abs() < 1e-12, "p = {p}");
        }
        assert!(normal_quantile(0.0).is_nan() && normal_quantile(1.0).is_nan());
    }

    #[test]
    fn student_quantiles_agree_with_r() {
        for (p, df, want) in [
            (0.975, 1.0, 12.706204736174698),
            (0.975, 2.0, 4.302652729749464),
            (0.9, 10.0, 1.372183641110336),
            (0.975, 143.0, 1.976692198147535),
            (0.025, 5.0, -2.570581835636314),
        ] {
            let got = student_t_quantile(p, df);
            assert!((got / want - 1.0).abs() < 1e-9, "{p} {df}: {got}");
            assert!((student_t_cdf(got, df) - p).abs() < 1e-12);
        }
    }

    #[test]
    fn chi_squared_tails_agree_with_r() {
        for (x, df, want) in [
            (3.841458820694124, 1.0, 0.05),
            (18.307038053275146, 10.0, 0.05),
            (2.0, 4.0, 0.7357588823428847),
        ] {
            assert!((chi_squared_tail(x, df) - want).abs() < 1e-12);
        }
    }
}
