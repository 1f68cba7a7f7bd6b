//! `Cast` and `CastLike` to BOOL.
//!
//! rten keeps booleans as integers, and casts 3 to 3 and 0.5 to 0. To be true is to differ from 0.

use super::attribute;
use super::known::{BOOL, FLOAT};
use super::node::Node;
use super::replacement::Replacement;
use super::scope::Scopes;

pub(super) fn replace(
    node: &Node<'_>,
    known: &Scopes<'_>,
    mut to: Replacement<'_, '_>,
) -> Option<Vec<Vec<u8>>> {
    let (input, output) = (node.input(0)?, node.single_output()?);
    let target = match node.operator {
        b"CastLike" => known.element(node.input(1)?)?,
        _ => node.integer_or(b"to", 0).cast_unsigned(),
    };
    if target != BOOL || known.element(input) == Some(BOOL) {
        return None;
    }
    let zero = is_zero(input, known, &mut to)?;
    to.add_into(b"Not", &[&zero], &[], &[output])?;
    Some(to.finish())
}

/// Adds nodes that compute whether elements are 0, and returns the name of the result.
pub(super) fn is_zero(
    input: &[u8],
    known: &Scopes<'_>,
    to: &mut Replacement<'_, '_>,
) -> Option<Vec<u8>> {
    let zero = to.float(0.0)?;
    if known.element(input) == Some(FLOAT) {
        return to.add(b"Equal", &[input, &zero], &[]);
    }
    // No integer other than 0 becomes 0.
    let float = attribute::integer(b"to", FLOAT.cast_signed());
    let float = to.add(b"Cast", &[input], &[float])?;
    to.add(b"Equal", &[&float, &zero], &[])
}
