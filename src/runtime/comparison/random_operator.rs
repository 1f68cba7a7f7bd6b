//! Finds an operator that draws random numbers.

use std::ops::Range;

use crate::runtime::protobuf::{ProtoField, ProtoValue};

/// The numbers of fields of `ModelProto`.
const GRAPH: u64 = 7;
const FUNCTION: u64 = 25;
/// The numbers of fields of `GraphProto` and `FunctionProto`.
const GRAPH_NODE: u64 = 1;
const FUNCTION_NODE: u64 = 7;
/// The numbers of fields of `NodeProto`.
const INPUT: u64 = 1;
const OPERATOR: u64 = 4;
const ATTRIBUTE: u64 = 5;
/// The numbers of fields of `AttributeProto`.
const ATTRIBUTE_GRAPH: u64 = 6;
const ATTRIBUTE_GRAPHS: u64 = 11;

/// The maximum depth of nested graphs.
const MAX_DEPTH: usize = 32;

/// The operators that draw random numbers, of any domain.
const RANDOM: [&[u8]; 10] = [
    b"Bernoulli",
    b"BiasDropout",
    b"BitmaskBiasDropout",
    b"BitmaskDropout",
    b"Multinomial",
    b"RandomNormal",
    b"RandomNormalLike",
    b"RandomUniform",
    b"RandomUniformLike",
    b"Sampling",
];

/// An operator of the model that can draw random numbers. `None` if there is none, or if the bytes
/// are no model.
///
/// `Dropout` counts if its input `training_mode` is present, even if that input is false.
pub(super) fn random_operator(model: &[u8]) -> Option<String> {
    let fields = ProtoField::read_all(model, 0..model.len())?;
    fields
        .into_iter()
        .find_map(|field| match (field.number, field.value) {
            (GRAPH, ProtoValue::Bytes(graph)) => in_graph(model, graph, GRAPH_NODE, 0),
            (FUNCTION, ProtoValue::Bytes(function)) => in_graph(model, function, FUNCTION_NODE, 0),
            _ => None,
        })
}

fn in_graph(model: &[u8], graph: Range<usize>, nodes: u64, depth: usize) -> Option<String> {
    let fields = ProtoField::read_all(model, graph)?;
    fields.into_iter().find_map(|field| match field.value {
        ProtoValue::Bytes(node) if field.number == nodes => in_node(model, node, depth),
        _ => None,
    })
}

fn in_node(model: &[u8], node: Range<usize>, depth: usize) -> Option<String> {
    let (mut inputs, mut operator) = (Vec::new(), 0..0);
    let mut graphs = Vec::new();
    for field in ProtoField::read_all(model, node)? {
        match (field.number, field.value) {
            (INPUT, ProtoValue::Bytes(name)) => inputs.push(name),
            (OPERATOR, ProtoValue::Bytes(name)) => operator = name,
            (ATTRIBUTE, ProtoValue::Bytes(attribute)) => {
                for field in ProtoField::read_all(model, attribute)? {
                    if let (ATTRIBUTE_GRAPH | ATTRIBUTE_GRAPHS, ProtoValue::Bytes(graph)) =
                        (field.number, field.value)
                    {
                        graphs.push(graph);
                    }
                }
            }
            _ => {}
        }
    }
    let operator = &model[operator];
    let trains = operator == b"Dropout" && inputs.get(2).is_some_and(|name| !name.is_empty());
    if trains || RANDOM.contains(&operator) {
        return Some(String::from_utf8_lossy(operator).into_owned());
    }
    if depth == MAX_DEPTH {
        return None;
    }
    let mut graphs = graphs.into_iter();
    graphs.find_map(|graph| in_graph(model, graph, GRAPH_NODE, depth + 1))
}

#[cfg(test)]
mod tests {
    use clarity_testbed::onnx::{DataType, NodeProto, model, node, value};
    use rten_onnx::onnx::{AttributeProto, GraphProto};

    use super::*;

    fn found(nodes: Vec<NodeProto>) -> Option<String> {
        let tensor = |name| value(name, DataType::FLOAT, &[2]);
        random_operator(&model(vec![tensor("x")], nodes, vec![tensor("y")]))
    }

    #[test]
    fn operators_that_draw_are_found() {
        let random = "RandomNormalLike";
        assert_eq!(
            found(vec![node(random, &["x"], "y")]).as_deref(),
            Some(random)
        );
        let two = vec![node("Abs", &["x"], "z"), node("Bernoulli", &["z"], "y")];
        assert_eq!(found(two).as_deref(), Some("Bernoulli"));
        assert_eq!(found(vec![node("Abs", &["x"], "y")]), None);
        assert_eq!(random_operator(b"no model"), None);
    }

    #[test]
    fn dropout_draws_only_in_training_mode() {
        for (inputs, expected) in [
            (&["x"][..], None),
            (&["x", "ratio"], None),
            (&["x", "ratio", ""], None),
            (&["x", "ratio", "mode"], Some("Dropout")),
        ] {
            let found = found(vec![node("Dropout", inputs, "y")]);
            assert_eq!(found.as_deref(), expected, "{inputs:?}");
        }
    }

    #[test]
    fn random_operator_of_a_branch_is_found() {
        let branch = GraphProto {
            node: vec![node("RandomUniform", &[], "z")],
            ..GraphProto::default()
        };
        let attribute = AttributeProto {
            name: Some("then_branch".to_owned()),
            g: Some(branch),
            ..AttributeProto::default()
        };
        let mut outer = node("If", &["x"], "y");
        outer.attribute.push(attribute);
        assert_eq!(found(vec![outer]).as_deref(), Some("RandomUniform"));
    }
}
