//! A Transformer encoder over patches, each channel by itself, norm first (see `kernels::PatchEncoder`).

use burn::module::{Module, Param};
use burn::tensor::{
    Device, Tensor,
    activation::{gelu, softmax},
};
use kernels::EncoderSize;

use super::{Affine, Raw, last, matrix, vector};

/// Under the root of a norm's deviation, as PyTorch.
const EPSILON: f32 = 1e-5;

/// Parameters: `embed.*`, `position`, `encoder.layers.N.*`, `head.*`.
#[derive(Module, Debug)]
pub(crate) struct PatchTst {
    embed: Affine,
    position: Param<Tensor<2>>,
    encoder: Encoder,
    head: Affine,
    patch: usize,
}

#[derive(Module, Debug)]
struct Encoder {
    layers: Vec<Layer>,
}

#[derive(Module, Debug)]
struct Layer {
    norm1: Norm,
    self_attn: Attention,
    norm2: Norm,
    linear1: Affine,
    linear2: Affine,
}

/// Layer normalisation.
#[derive(Module, Debug)]
struct Norm {
    weight: Param<Tensor<1>>,
    bias: Param<Tensor<1>>,
}

/// Attention of several heads; queries, keys and values are one projection.
#[derive(Module, Debug)]
struct Attention {
    in_proj_weight: Param<Tensor<2>>,
    in_proj_bias: Param<Tensor<1>>,
    out_proj: Affine,
    heads: usize,
}

impl PatchTst {
    pub(super) fn new(window: usize, size: EncoderSize, outputs: usize, device: &Device) -> Self {
        let (d, patches) = (size.width, window / size.patch);
        let layer = || Layer {
            norm1: Norm::new(d, device),
            self_attn: Attention {
                in_proj_weight: matrix(3 * d, d, device),
                in_proj_bias: vector(3 * d, device),
                out_proj: Affine::new(d, d, device),
                heads: size.heads,
            },
            norm2: Norm::new(d, device),
            linear1: Affine::new(d, size.feed_forward, device),
            linear2: Affine::new(size.feed_forward, d, device),
        };
        Self {
            embed: Affine::new(size.patch, d, device),
            position: matrix(patches, d, device),
            encoder: Encoder {
                layers: (0..size.layers).map(|_| layer()).collect(),
            },
            head: Affine::new(patches * d, outputs, device),
            patch: size.patch,
        }
    }

    pub(super) fn forward(&self, window: Tensor<3>) -> Raw {
        let window = window.swap_dims(1, 2);
        let [windows, channels, steps] = window.dims();
        let (sequences, patches) = (windows * channels, steps / self.patch);
        let centre = last(&window);
        let around = window.clone() - window.clone().mean_dim(2);
        let scale = (around.clone() * around).mean_dim(2).sqrt() + 1e-5;
        let normal = (window - centre.clone()) / scale.clone();
        let rows = self
            .embed
            .forward(normal.reshape([sequences * patches, self.patch]));
        let d = rows.dims()[1];
        let mut stream = rows.reshape([sequences, patches, d]) + self.position.val().unsqueeze();
        for layer in &self.encoder.layers {
            stream = layer.forward(stream);
        }
        Raw {
            rows: self.head.forward(stream.reshape([sequences, patches * d])),
            centre: Some(centre.reshape([sequences, 1])),
            scale: Some(scale.reshape([sequences, 1])),
        }
    }
}

impl Layer {
    fn forward(&self, stream: Tensor<3>) -> Tensor<3> {
        let [sequences, patches, d] = stream.dims();
        let shape = [sequences, patches, d];
        let rows = stream.reshape([sequences * patches, d]);
        let attended = self
            .self_attn
            .forward(self.norm1.forward(rows.clone()), sequences);
        let rows = rows + attended;
        let inner = gelu(self.linear1.forward(self.norm2.forward(rows.clone())));
        (rows + self.linear2.forward(inner)).reshape(shape)
    }
}

impl Norm {
    fn new(width: usize, device: &Device) -> Self {
        Self {
            weight: vector(width, device),
            bias: vector(width, device),
        }
    }

    fn forward(&self, rows: Tensor<2>) -> Tensor<2> {
        let around = rows.clone() - rows.mean_dim(1);
        let variance = (around.clone() * around.clone()).mean_dim(1);
        let unit = around / (variance + EPSILON).sqrt();
        unit * self.weight.val().unsqueeze() + self.bias.val().unsqueeze()
    }
}

impl Attention {
    /// Rows of all sequences, one behind the other.
    fn forward(&self, rows: Tensor<2>, sequences: usize) -> Tensor<2> {
        let [all, d] = rows.dims();
        let (patches, heads) = (all / sequences, self.heads);
        let head = d / heads;
        let projected = rows.matmul(self.in_proj_weight.val().transpose())
            + self.in_proj_bias.val().unsqueeze();
        let part = |k: usize| {
            projected
                .clone()
                .narrow(1, k * d, d)
                .reshape([sequences, patches, heads, head])
                .swap_dims(1, 2)
        };
        let (queries, keys, values) = (part(0), part(1), part(2));
        let scale = 1.0 / (head as f32).sqrt();
        let weights = softmax(queries.matmul(keys.transpose()) * scale, 3);
        let attended = weights.matmul(values).swap_dims(1, 2).reshape([all, d]);
        self.out_proj.forward(attended)
    }
}
