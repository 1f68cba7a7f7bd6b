//! `Softmax` and `LogSoftmax` before version 13.
//!
//! These versions flatten the input to two dimensions: the sizes before `axis`, and the others.
//! rten computes along the one axis alone, as later versions do.

use super::attribute;
use super::node::Node;
use super::replacement::Replacement;
use super::scope::Scopes;

pub(super) fn replace(
    node: &Node<'_>,
    known: &Scopes<'_>,
    mut to: Replacement<'_, '_>,
) -> Option<Vec<Vec<u8>>> {
    let (input, output) = (node.input(0)?, node.single_output()?);
    let axis = node.integer_or(b"axis", 1);
    let is_last = |shape: &[i64]| usize::try_from(axis).is_ok_and(|axis| axis + 1 == shape.len());
    if axis == -1 || known.shape(input).is_some_and(is_last) {
        return None;
    }
    let shape = to.add(b"Shape", &[input], &[])?;
    let axis = attribute::integer(b"axis", axis);
    let flat = to.add(b"Flatten", &[input], &[axis])?;
    let last = attribute::integer(b"axis", 1);
    let softmax = to.add(node.operator, &[&flat], &[last])?;
    to.add_into(b"Reshape", &[&softmax, &shape], &[], &[output])?;
    Some(to.finish())
}
