mod exceptions;
mod forms;
mod randomness;

use clarity_testbed::onnx::{
    DataType, NodeProto, TensorProto, ValueInfoProto, model_with_weights, node, value,
};
use rten_onnx::onnx::{AttributeProto, AttributeType};

use super::*;
use crate::RtenRuntime;

#[test]
fn claims_of_rten_are_readable() {
    let claims = Claims::parse(include_str!("rten.claims")).unwrap();
    assert!(claims.by_operator.len() > 100);
    let lines = include_str!("rten.claims").lines().count();
    assert!(lines <= 600, "{lines}");
}

#[test]
fn parse_names_the_line_of_a_mistake() {
    for (text, expected) in [
        ("Abs", "line 1: expected versions after the operator"),
        ("\nAbs 6", "line 2: expected versions such as"),
        ("Abs 6.. (FLOTE)", "expected a datatype, found `FLOTE`"),
        ("Abs 6.. (FLOAT", "expected `)` after the inputs"),
        (
            "Abs 6.. (FLOAT): axis",
            "expected a condition, found `axis`",
        ),
        ("Abs 6.. (FLOAT): rule no_such", "expected a condition"),
        ("  Abs 6.. (FLOAT)", "an indented line continues no line"),
    ] {
        let error = Claims::parse(text).unwrap_err();
        assert!(error.contains(expected), "{error}");
    }
}

#[test]
fn conditions_are_numbered_and_can_be_left_out() {
    let text = "A 1..: p = 1; rank 0 in 2\n# comment\nB 1.. [q]: absent 1\n    ; present 0";
    let claims = Claims::parse(text).unwrap();
    let numbers = |operator: &str| -> Vec<usize> {
        let conditions = claims.by_operator[operator][0].conditions.iter();
        conditions.map(|each| each.number).collect()
    };
    assert_eq!((numbers("A"), numbers("B")), (vec![0, 1], vec![2, 3]));
    assert_eq!(claims.by_operator["B"][0].line, 3);
    assert_eq!(claims.to_json_lines().len(), 2);
}

fn with(mut node: NodeProto, name: &str, set: impl FnOnce(&mut AttributeProto)) -> NodeProto {
    let mut attribute = AttributeProto {
        name: Some(name.to_owned()),
        ..Default::default()
    };
    set(&mut attribute);
    node.attribute.push(attribute);
    node
}

fn integer(value: i64) -> impl FnOnce(&mut AttributeProto) {
    move |attribute| {
        attribute.r#type = Some(AttributeType::INT);
        attribute.i = Some(value);
    }
}

fn integers(values: &[i64]) -> impl FnOnce(&mut AttributeProto) + '_ {
    move |attribute| {
        attribute.r#type = Some(AttributeType::INTS);
        attribute.ints = values.to_vec();
    }
}

fn text(text: &str) -> impl FnOnce(&mut AttributeProto) + '_ {
    move |attribute| {
        attribute.r#type = Some(AttributeType::STRING);
        attribute.s = Some(text.to_owned());
    }
}

/// The refusal of a model; an empty text if it satisfies the claims.
fn refusal(inputs: &[ValueInfoProto], nodes: Vec<NodeProto>, weights: Vec<TensorProto>) -> String {
    let output = value("y", DataType::FLOAT, &[1]);
    let model = model_with_weights(inputs.to_vec(), nodes, vec![output], weights);
    let checked = RtenRuntime::new().lines_of_claims(&model);
    checked
        .err()
        .map_or(String::new(), |error| error.to_string())
}

fn refusal_of(datatype: DataType, shape: &[i64], node: NodeProto) -> String {
    refusal(&[value("x", datatype, shape)], vec![node], Vec::new())
}

#[test]
fn node_of_the_rewriting_needs_a_datatype_that_rten_computes() {
    for (datatype, is_covered) in [(DataType::FLOAT, true), (DataType::DOUBLE, false)] {
        let (input, output) = (value("x", datatype, &[1]), value("y", datatype, &[1]));
        let added = node("Sign", &["x"], "y");
        let model = model_with_weights(vec![input], vec![added], vec![output], Vec::new());
        let checked = Claims::rten().check_bytes(&model, &|_| None, &|_| true);
        assert_eq!(checked.unwrap().is_ok(), is_covered, "{datatype:?}");
    }
}

#[test]
fn forms_that_rten_computes_wrongly_are_refused() {
    let x = |operator| node(operator, &["x"], "y");
    let resize = with(
        node("Resize", &["x", "", "scales"], "y"),
        "mode",
        text("cubic"),
    );
    let scales = TensorProto {
        dims: vec![4],
        data_type: Some(DataType::FLOAT),
        float_data: vec![1.0, 1.0, 2.0, 2.0],
        name: Some("scales".to_owned()),
        ..Default::default()
    };
    let image = value("x", DataType::FLOAT, &[1, 1, 4, 4]);
    let refused = refusal(
        std::slice::from_ref(&image),
        vec![resize],
        vec![scales.clone()],
    );
    assert!(
        refused.contains("expected `mode in nearest linear`, found cubic"),
        "{refused}"
    );
    let nearest = node("Resize", &["x", "", "scales"], "y");
    assert_eq!(refusal(&[image], vec![nearest], vec![scales]), "");

    for (datatype, node, expected) in [
        (DataType::DOUBLE, x("Abs"), "found DOUBLE"),
        (DataType::FLOAT16, x("Abs"), "found FLOAT16"),
        (
            DataType::FLOAT,
            x("DynamicQuantizeLinear"),
            "no claim for the operator",
        ),
        (
            DataType::FLOAT,
            x("NonMaxSuppression"),
            "no claim for the operator",
        ),
        (
            DataType::FLOAT,
            with(x("Abs"), "other", integer(1)),
            "does not mention",
        ),
        (
            DataType::FLOAT,
            with(x("Cast"), "to", integer(2)),
            "cast_in_range",
        ),
        (
            DataType::FLOAT,
            with(x("Cast"), "to", integer(11)),
            "found DOUBLE",
        ),
        (
            DataType::FLOAT,
            with(x("ReduceL2"), "axes", integers(&[1])),
            "",
        ),
    ] {
        let refused = refusal_of(datatype, &[2, 3], node);
        assert!(refused.contains(expected), "{expected}: {refused}");
        assert_eq!(refused.is_empty(), expected.is_empty(), "{refused}");
    }
}

/// Arithmetic of INT64 holds for small inputs only, so the claims limit the inputs.
#[test]
fn arithmetic_of_int64_limits_the_inputs() {
    let limits = |nodes| {
        let inputs = vec![value("x", DataType::INT64, &[3])];
        let output = value("y", DataType::INT64, &[3]);
        let model = model_with_weights(inputs, nodes, vec![output], Vec::new());
        let covered = Claims::rten()
            .check_bytes(&model, &|_| None, &|_| false)
            .unwrap();
        covered.map(|coverage| coverage.limits)
    };
    let identity = limits(vec![node("Identity", &["x"], "y")]);
    assert_eq!(identity.unwrap(), InputLimits::WIDEST);
    let sum = limits(vec![node("Add", &["x", "x"], "y")]).unwrap();
    assert_eq!(sum.integer, Some(1 << 24));
    let product = limits(vec![node("Mul", &["x", "x"], "y")]).unwrap_err();
    assert!(product[0].condition.contains("32 bits"), "{product:?}");
}
