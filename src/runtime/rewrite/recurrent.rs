//! `sequence_lens` of `LSTM` and `GRU`.
//!
//! rten ignores this input. Without it, all sequences have the length of the input's first
//! dimension.

use super::completion;
use super::node::Node;
use super::replacement::Replacement;
use super::scope::{Scopes, UNKNOWN};

const LENGTHS: usize = 4;

/// Removes lengths that are constant and equal to the length of the input.
pub(super) fn replace(
    node: &Node<'_>,
    known: &Scopes<'_>,
    mut to: Replacement<'_, '_>,
) -> Option<Vec<Vec<u8>>> {
    let lengths = known.integers(node.input(LENGTHS)?)?;
    let length = *known.shape(node.input(0)?)?.first()?;
    if length == UNKNOWN || lengths.iter().any(|of_sequence| *of_sequence != length) {
        return None;
    }
    let mut inputs = node.inputs.clone();
    inputs[LENGTHS] = b"";
    let mut attributes = node.attributes_without(&[]);
    attributes.extend(completion::missing(node, known, to.opset));
    to.add_changed(node, &inputs, &attributes);
    Some(to.finish())
}
