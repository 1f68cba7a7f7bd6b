//! `ConvInteger`.
//!
//! rten pads the input with a number that is not the zero point. And for more than one item in a
//! batch, it takes the kernel's zero point as 0, after it has made an INT8 kernel UINT8 by adding
//! 128.

use super::attribute;
use super::known::{INT8, INT32, INT64, UINT8};
use super::matmul_integer::are_products_exact;
use super::node::Node;
use super::padding::with_pads;
use super::replacement::Replacement;
use super::scope::Scopes;
use super::windows::{Windows, around_spatial_axes};

const INPUT_ZERO: usize = 2;
const KERNEL_ZERO: usize = 3;

pub(super) fn replace(
    node: &Node<'_>,
    known: &Scopes<'_>,
    mut to: Replacement<'_, '_>,
) -> Option<Vec<Vec<u8>>> {
    let windows = Windows::read(node, known.shape_of_input(node, 1))?;
    let (input, kernel) = (node.input(0)?, node.input(1)?);
    let padded = match windows.fixed_pads(known.shape(input)) {
        Some(pads) if pads.iter().all(|pad| *pad == 0) => None,
        Some(pads) => Some(to.integers(&around_spatial_axes(&pads))?),
        None => Some(windows.computed_pads(input, &mut to)?),
    };
    let padded = match padded {
        None => None,
        Some(pads) => {
            let inputs = [input, &pads, node.input(INPUT_ZERO).unwrap_or_default()];
            let omitted = usize::from(node.input(INPUT_ZERO).is_none());
            Some(to.add(b"Pad", &inputs[..inputs.len() - omitted], &[])?)
        }
    };
    let input = padded.as_deref().unwrap_or(input);
    let unpadded = vec![0; 2 * windows.axes()];
    let attributes = with_pads(node, known, &unpadded, to.opset);
    if is_zero_forgotten(node, known, &windows) {
        let output = node.single_output().filter(|_| are_products_exact())?;
        corrected(node, known, (input, kernel, output), &attributes, &mut to)?;
        return Some(to.finish());
    }
    padded.as_ref()?;
    let mut inputs = node.inputs.clone();
    inputs[0] = input;
    to.add_changed(node, &inputs, &attributes);
    Some(to.finish())
}

/// Whether rten may take a zero point of the kernel as 0.
fn is_zero_forgotten(node: &Node<'_>, known: &Scopes<'_>, windows: &Windows) -> bool {
    let shape = |input| known.shape(node.input(input)?);
    let groups = node.integer_or(b"group", 1);
    let is_single = shape(0).is_some_and(|shape| shape.first() == Some(&1));
    let is_depthwise = shape(1).is_some_and(|shape| matches!(shape, [of, 1, ..] if *of == groups));
    let is_pointwise = groups == 1 && windows.are_elements();
    let element = node.input(1).and_then(|kernel| known.element(kernel));
    let is_zero = element == Some(UINT8)
        && node.input(KERNEL_ZERO).is_none_or(|zero| {
            let zeros = known.integers(zero);
            zeros.is_some_and(|zeros| zeros.iter().all(|zero| *zero == 0))
        });
    !(is_single || is_depthwise || is_pointwise || is_zero)
}

/// Adds nodes that convolve with a zero point of 0, and subtract the sum of each window times the
/// zero point.
fn corrected(
    node: &Node<'_>,
    known: &Scopes<'_>,
    (input, kernel, output): (&[u8], &[u8], &[u8]),
    attributes: &[Vec<u8>],
    to: &mut Replacement<'_, '_>,
) -> Option<()> {
    let element = known
        .element(kernel)
        .filter(|element| matches!(*element, INT8 | UINT8))?;
    let mut shape = known.shape(kernel)?.to_vec();
    let cast = |element: u64| attribute::integer(b"to", element.cast_signed());
    let shift = match element {
        INT8 => Some(to.integer(128)?),
        _ => None,
    };
    let shifted = |value: &[u8], to: &mut Replacement<'_, '_>| {
        let wide = to.add(b"Cast", &[value], &[cast(INT64)])?;
        match &shift {
            Some(shift) => to.add(b"Add", &[&wide, shift], &[]),
            None => Some(wide),
        }
    };
    let wide = shifted(kernel, to)?;
    let kernel = to.add(b"Cast", &[&wide], &[cast(UINT8)])?;
    let zero = match node.input(KERNEL_ZERO) {
        Some(zero) => shifted(zero, to)?,
        None => to.integer(128)?,
    };
    let zero = to.add(b"Cast", &[&zero], &[cast(INT32)])?;
    let mut along_channels = vec![1; shape.len().checked_sub(1)?];
    along_channels[0] = -1;
    let along_channels = to.integers(&along_channels)?;
    let zero = to.add(b"Reshape", &[&zero, &along_channels], &[])?;
    // With one group, all output channels have the same sums.
    if node.integer_or(b"group", 1) == 1 {
        shape[0] = 1;
    }
    let shape = to.integers(&shape)?;
    let one = to.integer(1)?;
    let one = to.add(b"Cast", &[&one], &[cast(UINT8)])?;
    let ones = to.add(b"Expand", &[&one, &shape], &[])?;
    let convolve = |kernel: &[u8], to: &mut Replacement<'_, '_>| {
        let mut inputs = vec![input, kernel];
        inputs.extend(node.input(INPUT_ZERO));
        to.add(b"ConvInteger", &inputs, attributes)
    };
    let products = convolve(&kernel, to)?;
    let sums = convolve(&ones, to)?;
    let excess = to.add(b"Mul", &[&sums, &zero], &[])?;
    to.add_into(b"Sub", &[&products, &excess], &[], &[output])?;
    Some(())
}
