//! `Softplus` of large numbers.
//!
//! rten computes the exponential of the number, which is infinite above 88.

use super::node::Node;
use super::replacement::Replacement;

/// From here on, the result and the number differ by less than half of the last digit.
const LARGE: f32 = 20.0;

pub(super) fn replace(node: &Node<'_>, mut to: Replacement<'_, '_>) -> Option<Vec<Vec<u8>>> {
    let (input, output) = (node.input(0)?, node.single_output()?);
    let large = to.float(LARGE)?;
    let is_large = to.add(b"Greater", &[input, &large], &[])?;
    let small = to.add(b"Min", &[input, &large], &[])?;
    let small = to.add(b"Softplus", &[&small], &[])?;
    to.add_into(b"Where", &[&is_large, input, &small], &[], &[output])?;
    Some(to.finish())
}
