//! Buffers of the two passes.

use super::PatchEncoder;
use crate::{attention, head::Place};

/// What a layer keeps for the way back.
#[derive(Debug)]
pub(super) struct Layer {
    /// Its input, normalised, before and after the affine map; deviations.
    pub(super) unit1: Vec<f32>,
    pub(super) deviation1: Vec<f32>,
    pub(super) normed1: Vec<f32>,
    pub(super) qkv: Vec<f32>,
    pub(super) weights: Vec<f32>,
    pub(super) attended: Vec<f32>,
    /// After attention.
    pub(super) middle: Vec<f32>,
    pub(super) unit2: Vec<f32>,
    pub(super) deviation2: Vec<f32>,
    pub(super) normed2: Vec<f32>,
    /// Before and after the GELU.
    pub(super) before: Vec<f32>,
    pub(super) after: Vec<f32>,
}

/// Buffers of a chunk of windows; of the layers only one set where nothing is trained.
#[derive(Debug)]
pub struct Scratch {
    pub(super) training: bool,
    pub(super) patches: Vec<f32>,
    pub(super) places: Vec<Place>,
    /// The stream between the layers; the last is what the head reads.
    pub(super) stream: Vec<Vec<f32>>,
    pub(super) layers: Vec<Layer>,
    pub(super) attention: attention::Scratch,
    pub(super) d_stream: Vec<f32>,
    pub(super) d_normed: Vec<f32>,
    pub(super) d_qkv: Vec<f32>,
    pub(super) d_hidden: Vec<f32>,
}

impl Scratch {
    pub(super) fn new(encoder: &PatchEncoder, windows: usize, training: bool) -> Self {
        let (d, ff, n) = (
            encoder.size.width,
            encoder.size.feed_forward,
            encoder.patches(),
        );
        let sequences = windows * encoder.channels;
        let rows = sequences * n;
        let zeros = |n: usize| vec![0.0f32; n];
        let back = |n: usize| zeros(if training { n } else { 0 });
        let layer = || Layer {
            unit1: zeros(rows * d),
            deviation1: zeros(rows),
            normed1: zeros(rows * d),
            qkv: zeros(rows * 3 * d),
            weights: zeros(sequences * encoder.size.heads * n * n),
            attended: zeros(rows * d),
            middle: zeros(rows * d),
            unit2: zeros(rows * d),
            deviation2: zeros(rows),
            normed2: zeros(rows * d),
            before: zeros(rows * ff),
            after: zeros(rows * ff),
        };
        let kept = if training { encoder.size.layers } else { 1 };
        Self {
            training,
            patches: zeros(sequences * encoder.window),
            places: vec![Place::default(); sequences],
            stream: (0..=encoder.size.layers).map(|_| zeros(rows * d)).collect(),
            layers: (0..kept).map(|_| layer()).collect(),
            attention: attention::Scratch::new(n, d / encoder.size.heads),
            d_stream: back(rows * d),
            d_normed: back(rows * d),
            d_qkv: back(rows * 3 * d),
            d_hidden: back(rows * ff),
        }
    }
}
