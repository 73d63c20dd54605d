//! Where the parameters stand in the flat store (see [`super`]), and what PyTorch calls them.

use super::PatchEncoder;
use crate::network::{Order, Tensor};

/// Where a layer's parameters begin.
#[derive(Clone, Copy)]
pub(super) struct Offsets {
    pub(super) norm1: usize,
    pub(super) qkv: usize,
    pub(super) qkv_bias: usize,
    pub(super) out: usize,
    pub(super) out_bias: usize,
    pub(super) norm2: usize,
    pub(super) linear1: usize,
    pub(super) bias1: usize,
    pub(super) linear2: usize,
    pub(super) bias2: usize,
}

impl PatchEncoder {
    pub(super) fn patches(&self) -> usize {
        self.window / self.size.patch
    }

    pub(super) fn layer_len(&self) -> usize {
        let (d, ff) = (self.size.width, self.size.feed_forward);
        4 * d + (d + 1) * 3 * d + (d + 1) * d + (d + 1) * ff + (ff + 1) * d
    }

    pub(super) fn positions(&self) -> usize {
        (self.size.patch + 1) * self.size.width
    }

    pub(super) fn first_layer(&self) -> usize {
        self.positions() + self.patches() * self.size.width
    }

    pub(super) fn head_at(&self) -> usize {
        self.first_layer() + self.size.layers * self.layer_len()
    }

    pub(super) fn offsets(&self, layer: usize) -> Offsets {
        let (d, ff) = (self.size.width, self.size.feed_forward);
        let mut at = self.first_layer() + layer * self.layer_len();
        let mut next = |len: usize| {
            let here = at;
            at += len;
            here
        };
        Offsets {
            norm1: next(2 * d),
            qkv: next(3 * d * d),
            qkv_bias: next(3 * d),
            out: next(d * d),
            out_bias: next(d),
            norm2: next(2 * d),
            linear1: next(d * ff),
            bias1: next(ff),
            linear2: next(ff * d),
            bias2: next(d),
        }
    }

    /// The matrices that the backward pass wants transposed: offset, rows, columns.
    pub(super) fn matrices(&self) -> Vec<(usize, usize, usize)> {
        let (d, ff) = (self.size.width, self.size.feed_forward);
        let mut all = Vec::new();
        for layer in 0..self.size.layers {
            let at = self.offsets(layer);
            all.push((at.qkv, d, 3 * d));
            all.push((at.out, d, d));
            all.push((at.linear1, d, ff));
            all.push((at.linear2, ff, d));
        }
        all.push((self.head_at(), self.patches() * d, self.head.outputs()));
        all
    }

    /// The tensors by PyTorch's names.
    pub(super) fn named_tensors(&self) -> Vec<Tensor> {
        let (d, ff, n) = (self.size.width, self.size.feed_forward, self.patches());
        let (p, o) = (self.size.patch, self.head.outputs());
        let mut all = vec![
            Tensor::new("embed.weight", &[d, p], 0, Order::Transposed),
            Tensor::new("embed.bias", &[d], p * d, Order::Same),
            Tensor::new("position", &[n, d], self.positions(), Order::Same),
        ];
        for layer in 0..self.size.layers {
            let at = self.offsets(layer);
            let mut add = |name: &str, shape: &[usize], offset: usize, order: Order| {
                let name = format!("encoder.layers.{layer}.{name}");
                all.push(Tensor::new(name, shape, offset, order));
            };
            let (same, turned) = (Order::Same, Order::Transposed);
            add("norm1.weight", &[d], at.norm1, same);
            add("norm1.bias", &[d], at.norm1 + d, same);
            add("self_attn.in_proj_weight", &[3 * d, d], at.qkv, turned);
            add("self_attn.in_proj_bias", &[3 * d], at.qkv_bias, same);
            add("self_attn.out_proj.weight", &[d, d], at.out, turned);
            add("self_attn.out_proj.bias", &[d], at.out_bias, same);
            add("norm2.weight", &[d], at.norm2, same);
            add("norm2.bias", &[d], at.norm2 + d, same);
            add("linear1.weight", &[ff, d], at.linear1, turned);
            add("linear1.bias", &[ff], at.bias1, same);
            add("linear2.weight", &[d, ff], at.linear2, turned);
            add("linear2.bias", &[d], at.bias2, same);
        }
        let head = self.head_at();
        all.push(Tensor::new(
            "head.weight",
            &[o, n * d],
            head,
            Order::Transposed,
        ));
        all.push(Tensor::new(
            "head.bias",
            &[o],
            head + n * d * o,
            Order::Same,
        ));
        all
    }
}
