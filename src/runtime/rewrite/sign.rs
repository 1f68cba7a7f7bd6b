//! `Sign` of floating-point numbers.
//!
//! rten returns 1 for 0, and -1 for -0. The standard wants 0.

use super::attribute;
use super::known::{FLOAT, INT32, INT64};
use super::node::Node;
use super::replacement::Replacement;
use super::scope::Scopes;

pub(super) fn replace(
    node: &Node<'_>,
    known: &Scopes<'_>,
    mut to: Replacement<'_, '_>,
) -> Option<Vec<Vec<u8>>> {
    let (input, output) = (node.input(0)?, node.single_output()?);
    let element = known.element(input);
    if matches!(element, Some(INT32 | INT64)) {
        return None;
    }
    let is_float = element == Some(FLOAT);
    let like_input = |value: &[u8], to: &mut Replacement<'_, '_>| match is_float {
        true => to.add(
            b"Cast",
            &[value],
            &[attribute::integer(b"to", FLOAT.cast_signed())],
        ),
        false => to.add(b"CastLike", &[value, input], &[]),
    };
    let zero = to.float(0.0)?;
    let zero = if is_float {
        zero
    } else {
        like_input(&zero, &mut to)?
    };
    let positive = to.add(b"Greater", &[input, &zero], &[])?;
    let positive = like_input(&positive, &mut to)?;
    let negative = to.add(b"Less", &[input, &zero], &[])?;
    let negative = like_input(&negative, &mut to)?;
    if !is_float {
        to.add_into(b"Sub", &[&positive, &negative], &[], &[output])?;
        return Some(to.finish());
    }
    let sign = to.add(b"Sub", &[&positive, &negative], &[])?;
    let is_none = to.add(b"IsNaN", &[input], &[])?;
    to.add_into(b"Where", &[&is_none, input, &sign], &[], &[output])?;
    Some(to.finish())
}
