//! The forms of operators that ONNX Runtime 1.32 is known to compute wrongly.
//!
//! ONNX Runtime has no claims: it follows the standard, except for these forms. Each was measured.

use super::check::{Unmet, unmet};
use super::rules::whole_sizes;
use crate::onnx::{
    AttributeValue, ElementType, InputLimits, Model, NodeInContext, Observer, Value,
};
use crate::onnx::{Inference, UnreadableGraph};

/// The datatypes FLOAT, FLOAT16, DOUBLE and BFLOAT16.
const FLOATING_POINT: [ElementType; 4] = [
    ElementType::FLOAT,
    ElementType(10),
    ElementType(11),
    ElementType(16),
];

/// Looks up each node of a model, and of the functions that the model defines.
///
/// # Errors
///
/// When the bytes are not a model.
pub(crate) fn exceptions(model: &[u8]) -> Result<Vec<Unmet>, UnreadableGraph> {
    let model = Model::read(model)?;
    let mut found = ExceptionSearch::default();
    Inference::walk(&model, &|_| None, InputLimits::WIDEST, &mut found);
    Inference::walk_functions(&model, &|_| None, &mut found);
    Ok(found.nodes)
}

/// Whether ONNX Runtime may know the operator of a node.
pub(crate) fn may_be_computed_by_onnxruntime(node: &Unmet) -> bool {
    let mut domains = ["ai.onnx.ml.", "com.microsoft."].iter();
    !node.operator.contains('.') || domains.any(|domain| node.operator.starts_with(domain))
}

#[derive(Default)]
struct ExceptionSearch {
    nodes: Vec<Unmet>,
}

impl Observer for ExceptionSearch {
    fn node(&mut self, node: &NodeInContext<'_, '_>) {
        if let Err(condition) = check(node) {
            self.nodes.push(unmet(node, condition));
        }
    }

    fn output(&mut self, _name: &str, _value: Option<&Value>) {}
}

fn check(node: &NodeInContext<'_, '_>) -> Result<(), String> {
    if node.is_function {
        return Ok(());
    }
    some_factors(node)?;
    if !node.node.domain.is_empty() {
        return Ok(());
    }
    let has_input = |position: usize| matches!(node.inputs.get(position), Some(Some(_)));
    let has_output = |position: usize| {
        let output = node.node.outputs.get(position);
        output.is_some_and(|name| !name.is_empty())
    };
    match node.node.operator {
        // The indices mean places of the smaller output.
        "MaxUnpool" if has_input(2) => Err("expected no output_shape (input 2)".to_owned()),
        // A place that the mask hides holds -3.4e38 in place of -inf.
        "Attention" if has_output(3) && hides_places(node) => {
            Err("expected no qk_matmul_output (output 3) of hidden places".to_owned())
        }
        "Resize" if is_of_function(node) => Err("expected the mode of the corners".to_owned()),
        "Resize" => whole_sizes(node).map_err(|found| {
            format!("expected whole sizes with align_corners before the rounding, found {found}")
        }),
        "Gather" => single_texts(node),
        // The output has the size of a kernel without dilations.
        "AveragePool" | "LpPool" | "MaxPool" if is_dilated(node) && is_same(node) => {
            Err("expected explicit pads with dilations".to_owned())
        }
        // Integers go through FP32.
        "Shrink" if !is_floating_point(node) => Err("expected a floating-point number".to_owned()),
        _ => Ok(()),
    }
}

/// The sums of a product of integers have at least one term.
// A sum of no terms is never written, so it holds bytes of earlier requests.
fn some_factors(node: &NodeInContext<'_, '_>) -> Result<(), String> {
    // The input, and the place of its axis from the beginning, or from the end.
    let factors = match (node.node.domain, node.node.operator) {
        ("", "MatMulInteger") => [(0, -1), (1, -2)],
        ("", "QLinearMatMul") => [(0, -1), (3, -2)],
        ("", "ConvInteger") => [(0, 1), (1, 1)],
        ("", "QLinearConv") => [(0, 1), (3, 1)],
        ("com.microsoft", "MatMulIntegerToFloat" | "DynamicQuantizeMatMul") => [(0, -1), (1, -2)],
        ("com.microsoft", "QGemm") => {
            let is_transposed = |name| node.node.integer(name).is_some_and(|flag| flag != 0);
            let column = if is_transposed("transA") { -2 } else { -1 };
            let row = if is_transposed("transB") { -1 } else { -2 };
            [(0, column), (3, row)]
        }
        _ => return Ok(()),
    };
    let has_some = |(input, axis): (usize, isize)| {
        let value = node.inputs.get(input).and_then(|input| input.as_deref());
        let Some(sizes) = value.and_then(|value| value.shape.as_ref()) else {
            return false;
        };
        let axis = match axis {
            // A vector is one row, or one column.
            -2 if sizes.len() == 1 => Some(0),
            ..0 => sizes.len().checked_add_signed(axis),
            _ => usize::try_from(axis).ok(),
        };
        let size = axis.and_then(|axis| sizes.get(axis));
        size.is_some_and(|size| size.low >= 1.0)
    };
    match factors.into_iter().any(has_some) {
        true => Ok(()),
        false => Err("expected sums of at least one product".to_owned()),
    }
}

/// Whether an attention can hide places by other means than a mask of numbers.
fn hides_places(node: &NodeInContext<'_, '_>) -> bool {
    let is_window = node
        .node
        .attributes
        .iter()
        .any(|attribute| attribute.name.contains("window"));
    let is_causal = !matches!(
        node.node.attribute("is_causal"),
        None | Some(AttributeValue::Integer(0))
    );
    let input = |position: usize| node.inputs.get(position).and_then(|input| input.as_deref());
    let mask = input(3).map(|mask| mask.element);
    let is_mask_of_bits = mask
        .is_some_and(|element| !element.is_some_and(|element| FLOATING_POINT.contains(&element)));
    is_window || is_causal || is_mask_of_bits || input(6).is_some()
}

/// Whether the transformation is an attribute of the enclosing function.
fn is_of_function(node: &NodeInContext<'_, '_>) -> bool {
    let transformation = node.node.attribute("coordinate_transformation_mode");
    matches!(transformation, Some(AttributeValue::Reference))
}

/// Texts are gathered one by one: the axes after `axis` have the size 1.
// Of several texts, ONNX Runtime copies only the first: `[["a", "b"]]` becomes `["a", ""]`.
fn single_texts(node: &NodeInContext<'_, '_>) -> Result<(), String> {
    let Some(data) = node.inputs.first().and_then(|input| input.as_deref()) else {
        return Ok(());
    };
    if data.element != Some(ElementType::STRING) {
        return Ok(());
    }
    let Some(sizes) = &data.shape else {
        return Err("expected texts of a known shape".to_owned());
    };
    let axis = node.node.integer("axis").unwrap_or(0);
    let rank = i64::try_from(sizes.len()).unwrap_or(0);
    let axis = usize::try_from(if axis < 0 { axis + rank } else { axis }).unwrap_or(0);
    let mut after = sizes.iter().skip(axis + 1);
    match after.find(|size| size.single() != Some(1.0)) {
        None => Ok(()),
        Some(size) => Err(format!("expected single texts, found blocks of {size}")),
    }
}

fn is_dilated(node: &NodeInContext<'_, '_>) -> bool {
    let dilations = node.node.integers("dilations").unwrap_or(&[]);
    dilations.iter().any(|dilation| *dilation != 1)
}

fn is_same(node: &NodeInContext<'_, '_>) -> bool {
    let padding = node.node.text("auto_pad");
    padding.is_some_and(|padding| padding.starts_with(b"SAME"))
}

fn is_floating_point(node: &NodeInContext<'_, '_>) -> bool {
    let value = node.inputs.first().and_then(|input| input.as_deref());
    let element = value.and_then(|value| value.element);
    element.is_none_or(|element| FLOATING_POINT.contains(&element))
}
