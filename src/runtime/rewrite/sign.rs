//! `Sign` of floating-point numbers.
//!
//! rten returns 1 for 0, and -1 for -0. The standard wants 0.

use super::attribute;
use super::boolean::is_zero;
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
    let sign = to.add(b"Sign", &[input], &[])?;
    let zero = is_zero(input, known, &mut to)?;
    let other = to.add(b"Not", &[&zero], &[])?;
    let factor = match element {
        Some(FLOAT) => {
            let float = attribute::integer(b"to", FLOAT.cast_signed());
            to.add(b"Cast", &[&other], &[float])?
        }
        _ => to.add(b"CastLike", &[&other, input], &[])?,
    };
    to.add_into(b"Mul", &[&sign, &factor], &[], &[output])?;
    Some(to.finish())
}
