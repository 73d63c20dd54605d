//! The networks, from their input to what the last layer says, and the quantiles of that.

use kernels::safetensors::Tensors;
use kernels::{Architecture, EncoderSize, QuantileHead, Result};

use crate::graph::{Graph, Value, float, int};

/// One network of an ensemble, whose constants have names of their own.
pub(crate) struct Member<'a> {
    pub(crate) graph: &'a mut Graph,
    pub(crate) weights: &'a Tensors,
    /// Before every name.
    pub(crate) prefix: String,
}

impl Member<'_> {
    /// The quantiles, `[series][step][level]`, of inputs `[series][step]`, or of the LSTM's `[series][step][feature]`.
    pub(crate) fn quantiles(
        &mut self,
        architecture: &Architecture,
        input: &Value,
    ) -> Result<Value> {
        let raw = match architecture {
            Architecture::Lstm(lstm) => {
                Raw::of(self.lstm(input, lstm.features(), lstm.hidden())?)
            }
            Architecture::PatchEncoder(encoder) => {
                self.encoder(input, architecture.inputs(), encoder.size())?
            }
            Architecture::NLinear(_) => self.nlinear(input, architecture.inputs())?,
        };
        Ok(self.head(architecture.head(), raw))
    }

    fn tensor(&mut self, name: &str) -> Result<Value> {
        let found = self.weights.get(name)?;
        let full = format!("{}{name}", self.prefix);
        Ok(self.graph.single(&full, &found.shape, &found.data))
    }

    /// A number in single precision.
    fn number(&mut self, number: f32) -> Value {
        self.graph
            .single(&format!("f32:{number:e}"), &[], &[number])
    }

    /// `x·Wᵀ + b`, with the layer's matrix as PyTorch has it.
    fn affine(&mut self, x: &Value, weight: &str, bias: &str) -> Result<Value> {
        let weight = self.tensor(weight)?;
        let turned = self.graph.transpose(&weight, &[1, 0]);
        let product = self.graph.op("MatMul", &[x, &turned]);
        let bias = self.tensor(bias)?;
        Ok(self.graph.op("Add", &[&product, &bias]))
    }

    fn linear(&mut self, x: &Value, layer: &str) -> Result<Value> {
        self.affine(x, &format!("{layer}.weight"), &format!("{layer}.bias"))
    }

    fn norm(&mut self, x: &Value, layer: &str) -> Result<Value> {
        let gain = self.tensor(&format!("{layer}.weight"))?;
        let bias = self.tensor(&format!("{layer}.bias"))?;
        let attributes = vec![int("axis", -1), float("epsilon", 1e-5)];
        let inputs = [x, &gain, &bias];
        Ok(self
            .graph
            .op_with("LayerNormalization", &inputs, attributes))
    }

    fn lstm(&mut self, input: &Value, features: usize, hidden: usize) -> Result<Value> {
        let of = |name: &str| self.weights.get(name).map(|t| iofc(&t.data));
        let w = of("lstm.weight_ih_l0")?;
        let r = of("lstm.weight_hh_l0")?;
        let mut b = of("lstm.bias_ih_l0")?;
        b.extend(of("lstm.bias_hh_l0")?);
        let gates = 4 * hidden;
        let name = |what: &str| format!("{}lstm.{what}", self.prefix);
        let w = self.graph.single(&name("W"), &[1, gates, features], &w);
        let r = self.graph.single(&name("R"), &[1, gates, hidden], &r);
        let b = self.graph.single(&name("B"), &[1, 2 * gates], &b);
        let steps_first = self.graph.transpose(input, &[1, 0, 2]);
        let attributes = vec![int("hidden_size", hidden as i64)];
        let inputs = [&steps_first, &w, &r, &b];
        // Its first result is the states of all steps.
        let last = self.graph.ops("LSTM", &inputs, 1, 1, attributes).remove(0);
        let axis = self.graph.whole(&[0]);
        let last = self.graph.op("Squeeze", &[&last, &axis]);
        self.linear(&last, "head")
    }

    fn nlinear(&mut self, input: &Value, window: usize) -> Result<Raw> {
        let centre = self.graph.slice(input, 1, window - 1, window);
        let path = self.graph.op("Sub", &[input, &centre]);
        Ok(Raw {
            rows: self.linear(&path, "linear")?,
            centre: Some(centre),
            scale: None,
        })
    }

    fn encoder(&mut self, input: &Value, window: usize, size: EncoderSize) -> Result<Raw> {
        let (patches, d) = ((window / size.patch) as i64, size.width as i64);
        let centre = self.graph.slice(input, 1, window - 1, window);
        let mean = self.graph.mean(input, 1);
        let around = self.graph.op("Sub", &[input, &mean]);
        let square = self.graph.op("Mul", &[&around, &around]);
        let variance = self.graph.mean(&square, 1);
        let deviation = self.graph.op("Sqrt", &[&variance]);
        let least = self.number(1e-5);
        let scale = self.graph.op("Add", &[&deviation, &least]);
        let path = self.graph.op("Sub", &[input, &centre]);
        let normal = self.graph.op("Div", &[&path, &scale]);
        let patched = self
            .graph
            .reshape(&normal, &[-1, patches, size.patch as i64]);
        let embedded = self.linear(&patched, "embed")?;
        let position = self.tensor("position")?;
        let mut stream = self.graph.op("Add", &[&embedded, &position]);
        for layer in 0..size.layers {
            stream = self.layer(&stream, &format!("encoder.layers.{layer}"), size, patches)?;
        }
        let flat = self.graph.reshape(&stream, &[-1, patches * d]);
        Ok(Raw {
            rows: self.linear(&flat, "head")?,
            centre: Some(centre),
            scale: Some(scale),
        })
    }

    fn layer(
        &mut self,
        stream: &Value,
        layer: &str,
        size: EncoderSize,
        patches: i64,
    ) -> Result<Value> {
        let normed = self.norm(stream, &format!("{layer}.norm1"))?;
        let attended = self.attention(&normed, &format!("{layer}.self_attn"), size, patches)?;
        let stream = self.graph.op("Add", &[stream, &attended]);
        let normed = self.norm(&stream, &format!("{layer}.norm2"))?;
        let inner = self.linear(&normed, &format!("{layer}.linear1"))?;
        let inner = self.gelu(&inner);
        let outer = self.linear(&inner, &format!("{layer}.linear2"))?;
        Ok(self.graph.op("Add", &[&stream, &outer]))
    }

    fn attention(
        &mut self,
        x: &Value,
        layer: &str,
        size: EncoderSize,
        patches: i64,
    ) -> Result<Value> {
        let (d, heads) = (size.width as i64, size.heads as i64);
        let head = d / heads;
        let weight = format!("{layer}.in_proj_weight");
        let projected = self.affine(x, &weight, &format!("{layer}.in_proj_bias"))?;
        let parts = self
            .graph
            .ops("Split", &[&projected], 3, 0, vec![int("axis", -1)]);
        let mut by_head = |part: &Value, order: &[i64]| {
            let split = self.graph.reshape(part, &[-1, patches, heads, head]);
            self.graph.transpose(&split, order)
        };
        let queries = by_head(&parts[0], &[0, 2, 1, 3]);
        let keys = by_head(&parts[1], &[0, 2, 3, 1]);
        let values = by_head(&parts[2], &[0, 2, 1, 3]);
        let scores = self.graph.op("MatMul", &[&queries, &keys]);
        let root = self.number(1.0 / (head as f32).sqrt());
        let scores = self.graph.op("Mul", &[&scores, &root]);
        let weights = self
            .graph
            .op_with("Softmax", &[&scores], vec![int("axis", -1)]);
        let attended = self.graph.op("MatMul", &[&weights, &values]);
        let attended = self.graph.transpose(&attended, &[0, 2, 1, 3]);
        let attended = self.graph.reshape(&attended, &[-1, patches, d]);
        self.linear(&attended, &format!("{layer}.out_proj"))
    }

    /// x·Φ(x), exact; the operator of that name came three versions later.
    fn gelu(&mut self, x: &Value) -> Value {
        let root = self.number(std::f32::consts::FRAC_1_SQRT_2);
        let (one, half) = (self.number(1.0), self.number(0.5));
        let scaled = self.graph.op("Mul", &[x, &root]);
        let erf = self.graph.op("Erf", &[&scaled]);
        let sum = self.graph.op("Add", &[&erf, &one]);
        let halved = self.graph.op("Mul", &[x, &half]);
        self.graph.op("Mul", &[&halved, &sum])
    }

    /// Quantiles that cannot cross; see [`kernels::QuantileHead`].
    fn head(&mut self, head: &QuantileHead, raw: Raw) -> Value {
        let (steps, levels) = (head.horizon(), head.levels().len());
        let rows = self
            .graph
            .reshape(&raw.rows, &[-1, steps as i64, levels as i64]);
        let (zero, two) = (self.number(0.0), self.number(2.0));
        let (four, half) = (self.number(4.0), self.number(0.5));
        let square = self.graph.op("Mul", &[&rows, &rows]);
        let square = self.graph.op("Add", &[&square, &four]);
        let root = self.graph.op("Sqrt", &[&square]);
        let sum = self.graph.op("Add", &[&rows, &root]);
        let positive = self.graph.op("Mul", &[&sum, &half]);
        let difference = self.graph.op("Sub", &[&root, &rows]);
        let negative = self.graph.op("Div", &[&two, &difference]);
        let below = self.graph.op("Less", &[&rows, &zero]);
        let gaps = self.graph.op("Where", &[&below, &negative, &positive]);
        let mut at_middle = vec![0.0f32; levels];
        at_middle[head.middle()] = 1.0;
        let elsewhere: Vec<f32> = at_middle.iter().map(|x| 1.0 - x).collect();
        let at_middle = self.graph.single("head:middle", &[levels], &at_middle);
        let elsewhere = self.graph.single("head:elsewhere", &[levels], &elsewhere);
        let middle = self.graph.op("Mul", &[&rows, &at_middle]);
        let gaps = self.graph.op("Mul", &[&gaps, &elsewhere]);
        let row = self.graph.op("Add", &[&middle, &gaps]);
        let outwards = head.outwards();
        let outwards = self
            .graph
            .single("head:outwards", &[levels, levels], &outwards);
        let position = self.graph.op("MatMul", &[&row, &outwards]);
        let spread: Vec<f32> = (0..steps).map(|step| head.spread(step)).collect();
        let spread = self.graph.single("head:spread", &[steps, 1], &spread);
        let mut quantiles = self.graph.op("Mul", &[&position, &spread]);
        if let Some(scale) = raw.scale {
            let scale = self.graph.reshape(&scale, &[-1, 1, 1]);
            quantiles = self.graph.op("Mul", &[&quantiles, &scale]);
        }
        if let Some(centre) = raw.centre {
            let centre = self.graph.reshape(&centre, &[-1, 1, 1]);
            quantiles = self.graph.op("Add", &[&quantiles, &centre]);
        }
        quantiles
    }
}

/// What the last layer says, with centre and scale where the network has them.
struct Raw {
    rows: Value,
    centre: Option<Value>,
    scale: Option<Value>,
}

impl Raw {
    fn of(rows: Value) -> Self {
        Self {
            rows,
            centre: None,
            scale: None,
        }
    }
}

/// Four blocks in PyTorch's order (input, forget, cell, output) in that of ONNX (input, output, forget, cell).
fn iofc(blocks: &[f32]) -> Vec<f32> {
    let block = |k: usize| &blocks[k * blocks.len() / 4..(k + 1) * blocks.len() / 4];
    [block(0), block(3), block(1), block(2)].concat()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gates_are_put_in_the_order_of_onnx() {
        assert_eq!(
            iofc(&[1.0, 1.5, 2.0, 2.5, 3.0, 3.5, 4.0, 4.5]),
            [1.0, 1.5, 4.0, 4.5, 2.0, 2.5, 3.0, 3.5]
        );
    }
}
