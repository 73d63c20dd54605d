//! Roots of lag polynomials, to turn a moving average invertible.
//!
//! Model: the simultaneous iteration of Aberth (1973, Math. Comput. 27) from points on a circle, on
//! the real coefficients. A root inside the unit circle is replaced by its inverse, as R's `arima`
//! does: the autocorrelations stay, the innovations change.
//! Does not: serve stationarity tests (see [`super::polynomial::roots_outside`]).

use super::polynomial::roots_outside;

type Complex = (f64, f64);

fn multiply(a: Complex, b: Complex) -> Complex {
    (a.0 * b.0 - a.1 * b.1, a.0 * b.1 + a.1 * b.0)
}

fn divide(a: Complex, b: Complex) -> Complex {
    let size = b.0 * b.0 + b.1 * b.1;
    let (re, im) = multiply(a, (b.0, -b.1));
    (re / size, im / size)
}

/// Roots of 1 + c₁z + … + c_k·z^k, c_k not 0; None when the iteration does not settle.
fn roots(c: &[f64]) -> Option<Vec<Complex>> {
    let k = c.len();
    let lead = c[k - 1];
    let radius = libm::pow(lead.abs(), -1.0 / k as f64);
    let mut z: Vec<Complex> = (0..k)
        .map(|i| {
            let angle = 2.0 * std::f64::consts::PI * i as f64 / k as f64 + 0.4;
            (radius * libm::cos(angle), radius * libm::sin(angle))
        })
        .collect();
    for _ in 0..500 {
        let mut largest: f64 = 0.0;
        for i in 0..k {
            let (mut value, mut slope) = ((lead, 0.0), (0.0, 0.0));
            for j in (0..k).rev() {
                let next = if j == 0 { 1.0 } else { c[j - 1] };
                slope = multiply(slope, z[i]);
                slope = (slope.0 + value.0, slope.1 + value.1);
                value = multiply(value, z[i]);
                value.0 += next;
            }
            let newton = divide(value, slope);
            let mut repulsion = (0.0, 0.0);
            for j in (0..k).filter(|j| *j != i) {
                let one = divide((1.0, 0.0), (z[i].0 - z[j].0, z[i].1 - z[j].1));
                repulsion = (repulsion.0 + one.0, repulsion.1 + one.1);
            }
            let product = multiply(newton, repulsion);
            let step = divide(newton, (1.0 - product.0, -product.1));
            if !(step.0.is_finite() && step.1.is_finite()) {
                // Exactly on a root already, or on another iterate: the others go on.
                continue;
            }
            z[i] = (z[i].0 - step.0, z[i].1 - step.1);
            let size = libm::hypot(z[i].0, z[i].1).max(1e-300);
            largest = largest.max(libm::hypot(step.0, step.1) / size);
        }
        if largest < 1e-14 {
            return Some(z);
        }
    }
    z.iter()
        .all(|z| z.0.is_finite() && z.1.is_finite())
        .then_some(z)
}

/// Replaces the roots of 1 + θ₁z + … inside the unit circle by their inverses; true when there were
/// any, None when they cannot be found.
pub(crate) fn invertible(theta: &mut [f64]) -> Option<bool> {
    let length = theta.iter().rposition(|v| *v != 0.0).map_or(0, |i| i + 1);
    let minus: Vec<f64> = theta[..length].iter().map(|v| -v).collect();
    if length == 0 || roots_outside(&minus, 1.0) {
        return Some(false);
    }
    let found = roots(&theta[..length])?;
    let mut turned = false;
    let mut product: Vec<Complex> = vec![(1.0, 0.0)];
    for root in found {
        let size = root.0 * root.0 + root.1 * root.1;
        // The factor is 1 − z/root, or 1 − z·root for a root that is turned.
        let mut slope = divide((1.0, 0.0), root);
        if size < 1.0 {
            turned = true;
            slope = root;
        }
        product.push((0.0, 0.0));
        for i in (1..product.len()).rev() {
            let part = multiply(slope, product[i - 1]);
            product[i] = (product[i].0 - part.0, product[i].1 - part.1);
        }
    }
    if turned {
        for (theta, value) in theta.iter_mut().zip(&product[1..]) {
            *theta = value.0;
        }
    }
    Some(turned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_root_inside_the_circle_is_turned_outside() {
        let mut theta = [2.5, 0.0];
        assert_eq!(invertible(&mut theta), Some(true));
        assert!((theta[0] - 0.4).abs() < 1e-14 && theta[1] == 0.0);
        // (1 + 2z)(1 − 0.5z) becomes (1 + 0.5z)(1 − 0.5z).
        let mut theta = [1.5, -1.0];
        assert_eq!(invertible(&mut theta), Some(true));
        assert!(theta[0].abs() < 1e-12 && (theta[1] + 0.25).abs() < 1e-12);
    }

    #[test]
    fn an_invertible_polynomial_is_left_alone() {
        let mut theta = [0.4, 0.3, -0.2];
        assert_eq!(invertible(&mut theta), Some(false));
        assert_eq!(theta, [0.4, 0.3, -0.2]);
        assert_eq!(invertible(&mut []), Some(false));
    }

    #[test]
    fn complex_pairs_are_turned_together() {
        // 1 + 0.5z + 2z²: roots of modulus √½; turned: 2 + 0.5z + z² over 2.
        let mut theta = [0.5, 2.0];
        assert_eq!(invertible(&mut theta), Some(true));
        assert!((theta[0] - 0.25).abs() < 1e-12 && (theta[1] - 0.5).abs() < 1e-12);
    }
}
