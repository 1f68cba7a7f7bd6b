use clarity_testbed::onnx::{DataType, TensorProto, model_with_weights, node, value};
use rten_onnx::onnx::{AttributeProto, ModelProto};
use rten_onnx::protobuf::{DecodeMessage, ValueReader};

use super::*;

fn rewrite(model: &[u8]) -> Option<Vec<u8>> {
    super::rewrite(model, true)
}

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
fn rewrite_adds_the_defaults_of_the_standard() {
    let named = |pairs: &[(&str, &[i64])]| -> Vec<(String, Vec<i64>)> {
        let pairs = pairs.iter();
        pairs
            .map(|(name, integers)| ((*name).to_owned(), integers.to_vec()))
            .collect()
    };
    let rewritten = rewrite(&model("Conv", &["x", "w"], &[4, 3, 5, 7])).unwrap();
    let expected: [(&str, &[i64]); 3] = [
        ("strides", &[1, 1]),
        ("dilations", &[1, 1]),
        ("pads", &[0, 0, 0, 0]),
    ];
    assert_eq!(attributes(&rewritten), named(&expected));
    let rewritten = rewrite(&model("LSTM", &["x", "x", "w"], &[1, 20, 5])).unwrap();
    assert_eq!(attributes(&rewritten), named(&[("hidden_size", &[5])]));
    let rewritten = rewrite(&model("QuantizeLinear", &["x", "unknown"], &[2])).unwrap();
    assert_eq!(attributes(&rewritten), named(&[("axis", &[1])]));
}

#[test]
fn rewritten_model_needs_no_change() {
    for (operator, inputs, dims) in [
        ("Relu", &["x"][..], &[1][..]),
        ("Conv", &["x", "unknown"], &[1, 1, 2]),
        ("Softmax", &["x"], &[1]),
    ] {
        assert!(
            rewrite(&model(operator, inputs, dims)).is_none(),
            "{operator}"
        );
    }
    let rewritten = rewrite(&model("Conv", &["x", "w"], &[1, 1, 2])).unwrap();
    assert!(rewrite(&rewritten).is_none());
}

#[test]
fn rewrite_changes_nodes_of_nested_graphs_up_to_a_depth() {
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
        let rewritten = rewrite(&nested(depth)).unwrap();
        let pads = rewritten.windows(4).filter(|window| window == b"pads");
        assert_eq!(pads.count(), 1, "{depth}");
    }
    assert!(rewrite(&nested(MAX_DEPTH + 1)).is_none());
}

#[test]
fn rewrite_leaves_malformed_models_alone() {
    let good = model("Conv", &["x", "w"], &[1, 1, 2]);
    for length in 0..good.len() {
        // Neither a panic nor an endless loop.
        let _ = rewrite(&good[..length]);
    }
    for place in 0..good.len() {
        for byte in [0, 0x7f, 0xff] {
            let mut changed = good.clone();
            changed[place] = byte;
            let _ = rewrite(&changed);
        }
    }
    assert!(rewrite(b"not a model").is_none());
    assert!(rewrite(b"").is_none());
}

#[test]
fn new_names_differ_from_all_names_of_the_model() {
    let model = model("Sign", &["rewritten.41"], &[1]);
    let rewritten = parse(&rewrite(&model).unwrap()).graph.unwrap();
    let outputs = rewritten.node.iter().flat_map(|node| &node.output);
    let mut outputs: Vec<_> = outputs.cloned().collect();
    assert_eq!(outputs.first().unwrap(), "rewritten.42");
    assert_eq!(outputs.last().unwrap(), "y");
    let count = outputs.len();
    outputs.sort_unstable();
    outputs.dedup();
    assert_eq!(outputs.len(), count);
    let full = format!("rewritten.{}", u64::MAX);
    assert!(rewrite(&self::model("Sign", &[&full], &[1])).is_none());
}

#[test]
fn rewrite_stays_within_the_limit_of_replacements() {
    let nodes = (0..100_000).map(|_| node("Sign", &["x"], "y")).collect();
    let many = clarity_testbed::onnx::model(
        vec![value("x", DataType::FLOAT, &[1])],
        nodes,
        vec![value("y", DataType::FLOAT, &[1])],
    );
    assert!(rewrite(&many).is_none());
}

#[test]
fn nodes_that_rten_computes_rightly_stay() {
    let rewritten = |datatype, operator, axis| {
        let mut node = node(operator, &["x"], "y");
        node.attribute.push(AttributeProto {
            name: Some("axis".to_owned()),
            i: Some(axis),
            ..Default::default()
        });
        let model = clarity_testbed::onnx::model(
            vec![value("x", datatype, &[1, 2])],
            vec![node],
            vec![value("y", datatype, &[1, 2])],
        );
        let mut old = parse(&model);
        old.opset_import[0].version = Some(11);
        rewrite(&old.write_buf().unwrap()).is_some()
    };
    assert!(!rewritten(DataType::FLOAT, "Softmax", 1));
    assert!(rewritten(DataType::FLOAT, "Softmax", 0));
    assert!(!rewritten(DataType::INT64, "Sign", 0));
    assert!(rewritten(DataType::FLOAT, "Sign", 0));
}

#[test]
fn operators_of_inexact_elements_stay() {
    let rewritten = |datatype, data: &[i64]| {
        let constant = TensorProto {
            dims: vec![i64::try_from(data.len()).unwrap()],
            data_type: Some(datatype),
            int64_data: data.to_vec(),
            name: Some("x".to_owned()),
            ..Default::default()
        };
        let model = model_with_weights(
            Vec::new(),
            vec![node("ArgMax", &["x"], "y")],
            vec![value("y", DataType::INT64, &[1])],
            vec![constant],
        );
        rewrite(&model).is_some()
    };
    assert!(rewritten(DataType::INT64, &[1, 2]));
    assert!(!rewritten(DataType::INT64, &[1 << 40, 2 << 40]));
    assert!(!rewritten(DataType::INT64, &[1; 65]));
    assert!(!rewritten(DataType::DOUBLE, &[]));
    assert!(!rewritten(DataType::FLOAT16, &[]));
}

#[test]
fn divisions_by_numbers_that_stay_away_from_zero_stay() {
    let scalar = |name: &str, value: f32| TensorProto {
        dims: Vec::new(),
        data_type: Some(DataType::FLOAT),
        float_data: vec![value],
        name: Some(name.to_owned()),
        ..Default::default()
    };
    let rewritten = |before: &[(&str, &[&str])], inputs: [&str; 2]| {
        let before = before.iter().enumerate();
        let mut nodes: Vec<_> = before
            .map(|(place, (operator, inputs))| node(operator, inputs, &format!("v{place}")))
            .collect();
        nodes.push(node("Div", &inputs, "y"));
        let model = model_with_weights(
            vec![value("x", DataType::FLOAT, &[-1, 1])],
            nodes,
            vec![value("y", DataType::FLOAT, &[-1, 1])],
            vec![
                scalar("eps", 1e-5),
                scalar("least", 1e-12),
                scalar("one", 1.0),
                scalar("two", 2.0),
                scalar("tiny", 1e-42),
            ],
        );
        let operators = |rewritten: Vec<u8>| {
            let nodes = parse(&rewritten).graph.unwrap().node;
            let operators = nodes.into_iter().map(|node| node.op_type.unwrap());
            operators.collect::<Vec<_>>()
        };
        rewrite(&model).map(operators)
    };
    let square = ("Mul", &["x", "x"][..]);
    let power = ("Pow", &["x", "two"][..]);
    for nodes in [
        &[
            square,
            ("ReduceMean", &["v0"]),
            ("Add", &["v1", "eps"]),
            ("Sqrt", &["v2"]),
        ][..],
        &[
            power,
            ("ReduceSum", &["v0"]),
            ("Sqrt", &["v1"]),
            ("Add", &["v2", "eps"]),
        ],
        &[("ReduceL2", &["x"]), ("Max", &["v0", "least"])],
        &[("ReduceL2", &["x"]), ("Clip", &["v0", "least"])],
        &[
            ("Abs", &["x"]),
            ("ReduceMax", &["v0"]),
            ("Add", &["v1", "least"]),
        ],
        &[("Exp", &["x"]), ("Add", &["one", "v0"])],
        &[("Sigmoid", &["x"]), ("Sub", &["two", "v0"])],
        &[("Abs", &["x"]), ("Add", &["v0", "eps"]), ("Neg", &["v1"])],
        &[
            ("Sigmoid", &["x"]),
            ("Add", &["v0", "eps"]),
            ("Div", &["v1", "two"]),
        ],
        &[
            ("Sigmoid", &["x"]),
            ("Add", &["v0", "one"]),
            ("Reciprocal", &["v1"]),
        ],
        &[
            ("Relu", &["x"]),
            ("Add", &["v0", "one"]),
            ("Div", &["v0", "v1"]),
            ("Add", &["v2", "one"]),
        ],
        &[
            ("Softmax", &["x"]),
            ("Add", &["v0", "one"]),
            ("ReduceMean", &["v1"]),
        ],
        &[("Identity", &["one"])],
    ] {
        let divisor = format!("v{}", nodes.len() - 1);
        assert_eq!(rewritten(nodes, ["x", &divisor]), None, "{nodes:?}");
    }
    assert_eq!(rewritten(&[], ["one", "x"]).unwrap(), ["Reciprocal"]);
    for nodes in [
        &[("Exp", &["x"][..])][..],
        &[("Sqrt", &["x"])],
        &[("Sigmoid", &["x"])],
        &[("Softmax", &["x"])],
        &[("Add", &["x", "one"])],
        &[("Relu", &["x"]), ("Add", &["v0", "tiny"])],
        &[("Sub", &["eps", "least"]), ("Mul", &["x", "v0"])],
        &[
            ("Relu", &["x"]),
            ("Add", &["v0", "one"]),
            ("Div", &["one", "v1"]),
            ("Mul", &["v2", "v2"]),
        ],
        &[("ReduceSum", &["x"])],
    ] {
        let divisor = format!("v{}", nodes.len() - 1);
        assert!(rewritten(nodes, ["x", &divisor]).is_some(), "{nodes:?}");
    }
}

/// Two nodes with one output: branches of an `If` can share a name.
#[test]
fn divisions_of_one_name_and_different_forms_stay() {
    let rewritten = |dividends: [&str; 2]| {
        let model = model_with_weights(
            vec![value("x", DataType::FLOAT, &[-1])],
            dividends
                .map(|dividend| node("Div", &[dividend, "x"], "y"))
                .to_vec(),
            vec![value("y", DataType::FLOAT, &[-1])],
            vec![TensorProto {
                data_type: Some(DataType::FLOAT),
                float_data: vec![1.0],
                name: Some("one".to_owned()),
                ..Default::default()
            }],
        );
        rewrite(&model).is_some()
    };
    assert!(rewritten(["x", "x"]));
    assert!(rewritten(["one", "one"]));
    assert!(!rewritten(["one", "x"]));
}
