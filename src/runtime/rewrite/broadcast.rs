//! Elementwise operators with a constant that is a single number of several dimensions.
//!
//! The result has at least the dimensions of the constant. rten may fuse such an operator as if the
//! constant had no dimension: of `[3]` plus a 0 of the shape `[1, 1]`, it makes `[3]`.

use super::known::FLOAT;
use super::node::Node;
use super::replacement::Replacement;
use super::scope::Scopes;

/// Gives the other input the dimensions of the constant first.
pub(super) fn replace(
    node: &Node<'_>,
    known: &Scopes<'_>,
    mut to: Replacement<'_, '_>,
) -> Option<Vec<Vec<u8>>> {
    let &[left, right] = node.inputs.as_slice() else {
        return None;
    };
    let single_rank = |value: &[u8]| {
        let shape = known.constant_shape(value)?;
        let is_single = shape.iter().all(|size| *size == 1);
        let is_float = known.element(value) == Some(FLOAT);
        // One dimension is common, and nearly never more than the other input has.
        (is_single && is_float && (2..=8).contains(&shape.len())).then_some(shape.len())
    };
    let (place, rank) = match (single_rank(left), single_rank(right)) {
        (Some(rank), None) => (1, rank),
        (None, Some(rank)) => (0, rank),
        _ => return None,
    };
    let other = node.inputs[place];
    if known.shape(other).is_some_and(|shape| shape.len() >= rank) {
        return None;
    }
    let ones = to.integers(&vec![1; rank])?;
    let expanded = to.add(b"Expand", &[other, &ones], &[])?;
    let mut inputs = node.inputs.clone();
    inputs[place] = &expanded;
    to.add_changed(node, &inputs, &node.attributes_without(&[]));
    Some(to.finish())
}
