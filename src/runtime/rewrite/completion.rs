//! Attributes that the standard lets a model omit, but that rten needs.
//!
//! The standard has a default for most attributes of operators. rten takes some attributes as
//! given, or takes another default. The standard's defaults are:
//!
//! - `Conv`, `ConvInteger`, `ConvTranspose`: `strides` and `dilations` of 1 and `pads` of 0 along
//!   each axis. The number of axes follows from the weights if `kernel_shape` is missing, too.
//! - `MaxPool`, `AveragePool`: `strides` of 1 along each axis.
//! - `LSTM`, `GRU`: `hidden_size` follows from the recurrence weights.
//! - `QuantizeLinear`: `axis` 1.
//! - `Softmax`, `LogSoftmax` before version 13 and `Concat` before version 4: `axis` 1.

use super::attribute;
use super::node::Node;
use super::scope::Scopes;

/// The maximum number of spatial axes of a convolution that is completed.
// A length comes from the model, and bounds what is written.
const MAX_AXES: usize = 8;

/// The encoded attributes that the node lacks and rten needs.
pub(super) fn missing(node: &Node<'_>, known: &Scopes<'_>, opset: u64) -> Vec<Vec<u8>> {
    if !node.is_standard {
        return Vec::new();
    }
    let shape = |input: usize| known.shape(node.inputs.get(input)?);
    let axis = |axis| integer(node, b"axis", axis);
    let missing = match node.operator {
        b"Conv" | b"ConvInteger" | b"ConvTranspose" => {
            return missing_of_convolution(node, shape(1));
        }
        b"MaxPool" | b"AveragePool" => {
            let kernel = node.integers(b"kernel_shape");
            kernel.and_then(|kernel| list(node, b"strides", 1, kernel.len()))
        }
        b"LSTM" | b"GRU" => {
            let size = shape(2).and_then(|shape| shape.get(2).copied());
            let size = size.filter(|size| *size > 0);
            size.and_then(|size| integer(node, b"hidden_size", size))
        }
        // With one scale for the whole tensor, the axis has no meaning.
        b"QuantizeLinear" if shape(1).is_none_or(|shape| shape.len() == 1 && shape[0] != 1) => {
            axis(1)
        }
        b"Softmax" | b"LogSoftmax" if opset < 13 => axis(1),
        b"Concat" if opset < 4 => axis(1),
        _ => None,
    };
    missing.into_iter().collect()
}

fn missing_of_convolution(node: &Node<'_>, weights: Option<&[i64]>) -> Vec<Vec<u8>> {
    if node.attribute(b"kernel_shape").is_some() {
        return Vec::new();
    }
    let length = |name| Some(node.integers(name)?.len());
    let axes = weights
        .and_then(|shape| shape.len().checked_sub(2))
        .or_else(|| length(b"strides"))
        .or_else(|| length(b"dilations"))
        .or_else(|| Some(length(b"pads")? / 2));
    let Some(axes) = axes.filter(|axes| (1..=MAX_AXES).contains(axes)) else {
        return Vec::new();
    };
    [
        list(node, b"strides", 1, axes),
        list(node, b"dilations", 1, axes),
        list(node, b"pads", 0, 2 * axes),
    ]
    .into_iter()
    .flatten()
    .collect()
}

/// Encodes an integer attribute; `None` if the node has the attribute.
fn integer(node: &Node<'_>, name: &[u8], value: i64) -> Option<Vec<u8>> {
    let lacks = node.attribute(name).is_none();
    lacks.then(|| attribute::integer(name, value))
}

/// Encodes an attribute that is a list of equal integers; `None` if the node has the attribute.
fn list(node: &Node<'_>, name: &[u8], value: i64, length: usize) -> Option<Vec<u8>> {
    let lacks = node.attribute(name).is_none();
    lacks.then(|| attribute::integers(name, &vec![value; length]))
}
