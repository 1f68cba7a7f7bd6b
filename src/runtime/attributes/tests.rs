use clarity_testbed::onnx::{DataType, TensorProto, model_with_weights, node, value};
use rten_onnx::onnx::ModelProto;
use rten_onnx::protobuf::{DecodeMessage, ValueReader};

use super::*;

fn parse(model: &[u8]) -> ModelProto {
    ModelProto::decode(ValueReader::from_buf(model)).unwrap()
}

fn weights(name: &str, dims: &[i64]) -> TensorProto {
    let count: i64 = dims.iter().product();
    TensorProto {
        dims: dims.to_vec(),
        data_type: Some(DataType::FLOAT),
        float_data: vec![0.5; usize::try_from(count).unwrap()],
        name: Some(name.to_owned()),
        ..Default::default()
    }
}

fn model(operator: &str, inputs: &[&str], dims: &[i64]) -> Vec<u8> {
    model_with_weights(
        vec![value("x", DataType::FLOAT, &[1, 2])],
        vec![node(operator, inputs, "y")],
        vec![value("y", DataType::FLOAT, &[1, 2])],
        vec![weights("w", dims)],
    )
}

/// The integers of the attributes of the first node, by name.
fn attributes(model: &[u8]) -> Vec<(String, Vec<i64>)> {
    let graph = parse(model).graph.unwrap();
    let attributes = graph.node[0].attribute.iter();
    let integers = |attribute: &rten_onnx::onnx::AttributeProto| {
        let integers = attribute.ints.iter().copied().chain(attribute.i);
        (attribute.name.clone().unwrap(), integers.collect())
    };
    attributes.map(integers).collect()
}

#[test]
fn complete_adds_the_defaults_of_the_standard() {
    let named = |pairs: &[(&str, &[i64])]| -> Vec<(String, Vec<i64>)> {
        let pairs = pairs.iter();
        pairs
            .map(|(name, integers)| ((*name).to_owned(), integers.to_vec()))
            .collect()
    };
    let completed = complete(&model("Conv", &["x", "w"], &[4, 3, 5, 7])).unwrap();
    let expected: [(&str, &[i64]); 3] = [
        ("strides", &[1, 1]),
        ("dilations", &[1, 1]),
        ("pads", &[0, 0, 0, 0]),
    ];
    assert_eq!(attributes(&completed), named(&expected));
    let completed = complete(&model("LSTM", &["x", "x", "w"], &[1, 20, 5])).unwrap();
    assert_eq!(attributes(&completed), named(&[("hidden_size", &[5])]));
    let completed = complete(&model("QuantizeLinear", &["x", "w"], &[2])).unwrap();
    assert_eq!(attributes(&completed), named(&[("axis", &[1])]));
}

#[test]
fn completed_model_needs_no_change() {
    for (operator, inputs, dims) in [
        ("Relu", &["x"][..], &[1][..]),
        ("Conv", &["x", "unknown"], &[1, 1, 2]),
        ("Softmax", &["x"], &[1]),
        ("QuantizeLinear", &["x", "w"], &[]),
    ] {
        assert!(
            complete(&model(operator, inputs, dims)).is_none(),
            "{operator}"
        );
    }
    let completed = complete(&model("Conv", &["x", "w"], &[1, 1, 2])).unwrap();
    assert!(complete(&completed).is_none());
}

#[test]
fn complete_changes_nodes_of_nested_graphs_up_to_a_depth() {
    let nested = |depth: usize| {
        let inner = model("Conv", &["x", "w"], &[1, 1, 2]);
        let fields = ProtoField::read_all(&inner, 0..inner.len()).unwrap();
        let graph = fields.into_iter().find_map(|field| match field.value {
            ProtoValue::Bytes(graph) if field.number == GRAPH => Some(graph),
            _ => None,
        });
        let mut graph = inner[graph.unwrap()].to_vec();
        for _ in 1..depth {
            let mut attribute = Vec::new();
            write_bytes(&mut attribute, 1, b"then_branch");
            write_bytes(&mut attribute, node::ATTRIBUTE_GRAPH, &graph);
            let mut node = Vec::new();
            write_bytes(&mut node, 4, b"If");
            write_bytes(&mut node, node::ATTRIBUTE, &attribute);
            graph.clear();
            write_bytes(&mut graph, NODE, &node);
        }
        let mut import = Vec::new();
        import.extend([0x10, 17]);
        let mut model = Vec::new();
        write_bytes(&mut model, GRAPH, &graph);
        write_bytes(&mut model, OPSET_IMPORT, &import);
        model
    };
    for depth in [1, 2, MAX_DEPTH] {
        let completed = complete(&nested(depth)).unwrap();
        let pads = completed.windows(4).filter(|window| window == b"pads");
        assert_eq!(pads.count(), 1, "{depth}");
    }
    assert!(complete(&nested(MAX_DEPTH + 1)).is_none());
}

#[test]
fn complete_leaves_malformed_models_alone() {
    let good = model("Conv", &["x", "w"], &[1, 1, 2]);
    for length in 0..good.len() {
        // Neither a panic nor an endless loop.
        let _ = complete(&good[..length]);
    }
    for place in 0..good.len() {
        for byte in [0, 0x7f, 0xff] {
            let mut changed = good.clone();
            changed[place] = byte;
            let _ = complete(&changed);
        }
    }
    assert!(complete(b"not a model").is_none());
    assert!(complete(b"").is_none());
}
