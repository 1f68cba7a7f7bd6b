//! Builds small ONNX models in memory.

pub use rten_onnx::onnx::{DataType, NodeProto, TensorProto, ValueInfoProto};
use rten_onnx::onnx::{
    Dimension, GraphProto, ModelProto, OperatorSetIdProto, TensorShapeProto, TypeProto,
    TypeProtoTensor,
};

/// The size that stands for a dynamic dimension.
pub const OPEN: i64 = -1;

/// An input or output. A size of [`OPEN`] becomes a dynamic dimension named `n`.
#[must_use]
pub fn value(name: &str, datatype: DataType, shape: &[i64]) -> ValueInfoProto {
    let dim = shape.iter().map(|&size| {
        let mut dimension = Dimension::default();
        match size {
            OPEN => dimension.dim_param = Some("n".to_owned()),
            size => dimension.dim_value = Some(size),
        }
        dimension
    });
    let tensor = TypeProtoTensor {
        elem_type: Some(datatype),
        shape: Some(TensorShapeProto { dim: dim.collect() }),
    };
    ValueInfoProto {
        name: Some(name.to_owned()),
        r#type: Some(TypeProto {
            tensor_type: Some(tensor),
            sequence: None,
        }),
    }
}

/// A node with one output.
#[must_use]
pub fn node(operator: &str, inputs: &[&str], output: &str) -> NodeProto {
    NodeProto {
        op_type: Some(operator.to_owned()),
        name: Some(output.to_owned()),
        input: inputs.iter().map(|&input| input.to_owned()).collect(),
        output: vec![output.to_owned()],
        ..NodeProto::default()
    }
}

/// The bytes of a model without weights.
#[must_use]
pub fn model(
    inputs: Vec<ValueInfoProto>,
    nodes: Vec<NodeProto>,
    outputs: Vec<ValueInfoProto>,
) -> Vec<u8> {
    model_with_weights(inputs, nodes, outputs, Vec::new())
}

/// The bytes of a model with the given weights.
///
/// # Panics
///
/// When the model cannot be encoded.
#[must_use]
pub fn model_with_weights(
    inputs: Vec<ValueInfoProto>,
    nodes: Vec<NodeProto>,
    outputs: Vec<ValueInfoProto>,
    weights: Vec<TensorProto>,
) -> Vec<u8> {
    let graph = GraphProto {
        node: nodes,
        initializer: weights,
        input: inputs,
        output: outputs,
        ..GraphProto::default()
    };
    let opset = OperatorSetIdProto {
        domain: Some(String::new()),
        version: Some(17),
    };
    let model = ModelProto {
        ir_version: Some(8),
        graph: Some(graph),
        opset_import: vec![opset],
        ..ModelProto::default()
    };
    model.write_buf().expect("a model can be encoded in memory")
}
