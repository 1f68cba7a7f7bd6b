//! Forms that ONNX Runtime computes wrongly.

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
        (&[2, clarity_testbed::onnx::OPEN], 0, "blocks of"),
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
