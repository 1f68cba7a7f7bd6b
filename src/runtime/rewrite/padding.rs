//! `auto_pad` of `Conv`, `ConvTranspose`, `MaxPool` and `AveragePool`.
//!
//! rten computes `SAME_LOWER` as `SAME_UPPER`.

use super::node::Node;
use super::replacement::Replacement;
use super::scope::Scopes;
use super::windows::{AUTO_PAD, PADS, Windows};
use super::{attribute, completion};

pub(super) fn replace(
    node: &Node<'_>,
    known: &Scopes<'_>,
    mut to: Replacement<'_, '_>,
) -> Option<Vec<Vec<u8>>> {
    if node.string(AUTO_PAD) != Some(b"SAME_LOWER") {
        return None;
    }
    let windows = Windows::read(node, known.shape_of_input(node, 1))?;
    let input = node.input(0)?;
    let mut inputs = node.inputs.clone();
    let padded;
    let fixed = match node.operator {
        b"ConvTranspose" => {
            let default = vec![0; windows.axes()];
            let output_padding = node.integers(b"output_padding").unwrap_or(&default);
            Some(windows.transposed_pads(output_padding)?)
        }
        _ => windows.fixed_pads(known.shape(input)),
    };
    let pads = match fixed {
        Some(pads) => pads,
        None if node.operator == b"Conv" => {
            let pads = windows.computed_pads(input, &mut to)?;
            padded = to.add(b"Pad", &[input, &pads], &[])?;
            inputs[0] = &padded;
            vec![0; 2 * windows.axes()]
        }
        // The padding of a pooling is no number.
        None => return None,
    };
    let attributes = with_pads(node, known, &pads, to.opset);
    to.add_changed(node, &inputs, &attributes);
    Some(to.finish())
}

/// The encoded attributes of a node with explicit padding, including those that it lacks.
pub(super) fn with_pads(
    node: &Node<'_>,
    known: &Scopes<'_>,
    pads: &[i64],
    opset: u64,
) -> Vec<Vec<u8>> {
    let mut attributes = node.attributes_without(&[PADS, AUTO_PAD]);
    attributes.push(attribute::integers(PADS, pads));
    let missing = completion::missing(node, known, opset);
    attributes.extend(
        missing
            .into_iter()
            .filter(|encoded| !attribute::is_named(encoded, PADS)),
    );
    attributes
}
