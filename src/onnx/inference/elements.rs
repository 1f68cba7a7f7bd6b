//! The datatypes of operators' outputs.

use crate::onnx::element_type::ElementType;
use crate::onnx::graph::AttributeValue;
use crate::onnx::graph::GraphNode;
use crate::onnx::value::Value;

/// Whether the operator draws random numbers.
pub(crate) fn is_random(operator: &str) -> bool {
    operator.starts_with("Random") || matches!(operator, "Multinomial" | "Bernoulli" | "Dropout")
}

/// The datatype of an output, and whether the output is a sequence.
pub(super) fn infer(
    node: &GraphNode<'_>,
    inputs: &[Option<&Value>],
    output: usize,
) -> (Option<ElementType>, bool) {
    let input = |position: usize| inputs.get(position).copied().flatten();
    let element = |position: usize| input(position).and_then(|value| value.element);
    let named = |attribute: &str| node.integer(attribute).map(ElementType);
    let float = Some(ElementType::FLOAT);
    let (int64, bit) = (Some(ElementType::INT64), Some(ElementType::BOOL));
    let found = match (node.operator, output) {
        (
            "Shape" | "Size" | "NonZero" | "ArgMax" | "ArgMin" | "NonMaxSuppression"
            | "SequenceLength",
            _,
        ) => int64,
        ("TopK" | "MaxPool" | "Unique", 1..) => int64,
        (
            "Equal" | "Less" | "Greater" | "LessOrEqual" | "GreaterOrEqual" | "And" | "Or" | "Xor"
            | "Not" | "IsNaN" | "IsInf",
            _,
        ) => bit,
        ("Dropout", 1) => bit,
        ("Cast" | "BitCast", _) => named("to"),
        ("CastLike" | "Where", _) => element(1),
        ("ConstantOfShape", _) => match node.attribute("value") {
            Some(AttributeValue::Tensor(tensor)) => Some(tensor.element),
            None => float,
            _ => None,
        },
        ("EyeLike" | "RandomNormalLike" | "RandomUniformLike", _) => {
            named("dtype").or_else(|| element(0))
        }
        ("RandomNormal" | "RandomUniform" | "SequenceEmpty", _) => named("dtype").or(float),
        ("OneHot", _) => element(2),
        ("ConvInteger" | "MatMulInteger" | "Multinomial", _) => Some(ElementType::INT32),
        ("QuantizeLinear", _) => match (input(2), named("output_dtype")) {
            (Some(zero_point), _) => zero_point.element,
            (None, Some(element)) if element.0 != 0 => Some(element),
            (None, _) => Some(ElementType::UINT8),
        },
        ("DequantizeLinear", _) => element(1),
        ("DynamicQuantizeLinear", 1) => float,
        ("DynamicQuantizeLinear", _) => Some(ElementType::UINT8),
        ("LayerNormalization", 1..) => float,
        _ => element(0),
    };
    let is_sequence = match node.operator {
        "SequenceConstruct" | "SequenceEmpty" | "SplitToSequence" => true,
        "SequenceAt" | "ConcatFromSequence" | "SequenceLength" => false,
        _ => input(0).is_some_and(|value| value.is_sequence),
    };
    (found, is_sequence)
}
