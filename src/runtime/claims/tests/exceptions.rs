//! Forms that ONNX Runtime computes wrongly.

use clarity_testbed::onnx::OPEN;

use super::*;

fn found(inputs: Vec<ValueInfoProto>, node: NodeProto, weights: Vec<TensorProto>) -> Vec<String> {
    let output = value("y", DataType::FLOAT, &[1]);
    let model = model_with_weights(inputs, vec![node], vec![output], weights);
    let found = exceptions(&model).unwrap().into_iter();
    found
        .map(|each| format!("{}: {}", each.operator, each.condition))
        .collect()
}

#[track_caller]
fn assert_found(inputs: Vec<ValueInfoProto>, node: NodeProto, expected: &str) {
    let found = found(inputs, node, Vec::new()).join("; ");
    assert!(found.contains(expected), "{expected}: {found}");
    assert_eq!(found.is_empty(), expected.is_empty(), "{found}");
}

#[test]
fn wrong_forms_are_found() {
    let x = || vec![value("x", DataType::FLOAT, &[1, 1, 2, 2])];
    let unpool = |inputs: &[&str]| node("MaxUnpool", inputs, "y");
    assert_found(x(), unpool(&["x", "x", "x"]), "output_shape");
    assert_found(x(), unpool(&["x", "x"]), "");
    let pool = |padding: &str, dilation: i64| {
        let pool = with(node("MaxPool", &["x"], "y"), "auto_pad", text(padding));
        with(pool, "dilations", integers(&[dilation, dilation]))
    };
    assert_found(x(), pool("SAME_UPPER", 2), "explicit pads");
    assert_found(x(), pool("SAME_UPPER", 1), "");
    assert_found(x(), pool("NOTSET", 2), "");
    let shrink = || node("Shrink", &["x"], "y");
    assert_found(x(), shrink(), "");
    let large = vec![value("x", DataType::INT32, &[1])];
    assert_found(large, shrink(), "floating-point");
    let mut attention = node("Attention", &["x", "x", "x"], "y");
    assert_found(x(), attention.clone(), "");
    attention
        .output
        .extend(["", "", "product"].map(str::to_owned));
    assert_found(x(), attention.clone(), "");
    let causal = with(attention, "is_causal", integer(1));
    assert_found(x(), causal, "qk_matmul_output");
}

/// ONNX Runtime copies the first text of each block.
#[test]
fn blocks_of_texts_are_found() {
    for (shape, axis, expected) in [
        (&[2, 3][..], 0, "blocks of 3"),
        (&[2, 3], 1, ""),
        (&[2, 3], -1, ""),
        (&[2, 3, 1], -2, ""),
        (&[3], 0, ""),
        (&[2, OPEN], 0, "blocks of"),
    ] {
        let inputs = |datatype| {
            vec![
                value("x", datatype, shape),
                value("i", DataType::INT64, &[1]),
            ]
        };
        let gather = with(node("Gather", &["x", "i"], "y"), "axis", integer(axis));
        assert_found(inputs(DataType::STRING), gather.clone(), expected);
        assert_found(inputs(DataType::FLOAT), gather, "");
    }
}

/// ONNX Runtime does not write sums of no products.
#[test]
fn integer_product_of_empty_matrices_is_found() {
    let constant = |name: &str, data_type, shape: &[i64]| TensorProto {
        dims: shape.to_vec(),
        data_type: Some(data_type),
        int32_data: vec![1; usize::try_from(shape.iter().product::<i64>()).unwrap()],
        name: Some(name.to_owned()),
        ..Default::default()
    };
    let matrices = |operator, inner| {
        let inputs = vec![
            value("x", DataType::UINT8, &[9, OPEN]),
            value("shape", DataType::INT64, &[2]),
        ];
        // The sizes of the first factor are not known.
        let first = node("Reshape", &["x", "shape"], "a");
        let product = node(operator, &["a", "b"], "y");
        let second = constant("b", DataType::UINT8, &[inner, 3]);
        (inputs, vec![first, product], vec![second])
    };
    let images = |operator, channels| {
        let weights = vec![
            constant("x", DataType::UINT8, &[1, channels, 5, 5]),
            constant("w", DataType::UINT8, &[4, channels, 3, 3]),
        ];
        (Vec::new(), vec![node(operator, &["x", "w"], "y")], weights)
    };
    let is_found = |(inputs, nodes, weights): (_, Vec<NodeProto>, _)| {
        let output = value("y", DataType::INT32, &[1]);
        let model = model_with_weights(inputs, nodes, vec![output], weights);
        !exceptions(&model).unwrap().is_empty()
    };
    for (size, expected) in [(0, true), (4, false)] {
        assert_eq!(is_found(matrices("MatMulInteger", size)), expected);
        assert_eq!(is_found(images("ConvInteger", size)), expected);
        let (inputs, mut nodes, weights) = matrices("DynamicQuantizeMatMul", size);
        nodes[1].domain = Some("com.microsoft".to_owned());
        assert_eq!(is_found((inputs, nodes, weights)), expected);
        // Sums of floating-point numbers begin at 0.
        assert!(!is_found(matrices("MatMul", size)));
    }
}

/// A refusal of rten names ONNX Runtime only if ONNX Runtime may compute the model.
#[test]
fn remedy_is_named_where_there_is_one() {
    let refused = |operator, domain: &str| {
        let mut node = node(operator, &["x"], "y");
        node.domain = Some(domain.to_owned());
        refusal_of(DataType::FLOAT, &[3], node)
    };
    for (operator, domain, has_remedy) in [
        ("Hardmax", "", true),
        ("Hardmax", "example.org", false),
        ("Gelu", "com.microsoft", true),
    ] {
        let refused = refused(operator, domain);
        assert!(refused.contains("no claim"), "{refused}");
        assert_eq!(refused.contains("clarity runtime"), has_remedy, "{refused}");
    }
}
