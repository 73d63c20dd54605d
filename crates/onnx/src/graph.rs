//! A graph that grows node by node.
//!
//! Model: every operation gives back the name of what it makes, which the next one takes. Constants with the same name
//! are written once.

use crate::proto::{
    AttributeProto, Dimension, F32, F64, FLOAT, GraphProto, I64, INT, INTS, NodeProto, TensorProto,
    TensorShapeProto, TensorType, TypeProto, ValueInfoProto,
};

/// What an operation made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Value(String);

/// A graph under construction.
#[derive(Debug, Default)]
pub(crate) struct Graph {
    proto: GraphProto,
}

impl Graph {
    /// An input of the graph. The first size is the caller's: any number of series.
    pub(crate) fn input(
        &mut self,
        name: &str,
        element: i32,
        sizes: &[usize],
        about: &str,
    ) -> Value {
        self.proto
            .input
            .push(described(name, element, sizes, about));
        Value(name.into())
    }

    /// Gives a value out under a name.
    pub(crate) fn output(
        &mut self,
        value: &Value,
        name: &str,
        element: i32,
        sizes: &[usize],
        about: &str,
    ) {
        self.proto.node.push(NodeProto {
            input: vec![value.0.clone()],
            output: vec![name.into()],
            name: name.into(),
            op_type: "Identity".into(),
            attribute: Vec::new(),
        });
        self.proto
            .output
            .push(described(name, element, sizes, about));
    }

    /// The whole.
    pub(crate) fn finish(mut self, name: &str) -> GraphProto {
        self.proto.name = name.into();
        self.proto
    }

    /// A constant in single precision.
    pub(crate) fn single(&mut self, name: &str, sizes: &[usize], data: &[f32]) -> Value {
        let bytes = data.iter().flat_map(|x| x.to_le_bytes()).collect();
        self.constant(name, F32, sizes, bytes)
    }

    /// A number in double precision.
    pub(crate) fn double(&mut self, name: &str, number: f64) -> Value {
        self.constant(name, F64, &[], number.to_le_bytes().to_vec())
    }

    /// Whole numbers: axes, shapes.
    pub(crate) fn whole(&mut self, numbers: &[i64]) -> Value {
        let name = numbers.iter().map(ToString::to_string);
        let name = format!("i64:{}", name.collect::<Vec<_>>().join(","));
        let bytes = numbers.iter().flat_map(|x| x.to_le_bytes()).collect();
        self.constant(&name, I64, &[numbers.len()], bytes)
    }

    fn constant(&mut self, name: &str, element: i32, sizes: &[usize], bytes: Vec<u8>) -> Value {
        if self.proto.initializer.iter().all(|t| t.name != name) {
            self.proto.initializer.push(TensorProto {
                dims: sizes.iter().map(|n| *n as i64).collect(),
                data_type: element,
                name: name.into(),
                raw_data: bytes,
            });
        }
        Value(name.into())
    }

    /// An operation with one result.
    pub(crate) fn op(&mut self, op: &str, inputs: &[&Value]) -> Value {
        self.op_with(op, inputs, Vec::new())
    }

    /// An operation with attributes.
    pub(crate) fn op_with(
        &mut self,
        op: &str,
        inputs: &[&Value],
        attributes: Vec<AttributeProto>,
    ) -> Value {
        self.ops(op, inputs, 1, 0, attributes).remove(0)
    }

    /// An operation with several results; the first `unused` are not wanted.
    pub(crate) fn ops(
        &mut self,
        op: &str,
        inputs: &[&Value],
        results: usize,
        unused: usize,
        attribute: Vec<AttributeProto>,
    ) -> Vec<Value> {
        let name = format!("{op}_{}", self.proto.node.len());
        let made: Vec<String> = (0..results).map(|i| format!("{name}:{i}")).collect();
        let none = std::iter::repeat_n(String::new(), unused);
        self.proto.node.push(NodeProto {
            input: inputs.iter().map(|value| value.0.clone()).collect(),
            output: none.chain(made.iter().cloned()).collect(),
            name,
            op_type: op.into(),
            attribute,
        });
        made.into_iter().map(Value).collect()
    }

    /// In another shape: 0 keeps a size, -1 is what is left.
    pub(crate) fn reshape(&mut self, value: &Value, shape: &[i64]) -> Value {
        let shape = self.whole(shape);
        self.op("Reshape", &[value, &shape])
    }

    /// Its axes in another order.
    pub(crate) fn transpose(&mut self, value: &Value, order: &[i64]) -> Value {
        self.op_with("Transpose", &[value], vec![ints("perm", order)])
    }

    /// From `from` to before `to` along an axis.
    pub(crate) fn slice(&mut self, value: &Value, axis: i64, from: usize, to: usize) -> Value {
        let from = self.whole(&[from as i64]);
        let to = self.whole(&[to as i64]);
        let axis = self.whole(&[axis]);
        self.op("Slice", &[value, &from, &to, &axis])
    }

    /// The mean along an axis, which stays with size 1.
    pub(crate) fn mean(&mut self, value: &Value, axis: i64) -> Value {
        let attributes = vec![ints("axes", &[axis]), int("keepdims", 1)];
        self.op_with("ReduceMean", &[value], attributes)
    }

    /// As another type of element.
    pub(crate) fn cast(&mut self, value: &Value, element: i32) -> Value {
        self.op_with("Cast", &[value], vec![int("to", i64::from(element))])
    }
}

/// A whole number as an attribute.
pub(crate) fn int(name: &str, value: i64) -> AttributeProto {
    AttributeProto {
        name: name.into(),
        i: value,
        r#type: INT,
        ..AttributeProto::default()
    }
}

/// Whole numbers as an attribute.
pub(crate) fn ints(name: &str, values: &[i64]) -> AttributeProto {
    AttributeProto {
        name: name.into(),
        ints: values.to_vec(),
        r#type: INTS,
        ..AttributeProto::default()
    }
}

/// A number as an attribute.
pub(crate) fn float(name: &str, value: f32) -> AttributeProto {
    AttributeProto {
        name: name.into(),
        f: value,
        r#type: FLOAT,
        ..AttributeProto::default()
    }
}

fn described(name: &str, element: i32, sizes: &[usize], about: &str) -> ValueInfoProto {
    let number = |n: &usize| Dimension {
        dim_value: Some(*n as i64),
        dim_param: None,
    };
    let any = Dimension {
        dim_value: None,
        dim_param: Some("series".into()),
    };
    let dim = std::iter::once(any)
        .chain(sizes.iter().map(number))
        .collect();
    ValueInfoProto {
        name: name.into(),
        r#type: Some(TypeProto {
            tensor_type: Some(TensorType {
                elem_type: element,
                shape: Some(TensorShapeProto { dim }),
            }),
        }),
        doc_string: about.into(),
    }
}
