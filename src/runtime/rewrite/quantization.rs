//! `QuantizeLinear` and `DynamicQuantizeLinear`.
//!
//! rten multiplies by the reciprocal of the scale. So a number in the middle of two steps can be
//! rounded to the wrong one: 2.5 for a scale of 0.1 is not 25 steps.

use super::attribute;
use super::known::{FLOAT, INT8, UINT8};
use super::node::Node;
use super::replacement::Replacement;
use super::scope::Scopes;

type Nodes<'r, 'a, 'n> = &'r mut Replacement<'a, 'n>;

pub(super) fn replace(
    node: &Node<'_>,
    known: &Scopes<'_>,
    mut to: Replacement<'_, '_>,
) -> Option<Vec<Vec<u8>>> {
    let (input, output) = (node.input(0)?, node.single_output()?);
    let (scale, zero) = (node.input(1)?, node.input(2));
    let is_plain = [&b"block_size"[..], b"precision", b"output_dtype"]
        .iter()
        .all(|name| node.integer_or(name, 0) == 0);
    let element = zero.map_or(Some(UINT8), |zero| known.element(zero))?;
    if !is_plain || !matches!(element, INT8 | UINT8) {
        return None;
    }
    let steps = match known.shape(scale)? {
        [] | [1] => steps_of_pair(input, &pair(scale, &mut to)?, &mut to)?,
        &[sizes] if sizes > 1 => {
            let shape = match node.integer_or(b"axis", 1) {
                axis @ ..0 => axis.checked_neg()?,
                axis => i64::try_from(known.shape(input)?.len()).ok()? - axis,
            };
            let shape = along_axis(shape, &mut to)?;
            let scale = to.add(b"Reshape", &[scale, &shape], &[])?;
            let zero = match zero {
                Some(zero) => Some(to.add(b"Reshape", &[zero, &shape], &[])?),
                None => None,
            };
            let steps = to.add(b"Div", &[input, &scale], &[])?;
            finish(&steps, zero.as_deref(), element, output, &mut to)?;
            return Some(to.finish());
        }
        _ => return None,
    };
    finish(&steps, zero, element, output, &mut to)?;
    Some(to.finish())
}

/// The shape of a vector along the axis with `after - 1` axes behind it.
fn along_axis(after: i64, to: Nodes<'_, '_, '_>) -> Option<Vec<u8>> {
    // As many dimensions as a tensor can reasonably have.
    let after = usize::try_from(after)
        .ok()
        .filter(|after| (1..=8).contains(after))?;
    let mut shape = vec![1; after];
    shape[0] = -1;
    to.integers(&shape)
}

/// A number twice: rten multiplies by the reciprocal of a divisor that is a single number.
fn pair(number: &[u8], to: Nodes<'_, '_, '_>) -> Option<Vec<u8>> {
    let two = to.integers(&[2])?;
    to.add(b"Expand", &[number, &two], &[])
}

/// The numbers divided by a scale, which is given twice.
fn steps_of_pair(input: &[u8], scales: &[u8], to: Nodes<'_, '_, '_>) -> Option<Vec<u8>> {
    let last = [-1];
    let column = match to.opset {
        // `axes` was an attribute before version 13.
        ..13 => to.add(
            b"Unsqueeze",
            &[input],
            &[attribute::integers(b"axes", &last)],
        )?,
        _ => {
            let last = to.integers(&last)?;
            to.add(b"Unsqueeze", &[input, &last], &[])?
        }
    };
    let columns = to.add(b"Div", &[&column, scales], &[])?;
    first(&columns, to)
}

/// The first element along the last axis.
fn first(pairs: &[u8], to: Nodes<'_, '_, '_>) -> Option<Vec<u8>> {
    let zero = to.integer(0)?;
    to.add(
        b"Gather",
        &[pairs, &zero],
        &[attribute::integer(b"axis", -1)],
    )
}

/// Rounds numbers of steps, adds the zero point, and casts the result.
fn finish(
    steps: &[u8],
    zero: Option<&[u8]>,
    element: u64,
    output: &[u8],
    to: Nodes<'_, '_, '_>,
) -> Option<()> {
    let mut steps = to.add(b"Round", &[steps], &[])?;
    if let Some(zero) = zero {
        let zero = to.add(b"Cast", &[zero], &[cast(FLOAT)])?;
        steps = to.add(b"Add", &[&steps, &zero], &[])?;
    }
    let (least, greatest) = match element {
        INT8 => (to.float(-128.0)?, to.float(127.0)?),
        _ => (to.float(0.0)?, to.float(255.0)?),
    };
    let clipped = to.add(b"Clip", &[&steps, &least, &greatest], &[])?;
    to.add_into(b"Cast", &[&clipped], &[cast(element)], &[output])?;
    Some(())
}

fn cast(element: u64) -> Vec<u8> {
    attribute::integer(b"to", element.cast_signed())
}

pub(super) fn replace_dynamic(
    node: &Node<'_>,
    mut to: Replacement<'_, '_>,
) -> Option<Vec<Vec<u8>>> {
    let input = node.input(0)?;
    let &[output, of_scale, of_zero] = node.outputs.as_slice() else {
        return None;
    };
    if output.is_empty() || of_scale.is_empty() || of_zero.is_empty() {
        return None;
    }
    let whole = [attribute::integer(b"keepdims", 0)];
    let (zero, one, most) = (to.float(0.0)?, to.float(1.0)?, to.float(255.0)?);
    let greatest = to.add(b"ReduceMax", &[input], &whole)?;
    let greatest = to.add(b"Max", &[&greatest, &zero], &[])?;
    let least = to.add(b"ReduceMin", &[input], &whole)?;
    let least = to.add(b"Min", &[&least, &zero], &[])?;
    let range = to.add(b"Sub", &[&greatest, &least], &[])?;
    let scales = pair(&most, &mut to)?;
    let scales = to.add(b"Div", &[&range, &scales], &[])?;
    let are_zero = to.add(b"Equal", &[&scales, &zero], &[])?;
    let scales = to.add(b"Where", &[&are_zero, &one, &scales], &[])?;
    let below = to.add(b"Div", &[&least, &scales], &[])?;
    let below = first(&below, &mut to)?;
    let above = to.add(b"Sub", &[&zero, &below], &[])?;
    let above = to.add(b"Clip", &[&above, &zero, &most], &[])?;
    let above = to.add(b"Round", &[&above], &[])?;
    to.add_into(b"Cast", &[&above], &[cast(UINT8)], &[of_zero])?;
    let index = to.integer(0)?;
    to.add_into(b"Gather", &[&scales, &index], &[], &[of_scale])?;
    let steps = steps_of_pair(input, &scales, &mut to)?;
    finish(&steps, Some(of_zero), UINT8, output, &mut to)?;
    Some(to.finish())
}
