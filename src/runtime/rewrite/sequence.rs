//! `SequenceInsert` at a negative position.
//!
//! A negative position counts from the end of the sequence before the insertion. rten counts from
//! the end of the sequence after it.

use super::attribute;
use super::known::INT64;
use super::node::Node;
use super::replacement::Replacement;
use super::scope::Scopes;

/// More elements than a sequence can have.
const FAR: i64 = 1 << 30;

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
    let is_negative = |position: &[u8], to: &mut Replacement<'_, '_>| {
        let negative = to.add(b"Less", &[position, &zero], &[])?;
        to.add(b"Cast", &[&negative], std::slice::from_ref(&integer))
    };
    let position = to.add(b"Cast", &[position], std::slice::from_ref(&integer))?;
    let from_end = is_negative(&position, &mut to)?;
    let length = to.add(b"SequenceLength", &[node.input(0)?], &[])?;
    let more = to.add(b"Mul", &[&length, &from_end], &[])?;
    let position = to.add(b"Add", &[&position, &more], &[])?;
    // A position before the beginning becomes one behind the end: an error as well.
    let outside = is_negative(&position, &mut to)?;
    let far = to.integer(FAR)?;
    let far = to.add(b"Mul", &[&outside, &far], &[])?;
    let position = to.add(b"Max", &[&position, &zero], &[])?;
    let position = to.add(b"Add", &[&position, &far], &[])?;
    let inputs = [node.input(0)?, node.input(1)?, &position];
    to.add_into(node.operator, &inputs, &[], &[node.single_output()?])?;
    Some(to.finish())
}
