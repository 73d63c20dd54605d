//! What a network is to those who run and train it.
//!
//! Model: all parameters lie in one flat store, whose order suits the kernels; [`Tensor`] says where each
//! tensor of PyTorch's lies in it, and how it is turned. Forward and backward work on a chunk of windows
//! with a scratch of its own; chunks are independent, so they can run on threads.
//! Does not: own parameters (see [`crate::weights`]) or step an optimiser (see [`crate::train`]).

use fearless_simd::Simd;

use crate::head::{Place, QuantileHead};
use crate::random::Random;

/// How a PyTorch tensor lies in the flat store.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Order {
    /// As in PyTorch, row by row.
    Same,
    /// Its transpose: PyTorch keeps a linear layer as out × in, the kernels want in × out.
    Transposed,
    /// Added onto another tensor's place, and written out as zeros: PyTorch's LSTM has two biases where
    /// one does.
    Added,
}

/// One tensor by PyTorch's name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tensor {
    /// Name in the state dict.
    pub name: String,
    /// Shape in the state dict.
    pub shape: Vec<usize>,
    /// Where it begins in the flat store.
    pub offset: usize,
    /// How it lies there.
    pub order: Order,
}

impl Tensor {
    pub(crate) fn new(
        name: impl Into<String>,
        shape: &[usize],
        offset: usize,
        order: Order,
    ) -> Self {
        Self {
            name: name.into(),
            shape: shape.to_vec(),
            offset,
            order,
        }
    }

    /// Number of elements.
    #[must_use]
    pub fn len(&self) -> usize {
        self.shape.iter().product()
    }

    /// Whether it has no element.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// A network with a quantile head, runnable on any instruction set.
pub trait Network: Clone + Send + Sync {
    /// Buffers for one chunk of windows.
    type Scratch: Send;

    /// The tensors by PyTorch's names, in the order of the flat store.
    fn tensors(&self) -> Vec<Tensor>;

    /// Length of the flat store.
    fn parameters(&self) -> usize;

    /// Numbers of one input window.
    fn inputs(&self) -> usize;

    /// Forecasts per window: 1, or the channels of a channel-independent network.
    fn sequences(&self) -> usize;

    /// Levels and horizon.
    fn head(&self) -> &QuantileHead;

    /// Windows that are worked on together. A constant of the network, never of the machine: the
    /// gradients' rounding depends on it.
    fn chunk(&self) -> usize;

    /// Fills the flat store as PyTorch's layers start, but for the head, which starts from naive.
    fn initialise(&self, random: &mut Random, parameters: &mut [f32]);

    /// Buffers for up to `windows` windows; those for training keep what the backward pass reads.
    fn scratch(&self, windows: usize, training: bool) -> Self::Scratch;

    /// Length of the transposed matrices that the backward pass wants.
    fn transposed(&self) -> usize;

    /// Writes them.
    fn transpose(&self, parameters: &[f32], to: &mut [f32]);

    /// What the last layer gives for `windows` windows, sequence after sequence.
    fn forward<S: Simd>(
        &self,
        s: S,
        parameters: &[f32],
        input: &[f32],
        windows: usize,
        scratch: &mut Self::Scratch,
        raw: &mut [f32],
    );

    /// Centre and scale of a sequence of the last forward pass.
    fn place(&self, scratch: &Self::Scratch, sequence: usize) -> Place;

    /// Adds the gradient to `gradient`, from that of the last layer's output. Only after a forward pass
    /// with a scratch for training.
    #[expect(clippy::too_many_arguments, reason = "a backward pass reads that much")]
    fn backward<S: Simd>(
        &self,
        s: S,
        parameters: &[f32],
        transposed: &[f32],
        slope: &[f32],
        windows: usize,
        scratch: &mut Self::Scratch,
        gradient: &mut [f32],
    );
}

/// Writes the transpose of `from`, rows × columns, to `to`.
pub(crate) fn transpose(from: &[f32], rows: usize, columns: usize, to: &mut [f32]) {
    for (i, row) in from.chunks_exact(columns).enumerate().take(rows) {
        for (j, value) in row.iter().enumerate() {
            to[j * rows + i] = *value;
        }
    }
}

/// Fills with uniform numbers between ±bound.
pub(crate) fn fill(random: &mut Random, values: &mut [f32], bound: f32) {
    for value in values {
        *value = random.uniform(-bound, bound);
    }
}

/// Two different rows of a buffer of rows of length `len`: one to read, one to write.
pub(crate) fn two(
    buffer: &mut [f32],
    len: usize,
    read: usize,
    write: usize,
) -> (&[f32], &mut [f32]) {
    if read < write {
        let (low, high) = buffer.split_at_mut(write * len);
        (&low[read * len..][..len], &mut high[..len])
    } else {
        let (low, high) = buffer.split_at_mut(read * len);
        (&high[..len], &mut low[write * len..][..len])
    }
}
