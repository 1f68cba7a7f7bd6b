//! `ArgMax` and `ArgMin`.
//!
//! Of equal elements, rten returns the last index. The standard wants the first one, which `TopK`
//! returns; only with `select_last_index` it wants the last one.

use super::attribute;
use super::node::Node;
use super::replacement::Replacement;

const SELECT_LAST: &[u8] = b"select_last_index";

pub(super) fn replace(node: &Node<'_>, mut to: Replacement<'_, '_>) -> Option<Vec<Vec<u8>>> {
    let (input, output) = (node.input(0)?, node.single_output()?);
    let last = node.integer_or(SELECT_LAST, 0) != 0;
    if last {
        let attributes = node.attributes_without(&[SELECT_LAST]);
        to.add_into(node.operator, &node.inputs, &attributes, &[output])?;
        return Some(to.finish());
    }
    let axis = node.integer_or(b"axis", 0);
    let keeps_axis = node.integer_or(b"keepdims", 1) != 0;
    let mut attributes = vec![
        attribute::integer(b"axis", axis),
        attribute::integer(b"largest", (node.operator == b"ArgMax").into()),
    ];
    let count = match to.opset {
        // `k` was an attribute before version 10.
        ..10 => {
            attributes.push(attribute::integer(b"k", 1));
            None
        }
        _ => Some(to.integers(&[1])?),
    };
    let mut inputs = vec![input];
    inputs.extend(count.as_deref());
    let elements = to.name()?;
    if keeps_axis {
        to.add_into(b"TopK", &inputs, &attributes, &[&elements, output])?;
        return Some(to.finish());
    }
    let indices = to.name()?;
    to.add_into(b"TopK", &inputs, &attributes, &[&elements, &indices])?;
    match to.opset {
        // `axes` was an attribute before version 13.
        ..13 => {
            let axes = [attribute::integers(b"axes", &[axis])];
            to.add_into(b"Squeeze", &[&indices], &axes, &[output])?;
        }
        _ => {
            let axes = to.integers(&[axis])?;
            to.add_into(b"Squeeze", &[&indices, &axes], &[], &[output])?;
        }
    }
    Some(to.finish())
}
