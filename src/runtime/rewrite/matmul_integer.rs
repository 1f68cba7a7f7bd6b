//! `MatMulInteger` with a zero point for each column.
//!
//! rten takes the zero points of some columns for those of others.

use super::attribute;
use super::known::{INT32, UINT8};
use super::node::Node;
use super::replacement::Replacement;
use super::scope::Scopes;

/// Multiplies with a zero point of 0, and subtracts the sum of each row times the zero points.
pub(super) fn replace(
    node: &Node<'_>,
    known: &Scopes<'_>,
    mut to: Replacement<'_, '_>,
) -> Option<Vec<Vec<u8>>> {
    if !are_products_exact() {
        return None;
    }
    let (left, right) = (node.input(0)?, node.input(1)?);
    let (zeros, output) = (node.input(3)?, node.single_output()?);
    if known.shape(zeros).is_some_and(<[i64]>::is_empty) {
        return None;
    }
    // rten takes no zero point of shape [1] for several rows.
    if let Some(zero) = node.input(2)
        && !known.shape(zero).is_some_and(<[i64]>::is_empty)
    {
        return None;
    }
    let &[rows, _] = known.shape(right)? else {
        return None;
    };
    let cast = |element: u64| attribute::integer(b"to", element.cast_signed());
    let shape = to.integers(&[rows, 1])?;
    let one = to.integer(1)?;
    let one = to.add(b"Cast", &[&one], &[cast(UINT8)])?;
    let ones = to.add(b"Expand", &[&one, &shape], &[])?;
    let multiply = |right: &[u8], to: &mut Replacement<'_, '_>| {
        let mut inputs = vec![left, right];
        inputs.extend(node.input(2));
        to.add(b"MatMulInteger", &inputs, &[])
    };
    let products = multiply(right, &mut to)?;
    let sums = multiply(&ones, &mut to)?;
    let zeros = to.add(b"Cast", &[zeros], &[cast(INT32)])?;
    let excess = to.add(b"Mul", &[&sums, &zeros], &[])?;
    to.add_into(b"Sub", &[&products, &excess], &[], &[output])?;
    Some(to.finish())
}

/// Whether rten multiplies bytes exactly on this processor. With AVX2 alone, it adds products in 16
/// bits.
// No claim covers the multiplications that a replacement adds.
pub(super) fn are_products_exact() -> bool {
    #[cfg(target_arch = "x86_64")]
    let is_exact = std::arch::is_x86_feature_detected!("avx512vnni")
        || !std::arch::is_x86_feature_detected!("avx2");
    #[cfg(not(target_arch = "x86_64"))]
    let is_exact = true;
    is_exact
}
