//! What a candidate of the automatic choice is judged by.

use super::estimate::Optimum;
use super::fitted::criteria;
use super::polynomial::{Arma, roots_outside};
use super::problem::Problem;

/// Smallest modulus of a root that a chosen model may have.
const SMALLEST_ROOT: f64 = 1.01;

/// AICc of an optimum; None when it has a root near the unit circle or too few observations.
pub(crate) fn score(problem: &Problem, found: &Optimum) -> Option<f64> {
    let order = problem.order;
    let mut arma = Arma::new(&order);
    arma.expand(&order, &found.coefficients);
    let minus: Vec<f64> = arma.theta[..arma.q].iter().map(|v| -v).collect();
    if !roots_outside(&arma.phi[..arma.p], SMALLEST_ROOT) || !roots_outside(&minus, SMALLEST_ROOT) {
        return None;
    }
    let parameters = order.coefficients() + found.beta.len() + 1;
    let [_, aicc, _] = criteria(problem.loglik(found.evaluation), parameters, problem.used);
    aicc
}
