//! `SequenceInsert` at a negative position.
//!
//! A negative position counts from the end of the sequence before the insertion. rten counts from
//! the end of the sequence after it.

use super::attribute;
use super::known::INT64;
use super::node::Node;
use super::replacement::Replacement;
use super::scope::Scopes;

pub(super) fn replace(
    node: &Node<'_>,
    known: &Scopes<'_>,
    mut to: Replacement<'_, '_>,
) -> Option<Vec<Vec<u8>>> {
    let position = node.input(2)?;
    if matches!(known.integers(position), Some([place]) if *place >= 0) {
        return None;
    }
    let zero = to.integer(0)?;
    let integer = attribute::integer(b"to", INT64.cast_signed());
    let position = to.add(b"Cast", &[position], std::slice::from_ref(&integer))?;
    let negative = to.add(b"Less", &[&position, &zero], &[])?;
    let one = to.add(b"Cast", &[&negative], &[integer])?;
    let position = to.add(b"Sub", &[&position, &one], &[])?;
    let attributes = node.attributes_without(&[]);
    to.add_changed(
        node,
        &[node.inputs[0], node.inputs[1], &position],
        &attributes,
    );
    Some(to.finish())
}
