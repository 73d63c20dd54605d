//! Quantiles that cannot cross, as in `kernels::QuantileHead`.
//!
//! Model: of each step the network gives the middle quantile, and gaps by squareplus outwards. With the numbers of a
//! step in a row, quantiles are that row (the middle as it is, gaps positive) times a matrix of ones and minus ones.

use burn::tensor::{Device, Tensor, TensorData};
use kernels::QuantileHead;

/// What the last layer says, `[sequence][step · level]`, with centre and scale `[sequence][1]` where the network has
/// them.
pub(crate) struct Raw {
    pub(crate) rows: Tensor<2>,
    pub(crate) centre: Option<Tensor<2>>,
    pub(crate) scale: Option<Tensor<2>>,
}

/// Constants of the head, on the device.
#[derive(Debug)]
pub(crate) struct Head {
    horizon: usize,
    levels: usize,
    /// One at the middle level, zero elsewhere: `[1][level]`.
    middle: Tensor<2>,
    /// From the row to its quantiles: `[level][level]`.
    outwards: Tensor<2>,
    /// Spread of each step: `[1][step][1]`.
    spread: Tensor<3>,
}

impl Head {
    pub(crate) fn new(head: &QuantileHead, device: &Device) -> Self {
        let (horizon, levels, m) = (head.horizon(), head.levels().len(), head.middle());
        let mut middle = vec![0.0f32; levels];
        middle[m] = 1.0;
        let spread: Vec<f32> = (0..horizon).map(|step| head.spread(step)).collect();
        Self {
            horizon,
            levels,
            middle: Tensor::from_data(TensorData::new(middle, [1, levels]), device),
            outwards: Tensor::from_data(TensorData::new(head.outwards(), [levels, levels]), device),
            spread: Tensor::from_data(TensorData::new(spread, [1, horizon, 1]), device),
        }
    }

    /// `[sequence][step][level]`.
    pub(crate) fn quantiles(&self, raw: Raw) -> Tensor<3> {
        let sequences = raw.rows.dims()[0];
        let rows = raw.rows.reshape([sequences * self.horizon, self.levels]);
        let root = (rows.clone() * rows.clone() + 4.0).sqrt();
        // (x + √(x² + 4))/2, without cancellation where x is negative.
        let positive = (rows.clone() + root.clone()) * 0.5;
        let negative = (root - rows.clone()).recip() * 2.0;
        let gaps = positive.mask_where(rows.clone().lower_elem(0.0), negative);
        let row = rows * self.middle.clone() + gaps * (self.middle.clone() * -1.0 + 1.0);
        let position =
            row.matmul(self.outwards.clone())
                .reshape([sequences, self.horizon, self.levels]);
        let mut quantiles = position * self.spread.clone();
        if let Some(scale) = raw.scale {
            quantiles = quantiles * scale.reshape([sequences, 1, 1]);
        }
        match raw.centre {
            Some(centre) => quantiles + centre.reshape([sequences, 1, 1]),
            None => quantiles,
        }
    }
}
