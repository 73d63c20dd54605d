//! AdamW, the schedule of its rate, and clipping of the gradient.
//!
//! Model: Adam with decoupled weight decay (Loshchilov & Hutter 2019) with PyTorch's constants: betas 0.9 and
//! 0.999, eps 1e-8, decay 1e-2. The rate rises linearly over the warm-up and falls along half a cosine to a
//! hundredth. The gradient is clipped by its norm over all parameters together (Pascanu, Mikolov & Bengio
//! 2013).
//! Does not: keep rates by parameter group.

/// The moments of the gradient.
#[derive(Clone, Debug, PartialEq)]
pub struct AdamW {
    /// First moments.
    pub first: Vec<f32>,
    /// Second moments.
    pub second: Vec<f32>,
    /// Steps done.
    pub steps: u64,
    /// Weight decay.
    pub decay: f32,
}

impl AdamW {
    /// PyTorch's default weight decay.
    pub const DECAY: f32 = 1e-2;

    /// At rest, for so many parameters.
    #[must_use]
    pub fn new(parameters: usize, decay: f32) -> Self {
        Self {
            first: vec![0.0; parameters],
            second: vec![0.0; parameters],
            steps: 0,
            decay,
        }
    }

    /// One step against `gradient`, times `factor` (1, or less where the gradient is clipped).
    pub fn step(&mut self, parameters: &mut [f32], gradient: &[f32], factor: f32, rate: f32) {
        const BETA1: f32 = 0.9;
        const BETA2: f32 = 0.999;
        self.steps += 1;
        // In double precision: 0.999ⁿ is off in the sixth digit otherwise.
        let steps = i32::try_from(self.steps).unwrap_or(i32::MAX);
        let correct1 = (1.0 / (1.0 - 0.9f64.powi(steps))) as f32;
        let correct2 = (1.0 / (1.0 - 0.999f64.powi(steps))) as f32;
        let moments = self.first.iter_mut().zip(&mut self.second);
        for ((p, g), (m, v)) in parameters.iter_mut().zip(gradient).zip(moments) {
            let g = g * factor;
            *m = BETA1 * *m + 0.1 * g;
            *v = BETA2 * *v + 0.001 * g * g;
            let step = *m * correct1 / ((*v * correct2).sqrt() + 1e-8);
            *p -= rate * (self.decay * *p + step);
        }
    }
}

/// Rate of learning over the steps of a training.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Schedule {
    /// Highest rate.
    pub peak: f32,
    /// Steps until it is reached.
    pub warm_up: u64,
    /// Steps in all.
    pub total: u64,
}

impl Schedule {
    /// The rate of step `step`, counted from 0.
    #[must_use]
    pub fn rate(&self, step: u64) -> f32 {
        if step < self.warm_up {
            return self.peak * (step + 1) as f32 / self.warm_up as f32;
        }
        let rest = self.total.saturating_sub(self.warm_up).max(1) as f32;
        let along = ((step - self.warm_up) as f32 / rest).min(1.0);
        // Rounded from double precision, so that it does not hang on the platform's cosine.
        let cosine = 0.5 * (1.0 + (std::f64::consts::PI * f64::from(along)).cos() as f32);
        self.peak * (0.01 + 0.99 * cosine)
    }
}

/// Norm of the gradient over all parameters, summed in double precision in one order.
#[must_use]
pub fn norm(gradient: &[f32]) -> f64 {
    let square = |part: &[f32]| -> f64 { part.iter().map(|g| f64::from(*g) * f64::from(*g)).sum() };
    gradient.chunks(256).map(square).sum::<f64>().sqrt()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn adamw_follows_pytorch_over_three_steps() {
        // torch.optim.AdamW(lr=0.1) of PyTorch 2.15.0 on p = [1, -2], gradients [0.5, -1], [0.1, 2], [-3, 0].
        let mut p = vec![1.0f32, -2.0];
        let mut adam = AdamW::new(2, AdamW::DECAY);
        let right = [
            [0.899_000_05, -1.898],
            [0.817_796_95, -1.932_712_4],
            [0.869_567_4, -1.959_079_6],
        ];
        for (g, right) in [[0.5, -1.0], [0.1, 2.0], [-3.0, 0.0]].iter().zip(right) {
            adam.step(&mut p, g, 1.0, 0.1);
            for (p, right) in p.iter().zip(right) {
                assert!((p - right).abs() < 1e-6, "{p} {right}");
            }
        }
    }

    #[test]
    fn the_rate_rises_linearly_and_falls_to_a_hundredth() {
        let schedule = Schedule {
            peak: 1.0,
            warm_up: 4,
            total: 104,
        };
        assert_eq!(schedule.rate(0), 0.25);
        assert_eq!(schedule.rate(3), 1.0);
        assert_eq!(schedule.rate(4), 1.0);
        assert!((schedule.rate(54) - 0.505).abs() < 1e-6);
        assert!((schedule.rate(1_000) - 0.01).abs() < 1e-6);
    }
}
