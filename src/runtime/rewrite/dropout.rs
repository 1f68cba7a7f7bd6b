//! `Dropout`, which does nothing outside of training.

use super::node::Node;
use super::replacement::Replacement;
use super::scope::Scopes;

pub(super) fn replace(
    node: &Node<'_>,
    known: &Scopes<'_>,
    mut to: Replacement<'_, '_>,
) -> Option<Vec<Vec<u8>>> {
    let (input, output) = (node.input(0)?, node.single_output()?);
    // Before version 7, an attribute selects between training and the use of the model.
    let is_training = match node.input(2) {
        Some(training) => known.integers(training) != Some(&[0]),
        None => to.opset < 7,
    };
    if is_training {
        return None;
    }
    to.add_into(b"Identity", &[input], &[], &[output])?;
    Some(to.finish())
}
