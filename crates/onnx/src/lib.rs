//! Trained models as ONNX files, so that they can leave: prices in, quantiles of prices out.
//!
//! # The interface in short
//! [`export`] gives the bytes of a file. Its graph takes `values`, double `[series][window + 1]`, oldest first, and
//! gives `quantiles`, double `[series][step][level]`, in the same units; the levels stand in the file's metadata. An
//! ensemble is one graph.
//!
//! # Numbers
//! What is done with prices is double, the networks single, as here; against the kernels it is 1e-5 of the widest interval
//! or less (`scripts/test onnx`, with onnxruntime).
//!
//! # What it does not do
//! Read ONNX; check values (a gap, a price of zero or a window that does not move gives NaN).

#![forbid(unsafe_code)]

mod graph;
mod networks;
mod proto;

use neural::{Config, Covariate, Kind, Model, Transform};
use prost::Message as _;

use self::graph::{Graph, Value, int};
use self::networks::Member;
use self::proto::{F32, F64, ModelProto, OperatorSetIdProto, StringStringEntryProto};

/// The file of a model.
///
/// # Errors
/// [`kernels::Error`] for weights that do not fit the architecture, which those of a model that was loaded always do.
pub fn export(model: &Model) -> kernels::Result<Vec<u8>> {
    let config = model.config();
    let mut graph = Graph::default();
    let read = read(&mut graph, model);
    let mut sum: Option<Value> = None;
    for (member, weights) in model.weights().enumerate() {
        let mut network = Member {
            graph: &mut graph,
            weights: &weights,
            prefix: format!("network.{member}."),
        };
        let quantiles = network.quantiles(model.architecture(), &read.input)?;
        sum = Some(match sum {
            None => quantiles,
            Some(sum) => graph.op("Add", &[&sum, &quantiles]),
        });
    }
    // A model has at least one network.
    let sum = sum.unwrap_or(read.input);
    let moved = graph.cast(&sum, F64);
    let part = graph.double("ensemble", 1.0 / config.ensemble as f64);
    let moved = graph.op("Mul", &[&moved, &part]);
    let scale = graph.reshape(&read.scale, &[-1, 1, 1]);
    let last = graph.reshape(&read.last, &[-1, 1, 1]);
    let moved = graph.op("Mul", &[&moved, &scale]);
    let mut quantiles = graph.op("Add", &[&moved, &last]);
    if config.transform == Transform::Log {
        quantiles = graph.op("Exp", &[&quantiles]);
    }
    let sizes = [config.horizon, config.levels.len()];
    let about =
        "steps ahead, and at each the levels of the metadata, rising, in the units of `values`";
    graph.output(&quantiles, "quantiles", F64, &sizes, about);
    let provenance = model.provenance();
    let file = ModelProto {
        ir_version: proto::IR_VERSION,
        producer_name: "tickcast".into(),
        producer_version: provenance.code_version.clone(),
        doc_string: format!(
            "{} of Tickcast: docs/neural.md says what it is",
            config.kind
        ),
        graph: Some(graph.finish(config.kind.name())),
        opset_import: vec![OperatorSetIdProto {
            domain: String::new(),
            version: proto::OPSET,
        }],
        metadata_props: metadata(config, &provenance.data.sha256),
    };
    Ok(file.encode_to_vec())
}

fn metadata(config: &Config, data: &str) -> Vec<StringStringEntryProto> {
    let levels: Vec<String> = config.levels.iter().map(ToString::to_string).collect();
    let pairs = [
        ("kind", config.kind.to_string()),
        ("levels", levels.join(",")),
        ("horizon", config.horizon.to_string()),
        ("window", config.window.to_string()),
        ("trained_on_sha256", data.to_owned()),
    ];
    let entry = |(key, value): (&str, String)| StringStringEntryProto {
        key: key.into(),
        value,
    };
    pairs.into_iter().map(entry).collect()
}

/// What a network reads of a series, and what its answer is brought back by.
struct Read {
    /// `[series][step]`, and of an LSTM its features.
    input: Value,
    /// `[series][1]`, double.
    last: Value,
    /// `[series][1]`, double.
    scale: Value,
}

/// The end of a series as a network reads it; `neural` does the same by hand.
fn read(graph: &mut Graph, model: &Model) -> Read {
    let config = model.config();
    let window = config.window;
    let about = "the newest values of each series, oldest first, without a gap";
    let values = graph.input("values", F64, &[window + 1], about);
    let seen = match config.transform {
        Transform::Log => graph.op("Log", &[&values]),
        Transform::None => values,
    };
    let last = graph.slice(&seen, 1, window, window + 1);
    let older = graph.slice(&seen, 1, 0, window);
    let newer = graph.slice(&seen, 1, 1, window + 1);
    let steps = graph.op("Sub", &[&newer, &older]);
    let square = graph.op("Mul", &[&steps, &steps]);
    let mean = graph.mean(&square, 1);
    let scale = graph.op("Sqrt", &[&mean]);
    let input = if config.kind == Kind::Lstm {
        let steps = graph.op("Div", &[&steps, &scale]);
        features(graph, model, &steps, &scale)
    } else {
        let path = graph.op("Sub", &[&newer, &last]);
        let path = graph.op("Div", &[&path, &scale]);
        graph.cast(&path, F32)
    };
    Read { input, last, scale }
}

/// What an LSTM reads at each step: the difference, and its covariates in their order.
fn features(graph: &mut Graph, model: &Model, steps: &Value, scale: &Value) -> Value {
    let window = model.config().window;
    let mut columns = vec![column(graph, steps)];
    for covariate in &model.config().covariates {
        columns.push(match covariate {
            Covariate::Volatility => {
                let scaler = model.scaler();
                let mean = graph.double("scaler:mean", scaler.log_scale_mean);
                let deviation = graph.double("scaler:deviation", scaler.log_scale_deviation);
                let log = graph.op("Log", &[scale]);
                let centred = graph.op("Sub", &[&log, &mean]);
                let z = graph.op("Div", &[&centred, &deviation]);
                let shape = graph.op("Shape", &[steps]);
                let z = graph.op("Expand", &[&z, &shape]);
                column(graph, &z)
            }
            Covariate::Volume => {
                let about = "logarithms of the volumes of the last steps, less their mean, over their deviation, \
                             within ±8; 0 where there is none";
                graph.input("volume", F32, &[window, 1], about)
            }
            Covariate::Calendar => {
                let about = "of the last steps: sine and cosine of the day of the week (Monday is 0) over 7, and of \
                             the time of day (UTC) over 24 h, as angles";
                graph.input("calendar", F32, &[window, 4], about)
            }
        });
    }
    let all: Vec<&Value> = columns.iter().collect();
    graph.op_with("Concat", &all, vec![int("axis", 2)])
}

/// Numbers of each step held to the range of the inputs, as one feature.
fn column(graph: &mut Graph, numbers: &Value) -> Value {
    let largest = neural::LARGEST_INPUT;
    let (low, high) = (graph.double("low", -largest), graph.double("high", largest));
    let held = graph.op("Clip", &[numbers, &low, &high]);
    let single = graph.cast(&held, F32);
    let axis = graph.whole(&[2]);
    graph.op("Unsqueeze", &[&single, &axis])
}
