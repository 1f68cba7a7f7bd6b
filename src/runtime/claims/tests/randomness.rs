//! Nodes that draw random numbers.

use clarity_testbed::onnx::model;
use rten_onnx::onnx::GraphProto;

use super::*;

/// The operators that draw in a model of these nodes.
fn drawing(nodes: Vec<NodeProto>, weights: Vec<TensorProto>) -> Vec<String> {
    let tensor = |name| value(name, DataType::FLOAT, &[2]);
    let model = model_with_weights(vec![tensor("x")], nodes, vec![tensor("y")], weights);
    let found = random_nodes(&model).unwrap().into_iter();
    found.map(|node| node.operator).collect()
}

#[test]
fn operators_that_draw_are_found() {
    for operator in ["RandomNormalLike", "Multinomial"] {
        let nodes = vec![node("Abs", &["x"], "z"), node(operator, &["z"], "y")];
        assert_eq!(drawing(nodes, Vec::new()), [operator]);
    }
    let mut sampling = node("Sampling", &["x"], "y");
    sampling.domain = Some("com.microsoft".to_owned());
    assert_eq!(
        drawing(vec![sampling], Vec::new()),
        ["com.microsoft.Sampling"]
    );
    assert!(drawing(vec![node("Abs", &["x"], "y")], Vec::new()).is_empty());
    assert!(random_nodes(b"no model").is_err());
}

#[test]
fn dropout_draws_only_if_it_can_train() {
    let mode = |training: bool| TensorProto {
        data_type: Some(DataType::BOOL),
        int32_data: vec![training.into()],
        name: Some("mode".to_owned()),
        ..Default::default()
    };
    for (inputs, weights, draws) in [
        (&["x"][..], Vec::new(), false),
        (&["x", "ratio"], Vec::new(), false),
        (&["x", "ratio", ""], Vec::new(), false),
        (&["x", "ratio", "mode"], vec![mode(false)], false),
        (&["x", "ratio", "mode"], vec![mode(true)], true),
        (&["x", "ratio", "mode"], Vec::new(), true),
    ] {
        let found = drawing(vec![node("Dropout", inputs, "y")], weights);
        assert_eq!(!found.is_empty(), draws, "{inputs:?}: {found:?}");
    }
}

#[test]
fn random_operator_of_a_branch_is_found() {
    let tensor = |name| value(name, DataType::FLOAT, &[2]);
    let branch = GraphProto {
        node: vec![node("RandomUniform", &[], "z")],
        output: vec![tensor("z")],
        ..Default::default()
    };
    for (operator, attribute) in [("If", "then_branch"), ("Scan", "body")] {
        let mut outer = node(operator, &["x"], "y");
        outer.attribute.push(AttributeProto {
            name: Some(attribute.to_owned()),
            r#type: Some(AttributeType::GRAPH),
            g: Some(branch.clone()),
            ..Default::default()
        });
        let model = model(vec![tensor("x")], vec![outer], vec![tensor("y")]);
        let found = random_nodes(&model).unwrap();
        assert_eq!(found.len(), 1, "{operator}: {found:?}");
        assert_eq!(found[0].operator, "RandomUniform");
    }
}
