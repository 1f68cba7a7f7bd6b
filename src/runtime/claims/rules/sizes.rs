//! Conditions on ranks and sizes.

use super::input;
use crate::onnx::{ElementType, NodeInContext, Value};

/// The kernel has at most two axes.
pub(super) fn few_axes(node: &NodeInContext<'_, '_>) -> Result<(), String> {
    match node.node.integers("kernel_shape").unwrap_or(&[]).len() {
        0..=2 => Ok(()),
        axes => Err(format!("a kernel of {axes} axes")),
    }
}

/// With `auto_pad` SAME, a window covers at least its stride without one element.
// A smaller window means a negative padding, which some runtimes apply and some leave out.
pub(super) fn covering_windows(node: &NodeInContext<'_, '_>) -> Result<(), String> {
    let padding = node.node.text("auto_pad").unwrap_or(b"NOTSET");
    let strides = node.node.integers("strides").unwrap_or(&[]);
    if !padding.starts_with(b"SAME") || strides.iter().all(|stride| *stride <= 2) {
        return Ok(());
    }
    let dilations = node.node.integers("dilations").unwrap_or(&[]);
    let weights = input(node, 1).and_then(|weights| weights.shape.as_ref());
    for (axis, stride) in strides.iter().enumerate() {
        let size = match node.node.integers("kernel_shape") {
            Some(sizes) => sizes.get(axis).map(|size| *size as f64),
            None => weights.and_then(|sizes| Some(sizes.get(axis + 2)?.low)),
        };
        let size = size.ok_or("a window of an unknown size")?;
        let dilation = dilations.get(axis).copied().unwrap_or(1) as f64;
        if (size - 1.0) * dilation + 2.0 < *stride as f64 {
            return Err(format!("a window of {size} with a stride of {stride}"));
        }
    }
    Ok(())
}

/// The new shape is constant, or not known to be shorter than the old one.
// rten infers the shapes during the load, and reads past the end of a shorter one.
pub(super) fn long_shape(node: &NodeInContext<'_, '_>) -> Result<(), String> {
    let (Some(data), Some(shape)) = (input(node, 0), input(node, 1)) else {
        return Ok(());
    };
    let length = shape.shape.as_ref().and_then(|sizes| sizes.first());
    match (data.rank(), length) {
        (Some(rank), Some(length)) if length.low < rank as f64 && !shape.is_constant => Err(
            format!("a computed shape of {length} sizes for {rank} dimensions"),
        ),
        _ => Ok(()),
    }
}

/// No size of an input is known to be 0.
pub(super) fn not_empty(node: &NodeInContext<'_, '_>) -> Result<(), String> {
    let is_empty = |position: &usize| {
        let sizes = input(node, *position).and_then(|value| value.shape.as_ref());
        sizes.is_some_and(|sizes| sizes.iter().any(|size| size.high < 1.0))
    };
    match (0..node.inputs.len()).find(is_empty) {
        None => Ok(()),
        Some(position) => Err(format!("an empty tensor in input {position}")),
    }
}

/// Elements of type INT64 come from a tensor that cannot be empty.
// The smallest of no elements is the largest INT64, and that of 32 bits in rten.
pub(super) fn no_empty_integers(node: &NodeInContext<'_, '_>) -> Result<(), String> {
    let Some(value) = input(node, 0) else {
        return Ok(());
    };
    if value.element != Some(ElementType::INT64) {
        return Ok(());
    }
    match &value.shape {
        Some(sizes) if sizes.iter().all(|size| size.low >= 1.0) => Ok(()),
        Some(_) => Err("an INT64 tensor that can be empty".to_owned()),
        None => Err("an INT64 tensor of an unknown shape".to_owned()),
    }
}

/// A factor of one dimension is not the second one after a batch of matrices.
pub(super) fn vector_product(node: &NodeInContext<'_, '_>) -> Result<(), String> {
    let rank = |position| input(node, position).and_then(Value::rank);
    match (rank(0), rank(1)) {
        (Some(0..=2), _) | (_, Some(2..)) => Ok(()),
        (_, Some(_)) => Err("a batch of matrices times a vector".to_owned()),
        (_, None) => Err("factors of unknown ranks".to_owned()),
    }
}

/// The zero points are single numbers of no dimensions, or of the size of their rows or columns.
pub(super) fn single_zero_points(node: &NodeInContext<'_, '_>) -> Result<(), String> {
    // Input 2 has a zero point for each row of input 0, and input 3 for each column of input 1.
    for (position, from_end) in [(2, 2), (3, 1)] {
        let Some(zero_point) = input(node, position) else {
            continue;
        };
        let lanes = lanes(input(node, position - 2), from_end);
        let is_single = match zero_point.shape.as_deref() {
            Some([]) => true,
            Some([size]) => size.single() == Some(1.0) && lanes == Some(1.0),
            _ => false,
        };
        if !is_single {
            return Err(format!("zero points in input {position} of another shape"));
        }
    }
    Ok(())
}

/// The size of an axis of a factor, counted from the end. A vector has one row or column.
fn lanes(factor: Option<&Value>, from_end: usize) -> Option<f64> {
    let sizes = factor?.shape.as_ref()?;
    match sizes.len() {
        0 => None,
        1 => Some(1.0),
        rank => sizes.get(rank - from_end)?.single(),
    }
}
